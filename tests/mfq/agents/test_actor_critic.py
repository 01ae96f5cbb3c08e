"""The actor-critic's play, inputs and whole games; exact resumption."""

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
from mfq.agents.ac_config import AUTHORS, ACConfig, ACOptimizerConfig
from mfq.agents.actor_critic import ActorCritic
from mfq.networks.encoders import Encoding
from mfq.networks.networks import Actor, Critic, Trunk
from mfq.training.runner import Runner
from tests.fakes.tables import FIELDS, LOGITS, Q, Table, a_step, agent_with, softmax
from tests.reference.matrix_game import MatrixGame

SMALL_RUN = {"algo": "ac", "env_options": {"side": 4, "max_cycles": 10}, "quiet": True}

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
    mine = step.for_player(torch.tensor([[True, True, False, True]]))
    actions = agent.act(mine)
    assert actions.dtype == torch.int64
    assert (actions[0] >= 0).tolist() == [True, False, False, True]
    nobody = step.for_player(torch.zeros(1, 4, dtype=torch.bool))
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
    agent = agent_with(
        values=Q if critic == "q" else [0.0], critic=critic, agents=3, rollout={"steps": 1}
    )
    seen = []
    for network in agent.online.values():
        network.register_forward_pre_hook(lambda module, given: seen.append(given[-1].unique()))
    before = a_step([0, 0, 0]).for_player(torch.tensor([[False, False, True]]))
    agent.observe(before, torch.tensor([[-1, -1, 1]]), a_step([0, 0, 1]))
    agent.learn()
    assert agent.updates == 1
    assert len(seen) == (2 if critic == "q" else 3)  # of the cut state's value, too
    assert all(who.tolist() == [2] for who in seen)


def test_a_player_is_a_frozen_copy():
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=30))
    agent = ActorCritic(
        view,
        config=ACConfig(replay={"learning_starts": 30}, optimizer={"batch_size": 16}, entropy=1.0),
    )
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
    # Its draws are those of its seed; a state of it goes to another.
    others = [agent.player() for _ in range(2)]
    for other in others:
        other.reseed(3)
    assert torch.equal(others[0].act(step), others[1].act(step))
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
        config = ACConfig(
            critic=critic,
            replay={"learning_starts": 20},
            optimizer={"batch_size": 32},
            rollout={"steps": 10},
        )
        agent = ActorCritic(view, mean_field, config)
        mine = torch.tensor([[True, True, False, False, False]])
        step = view.reset(seed=0).for_player(mine)
        for _ in range(40):
            own = torch.randint(0, 10, (1, 2), generator=coin)
            actions = torch.cat([own, torch.tensor([others])], 1)
            after = view.step(actions)
            agent.observe(step, actions, replace(after, reward=own.sum().float().expand(1, 5)))
            agent.learn()
            step = after.for_player(mine)
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
    apart = ActorCritic(view, True, ACConfig(network={"pictures": "conv", "agent_embedding": 0}))
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
    encoding = Encoding(pictures)
    actor = Actor(Trunk(space, 10, (16, 8), 3, encoding, coin), 4, coin)
    agent, mean = torch.arange(6), torch.rand(6, 4, generator=coin)
    logits = actor(obs, agent)
    assert logits.shape == (6, 4)
    assert (actor(obs, agent.flip(0)) != logits).any()
    for outputs in (1, 4):
        trunk = Trunk(space, 10, (16,), 0, encoding, coin)
        critic = Critic(trunk, outputs, FIELDS[True], (12,), coin)
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


@pytest.mark.parametrize(
    "config", [ACConfig(replay={"learning_starts": 10}, optimizer={"batch_size": 16}), AUTHORS]
)
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


