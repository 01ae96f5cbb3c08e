"""The options of a battle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mfenvs.battle.placement import NAMED, explicit
from mfenvs.validate import flag, member, number, positive, whole

NEIGHBORS = ("team", "all")
LEAST_MAP = 12


@dataclass(frozen=True)
class BattleConfig:
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
        attack_radius: of the circle that an attack reaches, the agent's own cell excepted.
        placement: "magent2"; "paper"; "random", another start each episode (see `start_of` for all
            three); or the cells: ``{"red": [(x, y), ...], "blue": [...]}``.
        start_range: of ``placement="random"`` alone: by how many cells at most the armies' distance and
            their vertical offset differ from MAgent2's; 0 or more, as far as the map has room. 0 is
            always MAgent2's distance and no offset, and a coin says who is left.
        copied_start: whether in the first step of an episode blue_i does what the i-th of all agents
            was told, which is red_i, whatever it chose itself: a slip of MAgent2's wrapper that
            equality with it needs. Blue's choices do not count then (``acting`` False), unless they
            are the same.
        neighbors: who is in an agent's neighbourhood: "team" (the paper's) or "all".
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
        whole("map_size", self.map_size, LEAST_MAP, 2**13)
        flag("minimap_mode", self.minimap_mode)
        flag("extra_features", self.extra_features)
        flag("copied_start", self.copied_start)
        whole("start_range", self.start_range, 0)
        if self.max_cycles is not None:
            whole("max_cycles", self.max_cycles, 1)
        if self.seed is not None:
            whole("seed", self.seed, 0)
        positive("hp", self.hp)
        positive("damage", self.damage)
        for name in (*self.rewards(), "hp", "damage", "recover"):
            _single(name, getattr(self, name))
        for name, least in (("recover", 0), ("speed", 1), ("view_radius", 1), ("attack_radius", 1)):
            if number(name, value := getattr(self, name)) < least:
                raise ValueError(f"{name}={value!r} is out of range; allowed: {least} or more")
        for name in ("speed", "view_radius", "attack_radius"):
            if (value := getattr(self, name)) >= self.map_size:
                raise ValueError(f"{name}={value!r} on a map of {self.map_size}; allowed: less")
        member("neighbors", self.neighbors, NEIGHBORS)
        if self.neighbor_radius is not None and number("neighbor_radius", self.neighbor_radius) < 0:
            raise ValueError(
                f"neighbor_radius={self.neighbor_radius!r}; allowed: 0 or more, or None"
            )
        if not isinstance(self.placement, str) or self.placement not in NAMED:
            object.__setattr__(self, "placement", explicit(self.placement, self.map_size))

    @staticmethod
    def rewards() -> tuple[str, ...]:
        """The options that are rewards, in MAgent2's order."""
        return (
            "kill_reward",
            "step_reward",
            "dead_penalty",
            "attack_penalty",
            "attack_opponent_reward",
        )


def _single(name: str, value: Any) -> None:
    """Raises ValueError unless a number is one in single precision too, which the rules compute in."""
    with np.errstate(over="ignore", under="ignore"):
        single = np.float32(number(name, value))
    if not np.isfinite(single) or (single == 0) != (value == 0):
        raise ValueError(f"{name}={value!r}; allowed: 0, or a size from 1e-45 to 3e38 (float32)")


# The paper's settings (authors' train_battle.py, and section C14 of its reading).
PAPER: dict[str, Any] = {
    "map_size": 40,
    "minimap_mode": True,
    "extra_features": True,
    "max_cycles": 400,
    "placement": "paper",
    "copied_start": False,
}
