"""The PettingZoo view of one row of a game: dicts by agent name."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import compress
from operator import countOf
from sys import intern
from typing import Any

import numpy as np
import pettingzoo
from gymnasium import spaces

from mfenvs.engine.backend import get_backend
from mfenvs.game import Game, Step, entropy_seed
from mfenvs.graph import NeighborGraph
from mfenvs.infos import ACTING, ACTION
from mfenvs.views.buffer_pool import BufferPool
from mfenvs.views.lifetime import Lifetime
from mfenvs.views.state_dicts import matched

RENDER_MODES = ("human", "rgb_array")
RENDER_FPS = 10
# Attributes that `ParallelEnv._use` sets, and a picture: a copy has new ones.
REBUILT = (
    "_names",
    "_name_array",
    "_index",
    "_rows",
    "_no_actions",
    "_allowed_actions",
    "_dict_observations",
    "_pools",
    "_present_by_type",
    "_takes_part",
    "_canvas",
)


class ParallelEnv(Lifetime, pettingzoo.ParallelEnv):
    """One row of a game, as a PettingZoo ParallelEnv.

    Beyond PettingZoo: `neighbor_graph`, `neighbors`, `scripted`, `measures`, `selected`, `state`,
    `state_space`, `state_dict`, `load_state_dict`, `observations`, `team_sizes`, `seed`. An agent's info
    has ``mfenvs_action``, the action in effect (-1: none), if that is not the one given;
    ``mfenvs_acting``, if it is False although an action was given, or the reverse; and if the game masks
    actions ``action_mask`` (int8 [A]).

    `reset` and `step` return new arrays and lists; the environment never reads what it has returned.
    The observations of one call are parts of one array: keeping a single one keeps the memory of all.
    Keep ``obs[agent].copy()`` instead if you keep few of many.

    ``copy.deepcopy`` and pickles hold the episode: the copy continues as the original would. A window
    is not copied. `state_dict` and `load_state_dict` are faster where one environment tries several
    continuations, as in a tree search.

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
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(f"render_mode={render_mode!r}; allowed: None, 'human', 'rgb_array'")
        game = game_class(game_class.configure(options), get_backend("cpu"))
        self.metadata = {
            "name": game_class.id,
            "render_modes": list(RENDER_MODES),
            "render_fps": RENDER_FPS,
            "is_parallelizable": True,
        }
        self.render_mode, self.show_graph = render_mode, show_graph
        self.state_space = game.state_space
        self._state, self._step, self._last = (
            game.allocate(1),
            game.allocate_step(1),
            game.allocate_step(1),
        )
        self._use(game)
        # One space object for each agent, since PettingZoo seeds and samples them one by one; made when
        # first requested.
        self._observation_spaces: dict[str, spaces.Space[Any]] = {}
        self._action_spaces: dict[str, spaces.Discrete] = {}
        # The agents that take part in the next step, their indices, and a dict with False for each.
        self._living = self._names
        self._present = np.arange(game.num_agents)
        self._all_false = dict.fromkeys(self._living, False)
        self._ready = self._seeded = False
        self._canvas: Any = None
        self._selected: str | None = None

    def _use(self, game: Game) -> None:
        """Sets the game, and what follows from it and from the memory."""
        self.game = game
        for arrays in (self._state, self._step, self._last):
            game.backend.pin(arrays)
        self._names = [intern(agent) for agent in game.agents]  # for speed
        self._name_array = np.array(self._names, object)
        self._index = {agent: i for i, agent in enumerate(self._names)}
        self._rows = np.zeros(game.num_agents, np.int64)
        self._no_actions = np.full((1, game.num_agents), -1, np.int64)
        self._allowed_actions = frozenset(range(game.num_actions))
        self._dict_observations = isinstance(game.parallel_observation_space_of(0), spaces.Dict)
        # The agents that take part, and their names, by type; None to determine them anew.
        self._present_by_type: list[tuple[np.ndarray, list[str]]] | None = None
        allocate = game.allocate_parallel_observation
        pools = [partial(allocate, of_type=k) for k in range(len(game.type_names))]
        self._pools = [BufferPool(part) for part in (pools if game.has_types else [allocate])]
        # Whether each agent takes part, for games that write all types at once; None as above.
        self._takes_part: list[bool] | None = None
        self._are_joint = game.has_types and game.has_joint_observations
        if self._are_joint:
            self._pools = [BufferPool(lambda _: game.allocate_joint_observations())]

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name not in REBUILT}
        for name in ("_observation_spaces", "_action_spaces"):
            used = {agent: space for agent, space in state[name].items() if _has_generator(space)}
            state[name] = used
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._canvas = None
        self._use(self.game)

    def __repr__(self) -> str:
        mode = "" if self.render_mode is None else f", render_mode={self.render_mode!r}"
        return f"{type(self).__name__}({self.game!r}{mode})"

    # -- PettingZoo -----------------------------------------------------------------------------

    @property
    def agents(self) -> list[str]:
        """The agents that take part in the next step, as a new list; before `reset`, all."""
        return self._living.copy()

    @property
    def possible_agents(self) -> list[str]:
        """All agents, as a new list."""
        return self._names.copy()

    @property
    def num_agents(self) -> int:
        """The number of ``agents``."""
        return len(self._living)

    @property
    def max_num_agents(self) -> int:
        """The number of ``possible_agents``."""
        return len(self._names)

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Returns the observation space of an agent, the same object at each call."""
        space = self._observation_spaces.get(agent)
        if space is None:
            k = self.game.types[self._index[self._known(agent)]]
            space = copy.deepcopy(self.game.parallel_observation_space_of(k))
            self._observation_spaces[agent] = space
        return space

    def action_space(self, agent: str) -> spaces.Discrete:
        """Returns the action space of an agent, the same object at each call."""
        space = self._action_spaces.get(agent)
        if space is None:
            k = self.game.types[self._index[self._known(agent)]]
            space = copy.deepcopy(self.game.action_space_of(k))
            self._action_spaces[agent] = space
        return space

    @property
    def observation_spaces(self) -> dict[str, spaces.Space[Any]]:
        """The observation space of each possible agent, in a new dict."""
        return {agent: self.observation_space(agent) for agent in self._names}

    @property
    def action_spaces(self) -> dict[str, spaces.Discrete]:
        """The action space of each possible agent, in a new dict."""
        return {agent: self.action_space(agent) for agent in self._names}

    @property
    def max_cycles(self) -> int | None:
        """The time limit. Setting it makes a new config; the current episode continues."""
        return self.game.max_cycles

    @max_cycles.setter
    def max_cycles(self, value: int | None) -> None:
        config = self.game.configure({**self.game.options, "max_cycles": value})
        # With a new backend, since a backend keeps what it has pinned.
        self._use(type(self.game)(config, get_backend("cpu")))

    def reset(
        self, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Starts an episode.

        Args:
            seed: an integer restarts the random stream; ``[s]`` restarts it from s, one of the
                ``row_seeds`` of a `BatchedEnv`. None continues the stream; the first time it is seeded
                from the system's entropy, unless the game has another default.
            options: ignored, as in all views; the constructor takes the game's options.

        Returns:
            (observations, infos), by agent.

        Raises:
            TypeError, ValueError: for a seed that is not an integer in [0, 2^62).
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
        self, actions: Mapping[str, Any]
    ) -> tuple[
        dict[str, Any],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Plays one step. Agents without an entry in ``actions`` take no action.

        Args:
            actions: integers in [0, A) by agent. As for MAgent2, an action may also be a whole float
                (3.0), or an array or tensor of one number.

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
        if not self._living:
            return {}, {}, {}, {}, {}
        self._step, self._last = self._last, self._step
        self.game.step(self._state, chosen, self._last, self._step)

        step = self._step
        values = step.reward[0].take(self._present).tolist()
        rewards = dict(zip(self._living, values, strict=True))
        terminations, truncations = self._all_false.copy(), self._all_false.copy()
        if step.truncated[0]:
            truncations = dict.fromkeys(self._living, True)
        observations, infos = self._observations(), self._infos(chosen)
        terminated = [self._names[i] for i in step.terminated[0].nonzero()[0].tolist()]
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
        self._selected = None if clicked is None else self._names[clicked]
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
        return [self._names[i] for i in indices if self._step.alive[0, i]]

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
        return dict(zip(self._living, chosen[0, self._present].tolist(), strict=True))

    @property
    def team_sizes(self) -> list[int]:
        """The number of live agents in each group, in the order of ``game.group_names``."""
        groups = self.game.groups[self._step.alive[0]]
        return np.bincount(groups, minlength=len(self.game.group_names)).tolist()

    def seed(self, seed: int | None = None) -> None:
        """Restarts the random stream, as `reset` with a seed does; the episode continues.

        Args:
            seed: an integer; None takes one from the system's entropy.
        """
        seeds = self.game.reset_seeds(entropy_seed() if seed is None else seed, 1, seeded=False)
        assert seeds is not None
        self.game.seed_rows(self._state, seeds)
        self._seeded = True

    def observations(self) -> dict[str, Any]:
        """Returns the current observations of ``agents``, for instance after `load_state_dict`."""
        self._must_be_ready("observations()")
        return self._observations()

    def state_dict(self) -> dict[str, Any]:
        """Returns the state of the episode, from which to continue exactly.

        Returns:
            A dict of the parts "state" and "step", arrays [1, ...] by name, and "rules", the game's id
            and options. All are copies.
        """
        self._must_be_ready("state_dict()")
        parts = {
            name: {key: array.copy() for key, array in part.items()}
            for name, part in self._parts().items()
        }
        return {**parts, "rules": self.game.rules()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Loads a `state_dict` of an environment with the same options, or of a `BatchedEnv` of one row.

        Afterwards ``agents`` and `observations` are those of its moment.

        Raises:
            ValueError: if it is of another game or other options, or a value is missing or has another
                shape; nothing changes then.
        """
        pairs = [
            (array, np.asarray(value.cpu() if hasattr(value, "cpu") else value))
            for array, value in matched(self.game, self._parts(), state)
        ]
        for array, value in pairs:
            array[...] = value
        self._ready = self._seeded = True
        self._update_agents()
        if self._canvas is not None:
            self._canvas.restart()

    # -- helpers --------------------------------------------------------------------------------

    def _parts(self) -> dict[str, dict[str, np.ndarray]]:
        """Returns the arrays of a `state_dict`, by part and name."""
        return {"state": self._state._asdict(), "step": self._step._asdict()}

    def _must_be_ready(self, what: str) -> None:
        if not self._ready:
            raise RuntimeError(f"{what} was called before reset()")

    def _known(self, agent: str) -> str:
        if agent not in self._index:
            first, last = self._names[0], self._names[-1]
            raise ValueError(f"agent={agent!r} is unknown; allowed: {first!r} to {last!r}")
        return agent

    def _update_agents(self) -> None:
        """Sets the agents to those that take part in the next step."""
        over = self._step.over[0]
        self._present = self._rows[:0] if over else self._step.alive[0].nonzero()[0]
        self._present_by_type = self._takes_part = None
        self._living = self._name_array.take(self._present).tolist()
        self._all_false = dict.fromkeys(self._living, False)

    def _remove_agents(self, agents: list[str]) -> None:
        """As `_update_agents`, where these agents have died and none was added."""
        for agent in agents:
            del self._all_false[agent]
        self._living = list(self._all_false)
        self._present = self._step.alive[0].nonzero()[0]
        self._present_by_type = self._takes_part = None

    def _joint_action(self, actions: Mapping[str, Any]) -> np.ndarray:
        """Returns actions by agent as int64 [1, N]; -1 for agents without one."""
        if type(actions) is not dict and not isinstance(actions, Mapping):  # for speed
            raise TypeError(f"actions is a {type(actions).__name__}; allowed: a dict by agent name")
        names, values = list(actions), list(actions.values())
        index: Any = self._present
        if names != self._living:  # usually they are equal, in order
            index = [self._index[self._known(agent)] for agent in names]
        if countOf(map(type, values), int) < len(values):
            if all(map(_is_integer_type, set(map(type, values)))):
                values = list(map(int, values))
            else:
                values = [_integer(agent, action) for agent, action in actions.items()]
        if not self._allowed_actions.issuperset(values):
            pairs = zip(names, values, strict=True)
            agent = next(agent for agent, value in pairs if value not in self._allowed_actions)
            most = self.game.action_counts[self._index[agent]] - 1
            raise ValueError(
                f"actions[{agent!r}]={actions[agent]!r} is out of range; allowed: 0 to {most}"
            )
        chosen = self._no_actions.copy()
        chosen[0][index] = values
        if self.game.has_types and (beyond := chosen[0] >= self.game.action_counts).any():
            i = int(beyond.argmax())
            raise ValueError(
                f"actions[{self._names[i]!r}]={int(chosen[0, i])} is out of range; allowed: 0 to "
                f"{self.game.action_counts[i] - 1}"
            )
        return chosen

    def _observations(self) -> dict[str, Any]:
        """Returns the observations of all agents that took part in the last step, in new memory."""
        count = len(self._present)
        if self._are_joint:
            return self._joint_observations()
        if self.game.has_types:
            return self._typed_observations()
        if self._dict_observations:
            parts = self.game.allocate_parallel_observation(count)
            self.game.observe(self._state, parts, self._rows[:count], self._present)
            return {
                agent: {key: part[i] for key, part in parts.items()}
                for i, agent in enumerate(self._living)
            }
        buffer = self._pools[0].take(count)
        self.game.observe(self._state, buffer.array[:count], self._rows[:count], self._present)
        observations: dict[str, Any] = self._all_false.copy()
        observations.update(zip(self._living, buffer.views, strict=False))  # a buffer may be larger
        return observations

    def _joint_observations(self) -> dict[str, Any]:
        """As `_observations`, for games that write those of several types in one array."""
        buffer = self._pools[0].take(len(self._names))
        self.game.observe_jointly(self._state, self._present, buffer.array)
        views: Any = buffer.views
        if len(self._present) < len(views):
            if self._takes_part is None:  # for speed only when it has changed
                takes_part = np.zeros(len(views), np.bool_)
                takes_part[self._present] = True
                self._takes_part = takes_part.tolist()
            views = compress(views, self._takes_part)
        observations: dict[str, Any] = self._all_false.copy()
        observations.update(zip(self._living, views, strict=True))
        return observations

    def _typed_observations(self) -> dict[str, Any]:
        """As `_observations`, for several types of agents."""
        if self._present_by_type is None:  # for speed only when it has changed
            types = self.game.types[self._present]
            by_type = [self._present[types == k] for k in range(len(self._pools))]
            self._present_by_type = [
                (part, self._name_array.take(part).tolist()) for part in by_type
            ]
        observations: dict[str, Any] = self._all_false.copy()
        for k, (present, names) in enumerate(self._present_by_type):
            count = len(present)
            rows = self._rows[:count]
            if self._dict_observations:
                parts = self.game.allocate_parallel_observation(count, of_type=k)
                self.game.observe(self._state, parts, rows, present, of_type=k)  # type: ignore[call-arg]
                for i, name in enumerate(names):
                    observations[name] = {key: part[i] for key, part in parts.items()}
                continue
            buffer = self._pools[k].take(count)
            array = buffer.array[:count]
            self.game.observe(self._state, array, rows, present, of_type=k)  # type: ignore[call-arg]
            observations.update(zip(names, buffer.views, strict=False))
        return observations

    def _infos(self, chosen: np.ndarray) -> dict[str, dict[str, Any]]:
        """Returns the infos of all agents that took part in the last step, with actions ``chosen``."""
        step: Step = self._step
        infos: dict[str, dict[str, Any]] = {agent: {} for agent in self._living}
        # An acting agent's choice is in effect. Mostly all live agents act; comparing bytes is fastest.
        if step.acting.tobytes() != self._last.alive.tobytes():
            changed, ignored = step.actions != chosen, step.acting != (chosen >= 0)
            for agent, i in zip(self._living, self._present.tolist(), strict=True):
                if changed[0, i]:
                    infos[agent][ACTION] = int(step.actions[0, i])
                if ignored[0, i]:
                    infos[agent][ACTING] = bool(step.acting[0, i])
        if self.game.masks_actions:
            for agent, mask in zip(self._living, step.mask[0, self._present], strict=True):
                infos[agent]["action_mask"] = mask
        return infos


def _is_integer_type(type_: type) -> bool:
    return issubclass(type_, int | np.integer) and type_ is not bool


def _integer(agent: str, action: Any) -> int:
    """Returns an integer, a whole float, or the one number of an array or a tensor, as an int."""
    value = action.tolist() if hasattr(action, "tolist") else action
    if value is not action and isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(
            f"actions[{agent!r}]={action!r} is a {type(action).__name__}; allowed: an integer"
        )
    return int(value)


def _has_generator(space: spaces.Space[Any]) -> bool:
    """Returns whether a space or a part of it was seeded or sampled, so that a copy must hold it."""
    parts = space.values() if isinstance(space, spaces.Dict) else ()
    return space._np_random is not None or any(map(_has_generator, parts))
