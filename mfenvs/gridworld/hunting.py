"""Scripted players of games in which some agents hunt others, or food; see `mfenvs.gridworld.scripted`.

A side of an enemy is a place from which one of an agent's attacks reaches the enemy's position.
"""

import numpy as np

from mfenvs.gridworld.board import ALIVE, place_of
from mfenvs.gridworld.scripted import (
    PLAYERS,
    approach,
    are_enemies,
    can_stand,
    go_to,
    weakest_in_reach,
)
from mfenvs.gridworld.tables import (
    LENGTH,
    NUM_ACTIONS,
    NUM_MOVES,
    STAY,
    WIDTH,
    first_agent,
    group_of,
    side_of,
    type_of,
)

BORDER = 0.125  # the danger of the border in a distance of one cell, in that of an enemy


def hunt(row, agent, params, state, out):
    """Attacks as `hold` does; else goes to the nearest free side of an enemy. Agents without attacks
    flee.

    Of the sides at the least distance the first is taken, by enemy, then by action. With no free side on
    the map it goes where `rush` does.
    """
    out[row, agent] = -1
    if state.status[row, agent] == ALIVE:
        unit = type_of(agent, params.agents)
        if params.units[unit, NUM_ACTIONS] == params.units[unit, NUM_MOVES]:
            out[row, agent] = away(row, agent, params, state)
        else:
            strike = weakest_in_reach(row, agent, params, state)
            if strike < 0:
                strike = close_in(row, agent, params, state)
            out[row, agent] = strike


def hunt_in_pairs(row, agent, params, state, out):
    """Hunts together with a mate: the first and the second agent of a group are mates, and so on.

    The two choose one enemy: that of the least sum of their squared distances, the first by index. An
    agent attacks it if its mate can attack it, too, or is dead; else it waits beside it, or goes to its
    nearest free side. An agent with less than half of its hp is hungry: it attacks whom it reaches,
    first their enemy, then as `hold` does. Agents without attacks flee.
    """
    out[row, agent] = -1
    if state.status[row, agent] == ALIVE:
        unit = type_of(agent, params.agents)
        if params.units[unit, NUM_ACTIONS] == params.units[unit, NUM_MOVES]:
            out[row, agent] = away(row, agent, params, state)
            return
        mate = mate_of(row, agent, params, state)
        goal = nearest_to_both(row, agent, mate, params, state)
        strike = attack_on(row, agent, goal, params, state)
        is_hungry = np.float32(2.0) * state.hp[row, agent] < params.max_hp[agent]
        if strike >= 0:
            together = mate < 0 or attack_on(row, mate, goal, params, state) >= 0
            out[row, agent] = strike if together or is_hungry else params.units[unit, STAY]
            return
        if is_hungry:
            strike = weakest_in_reach(row, agent, params, state)
        if strike < 0:
            strike = go_beside(row, agent, goal, params, state)
        out[row, agent] = strike


def flee(row, agent, params, state, out):
    """Goes to the least dangerous of the places that its moves lead to and that are free, the first by
    index; stays if none is less dangerous than where it is.

    The danger of a place is the sum of 1 / d^4 over the living enemies, at distances d between the
    middles of bodies, and of 0.125 / d^4 over the map's four borders.
    """
    out[row, agent] = -1
    if state.status[row, agent] == ALIVE:
        out[row, agent] = away(row, agent, params, state)


def away(row, agent, params, state):
    """The move of `flee`."""
    unit = type_of(agent, params.agents)
    here, best = place_of(row, agent, params, state), params.units[unit, STAY]
    least = danger(row, agent, here, params, state)
    for action in range(params.units[unit, NUM_MOVES]):
        there = here + params.reach[unit, action]
        if can_stand(row, agent, there, params, state):
            now = danger(row, agent, there, params, state)
            if now < least:
                best, least = action, now
    return best


def danger(row, agent, place, params, state):
    """The danger of a place, float64; see `flee`."""
    unit = type_of(agent, params.agents)
    width, length = params.units[unit, WIDTH], params.units[unit, LENGTH]
    left, top = place % params.stride - params.rim, place // params.stride - params.rim
    x, y = 2 * left + width, 2 * top + length
    side = side_of(group_of(agent, params.agents), params.groups)
    total = np.float64(0.0)
    for group in range(params.num_groups):
        if side_of(group, params.groups) == side:
            continue
        first, last = first_agent(group, params.groups), first_agent(group + 1, params.groups)
        for other in range(first, last):
            if state.status[row, other] == ALIVE:
                body = type_of(other, params.agents)
                dx = 2 * np.int64(state.x[row, other]) + params.units[body, WIDTH] - x
                dy = 2 * np.int64(state.y[row, other]) + params.units[body, LENGTH] - y
                gap = dx * dx + dy * dy
                total += 16.0 / np.float64(gap * gap)
    right, down = params.size - left - width, params.size - top - length
    for gap in (left, top, right, down):
        total += BORDER / np.float64(gap * gap * gap * gap)
    return total


