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
# With fewer weights than LARGE, conversions take longer than multiplication in bfloat16 saves; so they
# do on a GPU with fewer samples, since each conversion is a kernel launch.
LARGE = 2**18
MIN_SAMPLES = {"cpu": 0, "cuda": 2**14}
CPU_FLAGS = ("amx_bf16", "avx512_bf16")  # of CPUs that multiply bfloat16 faster than float32


class Precision:
    """Calls networks in a precision; the result is float32.

    Weights, their gradients and Adam's moments are always float32. With bfloat16, the inputs of products
    and the outputs of layers are rounded to 8 bits, except in an `Output`.

    A precision is called with a network and its inputs. The length of the last input is the number of
    samples.

    Args:
        name: one of PRECISIONS. "auto" is bfloat16 if the device multiplies it faster, the network is
            large and, on a GPU, a call has many samples; else float32. Inside `exactly` it is float32.
        network: the network to count the weights of.
        device: the network's device.

    Attributes:
        name: "float32" or "bfloat16".
        least: the smallest number of samples for bfloat16.
    """

    def __init__(self, name: str, network: nn.Module, device: torch.device) -> None:
        self.least = 0
        self._auto, self._exact = name == "auto", False
        if self._auto:
            large = sum(weights.numel() for weights in network.parameters()) >= LARGE
            name = "bfloat16" if large and _has_bfloat16(device.type) else "float32"
            self.least = MIN_SAMPLES.get(device.type, 0)
        self.name, self._device = name, device.type

    @contextmanager
    def exactly(self, wanted: bool) -> Iterator[None]:
        """Returns a context in which "auto" is float32, if wanted. Values of trained networks are often
        nearly equal, and matches should have the same result on all CPUs."""
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
    """The last layer, of values or logits, which is always float32. Between values above 4, bfloat16 has
    a resolution of .03, and the reward of a step in battle is -.005."""

    def forward(self, features: Tensor) -> Tensor:
        device = features.device.type
        if not torch.is_autocast_enabled(device):
            return super().forward(features)
        with torch.autocast(device, enabled=False):
            return super().forward(features.float())


@cache
def _has_bfloat16(device: str) -> bool:
    """Whether a device type multiplies bfloat16 matrices faster than float32 ones."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    cpu = Path("/proc/cpuinfo")
    if not cpu.exists():
        return False
    words = cpu.read_text(encoding="utf-8", errors="ignore").split()
    return any(flag in words for flag in CPU_FLAGS)
