"""MAgent2's games as tables for the naive grid world, and the wrapper through which they are played.

Written from a description of MAgent2 0.3.4; nothing of mfenvs is used. `NaiveParallel` has the part of
PettingZoo's ParallelEnv that a comparison needs, and raises ValueError where MAgent2 does.
"""

import ctypes
import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from gymnasium.spaces import Box, Discrete

from tests.reference.gridworld import ID_BITS, WALL, NaiveGrid

f32 = np.float32


@dataclass(frozen=True)
class Type:
    """A unit type; the defaults are the engine's."""

    width: int = 1
    length: int = 1
    hp: float = 1.0
    speed: float = 1.0
    view_radius: float = 0.0
    attack_radius: float = 0.0
    damage: float = 0.0
    recover: float = 0.0
    step_reward: float = 0.0
    attack_penalty: float = 0.0
    dead_penalty: float = 0.0
    kill_reward: float = 0.0
    kill_supply: float = 0.0
    attack_in_group: bool = False


@dataclass(frozen=True)
class Rule:
    """A reward for a "hit" or a "kill" of a group's agents on another's."""

    attacker: str
    op: str
    victim: str
    reward: float = 0.0
    victim_reward: float = 0.0


@dataclass(frozen=True)
class Table:
    """A game of one map size: (name, type) of the groups, what is placed, rewards and their bounds."""

    groups: tuple
    placing: list
    rules: tuple
    amounts: tuple
    together: tuple = ()
    passive: tuple = ()
    id_bits: int = ID_BITS


def pursuit(m, tag_penalty=-0.2):
    predator = Type(2, 2, view_radius=5, attack_radius=2, attack_penalty=tag_penalty)
    prey = Type(speed=1.5, view_radius=4)
    return Table(
        groups=(("predator", predator), ("prey", prey)),
        placing=[(WALL, int(m * m * 0.03)), (0, int(m * m * 0.0125)), (1, int(m * m * 0.025))],
        rules=(Rule("predator", "hit", "prey", 1.0, -1.0),),
        amounts=(1, -1, -1, -1, -1, tag_penalty),
    )


