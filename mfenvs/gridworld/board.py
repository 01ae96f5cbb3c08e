"""The map, and what else follows from a scene: how agents look, and how each group is spread.

The map is stored with a rim, as wide as any agent sees or reaches, so that no index leaves it. A cell of
the grid is BLANK, OFF (beyond the map), WALL, or FIRST + the agent whose body covers it.
"""

import numpy as np

from mfenvs.gridworld.tables import LENGTH, WIDTH, WINDOW, first_agent, type_of

GONE, ALIVE, DYING = 0, 1, 2
BLANK, OFF, WALL, FIRST = 0, 1, 2, 3
# A number of a view, packed: its quantity in the bits of QUANTITY; above them, up to params.where_bit,
# how many groups after the viewer's its group comes; above, the cell of the minimap, or the distance to
# the cell in the grid, or UNSEEN.
IS_THERE, IS_HP, IS_SHARE, IS_WALL = 0, 1, 2, 3
QUANTITY, GROUP_BIT = 3, 2
UNSEEN = -(2**28)


def place_of(row, agent, params, scene):
    """The index in the grid of the agent's position."""
    line, column = np.int64(scene.y[row, agent]), np.int64(scene.x[row, agent])
    return (line + params.rim) * params.stride + column + params.rim


def minimap_cell(row, agent, viewer, params, scene):
    """The index of the cell in which the agent is, in the minimap of the unit type ``viewer``."""
    line = params.part[viewer, scene.y[row, agent]]
    column = params.part[viewer, scene.x[row, agent]]
    return line * params.units[viewer, WINDOW] + column


def copy(source, target):
    # The arguments are slices, so that this becomes vector instructions.
    for k in range(target.shape[0]):
        target[k] = source[k]


def cover(row, agent, place, code, params, board):
    """Writes a code into all cells of a body at this place."""
    unit = type_of(agent, params.agents)
    for line in range(params.units[unit, LENGTH]):
        for column in range(params.units[unit, WIDTH]):
            board.grid[row, place + line * params.stride + column] = code


def is_free(row, agent, place, params, board):
    """Whether the agent's body fits at this place: its cells are blank, or covered by it."""
    unit = type_of(agent, params.agents)
    for line in range(params.units[unit, LENGTH]):
        for column in range(params.units[unit, WIDTH]):
            code = board.grid[row, place + line * params.stride + column]
            if code != BLANK and code != FIRST + agent:
                return False
    return True


def stand_one(row, agent, params, scene, board):
    """Puts an agent on the map, if it is alive."""
    if scene.status[row, agent] == ALIVE:
        place = place_of(row, agent, params, scene)
        if params.single_cell:
            board.grid[row, place] = FIRST + agent
        else:
            cover(row, agent, place, FIRST + agent, params, board)


def wall_place(row, wall, params, scene):
    """The index in the grid of a wall that was drawn."""
    cell = np.int64(scene.walls[row, wall])
    return (cell // params.size + params.rim) * params.stride + cell % params.size + params.rim


def stand(row, params, scene, board):
    """Puts the drawn walls and the living on the map."""
    for wall in range(params.num_walls):
        board.grid[row, wall_place(row, wall, params, scene)] = WALL
    for agent in range(params.num_agents):
        stand_one(row, agent, params, scene, board)


def show_one(row, code, params, scene, board):
    """Writes how a cell with this code looks: whether it shows, and its share of the full hp."""
    board.look[row, code, 0] = np.float32(1.0) if code >= WALL else np.float32(0.0)
    if code >= FIRST:
        agent = code - FIRST
        board.look[row, code, 1] = scene.hp[row, agent] / params.max_hp[agent]
    else:
        board.look[row, code, 1] = np.float32(0.0)


def show(row, params, scene, board):
    """Writes how all cells look, by what they hold."""
    show_first(row, params.num_agents, params, scene, board)


def show_first(row, count, params, scene, board):
    """Writes how cells look that hold nobody, or one of the first ``count`` agents."""
    for code in range(FIRST):
        show_one(row, code, params, scene, board)
    for agent in range(count):
        board.look[row, FIRST + agent, 0] = np.float32(1.0)
        board.look[row, FIRST + agent, 1] = scene.hp[row, agent] / params.max_hp[agent]


def count(row, params, scene, board):
    """Writes the minimaps: each group's share in each cell, and a list of the cells that it occupies.

    Agents that died in this step still count.
    """
    for viewer in range(params.num_views):
        for group in range(params.num_groups):
            count_group(row, viewer, group, params, scene, board)


def count_group(row, viewer, group, params, scene, board):
    """Writes the minimap of a group, as the unit type ``viewer`` sees it."""
    entry = viewer * params.num_groups + group
    for cell in range(board.share.shape[2]):
        board.share[row, entry, cell] = np.float32(0.0)
    cells, size = 0, 0
    for agent in range(first_agent(group, params.groups), first_agent(group + 1, params.groups)):
        if scene.status[row, agent] != GONE:
            cell = minimap_cell(row, agent, viewer, params, scene)
            if board.share[row, entry, cell] == np.float32(0.0):
                board.occupied_cells[row, entry, cells] = cell
                cells += 1
            board.share[row, entry, cell] += np.float32(1.0)
            size += 1
    for k in range(cells):
        board.share[row, entry, board.occupied_cells[row, entry, k]] /= np.float32(size)
    board.num_occupied_cells[row, entry] = cells


def survey(row, params, scene, board):
    """Writes the whole board of a scene."""
    copy(params.empty_map, board.grid[row])
    stand(row, params, scene, board)
    show(row, params, scene, board)
    if params.minimap:
        count(row, params, scene, board)


# -- a cell or an agent at a time, for devices where many small points run at once -------------------


def share_of(row, viewer, group, cell, params, scene):
    """A group's share in a cell of the minimap of the unit type ``viewer``, as `count` writes it."""
    here, size = 0, 0
    for agent in range(first_agent(group, params.groups), first_agent(group + 1, params.groups)):
        if scene.status[row, agent] != GONE:
            size += 1
            if minimap_cell(row, agent, viewer, params, scene) == cell:
                here += 1
    return np.float32(here) / np.float32(size) if here > 0 else np.float32(0.0)


def enter(row, cell, params, scene, board):
    """On an empty map: puts a wall and an agent there, writes a code's look and all shares of a cell."""
    if cell < params.num_walls:
        board.grid[row, wall_place(row, cell, params, scene)] = WALL
    if cell < params.num_agents:
        stand_one(row, cell, params, scene, board)
    if cell < FIRST + params.num_agents:
        show_one(row, cell, params, scene, board)
    if cell < board.share.shape[2]:
        for viewer in range(params.num_views):
            for group in range(params.num_groups):
                share = share_of(row, viewer, group, cell, params, scene)
                board.share[row, viewer * params.num_groups + group, cell] = share
