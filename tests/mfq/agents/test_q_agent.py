"""The neural learner's arithmetic, by hand: targets, masks, means, exploration, target networks."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

import mfq
from mfenvs import gaussian_squeeze_v0, ising_v0
from mfenvs.graph import CompleteGraph
from mfq.agents.q_agent import QAgent
from mfq.agents.q_config import QConfig
from mfq.common.config import build
from mfq.envs.step import Step
from mfq.networks.encoders import Encoding, encoder
from mfq.networks.networks import QNetwork
from mfq.replay.ring import RingReplay
from tests.fakes.tables import FIELDS, stored
from tests.reference.matrix_game import MatrixGame, common

DEFAULT = QConfig(gamma=0.5, exploration={"start": 0.7, "end": 0.7}, replay={"learning_starts": 1})


class Fixed(nn.Module):
    """Q = a table of a number per action, plus the mean action times a weight."""

    def __init__(self, q, weight=1.0):
        super().__init__()
        self.q = nn.Parameter(torch.tensor(q))
        self.weight = weight

    def forward(self, obs, mean, agent):
        tilt = self.weight * mean if mean.shape[-1] else 0.0
        return self.q.expand(len(agent), -1) + tilt


def agent_with(q, **config):
    """An agent on a two-player game of three actions whose networks are `Fixed`."""
    view = mfq.wrap(MatrixGame(torch.zeros(1, 3, 3, 2)))
    return QAgent(
        view, config=build(QConfig, config, DEFAULT), network=lambda view, generator: Fixed(q)
    )


def a_batch(**changes):
    """Two transitions: one survives, one dies."""
    batch = {
        "agent": torch.tensor([0, 1]),
        "action": torch.tensor([2, 0]),
        "reward": torch.tensor([1.0, -3.0]),
        "obs": torch.zeros(2, 1),
        "mean": torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        "next_obs": torch.zeros(2, 1),
        "next_mean": torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.5, 0.0]]),
        "terminated": torch.tensor([False, True]),
    }
    return {**batch, **changes}


Q = [1.0, 2.0, 4.0]
# The target network's values of s': Q plus the mean action expected there.
NEXT = np.array([1.0, 3.0, 4.0])


def test_the_target_is_v_mf_at_the_acting_temperature_and_stops_at_death():
    target = agent_with(Q).td_target(a_batch())
    policy = np.exp(NEXT / 0.7) / np.exp(NEXT / 0.7).sum()
    assert target.tolist() == pytest.approx([1 + 0.5 * (policy * NEXT).sum(), -3.0])


def test_v_mf_may_have_a_temperature_of_its_own():
    options = {"exploration": {"policy": "epsilon_greedy", "start": 0.3, "end": 0.3}}
    target = agent_with(Q, **options, target_temperature=0.2).td_target(a_batch())
    policy = np.exp(NEXT / 0.2) / np.exp(NEXT / 0.2).sum()
    assert target.tolist() == pytest.approx([1 + 0.5 * (policy * NEXT).sum(), -3.0])
    # Without one, pi is what the agents act by.
    target = agent_with(Q, **options).td_target(a_batch())
    assert float(target[0]) == pytest.approx(1 + 0.5 * (0.7 * 4 + 0.3 * NEXT.mean()))
    with pytest.raises(ValueError, match="target_temperature=-1"):
        QConfig(target_temperature=-1)


def test_without_a_neighbour_the_mean_is_zero_and_adds_nothing():
    batch = a_batch(next_mean=torch.zeros(2, 3))
    policy = np.exp(np.array(Q) / 0.7) / np.exp(np.array(Q) / 0.7).sum()
    assert float(agent_with(Q).td_target(batch)[0]) == pytest.approx(1 + 0.5 * policy @ Q)


def test_maximum_and_double_q_targets():
    assert agent_with(Q, value="max").td_target(a_batch())[0] == 1 + 0.5 * 4
    double = agent_with(Q, value="double")
    # The online network prefers action 0; the target network values it at 1.
    double.module.q.data = torch.tensor([9.0, 0.0, 0.0])
    assert double.td_target(a_batch())[0] == 1 + 0.5 * 1


def test_masked_actions_count_in_no_target():
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]], dtype=torch.int8)
    assert agent_with(Q, value="max").td_target(a_batch(next_mask=mask))[0] == 1 + 0.5 * 3
    allowed = NEXT[:2]
    policy = np.exp(allowed / 0.7) / np.exp(allowed / 0.7).sum()
    target = agent_with(Q).td_target(a_batch(next_mask=mask))
    assert float(target[0]) == pytest.approx(1 + 0.5 * policy @ allowed)


def test_a_gradient_step_is_adam_on_the_mean_squared_error():
    agent = agent_with(
        Q, gamma=0.0, optimizer={"clip_gradient": 0.0, "batch_size": 1, "learning_rate": 0.1}
    )
    transition = {name: part[:1] for name, part in a_batch().items()}
    agent.replay.extend(transition)
    metrics = agent.learn()
    # Q(2) = 4 + mean[2] = 4 against a reward of 1.
    assert metrics["loss"] == pytest.approx(9.0)
    assert metrics["q"] == pytest.approx(4.0)
    # Adam's first step is the learning rate, against the gradient's sign, for the chosen action only.
    assert agent.module.q.tolist() == pytest.approx([1.0, 2.0, 3.9])


def test_the_learning_rate_falls_with_the_steps_acted():
    agent = agent_with(
        Q,
        gamma=0.0,
        optimizer={
            "batch_size": 1,
            "learning_rate": 0.1,
            "learning_rate_steps": 10,
            "learning_rate_end": 0.02,
        },
    )
    agent.replay.extend({name: part[:1] for name, part in a_batch().items()})
    agent.time = 5
    agent.learn()
    assert agent.module.q.tolist() == pytest.approx([1.0, 2.0, 4.0 - 0.06])
    for clock, rate in ((0, 0.1), (10, 0.02), (99, 0.02)):
        assert agent.config.optimizer.rate(clock) == pytest.approx(rate)
    assert QConfig(optimizer={"learning_rate": 0.3}).optimizer.rate(99) == 0.3


def test_the_gradient_is_clipped_to_its_norm():
    agent = agent_with(Q, gamma=0.0, optimizer={"clip_gradient": 0.5, "batch_size": 1})
    agent.replay.extend({name: part[:1] for name, part in a_batch().items()})
    agent.learn()
    assert float(agent.module.q.grad.norm()) == pytest.approx(0.5)


def test_polyak_and_hard_targets():
    def moved(**options):
        """An agent whose weights have moved, and which learns without moving them further."""
        agent = agent_with(Q, optimizer={"learning_rate": 1e-30}, **options)
        agent.module.q.data = torch.tensor([5.0, 2.0, 0.0])
        agent.replay.extend(a_batch())
        return agent

    soft = moved(polyak=0.25)
    soft.learn()
    assert soft.target.q.tolist() == pytest.approx([2.0, 2.0, 3.0])
    hard = moved(hard_update=3)
    for updates, expected in ((1, Q), (2, Q), (3, [5.0, 2.0, 0.0])):
        hard.learn()
        assert hard.updates == updates
        assert hard.target.q.tolist() == pytest.approx(expected)


def a_step(actions, acting=None, reset=False, mask=None, reward=0.0):
    actions = torch.tensor([actions])
    yes = torch.ones_like(actions, dtype=torch.bool)
    graph = CompleteGraph(actions.shape[1])
    return Step(
        obs=torch.zeros(*actions.shape, dtype=torch.int64),
        reward=torch.full(actions.shape, reward),
        terminated=~yes,
        truncated=torch.zeros(1, dtype=torch.bool),
        alive=yes,
        acting=yes if acting is None else torch.tensor([acting]),
        actions=actions,
        action_mask=mask,
        reset=torch.tensor([reset]),
        graph=graph,
        graph_before=graph,
        num_actions=3,
    )


@pytest.mark.parametrize(("pairing", "heard"), [("current", [2, 1]), ("previous", [0, 0])])
def test_the_stored_mean_action_follows_the_pairing(pairing, heard):
    agent = agent_with(Q, pairing=pairing)
    before, actions, after = a_step([0, 0]), torch.tensor([[1, 2]]), a_step([1, 2], reward=5.0)
    agent.observe(before, actions, after)
    kept = stored(agent)
    assert kept["mean"].argmax(-1).tolist() == heard
    assert kept["mean"].sum(-1).tolist() == [1.0, 1.0]
    # Both expect at s' what acting there would: the mean of the actions just played.
    assert kept["next_mean"].argmax(-1).tolist() == [2, 1]
    assert kept["action"].tolist() == [1, 2]
    assert kept["reward"].tolist() == [5.0, 5.0]
    assert kept["agent"].tolist() == [0, 1]


def test_only_those_whose_choice_counted_are_stored_and_no_reset():
    agent = agent_with(Q)
    agent.observe(a_step([0, 0]), torch.tensor([[1, 2]]), a_step([1, 0], acting=[True, False]))
    assert agent.replay.added == 1
    agent.observe(a_step([0, 0]), torch.tensor([[1, 2]]), a_step([0, 0], reset=True))
    assert agent.replay.added == 1


def test_acting_hears_the_previous_mean_action():
    agent = agent_with([0.0, 0.0, 0.0])
    # Q is the mean action itself: each does greedily what the other did.
    assert agent.act(a_step([2, 1]), explore=False).tolist() == [[1, 2]]
    assert agent.time == 0


def test_iterations_respond_to_the_response():
    # With one round, each first answers the other's last action, then that answer.
    agent = agent_with([0.0, 0.0, 0.0], iterations=1, exploration={"start": 1e-3, "end": 1e-3})
    assert agent.act(a_step([2, 1]), explore=False).tolist() == [[2, 1]]


def test_iterations_are_damped():
    # Both prefer action 0 by 1.5, and respond with it whatever they hear.
    cold = {"start": 1e-3, "end": 1e-3}
    agent = agent_with([1.5, 0.0, 0.0], iterations=1, damping=0.25, exploration=cold)
    assert agent.expected_mean(a_step([2, 1]))[0].tolist() == [[0.75, 0.25, 0.0], [0.75, 0.0, 0.25]]


def test_the_previous_pairing_fits_the_iterated_mean_action_that_was_acted_on():
    # Responses are random at this temperature: another iteration would give another mean action.
    hot = {"start": 1e6, "end": 1e6}
    agent = agent_with([0.0] * 3, iterations=1, pairing="previous", exploration=hot)
    heard, expected = [], agent.expected_mean
    agent.expected_mean = lambda step: heard.append(expected(step)) or heard[-1]
    for _ in range(20):
        heard.clear()
        step = a_step([0, 0])
        actions = agent.act(step)
        agent.observe(step, actions, a_step(actions[0].tolist()))
        assert torch.equal(stored(agent)["mean"][-2:], heard[0][0])


def test_inertia_repeats_the_last_action():
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=4, num_agents=500))
    agent = QAgent(view, config=QConfig(exploration={"stickiness": 0.75, "start": 50.0}))
    step = view.reset(seed=0)
    first = agent.act(step)
    step = view.step(first)
    changed = (agent.act(step) != step.actions).float().mean()
    # A quarter chooses anew, and nine in ten of those then do something else.
    assert float(changed) == pytest.approx(0.25 * 0.9, abs=0.03)
    stuck = QAgent(view, config=QConfig(exploration={"stickiness": 1.0}))
    assert torch.equal(stuck.act(step), step.actions)
    # Nothing was done before a first step, so that everybody chooses.
    assert first.unique().numel() == 10


def test_inertia_gives_way_to_a_mask():
    agent = agent_with([0.0, 1.0, 0.0], exploration={"stickiness": 1.0})
    mask = torch.tensor([[[0, 1, 1], [1, 1, 1]]], dtype=torch.int8)
    assert agent.act(a_step([0, 0], mask=mask), explore=False).tolist() == [[1, 0]]


def test_coherent_exploration_shares_a_mixture_within_a_row():
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=200, num_agents=400))
    config = QConfig(exploration={"coherent_start": 1.0, "coherent_steps": 10, "start": 50.0})
    agent = QAgent(view, config=config)
    step = view.reset(seed=0)

    def spread_of_row_means():
        return float(agent.act(step).double().mean(1).std())

    # Rows differ far more than 400 independent draws would let their means differ (.14).
    assert spread_of_row_means() > 0.5
    agent.time = 10
    assert spread_of_row_means() < 0.25


def test_coherent_exploration_overrides_inertia():
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=20, num_agents=400))
    config = QConfig(exploration={"coherent_start": 1.0, "coherent_steps": 100, "stickiness": 1.0})
    agent = QAgent(view, config=config)
    step = view.step(agent.act(view.reset(seed=0)))
    assert (agent.act(step) != step.actions).float().mean() > 0.5


def test_a_users_network_has_itself_for_a_target():
    view = mfq.wrap(MatrixGame(torch.zeros(1, 3, 3, 2)))
    torch.manual_seed(0)
    agent = QAgent(view, network=lambda view, generator: Fixed(torch.randn(3).tolist()))
    assert torch.equal(agent.module.q, agent.target.q)


def test_weights_come_from_the_seed_alone():
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=5))
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = QAgent(view, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    second, other = QAgent(view, seed=3), QAgent(view, seed=4)
    for name, weights in first.module.state_dict().items():
        assert torch.equal(weights, second.module.state_dict()[name])
        assert torch.equal(weights, first.target.state_dict()[name])
    assert not torch.equal(first.module.joint[0].weight, other.module.joint[0].weight)


SPACES = [
    spaces.Box(-1, 1, (5,)),
    spaces.Box(0, 1, (7, 9, 3)),
    spaces.Discrete(4, start=2),
    spaces.Dict({"view": spaces.Box(0, 1, (6, 6, 2)), "features": spaces.Box(0, 1, (3,))}),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("mean_field", [True, False])
def test_networks_fit_the_space(space, mean_field):
    space.seed(0)
    samples = [space.sample() for _ in range(6)]
    if isinstance(space, spaces.Dict):
        obs = {k: torch.tensor(np.stack([s[k] for s in samples])) for k in space.spaces}
    else:
        obs = torch.tensor(np.stack(samples))
    generator = torch.Generator().manual_seed(0)
    network = QNetwork(space, 10, 4, FIELDS[mean_field], (16, 8), 3, generator)
    mean, agent = torch.rand(6, 4), torch.arange(6)
    q = network(obs, mean, agent)
    assert q.shape == (6, 4)
    assert (network(obs, mean, agent.flip(0)) != q).any()
    assert (network(obs, mean.flip(0), agent) != q).any() == mean_field
    biases = [weights for name, weights in network.named_parameters() if name.endswith("bias")]
    assert biases
    assert not any(bias.any() for bias in biases)


def test_convolutions_are_those_asked_for():
    def layers(encoding, side):
        network = QNetwork(
            spaces.Box(0, 1, (side, 9, 3)),
            1,
            4,
            FIELDS[False],
            (8,),
            0,
            torch.Generator(),
            encoding=encoding,
        )
        assert network(torch.rand(2, side, 9, 3), None, torch.zeros(2)).shape == (2, 4)
        first, _, second, _, _, dense, _ = network.observe.layers
        return first.out_channels, second.stride, dense.in_features

    # 13 x 9 becomes 11 x 7, then 9 x 5, or 5 x 3 with a stride of 2.
    assert layers(Encoding(), 13) == (32, (1, 1), 32 * 9 * 5)
    assert layers(Encoding(filters=4, stride=2), 13) == (4, (2, 2), 4 * 5 * 3)
    assert layers(Encoding(filters=4, stride=3), 6) == (4, (3, 3), 4 * 1 * 2)


def test_glorot_bounds():
    generator = torch.Generator().manual_seed(0)
    network = QNetwork(spaces.Box(-1, 1, (20,)), 1, 4, FIELDS[False], (30,), 0, generator)
    weight = network.joint[0].weight
    assert weight.abs().max() <= (6 / 50) ** 0.5
    assert weight.abs().max() > 0.9 * (6 / 50) ** 0.5


@pytest.mark.parametrize("space", [spaces.Text(3), spaces.Tuple([])], ids=str)
def test_spaces_without_an_encoder_are_named(space):
    with pytest.raises(ValueError, match="no encoder"):
        encoder(space, torch.Generator())


def test_the_replay_forgets_the_oldest_and_draws_evenly():
    replay = RingReplay(5, torch.device("cpu"), seed=0)
    for start in (0, 3, 6):
        replay.extend({"x": torch.arange(start, start + 3)})
    assert len(replay) == 5
    counts = torch.bincount(replay.sample(5000)["x"], minlength=9)
    assert counts[:4].tolist() == [0, 0, 0, 0]
    assert counts[4:].min() > 900
    replay.extend({"x": torch.arange(100, 112)})
    assert sorted(replay.sample(500)["x"].unique().tolist()) == [107, 108, 109, 110, 111]
    with pytest.raises(ValueError, match="'y'"):
        replay.extend({"y": torch.arange(3)})
    with pytest.raises(ValueError, match="empty"):
        RingReplay(5, torch.device("cpu"), seed=0).sample(1)
    with pytest.raises(ValueError, match="capacity"):
        RingReplay(0, torch.device("cpu"), seed=0)


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"exploration": {"policy": "softmax"}}, "policy"),
        ({"value": "sarsa"}, "value"),
        ({"pairing": "next"}, "pairing"),
        ({"gamma": 1.1}, "gamma"),
        ({"exploration": {"stickiness": 1.1}}, "stickiness"),
        ({"optimizer": {"batch_size": 0}}, "batch_size"),
        ({"optimizer": {"learning_rate": 0.0}}, "learning_rate"),
        ({"optimizer": {"learning_rate_end": -1.0}}, "learning_rate_end"),
        ({"optimizer": {"learning_rate_steps": -1}}, "learning_rate_steps"),
        ({"network": {"stride": 0}}, "stride"),
        ({"network": {"hidden": (64, 0)}}, "hidden"),
        ({"exploration": {"end": 0.0}}, "temperature"),
        ({"exploration": {"start": float("inf")}}, "start=inf"),
        ({"exploration": {"policy": "epsilon_greedy", "start": 2.0}}, "epsilon"),
        ({"polyak": float("nan")}, "polyak"),
        ({"optimizer": {"learning_rate": float("inf")}}, "learning_rate"),
        ({"iterations": 1, "replay": {"kind": "compact"}}, "iterations"),
        ({"iterations": 1, "damping": 1.5}, "damping"),
        ({"damping": 0.5}, "damping=0.5 with iterations=0"),
    ],
)
def test_bad_options_are_named(options, argument):
    with pytest.raises(ValueError, match=argument):
        QConfig(**options)


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"optimizer": {"batch_size": 2.5}}, "batch_size"),
        ({"network": {"hidden": 64}}, "hidden"),
        ({"network": {"hidden": "64"}}, "hidden"),
        ({"exploration": {"start": "a"}}, "start"),
        ({"network": 64}, "network=64; allowed: a QNetworkConfig, or a dict"),
    ],
)
def test_options_of_another_type_are_named(options, argument):
    with pytest.raises(TypeError, match=argument):
        QConfig(**options)


def test_it_plays_games_with_masks_states_and_deaths():
    for env in (
        ising_v0.batched_env(num_envs=2, side=4, update="checkerboard", max_cycles=7),
        MatrixGame(common([[1, 0], [0, 2]]), max_cycles=5),
    ):
        view = mfq.wrap(env)
        agent = QAgent(
            view, config=QConfig(replay={"learning_starts": 10}, optimizer={"batch_size": 16})
        )
        mfq.train(view, agent, 30)
        assert agent.updates > 15
