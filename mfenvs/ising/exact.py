"""Reference values for the Ising game: Onsager's and Weiss's solutions, and Monte Carlo.

Temperatures are the paper's tau: an agent's policy is proportional to exp(r / tau), with its reward
r_j = h_j a_j + (coupling / 2) a_j S_j (Eq. 33; S_j is the sum of the four neighbours' signs). Physics
writes exp(coupling a_j S_j / T), so that T = 2 tau, and the field is 2 h_j.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from mfenvs.engine.backend import get_backend
from mfenvs.ising import moves
from mfenvs.ising.config import IsingConfig
from mfenvs.ising.moves import Chain, Params
from mfenvs.rng import bits, row_key
from mfenvs.validate import MAX_SEED, number, numbers, one_of, positive, whole

METHODS = {"heat_bath": moves.heat_bath, "metropolis": moves.metropolis, "wolff": moves.wolff}

# Spins updated in one call of compiled code, 0.1 to 0.4 s, during which Ctrl-C has to wait.
CHUNK = 10_000_000
BIN_LEVELS = 40
MIN_BINS = 16


def critical_temperature(coupling: float = 1.0) -> float:
    """Returns tau_c = coupling / ln(1 + sqrt 2) of the infinite square lattice (Onsager 1944).

    Raises:
        TypeError, ValueError: unless ``coupling`` is a positive finite number.
    """
    return positive("coupling", coupling) / math.log1p(math.sqrt(2.0))


def weiss_critical_temperature(coupling: float = 1.0) -> float:
    """Returns tau_c = 2 coupling, where the slope of Weiss's tanh(2 coupling m / tau) at m = 0 is 1.

    Raises:
        TypeError, ValueError: unless ``coupling`` is a positive finite number.
    """
    return 2.0 * positive("coupling", coupling)


def onsager_magnetisation(tau: Any, coupling: float = 1.0) -> Any:
    """Returns the spontaneous magnetisation [1 - sinh(coupling / tau)^-4]^(1/8), infinite lattice.

    Args:
        tau: temperatures, any shape.

    Returns:
        float64 of tau's shape (a scalar for a scalar), in [0, 1]; 0 for tau >= tau_c.

    Raises:
        TypeError, ValueError: unless ``tau`` and ``coupling`` are positive finite numbers.
    """
    levels = _temperatures(tau)
    ceiling = critical_temperature(coupling)
    with np.errstate(over="ignore", divide="ignore"):
        power = np.maximum(0.0, 1.0 - np.sinh(coupling / levels) ** -4)
    return np.where(levels < ceiling, power**0.125, 0.0)[()]


def weiss_magnetisation(tau: Any, coupling: float = 1.0, field: Any = 0.0) -> Any:
    """Returns the mean-field magnetisation: the solution of m = tanh((field + 2 coupling m) / tau).

    This is the stable solution of largest |m|, with the sign of the field. Without a field it is the one
    with m >= 0, which is 0 for tau >= 2 coupling. Computed by bisection; the two sides of the equation
    agree to 1e-15 unless tau is far below |coupling|.

    Args:
        tau: temperatures, any shape.
        coupling: a number; if negative, the solution is unique.
        field: numbers of a shape that broadcasts with tau's.

    Returns:
        float64 of the broadcast shape (a scalar for scalars), in [-1, 1].

    Raises:
        TypeError, ValueError: unless the arguments are finite numbers, and ``tau`` positive.
    """
    slope = 2.0 * number("coupling", coupling)
    levels, strength = np.broadcast_arrays(_temperatures(tau), numbers("field", field))
    size = np.abs(strength)

    # On [0, 1] the difference tanh(.) - m changes its sign once, from + to -. Without a field m = 0 is a
    # root too; since tanh(x) >= x - x^3 / 3, the root to return lies above ``least``.
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = levels / slope if slope > 0 else np.full(levels.shape, np.inf)
        least = np.minimum(1.0, ratio * np.sqrt(3.0 * np.maximum(0.0, 1.0 - ratio)))
        low = np.where((size == 0) & (ratio < 1), least, 0.0)
        high = np.where((size == 0) & (ratio >= 1), 0.0, 1.0)
        for _ in range(60):
            middle = 0.5 * (low + high)
            above = np.tanh((size + slope * middle) / levels) < middle
            low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.copysign(high, strength + 0.0)[()]


class MonteCarlo(NamedTuple):
    """Estimates of a Monte Carlo run; all attributes but ``sweeps`` have tau's shape.

    Attributes:
        tau: float64, the temperatures.
        order_parameter: float64, the mean of |m|, with m the mean spin.
        order_parameter_error: float64, its standard error; see `monte_carlo`.
        energy: float64, the mean of -(1/N) sum_j r_j, the game's measure.
        energy_error: float64, its standard error.
        autocorrelation_time: float64, the integrated autocorrelation time of |m| in sweeps; 0.5 for
            independent values. 2 autocorrelation_time sweeps are worth one independent value.
        plateau: bool; False if the run was too short for the errors to level off, so that they (and the
            autocorrelation time) are too small.
        sweeps: measured sweeps for each temperature, summed over chains.
    """

    tau: Any
    order_parameter: Any
    order_parameter_error: Any
    energy: Any
    energy_error: Any
    autocorrelation_time: Any
    plateau: Any
    sweeps: int


def monte_carlo(
    side: int,
    tau: Any,
    coupling: float = 1.0,
    field: Any = 0.0,
    method: str = "heat_bath",
    sweeps: int = 20_000,
    burn_in: int = 2_000,
    chains: int = 4,
    seed: int = 0,
    initial: str = "up",
) -> MonteCarlo:
    """Simulates a side x side torus in equilibrium; returns its order parameter and energy.

    Agents that follow the Boltzmann policy on r_j, one at a time, reach this equilibrium: the Gibbs
    distribution exp((sum_j h_j a_j + (coupling / 2) sum_pairs a_j a_k) / tau). With a field its exponent
    is not the reported energy, since rewards count a pair twice and a field once.

    Methods, all with this distribution:
        "heat_bath": sites in order; each takes a_j with probability ~ exp(r_j(a_j) / tau).
        "metropolis": Algorithm 3 of the paper. A site drawn at random flips with probability
            min(1, exp(-2 r_j / tau)). A sweep is N = side^2 draws.
        "wolff": flips clusters, grown over equal spins with probability 1 - exp(-coupling / tau). A
            sweep is a fixed number of clusters of the chain, which flip N spins in the mean, as counted
            in the first half of ``burn_in`` (one cluster if that is empty). A number that depends on
            the run, such as "until N spins were flipped", would bias the mean.
    Probabilities are multiples of 2^-32.

    Errors come from binning: values are averaged over bins of B = 1, 2, 4, ... successive sweeps, and
    the standard error e_B of the mean is computed as if bins were independent, with the bins of all
    chains pooled about their common mean. It grows with B up to a plateau. The result has the least B
    with B^3 > 2 n (e_B / e_1)^4 for n values: there the bias of the error (like
    autocorrelation_time / B) and its noise (like sqrt(B / n)) are about equal. If no B with at least 16
    bins satisfies this, the result has the largest of the errors, and ``plateau`` is False.

    Chain c of the k-th temperature depends on (seed, k, c) and the options alone.

    Args:
        side: sites along an edge, at least 3.
        tau: temperatures, any shape; they run in parallel.
        coupling: a number; not negative with "wolff".
        field: h, a number or one per site, [N] or [side, side]; zero with "wolff".
        sweeps, burn_in: measured sweeps of each chain, at least 2, and sweeps before them, at least 0.
        chains: independent chains for each temperature, at least 1.
        seed: 0 to 2^62 - 1.
        initial: "random", "up" or "down", at the start of the burn-in. Below tau_c a random start
            may stay in stripes.

    Raises:
        TypeError, ValueError: naming the argument, its value and what is allowed.
    """
    config = IsingConfig(side=side, coupling=coupling, field=field, initial=initial)
    coupling, sites = float(coupling), config.side**2
    levels = _temperatures(tau)
    if levels.size == 0:
        raise ValueError(f"tau={tau!r}; allowed: at least one temperature")
    one_of("method", method, METHODS)
    whole("sweeps", sweeps, 2)
    whole("burn_in", burn_in, 0)
    whole("chains", chains, 1)
    whole("seed", seed, 0, MAX_SEED)
    per_site = np.broadcast_to(np.asarray(config.field, np.float64), sites)
    if method == "wolff" and per_site.any():
        raise ValueError(
            f"field={field!r} with method='wolff'; allowed: 0, since its clusters ignore a field"
        )
    if method == "wolff" and coupling < 0:
        raise ValueError(f"coupling={coupling!r} with method='wolff'; allowed: 0 or more")

    strengths, index = np.unique(per_site, return_inverse=True)
    params = Params(
        side=int(config.side),
        coupling=coupling,
        field=np.ascontiguousarray(per_site) if per_site.any() else np.zeros(0),
        field_index=index.astype(np.int32),
        threshold=_thresholds(method, levels.ravel(), coupling, strengths),
    )
    chain = start_chains(levels.size, int(chains), sites, config.initial, int(seed))
    _advance(method, params, chain, burn_in // 2, False)
    chain.clusters[:] = np.maximum(1, np.rint(sites * chain.grown / np.maximum(1, chain.flipped)))
    _advance(method, params, chain, burn_in - burn_in // 2, False)
    _advance(method, params, chain, sweeps, True)

    mean, error, ratio, plateau = _binned(chain, levels.size)

    def shaped(values: Any) -> Any:
        return values.reshape(levels.shape)[()]

    return MonteCarlo(
        tau=levels[()],
        order_parameter=shaped(1.0 + mean[:, 0]),
        order_parameter_error=shaped(error[:, 0]),
        energy=shaped(mean[:, 1] - 2.0 * coupling - per_site.mean()),
        energy_error=shaped(error[:, 1]),
        autocorrelation_time=shaped(0.5 * ratio[:, 0]),
        plateau=shaped(plateau.all(axis=1)),
        sweeps=int(chains) * int(sweeps),
    )


def _thresholds(
    method: str, levels: np.ndarray, coupling: float, strengths: np.ndarray
) -> np.ndarray:
    """Returns `Params.threshold` for temperatures [T] and fields [F]."""
    aligned = 2.0 * np.arange(5) - 4.0
    with np.errstate(over="ignore"):
        # r / tau of an up spin, [T, F, 5]; a down spin has the opposite.
        gain = (strengths[:, None] + 0.5 * coupling * aligned) / levels[:, None, None]
        if method == "heat_bath":
            chance = 0.5 * (1.0 + np.tanh(gain))
        elif method == "metropolis":
            gain = np.concatenate([-gain, gain], axis=2)
            chance = np.exp(-2.0 * np.maximum(0.0, gain))
        else:
            chance = -np.expm1(-coupling / levels)[:, None, None]
    return np.rint(chance * 2.0**32).astype(np.int64)


def start_chains(temperatures: int, chains: int, sites: int, initial: str, seed: int) -> Chain:
    """Returns chains at the start of their burn-in; see `monte_carlo`."""
    rows = temperatures * chains
    temperature = np.arange(rows) % temperatures
    key = row_key(row_key(np.int64(seed), temperature), np.arange(rows) // temperatures)
    if initial == "random":
        spin = bits(key[:, None], 0, np.arange(sites)) & 1
    else:
        spin = np.full((rows, sites), initial == "up")
    backend = get_backend("cpu")
    shape = (rows, 2, BIN_LEVELS)
    return Chain(
        spin=backend.asarray(spin, np.int8),
        key=backend.asarray(key, np.int64),
        temperature=backend.asarray(temperature, np.int64),
        stack=backend.zeros((rows, sites), np.int32),
        bins=backend.zeros(shape, np.int64),
        **{
            name: backend.zeros(rows, np.int64)
            for name in ("counter", "clusters", "grown", "flipped")
        },
        **{name: backend.zeros(shape, np.float64) for name in ("total", "square", "half")},
    )


def _advance(method: str, params: Params, chain: Chain, sweeps: int, measured: bool) -> None:
    rows, sites = chain.spin.shape
    most = max(1, CHUNK // (rows * sites))
    run = get_backend("cpu").run
    for done in range(0, sweeps, most):
        count = min(most, sweeps - done)
        run(METHODS[method], (rows,), params, chain, count, measured, work=count * sites)


def _binned(chain: Chain, temperatures: int) -> tuple[np.ndarray, ...]:
    """Returns mean, standard error, (error / naive error)^2 and plateau, each [T, 2]."""
    shape = (-1, temperatures, 2, BIN_LEVELS)
    bins, total, square = (
        sums.reshape(shape).sum(axis=0) for sums in (chain.bins, chain.total, chain.square)
    )
    number, width = bins[..., :1], 2.0 ** np.arange(BIN_LEVELS)
    deviation = np.maximum(0.0, square - total**2 / np.maximum(bins, 1))
    # The variance of the mean of all values if the bins of a level were independent.
    variance = deviation / np.maximum(bins - 1, 1) * width / number
    naive = variance[..., :1]
    ratio = np.where(naive > 0, variance / np.where(naive > 0, naive, 1.0), 1.0)

    trusted = bins >= MIN_BINS
    trusted[..., 0] = True
    level = trusted & (width**3 > 2.0 * number * ratio**2)
    plateau = level.any(axis=-1)
    highest = np.where(trusted, variance, -1.0).argmax(axis=-1)
    chosen = np.where(plateau, level.argmax(axis=-1), highest)[..., None]

    def pick(values: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, chosen, axis=-1)[..., 0]

    return (total[..., 0] / bins[..., 0], np.sqrt(pick(variance)), pick(ratio), plateau)


def _temperatures(tau: Any) -> np.ndarray:
    levels = numbers("tau", tau)
    if (levels <= 0).any():
        raise ValueError(f"tau={tau!r}; allowed: numbers above 0")
    return levels
