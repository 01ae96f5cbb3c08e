"""What an agent of a battle sees: its view and its features (GridWorld.cc, `get_observation`).

View channels: wall, own army, its hp, [its minimap], the other army, its hp, [its minimap].
Features: ten bits of the id, the last action one-hot, the last reward, [position].
In a *picture*, the layout of MAgent2's PettingZoo wrapper, the features are repeated at every cell,
behind the view's channels.

Observations depend on a scene alone; its board follows from it.
"""

import numpy as np

from mfenvs.battle.board import (
    FIRST,
    GONE,
    IS_SHARE,
    IS_WALL,
    KIND,
    OTHER,
    UNSEEN,
    WALL,
    WHERE,
    copy,
    is_blue,
    minimap_cell,
    place_of,
)

ID_BITS = 10


def blank(out):
    for k in range(out.shape[0]):
        out[k] = np.float32(0.0)


def scan(here, seen, spots, cells, looks, first_blue, red, blue, width, out):
    """Writes how the cells in sight look.

    Args:
        here: the cell in which the agent stands.
        first_blue: what the grid holds where blue's first agent stands.
        red, blue: the channels of the armies.
    """
    # Every cell is written, blank or not, since to guess which are costs more. The channel is told by
    # comparing: looked up in a table, it made a cell take 1.9 ns instead of 1.3. Indices are
    # unsigned, since the sign of others is looked at on every use.
    zero, one, next_cell = np.uint64(0), np.uint64(1), np.uint64(width)
    wall, first_blue = np.uint64(WALL), np.uint64(first_blue)
    red, blue = np.uint64(red), np.uint64(blue)
    for k in range(seen.shape[0]):
        code = np.uint64(cells[np.uint64(here + seen[k])])
        mark = blue if code >= first_blue else red
        if code == wall:
            mark = zero
        mark += spots[k] * next_cell
        taken, hp = looks[code, zero], looks[code, one]
        out[mark] = taken
        out[mark + one] = hp


def add_view(row, agent, params, scene, board, width, out):
    """Writes what a living or dying agent sees into a picture, blank but for the features, if any.

    Args:
        out: the picture, flat, of ``width`` numbers a cell.
    """
    here, cells, looks = place_of(row, agent, params, scene), board.grid[row], board.look[row]
    # An army has its own channels, and its minimap's, behind the wall's; then come the other's.
    mine, other = 1, 1 + (params.channels - 1) // 2
    red, blue = (other, mine) if is_blue(agent, params) else (mine, other)
    scan(
        here, params.seen, params.spots, cells, looks, FIRST + params.num_red, red, blue, width, out
    )
    if params.minimap:
        own = minimap_cell(row, agent, params, scene) * width
        for army in range(2):
            channel = 2 + (blue if army == 1 else red)
            occupied_cells = board.occupied_cells[row, army, : board.num_occupied_cells[row, army]]
            add_minimap(occupied_cells, board.share[row, army], width, out[channel:])
            out[own + channel] += np.float32(1.0)


def add_minimap(occupied_cells, share, width, out):
    """Writes an army's share of the cells that it stands in; ``out`` begins with its channel."""
    next_cell = np.uint64(width)
    for k in range(occupied_cells.shape[0]):
        cell = np.uint64(occupied_cells[k])
        out[cell * next_cell] = share[cell]


def write_view(row, agent, params, scene, board, out):
    """Writes the view alone, flat."""
    blank(out)
    if scene.status[row, agent] != GONE:
        add_view(row, agent, params, scene, board, params.channels, out)


def write_picture(row, agent, params, scene, board, width, out):
    """Writes the view with the features at every cell, flat, of ``width`` numbers a cell."""
    if scene.status[row, agent] == GONE:
        blank(out)
        return
    if width == params.channels:
        blank(out)
    else:
        blank(out[: params.channels])
        write_features(row, agent, params, scene, out[params.channels : width])
        done = width
        while done < out.shape[0]:  # what is there, once more
            more = min(done, out.shape[0] - done)
            copy(out[:more], out[done : done + more])
            done += more
    add_view(row, agent, params, scene, board, width, out)


def number_of(row, agent, params, scene):
    """The id that the engine gives: agents are numbered as they are placed, the left army first."""
    blue = is_blue(agent, params)
    place = agent - params.num_red if blue else agent
    if blue == scene.swapped[row]:
        return place
    return place + (params.start_size[0, 0] if blue else params.start_size[1, 1])


