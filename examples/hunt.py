"""A grid world of your own: spears and bows, on one side, hunt bison among trees.

python -m examples.hunt [cuda]
"""

import sys
from dataclasses import dataclass

import mfenvs
import mfq
from mfenvs.gridworld.config import OwnConfig
from mfenvs.gridworld.game import GridGame
from mfenvs.gridworld.hunting import HUNTERS
from mfenvs.gridworld.units import AttackReward, Group, UnitType, World

SPEAR = UnitType("spear", hp=5, speed=2, view_radius=5, attack_radius=1.5, damage=3)
BOW = UnitType("bow", view_radius=6, attack_radius=4, damage=1, attack_penalty=-0.1)
BISON = UnitType("bison", 2, 2, hp=8, speed=1.5, view_radius=4, dead_penalty=-1)


@dataclass(frozen=True)
class HuntConfig(OwnConfig):
    map_size: int = 30

    def __post_init__(self) -> None:
        self.check_shared(least_map=12)
        self.keep_plain(hunt_world(self))


def hunt_world(config: HuntConfig) -> World:
    units = config.changed({"spear": SPEAR, "bow": BOW, "bison": BISON})
    spears = Group("spear", units["spear"], side="hunters", color="red")
    bows = Group("bow", units["bow"], side="hunters", color="amber")
    groups = spears, bows, Group("bison", units["bison"], color="green")
    placement = config.placed(groups, numbers=(6, 6, 10), num_walls=25)
    hits = [AttackReward(name, "hit", "bison", 0.2, -0.1) for name in ("spear", "bow")]
    kills = [AttackReward(name, "kill", "bison", 5.0) for name in ("spear", "bow")]
    return World(groups, placement, (*hits, *kills))


@mfenvs.register
class HuntGame(GridGame):
    id, name, Config = "hunt_v0", "Hunt", HuntConfig
    match_measure, players = "kills", HUNTERS
    world_of = staticmethod(hunt_world)


def main(device: str = "cpu", steps: int = 300) -> dict[str, dict[str, float]]:
    view = mfq.wrap(mfenvs.make_batched("hunt_v0", num_envs=8, device=device))
    config = mfq.QConfig(network={"filters": 0, "hidden": (64,)})
    agent = mfq.ByType(view, lambda its, seed: mfq.QAgent(its, config=config, seed=seed))
    mfq.train(view, agent, steps=steps)
    return mfq.evaluate(view, {"hunters": agent, "bison": "flee"}, episodes=8)


if __name__ == "__main__":
    print(main(*sys.argv[1:])["hunters"])
