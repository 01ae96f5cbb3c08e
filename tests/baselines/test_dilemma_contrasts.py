"""The contrasts of `mfq compare dilemma`: paired, and corrected for how many they are."""

import numpy as np
import pytest
from scipy import stats

from baselines.dilemma import contrasts, t_test


def payoffs_of(*gains):
    """What the one earned, of differences [R, E] by row: what it earns as learned is far noisier."""
    found = {}
    for k, gain in enumerate(gains):
        gain = np.atleast_2d(np.asarray(gain, float))
        luck = np.random.default_rng(k).normal(0, 100, gain.shape)
        found[f"run{k}", "red", "learned", "learned"] = luck
        found[f"run{k}", "red", "learned", "strikes"] = luck + gain
    return found


def test_one_run_by_hand():
    """Differences 1, 2, 3, 6: mean 3, sd sqrt(14 / 3), t = 3 / (sd / 2) of 3 degrees of freedom."""
    (found,) = contrasts(payoffs_of([1, 2, 3, 6]))
    assert found[:5] == ("run0", "red", "learned", 1, 4)
    error = np.sqrt(14 / 3) / 2
    assert found.gain == pytest.approx(3)
    assert found.high - 3 == pytest.approx(3.182446305284264 * error)  # t(.975; 3), from a table
    assert 3 - found.low == pytest.approx(found.high - 3)
    assert found.p == pytest.approx(stats.ttest_1samp([1, 2, 3, 6], 0).pvalue)
    assert found.p_adjusted == found.p


def test_episodes_are_paired():
    """The luck of a seed, a hundred times the gain, is in both payoffs and tells nothing."""
    coin = np.random.default_rng(5)
    earned = payoffs_of(0.5 + 0.1 * coin.normal(size=40))
    (found,) = contrasts(earned)
    assert 0.4 < found.low < found.high < 0.6
    as_learned, strikes = (values[0] for values in earned.values())
    assert found.p == pytest.approx(stats.ttest_rel(strikes, as_learned).pvalue)
    # Were one payoff's episodes in another order, the interval would be hundreds of times as wide.
    key = ("run0", "red", "learned", "strikes")
    (lost,) = contrasts({**earned, key: earned[key][:, ::-1]})
    assert lost.high - lost.low > 100 * (found.high - found.low)


def test_several_runs_count_as_many():
    """Gains 1, 2 and 6 of three runs, whatever their episodes: 2 degrees of freedom."""
    spread = np.array([-9.0, 9.0] * 50)
    (found,) = contrasts(payoffs_of(np.array([[1.0], [2.0], [6.0]]) + spread))
    assert found[3:5] == (3, 100)
    error = np.sqrt(7 / 3)  # sd sqrt(7), n = 3
    assert found.gain == pytest.approx(3)
    assert found.high - 3 == pytest.approx(4.302652729911275 * error)  # t(.975; 2)
    assert found.p == pytest.approx(stats.ttest_1samp([1, 2, 6], 0).pvalue)


def test_the_correction_by_hand():
    """Of twelve, each interval is that of 1 - .05 / 12, and each p-value counts twelve times."""
    coin = np.random.default_rng(1)
    gains = [shift + coin.normal(size=30) for shift in (0.6, 0.5, *[0.0] * 10)]
    found = contrasts(payoffs_of(*gains))
    assert len(found) == 12
    for contrast, gain in zip(found, gains, strict=True):
        p = stats.ttest_1samp(gain, 0).pvalue
        interval = stats.t.interval(1 - 0.05 / 12, 29, gain.mean(), stats.sem(gain))
        assert contrast.p == pytest.approx(p)
        assert contrast.p_adjusted == pytest.approx(min(1, 12 * p))
        assert (contrast.low, contrast.high) == pytest.approx(interval)
        # The two say the same: nothing is "significant" whose interval has a zero in it.
        assert (contrast.p_adjusted < 0.05) == (not contrast.low <= 0 <= contrast.high)
    assert found[1].p_adjusted > 0.05  # though .05 > p: the correction decides here
    assert found[1].p < 0.05


def test_the_family_wise_error():
    """Where nobody gains, one study in twenty at most finds some gain in its twelve contrasts.

    1 - (1 - .05 / 12) ** 12 = .0489 for independent ones; without a correction .46.
    """
    coin = np.random.default_rng(7)
    studies, wrong = 1000, 0
    for _ in range(studies):
        found = contrasts(
            {
                (f"run{k}", "red", others, own): values[None]
                for k in range(6)
                for others in ("learned", "strikes")
                for own, values in zip(
                    ("learned", "strikes"), coin.normal(size=(2, 20)), strict=True
                )
            }
        )
        assert len(found) == 12
        wrong += any(not c.low <= 0 <= c.high for c in found)
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
