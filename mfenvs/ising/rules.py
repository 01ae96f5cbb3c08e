"""Ising on a square torus: spins that choose their sign (Yang et al. 2018, section 5.2, eq. 33).

The stages of a step, each a rule: `begin` (row), `choose` (row, agent), `settle` (row, agent),
`measure` (row). Spins are stored as 0 (down) and 1 (up), as in the authors' code, and count as -1
and +1. Sites are numbered row by row: site = y * side + x.
"""

import numpy as np

from mfenvs.rng import bits, uniform

SYNCHRONOUS, CHECKERBOARD, RANDOM = 0, 1, 2
START_RANDOM, START_UP, START_DOWN = 0, 1, 2


def sign(spin):
    """Spin 0 or 1 as -1 or +1."""
    return 2 * np.int64(spin) - 1


def neighbor(site, direction, side):
    """The site left (0), above (1), right (2) or below (3) of a site on the torus."""
    y = site // side
    x = site - y * side
    if direction == 0:
        x = x - 1 if x > 0 else side - 1
    elif direction == 1:
        y = y - 1 if y > 0 else side - 1
    elif direction == 2:
        x = x + 1 if x < side - 1 else 0
    else:
        y = y + 1 if y < side - 1 else 0
    return y * side + x


def neighbor_sum(spin, row, site, side):
    """Sum of the four neighbours' signs, in {-4, -2, 0, 2, 4}."""
    total = 0
    for direction in range(4):
        total += sign(spin[row, neighbor(site, direction, side)])
    return total


def parity(site, side):
    """Colour of a site on the checkerboard: 0 or 1."""
    y = site // side
    return (site - y * side + y) & 1


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


def settle(row, agent, law, state, out):
    """Rewards the new joint action (eq. 33) and draws who may choose next."""
    spin = state.spin[row, agent]
    reward = np.float32(0.0)
    if not out.reset[row]:
        around = np.float32(neighbor_sum(state.spin, row, agent, law.side))
        felt = law.field[agent] + law.half_coupling * around
        reward = np.float32(sign(spin)) * felt
    out.reward[row, agent] = reward

    active = True
    if law.update == CHECKERBOARD:
        active = parity(agent, law.side) == (state.time[row] & 1)
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
    sites = law.side * law.side
    total, staggered, bonds, field = 0, 0, 0, 0.0
    for site in range(sites):
        value = sign(state.spin[row, site])
        total += value
        staggered += -value if parity(site, law.side) == 1 else value
        right = sign(state.spin[row, neighbor(site, 2, law.side)])
        below = sign(state.spin[row, neighbor(site, 3, law.side)])
        bonds += value * (right + below)
        field += value * np.float64(law.field[site])
    state.magnetisation[row] = total / sites
    state.order_parameter[row] = abs(total) / sites
    state.staggered_magnetisation[row] = staggered / sites
    state.energy[row] = -(field + 2.0 * np.float64(law.half_coupling) * bonds) / sites

    ended = law.max_cycles >= 0 and state.time[row] >= law.max_cycles
    out.truncated[row] = ended
    out.over[row] = ended


def write_observation(spin, row, agent, law, out_row):
    """One agent's observation: own sign, own field, and (if there is room) its neighbours' signs."""
    out_row[0] = sign(spin[row, agent])
    out_row[1] = law.field[agent]
    if out_row.shape[0] > 2:
        for direction in range(4):
            out_row[2 + direction] = sign(spin[row, neighbor(agent, direction, law.side)])


def observe_all(row, agent, law, spin, out):
    write_observation(spin, row, agent, law, out[row, agent])


def observe_some(row, law, spin, rows, agents, out):
    write_observation(spin, rows[row], agents[row], law, out[row])


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
