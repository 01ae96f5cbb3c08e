"""Intervals: equal to SciPy's where it has them, and over few runs held to the 95% that they promise."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

from mfq.matches.intervals import rate, rate_of_runs, student, student_of_runs, wilson

TRIALS, EPISODES = 1000, 20


def test_wilson_is_scipys():
    for trials in (1, 2, 7, 50, 200, 2000):
        for successes in {0, 1, trials // 3, trials - 1, trials}:
            found = wilson(successes, trials)
            test = stats.binomtest(successes, trials)
            known = test.proportion_ci(confidence_level=0.95, method="wilson")
            assert found == pytest.approx((known.low, known.high), abs=1e-12)
            assert 0 <= found[0] <= found[1] <= 1
    # Newcombe (1998), table I: 81 of 263.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    with pytest.raises(ValueError, match="successes=3"):
        wilson(3, 2)


def test_over_episodes_it_is_scipys():
    values = np.random.default_rng(0).exponential(size=60)
    known = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert student(values) == pytest.approx(tuple(known))
    assert student(values[None, None]) == student(values)
    # 2.5 -+ t(.975; 3) * s / 2 with t = 3.1824 and s = 1.2910.
    found = student(np.array([1.0, 2.0, 3.0, 4.0]))
    assert found == pytest.approx((2.5 - 2.0543, 2.5 + 2.0543), abs=1e-3)
    assert all(map(math.isnan, student(np.array([1.0]))))
    assert student(np.ones(5)) == (1, 1)


def test_over_runs_of_one_side_it_is_scipys_of_their_means():
    values = np.random.default_rng(1).normal(size=(4, 1, 30)) + np.arange(4)[:, None, None]
    known = tuple(stats.ttest_1samp(values.mean((1, 2)), 0).confidence_interval(0.95))
    assert student(values) == pytest.approx(known)
    assert student(values.swapaxes(0, 1)) == pytest.approx(known)
    # As if they were 120 independent episodes, the interval is far too narrow.
    low, high = student(values.reshape(-1))
    assert high - low < 0.25 * (known[1] - known[0])


def test_over_runs_of_both_sides_it_is_welchs():
    # A sum of two means has the variance and the degrees of freedom of their difference.
    rows, columns = np.array([0.1, 0.5, 0.9]), np.array([1.0, 3.0, 4.0, 9.0])
    known = stats.ttest_ind(rows, -columns, equal_var=False).confidence_interval(0.95)
    values = rows[:, None, None] + columns[:, None] + np.zeros(5)
    low, high = student(values)
    assert (low, high) == pytest.approx(tuple(known))
    assert student(values.swapaxes(0, 1)) == pytest.approx((low, high))
    assert student_of_runs(values.mean((1, 2)), values.mean((0, 2))) == (low, high)


def test_a_rate_over_runs_is_students_of_its_log_odds():
    rates = np.array([0.7, 0.8, 0.95])
    low, high = rate_of_runs(rates)
    mean = rates.mean()
    half = (np.diff(student(rates)) / 2 / (mean * (1 - mean))).item()
    assert (logit(low), logit(high)) == pytest.approx((logit(mean) - half, logit(mean) + half))
    assert rate_of_runs(1 - rates) == pytest.approx((1 - high, 1 - low))
    # Runs that differ this much leave Wilson's behind; runs that hardly do, do not.
    assert rate_of_runs(rates, episodes=600) == (low, high)
    assert rate_of_runs(rates, episodes=3)[0] == wilson(3 * mean, 3)[0] < low
    won = (np.arange(100) < np.array([[70], [71], [70]]))[:, None]
    assert rate(won) == pytest.approx(wilson(211, 300))
    assert student(won)[0] > wilson(211, 300)[0]


def test_rates_of_runs_that_do_not_differ_have_wilsons():
    for won in (np.ones((3, 2, 10), bool), np.zeros((3, 1, 20), bool)):
        assert rate(won) == wilson(won.sum(), 60)
    assert rate_of_runs(np.ones(3)) == (1, 1)
    assert all(map(math.isnan, rate_of_runs(np.array([0.5]))))
    one = np.arange(10) < 3
    assert rate(one) == rate(one[None, None]) == wilson(3, 10)


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2), (2, 3), ()])
def test_other_arrays_are_named(shape):
    with pytest.raises(ValueError, match=r"values=\(.*; allowed: arrays \[E\] or \[R, S, E\]"):
        student(np.ones(shape))
    with pytest.raises(ValueError, match=r"won=\(.*; allowed: arrays \[E\] or \[R, S, E\]"):
        rate(np.ones(shape, bool))


# -- coverage -----------------------------------------------------------------------------------


def normal(coin, runs, opponents):
    """Values whose runs differ as much as episodes do, and their mean over all runs."""
    mine, theirs = (
        coin.normal(size=(TRIALS, *shape)) for shape in ((runs, 1, 1), (1, opponents, 1))
    )
    noise = coin.normal(size=(TRIALS, runs, opponents, EPISODES))
    return mine + (theirs if opponents > 1 else 0) + noise, 0.0


def skewed(coin, runs, opponents):
    """Wins, with a rate of each run from Beta(6, 2); or, where both sides have runs, from the logistic
    function of 1.5 and of two normal strengths, which has about the same mean and spread."""
    if opponents == 1:
        rates, mean = coin.beta(6, 2, size=(TRIALS, runs, 1, 1)), 6 / 8
    else:
        points, weights = np.polynomial.hermite_e.hermegauss(60)
        mean = expit(1.5 + math.sqrt(2) * points) @ weights / weights.sum()
        mine, theirs = coin.normal(size=(TRIALS, runs, 1)), coin.normal(size=(TRIALS, 1, opponents))
        rates = expit(1.5 + mine + theirs)[..., None]
    return coin.random((TRIALS, runs, opponents, EPISODES)) < rates, mean


def percentile_bootstrap(values, coin):
    """What these intervals replace: runs of either side drawn anew, and episodes within each pair."""
    runs, opponents, episodes = values.shape
    rows = coin.integers(runs, size=(200, runs, 1, 1))
    columns = coin.integers(opponents, size=(200, 1, opponents, 1))
    again = values[rows, columns, coin.integers(episodes, size=(200, *values.shape))]
    return np.quantile(again.mean((1, 2, 3)), [0.025, 0.975])


def coverage(interval, values, mean):
    """How many of the intervals of values [n, R, S, E] hold the mean."""
    bounds = np.array([interval(each) for each in values])
    return np.mean((bounds[:, 0] <= mean) & (mean <= bounds[:, 1]))


CASES = [
    (draw, interval, runs, opponents)
    for draw, interval in ((normal, student), (skewed, rate))
    for runs, opponents in ((3, 1), (5, 1), (5, 5))
]


@pytest.mark.parametrize(("draw", "interval", "runs", "opponents"), CASES)
def test_intervals_over_few_runs_cover_95_percent(draw, interval, runs, opponents):
    values, mean = draw(np.random.default_rng(5), runs, opponents)
    # Measured: .944, .944, .967 of normal values, .964, .953, .954 of skewed rates, +- .007.
    assert 0.93 < coverage(interval, values, mean) < 0.985


@pytest.mark.parametrize(("draw", "interval", "runs", "opponents"), CASES)
def test_the_percentile_bootstrap_covers_less(draw, interval, runs, opponents):
    coin = np.random.default_rng(6)
    values, mean = draw(coin, runs, opponents)
    # Measured: .73, .85, .87 of normal values, .91, .89, .87 of skewed rates, +- .03.
    assert coverage(lambda each: percentile_bootstrap(each, coin), values[:150], mean) < 0.93


@pytest.mark.parametrize(("runs", "covered"), [(3, 0.5), (5, 0.7), (10, 0.88)])
def test_few_runs_cannot_show_a_failure_that_none_of_them_had(runs, covered):
    """What docs/compare.md and `rate_of_runs` say of runs of which one in five wins nothing."""
    fails = np.random.default_rng(7).random((TRIALS, runs)) < 0.2
    values = np.repeat((~fails)[:, :, None, None], EPISODES, axis=3)
    assert coverage(rate, values, 0.8) == pytest.approx(covered, abs=0.045)
