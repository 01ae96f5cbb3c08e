"""Policies, from action values to actions: Boltzmann, epsilon-greedy, greedy, and a shared mixture.

A policy computes probabilities, which v^MF needs too, and samples from them independently for each
agent. Its parameters (temperature, epsilon) may be constants, tensors that broadcast against
[B, N, A], or schedules.

Legend: B rows, N agents, A actions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Value = float | Tensor | Callable[[int], float | Tensor]
"""A number, a tensor such as [B, 1, 1], or a function of the number of steps acted so far."""


def value_at(value: Value, time: int) -> float | Tensor:
    """Returns a policy's parameter at a time."""
    return value(time) if callable(value) else value


@dataclass(frozen=True)
class Linear:
    """A schedule: linear from ``start`` to ``end`` over ``steps``, then constant.

    Raises:
        ValueError: unless steps >= 1.
    """

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps={self.steps!r}; allowed: at least 1")

    def __call__(self, time: int) -> float:
        share = min(time / self.steps, 1.0)
        return self.start + (self.end - self.start) * share


@dataclass(frozen=True)
class Exponential:
    """A schedule: ``start`` times ``decay`` to the power of time, but never below ``end``."""

    start: float
    end: float
    decay: float

    def __post_init__(self) -> None:
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay={self.decay!r}; allowed: above 0, up to 1")

    def __call__(self, time: int) -> float:
        return max(self.end, self.start * self.decay**time)


class Policy(ABC):
    """Action probabilities from action values."""

    @abstractmethod
    def probabilities(self, q: Tensor, time: int, mask: Tensor | None = None) -> Tensor:
        """Returns pi(a | s, abar) [B, N, A], which sums to one over the allowed actions.

        Args:
            q: float32 [B, N, A].
            time: steps acted so far, for schedules.
            mask: [B, N, A], nonzero for allowed actions; None allows all. An agent without an
                allowed action gets zeros.
        """

    def sample(
        self, q: Tensor, time: int, generator: torch.Generator, mask: Tensor | None = None
    ) -> Tensor:
        """Returns actions int64 [B, N], drawn independently for each agent."""
        return draw(self.probabilities(q, time, mask), generator)


def draw(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """Draws one action for each agent by inversion: int64 [B, N] from probabilities [B, N, A]."""
    cumulative = probabilities.cumsum(-1)
    shape = (*probabilities.shape[:-1], 1)
    coin = torch.rand(shape, generator=generator, device=probabilities.device)
    # The last action needs no comparison: it is drawn if no other is.
    return (cumulative[..., :-1] <= coin * cumulative[..., -1:]).sum(-1)


@dataclass(frozen=True)
class Boltzmann(Policy):
    """pi(a) proportional to exp(q / temperature) (Eq. 12, with + for rewards).

    Attributes:
        temperature: above 0, in units of q.
    """

    temperature: Value = 1.0

    def __post_init__(self) -> None:
        if not callable(self.temperature) and not bool(
            torch.as_tensor(self.temperature > 0, device="cpu").all()
        ):
            raise ValueError(f"temperature={self.temperature!r}; allowed: above 0")

    def probabilities(self, q: Tensor, time: int, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            q = q.masked_fill(mask == 0, -torch.inf)
        # Not torch.softmax, which takes five times as long for small A.
        weights = q / value_at(self.temperature, time)
        highest = weights.amax(-1, keepdim=True).clamp_(min=torch.finfo(weights.dtype).min)
        return _normalise((weights - highest).exp_())


@dataclass(frozen=True)
class EpsilonGreedy(Policy):
    """Uniform with probability epsilon, else greedy, independently for each agent.

    Attributes:
        epsilon: in [0, 1].
    """

    epsilon: Value = 0.05

    def __post_init__(self) -> None:
        if not callable(self.epsilon) and not bool(
            torch.as_tensor((self.epsilon >= 0) & (self.epsilon <= 1), device="cpu").all()
        ):
            raise ValueError(f"epsilon={self.epsilon!r}; allowed: 0 to 1")

    def probabilities(self, q: Tensor, time: int, mask: Tensor | None = None) -> Tensor:
        epsilon = value_at(self.epsilon, time)
        return epsilon * _uniform(q, mask) + (1 - epsilon) * _greedy(q, mask)


@dataclass(frozen=True)
class Greedy(Policy):
    """The best action; ties share the probability equally."""

    def probabilities(self, q: Tensor, time: int, mask: Tensor | None = None) -> Tensor:
        return _greedy(q, mask)


@dataclass(frozen=True)
class Mixture(Policy):
    """Coherent exploration: all agents draw from one given distribution, independent of their values.

    Attributes:
        weights: [A], or broadcasts to [B, N, A]; not negative. Or a function of time.
    """

    weights: Tensor | Callable[[int], Tensor]

    def probabilities(self, q: Tensor, time: int, mask: Tensor | None = None) -> Tensor:
        weights = self.weights(time) if callable(self.weights) else self.weights
        weights = weights.to(q).expand_as(q)
        return _normalise(weights if mask is None else weights * (mask != 0))


def _uniform(q: Tensor, mask: Tensor | None) -> Tensor:
    return _normalise(torch.ones_like(q) if mask is None else (mask != 0).to(q))


def _greedy(q: Tensor, mask: Tensor | None) -> Tensor:
    if mask is not None:
        q = q.masked_fill(mask == 0, -torch.inf)
    best = (q == q.amax(-1, keepdim=True)) & (q > -torch.inf)
    return _normalise(best.to(q))


def _normalise(weights: Tensor) -> Tensor:
    total = weights.sum(-1, keepdim=True)
    return weights / total.where(total > 0, torch.ones_like(total))
