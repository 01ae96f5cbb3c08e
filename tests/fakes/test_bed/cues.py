"""Games of cues: one in which the mean action says nothing, and one in which it is a step late."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.fakes.test_bed.base import SHAPES, BedGame


class Cue(BedGame):
    """Each agent observes a random cue of four, as a one-hot, and earns 1 for the action of the cue.

    Cues are independent of each other and of all actions. So others' actions do not matter, and the
    mean action is noise.
    """

    def __init__(self, num_envs: int = 1) -> None:
        super().__init__(num_envs, SHAPES["ring"], width=4, num_actions=4)
        self._draw()

    def _draw(self) -> None:
        shape = (self.num_envs, self.num_agents)
        self.cues = torch.randint(4, shape, generator=self.generator)

    def begin(self, rows: Tensor) -> None:
        self._draw()

    def observations(self) -> Tensor:
        return torch.nn.functional.one_hot(self.cues, 4).float()

    def play(self, actions: Tensor) -> Tensor:
        reward = (actions == self.cues).float()
        self._draw()
        return reward

    def best(self) -> float:
        """All follow their cues."""
        return 1.0 * self.num_steps

    def best_uncoordinated(self) -> float:
        """That needs no coordination."""
        return self.best()


class Alternation(BedGame):
    """A state is 0 or 1, at random at the start, and changes in every step. Each agent earns 1 for the
    action that equals it. Every third agent observes it, as (1, state); the others observe zeros.

    The mean action of a step tells the state of that step, once the agents that observe it follow it.
    So the best response to abar_t is to imitate it, and to abar_{t-1} to do the opposite.
    """

    def __init__(self, num_envs: int = 1) -> None:
        super().__init__(num_envs, SHAPES["all"], width=2)
        self.state = torch.zeros(num_envs, dtype=torch.int64)
        self.informed = torch.arange(self.num_agents) % 3 == 0

    def begin(self, rows: Tensor) -> None:
        draws = torch.randint(2, (self.num_envs,), generator=self.generator)
        self.state = draws.where(rows, self.state)

    def observations(self) -> Tensor:
        informed = self.informed.expand_as(self.last).float()
        return torch.stack([informed, informed * self.state[:, None]], -1)

    def play(self, actions: Tensor) -> Tensor:
        reward = (actions == self.state[:, None]).float()
        self.state = 1 - self.state
        return reward

    def best(self) -> float:
        """All follow the state. Agents that hear only what others did before can do so from the second
        step on, and earn 1/2 less in two thirds of the agents."""
        return 1.0 * self.num_steps

    def best_uncoordinated(self) -> float:
        """A third of the agents follows the state. The others know nothing of it, and are right in half
        of the cases."""
        return (1 / 3 + 2 / 3 * 0.5) * self.num_steps
