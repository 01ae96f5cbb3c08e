"""Ising on a square torus: spins that choose their sign (Yang et al. 2018, section 5.2, eq. 33).

The stages of a step, each a rule: `begin` (row), `choose` (row, agent), `settle` (row, line, column),
`measure` (row). Spins are stored as 0 (down) and 1 (up), as in the authors' code, and count as -1
and +1. Sites are numbered line by line: site = line * side + column.
"""

import numpy as np

from mfenvs.rng import bits, uniform

SYNCHRONOUS, CHECKERBOARD, RANDOM = 0, 1, 2
START_RANDOM, START_UP, START_DOWN = 0, 1, 2


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


def choose(row, agent, law, state, actions, out):
    """Sets the spin: as dealt at a reset, as chosen by an active site, else as it was."""
    spin = state.spin[row, agent]
    acting = False
    if out.reset[row]:
        if law.initial == START_RANDOM:
            spin = bits(state.key[row], state.counter[row], agent) & 1
        else:
            spin = 1 if law.initial == START_UP else 0
    elif state.active[row, agent] and actions[row, agent] >= 0:
        spin = actions[row, agent]
        acting = True
    state.spin[row, agent] = spin
    out.actions[row, agent] = spin
    out.acting[row, agent] = acting


def settle(row, line, column, law, state, out):
    """Rewards the new joint action (eq. 33) and draws who may choose next."""
    agent = line * law.side + column
    spin = state.spin[row, agent]
    reward = np.float32(0.0)
    if not out.reset[row]:
        up = neighbors_up(state.spin, row, line, column, law.side)
        felt = law.half_coupling * np.float32(2 * up - 4)
        reward = np.float32(sign(spin)) * (law.field[agent] + felt)
    out.reward[row, agent] = reward

    active = True
    if law.update == CHECKERBOARD:
        active = (line + column) & 1 == (state.time[row] & 1)
    elif law.update == RANDOM:
        # Lanes from side * side on, since the deal of a reset draws from those below.
        lane = law.side * law.side + agent
        active = uniform(state.key[row], state.counter[row], lane) < law.fraction
    state.active[row, agent] = active
    if out.mask.shape[0] > 0:
        out.mask[row, agent, spin] = 1
        out.mask[row, agent, 1 - spin] = 1 if active else 0


def measure(row, law, state, out):
    """Order parameter, magnetisations and energy of the row, and whether its time is up."""
    side, sites = law.side, law.side * law.side
    total, staggered, bonds, field = 0, 0, 0, 0.0
    for line in range(side):
        for column in range(side):
            site = line * side + column
            value = sign(state.spin[row, site])
            total += value
            staggered += value * (1 - 2 * ((line + column) & 1))
            bonds += value * sign(state.spin[row, line * side + after(column, side)])
            bonds += value * sign(state.spin[row, after(line, side) * side + column])
            field += value * np.float64(law.field[site])
    state.magnetisation[row] = total / sites
    state.order_parameter[row] = abs(total) / sites
    state.staggered_magnetisation[row] = staggered / sites
    state.energy[row] = -(field + 2.0 * np.float64(law.half_coupling) * bonds) / sites

    ended = law.max_cycles >= 0 and state.time[row] >= law.max_cycles
    out.truncated[row] = ended
    out.over[row] = ended


def write_observation(spin, row, line, column, law, out_row):
    """An agent's observation: own sign, own field, and (if there is room) its neighbours' signs."""
    side, site = law.side, line * law.side + column
    out_row[0] = sign(spin[row, site])
    out_row[1] = law.field[site]
    if out_row.shape[0] > 2:
        out_row[2] = sign(spin[row, line * side + before(column, side)])
        out_row[3] = sign(spin[row, before(line, side) * side + column])
        out_row[4] = sign(spin[row, line * side + after(column, side)])
        out_row[5] = sign(spin[row, after(line, side) * side + column])


def observe_all(row, line, column, law, spin, out):
    write_observation(spin, row, line, column, law, out[row, line * law.side + column])


def observe_some(row, law, spin, rows, agents, out):
    line = agents[row] // law.side
    write_observation(spin, rows[row], line, agents[row] - line * law.side, law, out[row])


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
