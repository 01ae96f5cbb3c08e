"""The actor-critic's arithmetic, by hand: targets, gradients, masks, who is learned from."""

import copy

import numpy as np
import pytest
import torch

import mfq
from mfenvs import gaussian_squeeze_v0
from mfq.agents import ac_rollout
from mfq.agents.ac_config import ACConfig
from mfq.agents.actor_critic import ActorCritic
from mfq.common import distributed
from tests.fakes.tables import LOGITS, Q, a_step, agent_with, softmax, stored

# -- targets ----------------------------------------------------------------------------------------


def test_the_target_is_v_mf_under_the_target_policy():
    agent = agent_with(temperature=0.7)
    # What is online has no say.
    agent.online["actor"].numbers.data = torch.tensor([9.0, 0.0, 0.0])
    agent.online["critic"].numbers.data = torch.tensor([7.0, 7.0, 7.0])
    agent.observe(a_step([0, 0]), torch.tensor([[1, 2]]), a_step([1, 2], reward=3.0))
    # Agent 0 expects in s' that the other plays 2 again, agent 1 that it plays 1.
    pi = softmax(np.array(LOGITS) / 0.7)
    values = [np.array(Q) + 10 * np.eye(3)[other] for other in (2, 1)]
    target = agent.td_target(stored(agent))
    assert target.tolist() == pytest.approx([3 + 0.5 * pi @ value for value in values])


def test_the_target_reckons_with_what_was_just_played():
    # Where the fitted mean action is an older one, the target still hears the last.
    agent = agent_with(pairing="previous")
    agent.observe(a_step([0, 0]), torch.tensor([[1, 2]]), a_step([1, 2], reward=3.0))
    pi = softmax(np.array(LOGITS))
    values = [np.array(Q) + 10 * np.eye(3)[other] for other in (2, 1)]
    target = agent.td_target(stored(agent))
    assert target.tolist() == pytest.approx([3 + 0.5 * pi @ value for value in values])


def test_death_ends_a_target_and_a_time_limit_does_not():
    agent = agent_with(mean_field=False)
    after = a_step(
        [1, 2], alive=[True, False], acting=[True, True], reward=3.0,
        terminated=torch.tensor([[False, True]]), truncated=torch.tensor([True]),
    )  # fmt: skip
    agent.observe(a_step([0, 0]), torch.tensor([[1, 2]]), after)
    value = softmax(np.array(LOGITS)) @ Q
    assert agent.td_target(stored(agent)).tolist() == pytest.approx([3 + 0.5 * value, 3.0])


