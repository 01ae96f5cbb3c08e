"""The scripted players of grid worlds again, on plain Python objects.

Written from their descriptions; nothing of mfenvs' rules is used here but the tables that describe a
world. A cell is a pair (x, y), y downward.
"""

import math
from dataclasses import dataclass
from functools import cache

from tests.reference import gridworld

ring = cache(gridworld.ring)


@dataclass
class Unit:
    index: int
    group: object
    cell: tuple
    hp: float
    mate: int

    @property
    def type(self):
        return self.group.unit

    def body(self, at):
        return [
            (at[0] + i, at[1] + j) for i in range(self.type.width) for j in range(self.type.length)
        ]

    def middle(self, at):
        return at[0] + self.type.width / 2, at[1] + self.type.length / 2

    @property
    def moves(self):
        return ring(self.type.speed, 1)

    @property
    def attacks(self):
        """The cells that attacks reach, from the position."""
        right, down = self.type.width // 2, self.type.length // 2
        cells = ring(self.type.attack_radius, self.type.width % 2, self.type.width / 2)
        return [(x + right, y + down) for x, y in cells]


def square(a, b):
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2


def plus(a, b):
    return a[0] + b[0], a[1] + b[1]


class Scene:
    """The living units of a row, and the walls."""

    def __init__(self, game, state, row):
        size, world = game.config.map_size, game.world
        self.size = size
        edge = {(i, j) for i in range(size) for j in range(size) if {i, j} & {0, size - 1}}
        drawn = {(cell % size, cell // size) for cell in state.walls[row].tolist()}
        self.walls = edge | set(world.placement.walls) | drawn
        self.inner = self.walls - edge
        self.units, first = [], 0
        for group, count in zip(world.groups, world.placement.group_sizes.tolist(), strict=True):
            for i in range(count):
                index, pair = first + i, first + (i ^ 1)
                cell = int(state.x[row, index]), int(state.y[row, index])
                mate = pair if (i ^ 1) < count else -1
                if state.status[row, index] == 1:
                    self.units.append(Unit(index, group, cell, float(state.hp[row, index]), mate))
            first += count
        self.count = first
        self.at = {cell: unit for unit in self.units for cell in unit.body(unit.cell)}

    def by_index(self, index):
        return next((unit for unit in self.units if unit.index == index), None)

    def enemies(self, unit):
        return [other for other in self.units if other.group.side != unit.group.side]

    def is_free(self, unit, at):
        cells = unit.body(at)
        return not self.is_walled(unit, at) and all(
            self.at.get(cell, unit) is unit for cell in cells
        )

    def is_walled(self, unit, at):
        inside = all(0 <= part < self.size for cell in unit.body(at) for part in cell)
        return not inside or any(cell in self.walls for cell in unit.body(at))


def stay(unit):
    return unit.moves.index((0, 0))


def strike(scene, unit):
    """The attack on the enemy in reach with the least hp, of these on the first; or None."""
    choices = []
    for number, aim in enumerate(unit.attacks, len(unit.moves)):
        other = scene.at.get(plus(unit.cell, aim))
        if other is not None and other.group.side != unit.group.side:
            choices.append((other.hp, other.index, number))
    return min(choices)[2] if choices else None


def go_to(scene, unit, cell):
    cell = around(scene, unit, cell) if scene.inner else cell
    best, least = stay(unit), square(unit.cell, cell)
    for number, move in enumerate(unit.moves):
        there = plus(unit.cell, move)
        if scene.is_free(unit, there) and square(there, cell) < least:
            best, least = number, square(there, cell)
    return best


def around(scene, unit, cell):
    dx, dy = cell[0] - unit.cell[0], cell[1] - unit.cell[1]
    steps = max(abs(dx), abs(dy))
    for k in range(1, steps):
        at = tuple(
            start + math.floor(part * k / steps + 0.5)
            for start, part in zip(unit.cell, (dx, dy), strict=True)
        )
        if scene.is_walled(unit, at):
            break
    else:
        return cell
    openings = []
    for sign in (-1, 1):
        step = (0, sign) if abs(dx) >= abs(dy) else (sign, 0)
        opening = plus(at, step)
        while scene.is_walled(unit, opening):
            opening = plus(opening, step)
            if not all(0 <= part < scene.size for part in opening):
                break
        else:
            to, back = (
                sum(abs(a - b) for a, b in zip(opening, end, strict=True))
                for end in (unit.cell, cell)
            )
            if to:
                openings.append((to + back, to, sign, opening))
    return min(openings)[3] if openings else cell


def nearest(scene, unit):
    return min(scene.enemies(unit), key=lambda other: square(unit.cell, other.cell), default=None)


def toward(scene, unit, other):
    return stay(unit) if other is None else go_to(scene, unit, other.cell)


def hold(scene, unit):
    action = strike(scene, unit)
    return stay(unit) if action is None else action


def rush(scene, unit):
    action = strike(scene, unit)
    return toward(scene, unit, nearest(scene, unit)) if action is None else action


def focus(scene, unit):
    action = strike(scene, unit)
    if action is not None:
        return action
    center = plus(unit.cell, (unit.type.width // 2, unit.type.length // 2))
    seen = {plus(center, cell) for cell in ring(unit.type.view_radius, unit.type.width % 2)}
    there = [other for other in scene.enemies(unit) if other.cell in seen]
    worth = {other.index: (other.hp, square(unit.cell, other.cell)) for other in there}
    goal = min(there, key=lambda other: worth[other.index], default=nearest(scene, unit))
    return toward(scene, unit, goal)


def sides(scene, unit, other):
    """The free sides of an enemy: (squared distance, order, cell)."""
    cells = [(other.cell[0] - x, other.cell[1] - y) for x, y in unit.attacks]
    return [
        (square(unit.cell, cell), k, cell)
        for k, cell in enumerate(cells)
        if scene.is_free(unit, cell)
    ]


def flee(scene, unit):
    best, least = stay(unit), danger(scene, unit, unit.cell)
    for number, move in enumerate(unit.moves):
        there = plus(unit.cell, move)
        if scene.is_free(unit, there) and danger(scene, unit, there) < least:
            best, least = number, danger(scene, unit, there)
    return best


def danger(scene, unit, at):
    total = 0.0
    for other in scene.enemies(unit):
        total += 1 / square(unit.middle(at), other.middle(other.cell)) ** 2
    last = scene.size - 1
    right, down = last - at[0] - unit.type.width + 1, last - at[1] - unit.type.length + 1
    for gap in (at[0], at[1], right, down):
        total += 0.125 / gap**4
    return total


def hunt(scene, unit):
    if not unit.attacks:
        return flee(scene, unit)
    action = strike(scene, unit)
    if action is not None:
        return action
    choices = [side for other in scene.enemies(unit) for side in sides(scene, unit, other)]
    if not choices:
        return toward(scene, unit, nearest(scene, unit))
    return go_to(scene, unit, min(choices, key=lambda side: side[0])[2])


def reaches(unit, other):
    """The attack of a unit on another's position, or None."""
    if unit is None or other is None:
        return None
    aim = other.cell[0] - unit.cell[0], other.cell[1] - unit.cell[1]
    return len(unit.moves) + unit.attacks.index(aim) if aim in unit.attacks else None


def hunt_in_pairs(scene, unit):
    if not unit.attacks:
        return flee(scene, unit)
    mate = scene.by_index(unit.mate)

    def way(other):
        return sum(square(one.cell, other.cell) for one in (unit, mate) if one is not None)

    goal = min(scene.enemies(unit), key=way, default=None)
    is_hungry, action = 2 * unit.hp < unit.type.hp, reaches(unit, goal)
    if action is not None:
        alone = mate is not None and reaches(mate, goal) is None
        return stay(unit) if alone and not is_hungry else action
    if is_hungry and strike(scene, unit) is not None:
        return strike(scene, unit)
    if goal is not None and (choices := sides(scene, unit, goal)):
        return go_to(scene, unit, min(choices)[2])
    return toward(scene, unit, goal)


def actions_of(player, game, state, row):
    """The actions of a player for the game's agents in a row, -1 for the dead."""
    scene = Scene(game, state, row)
    actions = [-1] * scene.count
    for unit in scene.units:
        if not unit.group.passive:
            actions[unit.index] = player(scene, unit)
    return actions[: game.num_agents]
