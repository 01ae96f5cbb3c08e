"""Where the armies of a battle start."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mfenvs.validate import member, whole

Cell = tuple[int, int]
TEAMS = ("red", "blue")
NAMED = ("magent2", "paper", "random")
GAP = 3  # columns between the map's middle and each army
LEAST_DISTANCE = 2  # of facing columns, so that a blank one is left between the armies


class Shifts(NamedTuple):
    """The starts that ``placement="random"`` draws from, as changes of the given one.

    Attributes:
        nearer, further: by how many columns at most the armies' distance is less, or more.
        aslant: by how many lines at most the right army is above the left one, or below.
        odd_x, odd_y: 1 where the given start lies half a cell left of, or above, the map's centre; 0
            where it lies on it.
    """

    nearer: int = 0
    further: int = 0
    aslant: int = 0
    odd_x: int = 0
    odd_y: int = 0


class Start(NamedTuple):
    """The cells in which the armies start, with red on the left (0) or on the right (1).

    Attributes:
        x, y: int32 [2, N]; -1 where an agent has no place on that side.
        size: int32 [2, 2]; how many red and blue agents there are.
        num_red: how many agents red has at most.
        random_side: whether a coin says who is left.
        shifts: which other starts there are.
    """

    x: np.ndarray
    y: np.ndarray
    size: np.ndarray
    num_red: int
    random_side: bool
    shifts: Shifts


def explicit(placement: Any, map_size: int) -> tuple[tuple[Cell, ...], tuple[Cell, ...]]:
    """Given cells, ``{"red": [(x, y), ...], "blue": [...]}`` or that pair, as a pair of tuples.

    Raises:
        TypeError, ValueError: unless each army has at least one cell, and all are inside the walls and
            differ.
    """
    allowed = f"{', '.join(map(repr, NAMED))} or {{'red': [(x, y), ...], 'blue': [(x, y), ...]}}"
    if isinstance(placement, Mapping):
        if set(placement) != set(TEAMS):
            raise ValueError(f"placement has the keys {list(placement)}; allowed: {allowed}")
        placement = [placement[team] for team in TEAMS]
    if isinstance(placement, str):
        member("placement", placement, NAMED)
    if not isinstance(placement, list | tuple) or len(placement) != 2:
        raise TypeError(f"placement={_told(placement)}; allowed: {allowed}")
    armies: list[tuple[Cell, ...]] = []
    taken: set[Cell] = set()
    for team, cells in zip(TEAMS, placement, strict=True):
        army = []
        if not isinstance(cells, list | tuple | np.ndarray):
            raise TypeError(f"placement[{team!r}]={cells!r}; allowed: {allowed}")
        for k, cell in enumerate(cells):
            name = f"placement[{team!r}][{k}]"
            if not isinstance(cell, list | tuple | np.ndarray) or len(cell) != 2:
                raise TypeError(f"{name}={cell!r}; allowed: a pair (x, y) of integers")
            x, y = (whole(f"{name}[{axis}]", cell[axis], 1, map_size - 2) for axis in (0, 1))
            if (x, y) in taken:
                raise ValueError(f"{name}={(x, y)} is taken; allowed: each cell once")
            taken.add((x, y))
            army.append((x, y))
        if not army:
            raise ValueError(f"placement[{team!r}] is empty; allowed: at least one cell")
        armies.append(tuple(army))
    red, blue = armies
    return red, blue


def _told(value: Any) -> str:
    return " ".join(repr(value).split())  # an array's takes several lines


def start_of(placement: Any, map_size: int, start_range: int = 0) -> Start:
    """The start by a placement that `explicit` gave, or by name.

    "magent2": red on the left, blue on the right, no more than red (MAgent2's battle.py). "paper": a
    coin says who is left, and an army loses those of its agents that would stand in a wall, which on
    maps below 40 leaves the armies unequal (the authors' senario_battle.py). "random": two armies like
    "magent2"'s left one; a coin says who is left, and `Shifts` up to ``start_range`` how they stand to
    each other.

    In MAgent2's start the facing columns are 8 apart and the armies have the same lines. Random ones
    are d columns apart and differ by v lines, each uniform over the whole numbers

        8 - start_range <= d <= 8 + start_range,    -start_range <= v <= start_range

    for which both armies are inside the walls and a blank column is left between them (d >= 2). Each
    army is the other's point reflection through the map's centre, or through a point half a cell left
    of or above it where d or v asks for that: reflected through the centre alone, the armies' distances
    would all be odd, or all even.
    """
    if not isinstance(placement, str):
        red, blue = placement
        return _start(((red, blue),))
    left, right = _blocks(map_size)
    if placement == "random":
        return _random(left, map_size, start_range)
    if placement == "magent2":
        return _start(((left, right[: len(left)]),))
    return _start(((left, right), (right, left)))


def _blocks(map_size: int) -> tuple[list[Cell], list[Cell]]:
    """The left and the right army, without those in walls; column by column, every second cell."""
    side = 2 * int(math.sqrt(0.04 * map_size * map_size))
    lefts = (map_size // 2 - GAP - side, map_size // 2 + GAP)
    top = (map_size - side) // 2
    left, right = (
        [
            (x, y)
            for x in range(first, first + side, 2)
            for y in range(top, top + side, 2)
            if 0 < x < map_size - 1 and 0 < y < map_size - 1
        ]
        for first in lefts
    )
    return left, right


def _random(block: list[Cell], map_size: int, start_range: int) -> Start:
    """Two such blocks at MAgent2's distance, in the middle of the map, and how they may be shifted."""
    (first, top), (last, bottom) = block[0], block[-1]  # column by column
    width, height, inside = last - first + 1, bottom - top + 1, map_size - 2
    distance = 2 * GAP + 2
    # What the pair leaves free: the columns beside it and the lines above and below it.
    free_x, free_y = map_size - 2 * width - distance + 1, map_size - height
    left = [(x - first + free_x // 2, y - top + free_y // 2) for x, y in block]
    right = [(x + width - 1 + distance, y) for x, y in left]
    shifts = Shifts(
        nearer=min(start_range, distance - LEAST_DISTANCE),
        further=min(start_range, inside - 2 * width - distance + 1),
        aslant=min(start_range, inside - height),
        odd_x=free_x % 2,
        odd_y=free_y % 2,
    )
    return _start(((left, right), (right, left)), shifts)


def _start(sides: Any, shifts: Shifts = Shifts()) -> Start:  # noqa: B008 (immutable)
    num_red, num_blue = (max(len(armies[blue]) for armies in sides) for blue in (0, 1))
    shape = (2, num_red + num_blue)
    x, y = np.full(shape, -1, np.int32), np.full(shape, -1, np.int32)
    size = np.zeros((2, 2), np.int32)
    for side, armies in enumerate(sides):
        for blue, army in enumerate(armies):
            first = num_red * blue
            x[side, first : first + len(army)], y[side, first : first + len(army)] = np.array(
                army
            ).T
            size[side, blue] = len(army)
    return Start(x, y, size, num_red, len(sides) == 2, shifts)
