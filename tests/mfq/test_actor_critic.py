"""The actor-critic's arithmetic, by hand: targets, gradients, masks, inputs, exact resumption."""

import copy
import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

import mfq
from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfenvs.graph import CompleteGraph
from mfq import actor_critic
from mfq.ac_config import AUTHORS, ACConfig
from mfq.actor_critic import ActorCritic
from mfq.network import Actor, Critic, Trunk
from mfq.runner import Runner
from mfq.view import Step
from tests.reference.matrix_game import MatrixGame


class Table(nn.Module):
    """A number per output, whatever is observed; a critic adds the mean action times 10."""

    def __init__(self, numbers):
        super().__init__()
        self.numbers = nn.Parameter(torch.tensor(numbers))

    def forward(self, obs, *rest):
        out = self.numbers.expand(len(rest[-1]), -1)
        mean = rest[0] if len(rest) == 2 else None
        if mean is None or not mean.shape[-1]:
            return out
        # A value takes up a third of the tilt for the last action.
        return out + 10 * mean if out.shape[-1] > 1 else out + 10 * mean[:, -1:] / 3


LOGITS, Q = [0.5, -0.3, 1.1], [1.0, 2.0, 4.0]


def agent_with(logits=LOGITS, values=Q, mean_field=True, agents=2, **config):
    """An agent on a game of three actions whose networks are tables."""
    view = mfq.wrap(MatrixGame(torch.zeros(1, 3, 3, 2)))
    view.num_agents = agents
    config = {"learn_after": 1, "gamma": 0.5, "entropy": 0.0, "clip_gradient": 0.0, **config}
    return ActorCritic(
        view, mean_field, ACConfig(**config), network=lambda view, coin: (Table(logits), Table(values))
    )  # fmt: skip


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def a_step(actions, *, alive=None, acting=None, mask=None, reward=0.0, groups=None, **rest):
    actions = torch.tensor([actions])
    yes = torch.ones_like(actions, dtype=torch.bool)
    graph = CompleteGraph(actions.shape[1], None if groups is None else np.array(groups))
    alive = yes if alive is None else torch.tensor([alive])
    parts = {
        "obs": torch.zeros(*actions.shape, dtype=torch.int64),
        "reward": torch.full(actions.shape, reward),
        "terminated": ~yes,
        "truncated": torch.zeros(1, dtype=torch.bool),
        "alive": alive,
        "acting": alive if acting is None else torch.tensor([acting]),
        "actions": actions,
        "action_mask": mask,
        "reset": torch.zeros(1, dtype=torch.bool),
        "graph": graph,
        "graph_before": graph,
        "num_actions": 3,
    }
    return Step(**{**parts, **rest})


def stored(agent):
    """The transitions in the replay."""
    return {name: part[: len(agent.replay)] for name, part in agent.replay._fields.items()}


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
    assert agent.rollout._choices[0]["mean"].argmax(-1).tolist() == heard
    # A state that play is cut at is valued with what acting there reckons with.
    assert agent.rollout._states[0]["expected"].argmax(-1).tolist() == [0, 0]


@pytest.mark.parametrize("critic", ["q", "v"])
def test_learned_from_are_ones_own_agents_whose_choice_counted(critic):
    agent = agent_with(values=[0.0] if critic == "v" else Q, critic=critic, agents=3, round_steps=1)
    before = a_step([0, 0, 0]).given_to(torch.tensor([[True, True, False]]))
    after = a_step([1, 1, 1], acting=[True, False, True])
    agent.observe(before, torch.tensor([[1, -1, -1]]), after)
    if critic == "q":
        assert stored(agent)["agent"].tolist() == [0]
        agent.observe(before, after.actions, a_step([0, 0, 0], reset=torch.tensor([True])))
        assert len(agent.replay) == 1
    else:
        assert agent.rollout._states[0]["seat"].tolist() == [0, 1]
        assert agent.rollout._choices[0]["learns"].tolist() == [True, False]


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
    agent = agent_with(gamma=0.0, temperature=0.7, entropy=entropy, batch_size=1)
    allowed = np.array([1, 1, 1] if mask is None else mask, bool)
    given = None if mask is None else torch.tensor([[mask, [1, 1, 1]]], dtype=torch.int8)
    before = a_step([0, 0], mask=given).given_to(torch.tensor([[True, False]]))
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
        "value_weight": 0.1,
        "round_steps": 2,
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
    agent = ActorCritic(view, config=ACConfig(critic="v", round_steps=8))
    other = copy.deepcopy(agent)
    mfq.train(view, agent, 9)  # eight are a round
    monkeypatch.setattr(actor_critic, "CHUNK", 11)
    mfq.train(view, other, 9)
    assert agent.updates == other.updates == 1
    for mine, theirs in zip(agent.online.parameters(), other.online.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, atol=1e-6)
        assert mine.grad.any()


