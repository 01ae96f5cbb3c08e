"""The options of the Gaussian squeeze, and its optimum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

from mfenvs.gaussian_squeeze import rules
from mfenvs.validate import number, one_of, plain_fields, positive, whole

REWARDS = {"shared": rules.SHARED, "per_agent": rules.PER_AGENT, "optimum": rules.OPTIMUM}
MAX_AGENTS, MAX_ACTIONS = 1_000_000, 1000
MAX_SCALE = 1e100  # bounds mu, sigma and their inverses, so that squares stay finite


class Optimum(NamedTuple):
    """The total of the greatest objective, and that objective."""

    total: float
    objective: float


def optimum(
    mu: float = 400.0,
    sigma: float = 200.0,
    num_agents: int | None = None,
    num_actions: int | None = None,
) -> Optimum:
    """Returns the maximum of G(x) = x exp(-(x - mu)^2 / sigma^2).

    G rises up to x* = (mu + sqrt(mu^2 + 2 sigma^2)) / 2, the root of dG/dx = 0, and falls beyond it.
    That is 444.949 with G* = 423.0326 for the paper's mu and sigma.

    Args:
        mu, sigma: above 0.
        num_agents, num_actions: both or neither. With both, the maximum is over the totals that these
            agents can reach, the integers from 0 to N (A - 1): one of the two next to x*, or N (A - 1)
            if x* is greater.

    Raises:
        TypeError, ValueError: for an argument out of range, or for only one of the last two.
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
    positive(name, value)
    return number(name, value, 1 / MAX_SCALE, MAX_SCALE)


def _agents(value: Any) -> int:
    return whole("num_agents", value, 1, MAX_AGENTS)


def _actions(value: Any) -> int:
    return whole("num_actions", value, 2, MAX_ACTIONS)


@dataclass(frozen=True)
class SqueezeConfig:
    """Options of `gaussian_squeeze_v0`.

    Attributes:
        num_agents: N, 1 to 1,000,000. The paper has 100, 500 and 1000.
        num_actions: A, 2 to 1000; the actions are 0 to A - 1.
        mu, sigma: of the objective, above 0 (1e-100 to 1e100).
        reward: the reward of each agent: "optimum" G(x) / G*, "per_agent" G(x) / N, or "shared" G(x).
            The paper does not specify it; another implementation (thomyphan/scalable-marl) has G / N.
            The three differ by a constant factor, so best responses and optima are the same.
            "optimum" is the default, since it lies in [0, 1] for any N, mu and sigma, so that one
            temperature or learning rate suits all of them; it is the paper's measure of performance.
        max_cycles: steps until truncation; None for never. In this stage game each step is a game by
            itself, and only the joint action carries over, as the mean action of the next step. With
            100, 1 % of the steps are resets; with 1, as in that implementation, there is no previous
            mean action.

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
        plain_fields(self)
        _agents(self.num_agents)
        _actions(self.num_actions)
        _scale("mu", self.mu)
        _scale("sigma", self.sigma)
        one_of("reward", self.reward, REWARDS)
        if self.max_cycles is not None:
            whole("max_cycles", self.max_cycles, 1)

    @property
    def reach(self) -> int:
        """The greatest total, N (A - 1)."""
        return self.num_agents * (self.num_actions - 1)

    def optimum(self) -> Optimum:
        """Returns the best total that these agents can reach."""
        return optimum(self.mu, self.sigma, self.num_agents, self.num_actions)


class SqueezeOptions(TypedDict, total=False):
    """The fields of `SqueezeConfig`, as keyword arguments for type checkers and editors."""

    num_agents: int
    num_actions: int
    mu: float
    sigma: float
    reward: str
    max_cycles: int | None
