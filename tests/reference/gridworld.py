"""A grid world again, for any groups and bodies, on plain Python objects and dicts.

Written from a description of MAgent2's engine, not from mfenvs' rules, of which nothing is used here but
the tables that describe a world. A cell is a pair (x, y), y downward. Numbers are in single precision.
"""

import math
from dataclasses import dataclass, field

import numpy as np

f32 = np.float32
ID_BITS = 10


@dataclass
class Unit:
    index: int
    group: int
    type: object
    cell: tuple
    hp: f32
    status: str = "alive"
    reward: f32 = field(default_factory=f32)
    last_reward: f32 = field(default_factory=f32)
    action: int | None = None
    counted: bool = False
    result: str = "nothing"
    victim: object = None
    terminated: bool = False

    def body(self, at=None):
        x, y = at or self.cell
        return [(x + i, y + j) for i in range(self.type.width) for j in range(self.type.length)]

    def center(self):
        return self.cell[0] + self.type.width // 2, self.cell[1] + self.type.length // 2


def ring(radius, parity, inner=0.0):
    """The cells of a range, row by row, as Range.h makes them."""
    radius = float(f32(radius))
    cells, shift = 2 * int(radius + 1e-8) + parity, 0.0 if parity else 0.5
    middle = int(radius)
    return [
        (j - middle, i - middle)
        for i in range(cells)
        for j in range(cells)
        if inner - 1e-8
        < math.dist((j - middle + shift, i - middle + shift), (0, 0))
        < radius + 1e-8
    ]


