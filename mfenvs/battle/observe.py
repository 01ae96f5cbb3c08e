"""What an agent of a battle sees: its view and its features (GridWorld.cc, `get_observation`).

View channels: wall, own army, its hp, [its minimap], the other army, its hp, [its minimap].
Features: ten bits of the id, the last action one-hot, the last reward, [position].
In a *picture*, the layout of MAgent2's PettingZoo wrapper, the features are repeated at every cell,
behind the view's channels.

Observations depend on a scene alone; its board follows from it.
"""

import numpy as np

from mfenvs.battle.board import FIRST, GONE, WALL, copy, is_blue, minimap_cell, place_of

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


def add_view(row, agent, law, scene, board, width, out):
    """Writes what a living or dying agent sees into a picture, blank but for the features, if any.

    Args:
        out: the picture, flat, of ``width`` numbers a cell.
    """
    here, cells, looks = place_of(row, agent, law, scene), board.grid[row], board.look[row]
    # An army has its own channels, and its minimap's, behind the wall's; then come the other's.
    mine, other = 1, 1 + (law.channels - 1) // 2
    red, blue = (other, mine) if is_blue(agent, law) else (mine, other)
    scan(here, law.seen, law.spots, cells, looks, FIRST + law.num_red, red, blue, width, out)
    if law.minimap:
        own = minimap_cell(row, agent, law, scene) * width
        for army in range(2):
            channel = 2 + (blue if army == 1 else red)
            crowd = board.crowd[row, army, : board.crowds[row, army]]
            add_minimap(crowd, board.share[row, army], width, out[channel:])
            out[own + channel] += np.float32(1.0)


def add_minimap(crowd, share, width, out):
    """Writes an army's share of the cells that it stands in; ``out`` begins with its channel."""
    next_cell = np.uint64(width)
    for k in range(crowd.shape[0]):
        cell = np.uint64(crowd[k])
        out[cell * next_cell] = share[cell]


def write_view(row, agent, law, scene, board, out):
    """Writes the view alone, flat."""
    blank(out)
    if scene.status[row, agent] != GONE:
        add_view(row, agent, law, scene, board, law.channels, out)


def write_picture(row, agent, law, scene, board, width, out):
    """Writes the view with the features at every cell, flat, of ``width`` numbers a cell."""
    if scene.status[row, agent] == GONE:
        blank(out)
        return
    if width == law.channels:
        blank(out)
    else:
        blank(out[: law.channels])
        write_features(row, agent, law, scene, out[law.channels : width])
        done = width
        while done < out.shape[0]:  # what is there, once more
            more = min(done, out.shape[0] - done)
            copy(out[:more], out[done : done + more])
            done += more
    add_view(row, agent, law, scene, board, width, out)


def number_of(row, agent, law, scene):
    """The id that the engine gives: agents are numbered as they are placed, the left army first."""
    blue = is_blue(agent, law)
    place = agent - law.num_red if blue else agent
    if blue == scene.swapped[row]:
        return place
    return place + (law.start_size[0, 0] if blue else law.start_size[1, 1])


def write_features(row, agent, law, scene, out):
    """Writes the features that the options ask for into ``out``."""
    blank(out)
    if scene.status[row, agent] == GONE:
        return
    if law.extra_features:
        number = number_of(row, agent, law, scene)
        for bit in range(ID_BITS):
            out[bit] = np.float32((number >> bit) & 1)
        # As in the engine: no action (-1) sets the bit before the actions', the last one of the id;
        # and before the first action (num_actions) the bit set is the one that the reward overwrites.
        out[ID_BITS + np.int64(scene.last_action[row, agent])] = np.float32(1.0)
        out[ID_BITS + law.num_actions] = scene.last_reward[row, agent]
    if law.minimap:
        last = out.shape[0]
        out[last - 2] = np.float32(scene.x[row, agent]) / np.float32(law.size)
        out[last - 1] = np.float32(scene.y[row, agent]) / np.float32(law.size)


def observe_all(row, agent, law, scene, board, view, features):
    write_view(row, agent, law, scene, board, view[row, agent])
    write_features(row, agent, law, scene, features[row, agent])


def observe_some(row, law, scene, board, rows, agents, view, features):
    write_view(rows[row], agents[row], law, scene, board, view[row])
    write_features(rows[row], agents[row], law, scene, features[row])


def picture_some(row, law, scene, board, rows, agents, width, out):
    write_picture(rows[row], agents[row], law, scene, board, width, out[row])


def describe(row, law, scene, rows, agents, features):
    """The features alone."""
    write_features(rows[row], agents[row], law, scene, features[row])


# -- a number at a time, for devices where many small points run at once ------------------------------


def view_number(row, agent, law, scene, board, number):
    """The number-th of an agent's view: what `write_view` writes there."""
    nothing = np.float32(0.0)
    if scene.status[row, agent] == GONE:
        return nothing
    cell, half = number // law.channels, (law.channels - 1) // 2
    channel = number - cell * law.channels
    other = channel > half
    kind = (channel - 1) % half  # 0: who stands there; 1: its hp; 2: the minimap
    blue = is_blue(agent, law) != other
    if channel > 0 and kind == 2:
        share = board.share[row, 1 if blue else 0, cell]
        return share + np.float32(1.0) if cell == minimap_cell(row, agent, law, scene) else share
    line, middle = cell // law.window, law.window // 2
    across = cell - line * law.window - middle
    if abs(across) > law.sight[line]:
        return nothing
    there = place_of(row, agent, law, scene) + (line - middle) * law.stride + across
    code = np.int64(board.grid[row, there])
    if channel == 0:
        return np.float32(1.0) if code == WALL else nothing
    if code < FIRST or is_blue(code - FIRST, law) != blue:
        return nothing
    return board.look[row, code, kind]


def number_of_all(row, agent, cell, law, scene, board, view, features):
    """A number of the view; past its end, all features."""
    if cell < view.shape[2]:
        view[row, agent, cell] = view_number(row, agent, law, scene, board, cell)
    else:
        write_features(row, agent, law, scene, features[row, agent])


def number_of_some(row, cell, law, scene, board, rows, agents, view, features):
    """Likewise, of agent ``agents[row]`` in row ``rows[row]``."""
    if cell < view.shape[1]:
        view[row, cell] = view_number(rows[row], agents[row], law, scene, board, cell)
    else:
        write_features(rows[row], agents[row], law, scene, features[row])
