"""Battle again, one agent at a time, in plain Python on objects, dicts and lists.

Written from a description of MAgent2's engine with all its quirks, not from mfenvs' rules, of which
nothing is used here. A cell is a pair (x, y), y downward. Numbers are in single precision wherever the
engine's are. `NaiveBattle.step` names the stages of a step; they follow it, each a function.
"""

from __future__ import annotations

import ctypes
import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from tests.reference.battle_starts import armies as armies
from tests.reference.battle_starts import drawn

f32 = np.float32
ID_BITS = 10

DEFAULTS = {
    "map_size": 45,
    "minimap_mode": False,
    "extra_features": False,
    "max_cycles": 1000,
    "placement": "magent2",
    "start_range": 6,
    "copied_start": True,
    "speed": 2.0,
    "view_radius": 6.0,
    "attack_radius": 1.5,
}
NUMBERS = {
    "step_reward": -0.005,
    "dead_penalty": -0.1,
    "attack_penalty": -0.1,
    "attack_opponent_reward": 0.2,
    "kill_reward": 5.0,
    "hp": 10.0,
    "damage": 2.0,
    "recover": 0.1,
}


@dataclass
class Agent:
    index: int
    blue: bool
    number: int  # the id that the engine gives
    cell: tuple[int, int]
    hp: f32
    status: str = "alive"  # then "dying" until the next step begins, then "gone"
    reward: f32 = field(default_factory=f32)
    last_reward: f32 = field(default_factory=f32)
    action: int | None = None  # None before the first one, -1 where none came
    counted: bool = False  # whether the action was the one that the agent chose
    attack_result: str = "nothing"  # what its attack did in this step: "miss", "hit", "kill"
    terminated: bool = False


class NaiveBattle:
    def __init__(self, **options):
        known = {**DEFAULTS, **NUMBERS, **options}
        for name in DEFAULTS:
            setattr(self, name, known.pop(name))
        for name in NUMBERS:
            setattr(self, name, f32(known.pop(name)))
        assert not known, known
        self.moves = circle(self.speed)
        self.blows = [offset for offset in circle(self.attack_radius) if offset != (0, 0)]
        self.generator = 1

    @property
    def num_actions(self):
        return len(self.moves) + len(self.blows)

    def seed(self, seed):
        """minstd_rand0 under a seed that is first a C int, then an unsigned long."""
        unsigned = ctypes.c_uint64(ctypes.c_int32(seed & 0xFFFFFFFF).value).value
        self.generator = unsigned % (2**31 - 1) or 1

    def reset(self, swapped=False, start=None):
        """Places the armies; ``swapped`` (a coin) puts blue on the left, ``start`` is a random one."""
        self.swapped, self.time, self.over, self.truncated = swapped, 0, False, False
        red, blue = armies(self.placement, self.map_size, swapped, start)
        other = armies(self.placement, self.map_size, not swapped, start)
        room = [max(len(red), len(other[0])), max(len(blue), len(other[1]))]
        self.num_red = room[0]
        self.agents = []
        for is_blue, cells in ((False, red), (True, blue)):
            # Ids go up in the order of placement: the army on the left comes first.
            before = 0 if is_blue == swapped else len(red if is_blue else blue)
            for place in range(room[is_blue]):
                agent = Agent(len(self.agents), is_blue, before + place, (0, 0), f32(0))
                if place < len(cells):
                    agent.cell, agent.hp = cells[place], self.hp
                else:
                    agent.status = "gone"
                self.agents.append(agent)
        self.size = [len(red), len(blue)]
        self.deeds = Counter()  # (blue, attack_result): how often in the episode

    def restart(self, state, row):
        """Starts the episode that a row of a compiled game has just started."""
        if self.placement != "random":
            return self.reset(bool(state.swapped[row]))
        key, counter = int(state.key[row]), int(state.counter[row])
        return self.reset(*drawn(key, counter, state.x.shape[1], self.map_size, self.start_range))

    def living(self, blue=None):
        return [a for a in self.agents if a.status == "alive" and blue in (None, a.blue)]

    def standing(self):
        return {agent.cell: agent for agent in self.living()}

    def is_wall(self, cell):
        last = self.map_size - 1
        return min(cell) >= 0 and max(cell) <= last and (min(cell) == 0 or max(cell) == last)

    def is_inside(self, cell):
        return min(cell) > 0 and max(cell) < self.map_size - 1

    def attacks(self, agent):
        return agent.action is not None and agent.action >= len(self.moves)

    def target(self, agent, action):
        dx, dy = (self.moves + self.blows)[action]
        return agent.cell[0] + dx, agent.cell[1] + dy

    def step(self, actions):
        """One step; actions by index, -1 for none."""
        clear(self)
        attackers = take_orders(self, actions)
        attack(self, shuffled(self, attackers))
        recover(self)
        move(self)
        reward(self)
        close(self)