def test_adam_learns_at_two_rates_and_clips_each_network():
    agent = agent_with(
        gamma=0.0, batch_size=1, actor_learning_rate=0.1, critic_learning_rate=0.2, clip_gradient=0.5
    )  # fmt: skip
    before = a_step([0, 0]).given_to(torch.tensor([[True, False]]))
    agent.observe(before, torch.tensor([[2, 1]]), a_step([2, 1], reward=0.0))
    agent.learn()
    for name in ("actor", "critic"):
        assert float(agent.online[name].numbers.grad.norm()) == pytest.approx(0.5)
    # Adam's first step is the learning rate, against the gradient's sign: towards action 1, whose Q is
    # 12 with the other's 1, and away from a Q(2) of 4 where 0 was earned.
    assert agent.online["critic"].numbers.tolist() == pytest.approx([1.0, 2.0, 3.8])
    assert agent.online["actor"].numbers.tolist() == pytest.approx([0.4, -0.2, 1.0])


def test_both_targets_follow_slowly():
    agent = agent_with(polyak=0.25)
    agent.online["actor"].numbers.data = torch.tensor([4.5, -0.3, 1.1])
    agent.online["critic"].numbers.data = torch.tensor([5.0, 2.0, 0.0])
    agent._move_targets()
    assert agent.target["actor"].numbers.tolist() == pytest.approx([1.5, -0.3, 1.1])
    assert agent.target["critic"].numbers.tolist() == [2.0, 2.0, 3.0]


# -- acting -----------------------------------------------------------------------------------------


def test_acting_draws_from_the_softmax():
    agent = agent_with(temperature=0.7)
    step = a_step([0, 0])
    drawn = torch.cat([agent.act(step) for _ in range(3000)])
    shares = torch.bincount(drawn.flatten(), minlength=3) / drawn.numel()
    assert shares.tolist() == pytest.approx(softmax(np.array(LOGITS) / 0.7), abs=0.03)
    assert agent.act(step, explore=False).tolist() == [[2, 2]]
    sampling = agent_with(play="sample")
    assert len({str(sampling.act(step, explore=False)) for _ in range(50)}) > 3


def test_masks_bind_in_acting():
    mask = torch.tensor([[[1, 1, 0], [0, 1, 0]]], dtype=torch.int8)
    agent = agent_with()
    drawn = torch.cat([agent.act(a_step([0, 0], mask=mask)) for _ in range(100)])
    assert drawn[:, 0].unique().tolist() == [0, 1]
    assert drawn[:, 1].unique().tolist() == [1]
    assert agent.act(a_step([0, 0], mask=mask), explore=False).tolist() == [[0, 1]]


def test_it_acts_for_its_own_living_agents():
    agent = agent_with(agents=4)
    step = a_step([0, 0, 0, 0], alive=[True, False, True, True])
    assert (agent.act(step)[0] >= 0).tolist() == [True, False, True, True]
    mine = step.given_to(torch.tensor([[True, True, False, True]]))
    actions = agent.act(mine)
    assert actions.dtype == torch.int64
    assert (actions[0] >= 0).tolist() == [True, False, False, True]
    nobody = step.given_to(torch.zeros(1, 4, dtype=torch.bool))
    assert agent.act(nobody).tolist() == [[-1] * 4]


