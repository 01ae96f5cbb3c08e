"""What an agent observes: its view and its features (GridWorld.cc, `get_observation`).

View channels: wall; then for each group, the agent's first and the others in cyclic order: whether one
of its agents is there, its share of the full hp, [the group's minimap].
Features: bits of the id, the last action one-hot, the last reward, [position].
In a *picture*, the layout of MAgent2's PettingZoo wrapper, the features are repeated at every cell,
behind the view's channels.

Observations depend on a scene alone; its board follows from it.
"""

import numpy as np

from mfenvs.gridworld.board import (
    FIRST,
    GONE,
    GROUP_BIT,
    IS_SHARE,
    IS_WALL,
    QUANTITY,
    UNSEEN,
    WALL,
    copy,
    minimap_cell,
    place_of,
)
from mfenvs.gridworld.tables import (
    CENTER,
    NUM_ACTIONS,
    NUM_NUMBERS,
    NUM_SEEN,
    NUMBER,
    first_agent,
    group_of,
    type_of,
)


def blank(out):
    for k in range(out.shape[0]):
        out[k] = np.float32(0.0)


def center_of(row, agent, params, scene):
    """The index in the grid of the cell from which the agent sees."""
    return place_of(row, agent, params, scene) + params.units[type_of(agent, params.agents), CENTER]


def channel_of(group, viewer, params):
    """The first channel of a group in the view of an agent of the group ``viewer``."""
    after = group - viewer
    if after < 0:
        after += params.num_groups
    return 1 + after * params.depth


def scan_two(center, count, seen, spots, cells, looks, second_group, first, second, width, out):
    """Writes how the cells in sight look, in a world of two groups.

    Args:
        center: the cell from which the agent sees.
        count: how many cells are in sight, the first of ``seen`` and ``spots``.
        second_group: the code of the second group's first agent.
        first, second: the channels of the groups.
    """
    # Every cell is written, blank or not, since to guess which are costs more, unless nearly all are
    # blank: see `scan_two_sparse`. The group is found by comparing: looked up in a table, it made a
    # cell take 1.9 ns instead of 1.3. Indices are unsigned, since signed ones are checked on every use.
    zero, one, next_cell = np.uint64(0), np.uint64(1), np.uint64(width)
    wall, second_group = np.uint64(WALL), np.uint64(second_group)
    first, second = np.uint64(first), np.uint64(second)
    for k in range(count):
        code = np.uint64(cells[np.uint64(center + seen[k])])
        mark = second if code >= second_group else first
        if code == wall:
            mark = zero
        mark += spots[k] * next_cell
        taken, hp = looks[code, zero], looks[code, one]
        out[mark] = taken
        out[mark + one] = hp


def scan_two_sparse(
    center, count, seen, spots, cells, looks, second_group, first, second, width, out
):
    """As `scan_two`, into a blank picture, for worlds in which nearly all cells are blank."""
    zero, one, next_cell = np.uint64(0), np.uint64(1), np.uint64(width)
    wall, second_group = np.uint64(WALL), np.uint64(second_group)
    first, second = np.uint64(first), np.uint64(second)
    for k in range(count):
        code = np.uint64(cells[np.uint64(center + seen[k])])
        if code >= wall:
            mark = second if code >= second_group else first
            if code == wall:
                mark = zero
            mark += spots[k] * next_cell
            out[mark] = looks[code, zero]
            out[mark + one] = looks[code, one]


def scan(center, count, seen, spots, cells, looks, viewer, params, width, out):
    """Writes how the cells in sight look to an agent of the group ``viewer``."""
    zero, one, next_cell = np.uint64(0), np.uint64(1), np.uint64(width)
    for k in range(count):
        code = np.uint64(cells[np.uint64(center + seen[k])])
        mark = spots[k] * next_cell
        if code >= np.uint64(FIRST):
            group = group_of(code - np.uint64(FIRST), params.agents)
            mark += np.uint64(channel_of(group, viewer, params))
            out[mark] = looks[code, zero]
            out[mark + one] = looks[code, one]
        elif code == np.uint64(WALL):
            out[mark] = looks[code, zero]


