"""Scripted players: what each would do in a state, for every living agent. They see the whole map.

Each is a rule (row, agent) that writes an action into ``out`` [B, N], -1 for agents that are not alive.
An enemy is an agent of another side. Distances are Euclidean, between positions. With walls within the
map, agents go around them; see `around`. `mfenvs.gridworld.hunting` has more players.
"""

import numpy as np

from mfenvs.gridworld.board import ALIVE, BLANK, FIRST, OFF, WALL, is_free, place_of
from mfenvs.gridworld.tables import (
    LENGTH,
    NUM_ACTIONS,
    NUM_MOVES,
    STAY,
    WIDTH,
    WINDOW,
    first_agent,
    group_of,
    side_of,
    type_of,
)
from mfenvs.rng import bits


def random(row, agent, params, state, out):
    """Chooses actions uniformly, from a stream that nothing else uses."""
    out[row, agent] = -1
    if state.status[row, agent] == ALIVE:
        # Lane 0 picks the arrangement of a start.
        draw = bits(state.key[row], state.counter[row], 1 + agent)
        out[row, agent] = (draw * params.units[type_of(agent, params.agents), NUM_ACTIONS]) >> 32


def hold(row, agent, params, state, out):
    """Attacks the enemy in reach that has the least hp, of these the first by index; else stays."""
    out[row, agent] = -1
    if state.status[row, agent] == ALIVE:
        strike = weakest_in_reach(row, agent, params, state)
        out[row, agent] = (
            strike if strike >= 0 else params.units[type_of(agent, params.agents), STAY]
        )


def rush(row, agent, params, state, out):
    """Attacks as `hold` does; else goes as near as it can to the nearest enemy, or stays.

    The nearest enemy is the first by index at the least Euclidean distance; of the moves to free places
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
            goal = weakest_in_sight(row, agent, params, state)
            if goal < 0:
                goal = nearest(row, agent, params, state)
            strike = approach(row, agent, goal, params, state)
        out[row, agent] = strike


def are_enemies(agent, other, params):
    """Whether two agents are on different sides."""
    group, other_group = group_of(agent, params.agents), group_of(other, params.agents)
    return side_of(group, params.groups) != side_of(other_group, params.groups)


def weakest_in_reach(row, agent, params, state):
    """The attack that `hold` makes, -1 if there is nobody to attack."""
    here, unit = place_of(row, agent, params, state), type_of(agent, params.agents)
    best, weakest = -1, -1
    for action in range(params.units[unit, NUM_MOVES], params.units[unit, NUM_ACTIONS]):
        other = np.int64(state.grid[row, here + params.reach[unit, action]]) - FIRST
        if other < 0 or not are_enemies(agent, other, params):
            continue
        if best >= 0:
            gap = state.hp[row, other] - state.hp[row, weakest]
            if gap > 0 or (gap == 0 and other >= weakest):
                continue
        best, weakest = action, other
    return best


def nearest(row, agent, params, state):
    """The nearest living enemy, the first by index of several; -1 for none."""
    x, y = np.int64(state.x[row, agent]), np.int64(state.y[row, agent])
    best, least = -1, np.int64(0)
    side = side_of(group_of(agent, params.agents), params.groups)
    for group in range(params.num_groups):
        if side_of(group, params.groups) == side:
            continue
        for other in range(
            first_agent(group, params.groups), first_agent(group + 1, params.groups)
        ):
            if state.status[row, other] == ALIVE:
                gap = distance(row, other, state, x, y)
                if best < 0 or gap < least:
                    best, least = other, gap
    return best


def weakest_in_sight(row, agent, params, state):
    """The enemy that `focus` goes to; -1 if it sees none."""
    x, y = np.int64(state.x[row, agent]), np.int64(state.y[row, agent])
    best, least = -1, np.int64(0)
    side = side_of(group_of(agent, params.agents), params.groups)
    for group in range(params.num_groups):
        if side_of(group, params.groups) == side:
            continue
        for other in range(
            first_agent(group, params.groups), first_agent(group + 1, params.groups)
        ):
            if state.status[row, other] != ALIVE or not is_in_sight(
                row, agent, other, params, state
            ):
                continue
            gap = distance(row, other, state, x, y)
            if best >= 0:
                more = state.hp[row, other] - state.hp[row, best]
                if more > 0 or (more == 0 and gap >= least):
                    continue
            best, least = other, gap
    return best


def is_in_sight(row, agent, other, params, state):
    """Whether the agent's view shows the other's position."""
    unit = type_of(agent, params.agents)
    window = params.units[unit, WINDOW]
    half = window // 2
    dx = (
        np.int64(state.x[row, other])
        - np.int64(state.x[row, agent])
        - params.units[unit, WIDTH] // 2
    )
    dy = (
        np.int64(state.y[row, other])
        - np.int64(state.y[row, agent])
        - params.units[unit, LENGTH] // 2
    )
    if dy < -half or dy >= window - half:
        return False
    # A window of even size has its center at the corner of four cells: one more is left of it.
    most = params.sight[unit, dy + half]
    return -most - (1 - window % 2) <= dx <= most


def approach(row, agent, goal, params, state):
    """The move of `go_to` to an agent's position; stays if ``goal`` is -1."""
    if goal < 0:
        return params.units[type_of(agent, params.agents), STAY]
    x, y = np.int64(state.x[row, goal]), np.int64(state.y[row, goal])
    return go_to(row, agent, x, y, params, state)


