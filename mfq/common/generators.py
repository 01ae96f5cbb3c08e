"""Restores the states of random generators, across devices too."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor


def load_generator_state(generator: torch.Generator, state: Tensor) -> None:
    """Loads a generator's state. If it is from another type of device, seeds the generator with a hash
    of it instead.

    Args:
        generator: the generator to change.
        state: uint8, a result of ``get_state``.
    """
    if state.shape == generator.get_state().shape:
        generator.set_state(state)
    else:
        generator.manual_seed(zlib.crc32(state.numpy().tobytes()))
