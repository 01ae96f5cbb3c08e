"""Where the agents of a grid world start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mfenvs.validate import one_of, whole

Cell = tuple[int, int]


class Shifts(NamedTuple):
    """How an episode's start may differ from the listed one: two halves of the agents are shifted.

    Attributes:
        nearer, further: by how many columns at most the distance of the halves is less, or more.
        aslant: by how many rows at most the right half is above the left one, or below.
        odd_x, odd_y: 1 where the listed start lies half a cell left of, or above, the map's center; 0
            where it lies on it.
    """

    nearer: int = 0
    further: int = 0
    aslant: int = 0
    odd_x: int = 0
    odd_y: int = 0


class Arrangement(NamedTuple):
    """One start.

    Attributes:
        cells: by group, the positions (x, y) of its agents.
        order: the groups in the order in which they are placed, which numbers the agents.
        right: by group, whether it is in the right half of `Shifts`.
    """

    cells: Sequence[Sequence[Cell]]
    order: Sequence[int]
    right: Sequence[bool]


class Placement(NamedTuple):
    """The positions in which agents start. Of S = 1 or 2 arrangements each episode draws one.

    Attributes:
        x, y: int32 [S, N]; -1 where an agent does not take part.
        size: int32 [S, G]; how many agents of a group take part: the first ones.
        number: int32 [S, G]; the number, in the order of placing, of a group's first agent.
        right: bool [S, G]; whether a group is in the right half of `Shifts`.
        group_sizes: int64 [G]; how many agents a group has at most.
        shifts: how the arrangements are shifted.
    """

    x: np.ndarray
    y: np.ndarray
    size: np.ndarray
    number: np.ndarray
    right: np.ndarray
    group_sizes: np.ndarray
    shifts: Shifts


def placement_of(arrangements: Sequence[Arrangement], shifts: Shifts = Shifts()) -> Placement:  # noqa: B008 (immutable)
    """A placement of one or two arrangements of the same groups."""
    sizes = np.array([[len(cells) for cells in one.cells] for one in arrangements], np.int32)
    most = sizes.max(0).astype(np.int64)
    first = np.cumsum(most) - most
    x, y = (np.full((len(arrangements), most.sum()), -1, np.int32) for _ in range(2))
    number = np.zeros_like(sizes)
    for s, one in enumerate(arrangements):
        for g, cells in enumerate(one.cells):
            agents = slice(first[g], first[g] + len(cells))
            x[s, agents], y[s, agents] = np.array(cells).reshape(-1, 2).T
        placed = 0
        for g in one.order:
            number[s, g] = placed
            placed += sizes[s, g]
    right = np.array([one.right for one in arrangements], np.bool_)
    return Placement(x, y, sizes, number, right, most, shifts)


def listed(cells: Sequence[Sequence[Cell]]) -> Placement:
    """The placement that is always these positions, by group."""
    return placement_of([Arrangement(cells, range(len(cells)), [False] * len(cells))])


def explicit(
    placement: Any,
    map_size: int,
    groups: Sequence[str],
    named: Sequence[str] = (),
    bodies: Sequence[tuple[int, int]] | None = None,
) -> tuple[tuple[Cell, ...], ...]:
    """Checks given positions, ``{"red": [(x, y), ...], "blue": [...]}`` or a sequence by group.

    Args:
        placement: the positions, of the top-left cells.
        map_size: cells along an edge of the map.
        groups: their names.
        named: the placements that have names, for the message.
        bodies: by group, the width and length of an agent; by default one cell.

    Returns:
        By group, a tuple of positions.

    Raises:
        TypeError, ValueError: unless each group has at least one position, and all bodies are inside
            the walls and disjoint.
    """
    form = "{" + ", ".join(f"{name!r}: [(x, y), ...]" for name in groups) + "}"
    allowed = f"{', '.join(map(repr, named))} or {form}" if named else form
    if isinstance(placement, Mapping):
        if set(placement) != set(groups):
            raise ValueError(f"placement has the keys {list(placement)}; allowed: {allowed}")
        placement = [placement[group] for group in groups]
    if isinstance(placement, str):
        one_of("placement", placement, named)
    if not isinstance(placement, list | tuple) or len(placement) != len(groups):
        shown = " ".join(repr(placement).split())  # an array takes several lines
        raise TypeError(f"placement={shown}; allowed: {allowed}")
    result: list[tuple[Cell, ...]] = []
    taken: set[Cell] = set()
    sizes = bodies or [(1, 1)] * len(groups)
    for group, positions, size in zip(groups, placement, sizes, strict=True):
        checked = []
        if not isinstance(positions, list | tuple | np.ndarray):
            raise TypeError(f"placement[{group!r}]={positions!r}; allowed: {allowed}")
        for k, cell in enumerate(positions):
            name = f"placement[{group!r}][{k}]"
            if not isinstance(cell, list | tuple | np.ndarray) or len(cell) != 2:
                raise TypeError(f"{name}={cell!r}; allowed: a pair (x, y) of integers")
            x, y = (
                whole(f"{name}[{axis}]", cell[axis], 1, map_size - 1 - size[axis])
                for axis in (0, 1)
            )
            body = {(x + dx, y + dy) for dx in range(size[0]) for dy in range(size[1])}
            if body & taken:
                raise ValueError(f"{name}={(x, y)} is taken; allowed: each cell once")
            taken |= body
            checked.append((x, y))
        if not checked:
            raise ValueError(f"placement[{group!r}] is empty; allowed: at least one cell")
        result.append(tuple(checked))
    return tuple(result)
