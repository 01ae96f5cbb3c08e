"""The tables of `Params`: which column holds what.

Few arrays with columns, instead of one for each quantity, since every array of a rule's arguments costs
time on every call.
"""

import numpy as np

# params.agents: uint32 [N, 2], and params.groups: uint32 [G + 1, 3]. As unsigned numbers they tell the
# compiler that indices are not negative, without which loops over a group's agents do not become vector
# instructions.
GROUP, TYPE = 0, 1
FIRST_AGENT, UNIT, SIDE = 0, 1, 2
# params.units: int64 [T, 10]; the last three are of the unit's view: cells along its edge, cells in
# sight, and its numbers, without features.
WIDTH, LENGTH, CENTER, NUM_MOVES, NUM_ACTIONS, STAY, IN_GROUP = 0, 1, 2, 3, 4, 5, 6
WINDOW, NUM_SEEN, NUM_NUMBERS = 7, 8, 9
# params.amounts: float32 [T, 5]
DAMAGE, ATTACK_PENALTY, DEAD_PENALTY, KILL_REWARD, KILL_SUPPLY = range(5)
# params.paid: float32 [G, G, 2, 2]; by the groups of attacker and victim, and for a hit or a kill.
TO_ATTACKER, TO_VICTIM = 0, 1
# params.starts: int64 [S, G, 3]
SIZE, NUMBER, RIGHT = 0, 1, 2


def first_agent(group, groups):
    """A group's first agent, or for ``group`` G the number of agents."""
    return np.int64(groups[group, FIRST_AGENT])


def unit_of(group, groups):
    """The unit type of a group."""
    return np.int64(groups[group, UNIT])


def side_of(group, groups):
    """The side of a group."""
    return np.int64(groups[group, SIDE])


def group_of(agent, agents):
    """The group of an agent."""
    return np.int64(agents[agent, GROUP])


def type_of(agent, agents):
    """The unit type of an agent."""
    return np.int64(agents[agent, TYPE])
