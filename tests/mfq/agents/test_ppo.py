"""PPO: whole updates against numpy, and who is learned from and with what."""

import itertools

import numpy as np
import pytest
import torch

import mfq
from mfenvs import gaussian_squeeze_v0
from mfq.agents import ac_rollout
from mfq.agents.ppo import PPO, normalized
from mfq.agents.ppo_config import PPOConfig
from mfq.common import distributed
from mfq.common.config import build
from tests.fakes.tables import LOGITS, Table, a_step, softmax
from tests.mfq.agents.test_actor_critic_arithmetic import entropy_of, numeric_gradient
from tests.reference.matrix_game import MatrixGame

DEFAULT = PPOConfig(
    gamma=0.5,
    entropy=0.3,
    optimizer={"clip_gradient": 0.0, "actor_learning_rate": 0.3, "critic_learning_rate": 0.2},
    rollout={"steps": 2, "epochs": 1, "minibatches": 1, "gae_lambda": 0.5, "value_weight": 0.5},
)


def agent_with(mean_field=True, agents=2, **config):
    """A PPO on a game of three actions whose networks are tables; V is 1.5 at first."""
    view = mfq.wrap(MatrixGame(torch.zeros(1, 3, 3, 2)))
    view.num_agents = agents
    config = build(PPOConfig, config, DEFAULT)
    return PPO(view, mean_field, config, network=lambda view, coin: (Table(LOGITS), Table([1.5])))


def play(agent, steps):
    """Feeds steps to an agent; returns the metrics of its last update."""
    metrics = {}
    for before, after in itertools.pairwise(steps):
        agent.observe(before, after.actions, after)
        metrics = agent.learn() or metrics
    return metrics


def batches_of(agent):
    """The samples of each gradient step from now on."""
    seen, take_step = [], agent._take_step
    agent._take_step = lambda batch: seen.append(batch) or take_step(batch)
    return seen


def adam(weights, gradient_of, rates, steps):
    """Adam in numpy, with torch's defaults."""
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for t in range(1, steps + 1):
        gradient = gradient_of(weights)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        step = (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
        weights = weights - rates * step
    return weights


# -- whole updates ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [None, [1, 0, 1]])
@pytest.mark.parametrize("epochs", [1, 5])
@pytest.mark.parametrize("normalize", [False, True])
def test_an_update_against_numpy(mask, epochs, normalize):
    options = {"epochs": epochs, "normalize_advantages": normalize, "clip": 0.1}
    agent = agent_with(temperature=0.7, rollout=options)
    allowed = np.array([1, 1, 1] if mask is None else mask, bool)
    given = None if mask is None else torch.tensor([[mask, mask]], dtype=torch.int8)
    steps = [
        a_step([0, 2], mask=given, reset=torch.tensor([True])),
        a_step([2, 0], mask=given, reward=3.0),
        a_step([2, 2], mask=given, reward=1.0),
    ]
    metrics = play(agent, steps)
    # V adds 10 / 3 if the other one played 2 in the step before. In order of time and agents:
    tilt = np.array([1, 0, 0, 1]) * 10 / 3
    value, action = 1.5 + tilt, [2, 0, 2, 2]
    last = 1 + 0.5 * (1.5 + 10 / 3)  # both expect a 2 after the cut
    returns = np.array([3 + 0.5 * (0.5 * value[2 + j] + 0.5 * last) for j in (0, 1)] + [last] * 2)
    advantage = returns - value
    if normalize:
        advantage = (advantage - advantage.mean()) / advantage.std()

    def policy(logits):
        return softmax(np.where(allowed, logits / 0.7, -np.inf))

    old = policy(np.array(LOGITS))

    def loss(logits):
        pi = policy(logits)
        gains = []
        for a, adv in zip(action, advantage, strict=True):
            ratio = pi[a] / old[a]
            gains.append(min(ratio * adv, np.clip(ratio, 0.9, 1.1) * adv) + 0.3 * entropy_of(pi))
        return -np.mean(gains)

    expected = adam(np.array(LOGITS), lambda x: numeric_gradient(loss, x), 0.3, epochs)
    assert agent.online["actor"].numbers.tolist() == pytest.approx(expected, abs=1e-4)
    slope = lambda v: 0.5 * np.mean(2 * (v + tilt - returns), keepdims=True)  # noqa: E731
    critic = adam(np.array([1.5]), slope, 0.2, epochs)
    assert agent.online["critic"].numbers.tolist() == pytest.approx(critic, abs=1e-5)
    assert agent.updates == epochs
    kl = np.mean([np.log(old[a] / policy(expected)[a]) for a in action])
    assert metrics["kl"] == pytest.approx(kl, abs=1e-4)
    assert len(agent.rollout) == 0


def test_a_rollout_has_a_fixed_length_and_its_samples_minibatches():
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=2, num_agents=5, max_cycles=4))
    rollout = {"steps": 10, "epochs": 3, "minibatches": 4}
    agent = PPO(view, config=PPOConfig(rollout=rollout))
    seen = batches_of(agent)
    mfq.train(view, agent, 25)
    assert agent.updates == 2 * 3 * 4
    assert len(agent.rollout) == 5
    # Two of ten steps begin new episodes: 2 x 8 x 5 samples, each once in an epoch.
    first = seen[:12]
    assert [len(batch["place"]) for batch in first] == [20] * 12
    epochs = [torch.cat([b["returns"] for b in first[k : k + 4]]) for k in (0, 4, 8)]
    assert not torch.equal(epochs[0], epochs[1])
    assert torch.equal(epochs[0].sort()[0], epochs[1].sort()[0])
    assert torch.equal(epochs[0].sort()[0], epochs[2].sort()[0])
    advantage = torch.cat([b["advantage"] for b in first[:4]])
    assert float(advantage.mean()) == pytest.approx(0, abs=1e-6)
    assert float(advantage.std(correction=0)) == pytest.approx(1, abs=1e-5)