def go_to(row, agent, x, y, params, state):
    """The move to a free place that ends nearest to the cell (x, y), the first by index; stays if none
    ends nearer than staying. With walls within the map, the cell is that of `around`.
    """
    if params.has_walls:
        place = around(row, agent, x, y, params, state)
        x, y = place % params.stride - params.rim, place // params.stride - params.rim
    unit = type_of(agent, params.agents)
    best = params.units[unit, STAY]
    here = place_of(row, agent, params, state)
    least = distance(row, agent, state, x, y)
    for action in range(params.units[unit, NUM_MOVES]):
        there = here + params.reach[unit, action]
        if can_stand(row, agent, there, params, state):
            dx, dy = there % params.stride - params.rim - x, there // params.stride - params.rim - y
            gap = dx * dx + dy * dy
            if gap < least:
                best, least = action, gap
    return best


def can_stand(row, agent, place, params, state):
    """Whether a move of the agent to this place succeeds, if nobody moves before."""
    if params.single_cell:
        return state.grid[row, place] == BLANK
    return is_free(row, agent, place, params, state)


def around(row, agent, x, y, params, state):
    """Where to go next on the way to the cell (x, y), as an index in the grid.

    It is the cell itself unless the straight line to it crosses a wall. If it does, it is the nearest
    opening on either side of that wall, across the line's main direction: that of the shorter way, in
    steps along the axes. Of equal ways the one is taken whose opening is nearer, then that of the
    smaller coordinate.
    """
    goal = (y + params.rim) * params.stride + x + params.rim
    from_x, from_y = np.int64(state.x[row, agent]), np.int64(state.y[row, agent])
    dx, dy = x - from_x, y - from_y
    steps = max(abs(dx), abs(dy))
    for k in range(1, steps):
        at_x = from_x + (2 * dx * k + steps) // (2 * steps)
        at_y = from_y + (2 * dy * k + steps) // (2 * steps)
        wall = (at_y + params.rim) * params.stride + at_x + params.rim
        if is_walled(row, agent, wall, params, state):
            break
    else:
        return goal
    stride = params.stride if abs(dx) >= abs(dy) else np.int64(1)
    best, least, nearest_way = goal, np.int64(0), np.int64(0)
    for step in (-stride, stride):
        place = wall + step
        while is_walled(row, agent, place, params, state) and state.grid[row, place] != OFF:
            place += step
        if state.grid[row, place] == OFF:
            continue
        column, line = place % params.stride - params.rim, place // params.stride - params.rim
        way = abs(column - from_x) + abs(line - from_y)
        whole = way + abs(x - column) + abs(y - line)
        if way > 0 and (best == goal or whole < least or (whole == least and way < nearest_way)):
            best, least, nearest_way = place, whole, way
    return best


def is_walled(row, agent, place, params, state):
    """Whether the agent's body at this place covers a wall, or a cell beyond the map."""
    unit = type_of(agent, params.agents)
    for line in range(params.units[unit, LENGTH]):
        for column in range(params.units[unit, WIDTH]):
            code = state.grid[row, place + line * params.stride + column]
            if code in (OFF, WALL):
                return True
    return False


def distance(row, other, state, x, y):
    """The squared distance from a cell to an agent."""
    dx, dy = np.int64(state.x[row, other]) - x, np.int64(state.y[row, other]) - y
    return dx * dx + dy * dy


PLAYERS = {"random": random, "hold": hold, "rush": rush, "focus": focus}
