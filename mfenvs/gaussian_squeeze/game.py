"""The Gaussian squeeze as a game: its spaces, and the order in which its rules run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from mfenvs.engine.backend import Backend
from mfenvs.game import Game, Step
from mfenvs.gaussian_squeeze import draw, rules
from mfenvs.gaussian_squeeze.config import REWARDS, SqueezeConfig
from mfenvs.gaussian_squeeze.state import Params, Snapshot, State
from mfenvs.graph import CompleteGraph
from mfenvs.layout import Layout, Places, in_lines, places_in_lines

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas


class SqueezeGame(Game):
    """N agents whose actions add up to x, all rewarded by G(x) = x exp(-(x - mu)^2 / sigma^2).

    Observation: float32 [2]: (j + 1) / N and 1 / N for agent j of 0 to N - 1. A stage game has no other
        state, so this never changes. The paper's networks have a learned embedding of the agent, which
        is part of the learner. Observations do not contain the other agents' actions, which the mean
        field provides, so that they are the same for learners with and without a mean field.
    Action: 0 to A - 1, the amount that it adds to x; no action (-1) adds nothing.
    Reward: G(x) / G*, G(x) / N or G(x), by the option ``reward``; the same for all agents, with or
        without an action. It is computed in float64 and returned in float32, in which it may underflow:
        of 1000 agents that play at random it is typically 1e-182 of the optimum.
    Measures: total x (int64), objective G(x) and performance G(x) / G* (float64).
    G* is the greatest objective that the agents can reach, over the integers from 0 to N (A - 1), so
        that the best performance is 1. Let x* = 444.949 be the maximum of G over all numbers, for the
        paper's mu and sigma. If N (A - 1) < x*, then G* = G(N (A - 1)); else G* is G of an integer next
        to x*, here G(445) = (1 - 7e-8) G(x*). `optimum` computes both.
    Termination: never. Truncation: after ``max_cycles`` steps.
    State: float32 [A + 3]: the share of agents without an action, and with action 0, 1, ...; then
        x / (N (A - 1)) and performance. After a reset no agent has an action, and x = 0.
    The game is deterministic: seeds have no effect.
    """

    id = "gaussian_squeeze_v0"
    Config = SqueezeConfig
    fixed_population = True
    group_names = ("team",)
    measure_fields = ("total", "objective", "performance")

    def __init__(self, config: SqueezeConfig, backend: Backend) -> None:
        super().__init__(config, backend)
        size = config.num_agents
        self.agents = tuple(f"agent_{agent}" for agent in range(size))
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
                max_cycles=self.time_limit,
            )
        )

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

    def step(self, state: State, actions: Any, last: Step, out: Step) -> None:
        shape = rows, agents = out.actions.shape
        run = self.backend.run
        run(rules.begin, (rows,), state, last, out)
        run(rules.choose, shape, actions, out, work=1)
        run(rules.measure, (rows,), self.params, state, out, work=agents)
        run(rules.reward, shape, state, out, work=1)

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

    def layout(self) -> Layout:
        names = tuple(str(action) for action in range(self.num_actions))
        return in_lines(
            self.num_agents, self._per_line, "number", (0.0, float(self.num_actions - 1)), names
        )

    def places(self, state: State, step: Step, row: int) -> Places:
        return places_in_lines(np.asarray(step.actions[row]).clip(0), self._per_line)

    @property
    def _per_line(self) -> int:
        return math.isqrt(self.num_agents - 1) + 1

    def draw(self, state: State, step: Step, row: int, canvas: Canvas) -> None:
        draw.draw(self, state, step, row, canvas)
