"""Coherent exploration: the mixture that a row draws from, masks, seeds, and what it reaches."""

import math

import pytest
import torch
from torch import nn

import mfq
from mfenvs import gaussian_squeeze_v0
from mfq.agents.q_agent import QAgent
from mfq.agents.q_config import QConfig
from mfq.agents.q_player import log_gamma_shares
from mfq.studies.squeeze import SqueezeStudy, coherent_reach, run_config
from tests.fakes.tables import a_step, in_rows

TOGETHER = {"coherent_start": 1.0, "coherent_steps": 10**9}


def mixtures(concentration, rows, num_actions=10, seed=0):
    """float64 [rows, A]."""
    coin = torch.Generator().manual_seed(seed)
    return log_gamma_shares((rows, num_actions), concentration, coin).softmax(-1)


def an_agent(num_envs=1, num_agents=5, seed=0, **exploration):
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=num_envs, num_agents=num_agents))
    config = {"exploration": TOGETHER | exploration, "network": {"hidden": (8,)}}
    return view, QAgent(view, config=QConfig(**config), seed=seed)


@pytest.mark.parametrize("c", [0.05, 0.1, 0.5, 1.0, 5.0, 100.0])
def test_the_moments_are_the_dirichlet_distributions(c):
    rows, num_actions = 40_000, 10
    drawn = mixtures(c, rows)
    share = 1 / num_actions
    variance = share * (1 - share) / (num_actions * c + 1)
    covariance = -share * share / (num_actions * c + 1)
    assert drawn.sum(-1).numpy() == pytest.approx(1.0)
    # Five standard errors of a mean over the rows.
    assert drawn.mean(0).numpy() == pytest.approx(share, abs=5 * math.sqrt(variance / rows))
    found = torch.cov(drawn.T)
    assert found.diagonal().numpy() == pytest.approx(variance, rel=0.1)
    others = found[~torch.eye(num_actions, dtype=torch.bool)]
    assert float(others.mean()) == pytest.approx(covariance, rel=0.1)


@pytest.mark.parametrize("c", [5e-324, 1e-300, 1e-30, 1e-3])
def test_a_tiny_concentration_leaves_one_action(c):
    drawn = mixtures(c, 5000)
    assert drawn.isfinite().all()
    assert drawn.sum(-1).numpy() == pytest.approx(1.0)
    assert float((drawn.amax(-1) > 0.99).double().mean()) > 0.95
    counts = drawn.argmax(-1).bincount(minlength=10)
    assert counts.numpy() == pytest.approx(500, abs=100)


@pytest.mark.parametrize("c", [1e3, 1e30, 1e300, 1.7e308])
def test_a_huge_concentration_leaves_equal_shares(c):
    drawn = mixtures(c, 5000)
    assert drawn.numpy() == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize(
    ("c", "number", "promised"),
    [(0.1, 500, 0.0898), (0.1, 1000, 0.0281), (1.0, 500, 4.3e-4), (1.0, 1000, 5e-7)],
)
def test_a_coherent_step_reaches_what_the_page_says(c, number, promised):
    """With which probability all together earn more than .01 of the optimum: mu 400, sigma 200."""
    draws = 40_000
    margin = 5 * math.sqrt(promised / draws)
    reached = coherent_reach(number, c, draws) / draws
    assert reached == pytest.approx(promised, abs=max(margin, 2.5 / draws))


def test_the_default_is_what_the_page_says():
    assert QConfig().exploration.coherent_concentration == 0.1
    assert SqueezeStudy(out=None).coherent_concentration == 0.1


def test_a_row_has_one_mixture_and_rows_have_several():
    view, agent = an_agent(num_envs=100, num_agents=50, coherent_concentration=1e-3)
    actions = agent.act(view.reset(seed=0))
    same = (actions == actions[:, :1]).double().mean(1)
    assert float((same > 0.95).double().mean()) > 0.9
    assert actions[:, 0].unique().numel() == 10


def six_of_three(**exploration):
    """Six agents of three actions."""
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=6, num_actions=3))
    config = {"exploration": TOGETHER | exploration, "network": {"hidden": (2,)}}
    return QAgent(view, config=QConfig(**config))


@pytest.mark.parametrize("c", [1e-300, 1e-3, 0.1, 1.0, 1e3])
def test_what_a_mask_forbids_is_never_drawn(c):
    allowed = [[1, 1, 1], [0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 1, 0], [1, 0, 0]]
    mask = torch.tensor([allowed], dtype=torch.int8)
    step = in_rows(a_step([0] * 6, mask=mask, obs=torch.zeros(1, 6, 2)), 3000)
    actions = six_of_three(coherent_concentration=c).act(step)
    shares = nn.functional.one_hot(actions, 3).double().mean(0)
    assert (shares[mask[0] == 0] == 0).all()
    # In expectation uniform over what is allowed.
    promised = mask[0] / mask[0].sum(-1, keepdim=True)
    assert shares.numpy() == pytest.approx(promised.numpy(), abs=0.05)


def test_the_dead_stay_out_of_it():
    alive = [True, False, True, True, True, False]
    step = a_step([0] * 6, alive=alive, obs=torch.zeros(1, 6, 2))
    assert (six_of_three().act(step)[0] >= 0).tolist() == alive


def test_draws_come_from_the_agents_own_generator():
    torch.manual_seed(0)
    state = torch.get_rng_state()

    def draws(seed):
        view, agent = an_agent(num_envs=3, seed=seed)
        step = view.reset(seed=0)
        return torch.stack([agent.act(step) for _ in range(5)])

    first = draws(1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    assert torch.equal(draws(1), first)
    assert not torch.equal(draws(2), first)


def test_evaluation_explores_neither_together_nor_alone():
    view, agent = an_agent(num_envs=50, coherent_concentration=1e-3)
    step = view.reset(seed=0)
    coin = agent.generator.get_state()
    plain = agent.act(step, explore=False)
    agent.generator.set_state(coin)
    agent.config = QConfig(network={"hidden": (8,)})
    assert torch.equal(agent.act(step, explore=False), plain)


@pytest.mark.parametrize("value", [0.0, -0.1, math.inf, math.nan])
def test_a_concentration_that_is_none_is_named(value):
    with pytest.raises(ValueError, match="coherent_concentration="):
        QConfig(exploration={"coherent_concentration": value})
    with pytest.raises(ValueError, match="coherent_concentration="):
        SqueezeStudy(coherent_concentration=value)
    with pytest.raises(TypeError, match="coherent_concentration="):
        QConfig(exploration={"coherent_concentration": "much"})


def test_the_study_explores_alike_with_both_methods():
    study = SqueezeStudy(steps=40, coherent_start=0.25, coherent_concentration=0.3, out=None)
    for method in ("mfq", "iql"):
        config = run_config(study, 100, method, 0).agent.exploration
        assert (config.coherent_start, config.coherent_steps) == (0.25, 20)
        assert config.coherent_concentration == 0.3
