"""Ising on a square torus: spins that choose their sign (Yang et al. 2018, section 5.2, eq. 33).

The stages of a step, each a rule: `begin` (row), `deal` (row, line), `choose` (row, agent), `settle`
(row, line), `activate` (row, line, column; where not all choose always), `measure` (row). Spins are
stored as 0 (down) and 1 (up), as in the authors' code, and count as -1 and +1. Sites are numbered line
by line: site = line * side + column.
"""

import numpy as np

from mfenvs.rng import bits, uniform

SYNCHRONOUS, CHECKERBOARD, RANDOM = 0, 1, 2
START_RANDOM, START_UP, START_DOWN = 0, 1, 2
# What a line's sums are of: spin times the four spins around it, spin, and spin with its colour's sign.
AGREEMENT, TOTAL, STAGGERED = 0, 1, 2


def sign(spin):
    """Spin 0 or 1 as -1 or +1."""
    return 2 * np.int64(spin) - 1


def before(index, side):
    """The line above, or the column to the left, on the torus."""
    return index - 1 if index > 0 else side - 1


def after(index, side):
    """The line below, or the column to the right, on the torus."""
    return index + 1 if index < side - 1 else 0


def neighbors_up(spin, row, line, column, side):
    """How many of the four neighbours are up, 0 to 4."""
    up = np.int64(spin[row, line * side + before(column, side)])
    up += spin[row, before(line, side) * side + column]
    up += spin[row, line * side + after(column, side)]
    up += spin[row, after(line, side) * side + column]
    return up


def begin(row, state, last, out):
    """Opens the step: does the row start anew, and which draw of its stream is next?"""
    anew = last.over[row]
    out.reset[row] = anew
    state.time[row] = 0 if anew else state.time[row] + 1
    state.counter[row] += 1


def deal(row, line, params, state, out):
    """Gives a line its first spins, if the row starts anew."""
    if out.reset[row]:
        for site in range(line * params.side, (line + 1) * params.side):
            if params.initial == START_RANDOM:
                state.spin[row, site] = bits(state.key[row], state.counter[row], site) & 1
            else:
                state.spin[row, site] = 1 if params.initial == START_UP else 0


def choose(row, agent, state, actions, out):
    """Sets the spin that an active site has chosen; the others hold theirs, as all do at a reset."""
    # Everything is loaded whether it is needed or not: so this becomes vector instructions.
    action, held = actions[row, agent], state.spin[row, agent]
    acting = (action >= 0) & state.active[row, agent] & (not out.reset[row])
    spin = action if acting else held
    state.spin[row, agent] = spin
    out.actions[row, agent] = spin
    out.acting[row, agent] = acting


def earned(spin, up, field, half_coupling):
    """The reward (eq. 33) of a spin of whose four neighbours ``up`` are up: float32."""
    return np.float32(sign(spin)) * (field + half_coupling * np.float32(2 * up - 4))


def settle(row, line, params, state, out):
    """Rewards a line of the new joint action, but for a reset, and sums what `measure` needs of it."""
    side, first = params.side, line * params.side
    spin, paid, half_coupling = state.spin[row], not out.reset[row], params.half_coupling
    here, field = spin[first : first + side], params.field[first : first + side]
    above, below = before(line, side) * side, after(line, side) * side
    above, below = spin[above : above + side], spin[below : below + side]
    reward = out.reward[row, first : first + side]
    agreement = np.int64(0)
    # Apart from its ends, a line needs no wrap-around, and becomes vector instructions.
    for column in range(1, side - 1):
        up = here[column - 1] + here[column + 1] + above[column] + below[column]
        value = earned(here[column], up, field[column], half_coupling)
        reward[column] = value if paid else np.float32(0.0)
        agreement += sign(here[column]) * (2 * up - 4)
    for column in (0, side - 1):
        up = neighbors_up(state.spin, row, line, column, side)
        value = earned(here[column], up, field[column], half_coupling)
        reward[column] = value if paid else np.float32(0.0)
        agreement += sign(here[column]) * (2 * up - 4)

    even, odd = np.int64(0), np.int64(0)
    for column in range(0, side, 2):
        even += sign(here[column])
    for column in range(1, side, 2):
        odd += sign(here[column])
    state.line_sums[row, line, AGREEMENT] = agreement
    state.line_sums[row, line, TOTAL] = even + odd
    state.line_sums[row, line, STAGGERED] = odd - even if line & 1 else even - odd


def activate(row, line, column, params, state, out):
    """Draws whether a site may choose next, and says so in the mask."""
    agent = line * params.side + column
    if params.update == CHECKERBOARD:
        active = (line + column) & 1 == (state.time[row] & 1)
    else:
        # Lanes from side * side on, since the deal of a reset draws from those below.
        lane = params.side * params.side + agent
        active = uniform(state.key[row], state.counter[row], lane) < params.fraction
    state.active[row, agent] = active
    spin = state.spin[row, agent]
    out.mask[row, agent, spin] = 1
    out.mask[row, agent, 1 - spin] = 1 if active else 0


def measure(row, params, state, out):
    """Order parameter, magnetisations and energy of the row, and whether its time is up."""
    sites = params.side * params.side
    agreement, total, staggered = np.int64(0), np.int64(0), np.int64(0)
    for line in range(params.side):
        agreement += state.line_sums[row, line, AGREEMENT]
        total += state.line_sums[row, line, TOTAL]
        staggered += state.line_sums[row, line, STAGGERED]
    field = 0.0
    if params.uniform:
        field += total * np.float64(params.field[0])
    else:
        for site in range(sites):
            field += sign(state.spin[row, site]) * np.float64(params.field[site])
    state.magnetisation[row] = total / sites
    state.order_parameter[row] = abs(total) / sites
    state.staggered_magnetisation[row] = staggered / sites
    state.energy[row] = -(field + np.float64(params.half_coupling) * agreement) / sites

    ended = params.max_cycles >= 0 and state.time[row] >= params.max_cycles
    out.truncated[row] = ended
    out.over[row] = ended


def write_own(spin, row, site, params, out_row):
    """An agent's own sign and field."""
    out_row[0] = sign(spin[row, site])
    out_row[1] = params.field[site]


def write_around(spin, row, line, column, params, out_row):
    """The signs of an agent's neighbours: left, above, right, below."""
    side = params.side
    out_row[2] = sign(spin[row, line * side + before(column, side)])
    out_row[3] = sign(spin[row, before(line, side) * side + column])
    out_row[4] = sign(spin[row, line * side + after(column, side)])
    out_row[5] = sign(spin[row, after(line, side) * side + column])


def observe_own(row, agent, params, spin, out):
    write_own(spin, row, agent, params, out[row, agent])


def observe_around(row, line, column, params, spin, out):
    write_around(spin, row, line, column, params, out[row, line * params.side + column])


def observe_some(row, params, spin, rows, agents, out):
    site = agents[row]
    write_own(spin, rows[row], site, params, out[row])
    if out.shape[1] > 2:
        line = site // params.side
        write_around(spin, rows[row], line, site - line * params.side, params, out[row])


def pack(row, spin, packed):
    """Eight spins to a byte, the first in the lowest bit."""
    sites = spin.shape[1]
    for byte in range(packed.shape[1]):
        value = 0
        for bit in range(min(8, sites - 8 * byte)):
            value |= spin[row, 8 * byte + bit] << bit
        packed[row, byte] = value


def unpack(row, agent, packed, spin):
    spin[row, agent] = (packed[row, agent >> 3] >> (agent & 7)) & 1
