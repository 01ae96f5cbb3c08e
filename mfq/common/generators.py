"""Makes random generators from seeds, and restores their states, across devices too."""

from __future__ import annotations

import zlib
from typing import Any

import torch
from torch import Tensor

from mfenvs.validate import whole

LEAST_SEED, MOST_SEED = -(2**63), 2**64 - 1
"""The seeds that torch accepts."""


def seeded(seed: Any, device: torch.device | str = "cpu") -> torch.Generator:
    """Returns a generator with a seed, an integer of Python, numpy or torch.

    Raises:
        ValueError, TypeError: for anything else.
    """
    return torch.Generator(device).manual_seed(whole("seed", seed, LEAST_SEED, MOST_SEED))


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
