"""What a grid world is made of: unit types, groups of agents, and rewards between groups."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mfenvs.gridworld.placement import Placement
from mfenvs.validate import flag, number, one_of, positive, whole

COLORS = ("red", "blue", "green", "amber")  # of the canvas's theme
OPS = ("hit", "kill")


@dataclass(frozen=True)
class UnitType:
    """What all agents of a type can do; the defaults are MAgent's.

    An agent is a rectangle of cells, and its position is that of the top-left one. Radii are Euclidean.
    Views and attacks are measured from the body's center, moves from its position. Numbers are used in
    single precision.

    Attributes:
        name: the type of its agents in the game; unit types of one name must have equal views and
            equally many actions.
        width, length: cells of the body along x and y.
        hp: health at the start, and the most.
        speed: how far a move goes.
        view_radius: how far an agent sees.
        attack_radius: how far an attack reaches; 0 for no attacks.
        damage: health that an attack takes from the agent that it hits.
        recover: health regained in a step; below 0, health lost in a step, which can kill.
        step_reward: of every step that an agent lives through.
        attack_penalty: added for every attack.
        dead_penalty: what an agent gets for the step in which it dies, instead of its step reward and
            of what it has earned before its death.
        kill_reward: what the agent that kills one of this type gets.
        kill_supply: health that the agent that kills one of this type regains.
        attack_in_group: whether attacks also hit agents of the attacker's group.

    Raises:
        ValueError, TypeError: naming the attribute, its value and what is allowed.
    """

    name: str = ""
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

    def __post_init__(self) -> None:
        whole("width", self.width, 1)
        whole("length", self.length, 1)
        positive("hp", self.hp)
        flag("attack_in_group", self.attack_in_group)
        for name in ("hp", "damage", "recover", *PAYMENTS, "kill_supply"):
            single(name, getattr(self, name))
        least_view = 1 - self.width % 2  # a view of even size has no cell below 1
        for name, least in (
            ("speed", 0),
            ("view_radius", least_view),
            ("attack_radius", 0),
            ("damage", 0),
            ("kill_supply", 0),
        ):
            if number(name, value := getattr(self, name)) < least:
                raise ValueError(f"{name}={value!r} is out of range; allowed: {least} or more")


PAYMENTS = ("step_reward", "attack_penalty", "dead_penalty", "kill_reward")


def single(name: str, value: Any) -> None:
    """Raises ValueError unless a nonzero number is finite and nonzero in single precision."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = np.float32(number(name, value))
    if not np.isfinite(rounded) or (rounded == 0) != (value == 0):
        raise ValueError(f"{name}={value!r}; allowed: 0, or a size from 1e-45 to 3e38 (float32)")


ARMY_REWARDS = (
    "kill_reward",
    "step_reward",
    "dead_penalty",
    "attack_penalty",
    "attack_opponent_reward",
)
"""The rewards among the options of games between two armies, in MAgent2's order."""


def bounds_of(*rewards: float) -> tuple[float, float]:
    """Returns the sum of the negative rewards, and that of the positive ones, as MAgent2 bounds them."""
    amounts = np.array(rewards, np.float64)
    return float(np.minimum(amounts, 0).sum()), float(np.maximum(amounts, 0).sum())


@dataclass(frozen=True)
class Group:
    """Agents of one type that share channels in the views; MAgent's group.

    Attributes:
        name: its agents are called ``name_0``, ``name_1`` and so on.
        unit: the type of its agents.
        side: groups of one side play together. By default each group is a side.
        color: in pictures; one of `COLORS`.
        passive: whether its units never act. They are on the board, in views and minimaps, and the
            episode ends when all are gone, but they are not among the agents.
    """

    name: str
    unit: UnitType
    side: str = ""
    color: str = "red"
    passive: bool = False

    def __post_init__(self) -> None:
        one_of("color", self.color, COLORS)
        flag("passive", self.passive)
        if not self.side:
            object.__setattr__(self, "side", self.name)


@dataclass(frozen=True)
class AttackReward:
    """Rewards for an attack, beside those of the unit types; MAgent's reward rule.

    Paid at the end of a step, so also to agents that die in it: first to attackers, then to victims.
    "hit" means a hit that does not kill.

    Attributes:
        attacker, victim: names of groups.
        op: "hit" or "kill".
        reward: added to the attacker's reward.
        victim_reward: added to the victim's reward.
        joint_reward: added to the attacker's reward once for each other agent of its group that hits
            the same victim in the step; for "hit" alone.
    """

    attacker: str
    op: str
    victim: str
    reward: float = 0.0
    victim_reward: float = 0.0
    joint_reward: float = 0.0

    def __post_init__(self) -> None:
        one_of("op", self.op, OPS)
        for name in ("reward", "victim_reward", "joint_reward"):
            single(name, getattr(self, name))
        if self.joint_reward and self.op != "hit":
            raise ValueError(f"joint_reward={self.joint_reward!r} with op='kill'; allowed: 'hit'")


@dataclass(frozen=True)
class World:
    """A grid world as a table.

    Attributes:
        groups: in the order in which they act; passive ones are the last.
        placement: where their agents start.
        rewards: at most one for each attacker, op and victim.
        reward_range: the bounds of the last reward in the observation space of the PettingZoo view.
        id_bits: the number of features for an agent's number, with ``extra_features``.

    Raises:
        ValueError: for two groups of one name, for a passive group before one that acts, for no group
            that acts, for two rewards of one attacker, op and victim, for rewards of a group that does
            not exist, and for a placement of another number of groups.
    """

    groups: tuple[Group, ...]
    placement: Placement
    rewards: tuple[AttackReward, ...] = ()
    reward_range: tuple[float, float] = (-math.inf, math.inf)
    id_bits: int = 10
    unit_types: tuple[UnitType, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = [group.name for group in self.groups]
        for k, name in enumerate(names):
            if name in names[:k]:
                raise ValueError(f"groups[{k}].name={name!r} is taken; allowed: each name once")
        passive = [group.passive for group in self.groups]
        if passive != sorted(passive) or all(passive):
            raise ValueError(
                f"groups are passive: {passive}; allowed: one or more that act, then passive ones"
            )
        for k, reward in enumerate(self.rewards):
            one_of(f"rewards[{k}].attacker", reward.attacker, names)
            one_of(f"rewards[{k}].victim", reward.victim, names)
            key = (reward.attacker, reward.op, reward.victim)
            if any(key == (r.attacker, r.op, r.victim) for r in self.rewards[:k]):
                raise ValueError(f"rewards[{k}] is a second one for {key}; allowed: one of each")
        if self.placement.size.shape[1] != len(names):
            raise ValueError(
                f"placement has {self.placement.size.shape[1]} groups; allowed: {len(names)}"
            )
        object.__setattr__(self, "unit_types", tuple(dict.fromkeys(g.unit for g in self.groups)))

    @property
    def sides(self) -> tuple[str, ...]:
        """The names of the sides, in the order of the groups."""
        return tuple(dict.fromkeys(group.side for group in self.groups))

    @property
    def acting(self) -> tuple[Group, ...]:
        """The groups that are not passive: the first ones."""
        return tuple(group for group in self.groups if not group.passive)

    @property
    def type_names(self) -> tuple[str, ...]:
        """The names of the unit types of the groups that act."""
        return tuple(dict.fromkeys(group.unit.name for group in self.acting))
