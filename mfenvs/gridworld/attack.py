"""Attacks, recovery and hunger: all that changes hp."""

import numpy as np

from mfenvs.gridworld.board import ALIVE, BLANK, DYING, FIRST, cover, place_of, show_one
from mfenvs.gridworld.tables import (
    ATTACK_PENALTY,
    DAMAGE,
    DEAD_PENALTY,
    IN_GROUP,
    KILL_REWARD,
    KILL_SUPPLY,
    NUM_ACTIONS,
    TO_ATTACKER,
    group_of,
    side_of,
    type_of,
)

NOTHING, MISS, HIT, KILL = 0, 1, 2, 3


def attack(row, params, state, attacks):
    """Makes the attacks one by one, from where agents stood before anybody moved.

    An agent with hp below 0 dies, and its dead_penalty replaces what it has earned in this step.
    """
    for i in range(attacks):
        # By way of unsigned numbers, so that the compiler knows that indices are not negative.
        agent = np.int64(np.uint32(state.queue[row, i]))
        if state.status[row, agent] != ALIVE:
            continue
        group, unit = group_of(agent, params.agents), type_of(agent, params.agents)
        action = np.int64(np.uint16(state.last_action[row, agent]))
        if action == params.units[unit, NUM_ACTIONS]:  # queued, but no action; see `enlist`
            continue
        state.attacks[row, group] += 1
        target = place_of(row, agent, params, state) + params.reach[unit, action]
        victim = np.int64(state.grid[row, np.uint64(target)]) - FIRST
        if not can_hit(row, group, unit, victim, params, state):
            state.attack_result[row, agent] = MISS
            state.reward[row, agent] += params.amounts[unit, ATTACK_PENALTY]
            continue
        prize = np.float32(0.0)
        state.attack_result[row, agent] = HIT
        if params.pays_victims or params.pays_jointly:
            state.victim[row, agent] = victim
        other = group_of(victim, params.agents)
        state.bounty[row, agent] = params.paid[group, other, 0, TO_ATTACKER]
        counts = np.int32(side_of(group, params.groups) != side_of(other, params.groups))
        state.hits[row, group] += counts
        hp = state.hp[row, victim] - params.amounts[unit, DAMAGE]
        state.hp[row, victim] = hp
        if hp < np.float32(0.0):
            state.attack_result[row, agent] = KILL
            state.kills[row, group] += counts
            state.bounty[row, agent] = params.paid[group, other, 1, TO_ATTACKER]
            killed = type_of(victim, params.agents)
            state.status[row, victim] = DYING
            state.living[row, other] -= 1
            state.reward[row, victim] = params.amounts[killed, DEAD_PENALTY]
            state.grid[row, target] = BLANK
            prize = params.amounts[killed, KILL_REWARD]
            fed = state.hp[row, agent] + params.amounts[killed, KILL_SUPPLY]
            state.hp[row, agent] = min(params.max_hp[agent], fed)
        state.reward[row, agent] += prize + params.amounts[unit, ATTACK_PENALTY]
        if victim >= params.num_changing:
            show_one(row, FIRST + victim, params, state, state)
    if not params.single_cell:
        for agent in range(params.num_agents):
            if state.status[row, agent] == DYING:
                cover(row, agent, place_of(row, agent, params, state), BLANK, params, state)


def can_hit(row, group, unit, victim, params, state):
    """Whether an attack by an agent of a group and type hits what holds the cell (below 0: no agent)."""
    if victim < 0:
        return False
    if group_of(victim, params.agents) == group and params.units[unit, IN_GROUP] == 0:
        return False
    # The bodies of those killed before stay on the map until all attacks are made, unless one cell.
    return params.single_cell or state.status[row, victim] == ALIVE


def recover(row, params, state):
    """Adds ``recover`` to the hp of the living, up to the most."""
    for agent in range(params.num_changing):
        # Without a branch, so that this becomes vector instructions.
        hp = state.hp[row, agent]
        gained = min(params.max_hp[agent], hp + params.recover[agent])
        state.hp[row, agent] = gained if state.status[row, agent] == ALIVE else hp
    if params.starves:
        starve(row, params, state)


def starve(row, params, state):
    """Lets the agents die that have hp below 0; their reward is their dead_penalty."""
    for agent in range(params.num_changing):
        if state.status[row, agent] == ALIVE and state.hp[row, agent] < np.float32(0.0):
            state.status[row, agent] = DYING
            state.living[row, group_of(agent, params.agents)] -= 1
            state.reward[row, agent] = params.amounts[type_of(agent, params.agents), DEAD_PENALTY]
            cover(row, agent, place_of(row, agent, params, state), BLANK, params, state)
