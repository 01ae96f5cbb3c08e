"""The map of a battle, and what else follows from a scene: how agents look, where the armies crowd.

The map is stored with a rim, as wide as anybody sees or reaches, so that no index leaves it. A cell of
the grid is BLANK, OFF (beyond the map), WALL, or FIRST + the agent that stands there.
"""

import numpy as np

GONE, ALIVE, DYING = 0, 1, 2
BLANK, OFF, WALL, FIRST = 0, 1, 2, 3


def place_of(row, agent, law, scene):
    """The index of the agent's cell in the grid."""
    line, column = np.int64(scene.y[row, agent]), np.int64(scene.x[row, agent])
    return (line + law.rim) * law.stride + column + law.rim


def minimap_cell(row, agent, law, scene):
    """The index of the minimap's cell in which the agent stands."""
    line, column = law.part[scene.y[row, agent]], law.part[scene.x[row, agent]]
    return line * law.window + column


def is_blue(agent, law):
    return agent >= law.num_red


def copy(source, target):
    # The arguments are slices, so that this becomes vector instructions.
    for k in range(target.shape[0]):
        target[k] = source[k]


def stand(row, law, scene, board):
    """Puts the living on the map."""
    for agent in range(law.num_agents):
        if scene.status[row, agent] == ALIVE:
            board.grid[row, place_of(row, agent, law, scene)] = FIRST + agent


def show(row, law, scene, board):
    """Writes how what the grid holds looks: whether it shows, and its share of the full hp."""
    for code in range(FIRST):
        board.look[row, code, 0] = np.float32(1.0) if code == WALL else np.float32(0.0)
        board.look[row, code, 1] = np.float32(0.0)
    for agent in range(law.num_agents):
        board.look[row, FIRST + agent, 0] = np.float32(1.0)
        board.look[row, FIRST + agent, 1] = scene.hp[row, agent] / law.hp


def count(row, law, scene, board):
    """Writes the minimaps: each army's share in each cell, and a list of the cells that it stands in.

    Those who died in this step still count.
    """
    for blue in range(2):
        for cell in range(board.share.shape[2]):
            board.share[row, blue, cell] = np.float32(0.0)
        cells, size = 0, 0
        for agent in range(law.num_red if blue else 0, law.num_agents if blue else law.num_red):
            if scene.status[row, agent] != GONE:
                cell = minimap_cell(row, agent, law, scene)
                if board.share[row, blue, cell] == np.float32(0.0):
                    board.crowd[row, blue, cells] = cell
                    cells += 1
                board.share[row, blue, cell] += np.float32(1.0)
                size += 1
        for k in range(cells):
            board.share[row, blue, board.crowd[row, blue, k]] /= np.float32(size)
        board.crowds[row, blue] = cells


def survey(row, law, scene, board):
    """Writes the whole board of a scene."""
    copy(law.empty_map, board.grid[row])
    stand(row, law, scene, board)
    show(row, law, scene, board)
    if law.minimap:
        count(row, law, scene, board)
