"""MAAC: its target and gradients by hand, its critic against a loop, its replay."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

import mfq
from mfq.agents.ac_config import ACConfig
from mfq.agents.maac import MAAC
from mfq.agents.registry import make_agent
from mfq.common.config import build
from mfq.networks.encoders import encoder
from mfq.networks.networks import JointCritic, Trunk
from mfq.replay.joint import JointReplay
from tests.fakes.meadow import Meadow
from tests.fakes.tables import Table, a_step, softmax
from tests.reference.matrix_game import MatrixGame

DEFAULT = ACConfig(
    gamma=0.5,
    optimizer={"clip_gradient": 0.0, "batch_size": 1},
    replay={"learning_starts": 1},
)
Q2 = [[1.0, 0.0], [0.0, 2.0]]


class JointTable(nn.Module):
    """Q of two agents, a table [the agent's action, the other's]; 0 if the other has none."""

    def __init__(self, table):
        super().__init__()
        self.table = nn.Parameter(torch.tensor(table))

    def forward(self, obs, all_obs, all_action, agent):
        other = all_action.gather(1, 1 - agent[:, None])[:, 0]
        return self.table.T[other.clamp(min=0)] * (other >= 0)[:, None]


def agent_with(logits, table, agents=2, **config):
    view = mfq.wrap(MatrixGame(torch.zeros(1, len(table), len(table), 2)))
    view.num_agents = agents
    config = build(ACConfig, config, DEFAULT)
    return MAAC(view, config, network=lambda view, coin: (Table(logits), JointTable(table)))


def steps_of(actions, reward=0.0, num_actions=2, **more):
    return a_step([0, 0], num_actions=num_actions), a_step(
        actions, reward=reward, num_actions=num_actions, **more
    )


# -- arithmetic -------------------------------------------------------------------------------------


def test_the_gradient_of_an_actor():
    # Of agent 0 alone, while agent 1 plays action 1: Q is (0, 2).
    agent = agent_with([0.0, 0.0], Q2, gamma=0.0)
    before, after = steps_of([0, 1], reward=3.0)
    before = before.for_player(torch.tensor([[True, False]]))
    agent.observe(before, after.actions, after)
    metrics = agent.learn()
    assert (-agent.online["actor"].numbers.grad).tolist() == pytest.approx([-0.5, 0.5])
    # The critic's is that of (3 - Q(0, 1))^2, and nothing of the actor's.
    assert agent.online["critic"].table.grad.tolist() == [[0, 2 * (0 - 3)], [0, 0]]
    assert metrics["loss"] == 9.0


def test_targets_draw_the_others_next_actions_from_the_target_actor():
    logits = [0.3, -0.4]
    agent = agent_with(logits, Q2)
    # What is online has no say.
    agent.online["actor"].numbers.data = torch.tensor([9.0, 0.0])
    agent.online["critic"].table.data += 7
    before, after = steps_of([0, 1], reward=3.0)
    agent.observe(before, after.actions, after)
    batch = agent.replay.sample(4000)
    target = agent.td_target(batch)
    pi = softmax(np.array(logits))
    # Given the other's next action b, y = 3 + .5 sum_a pi(a) Q(a, b).
    expected = 3 + 0.5 * pi @ np.array(Q2)
    values, counts = target.unique(return_counts=True)
    assert values.tolist() == pytest.approx(sorted(expected))
    shares = dict(zip(values.tolist(), (counts / 4000).tolist(), strict=True))
    for value, share in shares.items():
        assert share == pytest.approx(pi[int(np.abs(expected - value).argmin())], abs=0.03)


def test_death_ends_a_target_and_the_dead_have_no_next_action():
    agent = agent_with([0.3, -0.4], Q2)
    before, after = steps_of(
        [0, 1], reward=3.0, alive=[True, False], acting=[True, True],
        terminated=torch.tensor([[False, True]]), truncated=torch.tensor([True]),
    )  # fmt: skip
    agent.observe(before, after.actions, after)
    batch = agent.replay.sample(20)
    # The survivor bootstraps after a time limit, from a Q of 0 as nobody else acts.
    agent.target["critic"].table.data += 1
    assert agent.td_target(batch).unique().tolist() == [3.0]
    assert set(batch["terminated"].tolist()) == {True, False}
    agent.target["critic"].forward = lambda obs, all_obs, action, agent: action.float()
    assert agent.td_target(batch)[batch["agent"] == 1].unique().tolist() == [3.0]
    survivor = batch["agent"] == 0
    pi = softmax(np.array([0.3, -0.4]))
    # Q of the survivor's action 1 is the other's action, which is none: -1.
    drawn = agent.td_target(batch)[survivor].unique().tolist()
    assert len(drawn) == 2
    least = 3 + 0.5 * pi @ np.array([0, -1])
    assert drawn == pytest.approx([least, 3 + 0.5 * pi @ np.array([1, -1])])


def test_masks_bind_in_drawn_actions_and_in_both_losses():
    mask = torch.tensor([[[1, 1], [1, 0]]], dtype=torch.int8)
    agent = agent_with([0.3, -0.4], Q2)
    before = a_step([0, 0], mask=mask, num_actions=2)
    after = a_step([1, 0], mask=mask, reward=3.0, num_actions=2)
    agent.observe(before, after.actions, after)
    batch = agent.replay.sample(50)
    pi = softmax(np.array([0.3, -0.4]))
    target = agent.td_target(batch)
    # Agent 1 can only play 0 next.
    first = 3 + 0.5 * pi @ np.array([1.0, 0.0])
    assert target[batch["agent"] == 0].tolist() == pytest.approx(
        [first] * int((batch["agent"] == 0).sum())
    )
    assert set(target[batch["agent"] == 1].tolist()) <= {3 + 0.5 * 1.0, 3 + 0.5 * 0.0}
    agent.learn()
    assert torch.equal(batch["mask"], mask[0][batch["agent"]])


# -- the critic -------------------------------------------------------------------------------------

SPACES = [
    spaces.Box(-1, 1, (3,)),
    spaces.Discrete(4),
    spaces.Dict({"a": spaces.Box(0, 1, (2,)), "b": spaces.Discrete(3)}),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_the_critic_against_a_loop(space):
    agents, actions, samples = 5, 3, 7
    coin = torch.Generator().manual_seed(0)
    trunk = Trunk(space, agents, (6,), 4, mfq.networks.encoders.PAPER, coin)
    critic = JointCritic(trunk, encoder(space, coin), agents, actions, (64, 32), coin)
    space.seed(0)
    seen = [[space.sample() for _ in range(agents)] for _ in range(samples)]

    def tensor(rows):
        if isinstance(space, spaces.Dict):
            return {
                k: torch.tensor(np.array([[x[k] for x in row] for row in rows])) for k in rows[0][0]
            }
        return torch.tensor(np.array(rows))

    all_obs, agent = tensor(seen), torch.arange(samples) % agents
    obs = tensor([[row[int(j)]] for row, j in zip(seen, agent, strict=True)])
    obs = {k: v[:, 0] for k, v in obs.items()} if isinstance(obs, dict) else obs[:, 0]
    chosen = torch.randint(-1, actions, (samples, agents), generator=coin)
    values = critic(obs, all_obs, chosen, agent)
    assert values.shape == (samples, actions)
    vectors = critic.actions.view(agents, actions, 64)
    features = critic.encode(
        {k: v.flatten(0, 1) for k, v in all_obs.items()}
        if isinstance(all_obs, dict)
        else all_obs.flatten(0, 1)
    ).view(samples, -1)
    for m in range(samples):
        first = critic.mine(trunk(obs, agent))[m] + critic.all_obs(features)[m]
        for k in range(agents):
            if k != agent[m] and chosen[m, k] >= 0:
                first = first + vectors[k, chosen[m, k]]
        assert torch.allclose(values[m], critic.head(first.relu()), atol=1e-5)
    # The agent's action does not count, those of the others do.
    index = torch.arange(samples)
    mine, theirs = chosen.clone(), chosen.clone()
    mine[index, agent] = (mine[index, agent] + 1) % actions
    theirs[index, (agent + 1) % agents] = (theirs[index, (agent + 1) % agents] + 1) % actions
    assert torch.equal(critic(obs, all_obs, mine, agent), values)
    assert (critic(obs, all_obs, theirs, agent) != values).any(1).all()


# -- the replay -------------------------------------------------------------------------------------


def fill(replay, times):
    """Row b of time t has learners by the bits of 3 t + b; rewards tell time, row and agent."""
    for t in times:
        learns = torch.tensor([[(3 * t + b) >> j & 1 for j in range(3)] for b in (0, 1)]).bool()
        names = torch.tensor([[100 * t + 10 * b + j for j in range(3)] for b in (0, 1)])
        before = a_step([0, 0, 0], obs=names, num_actions=9)
        after = a_step([0, 0, 0], num_actions=9)
        object.__setattr__(after, "reward", names.float())
        object.__setattr__(after, "actions", names % 7)
        object.__setattr__(after, "terminated", names % 2 == 0)
        object.__setattr__(after, "alive", names % 3 > 0)
        object.__setattr__(after, "obs", names + 1000)
        replay.add(before, after, learns, dict)
    return {
        100 * t + 10 * b + j
        for t in times
        for b in (0, 1)
        for j in range(3)
        if (3 * t + b) >> j & 1
    }


def test_samples_are_uniform_over_learners():
    replay = JointReplay(1000, torch.ones(3, dtype=torch.bool), 0)
    with pytest.raises(ValueError, match="the replay is empty"):
        replay.sample(1)
    expected = fill(replay, range(6))
    assert replay.added == len(replay) == len(expected)
    batch = replay.sample(8000)
    who, counts = batch["reward"].long().unique(return_counts=True)
    assert set(who.tolist()) == expected
    assert (counts - 8000 / len(expected)).abs().max() < 5 * (8000 / len(expected)) ** 0.5
    names = batch["reward"].long()
    assert torch.equal(batch["agent"], names % 10)
    assert torch.equal(batch["obs"], names)
    assert torch.equal(batch["action"], names % 7)
    assert torch.equal(batch["terminated"], names % 2 == 0)
    everybody = (names - names % 10)[:, None] + torch.arange(3)
    assert torch.equal(batch["all_obs"], everybody)
    assert torch.equal(batch["all_action"], everybody % 7)
    assert torch.equal(batch["all_next_obs"], everybody + 1000)
    assert torch.equal(batch["acts_next"], everybody % 3 > 0)


def test_new_rows_replace_the_oldest_and_a_state_restores_all():
    # Fifteen transitions of three agents: five rows. Those without learners are not stored.
    replay = JointReplay(15, torch.ones(3, dtype=torch.bool), 0)
    fill(replay, range(8))
    kept = set(replay.sample(2000)["reward"].long().tolist())
    rows = sorted({name // 10 for name in kept})
    assert rows == [50, 60, 61, 70, 71]  # row 1 of time 5 has no learners
    assert len(replay) == len(kept) < replay.added
    other = JointReplay(15, torch.ones(3, dtype=torch.bool), 5)
    other.load_state_dict(replay.state_dict())
    assert (len(other), other.added) == (len(replay), replay.added)
    again = other.sample(40)
    for name, part in replay.sample(40).items():
        assert torch.equal(part, again[name]), name
    fill(replay, range(8, 9))
    fill(other, range(8, 9))
    assert torch.equal(replay.sample(40)["reward"], other.sample(40)["reward"])


def test_of_more_rows_than_fit_the_last_are_kept():
    replay = JointReplay(1, torch.ones(3, dtype=torch.bool), 0)
    fill(replay, [1, 2])
    # Row 0 of time 2 has two learners, row 1 three.
    assert set(replay.sample(50)["reward"].tolist()) == {210.0, 211.0, 212.0}
    assert (len(replay), replay.added) == (3, 8)


def test_agents_of_other_types_have_no_actions():
    replay = JointReplay(30, torch.tensor([True, False, True]), 0)
    fill(replay, range(1, 3))
    batch = replay.sample(20)
    assert (batch["all_action"][:, 1] == -1).all()
    assert not batch["acts_next"][:, 1].any()
    assert batch["acts_next"].any()


def test_of_several_types_x_and_a_are_those_of_one():
    view = mfq.wrap(Meadow())
    agent = make_agent(view, "maac", ACConfig(replay={"learning_starts": 10**6}))
    mfq.train(view, agent, 5)
    for k, part in enumerate(agent.parts):
        others = view.types != k
        batch = part.replay.sample(20)
        assert (batch["all_action"][:, others] == -1).all()
        assert not batch["acts_next"][:, others].any()
        assert (batch["all_action"][:, ~others] >= 0).all()


def test_at_gamma_0_nothing_of_the_next_state_is_stored():
    agent = agent_with([0.0, 0.0], Q2, gamma=0.0)
    before, after = steps_of([0, 1], reward=3.0)
    agent.observe(before, after.actions, after)
    names = {"agent", "action", "reward", "obs", "all_action", "all_obs"}
    assert set(agent.replay.sample(2)) == names


def test_samples_come_from_the_seed():
    view = mfq.wrap(MatrixGame(torch.zeros(1, 2, 2, 2)))
    seeds = [MAAC(view, seed=seed).replay.generator.initial_seed() for seed in (3, 4)]
    assert seeds == [4, 5]


def test_what_does_not_fit_is_named():
    view = mfq.wrap(MatrixGame(torch.zeros(1, 2, 2, 2)))
    with pytest.raises(ValueError, match="critic='v' with MAAC; allowed: 'q'"):
        MAAC(view, ACConfig(critic="v"))
    with pytest.raises(ValueError, match="mean_hidden=\\(\\) with MAAC"):
        MAAC(view, ACConfig(network={"mean_hidden": ()}))
    with pytest.raises(TypeError, match="allowed: an ACConfig"):
        MAAC(view, mfq.QConfig())