def test_each_agent_acts_on_what_it_observes():
    class Echo(nn.Module):
        def forward(self, obs, agent):
            return 50.0 * nn.functional.one_hot((obs.long() + agent) % 3, 3)

    view = mfq.wrap(MatrixGame(torch.zeros(1, 3, 3, 2)))
    agent = ActorCritic(view, network=lambda view, coin: (Echo(), Table(Q)))
    step = a_step([0, 0, 0], obs=torch.tensor([[0, 2, 2]]), alive=[True, False, True])
    assert agent.act(step).tolist() == [[0, -1, 1]]


@pytest.mark.parametrize("critic", ["q", "v"])
def test_each_agent_learns_as_itself(critic):
    agent = agent_with(values=Q if critic == "q" else [0.0], critic=critic, agents=3, round_steps=1)
    seen = []
    for network in agent.online.values():
        network.register_forward_pre_hook(lambda module, given: seen.append(given[-1].unique()))
    before = a_step([0, 0, 0]).given_to(torch.tensor([[False, False, True]]))
    agent.observe(before, torch.tensor([[-1, -1, 1]]), a_step([0, 0, 1]))
    agent.learn()
    assert agent.updates == 1
    assert len(seen) == (2 if critic == "q" else 3)  # of the cut state's value, too
    assert all(who.tolist() == [2] for who in seen)


def test_a_player_is_a_frozen_copy():
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=30))
    agent = ActorCritic(view, config=ACConfig(learn_after=30, batch_size=16, entropy=1.0))
    step = view.reset(seed=0)
    coins, player = agent.generator.get_state(), agent.player()
    first = player.act(step, explore=False)
    assert torch.equal(first, agent.act(step, explore=False))
    assert not any(part.requires_grad for part in player.module.parameters())
    before = copy.deepcopy(player.module.state_dict())
    agent.generator.set_state(coins)
    player.act(step)
    assert torch.equal(agent.generator.get_state(), coins)
    mfq.train(view, agent, 60)
    assert all(torch.equal(part, before[name]) for name, part in player.module.state_dict().items())
    moved = [
        not torch.equal(mine, before[name]) for name, mine in agent.module.state_dict().items()
    ]
    assert all(moved)
    # Its coins are those of its seed; a state of it goes to another.
    assert torch.equal(agent.player(3).act(step), agent.player(3).act(step))
    other = agent.player(4)
    other.load_state_dict(player.state_dict())
    assert torch.equal(other.act(step), player.act(step))


# -- inputs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mean_field", [True, False])
@pytest.mark.parametrize("critic", ["q", "v"])
def test_ac_reads_nothing_of_what_others_do(critic, mean_field):
    def trained(others):
        """After the same play of agents 0 and 1 beside others'."""
        coin = torch.Generator().manual_seed(0)
        view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=5))
        config = ACConfig(critic=critic, learn_after=20, batch_size=32, round_steps=10)
        agent = ActorCritic(view, mean_field, config)
        mine = torch.tensor([[True, True, False, False, False]])
        step = view.reset(seed=0).given_to(mine)
        for _ in range(40):
            own = torch.randint(0, 10, (1, 2), generator=coin)
            actions = torch.cat([own, torch.tensor([others])], 1)
            after = view.step(actions)
            agent.observe(step, actions, replace(after, reward=own.sum().float().expand(1, 5)))
            agent.learn()
            step = after.given_to(mine)
        assert agent.updates > 2
        return [part.clone() for part in agent.online.parameters()]

    pairs = list(zip(trained([0, 0, 0]), trained([9, 9, 9]), strict=True))
    assert all(torch.equal(one, other) for one, other in pairs) == (not mean_field)


