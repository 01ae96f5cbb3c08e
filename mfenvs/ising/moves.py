"""Monte Carlo moves on the Ising torus, as rules: `heat_bath`, `metropolis`, `wolff`.

Each call advances a row by a number of sweeps and, if asked, tallies |m| and the energy after each
one. `mfenvs.ising.exact` runs them and says what they sample.

Every draw is ``bits(key, counter, lane)``: the counter is the number of the sweep (Wolff: of the
cluster), the lane says what the draw is for. A probability p is the threshold p * 2^32 that 32
random bits must stay below.
"""

from typing import Any, NamedTuple

from mfenvs.ising.rules import after, before, neighbors_up
from mfenvs.rng import bits


class Params(NamedTuple):
    """What the moves obey.

    Attributes:
        field: float64 [N], or [0] where there is none.
        kind: int32 [N], the site's entry of ``threshold``: sites of one field share it.
        threshold: int64 [temperatures, fields, 5, 10 or 1]; probabilities times 2^32. Heat bath:
            to be up, by the number of neighbours up. Metropolis: to flip, by 5 * spin + that
            number. Wolff: to join the cluster.
    """

    side: int
    coupling: float
    field: Any
    kind: Any
    threshold: Any


class Chain(NamedTuple):
    """R chains: row r is chain r // T of temperature r % T, so that threads get like shares.

    Attributes:
        spin: int8 [R, N]; 0 down, 1 up.
        key, counter: int64 [R]; the chain's random stream and its position in it.
        temperature: int64 [R]; which one, 0 to T - 1.
        stack: int32 [R, N]; Wolff's sites whose neighbours are still to be asked.
        clusters, grown, flipped: int64 [R]; see `wolff`.
        bins: int64 [R, 2, levels]; full bins of 2^level values, of |m| and of the energy.
        total, square: float64, like bins; sums of the bins' means and of the squares of those.
        half: float64, like bins; the last mean that waits for its partner.
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
    """Sites in order; each takes a fresh spin, up with its conditional probability."""
    side, key, level = params.side, chain.key[row], chain.temperature[row]
    for _ in range(sweeps):
        chain.counter[row] += 1
        counter = chain.counter[row]
        for line in range(side):
            for column in range(side):
                site = line * side + column
                up = neighbors_up(chain.spin, row, line, column, side)
                chance = params.threshold[level, params.kind[site], up]
                chain.spin[row, site] = bits(key, counter, site) < chance
        if measured:
            tally(row, params, chain)


def metropolis(row, params, chain, sweeps, measured):
    """N sites drawn at random; each proposes to flip (the paper's Algorithm 3)."""
    sites, key, level = params.side * params.side, chain.key[row], chain.temperature[row]
    for _ in range(sweeps):
        chain.counter[row] += 1
        counter = chain.counter[row]
        for trial in range(sites):
            site = (bits(key, counter, 2 * trial) * sites) >> 32
            old = chain.spin[row, site]
            line = site // params.side
            up = neighbors_up(chain.spin, row, line, site - line * params.side, params.side)
            chance = params.threshold[level, params.kind[site], 5 * old + up]
            if bits(key, counter, 2 * trial + 1) < chance:
                chain.spin[row, site] = 1 - old
        if measured:
            tally(row, params, chain)


def wolff(row, params, chain, sweeps, measured):
    """Whole clusters, `chain.clusters` of them to a sweep.

    While that number is not chosen yet (0), a sweep ends once N spins were flipped, and
    `chain.grown` and `chain.flipped` count the clusters and their spins.
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
            tally(row, params, chain)


def flip_cluster(row, params, chain):
    """Grows a cluster of like spins from a random site, flips it, and returns its size."""
    chain.counter[row] += 1
    key, counter = chain.key[row], chain.counter[row]
    chance = params.threshold[chain.temperature[row], 0, 0]
    site = (bits(key, counter, 0) * (params.side * params.side)) >> 32
    old = chain.spin[row, site]
    # A spin is flipped when it joins, so that it cannot join twice.
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
    """The site to the left (0), above (1), to the right (2) or below (3) of a site."""
    line = site // side
    column = site - line * side
    if direction == 0:
        return line * side + before(column, side)
    if direction == 1:
        return before(line, side) * side + column
    if direction == 2:
        return line * side + after(column, side)
    return after(line, side) * side + column


def tally(row, params, chain):
    """Adds |m| and the energy per site to the row's bins, less those of the all-up lattice.

    Where order is strong these differences are small, and their squares keep their digits.
    """
    side, spin = params.side, chain.spin[row]
    sites = side * side
    ups, unlike = 0, 0
    for y in range(side):
        line = y * side
        below = after(y, side) * side
        unlike += spin[line] != spin[line + side - 1]
        for x in range(side):
            ups += spin[line + x] > 0
            unlike += spin[line + x] != spin[below + x]
        for x in range(side - 1):
            unlike += spin[line + x] != spin[line + x + 1]
    loss = params.coupling * unlike
    for site in range(params.field.shape[0]):
        loss += params.field[site] * (1 - spin[site])
    record(row, 0, -2.0 * min(ups, sites - ups) / sites, chain)
    record(row, 1, 2.0 * loss / sites, chain)


def record(row, which, value, chain):
    """Adds a value to the sums over single values, over means of two, of four, and so on."""
    for level in range(chain.bins.shape[2]):
        chain.bins[row, which, level] += 1
        chain.total[row, which, level] += value
        chain.square[row, which, level] += value * value
        if chain.bins[row, which, level] & 1:
            chain.half[row, which, level] = value
            break
        value = 0.5 * (chain.half[row, which, level] + value)
