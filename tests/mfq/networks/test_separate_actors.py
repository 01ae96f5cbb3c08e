"""Actors with separate weights for each agent."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

import mfq
from mfenvs import battle_v0, gaussian_squeeze_v0
from mfq.agents.ac_config import ACConfig, ACNetworkConfig
from mfq.agents.registry import make_agent
from mfq.networks.encoders import PAPER
from mfq.networks.networks import SeparateActors


def actors(space, agents=4, actions=3):
    return SeparateActors(space, agents, actions, (6, 5), PAPER, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("agent", [[0, 1, 2, 3], [0, 1, 2, 3] * 3, [2, 0, 2], [3, 2, 1, 0], []])
def test_logits_against_a_loop(agent):
    module = actors(spaces.Box(-1, 1, (2,)))
    for bias in module.biases:
        bias.data.normal_()
    obs = torch.randn((len(agent), 2))
    logits = module(obs, torch.tensor(agent, dtype=torch.int64))
    assert logits.shape == (len(agent), 3)
    for m, j in enumerate(agent):
        x = obs[m].numpy()
        for k in range(3):
            weight, bias = module.weights[k][j].detach(), module.biases[k][j, 0].detach()
            x = (np.maximum(x, 0) if k else x) @ weight.numpy() + bias.numpy()
        assert logits[m].tolist() == pytest.approx(x.tolist(), abs=1e-5)


def test_only_the_agents_weights_get_gradients():
    module = actors(spaces.Discrete(3))
    module(torch.tensor([1, 2]), torch.tensor([2, 2])).square().sum().backward()
    for weight in module.weights:
        assert weight.grad[2].any()
        assert not weight.grad[[0, 1, 3]].any()
    bound = (6 / (3 + 6)) ** 0.5
    assert 0.9 * bound < float(module.weights[0].detach().abs().max()) <= bound


@pytest.mark.parametrize("algo", ["maac", "mfac", "ippo"])
def test_actor_critics_have_them(algo, tmp_path):
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=2, num_agents=5))
    options = {"separate_actors": True, "agent_embedding": 8}
    kind = mfq.PPOConfig if algo == "ippo" else ACConfig
    more = {"rollout": {"steps": 5}} if algo == "ippo" else {"replay": {"learning_starts": 10}}
    agent = make_agent(view, algo, kind(network=options, **more))
    assert isinstance(agent.module, SeparateActors)
    before = [part.clone() for part in agent.module.parameters()]
    last = mfq.train(view, agent, 20)
    assert all(
        (new != old).any() for new, old in zip(agent.module.parameters(), before, strict=True)
    )
    assert torch.equal(agent.player().act(last, False), agent.act(last, explore=False))


def test_what_does_not_fit_is_named():
    view = mfq.wrap(battle_v0.batched_env(map_size=14))
    with pytest.raises(ValueError, match="separate_actors=True with observations"):
        make_agent(view, "maac", ACConfig(network={"separate_actors": True}))
    with pytest.raises(ValueError, match="separate_actors=True with shared_trunk=True"):
        ACNetworkConfig(separate_actors=True, shared_trunk=True)
