"""The contrasts of `mfq compare dilemma`: paired, and corrected for how many they are."""

import numpy as np
import pytest
from scipy import stats

from mfq.studies.dilemma.contrasts import contrasts, t_test


def payoffs_of(*gains):
    """Returns rewards of the agent with given differences [R, E]; the rewards are far noisier."""
    earned = {}
    for k, gain in enumerate(gains):
        gain = np.atleast_2d(np.asarray(gain, float))
        noise = np.random.default_rng(k).normal(0, 100, gain.shape)
        earned[f"run{k}", "red", "learned", "learned"] = noise
        earned[f"run{k}", "red", "learned", "strikes"] = noise + gain
    return earned


def test_one_run_by_hand():
    """Differences 1, 2, 3, 6: mean 3, sd sqrt(14 / 3), t = 3 / (sd / 2) of 3 degrees of freedom."""
    (contrast,) = contrasts(payoffs_of([1, 2, 3, 6]))
    assert contrast[:5] == ("run0", "red", "learned", 1, 4)
    error = np.sqrt(14 / 3) / 2
    assert contrast.gain == pytest.approx(3)
    assert contrast.high - 3 == pytest.approx(3.182446305284264 * error)  # t(.975; 3), from a table
    assert 3 - contrast.low == pytest.approx(contrast.high - 3)
    assert contrast.p == pytest.approx(stats.ttest_1samp([1, 2, 3, 6], 0).pvalue)
    assert contrast.p_adjusted == contrast.p


def test_episodes_are_paired():
    """The noise of a seed, a hundred times the gain, is in both payoffs and cancels."""
    coin = np.random.default_rng(5)
    earned = payoffs_of(0.5 + 0.1 * coin.normal(size=40))
    (contrast,) = contrasts(earned)
    assert 0.4 < contrast.low < contrast.high < 0.6
    as_learned, strikes = (values[0] for values in earned.values())
    assert contrast.p == pytest.approx(stats.ttest_rel(strikes, as_learned).pvalue)
    # Were one payoff's episodes in another order, the interval would be hundreds of times as wide.
    key = ("run0", "red", "learned", "strikes")
    (lost,) = contrasts({**earned, key: earned[key][:, ::-1]})
    assert lost.high - lost.low > 100 * (contrast.high - contrast.low)


def test_several_runs_count_as_many():
    """Gains 1, 2 and 6 of three runs, whatever their episodes: 2 degrees of freedom."""
    spread = np.array([-9.0, 9.0] * 50)
    (contrast,) = contrasts(payoffs_of(np.array([[1.0], [2.0], [6.0]]) + spread))
    assert contrast[3:5] == (3, 100)
    error = np.sqrt(7 / 3)  # sd sqrt(7), n = 3
    assert contrast.gain == pytest.approx(3)
    assert contrast.high - 3 == pytest.approx(4.302652729911275 * error)  # t(.975; 2)
    assert contrast.p == pytest.approx(stats.ttest_1samp([1, 2, 6], 0).pvalue)


def test_the_correction_by_hand():
    """Of twelve, each interval is that of 1 - .05 / 12, and each p-value counts twelve times."""
    coin = np.random.default_rng(1)
    gains = [shift + coin.normal(size=30) for shift in (0.6, 0.5, *[0.0] * 10)]
    results = contrasts(payoffs_of(*gains))
    assert len(results) == 12
    for contrast, gain in zip(results, gains, strict=True):
        p = stats.ttest_1samp(gain, 0).pvalue
        interval = stats.t.interval(1 - 0.05 / 12, 29, gain.mean(), stats.sem(gain))
        assert contrast.p == pytest.approx(p)
        assert contrast.p_adjusted == pytest.approx(min(1, 12 * p))
        assert (contrast.low, contrast.high) == pytest.approx(interval)
        # Interval and p-value agree: a contrast is significant if its interval excludes zero.
        assert (contrast.p_adjusted < 0.05) == (not contrast.low <= 0 <= contrast.high)
    assert results[1].p_adjusted > 0.05  # though .05 > p: the correction decides here
    assert results[1].p < 0.05


def test_the_family_wise_error():
    """Without any gain, at most one study in twenty reports one among its twelve contrasts.

    1 - (1 - .05 / 12) ** 12 = .0489 for independent ones; without a correction .46.
    """
    coin = np.random.default_rng(7)
    studies, wrong = 1000, 0
    for _ in range(studies):
        results = contrasts(
            {
                (f"run{k}", "red", others, agent): values[None]
                for k in range(6)
                for others in ("learned", "strikes")
                for agent, values in zip(
                    ("learned", "strikes"), coin.normal(size=(2, 20)), strict=True
                )
            }
        )
        assert len(results) == 12
        wrong += any(not c.low <= 0 <= c.high for c in results)
    assert stats.binomtest(wrong, studies, 1 - (1 - 0.05 / 12) ** 12).pvalue > 0.001
    assert wrong / studies < 0.07


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2.0], (2.0, np.nan, np.nan, np.nan)),
        ([2.0, 2.0], (2.0, 2.0, 2.0, 0.0)),
        ([0.0, 0.0], (0.0, 0.0, 0.0, 1.0)),
    ],
)
def test_without_a_spread(values, expected):
    assert t_test(np.array(values), 0.05) == pytest.approx(expected, nan_ok=True)
