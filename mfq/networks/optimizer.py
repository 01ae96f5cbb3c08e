"""Adam in one kernel, and the update of target networks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from mfq.common.memory import SMALLER, check_fits


def adam(parameters: Any, device: torch.device, rate: float = 1e-3) -> torch.optim.Adam:
    """Returns a fused Adam optimizer of parameters, or of groups of them.

    On a CPU it is several times as fast as the default.

    Raises:
        ValueError: if the gradients and Adam's two moments do not fit into the available memory.
    """
    parameters = list(parameters)
    groups = [part["params"] if isinstance(part, dict) else [part] for part in parameters]
    size = sum(weights.nbytes for group in groups for weights in group)
    check_fits(
        f"training a network of {size / 1e9:.1f} GB",
        3 * size,
        f"a smaller network (network.pictures, network.hidden), or {SMALLER}",
        device,
    )
    return torch.optim.Adam(parameters, rate, fused=device.type in ("cpu", "cuda"))


def load_adam(optimizer: torch.optim.Adam, state: dict[str, Any]) -> None:
    """Loads a ``state_dict`` of an optimizer of `adam`.

    The fused kernel requires moments in the same memory layout as their weights (channels last for
    convolutions), which checkpoints do not preserve.
    """
    optimizer.load_state_dict(state)
    for weights, moments in optimizer.state.items():
        for name, moment in moments.items():
            if moment.shape == weights.shape:
                moments[name] = torch.empty_like(weights).copy_(moment)


def polyak_update(slow: Iterable[Tensor], fast: Iterable[Tensor], share: float) -> None:
    """Moves target weights by a share of the way to the online ones: slow += share (fast - slow)."""
    get_ema_multi_avg_fn(1 - share)(list(slow), list(fast), 0)
