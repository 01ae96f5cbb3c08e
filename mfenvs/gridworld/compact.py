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


def lay_out(row, cell, packed, rows, params, scene, board):
    """Writes an empty map, cell by cell, and the agents of a scene."""
    board.grid[row, cell] = params.empty_map[cell]
    if cell < params.num_agents:
        unpack(row, cell, packed, rows, scene)


def locate(row, agent, source, out):
    """Writes the position (x, y) of an agent of a scene or a snapshot."""
    out[row, agent, 0] = source.x[row, agent]
    out[row, agent, 1] = source.y[row, agent]
