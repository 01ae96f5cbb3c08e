"""95% intervals: Wilson's of a rate, the bootstrap's of a mean."""

from __future__ import annotations

import math

import numpy as np

Z = 1.959963984540054  # of 95%, two-sided
RESAMPLES = 2000


def wilson(successes: float, trials: int) -> tuple[float, float]:
    """Wilson's interval of a rate (Wilson 1927); unlike the normal one it stays within [0, 1].

    Raises:
        ValueError: unless trials >= 1 and 0 <= successes <= trials.
    """
    if not (trials >= 1 and 0 <= successes <= trials):
        raise ValueError(
            f"successes={successes!r}, trials={trials!r}; allowed: 0 to trials, 1 or more"
        )
    rate, weight = successes / trials, Z * Z / trials
    centre = (rate + weight / 2) / (1 + weight)
    half = math.sqrt(rate * (1 - rate) * weight + weight * weight / 4) / (1 + weight)
    # At 0 and at 1 the bounds are those, but for rounding.
    return (
        0.0 if successes == 0 else centre - half,
        1.0 if successes == trials else centre + half,
    )


def bootstrap(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """The percentile bootstrap's interval of a mean.

    Args:
        values: [E], one an episode; or [R, S, E], E episodes of each of R runs against each of S. Runs
            are resampled as well then, on either side, and episodes within each pair.
        seed: of the draws, which are `RESAMPLES` means.

    Returns:
        (low, high); NaN for a single value.
    """
    if values.size < 2:
        return math.nan, math.nan
    coin = np.random.default_rng(seed)
    mine, theirs, episodes = (1,) * (3 - values.ndim) + values.shape
    values = values.reshape(mine, theirs, episodes)
    means = np.empty(RESAMPLES)
    for k in range(RESAMPLES):
        rows = coin.integers(mine, size=(mine, 1, 1))
        columns = coin.integers(theirs, size=(1, theirs, 1))
        means[k] = values[rows, columns, coin.integers(episodes, size=values.shape)].mean()
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
