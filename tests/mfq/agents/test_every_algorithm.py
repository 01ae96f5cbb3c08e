"""What holds for every algorithm of the registry: runs, exact resumption, players, self-play, types."""

import pytest
import torch

import mfq
from mfenvs import battle_v0, gaussian_squeeze_v0
from mfq.agents.registry import ALGORITHMS, BUILT_IN, make_agent
from mfq.cli import main
from mfq.matches.players import load_player
from mfq.training.config import PRESETS, preset, run_config
from mfq.training.export import export
from tests.fakes.meadow import Meadow

GAME = {"num_agents": 6, "max_cycles": 9}
BATTLE = {"map_size": 14, "max_cycles": 12, "minimap_mode": False}
STATELESS = ("fmq", "rec_fmq")  # for games in which agents always observe the same
ANY_GAME = [algo for algo in BUILT_IN if algo not in STATELESS]


def options_of(algo):
    """Small networks and batches, in the options that the algorithm has."""
    if algo in STATELESS:
        return {}
    options = {"network": {"hidden": [8]}}
    if algo in ("ippo", "mf_ppo"):
        return {**options, "rollout": {"steps": 7, "epochs": 2, "minibatches": 2}}
    return {**options, "replay": {"learning_starts": 20}, "optimizer": {"batch_size": 16}}


NETWORKS = {"replay": {"learning_starts": 20}, "optimizer": {"batch_size": 16}}
CASES = {algo: (algo, options_of(algo)) for algo in BUILT_IN} | {
    f"{algo}, network": (algo, {"values": "network", **NETWORKS}) for algo in STATELESS
}
EVERY = pytest.mark.parametrize(("algo", "agent"), list(CASES.values()), ids=list(CASES))


def config(algo, agent, **more):
    """Two rows of the squeeze; an episode is nine steps, a rollout of PPO seven."""
    return {
        "env_options": GAME,
        "num_envs": 2,
        "agent": agent,
        "quiet": True,
        "steps": 40,
        "log": {"every": 1},
        "evaluation": {"every": 17},
        "checkpoints": {"every": 0},
        **more,
    }


def flat(state):
    """The tensors and numbers of a state, as tensors by their places in it."""
    if isinstance(state, dict | list | tuple):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        return {f"{name}.{key}": part for name, value in items for key, part in flat(value).items()}
    return {"": state if isinstance(state, torch.Tensor) else torch.tensor(float(state or 0))}


@EVERY
def test_a_resumed_run_goes_on_exactly(algo, agent, tmp_path):
    squeeze = "gaussian_squeeze_v0"
    whole = mfq.Runner(squeeze, algo, config(algo, agent, out=str(tmp_path / "whole")))
    whole.train()
    part = config(algo, agent, steps=23, out=str(tmp_path / "part"))
    mfq.Runner(squeeze, algo, part).train()
    resumed = mfq.Runner.load(tmp_path / "part", steps=40)
    assert resumed.done == 23
    resumed.train()
    expected, actual = flat(whole.agent.state_dict()), flat(resumed.agent.state_dict())
    assert expected.keys() == actual.keys()
    assert len(expected) >= 5
    for name, values in expected.items():
        assert torch.equal(values, actual[name]), name
    before = flat(mfq.Runner(squeeze, algo, config(algo, agent)).agent.state_dict())
    assert any(
        not torch.equal(values, before[name]) for name, values in expected.items() if name in before
    )


@EVERY
def test_a_run_plays_as_it_was_trained(algo, agent, tmp_path):
    runner = mfq.Runner("gaussian_squeeze_v0", algo, config(algo, agent, out=str(tmp_path)))
    runner.train()
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=3, **GAME))
    frozen, player = runner.agent.player(), load_player(tmp_path / "last.safetensors", view)
    step = view.reset(seed=0)
    for explore in (True, False):
        for each in (frozen, player, runner.agent):
            each.reseed(5)
        actions = [each.act(step, explore) for each in (frozen, player, runner.agent)]
        assert torch.equal(actions[0], actions[1])
        assert torch.equal(actions[0], actions[2])
    assert player.last_values.values.shape == (18, 10)
    small = export(tmp_path / "last.safetensors", tmp_path / "small.safetensors")
    assert load_player(small, view).act(step).shape == (3, 6)