def close_in(row, agent, params, state):
    """The move towards the nearest free side of an enemy."""
    side = side_of(group_of(agent, params.agents), params.groups)
    best, least, nearest = np.int64(-1), np.int64(0), np.int64(-1)
    for group in range(params.num_groups):
        if side_of(group, params.groups) == side:
            continue
        first, last = first_agent(group, params.groups), first_agent(group + 1, params.groups)
        for other in range(first, last):
            if state.status[row, other] == ALIVE:
                limit = least if best >= 0 else np.int64(-1)
                place = free_side(row, agent, other, limit, params, state)
                if place >= 0:
                    best, least = place, gap_to(row, agent, place, params, state)
                elif best < 0:
                    gap = gap_to(row, agent, place_of(row, other, params, state), params, state)
                    if nearest < 0 or gap < least:
                        nearest, least = other, gap
    if best < 0:
        return approach(row, agent, nearest, params, state)
    column, line = best % params.stride - params.rim, best // params.stride - params.rim
    return go_to(row, agent, column, line, params, state)


def go_beside(row, agent, goal, params, state):
    """The move towards the nearest free side of the enemy ``goal``, or towards it if it has none; stays
    if ``goal`` is -1."""
    if goal >= 0:
        place = free_side(row, agent, goal, np.int64(-1), params, state)
        if place >= 0:
            column, line = place % params.stride - params.rim, place // params.stride - params.rim
            return go_to(row, agent, column, line, params, state)
    return approach(row, agent, goal, params, state)


def free_side(row, agent, other, limit, params, state):
    """The nearest free side of an enemy that is nearer than ``limit`` (-1: any), the first by action; -1
    for none."""
    unit, target = type_of(agent, params.agents), place_of(row, other, params, state)
    best, least = np.int64(-1), limit
    for action in range(params.units[unit, NUM_MOVES], params.units[unit, NUM_ACTIONS]):
        place = target - params.reach[unit, action]
        gap = gap_to(row, agent, place, params, state)
        if (least < 0 or gap < least) and can_stand(row, agent, place, params, state):
            best, least = place, gap
    return best


def gap_to(row, agent, place, params, state):
    """The squared distance from the agent's position to a place."""
    dx = place % params.stride - params.rim - np.int64(state.x[row, agent])
    dy = place // params.stride - params.rim - np.int64(state.y[row, agent])
    return dx * dx + dy * dy


def mate_of(row, agent, params, state):
    """The agent's mate in `hunt_in_pairs`, -1 if there is none or it is not alive."""
    group = group_of(agent, params.agents)
    first = first_agent(group, params.groups)
    mate = first + ((agent - first) ^ 1)
    if mate >= first_agent(group + 1, params.groups) or state.status[row, mate] != ALIVE:
        return np.int64(-1)
    return mate


def nearest_to_both(row, agent, mate, params, state):
    """The living enemy of the least sum of squared distances to an agent and its mate (-1: none)."""
    best, least = np.int64(-1), np.int64(0)
    for group in range(params.num_groups):
        first, last = first_agent(group, params.groups), first_agent(group + 1, params.groups)
        for other in range(first, last):
            if state.status[row, other] != ALIVE or not are_enemies(agent, other, params):
                continue
            place = place_of(row, other, params, state)
            gap = gap_to(row, agent, place, params, state)
            if mate >= 0:
                gap += gap_to(row, mate, place, params, state)
            if best < 0 or gap < least:
                best, least = other, gap
    return best


def attack_on(row, agent, other, params, state):
    """The agent's first attack that reaches the position of another (-1: nobody); -1 for none."""
    if other < 0:
        return np.int64(-1)
    unit = type_of(agent, params.agents)
    away_by = place_of(row, other, params, state) - place_of(row, agent, params, state)
    for action in range(params.units[unit, NUM_MOVES], params.units[unit, NUM_ACTIONS]):
        if params.reach[unit, action] == away_by:
            return np.int64(action)
    return np.int64(-1)


HUNTERS = {**PLAYERS, "hunt": hunt, "flee": flee}
PAIRS = {**PLAYERS, "hunt": hunt_in_pairs, "flee": flee}
FORAGERS = {**PLAYERS, "forage": hunt}
