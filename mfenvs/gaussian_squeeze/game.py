"""The Gaussian squeeze as a game: its spaces, and the order in which its rules run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces
from numpy.typing import DTypeLike

from mfenvs.engine.backend import Backend
from mfenvs.game import Game, Step
from mfenvs.gaussian_squeeze import draw, rules
from mfenvs.gaussian_squeeze.config import REWARDS, SqueezeConfig
from mfenvs.gaussian_squeeze.state import Params, Snapshot, State
from mfenvs.graph import CompleteGraph

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas

MEASURES = ("total", "objective", "performance")


class SqueezeGame(Game):
    """N agents whose actions add up to x, all rewarded by G(x) = x exp(-(x - mu)^2 / sigma^2).

    Observation: float32 [2]: (j + 1) / N and 1 / N for agent j of 0 to N - 1, so who one is and among
        how many. A stage game has no more to see: this never changes. (The paper's networks tell
        agents apart by a learned embedding, which belongs to the learner.) What the others did is
        left to the mean field, so that learners with one and without see the same.
    Action: 0 to A - 1, which is what it adds to x; no action (-1) adds nothing.
    Reward: G(x) / G*, G(x) / N or G(x), as ``reward`` says, the same for all, also for those without
        an action. It is computed in float64 and handed out in float32, where it may underflow: 1000
        agents who play at random mostly earn some 1e-182 of the optimum.
    Measures: total x (int64), objective G(x) and performance G(x) / G* (float64).
    G* is the greatest objective within reach, over the whole numbers from 0 to N (A - 1), so that
        performance 1 is the best that these very agents can do. Where N (A - 1) < x* = 444.949, the
        maximum of G over all numbers, that is G(N (A - 1)). Elsewhere it is G of a neighbour of x*,
        G(445) = (1 - 7e-8) G(x*) for the paper's mu and sigma. `optimum` gives both.
    Termination: never. Truncation: after ``max_cycles`` steps.
    State: float32 [A + 3]: the share of agents without an action, and with action 0, 1, ...; then
        x / (N (A - 1)) and performance. After a reset nobody has an action, and x = 0.
    Nothing is random, so seeds change nothing.
    """

    id = "gaussian_squeeze_v0"
    Config = SqueezeConfig
    fixed_population = True

    def __init__(self, config: SqueezeConfig, backend: Backend) -> None:
        self.config, self.backend = config, backend
        size = config.num_agents
        self.agents = tuple(f"agent_{agent}" for agent in range(size))
        self.groups = np.zeros(size, np.int64)
        self.group_names = ("team",)
        self.types = np.zeros(size, np.int64)
        self.single_observation_space = spaces.Box(0.0, 1.0, (2,), np.float32)
        self.single_action_space = spaces.Discrete(config.num_actions)
        self.state_space = spaces.Box(0.0, 1.0, (config.num_actions + 3,), np.float32)
        self._graph = CompleteGraph(size)
        self.params = backend.pin(
            Params(
                num_agents=size,
                share=1 / size,
                mu=float(config.mu),
                sigma=float(config.sigma),
                best=config.optimum().total,
                reward=REWARDS[config.reward],
                max_cycles=-1 if config.max_cycles is None else config.max_cycles,
            )
        )

    @property
    def max_cycles(self) -> int | None:
        return self.config.max_cycles

    def allocate(self, num_rows: int) -> State:
        zeros = self.backend.zeros
        return State(
            time=zeros(num_rows, np.int32),
            count=zeros((num_rows, 1 + self.num_actions), np.int64),
            total=zeros(num_rows, np.int64),
            objective=zeros(num_rows, np.float64),
            performance=zeros(num_rows, np.float64),
            reward=zeros(num_rows, np.float32),
        )

    def allocate_observation(self, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> Any:
        return self.backend.empty((*shape, 2), dtype)

    def reset(self, state: State, out: Step, seeds: np.ndarray | None) -> None:
        out.over[:] = True
        self.step(state, out.actions, out, out)

    def step(self, state: State, actions: Any, last: Step, out: Step) -> None:
        shape = rows, agents = out.actions.shape
        run = self.backend.run
        run(rules.begin, (rows,), state, last, out)
        run(rules.choose, shape, actions, out, work=1)
        run(rules.measure, (rows,), self.params, state, out, work=agents)
        run(rules.pay, shape, state, out, work=1)

    def observe(
        self,
        source: State | Snapshot,
        out: Any,
        rows: np.ndarray | None = None,
        agents: np.ndarray | None = None,
    ) -> None:
        if agents is None:
            self.backend.run(rules.observe_all, out.shape[:2], self.params, out, work=1)
        else:
            self.backend.run(rules.observe_some, (len(agents),), self.params, agents, out)

    def snapshot(self, state: State) -> Snapshot:
        count = self.backend.zeros(state.count.shape, np.int64)
        count[:] = state.count
        return Snapshot(count)

    def graph(self, source: State | Snapshot) -> CompleteGraph:
        return self._graph

    def global_state(self, state: State, row: int) -> np.ndarray:
        shares = np.asarray(state.count[row]) / self.num_agents
        scalars = [float(state.total[row]) / self.config.reach, float(state.performance[row])]
        return np.append(shares, scalars).astype(np.float32)

    def measures(self, state: State) -> dict[str, Any]:
        return {name: getattr(state, name) for name in MEASURES}

    def draw(self, state: State, step: Step, row: int, canvas: Canvas) -> None:
        draw.draw(self, state, step, row, canvas)
