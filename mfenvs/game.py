"""The contract that a game fulfils. Both views (PettingZoo and batched) hold a Game and its state.

A game is stateless: it has a frozen config, spaces and names, and methods that run its rules on state
arrays that it allocates. To add a game, write its rules and a subclass of `Game`; `mfenvs.check` tests
whether the subclass keeps the contract.

Legend: B rows (independent copies), N agents a row, A actions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import DTypeLike

from mfenvs.engine.backend import Backend, Rule, get_backend
from mfenvs.engine.cache import compiling_for
from mfenvs.graph import NeighborGraph
from mfenvs.layout import Layout, Places
from mfenvs.rng import row_key
from mfenvs.validate import MAX_SEED, did_you_mean, one_of, plain, whole

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas


def entropy_seed() -> int:
    """Returns a seed from the system's entropy."""
    return int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(2))


class Step(NamedTuple):
    """What one step did, besides the observations; the game's rules write it.

    Attributes:
        reward: float32 [B, N].
        terminated: bool [B, N]; True in the step in which an agent dies, or for all survivors of a
            row where the rules (not the time limit) end the game.
        truncated: bool [B]; the time limit ended the episode.
        alive: bool [B, N]; after the step.
        acting: bool [B, N]; agents whose choice counted in this step.
        actions: int64 [B, N]; the actions in effect (-1: none). Where an agent could not choose, the
            action that it held. After a reset: the actions in effect at the start.
        mask: int8 [B, N, A]; 1 where an action may be chosen next. Size 0 if all always may.
        reset: bool [B]; the row was reset in this call, which ignored its actions.
        over: bool [B]; the episode has ended, by truncation or because no agent is left to act. The
            next step resets the row.
    """

    reward: Any
    terminated: Any
    truncated: Any
    alive: Any
    acting: Any
    actions: Any
    mask: Any
    reset: Any
    over: Any


