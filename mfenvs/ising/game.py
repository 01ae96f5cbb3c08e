"""The Ising model as a game: its spaces, and the order in which its rules run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from mfenvs.engine.backend import Backend
from mfenvs.game import Game, Step
from mfenvs.graph import LatticeGraph
from mfenvs.ising import draw, rules
from mfenvs.ising.config import STARTS, UPDATES, IsingConfig
from mfenvs.ising.state import Params, Snapshot, State
from mfenvs.layout import Layout, Places, in_lines, places_in_lines

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas


class IsingGame(Game):
    """Spins on a torus, each rewarded for agreeing with its neighbours and its field.

    Observation: float32 [2]: the agent's spin (-1 or +1) and field h_j; with ``observe_neighbors``
        float32 [6]: then the spins left, above, right and below.
    Action: 0 (down) or 1 (up).
    Reward: r_j = h_j a_j + (coupling / 2) sum_k a_j a_k with a in {-1, +1}, over the four
        neighbours k and the *new* joint action (Eq. 33). Sites that cannot choose get it too.
    Termination: never. Truncation: after ``max_cycles`` steps.
    State: float32 [N + 4]: all spins, then order parameter |N_up - N_down| / N, magnetisation
        (mean spin), staggered magnetisation (mean spin with the sign of the checkerboard's colour),
        and energy per site, -(1/N) sum_j r_j.
    """

    id = "ising_v0"
    Config = IsingConfig
    fixed_population = True
    group_names = ("lattice",)
    measure_fields = ("order_parameter", "magnetisation", "staggered_magnetisation", "energy")

    def __init__(self, config: IsingConfig, backend: Backend) -> None:
        super().__init__(config, backend)
        sites = config.side**2
        field = config.field_per_site()
        self.agents = tuple(f"site_{site}" for site in range(sites))

        # PettingZoo warns of equal bounds, so they differ even without a field.
        strongest = max(1.0, float(np.abs(field).max()))
        high = np.array([1.0, strongest] + [1.0] * (4 * config.observe_neighbors), np.float32)
        self.single_observation_space = spaces.Box(-high, high, dtype=np.float32)
        self.single_action_space = spaces.Discrete(2)
        most = (2 * abs(config.coupling) + strongest) * (1 + 1e-6)  # for rounding
        high = np.array([1.0] * (sites + 3) + [most], np.float32)
        low = -high
        low[sites] = 0.0
        self.state_space = spaces.Box(low, high, dtype=np.float32)

        self._lattice = LatticeGraph(config.side)
        self.params = backend.pin(
            Params(
                side=config.side,
                half_coupling=np.float32(config.coupling / 2),
                field=backend.asarray(field, np.float32),
                uniform=bool((field == field[0]).all()),
                update=UPDATES[config.update],
                fraction=float(config.fraction),
                initial=STARTS[config.initial],
                max_cycles=self.time_limit,
            )
        )

    @property
    def masks_actions(self) -> bool:
        return self.config.update != "synchronous"

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
            **{name: zeros(num_rows, np.float32) for name in self.measure_fields},
        )

    def step(self, state: State, actions: Any, last: Step, out: Step) -> None:
        rows, sites = state.spin.shape
        run, side = self.backend.run, self.config.side
        run(rules.begin, (rows,), state, last, out)
        run(rules.initialize, (rows, side), self.params, state, out, work=1)
        run(rules.choose, (rows, sites), state, actions, out, work=1)
        run(rules.reward, (rows, side), self.params, state, out, work=2 * side)
        if self.masks_actions:
            run(rules.activate, (rows, side, side), self.params, state, out)
        run(rules.measure, (rows,), self.params, state, out, work=side)

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
            run(rules.observe_self, spin.shape, self.params, spin, out, work=1)
            if self.config.observe_neighbors:
                run(rules.observe_neighbors, (len(spin), side, side), self.params, spin, out)
        else:
            self.backend.run(rules.observe_some, (len(rows),), self.params, spin, rows, agents, out)

    def snapshot(self, state: State) -> Snapshot:
        rows, sites = state.spin.shape
        packed = self.backend.zeros((rows, -(-sites // 8)), np.uint8)
        self.backend.run(rules.pack, (rows,), state.spin, packed)
        return Snapshot(packed)

    def graph(self, source: State | Snapshot) -> LatticeGraph:
        return self._lattice

    def global_state(self, state: State, row: int) -> np.ndarray:
        spins = 2 * np.asarray(state.spin[row], np.float32) - 1
        scalars = [float(getattr(state, name)[row]) for name in self.measure_fields]
        return np.concatenate([spins, np.array(scalars, np.float32)])

    def layout(self) -> Layout:
        return in_lines(self.num_agents, self.config.side, "spin", (-1.0, 1.0), ("down", "up"))

    def places(self, state: State, step: Step, row: int) -> Places:
        return places_in_lines(2 * np.asarray(state.spin[row], np.float32) - 1, self.config.side)

    def draw(self, state: State, step: Step, row: int, canvas: Canvas) -> None:
        draw.draw(self, state, step, row, canvas)
