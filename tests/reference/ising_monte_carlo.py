"""Naive loops for `mfenvs.ising.exact`: the three moves, measurement, binning, and enumeration.

Written from the formulas, on lists of lists of -1 and +1 and with floats for probabilities; only
the numbering of the random draws is that of the library.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np

from mfenvs.rng import bits, row_key

Lattice = list[list[int]]  # [y][x], -1 or +1


def chain_key(seed: int, temperature: int, chain: int) -> int:
    return row_key(row_key(seed, temperature), chain)


def around(spins: Lattice, y: int, x: int) -> list[tuple[int, int]]:
    """The sites left, above, right, below."""
    side = len(spins)
    return [
        (y, (x - 1) % side),
        ((y - 1) % side, x),
        (y, (x + 1) % side),
        ((y + 1) % side, x),
    ]


def reward(spins: Lattice, y: int, x: int, coupling: float, field: np.ndarray) -> float:
    """Eq. 33."""
    felt = sum(spins[v][u] for v, u in around(spins, y, x))
    return spins[y][x] * (field[y, x] + coupling / 2 * felt)


def heat_bath(
    spins: Lattice, key: int, time: int, tau: float, coupling: float, field: np.ndarray
) -> None:
    side = len(spins)
    for y in range(side):
        for x in range(side):
            spins[y][x] = 1
            up = math.exp(reward(spins, y, x, coupling, field) / tau)
            spins[y][x] = -1
            down = math.exp(reward(spins, y, x, coupling, field) / tau)
            if bits(key, time, y * side + x) / 2**32 < up / (up + down):
                spins[y][x] = 1


def metropolis(
    spins: Lattice, key: int, time: int, tau: float, coupling: float, field: np.ndarray
) -> None:
    side = len(spins)
    for trial in range(side * side):
        y, x = divmod(bits(key, time, 2 * trial) * side * side // 2**32, side)
        delta = 2 * reward(spins, y, x, coupling, field)
        if bits(key, time, 2 * trial + 1) / 2**32 < math.exp(min(0.0, -delta / tau)):
            spins[y][x] *= -1


def wolff(
    spins: Lattice, key: int, time: int, tau: float, coupling: float, field: np.ndarray
) -> None:
    side = len(spins)
    first = divmod(bits(key, time, 0) * side * side // 2**32, side)
    like = spins[first[0]][first[1]]
    cluster, waiting, lane = {first}, [first], 0
    while waiting:
        for site in around(spins, *waiting.pop()):
            if spins[site[0]][site[1]] == like and site not in cluster:
                lane += 1
                if bits(key, time, lane) / 2**32 < 1 - math.exp(-coupling / tau):
                    cluster.add(site)
                    waiting.append(site)
    for y, x in cluster:
        spins[y][x] *= -1


MOVES: dict[str, Callable[..., None]] = {
    "heat_bath": heat_bath,
    "metropolis": metropolis,
    "wolff": wolff,
}


def measure(spins: Lattice, coupling: float, field: np.ndarray) -> tuple[float, float]:
    """|m| and -(1/N) sum_j r_j."""
    side = len(spins)
    sites = list(itertools.product(range(side), range(side)))
    total = sum(reward(spins, y, x, coupling, field) for y, x in sites)
    return abs(sum(spins[y][x] for y, x in sites)) / side**2, -total / side**2


def simulate(
    method: str, side: int, tau: float, coupling: float, field: np.ndarray, sweeps: int, key: int
) -> tuple[Lattice, np.ndarray]:
    """From all up, without burn-in: the last spins and the measurements [2, sweeps]."""
    spins, series = [[1] * side for _ in range(side)], []
    for time in range(1, sweeps + 1):
        MOVES[method](spins, key, time, tau, coupling, field)
        series.append(measure(spins, coupling, field))
    return spins, np.array(series).T


def binned_error(series: np.ndarray, width: int) -> float:
    """Standard error of the mean of series [chains, n], were bins of this width independent."""
    number = series.shape[1] // width
    means = series[:, : number * width].reshape(len(series), number, width).mean(axis=2)
    # The bins leave the series' last values out, the mean does not.
    used = means.size * width / series.size
    return float(means.std(ddof=1) / math.sqrt(means.size) * math.sqrt(used))


def reported_error(series: np.ndarray) -> float:
    """The error at the first width B = 1, 2, 4, ... with B^3 > 2 n (e_B / e_1)^4, else the largest.

    Widths that leave fewer than 16 bins do not count.
    """
    errors, width = {}, 1
    while width == 1 or len(series) * (series.shape[1] // width) >= 16:
        errors[width] = binned_error(series, width)
        if width**3 > 2 * series.size * (errors[width] / errors[1]) ** 4:
            return errors[width]
        width *= 2
    return max(errors.values())


def enumerate_exactly(
    side: int, tau: float, coupling: float, field: np.ndarray
) -> tuple[float, float]:
    """<|m|> and the energy per site over all 2^N states, weighted by the one-at-a-time policies.

    Their Gibbs weight is exp((sum h a + (coupling / 2) sum over pairs a a) / tau).
    """
    weights, values = [], []
    for state in itertools.product((-1, 1), repeat=side * side):
        spins = np.array(state).reshape(side, side)
        pairs = (spins * (np.roll(spins, 1, 0) + np.roll(spins, 1, 1))).sum()
        weights.append(math.exp(((field * spins).sum() + coupling / 2 * pairs) / tau))
        energy = -((field * spins).sum() + coupling * pairs) / side**2
        values.append((abs(spins.mean()), energy))
    magnetisation, energy = np.average(values, axis=0, weights=weights)
    return float(magnetisation), float(energy)
