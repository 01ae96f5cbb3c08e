"""Gains by striking, as paired differences with simultaneous intervals."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from mfq.studies.dilemma.config import Contrast

ALPHA = 0.05  # the probability that any interval of a study misses its mean


def contrasts(earned: dict[tuple[str, str, str, str], np.ndarray]) -> list[Contrast]:
    """Computes every gain by striking, with Bonferroni's intervals and p-values over all of them.

    With differences d_1 to d_n and m contrasts, the interval is
    mean(d) +- t(1 - .05 / 2m; n - 1) sd(d) / sqrt(n). For one run d has an entry for each episode. For
    several runs it has an entry for each run, the mean over episodes, since the episodes of a run share
    its policy.

    Args:
        earned: the agent's summed rewards, float64 [R, E] of R runs and E episodes, by name, side,
            choice of the others and choice of the agent. Equal indices are equal seeds.

    Returns:
        Contrasts in the order of ``earned``. For a single difference bounds and p-values are NaN.
    """
    gains = {
        (name, side, others): earned[name, side, others, "strikes"] - values
        for (name, side, others, agent), values in earned.items()
        if agent == "learned"
    }
    results = []
    for key, gain in gains.items():
        differences = gain[0] if len(gain) == 1 else gain.mean(1)
        mean, low, high, p = t_test(differences, ALPHA / len(gains))
        runs, episodes = gain.shape
        adjusted = min(1.0, p * len(gains))
        results.append(Contrast(*key, runs, episodes, mean, low, high, p, adjusted))
    return results


def t_test(values: np.ndarray, alpha: float) -> tuple[float, float, float, float]:
    """Student's t-test of a mean.

    Args:
        values: float [n].
        alpha: the probability that the interval misses the mean.

    Returns:
        The mean, the bounds of its 1 - alpha interval, and the two-sided p-value of zero. Bounds and
        p-value are NaN for n = 1.
    """
    mean, freedom = float(values.mean()), len(values) - 1
    if freedom == 0:
        return mean, math.nan, math.nan, math.nan
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    half = float(special.stdtrit(freedom, 1 - alpha / 2)) * error
    p = 2 * float(special.stdtr(freedom, -abs(mean) / error)) if error else float(mean == 0)
    return mean, mean - half, mean + half, p
