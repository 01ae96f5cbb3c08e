"""Running statistics of observations and rewards, beside those of numpy."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

import mfq
from mfq.common import distributed
from mfq.common.config import build
from mfq.networks.encoders import Encoding, encoder
from mfq.networks.normalize import RewardScale, RunningNorm
from tests.fakes.scenes import LEARNER, Scene
from tests.fakes.tables import stored


def test_statistics_are_those_of_all_samples():
    norm, samples = RunningNorm(2), [[[1, 10], [3, 10]], [[5, 10], [7, 14], [9, 16]]]
    for batch in samples:
        norm(torch.tensor(batch, dtype=torch.float32))
    # By hand: 1, 3, 5, 7, 9 have mean 5 and variance (16 + 4 + 0 + 4 + 16) / 5 = 8;
    # 10, 10, 10, 14, 16 have mean 12 and variance (4 + 4 + 4 + 4 + 16) / 5 = 6.4.
    assert float(norm.count) == 5
    torch.testing.assert_close(norm.mean, torch.tensor([5.0, 12.0]).double())
    torch.testing.assert_close(norm.var, torch.tensor([8.0, 6.4]).double())
    with torch.no_grad():
        actual = norm(torch.tensor([[5.0, 12.0 + 6.4**0.5], [5.0 + 8**0.5, 1e9]]))
    torch.testing.assert_close(actual, torch.tensor([[0.0, 1.0], [1.0, 10.0]]))


def test_only_passes_with_gradients_change_them():
    norm = RunningNorm(1)
    with torch.no_grad():
        assert norm(torch.tensor([[3.0], [-40.0]])).tolist() == [[3.0], [-10.0]]
    norm.eval()(torch.ones(2, 1))
    assert float(norm.count) == 0
    norm.train()(torch.zeros(0, 1))
    assert (float(norm.count), float(norm.mean)) == (0, 0)
    norm(torch.ones(2, 1))
    assert float(norm.count) == 2


def test_large_numbers_with_small_differences_keep_them():
    norm = RunningNorm(2)
    x = torch.tensor([[1e6, 0.1], [1e6 + 1, 0.1]])
    for _ in range(100):
        norm.update(x)
    with torch.no_grad():
        torch.testing.assert_close(norm(x), torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))


def test_several_processes_are_refused(monkeypatch):
    monkeypatch.setattr(distributed, "world", lambda: 2)
    with pytest.raises(ValueError, match="normalize=True in 2 processes; allowed: False"):
        RunningNorm(3)
    with pytest.raises(ValueError, match="reward_scale='auto' in 2 processes; allowed: 'none'"):
        RewardScale(torch.device("cpu"))


def norms(space):
    made = encoder(space, torch.Generator().manual_seed(0), Encoding(normalize=True))
    norms = {n: m for n, m in made.named_modules() if isinstance(m, RunningNorm)}
    return made, {name: len(norm.mean) for name, norm in norms.items()}


def test_numbers_of_a_box_are_normalized_and_nothing_else():
    box, bytes = spaces.Box(-9, 9, (6,)), spaces.Box(0, 255, (40, 40, 3), np.uint8)
    assert norms(box)[1] == {"norm": 6}
    assert norms(spaces.Box(0, 9, (2, 3), np.int64))[1] == {"norm": 6}
    assert norms(spaces.Box(0, 1, (9, 9, 5)))[1] == {"norm": 5}
    assert norms(spaces.Box(0, 1, (4, 40, 40)))[1] == {"norm": 4}
    for space in (bytes, spaces.Discrete(3), spaces.MultiBinary(3), spaces.MultiDiscrete([2, 3])):
        assert norms(space)[1] == {}
    both = spaces.Dict({"eye": bytes, "body": box, "kind": spaces.Discrete(2)})
    assert norms(both)[1] == {"parts.body.norm": 6}


@pytest.mark.parametrize("shape", [(9, 9, 3), (3, 9, 9), (40, 40, 3), (3, 40, 40)])
def test_a_picture_is_normalized_by_channel(shape):
    made, _ = norms(spaces.Box(0, 1, shape))
    axis = 0 if shape[0] == 3 else -1
    means = torch.tensor([100.0, -7.0, 0.0])
    obs = torch.randn(8, *shape, generator=torch.Generator().manual_seed(1)).movedim(
        1 + axis % 3, -1
    )
    obs = (obs * torch.tensor([5.0, 1.0, 0.1]) + means).movedim(-1, 1 + axis % 3)
    made(obs)
    torch.testing.assert_close(made.norm.mean.float(), means, atol=1.0, rtol=0.0)
    stds = made.norm.var.sqrt().float()
    torch.testing.assert_close(stds, torch.tensor([5.0, 1.0, 0.1]), rtol=0.2, atol=0.0)


def test_rewards_are_divided_by_their_root_mean_square():
    scale = RewardScale(torch.device("cpu"))
    scale.update(torch.zeros(0))
    scale.update(torch.zeros(2))
    assert float(scale.scale) == 1.0
    scale.update(torch.tensor([0.003, 0.0]))
    scale.update(torch.tensor([0.004]))
    # By hand: squares 9e-6 and 16e-6 over 5 rewards, sqrt(5e-6).
    assert float(scale.scale) == pytest.approx(5e-6**0.5)
    other = RewardScale(torch.device("cpu"))
    other.load_state_dict(scale.state_dict())
    for each in (scale, other):
        each.update(torch.tensor([1.0]))
        assert float(each.scale) == pytest.approx((1.000025 / 6) ** 0.5)


# -- in agents -------------------------------------------------------------------------------------

CUES = (0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1)


def cue(agent, time):
    return CUES[(time + int(agent[-1])) % len(CUES)]


class Lights(Scene):
    """Each of three agents earns 1e-3 for the action that its light shows; lights are 1e4 bright."""

    def __init__(self):
        cast = {f"a_{i}": (spaces.Box(0, 2e4, (2,)), spaces.Discrete(2)) for i in range(3)}
        super().__init__(
            cast,
            [list(cast)] * 11,
            lambda agent, time: np.array([1e4, 1e4 + 100 * cue(agent, time)], np.float32),
            earn=lambda agent, action, time: 1e-3 * (action == cue(agent, time - 1)),
        )


BOTH = {"network": {"normalize": True}, "reward_scale": "auto"}
SHORT = {"exploration": {"steps": 80}, "replay": {"learning_starts": 60}}


def lights_agent(seed=0, **options):
    view = mfq.wrap(Lights())
    return view, mfq.QAgent(view, True, build(mfq.QConfig, {**SHORT, **options}, LEARNER), seed)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_large_observations_and_small_rewards_are_learned_with_both(seed):
    scores = {}
    for name, options in (
        ("both", BOTH),
        ("observations", {"network": BOTH["network"]}),
        ("rewards", {"reward_scale": "auto"}),
    ):
        view, agent = lights_agent(seed, **options)
        mfq.train(view, agent, 120, view.reset(seed=seed))
        scores[name] = 1e3 * mfq.evaluate(view, agent, 5, seed=seed)["return"]
    assert scores["both"] > 10.5  # of 11; random play has 5.5
    assert scores["observations"] < 8
    assert scores["rewards"] < 8


def test_the_target_and_players_have_the_statistics_and_do_not_change_them():
    view, agent = lights_agent(**BOTH, gamma=0.5)
    mfq.train(view, agent, 60)
    norm = agent.module.observe.norm
    assert float(norm.count) == 32 * agent.updates > 0
    player, before = agent.player(), norm.mean.clone()
    assert torch.equal(agent.target.observe.norm.mean, before)
    mfq.evaluate(view, {"a": player}, 3)
    mfq.evaluate(view, agent, 3)
    assert torch.equal(player.module.observe.norm.mean, before)
    assert torch.equal(norm.mean, before)
    assert before[0] == pytest.approx(1e4)


@pytest.mark.parametrize("algo", ["mfq", "mfac", "authors"])
def test_a_run_with_both_goes_on_exactly(algo, tmp_path):
    def run(steps, out=None):
        agent = {**BOTH, "gamma": 0.9}
        if algo == "authors":
            agent |= {"critic": "v", "rollout": {"steps": 7}}
        else:
            agent |= {"replay": {"learning_starts": 20}, "optimizer": {"batch_size": 8}}
        options = {"steps": steps, "quiet": True, "agent": agent, "evaluation": {"every": 0}}
        runner = mfq.Runner(Lights, "mfq" if algo == "mfq" else "mfac", {**options, "out": out})
        runner.train()
        return runner

    first = run(33, str(tmp_path))
    again = mfq.Runner.load(tmp_path, Lights)
    one, other = (runner.agent.state_dict() for runner in (first, again))
    assert float(one["reward_scale"]["square"]) > 0
    assert one["reward_scale"] == other["reward_scale"]
    module = first.agent.module
    counts = [b for name, b in module.named_buffers() if name.endswith("norm.count")]
    assert [float(count) > 0 for count in counts] == [True]
    pairs = zip(module.state_dict().values(), again.agent.module.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    player = mfq.load_player(tmp_path, first.view)
    step = first.view.reset(seed=0)
    acted = (each.act(step, explore=False) for each in (player, first.agent.player()))
    if algo != "mfq":  # greedy
        assert torch.equal(*acted)


def test_the_target_of_a_q_learner_has_scaled_rewards_and_the_replay_has_not():
    view, agent = lights_agent(reward_scale="auto")  # gamma is 0
    mfq.train(view, agent, 30)
    rewards = stored(agent)["reward"]
    assert sorted(set(rewards.tolist())) == pytest.approx([0.0, 1e-3])
    scale = float(rewards.square().mean().sqrt())
    batch = agent.replay.sample(16)
    torch.testing.assert_close(agent.td_target(batch), batch["reward"] / scale)


@pytest.mark.parametrize("critic", ["q", "v"])
def test_an_actor_critic_values_rewards_in_the_same_scale(critic):
    """With rewards 1024 times as large, a learner with a reward scale makes the same steps."""
    weights = []
    for prize in (1.0, 1024.0):
        env = Lights()
        env.earn = lambda agent, action, time, prize=prize: prize * (action == 1)
        config = mfq.ACConfig(
            critic=critic,
            reward_scale="auto",
            rollout={"steps": 5},
            replay={"learning_starts": 10},
            optimizer={"batch_size": 8},
            network={"normalize": True},
        )
        agent = mfq.ActorCritic(view := mfq.wrap(env), True, config)
        mfq.train(view, agent, 30, view.reset(seed=0))
        assert agent.updates > 3
        weights.append(torch.cat([part.flatten() for part in agent.online.parameters()]))
    torch.testing.assert_close(*weights)


def test_by_default_there_are_no_statistics():
    _, agent = lights_agent()
    assert agent.reward_scale is None
    assert not list(agent.module.buffers())
    assert "reward_scale" not in agent.state_dict()
    for config in (mfq.QConfig, mfq.ACConfig):
        with pytest.raises(ValueError, match="reward_scale='std'; allowed: 'none', 'auto'"):
            config(reward_scale="std")
