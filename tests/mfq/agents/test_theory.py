"""The paper's theory, shown numerically: contraction and the Taylor remainder."""

import math

import pytest
import torch

from mfenvs.graph import CompleteGraph
from mfq.mean_field import mean_action, one_hot
from mfq.policy import Boltzmann
from mfq.values import mean_field_value, td_target

# In Ising, Q(a, abar) = a (4 abar_up - 2) is Lipschitz in abar_up with K = 4 (coupling 1).
K = 4.0


def respond(up, temperature):
    """Proposition 1's map: the chance of "up" that answers a mean action with ``up`` of it up."""
    felt = 4 * up - 2
    q = torch.stack([-felt, felt], -1)
    return Boltzmann(temperature).probabilities(q, 0)[..., 1]


def steepest(temperature):
    """The largest ratio of distances after and before the map, over a fine grid of mean actions."""
    up = torch.linspace(0, 1, 2001, dtype=torch.float64)
    answer = respond(up, temperature)
    return float(((answer[1:] - answer[:-1]) / (up[1:] - up[:-1])).abs().max())


@pytest.mark.parametrize("temperature", [2.01, 2.5, 4.0, 10.0])
def test_the_response_contracts_above_half_k(temperature):
    # The proof of Proposition 1 needs T > K / 2 (eq. 36): 2 here.
    assert steepest(temperature) < 1
    assert steepest(temperature) == pytest.approx(K / (2 * temperature), rel=1e-3)
    # A contraction has one fixed point, and iterating finds it from anywhere: no order.
    up = torch.linspace(0, 1, 11, dtype=torch.float64)
    for _ in range(5000):
        up = respond(up, temperature)
    assert torch.allclose(up, torch.full_like(up, 0.5), atol=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.9])
def test_the_response_does_not_contract_below_half_k(temperature):
    # Against the words of Proposition 1 ("sufficiently low temperature"), and in line with its proof:
    # below T = 2, where Weiss' order sets in, there are two stable answers.
    assert steepest(temperature) > 1
    up = torch.tensor([0.4, 0.6], dtype=torch.float64)
    for _ in range(5000):
        up = respond(up, temperature)
    magnetisation = 2 * up - 1
    assert magnetisation[1] > 0.3
    assert torch.allclose(magnetisation[0], -magnetisation[1])
    assert float(magnetisation[1]) == pytest.approx(
        math.tanh(2 * float(magnetisation[1]) / temperature)
    )


def mean_field_operator(q, reward, gamma, temperature):
    """(H^MF Q)(s, a) = r(s, a) + gamma v^MF(s') on a ring of states, s' = s + 1. q is [..., S, A]."""
    after = q.roll(-1, -2)
    value = mean_field_value(after, Boltzmann(temperature).probabilities(after, 0))
    return td_target(reward, value[..., None], torch.tensor(False), gamma)


def ratios(temperature, gamma=0.9, bound=1.0, pairs=20_000):
    """Distances after the operator over distances before, for random pairs of tables in +-bound."""
    coin = torch.Generator().manual_seed(0)
    shape = (pairs, 3, 4)
    reward = torch.rand(3, 4, generator=coin, dtype=torch.float64)
    q = bound * (2 * torch.rand(shape, generator=coin, dtype=torch.float64) - 1)
    # Nearby pairs find the steepest slopes.
    other = (q + 0.01 * torch.randn(shape, generator=coin, dtype=torch.float64)).clamp(
        -bound, bound
    )
    after = [mean_field_operator(table, reward, gamma, temperature) for table in (q, other)]
    apart = (q - other).abs().amax((-1, -2))
    return (after[0] - after[1]).abs().amax((-1, -2)) / apart


def test_the_mean_field_operator_contracts_at_high_temperature():
    # d v^MF / d Q(a) = pi(a) (1 + (Q(a) - v) / T) is a distribution while T is above Q's range, 2 here;
    # H^MF then shrinks the largest difference by gamma at least.
    for temperature in (2.0, 3.0, 10.0):
        assert ratios(temperature).max() <= 0.9 + 1e-12


def test_the_mean_field_operator_is_no_contraction_at_low_temperature():
    assert ratios(0.2).max() > 1.0


def test_the_taylor_remainder_vanishes_for_a_linear_q():
    # Section 3.1: Q_j(s, a) = mean over k of Q_j(s, a_j, a_k) is taken as Q_j(s, a_j, abar_j).
    coin = torch.Generator().manual_seed(1)
    agents, actions = 7, 5
    graph = CompleteGraph(agents)
    joint = torch.randint(0, actions, (40, agents), generator=coin)
    hot, mean = one_hot(joint, actions), mean_action(graph, joint, actions)
    weights = torch.randn(actions, generator=coin)
    pairwise = graph.mean((hot @ weights)[..., None], joint >= 0)[..., 0]
    assert torch.allclose(pairwise, mean @ weights, atol=1e-6)

    # A curved Q leaves a remainder, and a Q with |second derivative| <= M one within [-2M, 2M] (p13).
    curvature = 3.0
    curved = curvature / 2 * (hot - mean.mean()).square().sum(-1)
    exact = graph.mean(curved[..., None], joint >= 0)[..., 0]
    remainder = exact - curvature / 2 * (mean - mean.mean()).square().sum(-1)
    assert remainder.abs().max() > 0.1
    assert remainder.abs().max() <= 2 * curvature