@pytest.mark.parametrize("algo", [*ANY_GAME, "fmq", "rec_fmq"])
def test_another_default_device_of_torch_changes_nothing(algo):
    def scores():
        runner = mfq.Runner("gaussian_squeeze_v0", algo, config(algo, options_of(algo), steps=12))
        runner.train()
        return runner.evaluate(episodes=1, seed=3)

    expected = scores()
    torch.set_default_device("meta")  # no tensor that is made without a device has data
    try:
        assert scores() == expected
    finally:
        torch.set_default_device(None)


@pytest.mark.parametrize("algo", ANY_GAME)
def test_it_learns_in_battle_beside_its_past_selves(algo, tmp_path):
    """With deaths, opponents, truncation, and observations of several parts."""
    runner = mfq.Runner(
        "battle_v0",
        algo,
        {
            "env_options": BATTLE,
            "num_envs": 4,
            "steps": 30,
            "opponents": {"lagged": 1.0, "random": 1.0},
            "agent": options_of(algo),
            "quiet": True,
            "out": str(tmp_path),
        },
    )
    start = {name: part.clone() for name, part in runner.agent.module.state_dict().items()}
    runner.train()
    assert runner.agent.updates >= 3
    moved = [not torch.equal(p, start[n]) for n, p in runner.agent.module.state_dict().items()]
    assert all(moved)
    assert all(bool(p.isfinite().all()) for p in runner.agent.module.parameters())
    view = mfq.wrap(battle_v0.batched_env(**BATTLE))
    scores = mfq.evaluate(view, {"red": load_player(tmp_path, view), "blue": "random"}, episodes=1)
    assert scores


@pytest.mark.parametrize("algo", ANY_GAME)
def test_agents_of_several_types_have_a_learner_each(algo):
    view = mfq.wrap(Meadow())
    config_type = ALGORITHMS[algo].config
    agent = make_agent(view, algo, mfq.common.config.build(config_type, options_of(algo)))
    mfq.train(view, agent, 40)
    assert len(agent.parts) == len(view.type_names)
    assert all(part.updates for part in agent.parts)


def test_the_command_lists_and_trains_them(capsys, tmp_path):
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert f"algorithms  {', '.join(BUILT_IN)}\n" in listed
    words = ["train", "--env", "gaussian_squeeze_v0", "--set", "num_agents=4", "--steps", "3"]
    words += ["--quiet", "--algo", "rec_fmq", "--agent.frequency-rate", "0.3"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    assert mfq.Runner.load(tmp_path / "run").config.agent.frequency_rate == 0.3


@pytest.mark.parametrize("algo", BUILT_IN)
def test_every_preset_has_options_for_it(algo):
    for name in PRESETS:
        assert isinstance(preset(name, algo).agent, ALGORITHMS[algo].config)
    assert getattr(preset("squeeze", algo).agent, "gamma", 0.0) == 0.0  # a stage game


@pytest.mark.parametrize("algo", ["ippo", "mf_ppo"])
def test_the_small_battles_options_of_ppo_run(algo):
    changes = {
        "steps": 11,
        "num_envs": 6,
        "env_options": {"map_size": 14, "max_cycles": 5},
        "evaluation": {"every": 0, "against": ()},
        "agent": {"rollout": {"steps": 5}},
        "quiet": True,
    }
    runner = mfq.Runner(config=run_config(changes, preset("small", algo)))
    runner.train()
    assert runner.agent.updates == 2 * 4 * 4
    assert runner.agent.config.gamma == 0.8
    assert preset("small-random", algo).agent == preset("small", algo).agent


@pytest.mark.parametrize(
    ("algo", "agent", "message"),
    [
        ("maac", {"critic": "v"}, "agent.critic='v', which algo='maac' ignores"),
        ("maac", {"pairing": "previous"}, "agent.pairing='previous', which algo='maac' ignores"),
        ("maac", {"replay": {"kind": "compact"}}, "which algo='maac' ignores"),
        ("ippo", {"pairing": "current"}, "which algo='ippo' ignores"),
        ("mf_ppo", {"optimizer": {"batch_size": 3}}, "which algo='mf_ppo' ignores"),
        ("fmq", {"frequency_rate": 0.1}, "FMQConfig has no field 'frequency_rate'"),
        ("fmq", {"gamma": 0.9}, "FMQConfig has no field 'gamma'"),
    ],
)
def test_options_that_have_no_effect_are_named(algo, agent, message):
    with pytest.raises(ValueError, match=message):
        mfq.RunConfig(algo=algo, agent=agent)
