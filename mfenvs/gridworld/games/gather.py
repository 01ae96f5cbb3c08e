"""Gather: many agents eat food that takes several bites, and may kill each other for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from mfenvs.gridworld.config import WorldConfig
from mfenvs.gridworld.game import GridGame
from mfenvs.gridworld.hunting import FORAGERS
from mfenvs.gridworld.placement import Cell
from mfenvs.gridworld.units import AttackReward, Group, UnitType, World, bounds_of, single
from mfenvs.validate import plain_fields

MAP, LEAST_MAP = 200, 5
# Squares around the map's center: the edge, and the gap between neighbors.
OMNIVORES = ((180, 3), (160, 4), (140, 6))
FOOD = (
    *((130, 10), (120, 10), (110, 10), (100, 4), (90, 3), (80, 1)),
    *((60, 1), (58, 1), (56, 1), (54, 1)),
)
BLOCK = 53  # edge of the square of small heaps of food in the middle


@dataclass(frozen=True)
class GatherConfig(WorldConfig):
    """Options of `gather_v0`. The first seven, and ``seed``, are those of MAgent2's ``gather_v5``.

    Attributes:
        minimap_mode: adds the minimaps of omnivores and food to the view, and the position to the
            features.
        step_reward: of every step that an agent lives through.
        attack_penalty: of every attack.
        dead_penalty: what an agent gets for the step in which it dies, instead of its step reward and
            its attack penalty.
        attack_food_reward: of a bite that does not finish a piece of food.
        max_cycles: steps until truncation; None for never.
        extra_features: adds last action and last reward to the features.
        seed: of the first episode if ``reset`` is given none; None is 0, as in MAgent2.
        map_size: cells along an edge of the map, its walls included; 200 with placement="magent2", else
            at least 5.
        eat_reward: of the bite that finishes a piece of food.
        placement: "magent2"; "random", as many omnivores and pieces of food, drawn anew in each episode;
            or the positions: {"omnivore": [(x, y), ...], "food": [...], "walls": [...]}.
        counts: how many are drawn by "random", such as {"omnivore": 20, "food": 100}; None, or a missing
            name, for as many as in "magent2". "walls" counts walls.
        units: changes to the unit types, such as {"omnivore": {"speed": 2.0}}; see `UnitType`.
        copied_start: has no effect, since there is one group of agents.
        neighbors: which agents are neighbors; "team", "group" and "all" are all agents.
        neighbor_radius: if given, only those so near, as a Euclidean distance.

    Raises:
        ValueError, TypeError: from the constructor, naming the option, its value and what is allowed.
    """

    NEIGHBORS = ("team", "group", "all")

    minimap_mode: bool = False
    step_reward: float = -0.01
    attack_penalty: float = -0.1
    dead_penalty: float = -1.0
    attack_food_reward: float = 0.5
    max_cycles: int | None = 500
    extra_features: bool = False
    seed: int | None = None
    map_size: int = MAP
    eat_reward: float = 5.0
    placement: Any = "magent2"
    counts: Any = None
    units: Any = None
    copied_start: bool = True
    neighbors: str = "team"
    neighbor_radius: float | None = None

    def __post_init__(self) -> None:
        plain_fields(self)
        self.check_shared(LEAST_MAP)
        if self.placement == "magent2" and self.map_size != MAP:
            raise ValueError(
                f"map_size={self.map_size!r} with placement='magent2'; allowed: {MAP}, or another "
                "placement"
            )
        for name in REWARDS:
            single(name, getattr(self, name))
        self.keep_plain(gather_world(self))


class GatherRules(TypedDict, total=False):
    """The fields of `GatherConfig` that MAgent2's ``parallel_env`` takes by name alone, or lacks."""

    step_reward: float
    attack_penalty: float
    dead_penalty: float
    attack_food_reward: float
    map_size: int
    eat_reward: float
    placement: Any
    counts: Any
    units: Any
    copied_start: bool
    neighbors: str
    neighbor_radius: float | None


class GatherOptions(GatherRules, total=False):
    """The fields of `GatherConfig`, as keyword arguments for type checkers and editors."""

    minimap_mode: bool
    max_cycles: int | None
    extra_features: bool
    seed: int | None


