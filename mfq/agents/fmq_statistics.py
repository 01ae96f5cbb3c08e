"""How often actions earn their highest reward: the heuristics of FMQ and Recursive FMQ.

Legend: R rows of a table (an agent, or an agent and an observation), A actions, M samples.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Statistics(nn.Module):
    """The highest reward of each action, and how often it was earned (Kapetanakis & Kudenko 2002).

    An action is worth EV(a) = Q(a) + c F(a) maxR(a). F(a) is the number of times that a earned maxR(a),
    divided by the number of times that it was played. Actions that were not played yet are worth Q(a).

    Args:
        rows: R.
        num_actions: A.
        weight: c.
        tolerance: rewards that differ by at most this number are equal.

    Attributes:
        best: float32 [R, A], the highest rewards maxR; 0 for actions that were not played yet.
        plays, hits: int64 [R, A], how often an action was played, and how often it earned ``best``.
    """

    best: Tensor
    plays: Tensor
    hits: Tensor

    def __init__(
        self, rows: int, num_actions: int, weight: float = 5.0, tolerance: float = 0.0
    ) -> None:
        super().__init__()
        self.weight, self.tolerance = weight, tolerance
        zeros = torch.zeros((rows, num_actions), device="cpu")
        self.register_buffer("best", zeros)
        self.register_buffer("plays", zeros.long())
        self.register_buffer("hits", zeros.long())

    def update(self, place: Tensor, action: Tensor, reward: Tensor) -> None:
        """Counts rewards.

        Args:
            place: int64 [M], rows of the tables, each at most once.
            action: int64 [M].
            reward: float32 [M].
        """
        at = place, action
        is_higher, is_equal = self._compare(at, reward)
        is_new = is_higher | (self.plays[at] == 0)
        self.plays[at] += 1
        self.hits[at] = (self.hits[at] + is_equal).where(~is_new, 1)
        self.best[at] = reward.where(is_new, self.best[at])

    def evaluate(self, q: Tensor, place: Tensor) -> Tensor:
        """Returns EV: float32 [M, A].

        Args:
            q: float32 [M, A], the values Q.
            place: int64 [M], rows of the tables.
        """
        frequency = self.hits[place] / self.plays[place].clamp(min=1)
        return q + self.weight * frequency * self.best[place]

    def choose(self, q: Tensor, place: Tensor, generator: torch.Generator) -> None:
        """Called after `update`, with the new values Q [M, A]; by default does nothing."""
        return

    def _compare(self, at: tuple[Tensor, Tensor], reward: Tensor) -> tuple[Tensor, Tensor]:
        """Returns whether rewards are higher than the highest so far, and whether they equal it."""
        best = self.best[at]
        return reward > best + self.tolerance, (reward - best).abs() <= self.tolerance


class RecursiveStatistics(Statistics):
    """The statistics of Recursive FMQ (Matignon et al. 2008), which forget.

    An action is worth E(a) = (1 - F(a)) Q(a) + F(a) Qmax(a). A reward above Qmax becomes Qmax, and F is
    1; an equal one makes F <- (1 - alpha_f) F + alpha_f; a lower one F <- (1 - alpha_f) F. At first Qmax
    is 0, and F is 1.

    Each row has a chosen action. Among actions that are worth equally much, it is the best. Another one
    is drawn only when its worth is below the maximum.

    Args:
        rows: R.
        num_actions: A.
        rate: alpha_f.
        tolerance: rewards that differ by at most this number are equal.

    Attributes:
        best, frequency: float32 [R, A], Qmax and F.
        chosen: int64 [R]; -1 before the first choice.
    """

    frequency: Tensor
    chosen: Tensor

    def __init__(
        self, rows: int, num_actions: int, rate: float = 0.01, tolerance: float = 0.0
    ) -> None:
        nn.Module.__init__(self)
        self.rate, self.tolerance = rate, tolerance
        zeros = torch.zeros((rows, num_actions), device="cpu")
        self.register_buffer("best", zeros)
        self.register_buffer("frequency", torch.ones_like(zeros))
        self.register_buffer("chosen", torch.full_like(zeros[:, 0], -1, dtype=torch.int64))

    def update(self, place: Tensor, action: Tensor, reward: Tensor) -> None:
        at = place, action
        is_new, is_equal = self._compare(at, reward)
        moved = (1 - self.rate) * self.frequency[at] + self.rate * is_equal
        self.frequency[at] = moved.where(~is_new, 1.0)
        self.best[at] = reward.where(is_new, self.best[at])

    def evaluate(self, q: Tensor, place: Tensor) -> Tensor:
        """Returns E: float32 [M, A]. Actions that tie with the chosen one are lower by one ulp."""
        worth = self._worth(q, place)
        actions = torch.arange(worth.shape[1], device=worth.device)
        chosen = self.chosen[place][:, None]
        is_best = worth == worth.amax(-1, keepdim=True)
        yields = is_best & (actions != chosen) & (is_best & (actions == chosen)).any(-1, True)
        lower = torch.nextafter(worth, torch.full_like(worth, -torch.inf))
        return lower.where(yields, worth)

    def choose(self, q: Tensor, place: Tensor, generator: torch.Generator) -> None:
        """Draws an action among the best for the rows ``place`` [M] without a chosen one among them."""
        worth = self._worth(q, place)
        is_best = worth == worth.amax(-1, keepdim=True)
        coin = torch.rand(worth.shape, generator=generator, device=worth.device)
        drawn = coin.masked_fill(~is_best, -1.0).argmax(-1)
        chosen = self.chosen[place]
        keeps = is_best.gather(-1, chosen.clamp(min=0)[:, None])[:, 0] & (chosen >= 0)
        self.chosen[place] = chosen.where(keeps, drawn)

    def _worth(self, q: Tensor, place: Tensor) -> Tensor:
        frequency = self.frequency[place]
        return (1 - frequency) * q + frequency * self.best[place]
