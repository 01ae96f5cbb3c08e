"""Combined arms: two armies of melee and ranged units, whose blows also hit friends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypedDict

from mfenvs.gridworld.config import WorldConfig
from mfenvs.gridworld.game import GridGame
from mfenvs.gridworld.placement import Cell
from mfenvs.gridworld.units import (
    ARMY_REWARDS,
    AttackReward,
    Group,
    UnitType,
    World,
    bounds_of,
    single,
)
from mfenvs.validate import plain_fields

LEAST_MAP = 16
GAP = 3  # columns between the map's middle and each army
COLORS, TYPES = ("red", "blue"), ("melee", "ranged")


@dataclass(frozen=True)
class CombinedArmsConfig(WorldConfig):
    """Options of `combined_arms_v0`. The first eight, and ``seed``, are those of MAgent2's
    ``combined_arms_v6``.

    Attributes:
        map_size: cells along an edge of the map, its walls included; at least 16.
        minimap_mode: adds all groups' minimaps to the view, and the position to the features.
        step_reward: of every step that an agent lives through.
        dead_penalty: what an agent gets for the step in which it dies, instead of its step reward and
            its attack penalty.
        attack_penalty: of every attack.
        attack_opponent_reward: of an attack that hits an agent of the other color and does not kill it.
        max_cycles: steps until truncation; None for never.
        extra_features: adds id bits, last action and last reward to the features.
        seed: of the first episode if ``reset`` is given none; None is 0, as in MAgent2.
        kill_reward: of an attack that kills an agent of the other color.
        placement: "magent2"; "random", as many agents, drawn anew in each episode; or the positions:
            {"redmelee": [(x, y), ...], "redranged": [...], "bluemelee": [...], "blueranged": [...],
            "walls": [...]}.
        counts: how many agents "random" draws, such as {"redmelee": 20}; None, or a missing name, for as
            many as in "magent2". "walls" counts walls.
        units: changes to the unit types, such as {"ranged": {"hp": 5.0}}; see `UnitType`.
        copied_start: whether in the first step of an episode the i-th agent of each group takes the
            action that is sent to redmelee_i, a slip of MAgent2's wrapper that equality with it needs.
            The others' choices do not count then (``acting`` False), unless they are the same.
        neighbors: which agents are neighbors: "color" (both types of an army; "team" means the same),
            "group", "type" (of both armies) or "all".
        neighbor_radius: if given, only those so near, as a Euclidean distance.

    Raises:
        ValueError, TypeError: from the constructor, naming the option, its value and what is allowed.
    """

    NEIGHBORS = ("color", "team", "group", "type", "all")

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
    placement: Any = "magent2"
    counts: Any = None
    units: Any = None
    copied_start: bool = True
    neighbors: str = "color"
    neighbor_radius: float | None = None

    def __post_init__(self) -> None:
        plain_fields(self)
        self.check_shared(LEAST_MAP)
        for name in ARMY_REWARDS:
            single(name, getattr(self, name))
        self.keep_plain(combined_arms_world(self))


class CombinedArmsRules(TypedDict, total=False):
    """The fields of `CombinedArmsConfig` that MAgent2's maker takes by name alone, or lacks."""

    step_reward: float
    dead_penalty: float
    attack_penalty: float
    attack_opponent_reward: float
    kill_reward: float
    placement: Any
    counts: Any
    units: Any
    copied_start: bool
    neighbors: str
    neighbor_radius: float | None


class CombinedArmsOptions(CombinedArmsRules, total=False):
    """The fields of `CombinedArmsConfig`, as keyword arguments for type checkers and editors."""

    map_size: int
    minimap_mode: bool
    max_cycles: int | None
    extra_features: bool
    seed: int | None


# Only what decides a match is paid.
UNSHAPED: dict[str, Any] = dict.fromkeys(ARMY_REWARDS[1:], 0.0)


def combined_arms_world(config: CombinedArmsConfig) -> World:
    """Returns the world that the options describe."""
    shared: dict[str, Any] = {
        "view_radius": 6,
        "damage": 2,
        "recover": 0.1,
        "step_reward": config.step_reward,
        "attack_penalty": config.attack_penalty,
        "dead_penalty": config.dead_penalty,
        "attack_in_group": True,
    }
    units = config.changed(
        {
            "melee": UnitType("melee", hp=10, speed=1, attack_radius=1, **shared),
            "ranged": UnitType("ranged", hp=3, speed=2, attack_radius=2, **shared),
        }
    )
    groups = tuple(
        Group(f"{color}{unit}", units[unit], side=color, color=color)
        for color in COLORS
        for unit in TYPES
    )
    cells = armies(config.map_size)
    return World(
        groups=groups,
        placement=config.placed(groups, [len(army) for army in cells], 0, cells),
        rewards=tuple(
            AttackReward(one.name, op, other.name, reward)
            for one in groups
            for other in groups
            if one.side != other.side
            for op, reward in (
                ("hit", config.attack_opponent_reward),
                ("kill", config.kill_reward),
            )
        ),
        reward_range=bounds_of(*(getattr(config, name) for name in ARMY_REWARDS)),
    )


def armies(size: int) -> list[list[Cell]]:
    """Returns the cells by group: columns of an army are melee and ranged in turn."""
    side, middle = 2 * int(math.sqrt(0.04 * size * size)), size // 2
    top = (size - side) // 2
    red = range(max(middle - GAP - side, 1), middle - GAP, 2)
    blue = range(middle + GAP, min(middle + GAP + side, size - 1), 2)[: len(red)]
    lines = range(top, top + side, 2), range(top, min(top + side, size - 1), 2)
    return [
        [(x, y) for x in columns[first::2] for y in rows]
        for columns, rows in zip((red, blue), lines, strict=True)
        for first in (0, 1)
    ]


class CombinedArmsGame(GridGame):
    """Two armies of melee units with much hp and ranged units with little; friends can be hit, too.

    Bit for bit MAgent2's ``combined_arms_v6`` under its options: the same seed and the same actions
    give the same observations, rewards and ends.

    Observation, by type: melee and ranged float32 [13, 13, C], 0 beyond a distance of 6: wall; then for
        the agent's group and the others in the cycle redmelee, redranged, bluemelee, blueranged: whether
        one is there, its share of the full hp, [the group's minimap]; C = 9, or 13 with
        ``minimap_mode``. With ``extra_features`` or ``minimap_mode`` a dict of this "view" and of
        "features" float32 [F]: ten bits of the id, the last action one-hot and the last reward; x and y
        over the map's size. In the PettingZoo view both in one, the features repeated at every cell.
    Action: melee 0 to 4 move by one cell (2 stays), 5 to 8 attack one of the four cells beside. Ranged 0
        to 12 move within a distance of 2 (6 stays), 13 to 24 attack one of the same cells except the
        one that it is on.
        A move to a cell that is not blank fails.
    Reward: step -0.005, each attack -0.1; a hit of the other color that does not kill +0.2, a kill of
        the other color +5, also if the attacker dies later in the step; who is killed gets -0.1 in place
        of step and attack. Hits and kills of one's color pay nothing.
    Termination: of the dead; and of everybody, once any of the four groups is wiped out. Truncation:
        after ``max_cycles`` steps.
    State: float32 [map, map, 9], indexed [x, y]: wall, then the groups in the cycle above, each with its
        hp; with ``extra_features`` also the features without the position, at the agents' cells.
    """

    id = "combined_arms_v0"
    Config = CombinedArmsConfig
    name = "Combined arms"
    match_measure = "kills"
    world_of = staticmethod(combined_arms_world)
