"""The PettingZoo view of one row of a game: dicts by agent name."""

from __future__ import annotations

import copy
from dataclasses import replace
from operator import countOf
from sys import intern
from typing import Any

import numpy as np
import pettingzoo
from gymnasium import spaces
from gymnasium.utils import EzPickle
from pettingzoo.utils import wrappers
from pettingzoo.utils.conversions import parallel_to_aec_wrapper

from mfenvs.engine.backend import get_backend
from mfenvs.game import Game, Step
from mfenvs.graph import NeighborGraph
from mfenvs.views.buffer_pool import BufferPool

RENDER_MODES = ("human", "rgb_array")
RENDER_FPS = 10


class ParallelEnv(pettingzoo.ParallelEnv, EzPickle):
    """One row of a game, as a PettingZoo ParallelEnv.

    Beyond PettingZoo: `neighbor_graph`, `neighbors`, `scripted`, `measures`, `selected`, `state`,
    `state_space`. An agent's info has ``action``, the action in effect, where that is not the one
    given (-1: none); ``acting`` False where an action was given and did not count; and where the game
    restricts choices ``action_mask`` (int8 [A]). What ``reset`` and ``step`` return is the caller's
    to keep.

    Args:
        game_class: a `Game`.
        render_mode: None, "human" or "rgb_array".
        show_graph: draw the neighbour graph over the game.
        options: fields of the game's Config.

    Raises:
        ValueError, TypeError: from the game's Config, or for an unknown render_mode or option.
    """

    metadata: dict[str, Any]

    def __init__(
        self,
        game_class: type[Game],
        render_mode: str | None = None,
        show_graph: bool = False,
        **options: Any,
    ) -> None:
        EzPickle.__init__(self, game_class, render_mode, show_graph, **options)
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(f"render_mode={render_mode!r}; allowed: None, 'human', 'rgb_array'")
        self.game = game_class(game_class.configure(options), get_backend("cpu"))
        self.metadata = {
            "name": game_class.id,
            "render_modes": list(RENDER_MODES),
            "render_fps": RENDER_FPS,
            "is_parallelizable": True,
        }
        self.render_mode, self.show_graph = render_mode, show_graph
        self.possible_agents = [intern(agent) for agent in self.game.agents]  # compared sooner so
        self.agents: list[str] = []
        self.state_space = self.game.state_space
        self._index = {agent: i for i, agent in enumerate(self.possible_agents)}
        # One space object per agent: PettingZoo seeds and samples them one by one.
        self._observation_spaces = {
            agent: copy.deepcopy(self.game.parallel_observation_space) for agent in self._index
        }
        self._action_spaces = {
            agent: copy.deepcopy(self.game.single_action_space) for agent in self._index
        }
        pin = self.game.backend.pin
        self._state = pin(self.game.allocate(1))
        self._step = pin(self.game.allocate_step(1))
        self._last = pin(self.game.allocate_step(1))
        self._in_parts = isinstance(self.game.parallel_observation_space, spaces.Dict)
        self._buffers = BufferPool(self.game.allocate_parallel_observation)
        self._names = np.array(self.possible_agents, object)
        # The row of every agent, the indices of `agents`, and the dict that says False of each.
        self._rows = np.zeros(self.game.num_agents, np.int64)
        self._nothing = np.full((1, self.game.num_agents), -1, np.int64)
        self._choices = frozenset(range(self.game.num_actions))
        self._present = self._rows[:0]
        self._nobody: dict[str, bool] = {}
        self._ready = self._seeded = False
        self._canvas: Any = None
        self._selected: str | None = None

    # -- PettingZoo -----------------------------------------------------------------------------

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        return self._observation_spaces[self._known(agent)]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        return self._action_spaces[self._known(agent)]

    @property
    def max_cycles(self) -> int | None:
        """The time limit. Setting it makes a new config; the episode in progress goes on."""
        return self.game.max_cycles

    @max_cycles.setter
    def max_cycles(self, value: int | None) -> None:
        self.game = type(self.game)(replace(self.game.config, max_cycles=value), self.game.backend)
        self._ezpickle_kwargs["max_cycles"] = value

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Starts an episode.

        Args:
            seed: an integer restarts the random stream, ``[s]`` with the row's own seed s as a
                `BatchedEnv` reports it; None goes on with the stream (the first time from the
                system's entropy).
            options: accepted for PettingZoo's sake; no game here has reset options.

        Returns:
            (observations, infos), by agent.
        """
        seeds = self.game.reset_seeds(seed, 1, self._seeded)
        self._seeded = True
        self.game.reset(self._state, self._step, seeds)
        self._ready = True
        self._admit()
        if self._canvas is not None:
            self._canvas.restart()
        if self.render_mode == "human":
            self.render()
        return self._observations(), self._infos(self._nothing)

    def step(
        self, actions: dict[str, int]
    ) -> tuple[
        dict[str, Any],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Plays one step. Agents left out of ``actions`` choose nothing.

        Returns:
            (observations, rewards, terminations, truncations, infos), by agent, of the agents that
            lived when the step began.

        Raises:
            RuntimeError: before the first reset.
            TypeError, ValueError: for an unknown agent or an action that is not allowed; nothing
                has changed then.
        """
        self._must_be_ready("step()")
        chosen = self._joint_action(actions)
        if not self.agents:
            return {}, {}, {}, {}, {}
        self._step, self._last = self._last, self._step
        self.game.step(self._state, chosen, self._last, self._step)

        step = self._step
        earned = step.reward[0].take(self._present).tolist()
        rewards = dict(zip(self.agents, earned, strict=True))
        terminations, truncations = self._nobody.copy(), self._nobody.copy()
        if step.truncated[0]:
            truncations = dict.fromkeys(self.agents, True)
        observations, infos = self._observations(), self._infos(chosen)
        named = [self.possible_agents[i] for i in step.terminated[0].nonzero()[0].tolist()]
        ended = [agent for agent in named if agent in self._nobody]
        for agent in ended:
            terminations[agent] = True
        if step.over[0]:
            self._admit()
        elif ended:
            self._dismiss(ended)
        if self.render_mode == "human":
            self.render()
        return observations, rewards, terminations, truncations, infos

    def state(self) -> np.ndarray:
        """The whole state, in `state_space`."""
        self._must_be_ready("state()")
        return self.game.global_state(self._state, 0)

    def render(self) -> np.ndarray | None:
        """The picture as uint8 [height, width, 3] for "rgb_array"; None for "human" or no mode."""
        if self.render_mode is None:
            return None
        self._must_be_ready("render()")
        if self._canvas is None:
            from mfenvs.render.canvas import Canvas

            self._canvas = Canvas(self.render_mode, title=self.game.id, fps=RENDER_FPS)
        self._canvas.show_graph = self.show_graph
        chosen = self._selected
        self._canvas.selected = None if chosen is None else self._index[chosen]
        self.game.draw(self._state, self._step, 0, self._canvas)
        clicked = self._canvas.selected
        self._selected = None if clicked is None else self.possible_agents[clicked]
        return self._canvas.present()

    def close(self) -> None:
        """Closes the window, if there is one."""
        if self._canvas is not None:
            self._canvas.close()
            self._canvas = None

    @property
    def window_closed(self) -> bool:
        """Whether the window of "human" was closed; playing on shows nothing more."""
        return self._canvas is not None and self._canvas.closed

    # -- beyond PettingZoo ----------------------------------------------------------------------

    @property
    def selected(self) -> str | None:
        """The agent whose view `render` shows, in games that show one; None for nobody.

        A click in the window sets it too. Setting it to an unknown name raises ValueError.
        """
        return self._selected

    @selected.setter
    def selected(self, agent: str | None) -> None:
        self._selected = None if agent is None else self._known(agent)

    @property
    def neighbor_graph(self) -> NeighborGraph:
        """Who is whose neighbour now (before the first reset: in the state as allocated)."""
        return self.game.graph(self._state)

    def neighbors(self, agent: str) -> list[str]:
        """The names of the live neighbours of an agent, in the order of ``possible_agents``."""
        found = self.neighbor_graph.neighbors(self._index[self._known(agent)])
        return [self.possible_agents[i] for i in found if self._step.alive[0, i]]

    @property
    def measures(self) -> dict[str, float]:
        """What the game reports of its state, such as how many live."""
        self._must_be_ready("measures")
        found = self.game.measures(self._state)
        return {name: float(values[0]) for name, values in found.items()}

    def scripted(self, name: str) -> dict[str, int]:
        """What a scripted player of the game would do now, by agent, for all of ``agents``.

        Raises:
            RuntimeError: before the first reset.
            ValueError: for a name that is not among ``game.scripts``.
        """
        self._must_be_ready("scripted()")
        chosen = self.game.script(name, self._state)
        return dict(zip(self.agents, chosen[0, self._present].tolist(), strict=True))

    # -- helpers --------------------------------------------------------------------------------

    def _must_be_ready(self, what: str) -> None:
        if not self._ready:
            raise RuntimeError(f"{what} was asked for before reset()")

    def _known(self, agent: str) -> str:
        if agent not in self._index:
            first, last = self.possible_agents[0], self.possible_agents[-1]
            raise ValueError(f"agent={agent!r} is unknown; allowed: {first!r} to {last!r}")
        return agent

    def _admit(self) -> None:
        """Sets who takes part in the next step: ``agents``, and what goes with them."""
        over = self._step.over[0]
        self._present = self._rows[:0] if over else self._step.alive[0].nonzero()[0]
        self.agents = self._names.take(self._present).tolist()
        self._nobody = dict.fromkeys(self.agents, False)

    def _dismiss(self, agents: list[str]) -> None:
        """What `_admit` does when these have left, and others have not come."""
        for agent in agents:
            del self._nobody[agent]
        self.agents = list(self._nobody)
        self._present = self._step.alive[0].nonzero()[0]

    def _joint_action(self, actions: dict[str, int]) -> np.ndarray:
        """int64 [1, N], -1 where no action came; agents that are gone have no say."""
        if not isinstance(actions, dict):
            raise TypeError(f"actions is a {type(actions).__name__}; allowed: a dict by agent name")
        names, values = list(actions), list(actions.values())
        index: Any = self._present
        if names != self.agents:  # else, as usual, everybody is there, in order
            index = [self._index[self._known(agent)] for agent in names]
        if countOf(map(type, values), int) < len(values):
            if not all(map(_is_whole_number, set(map(type, values)))):
                _refuse_others(actions)
            values = list(map(int, values))
        if not self._choices.issuperset(values):
            told = zip(names, values, strict=True)
            agent = next(agent for agent, value in told if value not in self._choices)
            raise ValueError(
                f"actions[{agent!r}]={actions[agent]!r} is out of range; "
                f"allowed: 0 to {self.game.num_actions - 1}"
            )
        chosen = self._nothing.copy()
        chosen[0][index] = values
        return chosen

    def _observations(self) -> dict[str, Any]:
        """Of all that took part in the last step, in memory of their own."""
        count = len(self._present)
        if self._in_parts:
            parts = self.game.allocate_parallel_observation(count)
            self.game.observe(self._state, parts, self._rows[:count], self._present)
            return {
                agent: {key: part[i] for key, part in parts.items()}
                for i, agent in enumerate(self.agents)
            }
        buffer = self._buffers.take(count)
        self.game.observe(self._state, buffer.array[:count], self._rows[:count], self._present)
        observations: dict[str, Any] = self._nobody.copy()
        observations.update(zip(self.agents, buffer.views, strict=False))  # a buffer may be larger
        return observations

    def _infos(self, chosen: np.ndarray) -> dict[str, dict[str, Any]]:
        """Of all that took part in the last step, in which ``chosen`` [1, N] were the actions given."""
        step: Step = self._step
        infos: dict[str, dict[str, Any]] = {agent: {} for agent in self.agents}
        # Who acts does what it chose. Mostly that is everybody who lived, and bytes compare fastest.
        if step.acting.tobytes() != self._last.alive.tobytes():
            instead, ignored = step.actions != chosen, step.acting != (chosen >= 0)
            for agent, i in zip(self.agents, self._present.tolist(), strict=True):
                if instead[0, i]:
                    infos[agent]["action"] = int(step.actions[0, i])
                if ignored[0, i]:
                    infos[agent]["acting"] = bool(step.acting[0, i])
        if self.game.masks_actions:
            for agent, mask in zip(self.agents, step.mask[0, self._present], strict=True):
                infos[agent]["action_mask"] = mask
        return infos


def _is_whole_number(kind: type) -> bool:
    return issubclass(kind, int | np.integer) and kind is not bool


def _refuse_others(actions: dict[str, Any]) -> None:
    """Raises TypeError for an action that is neither an integer nor an array of just one."""
    for agent, action in actions.items():
        kind = type(action)
        whole = _is_whole_number(kind)
        if kind is np.ndarray:
            whole = action.shape == () and action.dtype.kind in "iu"
        if not whole:
            raise TypeError(
                f"actions[{agent!r}]={action!r} is a {kind.__name__}; allowed: an integer"
            )


def to_aec(env: ParallelEnv, usual_wrappers: bool = True) -> Any:
    """The AEC view, with or without PettingZoo's usual wrappers (out-of-bounds and order checks)."""
    aec = parallel_to_aec_wrapper(env)
    if not usual_wrappers:
        return aec
    return wrappers.OrderEnforcingWrapper(wrappers.AssertOutOfBoundsWrapper(aec))
