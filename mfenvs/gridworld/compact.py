"""Scenes in few bytes: the last action and the status of an agent share one number."""

import numpy as np

STATUSES = 3


def pack(row, agent, scene, packed):
    """Copies an agent of a scene into a snapshot."""
    packed.x[row, agent] = scene.x[row, agent]
    packed.y[row, agent] = scene.y[row, agent]
    packed.hp[row, agent] = scene.hp[row, agent]
    packed.last_reward[row, agent] = scene.last_reward[row, agent]
    last = np.int64(scene.last_action[row, agent])
    packed.mark[row, agent] = (last + 1) * STATUSES + scene.status[row, agent]
    if agent == 0:
        packed.swapped[row] = scene.swapped[row]


def unpack(row, agent, packed, rows, scene):
    """Copies an agent of row ``rows[row]`` of a snapshot into a scene."""
    source = rows[row]
    scene.x[row, agent] = packed.x[source, agent]
    scene.y[row, agent] = packed.y[source, agent]
    scene.hp[row, agent] = packed.hp[source, agent]
    scene.last_reward[row, agent] = packed.last_reward[source, agent]
    mark = np.int64(packed.mark[source, agent])
    scene.last_action[row, agent] = mark // STATUSES - 1
    scene.status[row, agent] = mark % STATUSES
    if agent == 0:
        scene.swapped[row] = packed.swapped[source]


def pack_rest(row, cell, params, scene, packed):
    """Copies a wall that was drawn and a passive unit into a snapshot."""
    if cell < params.num_walls:
        packed.walls[row, cell] = scene.walls[row, cell]
    unit = params.num_acting + cell
    if unit < params.num_agents:
        place = np.int64(scene.y[row, unit]) * params.size + np.int64(scene.x[row, unit])
        packed.passive_mark[row, cell] = place * STATUSES + scene.status[row, unit]
        packed.passive_hp[row, cell] = scene.hp[row, unit]


def unpack_rest(row, cell, packed, rows, params, scene):
    """Copies what `pack_rest` has copied, from row ``rows[row]`` of a snapshot, into a scene."""
    source = rows[row]
    if cell < params.num_walls:
        scene.walls[row, cell] = packed.walls[source, cell]
    unit = params.num_acting + cell
    if unit < params.num_agents:
        mark = np.int64(packed.passive_mark[source, cell])
        place = mark // STATUSES
        scene.y[row, unit] = place // params.size
        scene.x[row, unit] = place % params.size
        scene.hp[row, unit] = packed.passive_hp[source, cell]
        scene.status[row, unit] = mark % STATUSES


def lay_out(row, cell, packed, rows, params, scene, board):
    """Writes an empty map, cell by cell, and the agents of a scene."""
    board.grid[row, cell] = params.empty_map[cell]
    if cell < params.num_acting:
        unpack(row, cell, packed, rows, scene)
    unpack_rest(row, cell, packed, rows, params, scene)


def locate(row, agent, source, out):
    """Writes the position (x, y) of an agent of a scene or a snapshot."""
    out[row, agent, 0] = source.x[row, agent]
    out[row, agent, 1] = source.y[row, agent]
