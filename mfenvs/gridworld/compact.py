"""Scenes in few bytes: the last action and the status of an agent share one number."""

import numpy as np

STATUSES = 3


def pack(row, agent, size, scene, packed):
    """Copies an agent of a scene into a snapshot, and its share of the walls and the passive units.

    Args:
        size: cells along an edge of the map.
    """
    packed.x[row, agent] = scene.x[row, agent]
    packed.y[row, agent] = scene.y[row, agent]
    packed.hp[row, agent] = scene.hp[row, agent]
    packed.last_reward[row, agent] = scene.last_reward[row, agent]
    last = np.int64(scene.last_action[row, agent])
    packed.mark[row, agent] = (last + 1) * STATUSES + scene.status[row, agent]
    if agent == 0:
        packed.swapped[row] = scene.swapped[row]
    num_acting = packed.x.shape[1]
    for wall in range(agent, packed.walls.shape[1], num_acting):
        packed.walls[row, wall] = scene.walls[row, wall]
    for k in range(agent, packed.passive_hp.shape[1], num_acting):
        unit = num_acting + k
        cell = np.int64(scene.y[row, unit]) * size + np.int64(scene.x[row, unit])
        packed.passive_mark[row, k] = cell * STATUSES + scene.status[row, unit]
        packed.passive_hp[row, k] = scene.hp[row, unit]


def unpack(row, agent, size, packed, rows, scene):
    """Copies what `pack` has copied, from row ``rows[row]`` of a snapshot, into a scene."""
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
    num_acting = packed.x.shape[1]
    for wall in range(agent, packed.walls.shape[1], num_acting):
        scene.walls[row, wall] = packed.walls[source, wall]
    for k in range(agent, packed.passive_hp.shape[1], num_acting):
        unit, mark = num_acting + k, np.int64(packed.passive_mark[source, k])
        cell = mark // STATUSES
        scene.y[row, unit] = cell // size
        scene.x[row, unit] = cell % size
        scene.hp[row, unit] = packed.passive_hp[source, k]
        scene.status[row, unit] = mark % STATUSES


def lay_out(row, cell, packed, rows, params, scene, board):
    """Writes an empty map, cell by cell, and the agents of a scene."""
    board.grid[row, cell] = params.empty_map[cell]
    if cell < params.num_acting:
        unpack(row, cell, params.size, packed, rows, scene)


def locate(row, agent, source, out):
    """Writes the position (x, y) of an agent of a scene or a snapshot."""
    out[row, agent, 0] = source.x[row, agent]
    out[row, agent, 1] = source.y[row, agent]
