"""Running statistics of observations and rewards.

Legend: M samples, D components.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mfq.common import distributed

CLIP = 10.0
EPSILON = 1e-8  # added to variances; a component that never changes becomes 0


class RunningNorm(nn.Module):
    """Normalizes the last axis of numbers by running means and deviations: clip((x - mean) / std, 10).

    The statistics are over all samples so far, each with the same weight (Chan et al. 1979). They are
    buffers, so that checkpoints and copies of a network have them. A forward pass with gradients updates
    them first; one without gradients, as when acting, does not.

    Args:
        size: D, the length of the last axis.

    Attributes:
        count: float64 scalar, the number of samples.
        mean, var: float64 [D]. Before the first sample they are 0 and 1.

    Raises:
        ValueError: in a group of several processes, in which statistics would differ.
    """

    count: Tensor
    mean: Tensor
    var: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        if distributed.world() > 1:
            raise ValueError(
                f"network.normalize=True in {distributed.world()} processes; allowed: False"
            )
        zeros = torch.zeros(size, dtype=torch.float64, device="cpu")
        self.register_buffer("count", zeros.new_zeros(()))
        self.register_buffer("mean", zeros)
        self.register_buffer("var", torch.ones_like(zeros))

    def forward(self, x: Tensor) -> Tensor:
        """Returns normalized numbers, float32 [..., D]; ``x`` is float32 [..., D]."""
        if self.training and torch.is_grad_enabled():
            self.update(x)
        scale = (self.var + EPSILON).rsqrt().float()
        return ((x - self.mean.float()) * scale).clamp(-CLIP, CLIP)

    @torch.no_grad()
    def update(self, x: Tensor) -> None:
        """Adds samples [..., D] to the statistics."""
        samples = x.reshape(-1, x.shape[-1]).double()
        if not len(samples):
            return
        mean = samples.mean(0)
        var = (samples - mean).square().mean(0)
        total = self.count + len(samples)
        share = len(samples) / total
        delta = mean - self.mean
        self.var.copy_((1 - share) * (self.var + share * delta.square()) + share * var)
        self.mean.add_(share * delta)
        self.count.copy_(total)


class RewardScale:
    """Divides rewards by their root mean square over all transitions so far.

    It does not subtract a mean, which would change which policies are best in episodes of different
    lengths.

    Args:
        device: the device of the rewards.

    Attributes:
        count: float64 scalar, the number of rewards.
        square: float64 scalar, their mean square.

    Raises:
        ValueError: in a group of several processes, in which scales would differ.
    """

    def __init__(self, device: torch.device) -> None:
        if distributed.world() > 1:
            raise ValueError(
                f"reward_scale='auto' in {distributed.world()} processes; allowed: 'none'"
            )
        self.count = torch.zeros((), dtype=torch.float64, device=device)
        self.square = torch.zeros_like(self.count)

    @property
    def scale(self) -> Tensor:
        """The root mean square, float32; 1 as long as all rewards are 0."""
        return self.square.sqrt().where(self.square > 0, 1.0).float()

    def update(self, rewards: Tensor) -> None:
        """Adds rewards [M]."""
        total = self.count + len(rewards)
        new = rewards.double().square().sum() - len(rewards) * self.square
        self.square = self.square + new / total.clamp(min=1)
        self.count = total

    def state_dict(self) -> dict[str, Any]:
        """Returns the statistics."""
        return {"count": self.count, "square": self.square}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict`."""
        self.count = state["count"].to(self.count)
        self.square = state["square"].to(self.square)
