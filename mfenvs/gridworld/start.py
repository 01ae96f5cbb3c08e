"""The start of an episode."""

import numpy as np

from mfenvs.gridworld.attack import NOTHING
from mfenvs.gridworld.board import (
    ALIVE,
    BLANK,
    FIRST,
    GONE,
    WALL,
    copy,
    cover,
    place_of,
    survey,
    wall_place,
)
from mfenvs.gridworld.orders import MODULUS, MULTIPLIER
from mfenvs.gridworld.tables import LENGTH, NUM_ACTIONS, RIGHT, SIZE, WIDTH, group_of, type_of
from mfenvs.rng import bits


def start(row, params, state, out):
    """Places all agents: where MAgent2's generator says, if positions are drawn; else by one of the
    arrangements, which a coin picks if there are two, shifted.
    """
    if params.is_drawn:
        scatter(row, params, state)
    swapped = params.random_side and bits(state.key[row], state.counter[row], 0) & 1 == 1
    # How much wider apart than listed the two halves are, and how much lower the right one is. The left
    # one goes half of that the other way, so that the pair stays in the middle of the map.
    wider = draw_within(row, params.nearer, params.further, 1, params, state)
    lower = draw_within(row, params.aslant, params.aslant, 2, params, state)
    left_x, left_y = (params.odd_x - wider) >> 1, (params.odd_y - lower) >> 1
    state.swapped[row] = swapped
    state.time[row] = 0
    arrangement = 1 if swapped else 0
    for agent in range(params.num_agents):
        unit = type_of(agent, params.agents)
        x = params.positions[arrangement, agent, 0]
        y = params.positions[arrangement, agent, 1]
        present = x >= 0  # a group may be smaller in one arrangement than in the other
        right = params.starts[arrangement, group_of(agent, params.agents), RIGHT] == 1
        x += left_x + wider if right else left_x
        y += left_y + lower if right else left_y
        state.status[row, agent] = ALIVE if present else GONE
        if not params.is_drawn:
            state.x[row, agent] = x if present else 0
            state.y[row, agent] = y if present else 0
        state.hp[row, agent] = params.max_hp[agent] if present else np.float32(0.0)
        state.reward[row, agent] = np.float32(0.0)
        state.last_reward[row, agent] = np.float32(0.0)
        state.last_action[row, agent] = params.units[unit, NUM_ACTIONS]
        state.attack_result[row, agent] = NOTHING
    for agent in range(params.num_acting):
        out.reward[row, agent] = np.float32(0.0)
        out.terminated[row, agent] = False
        out.alive[row, agent] = state.status[row, agent] == ALIVE
        out.acting[row, agent] = False
        out.actions[row, agent] = -1
    survey(row, params, state, state)
    for group in range(params.num_groups):
        state.living[row, group] = params.starts[arrangement, group, SIZE]
        state.attacks[row, group] = 0
        state.hits[row, group] = 0
        state.kills[row, group] = 0
    out.truncated[row] = False
    out.over[row] = False
    out.reset[row] = True


def draw_within(row, below, above, use, params, state):
    """A whole number from -below to above, uniform, from the row's stream."""
    # Lane 0 is the coin's; the next ones are the agents' (`scripted.random`).
    draw = bits(state.key[row], state.counter[row], params.num_agents + use)
    return ((draw * (below + 1 + above)) >> 32) - below


# -- drawn positions ----------------------------------------------------------------------------------


def construct(row, is_due, params, state):
    """Draws the positions that MAgent2's constructor draws before the first reset, where this is due."""
    if is_due[row]:
        scatter(row, params, state)


def scatter(row, params, state):
    """Draws walls, then the positions of all units, from MAgent2's generator."""
    copy(params.empty_map, state.grid[row])
    for wall in range(params.num_walls):
        state.walls[row, wall] = free_cell(row, 1, 1, params, state)
        state.grid[row, wall_place(row, wall, params, state)] = WALL
    for agent in range(params.num_agents):
        unit = type_of(agent, params.agents)
        width, length = params.units[unit, WIDTH], params.units[unit, LENGTH]
        cell = free_cell(row, width, length, params, state)
        state.x[row, agent] = cell % params.size
        state.y[row, agent] = cell // params.size
        cover(row, agent, place_of(row, agent, params, state), FIRST + agent, params, state)


def free_cell(row, width, length, params, state):
    """Draws cells until a body fits there, as MAgent's `get_random_blank`.

    MAgent aborts after as many tries. Here the first free cell is taken then.
    """
    for _ in range(params.size * params.size + 2):
        x = draw(row, state) % (params.size - width)
        y = draw(row, state) % (params.size - length)
        if is_blank(row, x, y, width, length, params, state):
            return y * params.size + x
    cell = np.int64(0)
    while not is_blank(row, cell % params.size, cell // params.size, width, length, params, state):
        cell += 1
    return cell


def draw(row, state):
    """The next number of MAgent2's generator."""
    state.random[row] = state.random[row] * MULTIPLIER % MODULUS
    return state.random[row]


def is_blank(row, x, y, width, length, params, state):
    """Whether a rectangle of cells is blank."""
    for line in range(y, y + length):
        for column in range(x, x + width):
            place = (line + params.rim) * params.stride + column + params.rim
            if state.grid[row, place] != BLANK:
                return False
    return True