def add_view(row, agent, params, scene, board, width, out):
    """Writes what a living or dying agent sees into a picture, blank but for the features, if any.

    Args:
        out: the picture, flat, of ``width`` numbers a cell.
    """
    center, cells, looks = center_of(row, agent, params, scene), board.grid[row], board.look[row]
    viewer, unit = group_of(agent, params.agents), type_of(agent, params.agents)
    count, seen, spots = params.units[unit, NUM_SEEN], params.seen[unit], params.spots[unit]
    if params.num_groups == 2:
        first, second = channel_of(0, viewer, params), channel_of(1, viewer, params)
        second_group = FIRST + first_agent(1, params.groups)
        if params.is_sparse:
            scan_two_sparse(
                center, count, seen, spots, cells, looks, second_group, first, second, width, out
            )
        else:
            scan_two(
                center, count, seen, spots, cells, looks, second_group, first, second, width, out
            )
    else:
        scan(center, count, seen, spots, cells, looks, viewer, params, width, out)
    if params.minimap:
        mine = minimap_cell(row, agent, unit, params, scene) * width
        for group in range(params.num_groups):
            channel, entry = channel_of(group, viewer, params) + 2, unit * params.num_groups + group
            occupied = board.occupied_cells[row, entry, : board.num_occupied_cells[row, entry]]
            add_minimap(occupied, board.share[row, entry], width, out[channel:])
            out[mine + channel] += np.float32(1.0)


def add_minimap(occupied_cells, share, width, out):
    """Writes a group's share of the cells that it occupies; ``out`` begins with its channel."""
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
    """The agent's id in MAgent, which numbers agents in the order of placing."""
    arrangement, group = 1 if scene.swapped[row] else 0, group_of(agent, params.agents)
    number = params.starts[arrangement, group, NUMBER]
    return number + agent - first_agent(group, params.groups)


def write_features(row, agent, params, scene, out):
    """Writes the features that the options ask for into ``out``."""
    blank(out)
    if scene.status[row, agent] == GONE:
        return
    bits, last = params.id_bits, out.shape[0]
    if params.extra_features:
        if bits > 0:
            number = number_of(row, agent, params, scene)
            for bit in range(bits):
                out[bit] = np.float32((number >> bit) & 1)
        # As in the engine: no action (-1) sets the bit before the actions', the last one of the id;
        # and before the first action (num_actions) the bit set is the one that the reward overwrites.
        action = bits + np.int64(scene.last_action[row, agent])
        if action >= 0:
            out[action] = np.float32(1.0)
        out[bits + params.units[type_of(agent, params.agents), NUM_ACTIONS]] = scene.last_reward[
            row, agent
        ]
    if params.minimap:
        out[last - 2] = np.float32(scene.x[row, agent]) / np.float32(params.size)
        out[last - 1] = np.float32(scene.y[row, agent]) / np.float32(params.size)
    if last > 0 and bits == 0 and is_overwritten(row, agent, params, scene):
        out[last - 1] = np.float32(1.0)


def is_overwritten(row, agent, params, scene):
    """Whether the next agent of the group had no action.

    Without id bits, the bit of no action is the last feature of the agent before in MAgent2's memory.
    """
    last = first_agent(group_of(agent, params.agents) + 1, params.groups)
    for other in range(agent + 1, last):
        if scene.status[row, other] != GONE:
            return scene.last_action[row, other] == -1
    return False


# The next rules are of the agents of one type of the game.


def observe_all(row, agent, params, scene, board, members, view, features):
    """Writes what the n-th of the agents ``members`` observes."""
    who = members[agent]
    write_view(row, who, params, scene, board, view[row, agent])
    write_features(row, who, params, scene, features[row, agent])


def observe_some(row, params, scene, board, rows, agents, of_type, view, features):
    """Writes what an agent observes, or zeros unless ``of_type`` is True for it."""
    if of_type[agents[row]]:
        write_view(rows[row], agents[row], params, scene, board, view[row])
        write_features(rows[row], agents[row], params, scene, features[row])
    else:
        blank(view[row])
        blank(features[row])


