"""State of the Ising game, and its options as the rules read them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Params(NamedTuple):
    """The options as the rules read them."""

    side: int
    half_coupling: np.float32
    field: Any  # float32 [N]
    uniform: bool  # whether the field is the same everywhere
    update: int
    fraction: float
    initial: int
    max_cycles: int  # -1: never


class State(NamedTuple):
    """B lattices of N sites.

    Attributes:
        spin: int8 [B, N]; 0 down, 1 up.
        active: bool [B, N]; sites that may choose in the next step.
        key, counter: int64 [B]; the row's random stream and the position in it.
        time: int32 [B]; steps since the row's reset.
        line_sums: int32 [B, side, 3]; sums over each line for the measures: of spin times neighbouring
            spins, of spins, and of spins times the sign of their colour.
        order_parameter, magnetisation, staggered_magnetisation, energy: float32 [B].
    """

    spin: Any
    active: Any
    key: Any
    counter: Any
    time: Any
    line_sums: Any
    order_parameter: Any
    magnetisation: Any
    staggered_magnetisation: Any
    energy: Any


class Snapshot(NamedTuple):
    """What observations depend on: uint8 [B, ceil(N / 8)], one bit for each spin."""

    packed: Any
