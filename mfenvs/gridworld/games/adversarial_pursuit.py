"""Adversarial pursuit: slow predators of two by two cells tag faster prey, and nobody dies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from mfenvs.gridworld.config import WorldConfig
from mfenvs.gridworld.game import GridGame
from mfenvs.gridworld.hunting import HUNTERS
from mfenvs.gridworld.units import AttackReward, Group, UnitType, World, bounds_of, single
from mfenvs.validate import plain_fields

LEAST_MAP = 7
# Shares of the map's cells.
WALLS, PREDATORS, PREY = 0.03, 0.0125, 0.025


@dataclass(frozen=True)
class PursuitConfig(WorldConfig):
    """Options of `adversarial_pursuit_v0`. The first four, ``tag_penalty`` and ``seed`` are those of
    MAgent2's ``adversarial_pursuit_v4``.

    Attributes:
        map_size: cells along an edge of the map, its walls included; at least 7, and at least 9 unless
            ``counts`` or ``placement`` give predators.
        max_cycles: steps until truncation; None for never.
        minimap_mode: adds both groups' minimaps to the view, and the position to the features.
        extra_features: adds id bits, last action and last reward to the features.
        tag_penalty: of every attack of a predator.
        seed: of the first episode if ``reset`` is given none; None is 0, as in MAgent2.
        tag_reward: what a predator gets for tagging a prey, beside the penalty.
        tagged_reward: what a prey gets for each tag.
        placement: "magent2", walls and positions drawn anew in each episode ("random" is the same); or
            the positions: {"predator": [(x, y), ...], "prey": [...], "walls": [...]}.
        counts: how many are drawn, such as {"predator": 10, "prey": 20, "walls": 0}; None, or a missing
            name, for MAgent2's shares of the map's cells: 0.0125, 0.025 and 0.03.
        units: changes to the unit types, such as {"prey": {"speed": 2.0}}; see `UnitType`.
        copied_start: whether in the first step of an episode prey_i takes the action that is sent to
            the i-th of all agents, a slip of MAgent2's wrapper that equality with it needs. The prey's
            choices do not count then (``acting`` False), unless they are the same.
        first_walls: whether ``state()`` shows the walls of MAgent2's constructor in all episodes, as
            equality with it needs, in place of the episode's.
        neighbors: which agents are neighbors: "group" (predators, or prey) or "all"; "team" and "type"
            mean the same as "group".
        neighbor_radius: if given, only those so near, as a Euclidean distance.

    Raises:
        ValueError, TypeError: from the constructor, naming the option, its value and what is allowed.
    """

    NEIGHBORS = ("group", "team", "type", "all")

    map_size: int = 45
    max_cycles: int | None = 500
    minimap_mode: bool = False
    extra_features: bool = False
    tag_penalty: float = -0.2
    seed: int | None = None
    tag_reward: float = 1.0
    tagged_reward: float = -1.0
    placement: Any = "magent2"
    counts: Any = None
    units: Any = None
    copied_start: bool = True
    first_walls: bool = True
    neighbors: str = "group"
    neighbor_radius: float | None = None

    def __post_init__(self) -> None:
        plain_fields(self)
        self.check_shared(LEAST_MAP)
        for name in ("tag_penalty", "tag_reward", "tagged_reward"):
            single(name, getattr(self, name))
        self.keep_plain(pursuit_world(self))


class PursuitRules(TypedDict, total=False):
    """The fields of `PursuitConfig` that MAgent2's ``parallel_env`` takes by name alone, or lacks."""

    tag_penalty: float
    tag_reward: float
    tagged_reward: float
    placement: Any
    counts: Any
    units: Any
    copied_start: bool
    first_walls: bool
    neighbors: str
    neighbor_radius: float | None


class PursuitOptions(PursuitRules, total=False):
    """The fields of `PursuitConfig`, as keyword arguments for type checkers and editors."""

    map_size: int
    max_cycles: int | None
    minimap_mode: bool
    extra_features: bool
    seed: int | None


# Only what decides a match is paid.
UNSHAPED: dict[str, Any] = {"tag_penalty": 0.0}


def pursuit_world(config: PursuitConfig) -> World:
    """Returns the world that the options describe."""
    units = config.changed(
        {
            "predator": UnitType(
                "predator",
                width=2,
                length=2,
                view_radius=5,
                attack_radius=2,
                attack_penalty=config.tag_penalty,
            ),
            "prey": UnitType("prey", speed=1.5, view_radius=4),
        }
    )
    groups = (
        Group("predator", units["predator"], color="red"),
        Group("prey", units["prey"], color="blue"),
    )
    cells = config.map_size**2
    numbers = int(PREDATORS * cells), int(PREY * cells)
    return World(
        groups=groups,
        placement=config.placed(groups, numbers, int(WALLS * cells)),
        rewards=(AttackReward("predator", "hit", "prey", config.tag_reward, config.tagged_reward),),
        reward_range=bounds_of(1, -1, -1, -1, -1, config.tag_penalty),
    )


class PursuitGame(GridGame):
    """Predators tag prey, which are faster and flee; tagging pays, being tagged costs, nobody dies.

    Bit for bit MAgent2's ``adversarial_pursuit_v4`` under its options: the same seed and the same
    actions give the same observations, rewards and ends. MAgent2 crashes with map sizes of 7 and 8,
    which have no predators; here they are a ValueError.

    Observation, by type: predators float32 [10, 10, C], prey [9, 9, C], 0 beyond a distance of 5, or 4:
        wall, the agent's group, its hp, [its minimap], the other group, its hp, [its minimap]; C = 5, or
        7 with ``minimap_mode``. With ``extra_features`` or ``minimap_mode`` a dict of this "view" and of
        "features" float32 [F]: ten bits of the id, the last action one-hot and the last reward; x and y
        over the map's size. In the PettingZoo view both in one, the features repeated at every cell.
    Action: predators 0 to 4 move by one cell (2 stays), 5 to 12 tag one of the eight cells beside the
        body. Prey 0 to 8 move to one of the cells around (4 stays). A move to cells that are not blank
        fails.
    Reward: each tag -0.2, also one that hits nothing; a tag of a prey +1 for the predator and -1 for the
        prey.
    Termination: none. Truncation: after ``max_cycles`` steps.
    State: float32 [map, map, 5], indexed [x, y]: wall, predators, their hp, prey, their hp; with
        ``extra_features`` also the features without the position, at the agents' cells.
    """

    id = "adversarial_pursuit_v0"
    Config = PursuitConfig
    name = "Adversarial pursuit"
    fixed_population = True
    players = HUNTERS
    match_measure = "tags"
    measured = {"alive": "living", "attempts": "attacks", "tags": "hits"}  # noqa: RUF012
    world_of = staticmethod(pursuit_world)
    rewards_exceed_range = True
