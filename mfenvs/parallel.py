"""The PettingZoo view of one row of a game: dicts by agent name."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pettingzoo
from gymnasium import spaces
from gymnasium.utils import EzPickle
from pettingzoo.utils import wrappers
from pettingzoo.utils.conversions import parallel_to_aec_wrapper

from mfenvs.backend import get_backend
from mfenvs.game import Game, Step
from mfenvs.graph import NeighborGraph

RENDER_MODES = ("human", "rgb_array")
RENDER_FPS = 10


class ParallelEnv(pettingzoo.ParallelEnv, EzPickle):
    """One row of a game, as a PettingZoo ParallelEnv.

    Beyond PettingZoo: `neighbor_graph`, `neighbors`, `state`, `state_space`. Each agent's info has
    ``action`` (the action in effect, -1 for none), ``acting`` (whether its choice counted), where the
    game restricts choices ``action_mask`` (int8 [A]), and the game's measures. What ``reset`` and
    ``step`` return is the caller's to keep.

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
        self.possible_agents = list(self.game.agents)
        self.agents: list[str] = []
        self.state_space = self.game.state_space
        self._index = {agent: i for i, agent in enumerate(self.possible_agents)}
        # One space object per agent: PettingZoo seeds and samples them one by one.
        self._observation_spaces = {
            agent: copy.deepcopy(self.game.single_observation_space) for agent in self._index
        }
        self._action_spaces = {
            agent: copy.deepcopy(self.game.single_action_space) for agent in self._index
        }
        self._state = self.game.allocate(1)
        self._step = self.game.allocate_step(1)
        self._last = self.game.allocate_step(1)
        self._ready = self._seeded = False
        self._canvas: Any = None

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
        self.agents = list(self.possible_agents)
        if self._canvas is not None:
            self._canvas.restart()
        if self.render_mode == "human":
            self.render()
        return self._observations(self.agents), self._infos(self.agents)

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
        living = self.agents
        self._step, self._last = self._last, self._step
        self.game.step(self._state, chosen, self._last, self._step)

        index = [self._index[agent] for agent in living]
        terminated = self._step.terminated[0, index].tolist()
        over, truncated = bool(self._step.over[0]), bool(self._step.truncated[0])
        rewards = self._step.reward[0, index].tolist()
        observations, infos = self._observations(living), self._infos(living)
        self.agents = (
            []
            if over
            else [agent for agent, gone in zip(living, terminated, strict=True) if not gone]
        )
        if self.render_mode == "human":
            self.render()
        return (
            observations,
            dict(zip(living, rewards, strict=True)),
            dict(zip(living, terminated, strict=True)),
            {agent: truncated and not gone for agent, gone in zip(living, terminated, strict=True)},
            infos,
        )

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
            from mfenvs.canvas import Canvas

            self._canvas = Canvas(self.render_mode, title=self.game.id, fps=RENDER_FPS)
        self._canvas.show_graph = self.show_graph
        self.game.draw(self._state, self._step, 0, self._canvas)
        return self._canvas.present()

    def close(self) -> None:
        """Closes the window, if there is one."""
        if self._canvas is not None:
            self._canvas.close()
            self._canvas = None

    # -- beyond PettingZoo ----------------------------------------------------------------------

    @property
    def neighbor_graph(self) -> NeighborGraph:
        """Who is whose neighbour now (before the first reset: in the state as allocated)."""
        return self.game.graph(self._state)

    def neighbors(self, agent: str) -> list[str]:
        """The names of the live neighbours of an agent, in the order of ``possible_agents``."""
        found = self.neighbor_graph.neighbors(self._index[self._known(agent)])
        return [self.possible_agents[i] for i in found if self._step.alive[0, i]]

    # -- helpers --------------------------------------------------------------------------------

    def _must_be_ready(self, what: str) -> None:
        if not self._ready:
            raise RuntimeError(f"{what} was asked for before reset()")

    def _known(self, agent: str) -> str:
        if agent not in self._index:
            first, last = self.possible_agents[0], self.possible_agents[-1]
            raise ValueError(f"agent={agent!r} is unknown; allowed: {first!r} to {last!r}")
        return agent

    def _joint_action(self, actions: dict[str, int]) -> np.ndarray:
        """int64 [1, N], -1 where no action came; agents that are gone have no say."""
        if not isinstance(actions, dict):
            raise TypeError(f"actions is a {type(actions).__name__}; allowed: a dict by agent name")
        chosen = np.full((1, self.game.num_agents), -1, np.int64)
        for agent, action in actions.items():
            index = self._index[self._known(agent)]
            if not _is_whole(action):
                raise TypeError(
                    f"actions[{agent!r}]={action!r} is a {type(action).__name__}; allowed: an integer"
                )
            if not 0 <= action < self.game.num_actions:
                raise ValueError(
                    f"actions[{agent!r}]={action!r} is out of range; "
                    f"allowed: 0 to {self.game.num_actions - 1}"
                )
            chosen[0, index] = action
        return chosen

    def _observations(self, agents: list[str]) -> dict[str, Any]:
        room = self.game.allocate_observation((1, self.game.num_agents))
        self.game.observe(self._state, room)
        if isinstance(room, dict):
            index = [self._index[agent] for agent in agents]
            return {
                agent: {key: part[0, i] for key, part in room.items()}
                for agent, i in zip(agents, index, strict=True)
            }
        return {agent: room[0, self._index[agent]] for agent in agents}

    def _infos(self, agents: list[str]) -> dict[str, dict[str, Any]]:
        step: Step = self._step
        measured = self.game.measures(self._state)
        measures = {name: float(values[0]) for name, values in measured.items()}
        action, acting = step.actions[0].tolist(), step.acting[0].tolist()
        infos = {
            agent: {"action": action[i], "acting": acting[i], **measures}
            for agent in agents
            for i in (self._index[agent],)
        }
        if self.game.masks_actions:
            masks = step.mask[0].copy()
            for agent, info in infos.items():
                info["action_mask"] = masks[self._index[agent]]
        return infos


def _is_whole(action: Any) -> bool:
    return (isinstance(action, int | np.integer) and not isinstance(action, bool)) or (
        isinstance(action, np.ndarray) and action.shape == () and action.dtype.kind in "iu"
    )


def to_aec(env: ParallelEnv, usual_wrappers: bool = True) -> Any:
    """The AEC view, with or without PettingZoo's usual wrappers (out-of-bounds and order checks)."""
    aec = parallel_to_aec_wrapper(env)
    if not usual_wrappers:
        return aec
    return wrappers.OrderEnforcingWrapper(wrappers.AssertOutOfBoundsWrapper(aec))