def test_the_actor_sees_no_mean_action():
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=50))
    agent = ActorCritic(view)
    step = view.reset(seed=0)
    low = view.step(torch.zeros_like(step.actions))
    first = agent.act(low, explore=False)
    high = view.step(torch.full_like(step.actions, 9))
    assert (high.mean_action != low.mean_action).any()
    assert torch.equal(agent.act(high, explore=False), first)


def weights(module):
    return sum(part.numel() for part in module.parameters())


def test_the_papers_networks_for_battle():
    view = mfq.wrap(battle_v0.batched_env(**battle_v0.PAPER))
    joined = 13 * 13 * 7 * 256 + 256 + 34 * 256 + 256 + 512 * 512 + 512
    mean = 21 * 64 + 64 + 64 * 32 + 32
    for mean_field in (True, False):
        agent = ActorCritic(view, mean_field, AUTHORS)
        assert weights(agent.module) == joined + 512 * 21 + 21
        head = mean + (512 + 32) * 256 + 256 + 256 + 1 if mean_field else 512 + 1
        assert weights(agent.online["critic"]) == joined + head
        # One trunk, one optimizer, each weight in it once.
        groups = [group["params"] for group in agent.optimizer.param_groups]
        assert sum(part.numel() for part in groups[0]) == weights(agent.module)
        assert sum(part.numel() for part in groups[1]) == head
        assert weights(agent.online) == weights(agent.module) + head
    apart = ActorCritic(view, True, ACConfig(pictures="conv", agent_embedding=0))
    assert weights(apart.online) == weights(apart.module) + weights(apart.online["critic"])
    assert any(isinstance(part, nn.Conv2d) for part in apart.module.modules())


