"""Generators that go on where others were, on another device, too."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor


def load_generator_state(generator: torch.Generator, state: Tensor) -> None:
    """Takes up a generator's state; where that is one of another kind of device, which cannot be gone on
    from, seeds the generator by it.

    Args:
        generator: to be changed.
        state: uint8, what ``get_state`` gave.
    """
    if state.shape == generator.get_state().shape:
        generator.set_state(state)
    else:
        generator.manual_seed(zlib.crc32(state.numpy().tobytes()))
