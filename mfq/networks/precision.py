"""The precision in which networks compute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

PRECISIONS = ("auto", "float32", "bfloat16")
# Below so many weights, converting numbers takes longer than multiplying them in bfloat16 saves; and on
# a GPU, which has to be told of every conversion, below so many samples.
LARGE = 2**18
MANY = {"cpu": 0, "cuda": 2**14}
CPU_FLAGS = ("amx_bf16", "avx512_bf16")  # of processors that multiply bfloat16 faster than float32


class Precision:
    """Asks networks in a precision: called with a network and its inputs, of which the last has an
    entry for each sample, it returns float32.

    Weights, their gradients and Adam's moments are float32 in any. In bfloat16 what enters a product and
    what passes from layer to layer is rounded to 8 bits, but for an `Output`.

    Args:
        name: one of PRECISIONS; "auto" is bfloat16 where the device multiplies it faster and the network
            has weights enough to gain by that, and on a GPU a call samples enough; else float32, and
            `exactly`.
        network: whose weights are counted.
        device: where it computes.

    Attributes:
        name: "float32" or "bfloat16".
        least: samples from which on it is bfloat16.
    """

    def __init__(self, name: str, network: nn.Module, device: torch.device) -> None:
        self.least = 0
        self._auto, self._exact = name == "auto", False
        if self._auto:
            large = sum(weights.numel() for weights in network.parameters()) >= LARGE
            name = "bfloat16" if large and _has_bfloat16(device.type) else "float32"
            self.least = MANY.get(device.type, 0)
        self.name, self._device = name, device.type

    @contextmanager
    def exactly(self, wanted: bool) -> Iterator[None]:
        """Within, if wanted, "auto" is float32. Learned players tell near-equal values apart: matches
        come out otherwise in bfloat16, and should come out alike on all CPUs."""
        self._exact = wanted and self._auto
        try:
            yield
        finally:
            self._exact = False

    def __call__(self, network: nn.Module, *inputs: Any) -> Tensor:
        narrow = self.name == "bfloat16" and not self._exact and len(inputs[-1]) >= self.least
        with torch.autocast(self._device, torch.bfloat16, enabled=narrow):
            return network(*inputs).float()


class Output(nn.Linear):
    """The layer that tells values or logits: in float32 always, since bfloat16 knows no difference
    below .03 between values above 4, and a step costs .005 in battle."""

    def forward(self, features: Tensor) -> Tensor:
        kind = features.device.type
        if not torch.is_autocast_enabled(kind):
            return super().forward(features)
        with torch.autocast(kind, enabled=False):
            return super().forward(features.float())


@cache
def _has_bfloat16(kind: str) -> bool:
    """Whether a device multiplies bfloat16 matrices faster than float32 ones."""
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    cpu = Path("/proc/cpuinfo")
    if not cpu.exists():
        return False
    words = cpu.read_text(encoding="utf-8", errors="ignore").split()
    return any(flag in words for flag in CPU_FLAGS)
