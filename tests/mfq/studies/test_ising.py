"""The study learns what it claims, on a lattice small enough for CI, and a broken learner fails."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import mfq
from mfenvs import ising_v0
from mfenvs.ising import exact
from mfq.policy import Boltzmann, Greedy, Linear
from mfq.studies.ising import IsingStudy, Result, compare, learners
from mfq.studies.ising.figure import write_figure
from mfq.studies.ising.learners import METHODS, learn, neighbours_up, train, true_rewards
from mfq.studies.ising.study import random_order
from mfq.studies.ising.tables import table

STUDY = IsingStudy(side=10, taus=(1.0, 1.6), seeds=4, sweeps=1200, burn_in=300)
MARGIN = 0.04
METHOD = {method.name: method for method in METHODS}


def order(method, study=STUDY):
    orders, errors = learn(study, method, lambda: None)
    return orders.mean(1).tolist(), errors.mean(1).tolist()


@pytest.fixture(scope="module")
def monte_carlo():
    return exact.monte_carlo(STUDY.side, STUDY.taus, sweeps=20_000).order_parameter.tolist()


@pytest.fixture(scope="module")
def weiss():
    return exact.weiss_magnetisation(np.array(STUDY.taus)).tolist()


@pytest.mark.slow
def test_mfq_follows_monte_carlo_and_learns_the_rewards(monte_carlo):
    orders, errors = order(METHOD["mfq"])
    assert orders == pytest.approx(monte_carlo, abs=MARGIN)
    assert max(errors) < 1e-3


def test_iql_that_observes_its_neighbours_is_mfq_to_the_bit(monkeypatch):
    monkeypatch.setattr(learners, "WARM_UP", Linear(0.05, 0.95, 300))
    study = replace(STUDY, sweeps=100, burn_in=50)
    mfq, mfq_orders = train(study, METHOD["mfq"], lambda: None)
    iql, iql_orders = train(study, METHOD["iql-observing"], lambda: None)
    assert not iql.hearing.field.width
    assert iql.table.shape == (8, 100, 5, 1, 2)
    assert torch.equal(iql.table[:, :, :, 0], mfq.table[:, :, 0, :5])
    assert torch.equal(iql.visits[:, :, :, 0], mfq.visits[:, :, 0, :5])
    assert torch.equal(iql_orders, mfq_orders)

    # The error counts all five cells.
    monkeypatch.setattr(learners, "train", lambda *arguments: (iql, iql_orders))
    orders, errors = learn(study, METHOD["iql-observing"], lambda: None)
    assert torch.equal(orders.flatten(), iql_orders)
    wrong = [(row - true_rewards(1.0, 0.0)).square().mean() for row in iql.table[:, :, :, 0]]
    assert errors.flatten().tolist() == pytest.approx([float(error) for error in wrong])


def test_what_it_observes_is_the_number_of_neighbours_up():
    env = ising_v0.batched_env(num_envs=3, side=4, observe_neighbors=True)
    obs, _ = env.reset(seed=1)
    up = obs[:, :, 0].reshape(3, 4, 4) > 0
    around = sum(up.roll(shift, axis).long() for axis in (1, 2) for shift in (-1, 1))
    assert len(around.unique()) >= 4
    assert torch.equal(neighbours_up(obs), around.flatten(1))


@pytest.mark.slow
def test_iql_that_observes_nothing_follows_weiss_and_cannot_hold_the_rewards(weiss):
    orders, errors = order(METHOD["iql"])
    assert orders == pytest.approx(weiss, abs=MARGIN)
    assert min(errors) > 1


@pytest.mark.slow
def test_the_previous_pairing_follows_weiss(weiss):
    orders, errors = order(METHOD["mfq-previous"])
    assert orders == pytest.approx(weiss, abs=MARGIN)
    assert min(errors) > 1


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["greedy", "temperature", "rate", "pairing", "no input"])
def test_a_broken_learner_misses_the_margin(fault, monte_carlo, monkeypatch):
    method = METHOD["mfq"]
    if fault == "greedy":  # acts by the best value, as the released code does
        monkeypatch.setattr(learners, "Boltzmann", lambda tau: Greedy())
    elif fault == "temperature":  # T for tau
        boltzmann = learners.Boltzmann
        monkeypatch.setattr(learners, "Boltzmann", lambda tau: boltzmann(2 * tau))
    elif fault == "rate":  # learns almost nothing
        monkeypatch.setattr(learners, "LEARNING_RATE", 1e-5)
    elif fault == "pairing":  # learns with the previous mean action
        method = METHOD["mfq-previous"]
    elif fault == "no input":  # observes its neighbours, and its table ignores them
        method = METHOD["iql-observing"]
        monkeypatch.setattr(learners, "neighbours_up", lambda obs: obs[..., 0].long() * 0)
    orders, _ = order(method, replace(STUDY, sweeps=600))
    assert max(abs(a - b) for a, b in zip(orders, monte_carlo, strict=True)) > MARGIN


def test_true_rewards_are_the_authors_table():
    expected = [[2, -2], [1, -1], [0, 0], [-1, 1], [-2, 2]]
    assert true_rewards(1.0, 0.0).tolist() == expected
    assert torch.allclose(true_rewards(0.7, 0.5)[4], torch.tensor([-0.5 - 1.4, 0.5 + 1.4]))


@pytest.mark.slow
def test_the_table_fits_80_columns_whatever_the_numbers():
    results = compare(
        IsingStudy(side=4, field=0.5, coupling=0.35, taus=(0.0123456, 12.5), seeds=1, sweeps=5)
    )
    text = table(results)
    assert max(map(len, text.splitlines())) <= 80
    assert "nan" not in text
    for name in METHOD:
        assert len(name.partition("-")[2]) <= 11  # a column's width


def test_the_figure_shows_every_method(tmp_path, monkeypatch):
    study = IsingStudy(side=4, taus=(1.0,), seeds=2, sweeps=2, burn_in=0)
    results = [
        Result(1.0, name, order, order - 0.1, order + 0.1, 2, 0.0, 0.9, 0.9, 0.95)
        for order, name in enumerate((*METHOD, "monte_carlo"))
    ]
    drawn = {}

    def errorbar(axes, taus, orders, bars, label, **look):
        drawn[float(orders[0])] = (label, look["fmt"], look["color"])

    monkeypatch.setattr("matplotlib.axes.Axes.errorbar", errorbar)
    monkeypatch.setattr("matplotlib.figure.Figure.legend", lambda figure, **how: None)
    write_figure(study, results, tmp_path / "ising.png")
    assert sorted(drawn) == [0.0, 1.0, 2.0, 3.0, 4.0]
    for looks in zip(*drawn.values(), strict=True):
        assert len(set(looks)) == 5
    assert "observes its neighbours" in drawn[1.0][0]


def test_quick_keeps_what_the_user_chose():
    study = IsingStudy(quick=True, taus=(1.0,), seeds=1, coupling=0.7).resolved()
    assert (study.taus, study.seeds) == ((1.0,), 1)
    assert IsingStudy(coupling=0.5).resolved().taus[0] == pytest.approx(0.3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("update", "pairing", "true"),
    [
        ("checkerboard", "previous", True),
        ("synchronous", "current", True),
        ("synchronous", "previous", False),
    ],
)
def test_the_pairing_matters_where_all_choose_at_once(update, pairing, true):
    """docs/studies/ising.md: the pairing and the update make the difference together."""
    env = ising_v0.batched_env(num_envs=2, side=6, update=update, max_cycles=None)
    view = mfq.wrap(env)
    agent = mfq.TabularQ(view, pairing=pairing, policy=Boltzmann(3.0), gamma=0.0, seed=1)
    mfq.train(view, agent, steps=1500, step=view.reset(seed=1))
    error = (agent.table[:, :, 0, :5] - true_rewards(1.0, 0.0)).square().mean()
    assert (error < 0.05) == true


def test_random_play_has_the_order_of_coins():
    # The mean of N = 400 random spins is nearly normal, of standard deviation N^-1/2.
    assert random_order(IsingStudy(side=20)) == pytest.approx((2 / np.pi / 400) ** 0.5, abs=0.008)