REWARDS = ("eat_reward", "step_reward", "attack_penalty", "dead_penalty", "attack_food_reward")
# Only what decides a match is paid.
UNSHAPED: dict[str, Any] = dict.fromkeys(REWARDS[1:], 0.0)


def gather_world(config: GatherConfig) -> World:
    """Returns the world that the options describe."""
    units = config.changed(
        {
            "omnivore": UnitType(
                "omnivore",
                hp=3,
                speed=3,
                view_radius=7,
                attack_radius=1,
                damage=6,
                step_reward=config.step_reward,
                attack_penalty=config.attack_penalty,
                dead_penalty=config.dead_penalty,
                attack_in_group=True,
            ),
            "food": UnitType("food", hp=25, kill_reward=config.eat_reward),
        }
    )
    groups = (
        Group("omnivore", units["omnivore"], color="red"),
        Group("food", units["food"], color="green", passive=True),
    )
    cells = positions()
    return World(
        groups=groups,
        placement=config.placed(groups, [len(listed) for listed in cells], 0, cells),
        rewards=(AttackReward("omnivore", "hit", "food", config.attack_food_reward),),
        reward_range=bounds_of(*(getattr(config, name) for name in REWARDS)),
        id_bits=0,
    )


def positions() -> tuple[list[Cell], list[Cell]]:
    """Returns the cells of omnivores and food."""
    edge = MAP // 2 - BLOCK // 2
    heaps = [
        (edge + j, edge + i) for i in range(BLOCK) for j in range(BLOCK) if i % 4 > 1 and j % 4 > 1
    ]
    omnivores = [cell for side, gap in OMNIVORES for cell in square(side, gap)]
    food = [cell for side, gap in FOOD for cell in square(side, gap)]
    first = list(dict.fromkeys(omnivores))
    taken = set(first)
    return first, [cell for cell in dict.fromkeys([*food, *heaps]) if cell not in taken]


def square(side: int, gap: int) -> list[Cell]:
    """Returns cells on the edges of a square around the map's center, as MAgent2 lists them."""
    center, half = MAP // 2, side // 2
    steps = range(center - half, center + half + 1, gap)
    ends = center - half, center + half
    return [(x, y) for x in steps for y in ends] + [(x, y) for y in steps for x in ends]


class GatherGame(GridGame):
    """Omnivores eat food, of which each piece takes five bites, whoever bites; one blow kills an
    omnivore, and pays nothing.

    Bit for bit MAgent2's ``gather_v5`` under its options: the same seed and the same actions give the
    same observations, rewards and ends. In MAgent2 an agent without an action, which PettingZoo allows,
    sets the last feature of the agent before it to 1, as here; for the first agent MAgent2 aborts later,
    and here nothing else happens.

    Observation: a dict. "view" float32 [15, 15, C], indexed [dy + 7, dx + 7] around the agent, 0
        beyond a distance of 7: wall, omnivores, their hp, [their minimap], food, its hp, [its minimap];
        C = 5, or 7 with ``minimap_mode``. "features" float32 [F]: with ``extra_features`` the last
        action one-hot and the last reward; with ``minimap_mode`` x and y over the map's size; F = 0, 2,
        34 or 36. In the PettingZoo view both in one float32 [15, 15, C + F], the features repeated at
        every cell.
    Action: 0 to 28 move to a cell within a distance of 3 (14 stays), 29 to 32 attack one of the four
        cells beside. A move to a cell that is not blank fails.
    Reward: step -0.01, each attack -0.1, a bite +0.5, the bite that finishes a piece of food +5; who is
        killed gets -1 in place of step and attack.
    Termination: of the dead; and of everybody, once all food is eaten. Truncation: after ``max_cycles``
        steps.
    State: float32 [map, map, 5], indexed [x, y]: wall, food, its hp, omnivores, their hp; with
        ``extra_features`` also the features without the position, which begin at channel 3 and replace
        the last two, at the agents' cells.
    """

    id = "gather_v0"
    Config = GatherConfig
    name = "Gather"
    players = FORAGERS
    match_measure = "eaten"
    measured = {"alive": "living", "attacks": "attacks", "bites": "hits", "eaten": "kills"}  # noqa: RUF012
    world_of = staticmethod(gather_world)
