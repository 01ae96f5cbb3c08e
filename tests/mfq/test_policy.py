import math

import pytest
import torch
from scipy import stats

from mfq.policy import Boltzmann, EpsilonGreedy, Exponential, Greedy, Linear, Mixture, draw


def coin(seed=0):
    return torch.Generator().manual_seed(seed)


def chi_square(actions, probabilities):
    """p-value of the draws' counts under the probabilities."""
    counts = torch.bincount(actions.flatten(), minlength=len(probabilities)).double()
    expected = probabilities.double() / probabilities.double().sum() * counts.sum()
    return stats.chisquare(counts.numpy(), expected.numpy()).pvalue


Q = torch.tensor([0.3, 0.0, -0.2, 0.9])


@pytest.mark.parametrize("temperature", [0.2, 0.5, 2.0])
def test_boltzmann_draws_at_its_temperature(temperature):
    weights = [math.exp(value / temperature) for value in Q.tolist()]
    expected = torch.tensor([w / sum(weights) for w in weights], dtype=torch.float64)
    q = Q.expand(50, 400, 4)
    policy = Boltzmann(temperature)
    assert torch.allclose(policy.probabilities(q, 0)[0, 0].double(), expected, atol=1e-6)
    assert chi_square(policy.sample(q, 0, coin()), expected) > 1e-3


def test_the_chi_square_test_tells_temperatures_apart():
    expected = Boltzmann(0.5).probabilities(Q, 0).double()
    wrong = Boltzmann(0.6).sample(Q.expand(50, 400, 4), 0, coin())
    assert chi_square(wrong, expected) < 1e-6
    argmax = Greedy().sample(Q.expand(50, 400, 4), 0, coin())
    assert chi_square(argmax, expected) < 1e-6


def test_a_temperature_per_row():
    temperature = torch.tensor([0.1, 10.0])[:, None, None]
    p = Boltzmann(temperature).probabilities(Q.expand(2, 5, 4), 0)
    assert torch.allclose(p[0], Boltzmann(0.1).probabilities(Q.expand(5, 4), 0))
    assert torch.allclose(p[1], Boltzmann(10.0).probabilities(Q.expand(5, 4), 0))


def test_each_agent_throws_its_own_coin():
    q = Q.expand(1, 1000, 4)
    explored = EpsilonGreedy(0.5).sample(q, 0, coin()) != 3
    # 3/8 of the agents end on another action, in this one step.
    assert 0.3 < explored.float().mean() < 0.45


def test_epsilon_greedy_probabilities():
    p = EpsilonGreedy(0.2).probabilities(Q, 0)
    assert p.tolist() == pytest.approx([0.05, 0.05, 0.05, 0.85])


def test_ties_share_the_greedy_probability():
    q = torch.tensor([1.0, 3.0, 3.0])
    assert Greedy().probabilities(q, 0).tolist() == [0.0, 0.5, 0.5]


@pytest.mark.parametrize(
    "policy",
    [Boltzmann(0.3), EpsilonGreedy(0.3), Greedy(), Mixture(torch.tensor([0.1, 0.2, 0.3, 0.4]))],
)
def test_masked_actions_are_never_drawn(policy):
    q = Q.expand(20, 100, 4)
    mask = torch.tensor([1, 0, 1, 0], dtype=torch.int8).expand(20, 100, 4)
    p = policy.probabilities(q, 0, mask)
    assert torch.allclose(p.sum(-1), torch.ones(20, 100))
    assert not p[..., [1, 3]].any()
    assert set(policy.sample(q, 0, coin(), mask).unique().tolist()) <= {0, 2}
    assert not policy.probabilities(q, 0, torch.zeros_like(mask)).any()


def test_draw_never_leaves_the_range_and_skips_impossible_actions():
    p = torch.tensor([0.0, 1.0, 0.0]).expand(200, 500, 3)
    assert (draw(p, coin()) == 1).all()


def test_a_mixture_is_shared_and_follows_its_schedule():
    policy = Mixture(lambda time: torch.tensor([1.0 - time / 10, time / 10]))
    q = torch.zeros(30, 300, 2)
    assert policy.sample(q, 0, coin()).sum() == 0
    assert policy.sample(q, 10, coin()).float().mean() == 1
    assert policy.sample(q, 3, coin()).float().mean() == pytest.approx(0.3, abs=0.02)


def test_schedules():
    linear = Linear(1.0, 0.2, 4)
    assert [linear(t) for t in (0, 1, 4, 9)] == pytest.approx([1.0, 0.8, 0.2, 0.2])
    decay = Exponential(1.0, 0.2, 0.5)
    assert [decay(t) for t in (0, 1, 2, 3)] == pytest.approx([1.0, 0.5, 0.25, 0.2])
    warm = Boltzmann(linear).probabilities(Q, 0)
    cold = Boltzmann(linear).probabilities(Q, 9)
    assert cold.max() > warm.max()


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: Boltzmann(0.0), "temperature"),
        (lambda: Boltzmann(torch.tensor([1.0, -1.0])), "temperature"),
        (lambda: EpsilonGreedy(1.5), "epsilon"),
        (lambda: EpsilonGreedy(-0.1), "epsilon"),
        (lambda: Linear(1.0, 0.0, 0), "steps"),
        (lambda: Exponential(1.0, 0.1, 1.5), "decay"),
    ],
)
def test_bad_numbers_are_named(make, argument):
    with pytest.raises(ValueError, match=argument):
        make()
