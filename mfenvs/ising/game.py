"""The Ising model as a game: its options, spaces, state, and the order in which its rules run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import DTypeLike

from mfenvs.engine.backend import Backend
from mfenvs.game import Game, Step
from mfenvs.graph import LatticeGraph
from mfenvs.ising import draw, rules
from mfenvs.validate import flag, member, number, numbers, whole

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas

UPDATES = {
    "synchronous": rules.SYNCHRONOUS,
    "checkerboard": rules.CHECKERBOARD,
    "random": rules.RANDOM,
}
STARTS = {"random": rules.START_RANDOM, "up": rules.START_UP, "down": rules.START_DOWN}
MEASURES = ("order_parameter", "magnetisation", "staggered_magnetisation", "energy")


@dataclass(frozen=True)
class IsingConfig:
    """Options of `ising_v0`.

    Attributes:
        side: sites along an edge of the torus, N = side^2; at least 3, and even for "checkerboard".
        coupling: lambda in eq. 33, any finite number.
        field: h in eq. 33, one number or one per site (length N, or nested side by side).
        update: who chooses in a step; the others hold their spin. "synchronous" (the paper's): all.
            "checkerboard": the sites of one colour, then those of the other, so that a sweep is two
            steps. "random": each site with probability ``fraction``.
        fraction: for update="random", in (0, 1].
        initial: "random", "up" or "down".
        observe_neighbors: adds the four neighbours' spins to the observation, as the authors do.
        max_cycles: steps until truncation; None for never.

    Raises:
        ValueError, TypeError: from the constructor, naming the option, its value and what is allowed.
    """

    side: int = 20
    coupling: float = 1.0
    field: float | tuple[float, ...] = 0.0
    update: str = "synchronous"
    fraction: float = 0.5
    initial: str = "random"
    observe_neighbors: bool = False
    max_cycles: int | None = 10_000

    def __post_init__(self) -> None:
        whole("side", self.side, 3)
        number("coupling", self.coupling)
        member("update", self.update, UPDATES)
        member("initial", self.initial, STARTS)
        flag("observe_neighbors", self.observe_neighbors)
        if self.max_cycles is not None:
            whole("max_cycles", self.max_cycles, 1)
        if not 0 < number("fraction", self.fraction) <= 1:
            raise ValueError(f"fraction={self.fraction!r}; allowed: above 0, up to 1")
        if self.update == "checkerboard" and self.side % 2:
            raise ValueError(
                f"side={self.side} with update='checkerboard'; allowed: an even side, since the "
                "colours of an odd torus clash at its seam"
            )
        object.__setattr__(self, "field", _field(self.field, self.side))

    def field_per_site(self) -> np.ndarray:
        """h_j of every site, float32 [N]."""
        return np.broadcast_to(np.asarray(self.field, np.float32), self.side**2)


def _field(field: Any, side: int) -> float | tuple[float, ...]:
    """A field as a float, or as a tuple of one float a site (hashable, like the rest)."""
    values = numbers("field", field)
    if values.ndim == 0:
        return float(values)
    if values.shape not in ((side * side,), (side, side)):
        raise ValueError(
            f"field has shape {values.shape}; allowed: a number, ({side * side},) or {(side, side)}"
        )
    return tuple(values.ravel().tolist())


class Law(NamedTuple):
    """The options as the rules read them."""

    side: int
    half_coupling: np.float32
    field: Any  # float32 [N]
    uniform: bool  # whether the field is the same everywhere
    update: int
    fraction: float
    initial: int
    max_cycles: int  # -1: never


class State(NamedTuple):
    """B lattices of N sites.

    Attributes:
        spin: int8 [B, N]; 0 down, 1 up.
        active: bool [B, N]; who may choose in the next step.
        key, counter: int64 [B]; the row's random stream and its position in it.
        time: int32 [B]; steps since the row's reset.
        line_sums: int32 [B, side, 3]; of each line, for the measures: sum of each spin times its
            neighbours', of the spins, and of the spins with the signs of their colours.
        order_parameter, magnetisation, staggered_magnetisation, energy: float32 [B].
    """

    spin: Any
    active: Any
    key: Any
    counter: Any
    time: Any
    line_sums: Any
    order_parameter: Any
    magnetisation: Any
    staggered_magnetisation: Any
    energy: Any


class Snapshot(NamedTuple):
    """What observations depend on: uint8 [B, ceil(N / 8)], a bit a spin."""

    packed: Any


class IsingGame(Game):
    """Spins on a torus, each rewarded for agreeing with its neighbours and its field.

    Observation: float32 [2]: own spin (-1 or +1) and own field h_j; with ``observe_neighbors``
        float32 [6]: then the spins left, above, right and below.
    Action: 0 (down) or 1 (up).
    Reward: r_j = h_j a_j + (coupling / 2) sum_k a_j a_k with a in {-1, +1}, over the four
        neighbours k and the *new* joint action (eq. 33). Idle sites earn it too.
    Termination: never. Truncation: after ``max_cycles`` steps.
    State: float32 [N + 4]: all spins, then order parameter |N_up - N_down| / N, magnetisation
        (mean spin), staggered magnetisation (mean spin with the sign of the checkerboard's colour),
        and energy per site, -(1/N) sum_j r_j.
    """

    id = "ising_v0"
    Config = IsingConfig
    deathless = True

    def __init__(self, config: IsingConfig, backend: Backend) -> None:
        self.config, self.backend = config, backend
        sites = config.side**2
        field = config.field_per_site()
        self.agents = tuple(f"site_{site}" for site in range(sites))
        self.groups = np.zeros(sites, np.int64)
        self.group_names = ("lattice",)
        self.types = np.zeros(sites, np.int64)

        # Bounds are never equal, not even without a field: PettingZoo takes that for a mistake.
        strongest = max(1.0, float(np.abs(field).max()))
        high = np.array([1.0, strongest] + [1.0] * (4 * config.observe_neighbors), np.float32)
        self.single_observation_space = spaces.Box(-high, high, dtype=np.float32)
        self.single_action_space = spaces.Discrete(2)
        most = (2 * abs(config.coupling) + strongest) * (1 + 1e-6)  # room for rounding
        high = np.array([1.0] * (sites + 3) + [most], np.float32)
        low = -high
        low[sites] = 0.0
        self.state_space = spaces.Box(low, high, dtype=np.float32)

        self._lattice = LatticeGraph(config.side)
        self.law = backend.keep(
            Law(
                side=config.side,
                half_coupling=np.float32(config.coupling / 2),
                field=backend.asarray(field, np.float32),
                uniform=bool((field == field[0]).all()),
                update=UPDATES[config.update],
                fraction=float(config.fraction),
                initial=STARTS[config.initial],
                max_cycles=-1 if config.max_cycles is None else config.max_cycles,
            )
        )

    @property
    def masks_actions(self) -> bool:
        return self.config.update != "synchronous"

    @property
    def max_cycles(self) -> int | None:
        return self.config.max_cycles

    def allocate(self, num_rows: int) -> State:
        zeros, sites = self.backend.zeros, (num_rows, self.num_agents)
        active = zeros(sites, np.bool_)
        active[:] = True
        return State(
            spin=zeros(sites, np.int8),
            active=active,
            key=zeros(num_rows, np.int64),
            counter=zeros(num_rows, np.int64),
            time=zeros(num_rows, np.int32),
            line_sums=zeros((num_rows, self.config.side, 3), np.int32),
            **{name: zeros(num_rows, np.float32) for name in MEASURES},
        )

    def allocate_observation(self, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> Any:
        features = 6 if self.config.observe_neighbors else 2
        return self.backend.empty((*shape, features), dtype)

    def reset(self, state: State, out: Step, seeds: np.ndarray | None) -> None:
        if seeds is not None:
            state.key[:] = self.backend.asarray(seeds, np.int64)
            state.counter[:] = 0
        out.over[:] = True
        self.step(state, out.actions, out, out)

    def step(self, state: State, actions: Any, last: Step, out: Step) -> None:
        rows, sites = state.spin.shape
        run, side = self.backend.run, self.config.side
        run(rules.begin, (rows,), state, last, out)
        run(rules.deal, (rows, side), self.law, state, out, work=1)
        run(rules.choose, (rows, sites), state, actions, out, work=1)
        run(rules.settle, (rows, side), self.law, state, out, work=2 * side)
        if self.masks_actions:
            run(rules.activate, (rows, side, side), self.law, state, out)
        run(rules.measure, (rows,), self.law, state, out, work=side)

    def observe(
        self,
        source: State | Snapshot,
        out: Any,
        rows: np.ndarray | None = None,
        agents: np.ndarray | None = None,
    ) -> None:
        if isinstance(source, Snapshot):
            shape = (source.packed.shape[0], self.num_agents)
            spin = self.backend.zeros(shape, np.int8)
            self.backend.run(rules.unpack, shape, source.packed, spin)
        else:
            spin = source.spin
        if rows is None:
            run, side = self.backend.run, self.config.side
            run(rules.observe_own, spin.shape, self.law, spin, out, work=1)
            if self.config.observe_neighbors:
                run(rules.observe_around, (len(spin), side, side), self.law, spin, out)
        else:
            self.backend.run(rules.observe_some, (len(rows),), self.law, spin, rows, agents, out)

    def snapshot(self, state: State) -> Snapshot:
        rows, sites = state.spin.shape
        packed = self.backend.zeros((rows, -(-sites // 8)), np.uint8)
        self.backend.run(rules.pack, (rows,), state.spin, packed)
        return Snapshot(packed)

    def graph(self, source: State | Snapshot) -> LatticeGraph:
        return self._lattice

    def global_state(self, state: State, row: int) -> np.ndarray:
        spins = 2 * np.asarray(state.spin[row], np.float32) - 1
        scalars = [float(getattr(state, name)[row]) for name in MEASURES]
        return np.concatenate([spins, np.array(scalars, np.float32)])

    def measures(self, state: State) -> dict[str, Any]:
        return {name: getattr(state, name) for name in MEASURES}

    def draw(self, state: State, step: Step, row: int, canvas: Canvas) -> None:
        draw.draw(self, state, step, row, canvas)
