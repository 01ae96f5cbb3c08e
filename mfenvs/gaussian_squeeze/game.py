"""The Gaussian squeeze as a game: its options, spaces, state, optimum, and how its rules run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import DTypeLike

from mfenvs.engine.backend import Backend
from mfenvs.game import Game, Step
from mfenvs.gaussian_squeeze import draw, rules
from mfenvs.graph import CompleteGraph
from mfenvs.validate import member, positive, whole

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas

REWARDS = {"shared": rules.SHARED, "per_agent": rules.PER_AGENT, "optimum": rules.OPTIMUM}
MEASURES = ("total", "objective", "performance")
MAX_AGENTS, MAX_ACTIONS = 1_000_000, 1000
MAX_SCALE = 1e100  # of mu and sigma, and the inverse of the least: their squares stay finite


class Optimum(NamedTuple):
    """Where the objective is greatest, and how great it is there."""

    total: float
    objective: float


def optimum(
    mu: float = 400.0,
    sigma: float = 200.0,
    num_agents: int | None = None,
    num_actions: int | None = None,
) -> Optimum:
    """The maximum of G(x) = x exp(-(x - mu)^2 / sigma^2).

    G rises up to x* = (mu + sqrt(mu^2 + 2 sigma^2)) / 2, the root of dG/dx = 0, and falls beyond it.
    That is 444.949 with G* = 423.0326 for the paper's mu and sigma.

    Args:
        mu, sigma: above 0.
        num_agents, num_actions: both or neither. Given both, the maximum is over the totals that
            these agents can reach, the integers from 0 to N (A - 1): one of the two next to x*, or
            N (A - 1) itself where x* is out of reach.

    Raises:
        TypeError, ValueError: for an argument out of range, or one of the last two alone.
    """
    mu, sigma = _scale("mu", mu), _scale("sigma", sigma)
    total = (mu + math.hypot(mu, math.sqrt(2) * sigma)) / 2
    if (num_agents is None) != (num_actions is None):
        raise ValueError("num_agents and num_actions: allowed: both or neither")
    if num_agents is not None:
        reach = _agents(num_agents) * (_actions(num_actions) - 1)
        below = min(max(math.floor(total), 1), reach)
        above = min(below + 1, reach)
        total = above if rules.log_gain(above, below, mu, sigma) > 0 else below
    return Optimum(float(total), rules.objective(float(total), mu, sigma))


def _scale(name: str, value: Any) -> float:
    found = positive(name, value)
    if not 1 / MAX_SCALE <= found <= MAX_SCALE:
        raise ValueError(f"{name}={value!r}; allowed: {1 / MAX_SCALE:g} to {MAX_SCALE:g}")
    return found


def _agents(value: Any) -> int:
    return whole("num_agents", value, 1, MAX_AGENTS)


def _actions(value: Any) -> int:
    return whole("num_actions", value, 2, MAX_ACTIONS)


@dataclass(frozen=True)
class SqueezeConfig:
    """Options of `gaussian_squeeze_v0`.

    Attributes:
        num_agents: N, 1 to 1,000,000. The paper has 100, 500 and 1000.
        num_actions: A, 2 to 1000; actions count as 0 to A - 1.
        mu, sigma: of the objective, above 0 (1e-100 to 1e100).
        reward: what each agent earns, for its own action and everybody's: "optimum" G(x) / G*,
            "per_agent" G(x) / N, or "shared" G(x). The paper does not say which; a public precedent
            (thomyphan/scalable-marl) has G / N. They differ by a constant factor, so best responses
            and optima are the same. "optimum" is the default since it alone lies in [0, 1] for any
            N, mu and sigma: a temperature or learning rate means the same in all of them, and the
            reward is the paper's measure of performance.
        max_cycles: steps until truncation; None for never. This is a stage game, where an episode
            means nothing: each step is a game of its own, and what carries over is only the joint
            action of the step before, on which mean fields look back. 100 keeps the steps that
            merely start anew to 1 %; 1, as in the precedent, leaves nothing to look back on.

    Raises:
        ValueError, TypeError: from the constructor, naming the option, its value and what is allowed.
    """

    num_agents: int = 100
    num_actions: int = 10
    mu: float = 400.0
    sigma: float = 200.0
    reward: str = "optimum"
    max_cycles: int | None = 100

    def __post_init__(self) -> None:
        _agents(self.num_agents)
        _actions(self.num_actions)
        _scale("mu", self.mu)
        _scale("sigma", self.sigma)
        member("reward", self.reward, REWARDS)
        if self.max_cycles is not None:
            whole("max_cycles", self.max_cycles, 1)

    @property
    def reach(self) -> int:
        """The greatest total, N (A - 1)."""
        return self.num_agents * (self.num_actions - 1)

    def optimum(self) -> Optimum:
        """The best total that is within reach."""
        return optimum(self.mu, self.sigma, self.num_agents, self.num_actions)


class Law(NamedTuple):
    """The options as the rules read them."""

    num_agents: int
    share: float  # 1 / N; observations multiply, since dividing would double their time
    mu: float
    sigma: float
    best: float  # the best total within reach
    reward: int
    max_cycles: int  # -1: never


class State(NamedTuple):
    """B rows. What a step leaves behind is how often each action was chosen.

    Attributes:
        time: int32 [B]; steps since the row's reset.
        count: int64 [B, 1 + A]; agents without an action, then those with action 0, 1, ...
        total: int64 [B]; x, the sum of all actions.
        objective, performance: float64 [B]; G(x) and G(x) / G*.
        reward: float32 [B]; of each agent.
    """

    time: Any
    count: Any
    total: Any
    objective: Any
    performance: Any
    reward: Any


class Snapshot(NamedTuple):
    """int64 [B, 1 + A], as in `State`. Observations do not even depend on it."""

    count: Any


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
    deathless = True

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
        self.law = backend.keep(
            Law(
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
        run(rules.measure, (rows,), self.law, state, out, work=agents)
        run(rules.pay, shape, state, out, work=1)

    def observe(
        self,
        source: State | Snapshot,
        out: Any,
        rows: np.ndarray | None = None,
        agents: np.ndarray | None = None,
    ) -> None:
        if agents is None:
            self.backend.run(rules.observe_all, out.shape[:2], self.law, out, work=1)
        else:
            self.backend.run(rules.observe_some, (len(agents),), self.law, agents, out)

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
