"""A grid world again, for any groups and bodies, on plain Python objects and dicts.

Written from a description of MAgent2's engine, not from mfenvs' rules, of which nothing is used here but
the tables that describe a world; `magent2_games` has other tables. A cell is a pair (x, y), y downward.
Numbers are in single precision.
"""

import math
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

import numpy as np

f32 = np.float32
ID_BITS = 10
WALL = -1  # in a placing, instead of a group
MOST_TRIES = 10**6


@dataclass(eq=False)
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


@cache
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


@cache
def columns_and_rows(radius, parity):
    return np.array(ring(radius, parity)).T + int(radius)


class NaiveGrid:
    """One row of a world.

    Args:
        world: ``groups``, each with a ``name`` and a ``unit`` (its type), and ``rewards``.
        placing: what is placed one after the other: pairs of a group, or `WALL`, and either cells or a
            number. Of listed cells those that are not free are left out; a number is placed at random.
            A list of lists of cells places the groups in their order.
        config: ``map_size``, ``minimap_mode``, ``extra_features``, ``max_cycles``, ``copied_start``.
        generator: the state of the engine's generator.
        passive: names of groups that get no actions.
        id_bits: how many bits of an agent's number its features show.
        together: triples (attacker, victim, reward) of groups: for each ordered pair of attackers that
            hit one victim in a step without killing it, each of both gets the reward.
    """

    def __init__(self, world, placing, config, generator, passive=(), id_bits=ID_BITS, together=()):
        self.world, self.config, self.generator = world, config, generator
        self.names = [group.name for group in world.groups]
        self.passive, self.id_bits, self.together = passive, id_bits, together
        pairs = all(isinstance(part, tuple) and isinstance(part[0], int) for part in placing)
        self.placing = placing if pairs else list(enumerate(placing))
        self.start()

    def start(self):
        """Places everything anew; the generator goes on."""
        self.agents, self.standing, self.walls = [], {}, set()
        self.time, self.over, self.truncated, self.scene = 0, False, False, None
        for group, what in self.placing:
            if isinstance(what, int):
                for _ in range(what):
                    self.place(group, self.random_cell(group))
            else:
                for cell in what:
                    if self.fits(group, cell):
                        self.place(group, cell)

    def place(self, group, cell):
        if group == WALL:
            self.walls.add(cell)
            return
        kind = self.world.groups[group].unit
        unit = Unit(len(self.agents), group, kind, cell, f32(kind.hp))
        self.agents.append(unit)
        self.stand(unit)

    def random_cell(self, group):
        width, length = self.size_of(group)
        for _ in range(MOST_TRIES):
            x = self.draw() % (self.config.map_size - width)
            y = self.draw() % (self.config.map_size - length)
            if self.fits(group, (x, y)):
                return x, y
        raise RuntimeError("no free cell")

    def size_of(self, group):
        kind = None if group == WALL else self.world.groups[group].unit
        return (kind.width, kind.length) if kind else (1, 1)

    def fits(self, group, at):
        width, length = self.size_of(group)
        cells = [(at[0] + i, at[1] + j) for i in range(width) for j in range(length)]
        return not any(self.is_wall(cell) or cell in self.standing for cell in cells)

    def draw(self):
        self.generator = 16807 * self.generator % (2**31 - 1)
        return self.generator

    def moves(self, unit):
        return ring(unit.type.speed, 1)

    def attacks(self, unit):
        return ring(unit.type.attack_radius, unit.type.width % 2, unit.type.width / 2)

    def living(self, group=None):
        return [a for a in self.agents if a.status == "alive" and group in (None, a.group)]

    def listed(self, group):
        """The agents of a group that the engine has not removed yet."""
        return [a for a in self.agents if a.status != "gone" and a.group == group]

    def active(self):
        """The living agents that get actions."""
        return [a for a in self.living() if self.names[a.group] not in self.passive]

    def stand(self, unit):
        for cell in unit.body():
            self.standing[cell] = unit

    def lift(self, unit):
        for cell in unit.body():
            del self.standing[cell]

    def is_wall(self, cell):
        """Whether a cell is a wall, the border, or off the map."""
        last = self.config.map_size - 1
        return cell in self.walls or min(cell) <= 0 or max(cell) >= last

    def is_free(self, unit, at):
        """Whether a body fits: on no wall, on no other agent's cell."""
        return all(
            not self.is_wall(cell) and self.standing.get(cell, unit) is unit
            for cell in unit.body(at)
        )

    def step(self, actions):
        """One step; ``actions`` by index, -1 for none."""
        self.time += 1
        self.scene = None
        for unit in self.agents:
            if unit.status == "dying":
                unit.status, unit.hp, unit.reward = "gone", f32(0), f32(0)
            unit.last_reward = unit.reward
            if unit.status == "alive":
                unit.reward = f32(unit.type.step_reward)
            unit.result, unit.victim, unit.counted, unit.terminated = "nothing", None, False, False
        order = self.take_orders(actions)
        for i in range(len(order)):
            j = self.draw() % (i + 1)
            order[i], order[j] = order[j], order[i]
        for unit in order:
            if unit.status == "alive":
                self.attack(unit)
        self.recover()
        for unit in self.movers():
            dx, dy = self.moves(unit)[unit.action]
            goal = unit.cell[0] + dx, unit.cell[1] + dy
            if self.is_free(unit, goal):
                self.lift(unit)
                unit.cell = goal
                self.stand(unit)
        self.pay()
        alive = {unit.group for unit in self.living()}
        decided = len(alive) < len(self.world.groups)
        for unit in self.agents:
            unit.terminated = unit.status == "dying" or (decided and unit.status == "alive")
        limit = self.config.max_cycles
        self.truncated = limit is not None and self.time >= limit
        self.over = decided or self.truncated
        self.decided = decided

    def take_orders(self, actions):
        """Returns those that attack, group by group.

        A copied start: each group reads its orders from the head of the list. An attack that an agent's
        type does not have is queued all the same.
        """
        queue, everybody = [], self.active()
        copied = self.config.copied_start and self.time == 1
        for group, name in enumerate(self.names):
            if name in self.passive:
                continue
            for place, unit in enumerate(self.living(group)):
                chosen = actions[unit.index]
                unit.action = actions[everybody[place].index] if copied else chosen
                unit.counted = unit.action == chosen != -1
                if unit.action >= len(self.moves(unit)):
                    queue.append(unit)
        return queue

    def attack(self, unit):
        number = unit.action - len(self.moves(unit))
        if number >= len(self.attacks(unit)):
            return
        dx, dy = self.attacks(unit)[number]
        x, y = unit.center()
        victim, kind = self.standing.get((x + dx, y + dy)), unit.type
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
        self.lift(unit)

    def recover(self):
        for unit in self.living():
            if unit.type.recover > 0:
                unit.hp = min(f32(unit.type.hp), unit.hp + f32(unit.type.recover))
            else:
                unit.hp = unit.hp - f32(-unit.type.recover)
                if unit.hp < 0:
                    self.die(unit)

    def movers(self):
        """Those that move, group by group; on large maps their vertical bands come one by one."""
        result = [
            unit
            for group in range(len(self.names))
            for unit in self.living(group)
            if unit.action is not None and 0 <= unit.action < len(self.moves(unit))
        ]
        size = self.config.map_size
        if size > 99:
            bands = 8 if size <= 1000 else 16
            width = math.ceil(size / bands)

            def band(unit):
                """Agents near an edge of a band move after all others."""
                inside = 4 <= unit.cell[0] % width <= width - 4
                return unit.cell[0] // width if inside else bands

            result.sort(key=band)
        return result

    def pay(self):
        """Attackers first, then victims, by the order of the attackers."""
        attackers = [unit for unit in self.agents if unit.victim is not None]
        paid = []
        for unit in attackers:
            for rule in self.world.rewards:
                if (rule.attacker, rule.op, rule.victim) == (
                    self.names[unit.group],
                    unit.result,
                    self.names[unit.victim.group],
                ):
                    unit.reward = unit.reward + f32(rule.reward)
                    paid.append((unit.victim, rule.victim_reward))
        for attacker, victim, reward in self.together:
            hitters = [
                unit
                for unit in attackers
                if (self.names[unit.group], unit.result) == (attacker, "hit")
                and self.names[unit.victim.group] == victim
            ]
            for one in hitters:
                for other in hitters:
                    if one is not other and one.victim is other.victim:
                        one.reward = one.reward + f32(reward)
                        other.reward = other.reward + f32(reward)
        for victim, reward in paid:
            victim.reward = victim.reward + f32(reward)

    # -- what is seen ---------------------------------------------------------------------------

    def window(self, unit):
        """The size of the view, its middle, and the columns and rows of its cells."""
        radius, parity = unit.type.view_radius, unit.type.width % 2
        return 2 * int(radius) + parity, int(radius), columns_and_rows(radius, parity)

    def board(self):
        """[y, x, channel]: wall, then presence and hp of each group; with a margin for the views."""
        if self.scene is None:
            size = self.config.map_size
            margin = max(int(group.unit.view_radius) for group in self.world.groups) + 2
            result = np.zeros((size + 2 * margin, size + 2 * margin, 1 + 2 * len(self.names)), f32)
            last = margin + size - 1
            result[margin : last + 1, margin : last + 1, 0] = 1
            result[margin + 1 : last, margin + 1 : last, 0] = 0
            for x, y in self.walls:
                result[margin + y, margin + x, 0] = 1
            for (x, y), unit in self.standing.items():
                cell = result[margin + y, margin + x]
                cell[1 + 2 * unit.group] = 1
                cell[2 + 2 * unit.group] = unit.hp / f32(unit.type.hp)
            self.scene = margin, result, {}
        return self.scene

    def minimap(self, size, group):
        """The share of a group in each part of the map; agents that died in this step count."""
        *_, minimaps = self.board()
        if (size, group) not in minimaps:
            scale, shares = math.ceil(self.config.map_size / size), np.zeros((size, size), f32)
            places = [(a.cell[1] // scale, a.cell[0] // scale) for a in self.listed(group)]
            for place in set(places):
                shares[place] = f32(places.count(place)) / f32(len(places))
            minimaps[size, group] = shares
        return minimaps[size, group]

    def view(self, unit):
        size, middle, cells = self.window(unit)
        groups, depth = len(self.names), 3 if self.config.minimap_mode else 2
        seen = np.zeros((size, size, 1 + depth * groups), f32)
        if unit.status == "gone":
            return seen
        margin, board, _ = self.board()
        x, y = unit.center()
        left, top = x - middle + margin, y - middle + margin
        around = board[top : top + size, left : left + size]
        masked = np.zeros_like(around)
        columns, rows = cells
        masked[rows, columns] = around[rows, columns]
        seen[..., 0] = masked[..., 0]
        scale = math.ceil(self.config.map_size / size)
        for group in range(groups):
            channel = 1 + depth * ((group - unit.group) % groups)
            seen[..., channel : channel + 2] = masked[..., 1 + 2 * group : 3 + 2 * group]
            if self.config.minimap_mode:
                seen[..., channel + 2] = self.minimap(size, group)
                seen[unit.cell[1] // scale, unit.cell[0] // scale, channel + 2] += f32(1)
        return seen

    def history(self, unit, last_reward):
        """Bits of the number, the last action one-hot, the last reward.

        An action of -1 sets what lies before its place: the last bit of the number.
        """
        count = len(self.moves(unit)) + len(self.attacks(unit))
        numbers = [f32(unit.index >> bit & 1) for bit in range(self.id_bits)] + [f32(0)] * count
        if unit.action is not None and -self.id_bits <= unit.action < count:
            numbers[self.id_bits + unit.action] = f32(1)
        return [*numbers, last_reward]

    def overwritten(self, row):
        """Indices of agents whose last feature becomes 1.

        Without bits of numbers, an action of -1 sets the last feature of the agent before in ``row``.
        """
        if self.id_bits:
            return set()
        return {unit.index for unit, after in pairwise(row) if after.action == -1}

    def features(self, unit, overwritten=()):
        numbers = []
        if self.config.extra_features:
            numbers += self.history(unit, unit.last_reward)
        if self.config.minimap_mode:
            numbers += [f32(part) / f32(self.config.map_size) for part in unit.cell]
        if numbers and unit.index in overwritten:
            numbers[-1] = f32(1)
        return np.array(numbers if unit.status != "gone" else [0.0] * len(numbers), f32)