def test_death_ends_a_return_and_a_time_limit_does_not():
    agent = agent_with(mean_field=False, rollout={"steps": 1})
    seen = batches_of(agent)
    after = a_step(
        [1, 2], alive=[True, False], acting=[True, True], reward=3.0,
        terminated=torch.tensor([[False, True]]), truncated=torch.tensor([True]),
    )  # fmt: skip
    play(agent, [a_step([0, 0]), after])
    returns = dict(zip(seen[0]["place"].tolist(), seen[0]["returns"].tolist(), strict=True))
    assert returns == {0: 3 + 0.5 * 1.5, 1: 3.0}


def test_learned_from_are_its_living_agents_that_chose():
    agent = agent_with(agents=4, rollout={"steps": 1})
    seen = batches_of(agent)
    before = a_step([0, 0, 0, 0], alive=[True, True, True, False])
    before = before.for_player(torch.tensor([[True, True, False, True]]))
    after = a_step([1, 1, 1, -1], acting=[True, False, True, False])
    play(agent, [before, after])
    assert seen[0]["place"].tolist() == [0]
    # One sample in two minibatches is one gradient step.
    agent = agent_with(agents=4, rollout={"steps": 1, "minibatches": 2})
    metrics = play(agent, [before, after])
    assert agent.updates == 1
    assert set(metrics) == {"loss", "value", "entropy", "kl"}


@pytest.mark.parametrize(("pairing", "others"), [("current", [2, 1]), ("previous", [0, 0])])
def test_the_critic_of_mf_ppo_takes_the_mean_action_and_that_of_ippo_none(pairing, others):
    for mean_field in (True, False):
        agent = agent_with(mean_field=mean_field, pairing=pairing, rollout={"steps": 1})
        seen = []
        agent.online["critic"].register_forward_pre_hook(
            lambda module, given, seen=seen: seen.append(given[1])
        )
        play(agent, [a_step([0, 0]), a_step([1, 2])])
        # Of the states to learn from and of the cut ones at once, then of the gradient step.
        assert seen[-1].shape == (2, 3 * mean_field)
        if mean_field:
            assert sorted(seen[-1].argmax(-1).tolist()) == sorted(others)
            assert seen[0].argmax(-1).tolist() == [*others, 2, 1]


