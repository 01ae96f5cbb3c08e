"""Moves: jumps of the body, group by group; what lies between does not matter."""

import numpy as np

from mfenvs.gridworld.board import ALIVE, BLANK, FIRST, cover, is_free, place_of
from mfenvs.gridworld.tables import NUM_MOVES, first_agent, type_of, unit_of


def move(row, params, state):
    """Moves agents in their order; on maps past 99 x 99 the interiors of bands go before the rest."""
    if params.num_bands == 1:
        for group in range(params.num_acting_groups):
            unit = unit_of(group, params.groups)
            num_moves, reach = params.units[unit, NUM_MOVES], params.reach[unit]
            for agent in range(
                first_agent(group, params.groups), first_agent(group + 1, params.groups)
            ):
                if moves(row, agent, num_moves, state):
                    walk(row, agent, reach, params, state)
        return
    # The queue is free again. The bands are those of the positions before anybody moved.
    waiting = 0
    for band in range(params.num_bands + 1):
        for agent in range(params.num_acting):
            column = np.int64(state.x[row, agent])
            num_moves = params.units[type_of(agent, params.agents), NUM_MOVES]
            if moves(row, agent, num_moves, state) and band_of(column, params) == band:
                state.queue[row, waiting] = agent
                waiting += 1
    for i in range(waiting):
        agent = state.queue[row, i]
        walk(row, agent, params.reach[type_of(agent, params.agents)], params, state)


def moves(row, agent, num_moves, state):
    """Whether the agent is alive and its action is a move."""
    return state.status[row, agent] == ALIVE and 0 <= state.last_action[row, agent] < num_moves


def band_of(x, params):
    """The band whose buffer a move from column x waits in; the last one is for those near an edge."""
    inside = x % params.band_width
    if inside < 4 or inside > params.band_width - 4:
        return params.num_bands
    return x // params.band_width


def walk(row, agent, reach, params, state):
    """Moves an agent if all cells that its body is to cover are blank, or covered by itself.

    Args:
        reach: the row of ``params.reach`` of its type.
    """
    here = place_of(row, agent, params, state)
    there = here + reach[state.last_action[row, agent]]
    if params.single_cell:
        # As unsigned numbers, so that the compiler knows that the indices are not negative.
        source, target = np.uint64(here), np.uint64(there)
        if state.grid[row, target] == BLANK:
            state.grid[row, source] = BLANK
            state.grid[row, target] = FIRST + agent
            locate(row, agent, there, params, state)
    elif is_free(row, agent, there, params, state):
        cover(row, agent, here, BLANK, params, state)
        cover(row, agent, there, FIRST + agent, params, state)
        locate(row, agent, there, params, state)


def locate(row, agent, place, params, state):
    """Notes the position of an agent at a place in the grid."""
    state.x[row, agent] = place % params.stride - params.rim
    state.y[row, agent] = place // params.stride - params.rim
