"""Games of matching: to do what the neighbours do, or what they do not."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.fakes.test_bed.base import SHAPES, BedGame, ring


class Matching(BedGame):
    """Each agent earns the share of its neighbours that play its action (coordination), or the other
    action (anti-coordination). It observes its last action.

    Args:
        shape: a name in `SHAPES`.
        same: True for coordination.
        num_envs: B.
    """

    def __init__(self, shape: str, same: bool, num_envs: int = 1) -> None:
        super().__init__(num_envs, SHAPES[shape], width=1)
        self.same = same

    def observations(self) -> Tensor:
        return self.last[..., None].float()

    def play(self, actions: Tensor) -> Tensor:
        ones = self.share(actions)
        return ones.where((actions == 1) == self.same, 1 - ones)

    def best(self) -> float:
        """Coordination: all play the same, 1 a step.

        Anti-coordination: on the ring and on the torus neighbours alternate, 1 a step, since both have
        two colours. All with all: k agents play 1, and N - k play 0; k (N - k) pairs differ, each earns
        1 / (N - 1) for both, so that an agent earns 2 k (N - k) / (N (N - 1)), at most
        N / (2 (N - 1)) at k = N / 2.
        """
        number = self.num_agents
        is_complete = self._graph.max_degree == number - 1
        each = number / (2 * (number - 1)) if is_complete and not self.same else 1.0
        return each * self.num_steps

    def best_uncoordinated(self) -> float:
        """Agents start with independent actions, observe nothing of each other, and share a policy, so
        that in each step they play 1 independently with a probability p. Two neighbours match with
        probability p^2 + (1 - p)^2, at most 1, and differ with 2 p (1 - p), at most 1/2."""
        return (1.0 if self.same else 0.5) * self.num_steps


class Wishes(BedGame):
    """Two types on a ring: A-agents earn the share of neighbours that play their action, B-agents the
    share that do not. The types are A A B B A A B B ... An agent observes its type and its last action.
    """

    def __init__(self, num_envs: int = 1) -> None:
        super().__init__(num_envs, ring(24), width=2)
        self.differs = torch.arange(self.num_agents) % 4 >= 2

    def observations(self) -> Tensor:
        return torch.stack([self.differs.expand_as(self.last), self.last == 1], -1).float()

    def play(self, actions: Tensor) -> Tensor:
        ones = self.share(actions)
        return ones.where((actions == 1) ^ self.differs, 1 - ones)

    def best(self) -> float:
        """A quarter of the ring's N edges join two A-agents: both earn 1/2 if they match. A quarter join
        two B-agents: both earn 1/2 if they differ. At each of the others one of the two earns 1/2,
        whatever they play. Both can be had at once, e.g. with 0 0 0 1 0 0 0 1 ..., and an agent earns
        (N/4 + N/4 + N/2 * 1/2) / N = 3/4 a step."""
        return 0.75 * self.num_steps

    def best_uncoordinated(self) -> float:
        """Agents of a type play 1 independently with the same probability. Two A-agents match always if
        it is 0 or 1, two B-agents differ in at most half of the cases: 1/4 + 1/4 * 1/2 + 1/4 = 5/8."""
        return 0.625 * self.num_steps