def test_no_live_neighbour_and_the_last_two_agents():
    # Of two armies, agent 1 is long dead: 0 stands alone, 2 and 3 have each other.
    groups, alive = [0, 0, 1, 1], [True, False, True, True]
    agent = agent_with(agents=4)
    before = a_step([0, -1, 0, 0], alive=alive, groups=groups)
    after = a_step([2, -1, 1, 0], alive=alive, groups=groups, reward=1.0)
    agent.observe(before, after.actions, after)
    batch = stored(agent)
    assert batch["agent"].tolist() == [0, 2, 3]
    heard = [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert batch["mean"].tolist() == heard
    assert batch["next_mean"].tolist() == heard
    pi = softmax(np.array(LOGITS))
    values = [pi @ (np.array(Q) + 10 * np.array(mean)) for mean in heard]
    assert agent.td_target(batch).tolist() == pytest.approx([1 + 0.5 * v for v in values])


def test_masked_actions_count_in_no_target():
    agent = agent_with(mean_field=False)
    mask = torch.tensor([[[1, 1, 0], [1, 1, 1]]], dtype=torch.int8)
    agent.observe(a_step([0, 0]), torch.tensor([[1, 2]]), a_step([1, 2], mask=mask, reward=3.0))
    some, all_of_them = softmax(np.array(LOGITS[:2])) @ Q[:2], softmax(np.array(LOGITS)) @ Q
    target = agent.td_target(stored(agent))
    assert target.tolist() == pytest.approx([3 + 0.5 * some, 3 + 0.5 * all_of_them])


@pytest.mark.parametrize(("pairing", "heard"), [("current", [2, 1]), ("previous", [0, 0])])
def test_the_fitted_mean_action_follows_the_pairing(pairing, heard):
    agent = agent_with(pairing=pairing)
    agent.observe(a_step([0, 0]), torch.tensor([[1, 2]]), a_step([1, 2]))
    assert stored(agent)["mean"].argmax(-1).tolist() == heard
    assert stored(agent)["next_mean"].argmax(-1).tolist() == [2, 1]
    agent = agent_with(values=[0.0], pairing=pairing, critic="v")
    agent.observe(a_step([0, 0]), torch.tensor([[1, 2]]), a_step([1, 2]))
    rollout = agent.rollout.state_dict()
    assert rollout["choices"][0]["mean"].argmax(-1).tolist() == heard
    # A state that play is cut at is valued with what acting there reckons with.
    assert rollout["states"][0]["expected"].argmax(-1).tolist() == [0, 0]


@pytest.mark.parametrize("critic", ["q", "v"])
def test_learned_from_are_ones_own_agents_whose_choice_counted(critic):
    agent = agent_with(
        values=[0.0] if critic == "v" else Q, critic=critic, agents=3, rollout={"steps": 1}
    )
    before = a_step([0, 0, 0]).for_player(torch.tensor([[True, True, False]]))
    after = a_step([1, 1, 1], acting=[True, False, True])
    agent.observe(before, torch.tensor([[1, -1, -1]]), after)
    if critic == "q":
        assert stored(agent)["agent"].tolist() == [0]
        agent.observe(before, after.actions, a_step([0, 0, 0], reset=torch.tensor([True])))
        assert len(agent.replay) == 1
    else:
        rollout = agent.rollout.state_dict()
        assert rollout["states"][0]["place"].tolist() == [0, 1]
        assert rollout["choices"][0]["learns"].tolist() == [True, False]


def test_at_gamma_0_nothing_of_the_next_state_is_stored():
    agent = agent_with(gamma=0.0)
    agent.observe(a_step([0, 0]), torch.tensor([[1, 2]]), a_step([1, 2], reward=3.0))
    assert set(stored(agent)) == {"obs", "agent", "action", "mean", "reward"}
    assert agent.td_target(stored(agent)).tolist() == [3.0, 3.0]


# -- gradients --------------------------------------------------------------------------------------


def numeric_gradient(f, x):
    """Central differences of f at x, in float64."""
    x = np.array(x, dtype=np.float64)
    steps = 1e-6 * np.eye(len(x))
    return np.array([(f(x + step) - f(x - step)) / 2e-6 for step in steps])


def entropy_of(pi):
    return -(pi[pi > 0] * np.log(pi[pi > 0])).sum()


@pytest.mark.parametrize("mask", [None, [1, 0, 1]])
@pytest.mark.parametrize("entropy", [0.0, 0.3])
def test_the_q_actors_gradient(mask, entropy):
    agent = agent_with(gamma=0.0, temperature=0.7, entropy=entropy, optimizer={"batch_size": 1})
    allowed = np.array([1, 1, 1] if mask is None else mask, bool)
    given = None if mask is None else torch.tensor([[mask, [1, 1, 1]]], dtype=torch.int8)
    before = a_step([0, 0], mask=given).for_player(torch.tensor([[True, False]]))
    agent.observe(before, torch.tensor([[2, 1]]), a_step([2, 1], reward=3.0))
    metrics = agent.learn()
    q = np.array(Q) + np.array([0, 10, 0])  # the other played 1

    def policy(logits):
        return softmax(np.where(allowed, logits / 0.7, -np.inf))

    def loss(logits):
        pi = policy(logits)
        return -(pi @ q) - entropy * entropy_of(pi)

    found = agent.online["actor"].numbers.grad.numpy()
    assert found == pytest.approx(numeric_gradient(loss, LOGITS), abs=1e-5)
    # In closed form, E_{a~pi}[grad log pi(a) Q(a)], which no baseline changes.
    pi = policy(np.array(LOGITS))
    score = (np.eye(3) - pi) / 0.7  # [a, logit]
    for baseline in (0.0, pi @ q):
        closed = -(pi * (q - baseline)) @ score
        if not entropy:
            assert found == pytest.approx(closed, abs=1e-5)
    assert metrics["entropy"] == pytest.approx(entropy_of(pi), abs=1e-6)
    # The critic's: of (y - Q(2))^2, and nothing of the actor's.
    assert agent.online["critic"].numbers.grad.tolist() == pytest.approx([0, 0, 2 * (4.0 - 3.0)])
    assert metrics["loss"] == pytest.approx(1.0)
    assert metrics["q"] == pytest.approx(4.0)


@pytest.mark.parametrize("mask", [None, [1, 0, 1]])
def test_the_v_actors_and_critics_gradients(mask):
    options = {
        "critic": "v",
        "temperature": 0.7,
        "entropy": 0.3,
        "rollout": {"value_weight": 0.1, "steps": 2},
    }
    agent = agent_with(values=[1.5], gamma=0.5, **options)
    allowed = np.array([1, 1, 1] if mask is None else mask, bool)
    given = None if mask is None else torch.tensor([[mask, mask]], dtype=torch.int8)
    first, second, third = (
        a_step([0, 2], mask=given, reset=torch.tensor([True])),
        a_step([2, 0], mask=given, reward=3.0),
        a_step([2, 2], reward=1.0, mask=given),
    )
    agent.observe(first, second.actions, second)
    assert agent.learn() == {}
    agent.observe(second, third.actions, third)
    metrics = agent.learn()
    # V = 1.5 plus 10 / 3 if the other plays 2; fitted to what is played at the same time.
    high = 1.5 + 10 / 3
    later = 1 + 0.5 * high  # both expect a 2 after the cut
    samples = [  # (action, return, V) of agents 0 and 1 in both steps
        (2, 3 + 0.5 * later, 1.5), (0, 3 + 0.5 * later, high), (2, later, high), (2, later, high)
    ]  # fmt: skip

    def loss(logits):
        pi = softmax(np.where(allowed, logits / 0.7, -np.inf))
        gains = [(r - v) * np.log(pi[a]) + 0.3 * entropy_of(pi) for a, r, v in samples]
        return -np.mean(gains)

    found = agent.online["actor"].numbers.grad.numpy()
    assert found == pytest.approx(numeric_gradient(loss, LOGITS), abs=1e-5)
    slope = 0.1 * np.mean([2 * (v - r) for _, r, v in samples])
    assert agent.online["critic"].numbers.grad.tolist() == pytest.approx([slope])
    assert metrics["loss"] == pytest.approx(np.mean([(r - v) ** 2 for _, r, v in samples]))
    assert metrics["value"] == pytest.approx(np.mean([v for _, _, v in samples]))
    assert agent.updates == 1
    assert len(agent.rollout) == 0


def test_a_round_in_chunks_is_the_same_round(monkeypatch):
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=2, num_agents=9, max_cycles=20))
    agent = ActorCritic(view, config=ACConfig(critic="v", rollout={"steps": 8}))
    other = copy.deepcopy(agent)
    mfq.train(view, agent, 9)  # eight are a round
    monkeypatch.setattr(ac_rollout, "CHUNK", 11)
    mfq.train(view, other, 9)
    assert agent.updates == other.updates == 1
    for mine, theirs in zip(agent.online.parameters(), other.online.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, atol=1e-6)
        assert mine.grad.any()


