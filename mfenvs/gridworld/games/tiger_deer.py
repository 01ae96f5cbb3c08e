"""Tiger and deer: tigers must eat, and hunting is paid only in company."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from mfenvs.gridworld.config import WorldConfig
from mfenvs.gridworld.game import GridGame
from mfenvs.gridworld.hunting import PAIRS
from mfenvs.gridworld.units import AttackReward, Group, UnitType, World, bounds_of, single
from mfenvs.validate import plain_fields

LEAST_MAP = 10
# Shares of the map's cells.
WALLS, DEER, TIGERS = 0.04, 0.05, 0.01


@dataclass(frozen=True)
class TigerDeerConfig(WorldConfig):
    """Options of `tiger_deer_v0`. The first six, and ``seed``, are those of MAgent2's
    ``tiger_deer_v4``.

    Attributes:
        map_size: cells along an edge of the map, its walls included; at least 10.
        max_cycles: steps until truncation; None for never.
        minimap_mode: adds both groups' minimaps to the view, and the position to the features.
        extra_features: adds id bits, last action and last reward to the features.
        tiger_step_recover: health that a tiger regains in a step; below 0, what it loses.
        deer_attacked: what a deer gets for each attack that hits it and does not kill it.
        seed: of the first episode if ``reset`` is given none; None is 0, as in MAgent2.
        joint_reward: what a tiger that hits a deer gets for each other tiger that hits it in the step.
        kill_reward: what the tiger that kills a deer gets.
        dead_penalty: what a deer gets for the step in which it dies, before ``deer_attacked``.
        placement: "magent2", walls and positions drawn anew in each episode ("random" is the same); or
            the positions: {"deer": [(x, y), ...], "tiger": [...], "walls": [...]}.
        counts: how many are drawn, such as {"deer": 50, "tiger": 10, "walls": 0}; None, or a missing
            name, for MAgent2's shares of the map's cells: 0.05, 0.01 and 0.04.
        units: changes to the unit types, such as {"tiger": {"hp": 20.0}}; see `UnitType`.
        copied_start: whether in the first step of an episode tiger_i takes the action that is sent to
            the i-th of all agents, a slip of MAgent2's wrapper that equality with it needs. The tigers'
            choices do not count then (``acting`` False), unless they are the same.
        first_walls: whether ``state()`` shows the walls of MAgent2's constructor in all episodes, as
            equality with it needs, in place of the episode's.
        neighbors: which agents are neighbors: "group" (deer, or tigers) or "all"; "team" and "type" mean
            the same as "group".
        neighbor_radius: if given, only those so near, as a Euclidean distance.

    Raises:
        ValueError, TypeError: from the constructor, naming the option, its value and what is allowed.
    """

    NEIGHBORS = ("group", "team", "type", "all")

    map_size: int = 45
    max_cycles: int | None = 300
    minimap_mode: bool = False
    extra_features: bool = False
    tiger_step_recover: float = -0.1
    deer_attacked: float = -0.1
    seed: int | None = None
    joint_reward: float = 1.0
    kill_reward: float = 0.0
    dead_penalty: float = -1.0
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
        for name in (
            "tiger_step_recover",
            "deer_attacked",
            "joint_reward",
            "kill_reward",
            "dead_penalty",
        ):
            single(name, getattr(self, name))
        self.keep_plain(tiger_deer_world(self))


class TigerDeerRules(TypedDict, total=False):
    """The fields of `TigerDeerConfig` that MAgent2's ``parallel_env`` takes by name alone, or lacks."""

    tiger_step_recover: float
    deer_attacked: float
    joint_reward: float
    kill_reward: float
    dead_penalty: float
    placement: Any
    counts: Any
    units: Any
    copied_start: bool
    first_walls: bool
    neighbors: str
    neighbor_radius: float | None


class TigerDeerOptions(TigerDeerRules, total=False):
    """The fields of `TigerDeerConfig`, as keyword arguments for type checkers and editors."""

    map_size: int
    max_cycles: int | None
    minimap_mode: bool
    extra_features: bool
    seed: int | None


# Only what decides a match is paid: a deer that is killed.
UNSHAPED: dict[str, Any] = {"deer_attacked": 0.0, "joint_reward": 0.0, "kill_reward": 1.0}


def tiger_deer_world(config: TigerDeerConfig) -> World:
    """Returns the world that the options describe."""
    units = config.changed(
        {
            "deer": UnitType(
                "deer",
                hp=5,
                view_radius=1,
                recover=0.2,
                dead_penalty=config.dead_penalty,
                kill_reward=config.kill_reward,
                kill_supply=8,
            ),
            "tiger": UnitType(
                "tiger",
                hp=10,
                view_radius=4,
                attack_radius=1,
                damage=1,
                recover=config.tiger_step_recover,
            ),
        }
    )
    groups = (
        Group("deer", units["deer"], color="green"),
        Group("tiger", units["tiger"], color="amber"),
    )
    cells = config.map_size**2
    hunt = AttackReward("tiger", "hit", "deer", 0.0, config.deer_attacked, config.joint_reward)
    return World(
        groups=groups,
        placement=config.placed(
            groups, (int(DEER * cells), int(TIGERS * cells)), int(WALLS * cells)
        ),
        rewards=(hunt,),
        reward_range=bounds_of(1, -1, config.tiger_step_recover, config.deer_attacked),
    )


class TigerDeerGame(GridGame):
    """Tigers hunt deer; a tiger that does not eat starves, and attacks pay only where tigers attack a
    deer together.

    Bit for bit MAgent2's ``tiger_deer_v4`` under its options: the same seed and the same actions give
    the same observations, rewards and ends.

    Observation, by type: deer float32 [3, 3, C], tigers [9, 9, C], 0 beyond a distance of 1, or 4: wall,
        the agent's group, its hp, [its minimap], the other group, its hp, [its minimap]; C = 5, or 7
        with ``minimap_mode``. With ``extra_features`` or ``minimap_mode`` a dict of this "view" and of
        "features" float32 [F]: ten bits of the id, the last action one-hot and the last reward; x and y
        over the map's size. In the PettingZoo view both in one, the features repeated at every cell.
    Action: 0 to 4 move by one cell (2 stays); tigers also attack one of the four cells beside, 5 to 8. A
        move to a cell that is not blank fails.
    Reward: a tiger that hits a deer and does not kill it gets 1 for each other tiger that does so in the
        step; the deer gets -0.1 for each. A killed deer gets -1 in place of what came before the blow;
        its killer gets no reward and 8 hp. A deer regains 0.2 hp in a step, a tiger loses 0.1, and
        starves in its 100th step without a meal.
    Termination: of the dead; and of everybody, once there are no deer or no tigers. Truncation: after
        ``max_cycles`` steps.
    State: float32 [map, map, 5], indexed [x, y]: wall, deer, their hp, tigers, their hp; with
        ``extra_features`` also the features without the position, at the agents' cells.
    """

    id = "tiger_deer_v0"
    Config = TigerDeerConfig
    name = "Tiger and deer"
    players = PAIRS
    match_measure = "kills"
    world_of = staticmethod(tiger_deer_world)
    rewards_exceed_range = True
