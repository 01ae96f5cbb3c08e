"""Battle: two armies of one unit type."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypedDict

from mfenvs.gridworld.config import GridConfig
from mfenvs.gridworld.game import GridGame
from mfenvs.gridworld.placement import (
    Arrangement,
    Cell,
    Placement,
    Shifts,
    explicit,
    listed,
    placement_of,
)
from mfenvs.gridworld.units import (
    ARMY_REWARDS,
    AttackReward,
    Group,
    UnitType,
    World,
    bounds_of,
    single,
)
from mfenvs.validate import number, one_of, plain_fields, positive, whole

TEAMS = ("red", "blue")
NAMED = ("magent2", "paper", "random")
LEAST_MAP = 12
GAP = 3  # columns between the map's middle and each army
LEAST_DISTANCE = 2  # of facing columns, so that a blank one is left between the armies


@dataclass(frozen=True)
class BattleConfig(GridConfig):
    """Options of `battle_v0`. The first eight, and ``seed``, are those of MAgent2's ``battle_v4``.

    Attributes:
        map_size: cells along an edge of the map, its walls included; at least 12.
        minimap_mode: adds both armies' minimaps to the view, and the position to the features.
        step_reward: of every step that an agent lives through.
        dead_penalty: what an agent gets for the step in which it dies, instead of its step reward and
            what it had earned before the blow.
        attack_penalty: of every attack.
        attack_opponent_reward: of an attack that hits an enemy and does not kill it.
        max_cycles: steps until truncation; None for never.
        extra_features: adds id bits, last action and last reward to the features.
        seed: of the first episode if ``reset`` is given none; None is 0, as in MAgent2.
        kill_reward: of the blow that kills.
        hp: health that an agent starts with, and its most.
        damage: health that an attack takes.
        recover: health regained in a step; 0 or more.
        speed: cells that a move may go, as a Euclidean radius; at least 1.
        view_radius: of the circle that an agent sees, within a square of 2 int(view_radius) + 1.
        attack_radius: of the circle that an attack reaches, without the attacker's cell.
        placement: "magent2"; "paper"; "random", another start each episode (`battle_placement` explains
            all three); or the cells: ``{"red": [(x, y), ...], "blue": [...]}``.
        start_range: of ``placement="random"`` alone: by how many cells at most the armies' distance and
            their vertical offset differ from MAgent2's; 0 or more, as far as the map has room. 0 is
            always MAgent2's distance and no offset, and a coin says who is left.
        copied_start: whether in the first step of an episode blue_i takes the action that is sent to
            the i-th of all agents, which is red_i, instead of the action sent to it: a slip of
            MAgent2's wrapper that equality with it needs. Blue's choices do not count then
            (``acting`` False), unless they are the same.
        neighbors: which agents are in an agent's neighborhood: "team" (the paper's) or "all".
        neighbor_radius: if given, only those so near, as a Euclidean distance.

    Raises:
        ValueError, TypeError: from the constructor, naming the option, its value and what is allowed.
    """

    map_size: int = 45
    minimap_mode: bool = False
    step_reward: float = -0.005
    dead_penalty: float = -0.1
    attack_penalty: float = -0.1
    attack_opponent_reward: float = 0.2
    max_cycles: int | None = 1000
    extra_features: bool = False
    seed: int | None = None
    kill_reward: float = 5.0
    hp: float = 10.0
    damage: float = 2.0
    recover: float = 0.1
    speed: float = 2.0
    view_radius: float = 6.0
    attack_radius: float = 1.5
    placement: Any = "magent2"
    start_range: int = 6
    copied_start: bool = True
    neighbors: str = "team"
    neighbor_radius: float | None = None

    def __post_init__(self) -> None:
        plain_fields(self)
        self.check_shared(LEAST_MAP)
        whole("start_range", self.start_range, 0)
        positive("hp", self.hp)
        positive("damage", self.damage)
        for name in (*ARMY_REWARDS, "hp", "damage", "recover"):
            single(name, getattr(self, name))
        for name, least in (("recover", 0), ("speed", 1), ("view_radius", 1), ("attack_radius", 1)):
            if number(name, value := getattr(self, name)) < least:
                raise ValueError(f"{name}={value!r} is out of range; allowed: {least} or more")
        for name in ("speed", "view_radius", "attack_radius"):
            if (value := getattr(self, name)) >= self.map_size:
                raise ValueError(f"{name}={value!r} on a map of {self.map_size}; allowed: less")
        if isinstance(self.placement, str):
            one_of("placement", self.placement, NAMED)
        else:
            cells = explicit(self.placement, self.map_size, TEAMS, NAMED)
            object.__setattr__(self, "placement", cells)


class BattleRules(TypedDict, total=False):
    """The fields of `BattleConfig` that MAgent2's ``parallel_env`` takes by name alone, or lacks."""

    step_reward: float
    dead_penalty: float
    attack_penalty: float
    attack_opponent_reward: float
    kill_reward: float
    hp: float
    damage: float
    recover: float
    speed: float
    view_radius: float
    attack_radius: float
    placement: Any
    start_range: int
    copied_start: bool
    neighbors: str
    neighbor_radius: float | None