SPACES = [
    spaces.Box(-1, 1, (5,)),
    spaces.Box(0, 1, (7, 9, 3)),
    spaces.Discrete(4, start=2),
    spaces.Dict({"view": spaces.Box(0, 1, (6, 6, 2)), "features": spaces.Box(0, 1, (3,))}),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("pictures", ["flat", "conv"])
def test_networks_fit_the_space(space, pictures):
    space.seed(0)
    samples = [space.sample() for _ in range(6)]
    if isinstance(space, spaces.Dict):
        obs = {k: torch.tensor(np.stack([s[k] for s in samples])) for k in space.spaces}
    else:
        obs = torch.tensor(np.stack(samples))
    coin = torch.Generator().manual_seed(0)
    actor = Actor(Trunk(space, 10, (16, 8), 3, pictures, coin), 4, coin)
    agent, mean = torch.arange(6), torch.rand(6, 4, generator=coin)
    logits = actor(obs, agent)
    assert logits.shape == (6, 4)
    assert (actor(obs, agent.flip(0)) != logits).any()
    for outputs in (1, 4):
        critic = Critic(Trunk(space, 10, (16,), 0, pictures, coin), 4, outputs, True, (12,), coin)
        values = critic(obs, mean, agent)
        assert values.shape == (6, outputs)
        assert (critic(obs, mean.flip(0), agent) != values).any()
    biases = [part for name, part in critic.named_parameters() if name.endswith("bias")]
    assert biases
    assert not any(bias.any() for bias in biases)


def test_weights_come_from_the_seed_alone():
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=5))
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = ActorCritic(view, seed=3)
    mfq.train(view, first, 5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    second, other = ActorCritic(view, seed=3), ActorCritic(view, seed=4)
    for name, part in first.online.state_dict().items():
        assert torch.equal(part, second.online.state_dict()[name])
        assert torch.equal(part, first.target.state_dict()[name])
    assert not torch.equal(first.module.head.weight, other.module.head.weight)


# -- whole games, and going on ----------------------------------------------------------------------


@pytest.mark.parametrize("config", [ACConfig(learn_after=10, batch_size=16), AUTHORS])
@pytest.mark.parametrize("mean_field", [True, False])
def test_it_plays_games_with_masks_and_deaths(config, mean_field):
    for env in (
        ising_v0.batched_env(num_envs=2, side=4, update="checkerboard", max_cycles=7),
        battle_v0.batched_env(num_envs=2, map_size=14, max_cycles=12),
    ):
        view = mfq.wrap(env)
        agent = ActorCritic(view, mean_field, config)
        mfq.train(view, agent, 30)
        assert agent.updates >= 2
        assert all(bool(part.isfinite().all()) for part in agent.online.parameters())


@pytest.mark.parametrize("critic", ["q", "v"])
def test_an_interrupted_run_goes_on_exactly(tmp_path, critic):
    config = {
        "algo": "mfac",
        "steps": 200,
        "log_every": 1,
        "evaluate_every": 90,
        "save_every": 0,
        "quiet": True,
        "env_options": {"num_agents": 12, "max_cycles": 30},
        "actor_critic": {"critic": critic, "learn_after": 100, "batch_size": 32, "hidden": [16]},
    }

    def losses(folder):
        with (folder / "log.csv").open() as file:
            rows = list(csv.DictReader(file))
        return {int(row["step"]): (row["loss"], row["entropy"]) for row in rows if row["loss"]}

    whole = Runner(config={**config, "out": str(tmp_path / "whole")})
    whole.train()
    # In the middle of an episode, and of a round.
    Runner(config={**config, "steps": 140, "out": str(tmp_path / "part")}).train()
    resumed = Runner.load(tmp_path / "part", steps=200)
    assert resumed.done == 140
    assert isinstance(resumed.agent, ActorCritic)
    assert critic == "q" or 5 < len(resumed.agent.rollout) < 25
    resumed.train()
    expected, found = losses(tmp_path / "whole"), losses(tmp_path / "part")
    # Until a round is over there is nothing to log.
    later = range(141 if critic == "q" else 31 * 5, 201)
    assert len({expected[step] for step in later}) > 1
    assert [found[step] for step in later] == [expected[step] for step in later]
    mine, theirs = resumed.agent.state_dict(), whole.agent.state_dict()
    assert mine["updates"] == theirs["updates"]
    for name, part in mine["online"].items():
        assert torch.equal(part, theirs["online"][name])


def test_rates_changed_on_loading_reach_the_optimizer(tmp_path):
    config = {"algo": "ac", "steps": 5, "quiet": True, "out": str(tmp_path)}
    Runner(config=config).train()
    changed = Runner.load(tmp_path, actor_critic={"actor_learning_rate": 0.5})
    assert changed.agent.mean_field is False
    assert [group["lr"] for group in changed.agent.optimizer.param_groups] == [0.5, 1e-3]


@pytest.mark.parametrize(
    ("options", "error", "argument"),
    [
        ({"critic": "a"}, ValueError, "critic"),
        ({"pairing": "next"}, ValueError, "pairing"),
        ({"play": "argmax"}, ValueError, "play"),
        ({"pictures": "vit"}, ValueError, "pictures"),
        ({"gamma": 1.1}, ValueError, "gamma"),
        ({"polyak": float("nan")}, ValueError, "polyak"),
        ({"entropy": -0.1}, ValueError, "entropy"),
        ({"entropy": "much"}, TypeError, "entropy"),
        ({"value_weight": float("inf")}, ValueError, "value_weight"),
        ({"temperature": 0.0}, ValueError, "temperature"),
        ({"actor_learning_rate": 0}, ValueError, "actor_learning_rate"),
        ({"critic_learning_rate": float("inf")}, ValueError, "critic_learning_rate"),
        ({"batch_size": 2.5}, TypeError, "batch_size"),
        ({"round_steps": 0}, ValueError, "round_steps"),
        ({"updates_per_round": -1}, ValueError, "updates_per_round"),
        ({"hidden": ()}, ValueError, "hidden"),
        ({"hidden": (64, 0)}, ValueError, "hidden"),
        ({"mean_hidden": (2.0,)}, TypeError, "mean_hidden"),
        ({"shared_trunk": 1}, TypeError, "shared_trunk"),
    ],
)
def test_bad_options_are_named(options, error, argument):
    with pytest.raises(error, match=argument):
        ACConfig(**options)