def picture_some(row, params, scene, board, rows, agents, width, out):
    write_picture(rows[row], agents[row], params, scene, board, width, out[row])


def picture_jointly(row, params, scene, board, agents, pictures, out):
    """Writes what the n-th of ``agents`` of row 0 observes; ``pictures`` says where, and how wide."""
    who = agents[row]
    part = out[pictures.starts[who] : pictures.starts[who + 1]]
    write_picture(0, who, params, scene, board, pictures.widths[who], part)


def describe(row, params, scene, rows, agents, features):
    """The features alone."""
    write_features(rows[row], agents[row], params, scene, features[row])


# -- every LANES-th number, for devices where many small points run at once: numbers next to each other
# -- in memory are written at once ---------------------------------------------------------------------

LANES = 64


def lane_of_view(row, agent, lane, params, scene, board, out):
    """Writes what `write_view` writes, from the lane-th number on."""
    nothing, unit = np.float32(0.0), type_of(agent, params.agents)
    numbers, size = params.numbers[unit], params.units[unit, NUM_NUMBERS]
    if scene.status[row, agent] == GONE:
        for number in range(lane, size, LANES):
            out[number] = nothing
        return
    center, cells, looks = center_of(row, agent, params, scene), board.grid[row], board.look[row]
    mine = minimap_cell(row, agent, unit, params, scene) if params.minimap else 0
    viewer, groups, where_bit = group_of(agent, params.agents), params.num_groups, params.where_bit
    # Indices are unsigned, as in `scan_two`.
    for number in range(lane, size, LANES):
        packed = np.int64(numbers[np.uint64(number)])
        quantity, where = packed & QUANTITY, packed >> where_bit
        group = viewer + ((packed - (where << where_bit)) >> GROUP_BIT)
        if group >= groups:
            group -= groups
        value = nothing
        if quantity == IS_SHARE:
            value = board.share[row, unit * groups + group, np.uint64(where)]
            if where == mine:
                value += np.float32(1.0)
        elif where != UNSEEN:
            code = np.int64(cells[np.uint64(center + where)])
            if quantity == IS_WALL:
                if code == WALL:
                    value = np.float32(1.0)
            elif code >= FIRST and group_of(code - FIRST, params.agents) == group:
                value = looks[np.uint64(code), np.uint64(quantity)]
        out[np.uint64(number)] = value


def lane_of_features(row, agent, lane, params, scene, out):
    """Writes what `write_features` writes, from the lane-th number on."""
    last = out.shape[0]
    for number in range(lane, last, LANES):
        out[number] = feature(row, agent, number, last, params, scene)


def feature(row, agent, number, last, params, scene):
    """The feature of index ``number``, of ``last`` features."""
    nothing, one = np.float32(0.0), np.float32(1.0)
    if scene.status[row, agent] == GONE:
        return nothing
    if params.id_bits == 0 and number == last - 1 and is_overwritten(row, agent, params, scene):
        return one
    if params.minimap and number >= last - 2:
        place = scene.x[row, agent] if number == last - 2 else scene.y[row, agent]
        return np.float32(place) / np.float32(params.size)
    if number == params.id_bits + params.units[type_of(agent, params.agents), NUM_ACTIONS]:
        return scene.last_reward[row, agent]
    if number == params.id_bits + np.int64(scene.last_action[row, agent]):
        return one
    if number >= params.id_bits:
        return nothing
    return np.float32((number_of(row, agent, params, scene) >> number) & 1)


def lanes_of_all(row, agent, lane, params, scene, board, members, view, features):
    who = members[agent]
    lane_of_view(row, who, lane, params, scene, board, view[row, agent])
    lane_of_features(row, who, lane, params, scene, features[row, agent])


def lanes_of_some(row, lane, params, scene, board, rows, agents, of_type, view, features):
    if of_type[agents[row]]:
        lane_of_view(rows[row], agents[row], lane, params, scene, board, view[row])
        lane_of_features(rows[row], agents[row], lane, params, scene, features[row])
    else:
        for number in range(lane, view.shape[1], LANES):
            view[row, number] = np.float32(0.0)
        for number in range(lane, features.shape[1], LANES):
            features[row, number] = np.float32(0.0)