# -- the stages of a step -----------------------------------------------------------------------


def clear(game):
    """The dead of the last step leave; what the others earned becomes their last reward."""
    game.time += 1
    for agent in game.agents:
        if agent.status == "dying":
            agent.status, agent.hp, agent.reward = "gone", f32(0), f32(0)
        agent.last_reward = agent.reward
        if agent.status == "alive":
            agent.reward = game.step_reward
        agent.attack_result, agent.counted, agent.terminated = "nothing", False, False


def take_orders(game, actions):
    """Everybody alive hears an order; returns those who are to attack, red first.

    In the first step blue reads its orders from the head of the list, where red's are.
    """
    for agent in game.living():
        chosen = actions[agent.index]
        copies = game.copied_start and game.time == 1 and agent.blue
        agent.action = actions[agent.index - game.num_red] if copies else chosen
        agent.counted = agent.action == chosen != -1
    return [agent for agent in game.living() if game.attacks(agent)]


def shuffled(game, attackers):
    """A draw for each attacker, the first one included."""
    order = list(attackers)
    for i in range(len(order)):
        game.generator = 16807 * game.generator % (2**31 - 1)
        j = game.generator % (i + 1)
        order[i], order[j] = order[j], order[i]
    return order


def attack(game, order):
    """Blows fall in order, from where everybody stood. Who dies loses what it has earned so far."""
    standing = game.standing()
    for agent in order:
        if agent.status != "alive":
            continue
        victim = standing.get(game.target(agent, agent.action))
        prize = f32(0)
        if victim is None or victim.blue == agent.blue:
            agent.attack_result = "miss"
        else:
            agent.attack_result = "hit"
            victim.hp = victim.hp - game.damage
            if victim.hp < 0:
                agent.attack_result, prize = "kill", game.kill_reward
                victim.status, victim.reward = "dying", game.dead_penalty
                del standing[victim.cell]
        game.deeds[agent.blue, agent.attack_result] += 1
        agent.reward = agent.reward + f32(prize + game.attack_penalty)


def recover(game):
    for agent in game.living():
        agent.hp = min(game.hp, agent.hp + game.recover)


def move(game):
    """In the order of the agents, on large maps of their bands first: to the cell if it is free."""
    standing = game.standing()
    movers = [a for a in game.living() if a.action != -1 and not game.attacks(a)]
    if game.map_size > 99:
        movers.sort(key=lambda agent: band(game.map_size, agent.cell[0]))
    for agent in movers:
        goal = game.target(agent, agent.action)
        if game.is_inside(goal) and goal not in standing:
            standing[goal] = standing.pop(agent.cell)
            agent.cell = goal


def band(map_size, x):
    """Vertical bands, eight on maps up to 1000; whoever is near a band's edge comes after all."""
    bands = 8 if map_size <= 1000 else 16
    width = math.ceil(map_size / bands)
    near_an_edge = x % width < 4 or x % width > width - 4
    return bands if near_an_edge else x // width


def reward(game):
    """A blow that hit and did not kill is rewarded, even if its author has died since."""
    for agent in game.agents:
        if agent.attack_result == "hit":
            agent.reward = agent.reward + game.attack_opponent_reward


def close(game):
    """Once an army is wiped out, the survivors' episode terminates too."""
    decided = not game.living(blue=False) or not game.living(blue=True)
    for agent in game.agents:
        agent.terminated = agent.status == "dying" or (decided and agent.status == "alive")
    game.truncated = game.max_cycles is not None and game.time >= game.max_cycles
    game.over = decided or game.truncated


# -- what is seen -------------------------------------------------------------------------------


def circle(radius):
    """Offsets within a radius, line by line."""
    reach = range(-int(radius), int(radius) + 1)
    return [(dx, dy) for dy in reach for dx in reach if dx * dx + dy * dy <= radius * radius]


def view(game, agent):
    """Wall, own army, its hp, [its minimap], other army, its hp, [its minimap]; [dy, dx, channel]."""
    radius, depth = int(game.view_radius), 3 if game.minimap_mode else 2
    seen = np.zeros((2 * radius + 1, 2 * radius + 1, 1 + 2 * depth), f32)
    if agent.status == "gone":
        return seen
    standing = game.standing()
    for dx, dy in circle(game.view_radius):
        cell = agent.cell[0] + dx, agent.cell[1] + dy
        if game.is_wall(cell):
            seen[radius + dy, radius + dx, 0] = 1
        elif cell in standing:
            other = standing[cell]
            channel = 1 if other.blue == agent.blue else 1 + depth
            seen[radius + dy, radius + dx, channel] = 1
            seen[radius + dy, radius + dx, channel + 1] = other.hp / game.hp
    if game.minimap_mode:
        seen[..., depth] = minimap(game, agent.blue)
        seen[..., 2 * depth] = minimap(game, not agent.blue)
        column, line = minimap_cell(game, agent)
        seen[line, column, depth] += f32(1)
        seen[line, column, 2 * depth] += f32(1)
    return seen


