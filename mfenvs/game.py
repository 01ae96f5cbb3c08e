"""The contract that a game fulfils. Both views (PettingZoo and batched) hold a Game and its state.

A game is stateless: a frozen config, spaces and names, and methods that run its rules on state arrays
that it allocated. Adding a game means writing a subclass of `Game` and its rules; `mfenvs.check`
tells whether the contract is kept.

Legend: B rows (independent copies), N agents a row, A actions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import DTypeLike

from mfenvs.engine.backend import Backend, Rule
from mfenvs.graph import NeighborGraph
from mfenvs.rng import row_key
from mfenvs.validate import member, whole

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas

MAX_SEED = 2**62 - 1


class Step(NamedTuple):
    """What one step did, besides the observations; the game's rules write it.

    Attributes:
        reward: float32 [B, N].
        terminated: bool [B, N]; True on the step of an agent's death only, or for all survivors of
            a row where the rules (not the time limit) have ended the game.
        truncated: bool [B]; the time limit ended the episode.
        alive: bool [B, N]; after the step.
        acting: bool [B, N]; whose choice counted in this step.
        actions: int64 [B, N]; the actions in effect (-1: none). An agent that had to hold what it
            did before shows that. After a reset: what is in effect at the start.
        mask: int8 [B, N, A]; 1 where an action may be chosen next. Size 0 if all always may.
        reset: bool [B]; the row started anew in this call, which ignored its actions.
        over: bool [B]; the episode has ended, by truncation or because nobody is left to act. The
            next step starts the row anew.
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

    A subclass sets the attributes below in its constructor.

    Attributes:
        id: the registered name, such as ``"ising_v0"``.
        Config: the frozen dataclass of its options; constructing one validates them.
        fixed_population: whether all agents always take part from an episode's start to its end, so that
            each is an environment of its own in the view of Gymnasium's vectors.
        config: this game's options.
        backend: allocates the state and runs the rules.
        agents: N names.
        groups: int64 [N]; who plays together. Group names are ``group_names``.
        types: int64 [N]; agents of one type share spaces and may share a network.
        single_observation_space, single_action_space: of one agent.
        parallel_observation_space: of one agent in the PettingZoo view; the same, unless a game has
            a reason to lay it out in another way.
        all_start: whether all agents take part in every episode; else some may be dead from its start.
        params: the options as the rules read them.
        players: the scripted players that the game brings along, by name: rules (row, agent, params,
            state, out); see `script`.
        agent_fields: the fields [B, N, ...] of a snapshot that tell of agents alone: observations are
            the same where those of agents who are gone (not alive, nor terminated just now) are zeros.
        state_space: of `global_state`.
    """

    id: ClassVar[str]
    Config: ClassVar[type]
    fixed_population: ClassVar[bool] = False
    agent_fields: ClassVar[tuple[str, ...]] = ()

    config: Any
    backend: Backend
    params: Any
    agents: tuple[str, ...]
    groups: np.ndarray
    group_names: tuple[str, ...]
    types: np.ndarray
    single_observation_space: spaces.Space[Any]
    single_action_space: spaces.Discrete
    all_start: bool = True
    players: ClassVar[Mapping[str, Rule]] = {}
    state_space: spaces.Space[Any]

    @abstractmethod
    def __init__(self, config: Any, backend: Backend) -> None:
        """Sets the attributes above."""

    @classmethod
    def configure(cls, options: dict[str, Any]) -> Any:
        """A config from keyword options.

        Raises:
            TypeError: for an option that the game does not have, listing those that it has.
            TypeError, ValueError: from the config itself.
        """
        known = [field.name for field in fields(cls.Config)]
        for name in options:
            if name not in known:
                raise TypeError(f"{cls.id} has no option {name!r}; allowed: {', '.join(known)}")
        return cls.Config(**options)

    @property
    def num_agents(self) -> int:
        return len(self.agents)

    @property
    def num_actions(self) -> int:
        return int(self.single_action_space.n)

    @property
    def masks_actions(self) -> bool:
        """Whether some actions may be unavailable at times, so that a mask is kept."""
        return False

    @property
    @abstractmethod
    def max_cycles(self) -> int | None:
        """Steps after which an episode is truncated; None for never."""

    # -- memory ---------------------------------------------------------------------------------

    @abstractmethod
    def allocate(self, num_rows: int) -> Any:
        """State of ``num_rows`` rows: a NamedTuple of the backend's arrays, each [B, ...]."""

    @abstractmethod
    def allocate_observation(self, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> Any:
        """Room for observations of ``shape`` agents: an array, or a dict of arrays, [*shape, ...].

        Floats are of ``dtype``.
        """

    @property
    def parallel_observation_space(self) -> spaces.Space[Any]:
        return self.single_observation_space

    def allocate_parallel_observation(self, count: int) -> Any:
        """Room for ``count`` agents' observations as the PettingZoo view shows them, [count, ...]."""
        return self.allocate_observation((count,))

    def allocate_step(self, num_rows: int) -> Step:
        """Room for one step of ``num_rows`` rows; everybody starts alive."""
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

    # -- play -----------------------------------------------------------------------------------

    def row_seeds(self, seed: int, num_rows: int) -> np.ndarray:
        """The seed of each row under one seed for all: int64 [B], a hash of (seed, row)."""
        return np.asarray(row_key(np.int64(seed), np.arange(num_rows, dtype=np.int64)))

    def reset_seeds(self, seed: Any, num_rows: int, seeded: bool) -> np.ndarray | None:
        """The rows' own seeds for a reset: int64 [B], or None to go on with their streams.

        Args:
            seed: an integer, a sequence of one integer a row, or None: go on, or, if the rows were
                never seeded, begin from the system's entropy.
            num_rows: B.
            seeded: whether the rows have streams to go on with.

        Raises:
            TypeError: for a seed that is no integer.
            ValueError: for one outside [0, 2^62), or a sequence of another length than B.
        """
        if seed is None and seeded:
            return None
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(2))
        if np.ndim(seed) == 0:
            return self.row_seeds(whole("seed", seed, 0, MAX_SEED), num_rows)
        if len(seed) != num_rows:
            raise ValueError(
                f"seed has {len(seed)} entries; allowed: an integer, or {num_rows} of them"
            )
        own = [whole(f"seed[{b}]", value, 0, MAX_SEED) for b, value in enumerate(seed)]
        return np.array(own, np.int64)

    @abstractmethod
    def reset(self, state: Any, out: Step, seeds: np.ndarray | None) -> None:
        """Starts every row anew and writes ``out``.

        Args:
            state: from `allocate`.
            out: from `allocate_step`; written in full, except what never changes in this game.
            seeds: int64 [B], each row's own seed; None goes on with the rows' streams.
        """

    @abstractmethod
    def step(self, state: Any, actions: Any, last: Step, out: Step) -> None:
        """Plays one step; rows that ``last.over`` says have ended start anew instead.

        On CUDA it is recorded, with `observe` of the state, and played back: it may run rules, but not
        look at values or bring any from the host.

        Args:
            state: from `allocate`, reset before.
            actions: int64 [B, N] in [-1, A); -1 is no action. Not modified.
            last: what the step before wrote.
            out: written likewise.
        """

    @property
    def scripts(self) -> tuple[str, ...]:
        """The names of the scripted players."""
        return tuple(self.players)

    def script(self, name: str, state: Any) -> Any:
        """What a scripted player would do now, for every agent: int64 [B, N], -1 for the dead.

        Args:
            name: one of ``players``.
            state: from `allocate`, reset before. Not modified.

        Raises:
            ValueError: for another name.
        """
        member("name", name, self.players)
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
        """Writes observations of a state, or of a snapshot: bit for bit the same.

        Args:
            source: a state or a snapshot.
            out: from `allocate_observation`: [B, N, ...], or [M, ...] if indices are given. With
                indices also from `allocate_parallel_observation`.
            rows, agents: int64 [M], both or neither: observe agent ``agents[m]`` of row ``rows[m]``.
        """

    @abstractmethod
    def snapshot(self, state: Any) -> Any:
        """A compact copy of what observations depend on, a NamedTuple of arrays [B, ...]."""

    @abstractmethod
    def graph(self, source: Any) -> NeighborGraph:
        """The neighbour graph of this moment, of a state or a snapshot. Immutable."""

    @abstractmethod
    def global_state(self, state: Any, row: int) -> np.ndarray:
        """The whole state of a row for centralised training, in `state_space`."""

    def measures(self, state: Any) -> dict[str, Any]:
        """Per-row quantities worth reporting, name -> array [B]."""
        return {}

    @abstractmethod
    def draw(self, state: Any, step: Step, row: int, canvas: Canvas) -> None:
        """Draws a row."""
