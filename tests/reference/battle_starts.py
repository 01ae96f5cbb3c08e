"""Where the armies of a battle start, by enumeration; no rule of mfenvs is used but its random bits."""

import math

from mfenvs.rng import bits


def armies(placement, map_size, swapped=False, start=None):
    """The cells of red and of blue.

    ``swapped`` (a coin, "paper" and "random") puts blue on the left; ``start`` is one of `starts`
    ("random").
    """
    if placement == "magent2":
        left, right = block(map_size, -1), block(map_size, 1)
        return left, right[: len(left)]
    if placement == "paper":
        left, right = block(map_size, -1), block(map_size, 1)
        return (right, left) if swapped else (left, right)
    if placement == "random":
        left, right = pair(map_size, *start)
        return (right, left) if swapped else (left, right)
    return [tuple(cell) for cell in placement["red"]], [tuple(cell) for cell in placement["blue"]]


def block(map_size, side_of_map):
    """Every second cell of a square to the left (-1) or right (1) of the middle, walls left out."""
    side, gap = 2 * int(math.sqrt(0.04 * map_size**2)), 3
    first = map_size // 2 + gap if side_of_map > 0 else map_size // 2 - gap - side
    top = (map_size - side) // 2
    square = [(x, y) for x in range(first, first + side, 2) for y in range(top, top + side, 2)]
    return [cell for cell in square if is_inside(cell, map_size)]


def is_inside(cell, map_size):
    return all(0 < part < map_size - 1 for part in cell)


def pair(map_size, distance, offset):
    """Two blocks with so many columns from one to the other, the right one so many lines lower: of all
    places the one nearest to the map's centre, and of these the one furthest up and left.
    """
    shape = block(map_size, -1)
    reach = max(x for x, _ in shape) - min(x for x, _ in shape) + distance

    def centered(axis, apart):
        """Where the left block's first column, or line, is."""
        low, high = min(cell[axis] for cell in shape), max(cell[axis] for cell in shape)

        def off_center(at):
            first, last = at + min(apart, 0), at + high - low + max(apart, 0)
            return abs(first + last - (map_size - 1)), at

        return min(range(-map_size, 2 * map_size), key=off_center) - low

    right, down = centered(0, reach), centered(1, offset)
    left_army = [(x + right, y + down) for x, y in shape]
    return left_army, [(x + reach, y + offset) for x, y in left_army]


def starts(map_size, start_range):
    """The distances and the offsets that there are: those that fit, each alone."""

    def fits(distance, offset):
        cells = [cell for army in pair(map_size, distance, offset) for cell in army]
        return distance >= 2 and all(is_inside(cell, map_size) for cell in cells)

    near = range(-start_range, start_range + 1)
    return (
        [8 + change for change in near if fits(8 + change, 0)],
        [offset for offset in near if fits(8, offset)],
    )


def drawn(key, counter, num_agents, map_size, start_range):
    """Where a stream has come to: (whether blue is left, (distance, offset)) of the episode there."""
    found = [
        choices[bits(key, counter, num_agents + lane) * len(choices) >> 32]
        for lane, choices in enumerate(starts(map_size, start_range), 1)
    ]
    return bits(key, counter, 0) % 2 == 1, tuple(found)