# -- processes, chunks, options ---------------------------------------------------------------------


def test_an_update_in_chunks_is_the_same(monkeypatch):
    states = []
    for size in (10_000, 7):
        monkeypatch.setattr(ac_rollout, "CHUNK", size)
        view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=2, num_agents=9, max_cycles=20))
        agent = PPO(view, config=PPOConfig(rollout={"steps": 8, "minibatches": 2}))
        mfq.train(view, agent, 8)
        assert agent.updates == 8
        states.append(agent.online.state_dict())
    for name, part in states[0].items():
        assert torch.allclose(part, states[1][name], atol=1e-5), name


def test_processes_normalize_together_and_step_alike(monkeypatch):
    """Two processes with other samples than this one's, of which one has none."""
    monkeypatch.setattr(distributed, "total", lambda count: count + 2)
    sums = iter([5.0, 20.0])
    monkeypatch.setattr(distributed, "summed", lambda values: values + next(sums))
    # 1 and 3 here; the others' sum is 5, and their squared distances from 9 / 4 sum to 20.
    variance = (1.25**2 + 0.75**2 + 20) / 4
    expected = (np.array([1.0, 3.0]) - 9 / 4) / np.sqrt(variance)
    assert normalized(torch.tensor([1.0, 3.0])).tolist() == pytest.approx(expected)
    monkeypatch.undo()

    monkeypatch.setattr(distributed, "world", lambda: 2)
    monkeypatch.setattr(distributed, "average_gradients", lambda parameters: None)
    monkeypatch.setattr(distributed, "summed", lambda values: values)
    monkeypatch.setattr(distributed, "total", lambda count: count + 1)
    agent = agent_with(rollout={"steps": 1, "epochs": 2, "minibatches": 2})
    nobody = a_step([0, 0]).for_player(torch.zeros(1, 2, dtype=torch.bool))
    play(agent, [nobody, a_step([1, 2])])
    assert agent.updates == 4


def test_rewards_are_scaled():
    returns = []
    for scale in ("none", "auto"):
        agent = agent_with(mean_field=False, reward_scale=scale, rollout={"steps": 1})
        seen = batches_of(agent)
        play(agent, [a_step([0, 0]), a_step([1, 2], reward=4.0)])
        returns += seen
    assert returns[0]["returns"].tolist() == [4 + 0.5 * 1.5] * 2
    assert returns[1]["returns"].tolist() == [1 + 0.5 * 1.5] * 2
    assert returns[1]["value"].tolist() == [1.5] * 2


@pytest.mark.parametrize(
    ("options", "error", "argument"),
    [
        ({"pairing": "next"}, ValueError, "pairing"),
        ({"play": "argmax"}, ValueError, "play"),
        ({"gamma": 1.1}, ValueError, "gamma"),
        ({"entropy": -1}, ValueError, "entropy"),
        ({"temperature": 0.0}, ValueError, "temperature"),
        ({"rollout": {"clip": 0.0}}, ValueError, "clip"),
        ({"rollout": {"gae_lambda": 1.5}}, ValueError, "gae_lambda"),
        ({"rollout": {"epochs": 0}}, ValueError, "epochs"),
        ({"rollout": {"minibatches": 1.5}}, TypeError, "minibatches"),
        ({"rollout": {"normalize_advantages": 1}}, TypeError, "normalize_advantages"),
        ({"rollout": {"value_weight": float("nan")}}, ValueError, "value_weight"),
    ],
)
def test_bad_options_are_named(options, error, argument):
    with pytest.raises(error, match=argument):
        PPOConfig(**options)


def test_another_config_is_refused():
    view = mfq.wrap(MatrixGame(torch.zeros(1, 3, 3, 2)))
    with pytest.raises(TypeError, match="allowed: a PPOConfig"):
        PPO(view, config=mfq.ACConfig())