class BattleOptions(BattleRules, total=False):
    """The fields of `BattleConfig`, as keyword arguments for type checkers and editors."""

    map_size: int
    minimap_mode: bool
    max_cycles: int | None
    extra_features: bool
    seed: int | None


# The paper's settings, from the authors' train_battle.py.
PAPER: dict[str, Any] = {
    "map_size": 40,
    "minimap_mode": True,
    "extra_features": True,
    "max_cycles": 400,
    "placement": "paper",
    "copied_start": False,
}


class BattleGame(GridGame):
    """Two armies on a walled map; fighting pays, dying costs (Yang et al. 2018, section 5.3).

    Bit for bit MAgent2's ``battle_v4`` under its options: the same seed and the same actions give the
    same observations, rewards and ends.

    Observation: a dict. "view" float32 [13, 13, C], indexed [dy + 6, dx + 6] around the agent, 0
        beyond a distance of 6: wall, the agent's army, its hp, [its minimap], the other army, its hp,
        [its minimap]; C = 5, or 7 with ``minimap_mode``. "features" float32 [F]: with
        ``extra_features`` ten bits of the id, the last action one-hot and the last reward; with
        ``minimap_mode`` x and y over the map's size; F = 0, 2, 32 or 34. In the PettingZoo view both in
        one float32 [13, 13, C + F], the features repeated at every cell.
    Action: 0 to 12 move to a cell within a distance of 2 (6 stays), 13 to 20 attack one of the eight
        cells around, both row by row. A move to a cell that is not blank fails.
    Reward: step -0.005, each attack -0.1, a hit that does not kill +0.2, a kill +5; who is killed gets
        -0.1 in place of all that came before the blow.
    Termination: of the dead; and of everybody, once an army is wiped out. Truncation: after
        ``max_cycles`` steps.
    State: float32 [map, map, 5], indexed [x, y]: wall, red, its hp, blue, its hp; with
        ``extra_features`` also the features without the position, at the agents' cells.
    """

    id = "battle_v0"
    Config = BattleConfig
    name = "Battle"
    match_measure = "kills"

    @staticmethod
    def world_of(config: BattleConfig) -> World:
        soldier = UnitType(
            hp=config.hp,
            speed=config.speed,
            view_radius=config.view_radius,
            attack_radius=config.attack_radius,
            damage=config.damage,
            recover=config.recover,
            step_reward=config.step_reward,
            attack_penalty=config.attack_penalty,
            dead_penalty=config.dead_penalty,
            kill_reward=config.kill_reward,
        )
        return World(
            groups=tuple(Group(team, soldier, color=team) for team in TEAMS),
            placement=battle_placement(config.placement, config.map_size, config.start_range),
            rewards=(
                AttackReward("red", "hit", "blue", config.attack_opponent_reward),
                AttackReward("blue", "hit", "red", config.attack_opponent_reward),
            ),
            reward_range=bounds_of(*(getattr(config, name) for name in ARMY_REWARDS)),
        )


# -- placement ----------------------------------------------------------------------------------


def battle_placement(placement: Any, map_size: int, start_range: int = 0) -> Placement:
    """Where the armies start, by the name of a placement, or at the given cells of red and blue.

    "magent2": red on the left, blue on the right, no more than red (MAgent2's battle.py). "paper": a
    coin says who is left, and an army loses those of its agents that would stand in a wall, which on
    maps below 40 leaves the armies unequal (the authors' senario_battle.py). "random": two armies like
    "magent2"'s left one; a coin says who is left, and `Shifts` up to ``start_range`` how they stand to
    each other.

    In MAgent2's start the facing columns are 8 apart and the armies have the same rows. Random ones
    are d columns apart and differ by v rows, each uniform over the whole numbers

        8 - start_range <= d <= 8 + start_range,    -start_range <= v <= start_range

    for which both armies are inside the walls and a blank column is left between them (d >= 2). Each
    army is the other's point reflection through the map's center, or through a point half a cell left
    of or above it where d or v asks for that: reflected through the center alone, the armies' distances
    would all be odd, or all even.
    """
    if not isinstance(placement, str):
        return listed(placement)
    left, right = blocks(map_size)
    if placement == "random":
        return random_placement(left, map_size, start_range)
    if placement == "magent2":
        return placement_of([Arrangement((left, right[: len(left)]), (0, 1), (False, True))])
    return either_side(left, right)


def either_side(left: list[Cell], right: list[Cell], shifts: Shifts = Shifts()) -> Placement:  # noqa: B008 (immutable)
    """Red on the left or on the right; the army on the left is placed first."""
    return placement_of(
        [
            Arrangement((left, right), (0, 1), (False, True)),
            Arrangement((right, left), (1, 0), (True, False)),
        ],
        shifts,
    )


def blocks(map_size: int) -> tuple[list[Cell], list[Cell]]:
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


def random_placement(block: list[Cell], map_size: int, start_range: int) -> Placement:
    """Two such blocks at MAgent2's distance, in the middle of the map, and how they may be shifted."""
    (first, top), (last, bottom) = block[0], block[-1]  # column by column
    width, height, inside = last - first + 1, bottom - top + 1, map_size - 2
    distance = 2 * GAP + 2
    # What the pair leaves free: the columns beside it and the rows above and below it.
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
    return either_side(left, right, shifts)
