"""Monte Carlo moves on the Ising torus, as rules: `heat_bath`, `metropolis`, `wolff`.

Each call advances a row by a number of sweeps and, if ``measured``, adds |m| and the energy after each
sweep to the row's sums. `mfenvs.ising.exact` runs them and documents what they sample.

Every draw is ``bits(key, counter, lane)``: the counter is the number of the sweep (Wolff: of the
cluster), the lane the purpose of the draw. A probability p is stored as p * 2^32; 32 random bits are
below it with that probability.
"""

from typing import Any, NamedTuple

from mfenvs.ising.rules import after, before, neighbors_up
from mfenvs.rng import bits


class Params(NamedTuple):
    """Parameters of the moves.

    Attributes:
        field: float64 [N], or [0] without a field.
        field_index: int32 [N], index into the second axis of ``threshold``; equal for equal fields.
        threshold: int64 [temperatures, fields, 5, 10 or 1]; probabilities times 2^32. Heat bath:
            to be up, by the number of neighbours up. Metropolis: to flip, by 5 * spin + that
            number. Wolff: to join the cluster.
    """

    side: int
    coupling: float
    field: Any
    field_index: Any
    threshold: Any


class Chain(NamedTuple):
    """R chains: row r is chain r // T of temperature r % T, so that threads get equal work.

    Attributes:
        spin: int8 [R, N]; 0 down, 1 up.
        key, counter: int64 [R]; the chain's random stream and its position in it.
        temperature: int64 [R]; its index, 0 to T - 1.
        stack: int32 [R, N]; Wolff's sites whose neighbours have not been visited yet.
        clusters, grown, flipped: int64 [R]; see `wolff`.
        bins: int64 [R, 2, levels]; full bins of 2^level values, of |m| and of the energy.
        total, square: float64, like bins; sums of the bins' means and of the squares of those.
        half: float64, like bins; a mean that is still to be averaged with the next.
    """

    spin: Any
    key: Any
    counter: Any
    temperature: Any
    stack: Any
    clusters: Any
    grown: Any
    flipped: Any
    bins: Any
    total: Any
    square: Any
    half: Any


def heat_bath(row, params, chain, sweeps, measured):
    """Draws each site in order: up with its conditional probability."""
    side, key, level = params.side, chain.key[row], chain.temperature[row]
    for _ in range(sweeps):
        chain.counter[row] += 1
        counter = chain.counter[row]
        for line in range(side):
            for column in range(side):
                site = line * side + column
                up = neighbors_up(chain.spin, row, line, column, side)
                chance = params.threshold[level, params.field_index[site], up]
                chain.spin[row, site] = bits(key, counter, site) < chance
        if measured:
            measure(row, params, chain)


def metropolis(row, params, chain, sweeps, measured):
    """Proposes to flip N sites drawn at random (Algorithm 3 of the paper)."""
    sites, key, level = params.side * params.side, chain.key[row], chain.temperature[row]
    for _ in range(sweeps):
        chain.counter[row] += 1
        counter = chain.counter[row]
        for trial in range(sites):
            site = (bits(key, counter, 2 * trial) * sites) >> 32
            old = chain.spin[row, site]
            line = site // params.side
            up = neighbors_up(chain.spin, row, line, site - line * params.side, params.side)
            chance = params.threshold[level, params.field_index[site], 5 * old + up]
            if bits(key, counter, 2 * trial + 1) < chance:
                chain.spin[row, site] = 1 - old
        if measured:
            measure(row, params, chain)


def wolff(row, params, chain, sweeps, measured):
    """Flips clusters, `chain.clusters` of them in a sweep.

    While that number is 0, a sweep ends after N flipped spins, and `chain.grown` and `chain.flipped`
    count the clusters and their spins.
    """
    for _ in range(sweeps):
        if chain.clusters[row] > 0:
            for _cluster in range(chain.clusters[row]):
                flip_cluster(row, params, chain)
        else:
            goal = chain.flipped[row] + params.side * params.side
            while chain.flipped[row] < goal:
                chain.flipped[row] += flip_cluster(row, params, chain)
                chain.grown[row] += 1
        if measured:
            measure(row, params, chain)


def flip_cluster(row, params, chain):
    """Grows a cluster of equal spins from a random site, flips it, and returns its size."""
    chain.counter[row] += 1
    key, counter = chain.key[row], chain.counter[row]
    chance = params.threshold[chain.temperature[row], 0, 0]
    site = (bits(key, counter, 0) * (params.side * params.side)) >> 32
    old = chain.spin[row, site]
    # A spin is flipped when it is added, so that it is not added twice.
    chain.spin[row, site] = 1 - old
    chain.stack[row, 0] = site
    height, size, lane = 1, 1, 1
    while height > 0:
        height -= 1
        site = chain.stack[row, height]
        for direction in range(4):
            other = neighbor(site, direction, params.side)
            if chain.spin[row, other] == old:
                if bits(key, counter, lane) < chance:
                    chain.spin[row, other] = 1 - old
                    chain.stack[row, height] = other
                    height += 1
                    size += 1
                lane += 1
    return size


def neighbor(site, direction, side):
    """Returns the site to the left (0), above (1), to the right (2) or below (3)."""
    line = site // side
    column = site - line * side
    if direction == 0:
        return line * side + before(column, side)
    if direction == 1:
        return before(line, side) * side + column
    if direction == 2:
        return line * side + after(column, side)
    return after(line, side) * side + column


def measure(row, params, chain):
    """Adds |m| and the energy per site, less those of the all-up lattice, to the row's bins.

    At low temperatures these differences are small, so that their squares lose few digits.
    """
    side, spin = params.side, chain.spin[row]
    sites = side * side
    ups, unequal = 0, 0
    for y in range(side):
        line = y * side
        below = after(y, side) * side
        unequal += spin[line] != spin[line + side - 1]
        for x in range(side):
            ups += spin[line + x] > 0
            unequal += spin[line + x] != spin[below + x]
        for x in range(side - 1):
            unequal += spin[line + x] != spin[line + x + 1]
    excess = params.coupling * unequal
    for site in range(params.field.shape[0]):
        excess += params.field[site] * (1 - spin[site])
    record(row, 0, -2.0 * min(ups, sites - ups) / sites, chain)
    record(row, 1, 2.0 * excess / sites, chain)


def record(row, which, value, chain):
    """Adds a value to the sums of single values, of means of two, of four, and so on."""
    for level in range(chain.bins.shape[2]):
        chain.bins[row, which, level] += 1
        chain.total[row, which, level] += value
        chain.square[row, which, level] += value * value
        if chain.bins[row, which, level] & 1:
            chain.half[row, which, level] = value
            break
        value = 0.5 * (chain.half[row, which, level] + value)