@pytest.mark.slow
@pytest.mark.parametrize("critic", ["q", "v"])
def test_an_interrupted_run_goes_on_exactly(tmp_path, critic):
    config = {
        "algo": "mfac",
        "steps": 200,
        "log": {"every": 1},
        "evaluation": {"every": 90},
        "checkpoints": {"every": 0},
        "quiet": True,
        "env": "gaussian_squeeze_v0",
        "env_options": {"num_agents": 12, "max_cycles": 30},
        "agent": {
            "critic": critic,
            "replay": {"learning_starts": 100},
            "optimizer": {"batch_size": 32},
            "network": {"hidden": [16]},
        },
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
    Runner(config={**SMALL_RUN, "steps": 5, "out": str(tmp_path)}).train()
    changed = Runner.load(tmp_path, agent={"optimizer": {"actor_learning_rate": 0.5}})
    assert changed.agent.mean_field.width == 0
    assert [group["lr"] for group in changed.agent.optimizer.param_groups] == [0.5, 1e-3]


@pytest.mark.parametrize("critic", ["q", "v"])
def test_both_rates_fall_with_the_steps_acted_and_stay_so_when_resumed(critic, tmp_path):
    rates = {"actor_learning_rate": 0.1, "critic_learning_rate": 0.2}
    falling = {**rates, "learning_rate_steps": 10, "learning_rate_left": 0.5}
    optimizer = ACOptimizerConfig(**falling)
    assert optimizer.rates(0) == (0.1, 0.2)
    assert optimizer.rates(5) == pytest.approx((0.075, 0.15))
    assert optimizer.rates(10) == optimizer.rates(99) == pytest.approx((0.05, 0.1))
    assert ACOptimizerConfig(**rates).rates(99) == (0.1, 0.2)

    config = {"critic": critic, "optimizer": falling}
    Runner(config={**SMALL_RUN, "steps": 8, "out": str(tmp_path), "agent": config}).train()
    agent = Runner.load(tmp_path).agent
    assert agent.time == 8
    rates = [group["lr"] for group in agent.optimizer.param_groups]
    assert rates == pytest.approx([0.06, 0.12])
    agent.time = 5
    agent.learn()
    assert [group["lr"] for group in agent.optimizer.param_groups] == pytest.approx([0.075, 0.15])


@pytest.mark.parametrize(
    ("options", "error", "argument"),
    [
        ({"critic": "a"}, ValueError, "critic"),
        ({"pairing": "next"}, ValueError, "pairing"),
        ({"play": "argmax"}, ValueError, "play"),
        ({"network": {"pictures": "vit"}}, ValueError, "pictures"),
        ({"gamma": 1.1}, ValueError, "gamma"),
        ({"polyak": float("nan")}, ValueError, "polyak"),
        ({"entropy": -0.1}, ValueError, "entropy"),
        ({"entropy": "much"}, TypeError, "entropy"),
        ({"rollout": {"value_weight": float("inf")}}, ValueError, "value_weight"),
        ({"temperature": 0.0}, ValueError, "temperature"),
        ({"optimizer": {"actor_learning_rate": 0}}, ValueError, "actor_learning_rate"),
        ({"optimizer": {"critic_learning_rate": float("inf")}}, ValueError, "critic_learning_rate"),
        ({"optimizer": {"batch_size": 2.5}}, TypeError, "batch_size"),
        ({"rollout": {"steps": 0}}, ValueError, "steps=0"),
        ({"rollout": {"updates": -1}}, ValueError, "updates=-1"),
        ({"network": {"hidden": 64}}, TypeError, "hidden=64; allowed: widths"),
        ({"network": {"hidden": ()}}, ValueError, "hidden"),
        ({"network": {"hidden": (64, 0)}}, ValueError, "hidden"),
        ({"network": {"mean_hidden": (2.0,)}}, TypeError, "mean_hidden"),
        ({"network": {"shared_trunk": 1}}, TypeError, "shared_trunk"),
        ({"optimizer": {"learning_rate_steps": -1}}, ValueError, "learning_rate_steps"),
        ({"optimizer": {"learning_rate_left": 1.5}}, ValueError, "learning_rate_left"),
        ({"replay": {"samples_per_insert": -1.0}}, ValueError, "samples_per_insert"),
    ],
)
def test_bad_options_are_named(options, error, argument):
    with pytest.raises(error, match=argument):
        ACConfig(**options)
