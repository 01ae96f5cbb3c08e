"""The map of a battle, and what else follows from a scene: how agents look, where the armies crowd.

The map is stored with a rim, as wide as anybody sees or reaches, so that no index leaves it. A cell of
the grid is BLANK, OFF (beyond the map), WALL, or FIRST + the agent that stands there.
"""

import numpy as np

GONE, ALIVE, DYING = 0, 1, 2
BLANK, OFF, WALL, FIRST = 0, 1, 2, 3
# What a number of a view tells, packed: in the bits of KIND of what it is, in that of OTHER whether of
# the other army, and from WHERE on the minimap's cell, or how far away in the grid, if not UNSEEN.
IS_THERE, IS_HP, IS_SHARE, IS_WALL = 0, 1, 2, 3
KIND, OTHER, WHERE = 3, 4, 3
UNSEEN = -(2**28)


def place_of(row, agent, params, scene):
    """The index of the agent's cell in the grid."""
    line, column = np.int64(scene.y[row, agent]), np.int64(scene.x[row, agent])
    return (line + params.rim) * params.stride + column + params.rim


def minimap_cell(row, agent, params, scene):
    """The index of the minimap's cell in which the agent stands."""
    line, column = params.part[scene.y[row, agent]], params.part[scene.x[row, agent]]
    return line * params.window + column


def is_blue(agent, params):
    return agent >= params.num_red


def copy(source, target):
    # The arguments are slices, so that this becomes vector instructions.
    for k in range(target.shape[0]):
        target[k] = source[k]


def stand_one(row, agent, params, scene, board):
    """Puts an agent on the map, if it lives."""
    if scene.status[row, agent] == ALIVE:
        board.grid[row, place_of(row, agent, params, scene)] = FIRST + agent


def stand(row, params, scene, board):
    """Puts the living on the map."""
    for agent in range(params.num_agents):
        stand_one(row, agent, params, scene, board)


def show_one(row, code, params, scene, board):
    """Writes how what has this code in the grid looks: whether it shows, its share of the full hp."""
    board.look[row, code, 0] = np.float32(1.0) if code >= WALL else np.float32(0.0)
    if code >= FIRST:
        board.look[row, code, 1] = scene.hp[row, code - FIRST] / params.hp
    else:
        board.look[row, code, 1] = np.float32(0.0)


def show(row, params, scene, board):
    """Writes how everything in the grid looks."""
    for code in range(FIRST + params.num_agents):
        show_one(row, code, params, scene, board)


def count(row, params, scene, board):
    """Writes the minimaps: each army's share in each cell, and a list of the cells that it stands in.

    Those who died in this step still count.
    """
    for blue in range(2):
        for cell in range(board.share.shape[2]):
            board.share[row, blue, cell] = np.float32(0.0)
        cells, size = 0, 0
        for agent in range(
            params.num_red if blue else 0, params.num_agents if blue else params.num_red
        ):
            if scene.status[row, agent] != GONE:
                cell = minimap_cell(row, agent, params, scene)
                if board.share[row, blue, cell] == np.float32(0.0):
                    board.occupied_cells[row, blue, cells] = cell
                    cells += 1
                board.share[row, blue, cell] += np.float32(1.0)
                size += 1
        for k in range(cells):
            board.share[row, blue, board.occupied_cells[row, blue, k]] /= np.float32(size)
        board.num_occupied_cells[row, blue] = cells


def survey(row, params, scene, board):
    """Writes the whole board of a scene."""
    copy(params.empty_map, board.grid[row])
    stand(row, params, scene, board)
    show(row, params, scene, board)
    if params.minimap:
        count(row, params, scene, board)


# -- a cell or an agent at a time, for devices where many small points run at once -------------------


def share_of(row, blue, cell, params, scene):
    """An army's share in a cell of the minimap, as `count` writes it."""
    here, size = 0, 0
    for agent in range(
        params.num_red if blue else 0, params.num_agents if blue else params.num_red
    ):
        if scene.status[row, agent] != GONE:
            size += 1
            if minimap_cell(row, agent, params, scene) == cell:
                here += 1
    return np.float32(here) / np.float32(size) if here > 0 else np.float32(0.0)


def enter(row, cell, params, scene, board):
    """On an empty map: puts an agent there, writes a code's look and both shares of a cell."""
    if cell < params.num_agents:
        stand_one(row, cell, params, scene, board)
    if cell < FIRST + params.num_agents:
        show_one(row, cell, params, scene, board)
    if cell < board.share.shape[2]:
        for blue in range(2):
            board.share[row, blue, cell] = share_of(row, blue, cell, params, scene)
