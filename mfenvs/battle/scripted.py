"""Scripted players: what each would do in a state, for every living agent. They see the whole map.

Each is a rule (row, agent) that writes an action into ``out`` [B, N], -1 for those who do not live.
"""

import numpy as np

from mfenvs.battle.board import ALIVE, BLANK, FIRST, is_blue, place_of
from mfenvs.rng import bits


def random(row, agent, params, state, out):
    """Any action, all alike; drawn from a stream of its own."""
    out[row, agent] = -1
    if state.status[row, agent] == ALIVE:
        # Lane 0 is the coin for the armies' sides.
        draw = bits(state.key[row], state.counter[row], 1 + agent)
        out[row, agent] = (draw * params.num_actions) >> 32


def hold(row, agent, params, state, out):
    """Attacks the enemy in reach that has the least hp, of these the first by index; else stays."""
    out[row, agent] = -1
    if state.status[row, agent] == ALIVE:
        strike = weakest_in_reach(row, agent, params, state)
        out[row, agent] = strike if strike >= 0 else params.stay


def rush(row, agent, params, state, out):
    """Attacks as `hold` does; else goes as near as it can to the nearest enemy, or stays.

    The nearest enemy is the first by index at the least Euclidean distance; of the moves to blank cells
    that end nearest to it the first by index is taken, if it ends nearer than staying.
    """
    out[row, agent] = -1
    if state.status[row, agent] == ALIVE:
        strike = weakest_in_reach(row, agent, params, state)
        if strike < 0:
            strike = approach(row, agent, nearest(row, agent, params, state), params, state)
        out[row, agent] = strike


def focus(row, agent, params, state, out):
    """Attacks as `hold` does; else goes, as `rush` goes, to the enemy in sight that has the least hp.

    In sight is what the agent's view shows. Of those with the least hp the nearest is taken, and of
    these the first by index. With nobody in sight it goes where `rush` does.
    """
    out[row, agent] = -1
    if state.status[row, agent] == ALIVE:
        strike = weakest_in_reach(row, agent, params, state)
        if strike < 0:
            prey = weakest_in_sight(row, agent, params, state)
            if prey < 0:
                prey = nearest(row, agent, params, state)
            strike = approach(row, agent, prey, params, state)
        out[row, agent] = strike


def weakest_in_reach(row, agent, params, state):
    """The attack that `hold` makes, -1 if there is nobody to attack."""
    here = place_of(row, agent, params, state)
    best, weakest = -1, -1
    for action in range(params.num_moves, params.num_actions):
        other = np.int64(state.grid[row, here + params.reach[action]]) - FIRST
        if other < 0 or is_blue(other, params) == is_blue(agent, params):
            continue
        if best >= 0:
            gap = state.hp[row, other] - state.hp[row, weakest]
            if gap > 0 or (gap == 0 and other > weakest):
                continue
        best, weakest = action, other
    return best


def nearest(row, agent, params, state):
    """The nearest living enemy, the first by index of several; -1 for none."""
    x, y = np.int64(state.x[row, agent]), np.int64(state.y[row, agent])
    found, least = -1, np.int64(0)
    blue = is_blue(agent, params)
    for other in range(
        0 if blue else params.num_red, params.num_red if blue else params.num_agents
    ):
        if state.status[row, other] == ALIVE:
            gap = distance(row, other, state, x, y)
            if found < 0 or gap < least:
                found, least = other, gap
    return found


def weakest_in_sight(row, agent, params, state):
    """The enemy that `focus` goes to; -1 if it sees none."""
    x, y = np.int64(state.x[row, agent]), np.int64(state.y[row, agent])
    radius = params.window // 2
    found, least = -1, np.int64(0)
    blue = is_blue(agent, params)
    for other in range(
        0 if blue else params.num_red, params.num_red if blue else params.num_agents
    ):
        if state.status[row, other] != ALIVE:
            continue
        dx, dy = np.int64(state.x[row, other]) - x, np.int64(state.y[row, other]) - y
        if abs(dy) > radius or abs(dx) > params.sight[dy + radius]:
            continue
        gap = distance(row, other, state, x, y)
        if found >= 0:
            more = state.hp[row, other] - state.hp[row, found]
            if more > 0 or (more == 0 and gap >= least):
                continue
        found, least = other, gap
    return found


def approach(row, agent, goal, params, state):
    """The move to a blank cell that ends nearest to an agent, the first by index; stays if none ends
    nearer than staying, or if ``goal`` is -1.
    """
    best = params.stay
    if goal < 0:
        return best
    here = place_of(row, agent, params, state)
    x, y = np.int64(state.x[row, agent]), np.int64(state.y[row, agent])
    least = distance(row, goal, state, x, y)
    for action in range(params.num_moves):
        there = here + params.reach[action]
        if state.grid[row, there] == BLANK:
            column, line = there % params.stride - params.rim, there // params.stride - params.rim
            gap = distance(row, goal, state, column, line)
            if gap < least:
                best, least = action, gap
    return best


def distance(row, other, state, x, y):
    """The squared distance from a cell to an agent."""
    dx, dy = np.int64(state.x[row, other]) - x, np.int64(state.y[row, other]) - y
    return dx * dx + dy * dy


PLAYERS = {"random": random, "hold": hold, "rush": rush, "focus": focus}
