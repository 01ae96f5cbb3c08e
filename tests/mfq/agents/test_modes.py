"""Networks are in training mode in gradient steps only, and their outputs are checked."""

import pytest
import torch
from torch import nn

import mfq
from mfenvs import gaussian_squeeze_v0
from mfq.networks.modes import TrainingMode, in_eval_mode
from tests.fakes.own_players import Noisy

QUICK = {"optimizer": {"batch_size": 8}, "replay": {"learning_starts": 4}}


def squeeze():
    return mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=2, num_agents=4, max_cycles=5))


def q_agent(view, outputs=None, **options):
    inputs = view.observation_space.shape[0]
    outputs = view.num_actions if outputs is None else outputs
    config = mfq.QConfig(**QUICK, **options)
    return mfq.QAgent(view, config=config, network=lambda v, g: Noisy(inputs, outputs))


def actor_critic(view, critic, outputs=None, values=None):
    inputs = view.observation_space.shape[0]
    outputs = view.num_actions if outputs is None else outputs
    values = (view.num_actions if critic == "q" else 1) if values is None else values
    options = dict(QUICK) if critic == "q" else {"rollout": {"steps": 5}}
    config = mfq.ACConfig(critic=critic, gamma=0.9, play="greedy", **options)
    pair = lambda v, g: (Noisy(inputs, outputs), Noisy(inputs, values))  # noqa: E731
    return mfq.ActorCritic(view, config=config, network=pair)


def test_two_greedy_acts_agree_under_dropout():
    view = squeeze()
    step = view.reset(seed=0)
    agents = [q_agent(view, play="greedy"), actor_critic(view, "q"), actor_critic(view, "v")]
    for agent in agents:
        agent.module.train()  # as one's own code may leave it
        acts = [agent.act(step, explore=False) for _ in range(5)]
        assert all(torch.equal(acts[0], act) for act in acts)
        assert agent.module.training
        assert agent.module.dropout.training
        assert not any(agent.module.modes)


@pytest.mark.parametrize("value", ["mean_field", "double"])
def test_a_q_network_trains_in_gradient_steps_alone(value):
    view = squeeze()
    agent = q_agent(view, value=value)
    mfq.train(view, agent, 1)
    agent.module.modes, agent.target.modes = [], []
    assert not agent.module.training
    mfq.train(view, agent, 6)
    assert agent.updates > 5
    # A gradient step's forward pass, and besides it those of acting, of learning's means and targets.
    assert sum(agent.module.modes) == agent.updates - 1 or sum(agent.module.modes) == agent.updates
    assert not all(agent.module.modes)
    assert agent.target.modes
    assert not any(agent.target.modes)
    assert not agent.module.dropout.training


@pytest.mark.parametrize("critic", ["q", "v"])
def test_an_actor_critic_trains_in_gradient_steps_alone(critic):
    view = squeeze()
    agent = actor_critic(view, critic)
    mfq.train(view, agent, 12)
    assert agent.updates
    for network in agent.online.values():
        assert any(network.modes)
        assert not network.training
    if critic == "q":
        assert not any(agent.target["critic"].modes)


def test_parts_that_are_frozen_remain_so():
    network = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3).eval())

    def modes():
        return [part.training for part in network.modules()]

    mode = TrainingMode(network)
    assert not any(modes())
    with mode():
        assert modes() == [True, True, False]
    assert not any(modes())
    network.train()
    network[1].eval()
    with in_eval_mode(network):
        assert not any(modes())
    assert modes() == [True, True, False]


@pytest.mark.parametrize("make", [lambda network: TrainingMode(network)(), in_eval_mode])
def test_modes_return_after_an_error(make):
    network = nn.Sequential(nn.Dropout())
    context = make(network)
    before = network.training, network[0].training
    context.__enter__()
    assert (network.training, network[0].training) != before
    assert not context.__exit__(KeyError, KeyError(), None)
    assert (network.training, network[0].training) == before


class Owner(mfq.Player):
    """A player of one's own, of a module with dropout."""

    def __init__(self, view):
        self.module = Noisy(view.observation_space.shape[0], view.num_actions)

    def act(self, step, explore=True):
        index = step.active_index
        chosen = self.module(step.obs_at(index)).argmax(-1)
        return step.scatter_actions(chosen, index)


def test_an_evaluation_puts_modules_of_players_in_evaluation_mode():
    view = squeeze()
    player = Owner(view)
    first, second = (mfq.evaluate(view, player, 2) for _ in range(2))
    assert first == second
    assert not any(player.module.modes)
    assert player.module.dropout.training


# -- outputs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [9, 11])
def test_a_network_of_other_outputs_is_refused_when_it_first_acts(outputs):
    view = squeeze()
    step = view.reset(seed=0)
    says = rf"Noisy returned the shape \(8, {outputs}\); allowed: .* = \(8, 10\)"
    for agent in (q_agent(view, outputs), actor_critic(view, "q", outputs)):
        with pytest.raises(ValueError, match=says):
            agent.act(step)


@pytest.mark.parametrize(("critic", "values"), [("q", 9), ("q", 1), ("v", 2), ("v", 10)])
def test_a_critic_of_other_outputs_is_refused(critic, values):
    view = squeeze()
    agent = actor_critic(view, critic, values=values)
    with pytest.raises(ValueError, match=r"Noisy returned the shape .*; allowed: .*values \[M, "):
        mfq.train(view, agent, 12)
