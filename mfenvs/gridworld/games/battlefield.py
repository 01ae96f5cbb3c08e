"""Battlefield: battle's two armies on a map with walls between them."""

from __future__ import annotations

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

LEAST_MAP = 46
WALL_IN_BORDER = 51  # the map size at which one of MAgent2's walls would lie in the border
SIDE, GAP = 8, 3  # of an army's square, and from the map's middle to it
TEAMS = ("red", "blue")


@dataclass(frozen=True)
class BattlefieldConfig(WorldConfig):
    """Options of `battlefield_v0`. The first eight, and ``seed``, are those of MAgent2's
    ``battlefield_v5``.

    Attributes:
        map_size: cells along an edge of the map, its walls included; at least 46, and not 51, where
            MAgent2 fails.
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
        placement: "magent2"; "random", the same walls and as many agents, drawn anew in each episode; or
            the positions: {"red": [(x, y), ...], "blue": [...], "walls": [...]}.
        counts: how many agents "random" draws, such as {"red": 20}; None, or a missing name, for as many
            as in "magent2". "walls" counts further walls.
        units: changes to the unit type, such as {"soldier": {"hp": 5.0}}; see `UnitType`.
        copied_start: whether in the first step of an episode blue_i takes the action that is sent to
            the i-th of all agents, a slip of MAgent2's wrapper that equality with it needs. Blue's
            choices do not count then (``acting`` False), unless they are the same.
        neighbors: which agents are neighbors: "team" or "all"; "group" means the same as "team".
        neighbor_radius: if given, only those so near, as a Euclidean distance.

    Raises:
        ValueError, TypeError: from the constructor, naming the option, its value and what is allowed.
    """

    NEIGHBORS = ("team", "group", "all")

    map_size: int = 80
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
    neighbors: str = "team"
    neighbor_radius: float | None = None

    def __post_init__(self) -> None:
        plain_fields(self)
        self.check_shared(LEAST_MAP)
        if self.map_size == WALL_IN_BORDER and isinstance(self.placement, str):
            raise ValueError(
                f"map_size={self.map_size!r}, at which a wall of MAgent2's lies in the border; allowed: "
                f"{LEAST_MAP} or more, but {self.map_size}"
            )
        for name in ARMY_REWARDS:
            single(name, getattr(self, name))
        self.keep_plain(battlefield_world(self))


class BattlefieldRules(TypedDict, total=False):
    """The fields of `BattlefieldConfig` that MAgent2's maker takes by name alone, or lacks."""

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


class BattlefieldOptions(BattlefieldRules, total=False):
    """The fields of `BattlefieldConfig`, as keyword arguments for type checkers and editors."""

    map_size: int
    minimap_mode: bool
    max_cycles: int | None
    extra_features: bool
    seed: int | None


# Only what decides a match is paid.
UNSHAPED: dict[str, Any] = dict.fromkeys(ARMY_REWARDS[1:], 0.0)


def battlefield_world(config: BattlefieldConfig) -> World:
    """Returns the world that the options describe."""
    soldier = config.changed(
        {
            "soldier": UnitType(
                "soldier",
                hp=10,
                speed=2,
                view_radius=6,
                attack_radius=1.5,
                damage=2,
                recover=0.1,
                step_reward=config.step_reward,
                attack_penalty=config.attack_penalty,
                dead_penalty=config.dead_penalty,
                kill_reward=config.kill_reward,
            )
        }
    )["soldier"]
    groups = tuple(Group(team, soldier, color=team) for team in TEAMS)
    inner, cells = walls(config.map_size), armies(config.map_size)
    return World(
        groups=groups,
        placement=config.placed(groups, [len(army) for army in cells], 0, cells, inner),
        rewards=(
            AttackReward("red", "hit", "blue", config.attack_opponent_reward),
            AttackReward("blue", "hit", "red", config.attack_opponent_reward),
        ),
        reward_range=bounds_of(*(getattr(config, name) for name in ARMY_REWARDS)),
    )


def walls(size: int) -> tuple[Cell, ...]:
    """Returns the walls between the armies: two broken columns left of the middle, two right of it."""
    half = size // 2
    left, right = (int(size / 2 - 5), int(size / 2 - 4)), (int(size / 2 + 5), int(size / 2 + 4))
    return tuple(
        (x, y)
        for columns, lines in (
            (left, (*range(10, 45), *range(50, half + 25))),
            (right, (*range(half - 25, size - 50), *range(size - 45, size - 10))),
        )
        for x in columns
        for y in lines
    )


def armies(size: int) -> tuple[list[Cell], list[Cell]]:
    """Returns the cells of red and blue: four by four, without those in walls."""
    taken, top = set(walls(size)), (size - SIDE) // 2
    lefts = size // 2 - GAP - SIDE, size // 2 + GAP
    red, blue = (
        [
            (x, y)
            for x in range(left, left + SIDE, 2)
            for y in range(top, top + SIDE, 2)
            if (x, y) not in taken
        ]
        for left in lefts
    )
    return red, blue


class BattlefieldGame(GridGame):
    """Two small armies on a large map with walls; fighting pays, dying costs.

    Bit for bit MAgent2's ``battlefield_v5`` under its options: the same seed and the same actions give
    the same observations, rewards and ends. Its types, actions, views and rewards are those of battle.

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

    id = "battlefield_v0"
    Config = BattlefieldConfig
    name = "Battlefield"
    match_measure = "kills"
    world_of = staticmethod(battlefield_world)
