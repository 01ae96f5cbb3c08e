"""95% intervals: Wilson's for a rate, Student's for a mean, over episodes or over runs."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit, logit, stdtrit

Z = 1.959963984540054  # for 95%, two-sided


def wilson(successes: float, trials: int) -> tuple[float, float]:
    """Returns Wilson's interval for a rate (Wilson 1927), which stays within [0, 1].

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
    # Exact bounds at 0 and 1, without rounding.
    return (
        0.0 if successes == 0 else centre - half,
        1.0 if successes == trials else centre + half,
    )


def student(values: np.ndarray) -> tuple[float, float]:
    """Returns Student's interval for a mean.

    The interval depends on the number of runs. For one run against one it is over episodes, and says
    nothing about other runs of the same learner. For R runs against one, or one against S, it is over
    the means of the runs; for R against S over both, see `student_of_runs`. If pairs share the seeds of
    their episodes, it holds for these seeds.

    Args:
        values: [E], one per episode; or [R, S, E], E episodes of each of R runs against each of S.

    Returns:
        (low, high); NaN for a single value, and the value twice if all values are equal.

    Raises:
        ValueError: for an empty array, or another number of axes.
    """
    if values.ndim not in (1, 3) or values.size == 0:
        raise ValueError(f"values={values.shape}; allowed: arrays [E] or [R, S, E], not empty")
    if values.ndim == 1 or values.shape[:2] == (1, 1):
        return student_of_runs(values.reshape(-1))
    return student_of_runs(values.mean((1, 2)), values.mean((0, 2)))


def student_of_runs(rows: np.ndarray, columns: np.ndarray | None = None) -> tuple[float, float]:
    """Returns Student's interval for a mean over R runs of one learner against S runs of another.

    The variance is s^2(rows) / R + s^2(columns) / S, with Satterthwaite's (1946) degrees of freedom. It
    counts the variance within pairs (episodes, and interactions of two runs) twice. If that variance
    dominates, the interval covers more than 95%.

    Args:
        rows: [R], the mean of each run against all of the opponent's.
        columns: [S], the mean of all runs against each of the opponent's. None: a single one.

    Returns:
        (low, high); NaN for one run against one.
    """
    mean, half = float(np.mean(rows)), _half_width(rows, columns)
    return mean - half, mean + half


def rate(won: np.ndarray) -> tuple[float, float]:
    """Returns the interval for a rate: Wilson's for one run against one, else that of `rate_of_runs`.

    Args:
        won: bool [E] or [R, S, E], as in `student`.

    Raises:
        ValueError: for an empty array, or another number of axes.
    """
    if won.ndim not in (1, 3) or won.size == 0:
        raise ValueError(f"won={won.shape}; allowed: arrays [E] or [R, S, E], not empty")
    pairs = won.reshape(1, 1, -1) if won.ndim == 1 else won
    return rate_of_runs(pairs.mean((1, 2)), pairs.mean((0, 2)), won.size)


def rate_of_runs(
    rows: np.ndarray, columns: np.ndarray | None = None, episodes: int | None = None
) -> tuple[float, float]:
    """Returns the interval for a rate over R runs against S: Student's for the log-odds, but at least
    Wilson's.

    With h half the width of `student_of_runs`, the bounds are expit(logit(m) -+ h / (m (1 - m))). They
    stay within [0, 1]; the longer side points away from the nearer of 0 and 1.

    Wilson's interval ignores differences between runs. If all runs have the same rate, it is the result.
    It then bounds the rate of these runs in more episodes, not that of other runs.

    A few runs cannot show a failure that none of them had. If one run in five wins nothing and the
    others everything, three runs cover the mean in half of all trials, five in .7, ten in .88. Report
    the single runs beside the interval.

    Args:
        rows: [R], the rate of each run against all of the opponent's.
        columns: [S], the rate of all runs against each of the opponent's. None: a single one.
        episodes: the number of episodes of all runs together. None omits Wilson's interval.

    Returns:
        (low, high). Without ``episodes``: NaN for one run against one, and the rate twice if all runs
        are equal.
    """
    mean, half = float(np.mean(rows)), _half_width(rows, columns)
    if half > 0 and 0 < mean < 1:
        odds, reach = logit(mean), half / (mean * (1 - mean))
        low, high = float(expit(odds - reach)), float(expit(odds + reach))
    else:  # all runs are equal up to rounding, or NaN
        low, high = mean - half, mean + half
    if episodes is None:
        return low, high
    # A count up to rounding.
    least, most = wilson(min(max(mean * episodes, 0), episodes), episodes)
    return (least, most) if math.isnan(half) else (min(low, least), max(high, most))


def _half_width(rows: np.ndarray, columns: np.ndarray | None) -> float:
    parts = [
        (float(np.var(means, ddof=1)) / len(means), len(means) - 1)
        for means in ([rows] if columns is None else [rows, columns])
        if len(means) > 1
    ]
    if not parts:
        return math.nan
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return 0.0
    # As shares of the variance, since the square of a small variance could underflow.
    freedom = 1 / sum((part / variance) ** 2 / degrees for part, degrees in parts)
    return float(stdtrit(freedom, 0.975)) * math.sqrt(variance)
