"""The study learns what it claims, on a lattice small enough for CI, and a broken learner fails."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from baselines import ising
from baselines.ising import METHODS, IsingStudy, interval, learn, table, true_rewards
from mfenvs.ising import exact
from mfq.policy import Greedy

STUDY = IsingStudy(side=10, taus=(1.0, 1.6), seeds=4, sweeps=1200, burn_in=300)
MARGIN = 0.04


def order(method, study=STUDY):
    orders, errors = learn(study, method, lambda: None)
    return orders.mean(1).tolist(), errors.mean(1).tolist()


@pytest.fixture(scope="module")
def monte_carlo():
    return exact.monte_carlo(STUDY.side, STUDY.taus, sweeps=20_000).order_parameter.tolist()


@pytest.fixture(scope="module")
def weiss():
    return exact.weiss_magnetisation(np.array(STUDY.taus)).tolist()


def test_mfq_follows_monte_carlo_and_learns_the_rewards(monte_carlo):
    orders, errors = order(METHODS[0])
    assert orders == pytest.approx(monte_carlo, abs=MARGIN)
    assert max(errors) < 1e-3


def test_iql_follows_weiss_and_cannot_hold_the_rewards(weiss):
    orders, errors = order(METHODS[1])
    assert orders == pytest.approx(weiss, abs=MARGIN)
    assert min(errors) > 1


def test_the_previous_pairing_follows_weiss(weiss):
    orders, errors = order(METHODS[2])
    assert orders == pytest.approx(weiss, abs=MARGIN)
    assert min(errors) > 1


@pytest.mark.parametrize("fault", ["greedy", "temperature", "rate", "pairing"])
def test_a_broken_learner_misses_the_margin(fault, monte_carlo, monkeypatch):
    method = METHODS[0]
    if fault == "greedy":  # acts by the best value, as the released code does
        monkeypatch.setattr(ising, "Boltzmann", lambda tau: Greedy())
    elif fault == "temperature":  # T for tau
        boltzmann = ising.Boltzmann
        monkeypatch.setattr(ising, "Boltzmann", lambda tau: boltzmann(2 * tau))
    elif fault == "rate":  # learns almost nothing
        monkeypatch.setattr(ising, "LEARNING_RATE", 1e-5)
    elif fault == "pairing":  # meets new neighbours with the old mean action
        method = METHODS[2]
    orders, _ = order(method, replace(STUDY, sweeps=600))
    assert max(abs(a - b) for a, b in zip(orders, monte_carlo, strict=True)) > MARGIN


def test_true_rewards_are_the_authors_table():
    expected = [[2, -2], [1, -1], [0, 0], [-1, 1], [-2, 2]]
    assert true_rewards(1.0, 0.0).tolist() == expected
    assert torch.allclose(true_rewards(0.7, 0.5)[4], torch.tensor([-0.5 - 1.4, 0.5 + 1.4]))


def test_the_interval_is_students():
    low, high = interval(np.array([1.0, 2.0, 3.0, 4.0]))
    # 2.5 -+ t(.975; 3) * s / 2 with t = 3.1824 and s = 1.2910.
    assert (low, high) == pytest.approx((2.5 - 2.0543, 2.5 + 2.0543), abs=1e-3)
    assert all(map(math.isnan, interval(np.array([1.0]))))


def test_the_table_fits_80_columns_whatever_the_numbers():
    results = ising.compare(
        IsingStudy(side=4, field=0.5, coupling=0.35, taus=(0.123456, 12.5), seeds=1, sweeps=5)
    )
    text = table(results)
    assert max(map(len, text.splitlines())) <= 80
    assert "nan" not in text


def test_quick_keeps_what_the_user_chose():
    study = IsingStudy(quick=True, taus=(1.0,), seeds=1, coupling=0.7).resolved()
    assert (study.taus, study.seeds) == ((1.0,), 1)
    assert IsingStudy(coupling=0.5).resolved().taus[0] == pytest.approx(0.3)
