"""A small grid world of three groups and two unit types, on two sides, with bodies of several sizes."""

from dataclasses import dataclass, replace

from mfenvs.gridworld.config import GridConfig
from mfenvs.gridworld.game import GridGame
from mfenvs.gridworld.placement import explicit, listed
from mfenvs.gridworld.units import AttackReward, Group, UnitType, World

SPEAR = UnitType(
    hp=4.0,
    speed=1.0,
    view_radius=3.0,
    attack_radius=1.5,
    damage=1.5,
    recover=0.3,
    step_reward=-0.01,
    attack_penalty=-0.1,
    dead_penalty=-0.7,
    kill_reward=2.0,
    kill_supply=1.1,
)
# It starves without kills, and may hit its group.
SCOUT = UnitType(
    hp=2.5,
    speed=1.5,
    view_radius=3.0,
    attack_radius=1.0,
    damage=1.0,
    recover=-0.15,
    attack_penalty=-0.05,
    dead_penalty=-0.3,
    kill_reward=1.0,
    kill_supply=0.4,
    attack_in_group=True,
)
# By name, both unit types. All have 13 actions and one size of the view.
UNITS = {
    "cells": (SPEAR, SCOUT),
    "tall": (replace(SPEAR, length=2), SCOUT),
    "squares": (
        replace(SPEAR, width=2, length=2, attack_radius=2.0),
        replace(SCOUT, width=2, length=2, speed=1.0, attack_radius=2.0),
    ),
    "wide": (replace(SPEAR, width=3, length=3, speed=1.5, attack_radius=2.0), SCOUT),
}
REWARDS = (
    AttackReward("red", "hit", "blue", 0.2),
    AttackReward("blue", "kill", "green", 1.3, -0.4),
    AttackReward("green", "hit", "green", -0.3, 0.05),
    AttackReward("blue", "hit", "red", 0.6, -0.2),
)
TOY_CELLS = {
    "red": [(2, 2), (2, 6), (6, 2), (6, 10)],
    "green": [(5, 6), (8, 6), (5, 8), (8, 8), (9, 4)],
    "blue": [(10, 2), (10, 6), (10, 10), (2, 10)],
}


@dataclass(frozen=True)
class ToyGridConfig(GridConfig):
    """Options; ``units`` is a key of UNITS."""

    map_size: int = 15
    minimap_mode: bool = False
    extra_features: bool = False
    max_cycles: int | None = 30
    seed: int | None = None
    copied_start: bool = False
    neighbors: str = "team"
    neighbor_radius: float | None = None
    units: str = "cells"

    def __post_init__(self) -> None:
        self.check_shared(15)


class ToyGrid(GridGame):
    id = "toy_grid"
    Config = ToyGridConfig

    @staticmethod
    def world_of(config: ToyGridConfig) -> World:
        spear, scout = UNITS[config.units]
        units = (spear, scout, spear)
        bodies = [(unit.width, unit.length) for unit in units]
        cells = explicit(TOY_CELLS, config.map_size, list(TOY_CELLS), bodies=bodies)
        return World(
            groups=(
                Group("red", spear, side="north", color="red"),
                Group("green", scout, side="north", color="green"),
                Group("blue", spear, side="south", color="blue"),
            ),
            placement=listed(cells),
            rewards=REWARDS,
            reward_range=(-5.0, 5.0),
        )
