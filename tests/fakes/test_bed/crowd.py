"""Games of a crowd, all with all: a public good with a threshold, and a minority game."""

from __future__ import annotations

from math import comb

import numpy as np
from torch import Tensor

from mfenvs.graph import CompleteGraph
from tests.fakes.test_bed.base import BedGame


class Crowd(BedGame):
    """A game in which only the number of agents that play 1 matters. Agents observe their last action.

    All agents start with independent actions, observe nothing of each other, and share a policy. So in
    each step they play 1 independently with a probability p, and the best uncoordinated score is the
    largest expectation over p. A subclass defines `earned`.
    """

    def __init__(self, num_envs: int = 1) -> None:
        super().__init__(num_envs, CompleteGraph(25), width=1)

    def observations(self) -> Tensor:
        return self.last[..., None].float()

    def earned(self, ones: int) -> float:
        """Returns the mean reward of an agent in a step if ``ones`` agents play 1."""
        raise NotImplementedError

    def best(self) -> float:
        """The largest reward over the N + 1 numbers of agents that play 1."""
        return max(map(self.earned, range(self.num_agents + 1))) * self.num_steps

    def best_uncoordinated(self) -> float:
        """The largest expectation over p, on a grid of 1e-4: sum_k C(N, k) p^k (1 - p)^(N - k) r(k)."""
        p, number = np.linspace(0, 1, 10_001), self.num_agents
        expected = sum(
            comb(number, k) * p**k * (1 - p) ** (number - k) * self.earned(k)
            for k in range(number + 1)
        )
        return float(np.max(expected)) * self.num_steps


class PublicGood(Crowd):
    """All agents earn 1 if at least 13 of the 25 contribute (play 1), and contributing costs .1."""

    THRESHOLD, COST = 13, 0.1

    def play(self, actions: Tensor) -> Tensor:
        gives = (actions == 1).float()
        enough = gives.sum(1, keepdim=True) >= self.THRESHOLD
        return enough.float() - self.COST * gives

    def earned(self, ones: int) -> float:
        return float(ones >= self.THRESHOLD) - self.COST * ones / self.num_agents


class Minority(Crowd):
    """An agent earns 1 if fewer agents play its action than the other one."""

    def play(self, actions: Tensor) -> Tensor:
        ones = (actions == 1).sum(1, keepdim=True)
        return ((actions == 1) == (2 * ones < self.num_agents)).float()

    def earned(self, ones: int) -> float:
        return min(ones, self.num_agents - ones) / self.num_agents
