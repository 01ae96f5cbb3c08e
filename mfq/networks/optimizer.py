"""Adam in one kernel, and target networks that follow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


def adam(parameters: Any, device: torch.device, rate: float = 1e-3) -> torch.optim.Adam:
    """Adam of parameters (or groups of them) in one kernel: on a CPU, several times as fast as an
    operation for each of its terms."""
    return torch.optim.Adam(parameters, rate, fused=device.type in ("cpu", "cuda"))


def load_adam(optimizer: torch.optim.Adam, state: dict[str, Any]) -> None:
    """Takes up a state of `adam`'s.

    The kernel goes through memory as it lies, so moments must lie as their weights do (channels last,
    of convolutions), which saving does not keep.
    """
    optimizer.load_state_dict(state)
    for weights, moments in optimizer.state.items():
        for name, moment in moments.items():
            if moment.shape == weights.shape:
                moments[name] = torch.empty_like(weights).copy_(moment)


def polyak_update(slow: Iterable[Tensor], fast: Iterable[Tensor], share: float) -> None:
    """Moves target weights by a share of the way to those they follow (Polyak), all in one call."""
    get_ema_multi_avg_fn(1 - share)(list(slow), list(fast), 0)