class NaiveGrid:
    """One row of a world; ``cells`` by group."""

    def __init__(self, world, cells, config, generator):
        self.world, self.config, self.generator = world, config, generator
        self.cells = cells
        self.start()

    def start(self):
        self.agents, self.time, self.over = [], 0, False
        for group, (kind, cells) in enumerate(zip(self.world.groups, self.cells, strict=True)):
            for cell in cells:
                unit = Unit(len(self.agents), group, kind.unit, cell, f32(kind.unit.hp))
                self.agents.append(unit)
        self.truncated = False

    def moves(self, unit):
        return ring(unit.type.speed, 1)

    def attacks(self, unit):
        return ring(unit.type.attack_radius, unit.type.width % 2, unit.type.width / 2)

    def living(self, group=None):
        return [a for a in self.agents if a.status == "alive" and group in (None, a.group)]

    def occupied(self):
        return {cell: unit for unit in self.living() for cell in unit.body()}

    def is_free(self, unit, at):
        """Whether a body fits: inside the walls, on nobody's cell but its own."""
        last, occupied = self.config.map_size - 1, self.occupied()
        return all(
            0 < x < last and 0 < y < last and occupied.get((x, y), unit) is unit
            for x, y in unit.body(at)
        )

    def step(self, actions):
        self.time += 1
        for unit in self.agents:
            if unit.status == "dying":
                unit.status, unit.hp, unit.reward = "gone", f32(0), f32(0)
            unit.last_reward = unit.reward
            if unit.status == "alive":
                unit.reward = f32(unit.type.step_reward)
            unit.result, unit.victim, unit.counted, unit.terminated = "nothing", None, False, False
        order = self.take_orders(actions)
        for i in range(len(order)):
            self.generator = 16807 * self.generator % (2**31 - 1)
            j = self.generator % (i + 1)
            order[i], order[j] = order[j], order[i]
        for unit in order:
            if unit.status == "alive":
                self.attack(unit)
        self.recover()
        for unit in self.living():
            if unit.action is not None and 0 <= unit.action < len(self.moves(unit)):
                dx, dy = self.moves(unit)[unit.action]
                goal = unit.cell[0] + dx, unit.cell[1] + dy
                if self.is_free(unit, goal):
                    unit.cell = goal
        self.pay()
        decided = any(not self.living(group) for group in range(len(self.world.groups)))
        for unit in self.agents:
            unit.terminated = unit.status == "dying" or (decided and unit.status == "alive")
        limit = self.config.max_cycles
        self.truncated = limit is not None and self.time >= limit
        self.over = decided or self.truncated

    def take_orders(self, actions):
        queue, everybody = [], self.living()
        for group in range(len(self.world.groups)):
            for place, unit in enumerate(self.living(group)):
                chosen = actions[unit.index]
                copied = self.config.copied_start and self.time == 1
                unit.action = actions[everybody[place].index] if copied else chosen
                unit.counted = unit.action == chosen != -1
                if unit.action >= len(self.moves(unit)):
                    queue.append(unit)
        return queue

    def attack(self, unit):
        dx, dy = self.attacks(unit)[unit.action - len(self.moves(unit))]
        x, y = unit.center()
        victim, kind = self.occupied().get((x + dx, y + dy)), unit.type
        if victim is None or (victim.group == unit.group and not kind.attack_in_group):
            unit.result = "miss"
            unit.reward = unit.reward + f32(kind.attack_penalty)
            return
        unit.result, unit.victim, prize = "hit", victim, f32(0)
        victim.hp = victim.hp - f32(kind.damage)
        if victim.hp < 0:
            unit.result, prize = "kill", f32(victim.type.kill_reward)
            self.die(victim)
            unit.hp = min(f32(kind.hp), unit.hp + f32(victim.type.kill_supply))
        unit.reward = unit.reward + (prize + f32(kind.attack_penalty))

    def die(self, unit):
        unit.status, unit.reward = "dying", f32(unit.type.dead_penalty)

    def recover(self):
        for unit in self.living():
            if unit.type.recover > 0:
                unit.hp = min(f32(unit.type.hp), unit.hp + f32(unit.type.recover))
            else:
                unit.hp = unit.hp - f32(-unit.type.recover)
                if unit.hp < 0:
                    self.die(unit)

    def pay(self):
        """Attackers first, then victims, by the order of the attackers."""
        names = [group.name for group in self.world.groups]
        paid = []
        for unit in self.agents:
            for rule in self.world.rewards:
                if unit.victim is not None and (rule.attacker, rule.op, rule.victim) == (
                    names[unit.group],
                    unit.result,
                    names[unit.victim.group],
                ):
                    unit.reward = unit.reward + f32(rule.reward)
                    paid.append((unit.victim, rule.victim_reward))
        for victim, reward in paid:
            victim.reward = victim.reward + f32(reward)

    # -- what is seen ---------------------------------------------------------------------------

    def view(self, unit):
        width, radius = unit.type.width, unit.type.view_radius
        size, middle = 2 * int(radius) + width % 2, int(radius)
        groups, depth = len(self.world.groups), 3 if self.config.minimap_mode else 2
        seen = np.zeros((size, size, 1 + depth * groups), f32)
        if unit.status == "gone":
            return seen
        x, y = unit.center()
        occupied, last = self.occupied(), self.config.map_size - 1
        for dx, dy in ring(radius, width % 2):
            at = x + dx, y + dy
            row, column = dy + middle, dx + middle
            inside = min(at) >= 0 and max(at) <= last
            if inside and (min(at) == 0 or max(at) == last):
                seen[row, column, 0] = 1
            elif at in occupied:
                other = occupied[at]
                channel = 1 + depth * ((other.group - unit.group) % groups)
                seen[row, column, channel] = 1
                seen[row, column, channel + 1] = other.hp / f32(other.type.hp)
        if self.config.minimap_mode:
            scale = math.ceil(self.config.map_size / size)
            for group in range(groups):
                channel = 3 + depth * ((group - unit.group) % groups)
                there = [a for a in self.agents if a.group == group and a.status != "gone"]
                places = [(a.cell[1] // scale, a.cell[0] // scale) for a in there]
                for place in set(places):
                    seen[(*place, channel)] = f32(places.count(place)) / f32(len(there))
                seen[unit.cell[1] // scale, unit.cell[0] // scale, channel] += f32(1)
        return seen

    def features(self, unit):
        numbers, count = [], len(self.moves(unit)) + len(self.attacks(unit))
        if self.config.extra_features:
            numbers = [f32(unit.index >> bit & 1) for bit in range(ID_BITS)] + [f32(0)] * count
            if unit.action is not None:
                numbers[ID_BITS + unit.action] = f32(1)
            numbers.append(unit.last_reward)
        if self.config.minimap_mode:
            numbers += [f32(part) / f32(self.config.map_size) for part in unit.cell]
        return np.array(numbers if unit.status != "gone" else [0.0] * len(numbers), f32)
