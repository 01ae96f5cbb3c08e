"""Rules of the Ising game: each agent is a spin on a square torus (Yang et al. 2018, 5.2, Eq. 33).

The stages of a step, each a rule: `begin` (row), `initialize` (row, line), `choose` (row, agent),
`reward` (row, line), `activate` (row, line, column; if not all sites choose in every step), `measure`
(row). Spins are stored as 0 (down) and 1 (up), as in the authors' code, and stand for -1 and +1. Sites
are numbered line by line: site = line * side + column.
"""

import numpy as np

from mfenvs.rng import bits, uniform

SYNCHRONOUS, CHECKERBOARD, RANDOM = 0, 1, 2
START_RANDOM, START_UP, START_DOWN = 0, 1, 2
# Sums over a line: of spin times its four neighbours, of spins, of spins times the sign of their colour.
AGREEMENT, TOTAL, STAGGERED = 0, 1, 2


def sign(spin):
    """Returns spin 0 or 1 as -1 or +1."""
    return 2 * np.int64(spin) - 1


def before(index, side):
    """Returns the line above, or the column to the left, on the torus."""
    return index - 1 if index > 0 else side - 1


def after(index, side):
    """Returns the line below, or the column to the right, on the torus."""
    return index + 1 if index < side - 1 else 0


def neighbors_up(spin, row, line, column, side):
    """Returns the number of the four neighbours that are up, 0 to 4."""
    up = np.int64(spin[row, line * side + before(column, side)])
    up += spin[row, before(line, side) * side + column]
    up += spin[row, line * side + after(column, side)]
    up += spin[row, after(line, side) * side + column]
    return up


def begin(row, state, last, out):
    """Resets the row if its episode has ended; advances its time and its random stream."""
    reset = last.over[row]
    out.reset[row] = reset
    state.time[row] = 0 if reset else state.time[row] + 1
    state.counter[row] += 1


def initialize(row, line, params, state, out):
    """Sets the first spins of a line, if the row is reset."""
    if out.reset[row]:
        for site in range(line * params.side, (line + 1) * params.side):
            if params.initial == START_RANDOM:
                state.spin[row, site] = bits(state.key[row], state.counter[row], site) & 1
            else:
                state.spin[row, site] = 1 if params.initial == START_UP else 0


def choose(row, agent, state, actions, out):
    """Sets the chosen spin of an active site; other sites, and all at a reset, hold their spin."""
    # All values are loaded, needed or not, so that this compiles to vector instructions.
    action, held = actions[row, agent], state.spin[row, agent]
    acting = (action >= 0) & state.active[row, agent] & (not out.reset[row])
    spin = action if acting else held
    state.spin[row, agent] = spin
    out.actions[row, agent] = spin
    out.acting[row, agent] = acting


def spin_reward(spin, up, field, half_coupling):
    """Returns the reward (Eq. 33) of a spin with ``up`` of its four neighbours up: float32."""
    return np.float32(sign(spin)) * (field + half_coupling * np.float32(2 * up - 4))


def reward(row, line, params, state, out):
    """Writes the rewards of a line, zero at a reset, and the line's sums for `measure`."""
    side, first = params.side, line * params.side
    spin, played, half_coupling = state.spin[row], not out.reset[row], params.half_coupling
    current, field = spin[first : first + side], params.field[first : first + side]
    above, below = before(line, side) * side, after(line, side) * side
    above, below = spin[above : above + side], spin[below : below + side]
    rewards = out.reward[row, first : first + side]
    agreement = np.int64(0)
    # Without its ends a line does not wrap around the torus, and compiles to vector instructions.
    for column in range(1, side - 1):
        up = current[column - 1] + current[column + 1] + above[column] + below[column]
        value = spin_reward(current[column], up, field[column], half_coupling)
        rewards[column] = value if played else np.float32(0.0)
        agreement += sign(current[column]) * (2 * up - 4)
    for column in (0, side - 1):
        up = neighbors_up(state.spin, row, line, column, side)
        value = spin_reward(current[column], up, field[column], half_coupling)
        rewards[column] = value if played else np.float32(0.0)
        agreement += sign(current[column]) * (2 * up - 4)

    even, odd = np.int64(0), np.int64(0)
    for column in range(0, side, 2):
        even += sign(current[column])
    for column in range(1, side, 2):
        odd += sign(current[column])
    state.line_sums[row, line, AGREEMENT] = agreement
    state.line_sums[row, line, TOTAL] = even + odd
    state.line_sums[row, line, STAGGERED] = odd - even if line & 1 else even - odd


def activate(row, line, column, params, state, out):
    """Determines whether a site may choose in the next step, and writes its mask."""
    agent = line * params.side + column
    if params.update == CHECKERBOARD:
        active = (line + column) & 1 == (state.time[row] & 1)
    else:
        # Lanes from side * side on, since `initialize` draws from those below.
        lane = params.side * params.side + agent
        active = uniform(state.key[row], state.counter[row], lane) < params.fraction
    state.active[row, agent] = active
    spin = state.spin[row, agent]
    out.mask[row, agent, spin] = 1
    out.mask[row, agent, 1 - spin] = 1 if active else 0


def measure(row, params, state, out):
    """Writes order parameter, magnetisations and energy of the row, and the end by the time limit."""
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


def write_self(spin, row, site, params, out_row):
    """Writes an agent's sign and field."""
    out_row[0] = sign(spin[row, site])
    out_row[1] = params.field[site]


def write_neighbors(spin, row, line, column, params, out_row):
    """Writes the signs of an agent's neighbours: left, above, right, below."""
    side = params.side
    out_row[2] = sign(spin[row, line * side + before(column, side)])
    out_row[3] = sign(spin[row, before(line, side) * side + column])
    out_row[4] = sign(spin[row, line * side + after(column, side)])
    out_row[5] = sign(spin[row, after(line, side) * side + column])


def observe_self(row, agent, params, spin, out):
    write_self(spin, row, agent, params, out[row, agent])


def observe_neighbors(row, line, column, params, spin, out):
    write_neighbors(spin, row, line, column, params, out[row, line * params.side + column])


def observe_some(row, params, spin, rows, agents, out):
    site = agents[row]
    write_self(spin, rows[row], site, params, out[row])
    if out.shape[1] > 2:
        line = site // params.side
        write_neighbors(spin, rows[row], line, site - line * params.side, params, out[row])


def pack(row, spin, packed):
    """Packs eight spins into a byte, the first in the lowest bit."""
    sites = spin.shape[1]
    for byte in range(packed.shape[1]):
        value = 0
        for bit in range(min(8, sites - 8 * byte)):
            value |= spin[row, 8 * byte + bit] << bit
        packed[row, byte] = value


def unpack(row, agent, packed, spin):
    spin[row, agent] = (packed[row, agent >> 3] >> (agent & 7)) & 1