def minimap_cell(game, agent):
    scale = math.ceil(game.map_size / (2 * int(game.view_radius) + 1))
    return agent.cell[0] // scale, agent.cell[1] // scale


def minimap(game, blue):
    """The share of an army in each part of the map; who died in this step still counts."""
    edge = 2 * int(game.view_radius) + 1
    army = [agent for agent in game.agents if agent.blue == blue and agent.status != "gone"]
    places = [minimap_cell(game, agent) for agent in army]
    share = np.zeros((edge, edge), f32)
    for column, line in set(places):
        share[line, column] = f32(places.count((column, line))) / f32(len(army))
    return share


def history(game, agent, last_reward):
    """Bits of the id, the last action one-hot, the last reward; no action (-1) sets the last id bit."""
    found = [f32(agent.number >> bit & 1) for bit in range(ID_BITS)]
    found += [f32(0)] * game.num_actions
    if agent.action is not None:
        found[ID_BITS + agent.action] = f32(1)
    return [*found, last_reward]


def features(game, agent):
    found = history(game, agent, agent.last_reward) if game.extra_features else []
    if game.minimap_mode:
        found += [f32(part) / f32(game.map_size) for part in agent.cell]
    return np.array(found if agent.status != "gone" else [0.0] * len(found), f32)


def picture(game, agent):
    """View and features in one: the features are the same at every cell."""
    seen, told = view(game, agent), features(game, agent)
    return np.concatenate([seen, np.broadcast_to(told, (*seen.shape[:2], len(told)))], -1)


def whole(game):
    """The global state [x, y, channel]; here the last reward is that of the step just made."""
    size, depth = game.map_size, ID_BITS + game.num_actions + 1 if game.extra_features else 0
    found = np.zeros((size, size, 5 + depth), f32)
    for x in range(size):
        for y in range(size):
            found[x, y, 0] = game.is_wall((x, y))
    for agent in game.living():
        cell = found[agent.cell]
        cell[3 if agent.blue else 1] = 1
        cell[4 if agent.blue else 2] = agent.hp / game.hp
        if game.extra_features:
            cell[5:] = history(game, agent, agent.reward)
    return found


# -- players ------------------------------------------------------------------------------------


def strike(game, agent):
    """An attack on the enemy in reach with the least hp, of these on the first one; or None."""
    standing = game.standing()
    found = []
    for action in range(len(game.moves), game.num_actions):
        other = standing.get(game.target(agent, action))
        if other is not None and other.blue != agent.blue:
            found.append((other.hp, other.index, action))
    return min(found)[-1] if found else None


def hold(game, agent):
    action = strike(game, agent)
    return game.moves.index((0, 0)) if action is None else action


def gap(cell, other):
    """The squared distance from a cell to an agent."""
    return (cell[0] - other.cell[0]) ** 2 + (cell[1] - other.cell[1]) ** 2


def rush(game, agent):
    """Else the move to a free cell that ends nearest to the nearest enemy, if that is nearer."""
    action = strike(game, agent)
    if action is not None:
        return action
    enemies = game.living(not agent.blue)
    if not enemies:
        return game.moves.index((0, 0))
    return close_in(game, agent, min(enemies, key=lambda other: gap(agent.cell, other)))


def focus(game, agent):
    """Else likewise to the weakest of the enemies in its view, the nearest of several."""
    seen = [
        other
        for other in game.living(not agent.blue)
        if tuple(there - here for there, here in zip(other.cell, agent.cell, strict=True))
        in circle(game.view_radius)
    ]
    if strike(game, agent) is not None or not seen:
        return rush(game, agent)
    worth = {other.index: (other.hp, gap(agent.cell, other), other.index) for other in seen}
    return close_in(game, agent, min(seen, key=lambda other: worth[other.index]))


def close_in(game, agent, enemy):
    standing = game.standing()
    choices = [(gap(agent.cell, enemy), -1, game.moves.index((0, 0)))]
    for action in range(len(game.moves)):
        goal = game.target(agent, action)
        if game.is_inside(goal) and goal not in standing:
            choices.append((gap(goal, enemy), action, action))
    return min(choices)[-1]
