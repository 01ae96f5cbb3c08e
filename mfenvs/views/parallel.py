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
    `state_space`. An agent's info has ``action``, the action in effect (-1: none), if that is not the
    one given; ``acting``, if it is False although an action was given, or the reverse; and if the game
    masks actions ``action_mask`` (int8 [A]). `reset` and `step` return new arrays.

    Args:
        game_class: a `Game`.
        render_mode: None, "human" or "rgb_array".
        show_graph: whether `render` draws the neighbour graph over the game.
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
        self.possible_agents = [intern(agent) for agent in self.game.agents]  # for speed
        self.agents: list[str] = []
        self.state_space = self.game.state_space
        self._index = {agent: i for i, agent in enumerate(self.possible_agents)}
        # One space object for each agent, since PettingZoo seeds and samples them one by one.
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
        self._dict_observations = isinstance(self.game.parallel_observation_space, spaces.Dict)
        self._buffers = BufferPool(self.game.allocate_parallel_observation)
        self._names = np.array(self.possible_agents, object)
        # The row of each agent, the indices of `agents`, and a dict with False for each of them.
        self._rows = np.zeros(self.game.num_agents, np.int64)
        self._no_actions = np.full((1, self.game.num_agents), -1, np.int64)
        self._allowed_actions = frozenset(range(self.game.num_actions))
        self._present = self._rows[:0]
        self._all_false: dict[str, bool] = {}
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
        """The time limit. Setting it makes a new config; the current episode continues."""
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
            seed: an integer restarts the random stream; ``[s]`` restarts it from s, one of the
                ``row_seeds`` of a `BatchedEnv`. None continues the stream; the first time it is seeded
                from the system's entropy, unless the game has another default.
            options: ignored; PettingZoo passes it.

        Returns:
            (observations, infos), by agent.
        """
        seeds = self.game.reset_seeds(seed, 1, self._seeded)
        self._seeded = True
        self.game.reset(self._state, self._step, seeds)
        self._ready = True
        self._update_agents()
        if self._canvas is not None:
            self._canvas.restart()
        if self.render_mode == "human":
            self.render()
        return self._observations(), self._infos(self._no_actions)

    def step(
        self, actions: dict[str, int]
    ) -> tuple[
        dict[str, Any],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Plays one step. Agents without an entry in ``actions`` take no action.

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
        values = step.reward[0].take(self._present).tolist()
        rewards = dict(zip(self.agents, values, strict=True))
        terminations, truncations = self._all_false.copy(), self._all_false.copy()
        if step.truncated[0]:
            truncations = dict.fromkeys(self.agents, True)
        observations, infos = self._observations(), self._infos(chosen)
        terminated = [self.possible_agents[i] for i in step.terminated[0].nonzero()[0].tolist()]
        ended = [agent for agent in terminated if agent in self._all_false]
        for agent in ended:
            terminations[agent] = True
        if step.over[0]:
            self._update_agents()
        elif ended:
            self._remove_agents(ended)
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
        """The agent whose view `render` shows, in games that show one, or None.

        A click in the window sets it too. Setting it to an unknown name raises ValueError.
        """
        return self._selected

    @selected.setter
    def selected(self, agent: str | None) -> None:
        self._selected = None if agent is None else self._known(agent)

    @property
    def neighbor_graph(self) -> NeighborGraph:
        """The current neighbour graph (before the first reset: of the state as allocated)."""
        return self.game.graph(self._state)

    def neighbors(self, agent: str) -> list[str]:
        """Returns the live neighbours of an agent, in the order of ``possible_agents``."""
        indices = self.neighbor_graph.neighbors(self._index[self._known(agent)])
        return [self.possible_agents[i] for i in indices if self._step.alive[0, i]]

    @property
    def measures(self) -> dict[str, float]:
        """Quantities of the state, such as the number of live agents."""
        self._must_be_ready("measures")
        measures = self.game.measures(self._state)
        return {name: float(values[0]) for name, values in measures.items()}

    def scripted(self, name: str) -> dict[str, int]:
        """Returns the actions of a scripted player of the game for all of ``agents``.

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
            raise RuntimeError(f"{what} was called before reset()")

    def _known(self, agent: str) -> str:
        if agent not in self._index:
            first, last = self.possible_agents[0], self.possible_agents[-1]
            raise ValueError(f"agent={agent!r} is unknown; allowed: {first!r} to {last!r}")
        return agent

    def _update_agents(self) -> None:
        """Sets ``agents`` to those that take part in the next step."""
        over = self._step.over[0]
        self._present = self._rows[:0] if over else self._step.alive[0].nonzero()[0]
        self.agents = self._names.take(self._present).tolist()
        self._all_false = dict.fromkeys(self.agents, False)

    def _remove_agents(self, agents: list[str]) -> None:
        """As `_update_agents`, where these agents have died and none was added."""
        for agent in agents:
            del self._all_false[agent]
        self.agents = list(self._all_false)
        self._present = self._step.alive[0].nonzero()[0]

    def _joint_action(self, actions: dict[str, int]) -> np.ndarray:
        """Returns a dict of actions as int64 [1, N]; -1 for agents without one."""
        if not isinstance(actions, dict):
            raise TypeError(f"actions is a {type(actions).__name__}; allowed: a dict by agent name")
        names, values = list(actions), list(actions.values())
        index: Any = self._present
        if names != self.agents:  # usually they are equal, in order
            index = [self._index[self._known(agent)] for agent in names]
        if countOf(map(type, values), int) < len(values):
            if not all(map(_is_integer_type, set(map(type, values)))):
                _refuse_non_integers(actions)
            values = list(map(int, values))
        if not self._allowed_actions.issuperset(values):
            pairs = zip(names, values, strict=True)
            agent = next(agent for agent, value in pairs if value not in self._allowed_actions)
            raise ValueError(
                f"actions[{agent!r}]={actions[agent]!r} is out of range; "
                f"allowed: 0 to {self.game.num_actions - 1}"
            )
        chosen = self._no_actions.copy()
        chosen[0][index] = values
        return chosen

    def _observations(self) -> dict[str, Any]:
        """Returns the observations of all agents that took part in the last step, in new memory."""
        count = len(self._present)
        if self._dict_observations:
            parts = self.game.allocate_parallel_observation(count)
            self.game.observe(self._state, parts, self._rows[:count], self._present)
            return {
                agent: {key: part[i] for key, part in parts.items()}
                for i, agent in enumerate(self.agents)
            }
        buffer = self._buffers.take(count)
        self.game.observe(self._state, buffer.array[:count], self._rows[:count], self._present)
        observations: dict[str, Any] = self._all_false.copy()
        observations.update(zip(self.agents, buffer.views, strict=False))  # a buffer may be larger
        return observations

    def _infos(self, chosen: np.ndarray) -> dict[str, dict[str, Any]]:
        """Returns the infos of all agents that took part in the last step, with actions ``chosen``."""
        step: Step = self._step
        infos: dict[str, dict[str, Any]] = {agent: {} for agent in self.agents}
        # An acting agent's choice is in effect. Mostly all live agents act; comparing bytes is fastest.
        if step.acting.tobytes() != self._last.alive.tobytes():
            changed, ignored = step.actions != chosen, step.acting != (chosen >= 0)
            for agent, i in zip(self.agents, self._present.tolist(), strict=True):
                if changed[0, i]:
                    infos[agent]["action"] = int(step.actions[0, i])
                if ignored[0, i]:
                    infos[agent]["acting"] = bool(step.acting[0, i])
        if self.game.masks_actions:
            for agent, mask in zip(self.agents, step.mask[0, self._present], strict=True):
                infos[agent]["action_mask"] = mask
        return infos


def _is_integer_type(type_: type) -> bool:
    return issubclass(type_, int | np.integer) and type_ is not bool


def _refuse_non_integers(actions: dict[str, Any]) -> None:
    """Raises TypeError for an action that is neither an integer nor a 0-d array of integers."""
    for agent, action in actions.items():
        integer = _is_integer_type(type(action))
        if isinstance(action, np.ndarray):
            integer = action.shape == () and action.dtype.kind in "iu"
        if not integer:
            raise TypeError(
                f"actions[{agent!r}]={action!r} is a {type(action).__name__}; allowed: an integer"
            )


def to_aec(env: ParallelEnv, usual_wrappers: bool = True) -> Any:
    """Returns the AEC view.

    Args:
        env: the parallel view.
        usual_wrappers: whether to add PettingZoo's checks of bounds and of the order of calls.
    """
    aec = parallel_to_aec_wrapper(env)
    if not usual_wrappers:
        return aec
    return wrappers.OrderEnforcingWrapper(wrappers.AssertOutOfBoundsWrapper(aec))
