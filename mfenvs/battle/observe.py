"""What an agent of a battle sees: its view and its features (GridWorld.cc, `get_observation`).

View channels: wall, own army, its hp, [its minimap], the other army, its hp, [its minimap].
Features: ten bits of the id, the last action one-hot, the last reward, [position].
In a *picture*, the layout of MAgent2's PettingZoo wrapper, the features are repeated at every cell,
behind the view's channels.

Observations depend on a scene alone; its board follows from it.
"""

import numpy as np

from mfenvs.battle.board import GONE, is_blue, minimap_cell, place_of

ID_BITS = 10


def blank(out):
    for k in range(out.shape[0]):
        out[k] = np.float32(0.0)


def copy(source, target):
    # The arguments are slices, so that this becomes vector instructions.
    for k in range(target.shape[0]):
        target[k] = source[k]


def scan(above, stride, window, sight, cells, looks, marks, width, out):
    """Writes how the cells in sight look; ``above`` is the middle cell of the window's top line."""
    # Every cell is written, blank or not, since to guess which are costs more. Indices are unsigned,
    # since the sign of others is looked at on every use.
    zero, one, next_cell = np.uint64(0), np.uint64(1), np.uint64(width)
    middle = width * (window // 2)
    for line in range(window):
        reach = sight[line]
        k = np.uint64(middle - width * reach)
        there = np.uint64(above - reach)
        end = np.uint64(above + reach + 1)
        while there < end:
            code = np.uint64(cells[there])
            mark = k + marks[code]
            taken, hp = looks[code, zero], looks[code, one]
            out[mark] = taken
            out[mark + one] = hp
            k += next_cell
            there += one
        above += stride
        middle += width * window


def add_view(row, agent, law, scene, board, width, out):
    """Writes what a living or dying agent sees into a picture, blank but for the features, if any.

    Args:
        out: the picture, flat, of ``width`` numbers a cell.
    """
    blue = 1 if is_blue(agent, law) else 0
    cells, looks, marks = board.grid[row], board.look[row], law.marks[blue]
    here = place_of(row, agent, law, scene)
    corner = here - law.window // 2 * law.stride
    scan(corner, law.stride, law.window, law.sight, cells, looks, marks, width, out)
    if law.minimap:
        own = minimap_cell(row, agent, law, scene) * width
        for army in range(2):
            channel = (law.channels - 1) // 2 if army == blue else law.channels - 1
            for k in range(board.crowds[row, army]):
                cell = board.crowd[row, army, k]
                out[cell * width + channel] = board.share[row, army, cell]
            out[own + channel] += np.float32(1.0)


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