class Game(ABC):
    """Rules, spaces and names of one game in one configuration.

    The constructor of a subclass calls that of this class, then sets ``agents``, ``params``,
    ``single_observation_space``, ``single_action_space`` and ``state_space``, and ``groups``, or
    ``types`` and ``type_names``, where there are several.

    With K > 1 types of agents each of them has its spaces, and observations are dicts by the name of the
    type: [B, N_k, ...] for the N_k agents of type k, in order.

    Args:
        config: an instance of ``Config``.
        backend: allocates the state and runs the rules.

    Attributes:
        id: the registered name, such as ``"ising_v0"``.
        Config: the frozen dataclass of the options; its constructor validates them.
        fixed_population: whether all agents take part from an episode's start to its end, so that
            `AgentVectorEnv` can show each as an environment.
        agents: N names.
        groups: int64 [N], the group of each agent, as an index into ``group_names``; by default 0.
        types: int64 [N]; agents of one type share spaces and may share a network, as an index into
            ``type_names``; by default 0.
        type_names: K names.
        single_observation_space, single_action_space: of one agent; with several types a dict of these
            by the name of the type.
        parallel_observation_space: of one agent in the PettingZoo view, likewise; by default the same.
        all_start: whether all agents take part in every episode; if not, some may be dead from its
            start.
        params: the options as the rules read them.
        players: the game's scripted players by name: rules (row, agent, params, state, out); see
            `script`.
        agent_fields: the fields [B, N, ...] of a snapshot that describe single agents. Observations
            stay the same if these are zero for agents that are gone: not alive, and not terminated
            in the step before.
        measure_fields: the fields [B] of a state that `measures` reports.
        former_fields: present names of the state's fields by the names in older state dicts.
        later_fields: fields that older state dicts lack and that a step computes, each with a present
            field of the same shape.
        match_measure: the measure that decides a match: the group of the highest
            ``measures[f"{group}_{match_measure}"]`` wins. None: the group of the highest return.
        state_space: of `global_state`.
        state_is_bounded: whether states lie within the bounds of ``state_space``.
    """

    id: ClassVar[str]
    Config: ClassVar[type]
    fixed_population: ClassVar[bool] = False
    agent_fields: ClassVar[tuple[str, ...]] = ()
    match_measure: ClassVar[str | None] = None
    former_fields: ClassVar[Mapping[str, str]] = {}
    later_fields: ClassVar[Mapping[str, str]] = {}
    measure_fields: ClassVar[tuple[str, ...]] = ()

    config: Any
    backend: Backend
    params: Any
    agents: tuple[str, ...]
    group_names: tuple[str, ...] = ("all",)
    type_names: tuple[str, ...] = ("all",)
    single_observation_space: Any
    single_action_space: Any
    all_start: bool = True
    state_is_bounded: bool = True
    players: ClassVar[Mapping[str, Rule]] = {}
    state_space: spaces.Space[Any]

    @abstractmethod
    def __init__(self, config: Any, backend: Backend) -> None:
        self.config, self.backend = config, backend
        compiling_for(self.id.rpartition("_v")[0] or self.id)

    @classmethod
    def configure(cls, options: dict[str, Any]) -> Any:
        """Returns a config with these options.

        Raises:
            TypeError: for an option that the game does not have; the message lists those that it has.
            TypeError, ValueError: from the config.
        """
        known = [field.name for field in fields(cls.Config)]
        for name in options:
            if name not in known:
                meant, allowed = did_you_mean(name, known), ", ".join(known)
                raise TypeError(f"{cls.id} has no option {name!r}; {meant}allowed: {allowed}")
        return cls.Config(**{name: plain(value) for name, value in options.items()})

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles and copies a game as its config and the name of its device.

        A copy has a new backend, since a backend identifies the arrays that it has pinned by address.
        """
        return _game_of, (type(self), self.config, self.backend.device)

    def __repr__(self) -> str:
        """Names the game and its options that differ from their defaults."""
        defaults = {field.name: field.default for field in fields(self.Config)}
        given = [f"{k}={v!r}" for k, v in self.options.items() if v != defaults[k]]
        return f"{type(self).__name__}({', '.join(given)})"

    @property
    def options(self) -> dict[str, Any]:
        """The options of the config, by name."""
        return {field.name: getattr(self.config, field.name) for field in fields(self.Config)}

    def rules(self) -> dict[str, Any]:
        """Returns the id and the options of the game as plain values, for `check_rules`."""
        options = {name: _saved(value) for name, value in self.options.items()}
        return {"game": self.id, "options": options}

    def check_rules(self, saved: Mapping[str, Any]) -> None:
        """Checks that `rules` that were saved with a state are those of this game.

        Options that the saved rules lack are not compared: older ones have fewer.

        Raises:
            ValueError: for another game or other options; the message names them.
        """
        if saved["game"] != self.id:
            raise ValueError(f"state is of the game {saved['game']!r}; allowed: {self.id!r}")
        old, new = saved["options"], self.rules()["options"]
        changed = [name for name in new if name in old and _saved(old[name]) != new[name]]
        if changed:
            shown, allowed = (
                ", ".join(f"{name}={options[name]!r}" for name in changed) for options in (old, new)
            )
            raise ValueError(f"state is of a game with {shown}; allowed: {allowed}")

    @property
    def num_agents(self) -> int:
        return len(self.agents)

    @property
    def num_actions(self) -> int:
        """A; with several types, the largest of theirs."""
        return max(int(self.action_space_of(k).n) for k in range(len(self.type_names)))

    @cached_property
    def action_counts(self) -> np.ndarray:
        """How many actions each agent has, int64 [N]."""
        sizes = [int(self.action_space_of(k).n) for k in range(len(self.type_names))]
        return np.array(sizes, np.int64)[self.types]

    @property
    def has_types(self) -> bool:
        """Whether there are several types of agents."""
        return len(self.type_names) > 1

    @cached_property
    def members(self) -> tuple[np.ndarray, ...]:
        """The agents of each type, int64 [N_k]."""
        return tuple(np.flatnonzero(self.types == k) for k in range(len(self.type_names)))

    def observation_space_of(self, k: int) -> spaces.Space[Any]:
        """Returns the observation space of an agent of type k."""
        return self._of_type(self.single_observation_space, k)

    def parallel_observation_space_of(self, k: int) -> spaces.Space[Any]:
        """Returns the observation space of an agent of type k in the PettingZoo view."""
        return self._of_type(self.parallel_observation_space, k)

    def action_space_of(self, k: int) -> spaces.Discrete:
        """Returns the action space of an agent of type k."""
        return self._of_type(self.single_action_space, k)

    def _of_type(self, given: Any, k: int) -> Any:
        return given[self.type_names[k]] if self.has_types else given

    @cached_property
    def groups(self) -> np.ndarray:
        return np.zeros(self.num_agents, np.int64)

    @cached_property
    def types(self) -> np.ndarray:
        return np.zeros(self.num_agents, np.int64)

    @property
    def masks_actions(self) -> bool:
        """Whether some actions may be unavailable at times, so that `Step` has a mask."""
        return False

    @property
    def max_cycles(self) -> int | None:
        """Steps after which an episode is truncated; None for never."""
        return getattr(self.config, "max_cycles", None)

    @property
    def time_limit(self) -> int:
        """``max_cycles`` as rules read it: -1 for never."""
        return -1 if self.max_cycles is None else self.max_cycles

    # -- memory ---------------------------------------------------------------------------------

    @abstractmethod
    def allocate(self, num_rows: int) -> Any:
        """Returns the state of ``num_rows`` rows: a NamedTuple of the backend's arrays [B, ...]."""

    def allocate_observation(
        self, shape: tuple[int, ...], dtype: DTypeLike = np.float32, of_type: int | None = None
    ) -> Any:
        """Returns uninitialized memory for observations of agents in the given shape.

        Args:
            shape: such as (B, N) or (M,).
            dtype: of floats.
            of_type: the type of the agents; None for all types.

        Returns:
            An array [*shape, ...], or a dict of such arrays, as ``single_observation_space`` has it.
            With several types and no ``of_type`` a dict of these by the name of the type, in which N_k
            replaces N.
        """
        if self.has_types and of_type is None:
            return {
                name: self.allocate_observation(
                    (shape[0], len(self.members[k])) if len(shape) == 2 else shape, dtype, k
                )
                for k, name in enumerate(self.type_names)
            }
        return self._allocate_in(self.observation_space_of(of_type or 0), shape, dtype)

    @property
    def parallel_observation_space(self) -> Any:
        return self.single_observation_space

    def allocate_parallel_observation(self, count: int, of_type: int = 0) -> Any:
        """Returns memory for ``count`` observations of the PettingZoo view, [count, ...].

        Args:
            of_type: the type of the agents.
        """
        if self.parallel_observation_space is self.single_observation_space:
            if not self.has_types:
                return self.allocate_observation((count,))
            return self.allocate_observation((count,), of_type=of_type)
        space = self.parallel_observation_space_of(of_type)
        return self._allocate_in(space, (count,), np.float32)

    @property
    def has_joint_observations(self) -> bool:
        """Whether `observe_jointly` writes the PettingZoo view's observations of all types at once."""
        return False

    def allocate_joint_observations(self) -> tuple[Any, list[Any]]:
        """Returns memory for the PettingZoo view's observations of all agents of a row.

        Returns:
            An array, and the part of it that is each agent's observation.
        """
        raise NotImplementedError(f"{self.id} has no joint observations")

    def observe_jointly(self, state: Any, agents: Any, out: Any) -> None:
        """Writes the PettingZoo view's observations by agents of row 0, whatever their types.

        Args:
            state: from `allocate`.
            agents: int64 [M].
            out: the array of `allocate_joint_observations`; the parts of other agents stay as they are.
        """
        raise NotImplementedError(f"{self.id} has no joint observations")

    def _allocate_in(
        self, space: spaces.Space[Any], shape: tuple[int, ...], dtype: DTypeLike
    ) -> Any:
        if isinstance(space, spaces.Dict):
            return {name: self._allocate_in(part, shape, dtype) for name, part in space.items()}
        of_space = np.dtype(space.dtype)
        return self.backend.empty(
            (*shape, *(space.shape or ())), dtype if of_space.kind == "f" else of_space
        )

    def allocate_step(self, num_rows: int) -> Step:
        """Returns memory for one step of ``num_rows`` rows, in which all agents are alive."""
        zeros, agents = self.backend.zeros, (num_rows, self.num_agents)
        alive = zeros(agents, np.bool_)
        alive[:] = True
        mask = (*agents, self.num_actions) if self.masks_actions else (0, 0, 0)
        return Step(
            reward=zeros(agents, np.float32),
            terminated=zeros(agents, np.bool_),
            truncated=zeros(num_rows, np.bool_),
            alive=alive,
            acting=zeros(agents, np.bool_),
            actions=zeros(agents, np.int64),
            mask=zeros(mask, np.int8),
            reset=zeros(num_rows, np.bool_),
            over=zeros(num_rows, np.bool_),
        )

    def present_fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the fields of a state by their present names, from an older state dict."""
        present = {self.former_fields.get(name, name): value for name, value in fields.items()}
        for name, like in self.later_fields.items():
            if name not in present and like in present:
                present[name] = present[like] * 0
        return present

    # -- play -----------------------------------------------------------------------------------

    def row_seeds(self, seed: int, num_rows: int) -> np.ndarray:
        """Returns the seed of each row under one seed for all: int64 [B] in [0, 2^62).

        By default a hash of (seed, row).
        """
        return np.asarray(row_key(np.int64(seed), np.arange(num_rows, dtype=np.int64)))

    def reset_seeds(self, seed: Any, num_rows: int, seeded: bool) -> np.ndarray | None:
        """Returns the seed of each row for a reset: int64 [B], or None to continue their streams.

        Args:
            seed: an integer, a sequence or array of one integer a row, or None. None continues the
                streams; if the rows were never seeded, it seeds them from the system's entropy.
            num_rows: B.
            seeded: whether the rows have streams to continue.

        Raises:
            TypeError: for a seed that is not an integer.
            ValueError: for one outside [0, 2^62), or a sequence of another length than B.
        """
        if seed is None and seeded:
            return None
        if seed is None:
            seed = entropy_seed()
        if hasattr(seed, "tolist"):  # arrays, numpy's numbers, tensors
            seed = seed.tolist()
        if np.ndim(seed) == 0:
            return self.row_seeds(whole("seed", seed, 0, MAX_SEED), num_rows)
        if len(seed) != num_rows:
            raise ValueError(
                f"seed has {len(seed)} entries; allowed: an integer, or {num_rows} of them"
            )
        seeds = [whole(f"seed[{b}]", value, 0, MAX_SEED) for b, value in enumerate(seed)]
        return np.array(seeds, np.int64)

    def seed_rows(self, state: Any, seeds: np.ndarray) -> None:
        """Starts the random stream of each row.

        By default sets the fields ``key`` and ``counter`` of the state to the seeds and zero; a state
        without them has no streams.

        Args:
            state: from `allocate`.
            seeds: int64 [B].
        """
        if "key" in state._fields:
            state.key[:] = self.backend.asarray(seeds, np.int64)
            state.counter[:] = 0

    def reset(self, state: Any, out: Step, seeds: np.ndarray | None) -> None:
        """Resets every row and writes ``out``: by default a `step` after which all rows are new.

        Args:
            state: from `allocate`.
            out: from `allocate_step`; written in full, except what never changes in this game.
            seeds: int64 [B], the seed of each row; None continues the rows' streams.
        """
        if seeds is not None:
            self.seed_rows(state, seeds)
        out.over[:] = True
        self.step(state, out.actions, out, out)

    @abstractmethod
    def step(self, state: Any, actions: Any, last: Step, out: Step) -> None:
        """Plays one step; resets the rows that have ended according to ``last.over`` instead.

        On CUDA this is recorded, together with `observe`, and replayed: it may run rules, but not read
        values or copy any from the host.

        Args:
            state: from `allocate`, reset before.
            actions: int64 [B, N] in [-1, A); -1 is no action. Not modified.
            last: what the step before wrote; may be ``out``.
            out: from `allocate_step`; written as by `reset`.
        """

    @property
    def scripts(self) -> tuple[str, ...]:
        """The names of the scripted players."""
        return tuple(self.players)

    def script(self, name: str, state: Any) -> Any:
        """Returns the actions of a scripted player for every agent: int64 [B, N], -1 for the dead.

        Args:
            name: one of ``players``.
            state: from `allocate`, reset before. Not modified.

        Raises:
            ValueError: for another name.
        """
        one_of("name", name, self.players)
        shape = (len(state[0]), self.num_agents)
        out = self.backend.empty(shape, np.int64)
        self.backend.run(self.players[name], shape, self.params, state, out, work=200)
        return out

    # -- views of the state ---------------------------------------------------------------------

    @abstractmethod
    def observe(
        self,
        source: Any,
        out: Any,
        rows: np.ndarray | None = None,
        agents: np.ndarray | None = None,
    ) -> None:
        """Writes observations of a state or of a snapshot; both give the same bits.

        Args:
            source: a state or a snapshot.
            out: from `allocate_observation`: [B, N, ...], or [M, ...] if indices are given. With
                indices also from `allocate_parallel_observation`.
            rows, agents: int64 [M], both or neither: observe agent ``agents[m]`` of row ``rows[m]``.

        A game of several types has another argument, ``of_type``: the type, whose observations alone are
        written to ``out``. With indices observations of agents of other types are zeros.
        """

    @abstractmethod
    def snapshot(self, state: Any) -> Any:
        """Returns a compact copy of what observations depend on, a NamedTuple of arrays [B, ...]."""

    @abstractmethod
    def graph(self, source: Any) -> NeighborGraph:
        """Returns the neighbour graph of a state or a snapshot. It is immutable."""

    @abstractmethod
    def global_state(self, state: Any, row: int) -> np.ndarray:
        """Returns the whole state of a row for centralised training, in `state_space`."""

    def measures(self, state: Any) -> dict[str, Any]:
        """Returns quantities of each row worth reporting, name -> array [B]."""
        return {name: getattr(state, name) for name in self.measure_fields}

    def layout(self) -> Layout | None:
        """Returns the board for displays that draw the game themselves; None (default): none."""
        return None

    def places(self, state: Any, step: Step, row: int) -> Places:
        """Returns where the agents of a row are, if there is a `layout`.

        Args:
            state, step: the state and the last step, as arrays on the CPU.
            row: which row, 0 to B - 1.
        """
        raise NotImplementedError(f"{self.id} has no layout")

    @abstractmethod
    def draw(self, state: Any, step: Step, row: int, canvas: Canvas) -> None:
        """Draws a row."""


def _game_of(game_class: Callable[[Any, Backend], Game], config: Any, device: str) -> Game:
    """Returns a copy of a game, see `Game.__reduce__`."""
    return game_class(config, get_backend(device))


def _saved(value: Any) -> Any:
    """Returns an option as a plain value, in which lists, tuples and arrays are lists."""
    value = plain(value)
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _saved(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_saved(part) for part in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return type(value).__name__
