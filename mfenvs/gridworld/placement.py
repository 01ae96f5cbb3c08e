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
        walls: cells (x, y) that are walls in every episode, beside the map's border.
        num_walls: how many more walls each episode draws.
        is_drawn: whether each episode draws the positions, in place of those listed: from MAgent2's
            generator, first the walls, then the agents group by group.
    """

    x: np.ndarray
    y: np.ndarray
    size: np.ndarray
    number: np.ndarray
    right: np.ndarray
    group_sizes: np.ndarray
    shifts: Shifts
    walls: tuple[Cell, ...] = ()
    num_walls: int = 0
    is_drawn: bool = False


def placement_of(
    arrangements: Sequence[Arrangement],
    shifts: Shifts = Shifts(),  # noqa: B008 (immutable)
    walls: Sequence[Cell] = (),
) -> Placement:
    """Returns a placement of one or two arrangements of the same groups."""
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
    return Placement(x, y, sizes, number, right, most, shifts, tuple(walls))


def listed(cells: Sequence[Sequence[Cell]], walls: Sequence[Cell] = ()) -> Placement:
    """Returns the placement that is always these positions, by group."""
    one = Arrangement(cells, range(len(cells)), [False] * len(cells))
    return placement_of([one], walls=walls)


def drawn(sizes: Sequence[int], num_walls: int = 0, walls: Sequence[Cell] = ()) -> Placement:
    """Returns the placement that draws all positions in each episode.

    Args:
        sizes: how many agents each group has.
        num_walls: how many walls are drawn.
        walls: cells that are walls in every episode.
    """
    size = np.array(sizes, np.int64)
    nowhere = np.zeros((1, size.sum()), np.int32)
    first = (np.cumsum(size) - size).astype(np.int32)[None]
    return Placement(
        nowhere,
        nowhere,
        size.astype(np.int32)[None],
        first,
        np.zeros((1, len(size)), np.bool_),
        size,
        Shifts(),
        tuple(walls),
        num_walls,
        True,
    )


def check_room(
    map_size: int, bodies: Sequence[tuple[int, int]], sizes: Sequence[int], num_walls: int
) -> None:
    """Raises ValueError unless drawn walls and bodies always find a place, in whatever order they fall.

    Args:
        map_size: cells along an edge of the map.
        bodies: by group, the width and length of an agent.
        sizes: by group, how many agents it has.
        num_walls: how many walls there are.
    """
    placed = [((1, 1), num_walls), *zip(bodies, sizes, strict=True)]
    for k, (body, size) in enumerate(placed):
        places = (map_size - 1 - body[0]) * (map_size - 1 - body[1])
        # How many of them the bodies before, and those of the group, cover at most.
        covered = sum(
            (other[0] + body[0] - 1) * (other[1] + body[1] - 1) * number
            for other, number in placed[:k]
        )
        covered += (2 * body[0] - 1) * (2 * body[1] - 1) * (size - 1)
        if size and covered >= places:
            numbers = ", ".join(map(str, sizes))
            raise ValueError(
                f"counts={numbers} and {num_walls} walls on a map of {map_size}; allowed: fewer, which "
                "always find a place"
            )


def explicit(
    placement: Any,
    map_size: int,
    groups: Sequence[str],
    named: Sequence[str] = (),
    bodies: Sequence[tuple[int, int]] | None = None,
    taken: Sequence[Cell] = (),
) -> tuple[tuple[Cell, ...], ...]:
    """Checks given positions, ``{"red": [(x, y), ...], "blue": [...]}`` or a sequence by group.

    Args:
        placement: the positions, of the top-left cells.
        map_size: cells along an edge of the map.
        groups: their names.
        named: the placements that have names, for the message.
        bodies: by group, the width and length of an agent; by default one cell.
        taken: cells that are walls.

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
    covered: set[Cell] = set(taken)
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
            if body & covered:
                raise ValueError(f"{name}={(x, y)} is taken; allowed: each cell once")
            covered |= body
            checked.append((x, y))
        if not checked:
            raise ValueError(f"placement[{group!r}] is empty; allowed: at least one cell")
        result.append(tuple(checked))
    return tuple(result)