def write_features(row, agent, params, scene, out):
    """Writes the features that the options ask for into ``out``."""
    blank(out)
    if scene.status[row, agent] == GONE:
        return
    if params.extra_features:
        number = number_of(row, agent, params, scene)
        for bit in range(ID_BITS):
            out[bit] = np.float32((number >> bit) & 1)
        # As in the engine: no action (-1) sets the bit before the actions', the last one of the id;
        # and before the first action (num_actions) the bit set is the one that the reward overwrites.
        out[ID_BITS + np.int64(scene.last_action[row, agent])] = np.float32(1.0)
        out[ID_BITS + params.num_actions] = scene.last_reward[row, agent]
    if params.minimap:
        last = out.shape[0]
        out[last - 2] = np.float32(scene.x[row, agent]) / np.float32(params.size)
        out[last - 1] = np.float32(scene.y[row, agent]) / np.float32(params.size)


def observe_all(row, agent, params, scene, board, view, features):
    write_view(row, agent, params, scene, board, view[row, agent])
    write_features(row, agent, params, scene, features[row, agent])


def observe_some(row, params, scene, board, rows, agents, view, features):
    write_view(rows[row], agents[row], params, scene, board, view[row])
    write_features(rows[row], agents[row], params, scene, features[row])


def picture_some(row, params, scene, board, rows, agents, width, out):
    write_picture(rows[row], agents[row], params, scene, board, width, out[row])


def describe(row, params, scene, rows, agents, features):
    """The features alone."""
    write_features(rows[row], agents[row], params, scene, features[row])


# -- every LANES-th number, for devices where many small points run at once: neighbours in memory are
# -- written at once by neighbours ---------------------------------------------------------------------

LANES = 64


def lane_of_view(row, agent, lane, params, scene, board, out):
    """Writes what `write_view` writes, from the lane-th number on."""
    nothing, numbers = np.float32(0.0), params.numbers
    if scene.status[row, agent] == GONE:
        for number in range(lane, numbers.shape[0], LANES):
            out[number] = nothing
        return
    here, cells, looks = place_of(row, agent, params, scene), board.grid[row], board.look[row]
    own = minimap_cell(row, agent, params, scene) if params.minimap else 0
    mine, first_blue = is_blue(agent, params), FIRST + params.num_red
    # Indices are unsigned, as in `scan`.
    for number in range(lane, numbers.shape[0], LANES):
        told = np.int64(numbers[np.uint64(number)])
        kind, where = told & KIND, told >> WHERE
        blue = mine != (told & OTHER != 0)
        value = nothing
        if kind == IS_SHARE:
            value = board.share[row, 1 if blue else 0, np.uint64(where)]
            if where == own:
                value += np.float32(1.0)
        elif where != UNSEEN:
            code = np.int64(cells[np.uint64(here + where)])
            if kind == IS_WALL:
                if code == WALL:
                    value = np.float32(1.0)
            elif code >= FIRST and (code >= first_blue) == blue:
                value = looks[np.uint64(code), np.uint64(kind)]
        out[np.uint64(number)] = value


def lane_of_features(row, agent, lane, params, scene, out):
    """Writes what `write_features` writes, from the lane-th number on."""
    last = out.shape[0]
    for number in range(lane, last, LANES):
        out[number] = feature(row, agent, number, last, params, scene)


def feature(row, agent, number, last, params, scene):
    """The number-th of an agent's ``last`` features."""
    nothing, one = np.float32(0.0), np.float32(1.0)
    if scene.status[row, agent] == GONE:
        return nothing
    if params.minimap and number >= last - 2:
        place = scene.x[row, agent] if number == last - 2 else scene.y[row, agent]
        return np.float32(place) / np.float32(params.size)
    if number == ID_BITS + params.num_actions:
        return scene.last_reward[row, agent]
    if number == ID_BITS + np.int64(scene.last_action[row, agent]):
        return one
    if number >= ID_BITS:
        return nothing
    return np.float32((number_of(row, agent, params, scene) >> number) & 1)


def lanes_of_all(row, agent, lane, params, scene, board, view, features):
    lane_of_view(row, agent, lane, params, scene, board, view[row, agent])
    lane_of_features(row, agent, lane, params, scene, features[row, agent])


def lanes_of_some(row, lane, params, scene, board, rows, agents, view, features):
    lane_of_view(rows[row], agents[row], lane, params, scene, board, view[row])
    lane_of_features(rows[row], agents[row], lane, params, scene, features[row])