def test_the_v_critics_samples_of_all_processes_count_alike(monkeypatch):
    """Two processes, of two samples and of four: the mean of their gradients is that of all six."""
    monkeypatch.setattr(distributed, "world", lambda: 2)
    monkeypatch.setattr(distributed, "average_gradients", lambda parameters: None)
    options = {"critic": "v", "gamma": 0.0, "mean_field": False}
    options["rollout"] = {"steps": 1, "value_weight": 0.1}
    found, metrics = [], []
    for agents, reward in ((2, 3.0), (4, 1.0)):
        agent = agent_with(values=[1.5], agents=agents, **options)
        # Of the samples, six; of the processes whose round is not over, none.
        monkeypatch.setattr(distributed, "total", lambda count: 6 * bool(count))
        done = [2] * agents
        agent.observe(a_step([0] * agents), torch.tensor([done]), a_step(done, reward=reward))
        metrics.append(agent.learn())
        found.append({name: part.numbers.grad.clone() for name, part in agent.online.items()})
    # -.1 d/dV of the mean of two (3 - V)^2 and four (1 - V)^2, at 1.5.
    critics = [float(gradient["critic"]) for gradient in found]
    assert critics == pytest.approx([-0.1 * 2 * 2 * 1.5 / 3, 0.1 * 2 * 4 * 0.5 / 3])
    assert np.mean(critics) == pytest.approx(0.1 * 2 * (4 * 0.5 - 2 * 1.5) / 6)
    # Two gains of 1.5 and four of -.5 on log pi(2).
    actors = np.mean([gradient["actor"].numpy() for gradient in found], 0)
    score = np.eye(3)[2] - softmax(np.array(LOGITS))
    assert actors == pytest.approx(-(2 * 1.5 - 4 * 0.5) / 6 * score, abs=1e-6)
    losses = [part["loss"] for part in metrics]
    assert np.mean(losses) == pytest.approx((2 * 1.5**2 + 4 * 0.5**2) / 6)


def test_adam_learns_at_two_rates_and_clips_each_network():
    rates = {"actor_learning_rate": 0.1, "critic_learning_rate": 0.2}
    agent = agent_with(gamma=0.0, optimizer={"batch_size": 1, "clip_gradient": 0.5, **rates})
    before = a_step([0, 0]).for_player(torch.tensor([[True, False]]))
    agent.observe(before, torch.tensor([[2, 1]]), a_step([2, 1], reward=0.0))
    agent.learn()
    for name in ("actor", "critic"):
        assert float(agent.online[name].numbers.grad.norm()) == pytest.approx(0.5)
    # Adam's first step is the learning rate, against the gradient's sign: towards action 1, whose Q is
    # 12 with the other's 1, and away from a Q(2) of 4 where 0 was earned.
    assert agent.online["critic"].numbers.tolist() == pytest.approx([1.0, 2.0, 3.8])
    assert agent.online["actor"].numbers.tolist() == pytest.approx([0.4, -0.2, 1.0])


def test_both_targets_follow_slowly():
    still = {"actor_learning_rate": 1e-30, "critic_learning_rate": 1e-30}
    agent = agent_with(polyak=0.25, optimizer=still)
    agent.online["actor"].numbers.data = torch.tensor([4.5, -0.3, 1.1])
    agent.online["critic"].numbers.data = torch.tensor([5.0, 2.0, 0.0])
    agent.observe(a_step([0, 0]), torch.tensor([[1, 2]]), a_step([1, 2]))
    agent.learn()
    assert agent.updates == 1
    assert agent.target["actor"].numbers.tolist() == pytest.approx([1.5, -0.3, 1.1])
    assert agent.target["critic"].numbers.tolist() == pytest.approx([2.0, 2.0, 3.0])