def battlefield(
    m,
    step_reward=-0.005,
    dead_penalty=-0.1,
    attack_penalty=-0.1,
    attack_opponent_reward=0.2,
):
    small = Type(
        hp=10,
        speed=2,
        view_radius=6,
        attack_radius=1.5,
        damage=2,
        recover=0.1,
        step_reward=step_reward,
        dead_penalty=dead_penalty,
        attack_penalty=attack_penalty,
        kill_reward=5,
    )
    walls = []
    for columns, rows in (
        ((m / 2 - 5, m / 2 - 4), (range(10, 45), range(50, m // 2 + 25))),
        ((m / 2 + 5, m / 2 + 4), (range(m // 2 - 25, m - 50), range(m - 45, m - 10))),
    ):
        walls += [(int(x), y) for part in rows for y in part for x in columns]

    def block(first):
        return [(first + i, (m - 8) // 2 + j) for i in range(0, 8, 2) for j in range(0, 8, 2)]

    return Table(
        groups=(("red", small), ("blue", small)),
        placing=[(WALL, walls), (0, block(m // 2 - 11)), (1, block(m // 2 + 3))],
        rules=(
            Rule("red", "hit", "blue", attack_opponent_reward),
            Rule("blue", "hit", "red", attack_opponent_reward),
        ),
        amounts=(5, step_reward, dead_penalty, attack_penalty, attack_opponent_reward),
    )


def combined_arms(
    m,
    step_reward=-0.005,
    dead_penalty=-0.1,
    attack_penalty=-0.1,
    attack_opponent_reward=0.2,
):
    shared = {
        "view_radius": 6,
        "damage": 2,
        "recover": 0.1,
        "attack_in_group": True,
        "step_reward": step_reward,
        "dead_penalty": dead_penalty,
        "attack_penalty": attack_penalty,
    }
    melee = Type(hp=10, speed=1, attack_radius=1, **shared)
    ranged = Type(hp=3, speed=2, attack_radius=2, **shared)
    names = ("redmelee", "redranged", "bluemelee", "blueranged")
    rules = []
    for attacker in names:
        for victim in names:
            if attacker[:3] != victim[:3]:
                rules.append(Rule(attacker, "hit", victim, attack_opponent_reward))
                rules.append(Rule(attacker, "kill", victim, 5.0))
    side = 2 * int(math.sqrt(m * m * 0.04))
    top = (m - side) // 2
    left = range(max(m // 2 - 3 - side, 1), m // 2 - 3, 2)
    right = range(m // 2 + 3, min(m // 2 + 3 + side, m - 1), 2)[: len(left)]
    placing = []
    for columns, bottom in ((left, top + side), (right, min(top + side, m - 1))):
        for part in (columns[::2], columns[1::2]):  # melee, then ranged
            cells = [(x, y) for x in part for y in range(top, bottom, 2)]
            placing.append((len(placing), cells))
    return Table(
        groups=tuple(zip(names, (melee, ranged, melee, ranged), strict=True)),
        placing=placing,
        rules=tuple(rules),
        amounts=(5, step_reward, dead_penalty, attack_penalty, attack_opponent_reward),
    )


def gather(m, step_reward=-0.01, attack_penalty=-0.1, dead_penalty=-1.0, attack_food_reward=0.5):
    food = Type(hp=25, speed=0, view_radius=1, kill_reward=5)
    omnivore = Type(
        hp=3,
        speed=3,
        view_radius=7,
        attack_radius=1,
        damage=6,
        attack_in_group=True,
        step_reward=step_reward,
        attack_penalty=attack_penalty,
        dead_penalty=dead_penalty,
    )

    def square(side, gap):
        half, result = side // 2, []
        along = range(100 - half, 100 + half + 1, gap)
        for x in along:
            result += [(x, 100 - half), (x, 100 + half)]
        for y in along:
            result += [(100 - half, y), (100 + half, y)]
        return result

    omnivores = square(180, 3) + square(160, 4) + square(140, 6)
    rings = ((130, 10), (120, 10), (110, 10), (100, 4), (90, 3), (80, 1))
    foods = [cell for side, gap in rings for cell in square(side, gap)]
    foods += [cell for side in (60, 58, 56, 54) for cell in square(side, 1)]
    foods += [(74 + j, 74 + i) for i in range(53) for j in range(53) if i % 4 > 1 and j % 4 > 1]
    return Table(
        groups=(("food", food), ("omnivore", omnivore)),
        placing=[(1, omnivores), (0, foods)],
        rules=(Rule("omnivore", "hit", "food", attack_food_reward),),
        amounts=(5, step_reward, attack_penalty, dead_penalty, attack_food_reward),
        passive=("food",),
        id_bits=0,
    )


def tiger_deer(m, tiger_step_recover=-0.1, deer_attacked=-0.1):
    deer = Type(hp=5, view_radius=1, recover=0.2, kill_supply=8, dead_penalty=-1.0)
    tiger = Type(hp=10, view_radius=4, attack_radius=1, damage=1, recover=tiger_step_recover)
    return Table(
        groups=(("deer", deer), ("tiger", tiger)),
        placing=[(WALL, int(m * m * 0.04)), (0, int(m * m * 0.05)), (1, int(m * m * 0.01))],
        rules=(Rule("tiger", "hit", "deer", 0.0, deer_attacked),),
        together=(("tiger", "deer", 0.5),),
        amounts=(1, -1, tiger_step_recover, deer_attacked),
    )


def seeded(seed):
    """minstd_rand0 under a seed that is first a C int, then an unsigned long."""
    unsigned = ctypes.c_uint64(ctypes.c_int32(seed & 0xFFFFFFFF).value).value
    return unsigned % (2**31 - 1) or 1


# Name -> (table of a map size, map size, max_cycles).
GAMES = {
    "adversarial_pursuit": (pursuit, 45, 500),
    "battlefield": (battlefield, 80, 1000),
    "combined_arms": (combined_arms, 45, 1000),
    "gather": (gather, 200, 500),
    "tiger_deer": (tiger_deer, 45, 300),
}


class NaiveParallel:
    """A game as MAgent2's wrapper plays it, with its options."""

    def __init__(
        self,
        game,
        map_size=None,
        max_cycles=None,
        minimap_mode=False,
        extra_features=False,
        seed=None,
        **rewards,
    ):
        make, size, cycles = GAMES[game]
        self.map_size = size if map_size is None else map_size
        self.table = table = make(self.map_size, **rewards)
        self.config = SimpleNamespace(
            map_size=self.map_size,
            minimap_mode=minimap_mode,
            extra_features=extra_features,
            max_cycles=cycles if max_cycles is None else max_cycles,
            copied_start=False,
        )
        world = SimpleNamespace(
            groups=[SimpleNamespace(name=name, unit=kind) for name, kind in table.groups],
            rewards=table.rules,
        )
        self.grid = NaiveGrid(
            world,
            table.placing,
            self.config,
            seeded(0 if seed is None else seed),
            table.passive,
            table.id_bits,
            table.together,
        )
        self.first_walls = set(self.grid.walls)
        groups = [k for k, name in enumerate(self.grid.names) if name not in table.passive]
        self.possible_agents = []
        for group in groups:
            for place, unit in enumerate(self.grid.listed(group)):
                assert unit.index == len(self.possible_agents), "ids count as the API's names do"
                self.possible_agents.append(f"{self.grid.names[group]}_{place}")
        self.index = {name: k for k, name in enumerate(self.possible_agents)}
        self.group = {name: self.grid.agents[k].group for name, k in self.index.items()}
        self.agents = self.possible_agents[:]
        self.num_active = len(groups)
        self.blind = False  # to show no observations after a step, which saves most of the time

    # -- spaces ---------------------------------------------------------------------------------

    def type_of(self, agent):
        return self.table.groups[self.group[agent]][1]

    def layout(self, kind):
        """The size of the view, its channels, the actions, and the numbers of the features."""
        unit = SimpleNamespace(type=kind)
        size, *_ = self.grid.window(unit)
        channels = 1 + (3 if self.config.minimap_mode else 2) * len(self.grid.names)
        actions = len(self.grid.moves(unit)) + len(self.grid.attacks(unit))
        history = self.table.id_bits + actions + 1 if self.config.extra_features else 0
        return size, channels, actions, history

    def action_space(self, agent):
        return Discrete(self.layout(self.type_of(agent))[2])

    def bounded(self, shape, channel):
        """A box from 0 to 2; with features, the last reward has bounds of its own."""
        low, high = np.zeros(shape, f32), np.full(shape, 2, f32)
        if self.config.extra_features:
            amounts = np.array(self.table.amounts)
            low[..., channel] = np.minimum(amounts, 0).sum()
            high[..., channel] = np.maximum(amounts, 0).sum()
        return Box(low, high, dtype=f32)

    def observation_space(self, agent):
        size, channels, _, history = self.layout(self.type_of(agent))
        position = 2 if self.config.minimap_mode else 0
        return self.bounded((size, size, channels + history + position), -1 - position)

    @property
    def state_space(self):
        depth = max(self.layout(kind)[3] for _, kind in self.table.groups)
        shape = (self.map_size, self.map_size, 1 + 2 * len(self.grid.names) + depth)
        return self.bounded(shape, -1)

    # -- playing --------------------------------------------------------------------------------

    def reset(self, seed=None):
        if seed is not None:
            self.grid.generator = seeded(seed)
        self.grid.start()
        self.config.copied_start = True  # of the first step after a reset, not after construction
        self.agents = self.possible_agents[:]
        return self.observe(), {agent: {} for agent in self.agents}

    def step(self, actions):
        given = [-1] * len(self.grid.agents)
        for agent in self.agents:
            given[self.index[agent]] = int(actions.get(agent, -1))
        self.grid.step(given)
        units = {agent: self.grid.agents[self.index[agent]] for agent in self.agents}
        observations = {} if self.blind else self.observe()
        rewards = {agent: float(unit.reward) for agent, unit in units.items()}
        terminations = {agent: unit.terminated for agent, unit in units.items()}
        truncations = dict.fromkeys(self.agents, self.grid.truncated)
        infos = {agent: {} for agent in self.agents}
        self.agents = [a for a in self.agents if not (terminations[a] or truncations[a])]
        return observations, rewards, terminations, truncations, infos

    def observe(self):
        """View and features in one; the features are the same at every cell."""
        result, overwritten = {}, set()
        for group in range(len(self.grid.names)):
            overwritten |= self.grid.overwritten(self.grid.listed(group))
        for agent in self.agents:
            unit = self.grid.agents[self.index[agent]]
            view, numbers = self.grid.view(unit), self.grid.features(unit, overwritten)
            wide = np.broadcast_to(numbers, (*view.shape[:2], len(numbers)))
            result[agent] = np.concatenate([view, wide], -1)
        return result

    def state(self):
        """[x, y, channel]; after a step, its dead have left."""
        grid, shape = self.grid, self.state_space.shape
        result = np.zeros(shape, f32)
        result[:, :, 0] = 1
        result[1:-1, 1:-1, 0] = 0
        for x, y in self.first_walls:
            result[x, y, 0] = 1
        first = 1 + 2 * self.num_active  # with passive groups, on channels that are taken
        for group, name in enumerate(grid.names):
            row = grid.living(group)
            if not row:
                raise ValueError(f"no {name} lives")
            overwritten = grid.overwritten(row)
            for unit in row:
                cell = result[unit.cell]
                cell[1 + 2 * group] = 1
                cell[2 + 2 * group] = unit.hp / f32(unit.type.hp)
            if self.config.extra_features:
                for unit in row:
                    *numbers, reward = grid.history(unit, unit.reward)
                    if unit.index in overwritten and not self.config.minimap_mode:
                        reward = f32(1)
                    cell = result[unit.cell]
                    cell[first:] = 0
                    cell[first : first + len(numbers)] = numbers
                    cell[-1] = reward
        return result
