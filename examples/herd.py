"""A grid world as a table: archers and spearmen hunt a herd. `python -m examples.herd` plays it."""

from dataclasses import dataclass
from typing import Any

from mfenvs.gridworld.config import WorldConfig
from mfenvs.gridworld.game import GridGame
from mfenvs.gridworld.units import AttackReward, Group, UnitType, World
from mfenvs.registry import GAMES


@dataclass(frozen=True)
class HerdConfig(WorldConfig):
    map_size: int = 20
    minimap_mode: bool = False
    extra_features: bool = False
    max_cycles: int | None = 100
    seed: int | None = None
    copied_start: bool = False
    neighbors: str = "team"
    neighbor_radius: float | None = None
    placement: Any = "random"
    counts: Any = None
    units: Any = None

    def __post_init__(self) -> None:
        self.check_shared(least_map=8)
        self.keep_plain(herd_world(self))


def herd_world(config: HerdConfig) -> World:
    units = config.changed(
        {
            "archer": UnitType("archer", hp=2, view_radius=5, attack_radius=3, damage=1),
            "spear": UnitType("spear", hp=4, speed=1.5, view_radius=3, attack_radius=1, damage=2),
            "cow": UnitType("cow", width=2, length=2, hp=6, view_radius=3, dead_penalty=-1),
        }
    )
    groups = (
        Group("archer", units["archer"], side="hunters", color="red"),
        Group("spear", units["spear"], side="hunters", color="amber"),
        Group("cow", units["cow"], color="green"),
    )
    rewards = [
        AttackReward(hunter, op, "cow", reward)
        for hunter in ("archer", "spear")
        for op, reward in (("hit", 0.1), ("kill", 1.0))
    ]
    return World(groups, config.placed(groups, numbers=(4, 4, 8), num_walls=6), tuple(rewards))


class Herd(GridGame):
    id, Config, name, match_measure = "herd_v0", HerdConfig, "Herd", "kills"
    world_of = staticmethod(herd_world)


GAMES["herd_v0"] = "examples.herd:Herd"  # so that mfenvs and mfq know it by name

if __name__ == "__main__":
    import mfenvs

    env = mfenvs.make_batched("herd_v0", num_envs=8)  # device="cuda" for a GPU
    obs, _ = env.reset(seed=0)
    print({name: tuple(part.shape) for name, part in obs.items()})
    for _ in range(60):
        env.step(env.scripted("rush"))
    info = env.last()[-1]
    print({name: info[name].tolist() for name in ("archer_kills", "spear_kills", "cow_alive")})
