"""Players that come with the package, and the layout of MAgent2's own battle."""

from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from magent2.environments import battle_v4

import mfq
from mfenvs import battle_v0
from mfq import pretrained
from mfq.cli import main
from mfq.common import checkpoint
from mfq.matches.players import load_player
from mfq.networks.encoders import InParts, picture_parts, split
from mfq.studies.battle import BattleStudy, compare
from mfq.training import export
from mfq.training.runner import Runner

TRAINED = Path(__file__).parents[3] / "baselines" / "trained"
# Twelve cells are as small as MAgent2's battle may be.
OPTIONS = {"map_size": 14, "max_cycles": 20, "minimap_mode": True, "extra_features": True}
CONFIG = {
    "steps": 12,
    "num_envs": 2,
    "evaluation": {"every": 0},
    "checkpoints": {"every": 0},
    "quiet": True,
    "env_options": OPTIONS,
    "agent": {
        "replay": {"learning_starts": 20},
        "optimizer": {"batch_size": 8},
        "network": {"hidden": [8], "agent_embedding": 0},
        "play": "greedy",
    },
}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A folder as the package's own, with a little trained "mfq" in it, and the runner."""
    folder = tmp_path_factory.mktemp("pretrained")
    runner = Runner("battle_v0", config={**CONFIG, "out": str(folder / "run")})
    runner.train()
    export.export(folder / "run", folder / "battle_v0-mfq.safetensors")
    return folder, runner


@pytest.fixture
def player(shipped, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", shipped[0])
    return mfq.load_pretrained("battle_v0", "mfq")


def test_it_plays_as_the_run_did_but_for_the_rounding_to_float16(shipped, player):
    agent = shipped[1].agent
    weights = zip(player.module.network.parameters(), agent.module.parameters(), strict=True)
    for found, trained in weights:
        assert found.dtype == torch.float32
        assert torch.equal(found, trained.half().float())
    assert (player.time, player.config) == (agent.time, agent.config)


def test_a_file_holds_what_play_needs_and_no_more(shipped):
    path = shipped[0] / "battle_v0-mfq.safetensors"
    state = checkpoint.load(path)
    assert set(state["agent"]) == {"module", "time", "episodes", "generator"}
    assert state["config"]["out"] is None
    assert state["parts"] == {"view": 7, "features": 34}
    numbers = sum(part.numel() for part in shipped[1].agent.module.parameters())
    assert path.stat().st_size < 2 * numbers + 20_000


def test_both_layouts_give_the_same_values(player):
    """An agent of ours in parts, of ours in one picture, and of MAgent2's in one picture."""
    batched = mfq.wrap(battle_v0.batched_env(**OPTIONS))
    ours = mfq.wrap(battle_v0.parallel_env(**OPTIONS))
    theirs = mfq.wrap(battle_v4.parallel_env(**OPTIONS))
    steps = [view.reset(seed=3) for view in (batched, ours, theirs)]
    coin = np.random.default_rng(0)
    for time in range(12):
        values = [player.values(s, player.expected_mean(s), s.active_index) for s in steps]
        assert len(values[0]) >= 4
        for found in values[1:]:
            assert torch.allclose(found, values[0], atol=1e-6)
        # In the first step MAgent2's blue does what red was ordered, and does not say so.
        each = 1 if time == 0 else batched.num_agents
        actions = torch.as_tensor(coin.integers(0, 21, (1, each))).expand(1, batched.num_agents)
        steps = [view.step(actions) for view in (batched, ours, theirs)]
    assert torch.equal(player.act(steps[0], False), player.act(steps[2], False))


def test_a_run_plays_on_magent2(shipped):
    view = mfq.wrap(battle_v4.parallel_env(**OPTIONS))
    player = load_player(shipped[0] / "run", view)
    scores = mfq.evaluate(view, {"red": player, "blue": "random"}, episodes=2)
    assert scores["red"]["episodes"] == 2
    with pytest.raises(ValueError, match=r"a picture has 5 channels; allowed: \{'view': 7"):
        load_player(shipped[0] / "run", mfq.wrap(battle_v4.parallel_env(map_size=14)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mfq", "iql", "mfq-large", "iql-large"])
def test_what_is_shipped_beats_random(name):
    player = mfq.load_pretrained("battle_v0", name)
    assert bool(player.mean_field.width) == name.startswith("mfq")
    scores = mfq.head_to_head(player.view, player, "random", episodes=4, seed=11)
    assert scores["both"]["win_rate"] == 1.0
    assert scores["both"]["kills_difference"] > 20


def test_what_is_shipped_plays_where_nobody_is_named(capsys):
    words = ["play", "battle", "--no-window", "--set", "max_cycles=5"]
    assert main(words) == 0
    unnamed = capsys.readouterr().out
    assert main([*words, "--red", "mfq", "--blue", "iql"]) == 0
    assert capsys.readouterr().out == unnamed
    study = BattleStudy(episodes=2, placement=("random",), env_options={"max_cycles": 5})
    assert {r.player for r in compare(study).results} == {"mfq", "iql", "rush", "random"}


def test_what_there_is_not_is_named(shipped, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", shipped[0])
    with pytest.raises(ValueError, match="algo='ac' for 'battle_v0'; allowed: mfq"):
        mfq.load_pretrained("battle_v0", "ac")
    with pytest.raises(ValueError, match="no pretrained players"):
        mfq.load_pretrained("ising_v0", "mfq")


@pytest.mark.parametrize("algo", ["mfac", "ac"])
def test_an_actor_critic_plays_as_its_run_does_in_either_layout(algo, tmp_path, monkeypatch):
    options = {
        "replay": {"learning_starts": 20},
        "optimizer": {"batch_size": 8},
        "network": {"hidden": [8]},
    }
    config = {**CONFIG, "agent": options, "out": str(tmp_path / "run")}
    runner = Runner("battle_v0", algo, config)
    runner.train()
    path = export.export(tmp_path / "run", tmp_path / f"battle_v0-{algo}.safetensors")
    numbers = sum(part.numel() for part in runner.agent.module.parameters())
    assert path.stat().st_size < 2 * numbers + 20_000  # the actor's, and no critic's
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    player = mfq.load_pretrained("battle_v0", algo)
    weights = zip(player.module.network.parameters(), runner.agent.module.parameters(), strict=True)
    for found, trained in weights:
        assert torch.equal(found, trained.half().float())

    ours = mfq.wrap(battle_v0.batched_env(**OPTIONS))
    theirs = mfq.wrap(battle_v4.parallel_env(**OPTIONS))
    on_theirs = mfq.load_pretrained("battle_v0", algo, theirs)
    steps = [view.reset(seed=3) for view in (ours, theirs)]
    for _ in range(8):
        logits = [player.module(s.obs_at(s.active_index), s.active_index) for s in steps]
        assert torch.allclose(logits[0], logits[1], atol=1e-6)
        actions = player.act(steps[0], False)
        assert torch.equal(actions, on_theirs.act(steps[1], False))
        steps = [view.step(torch.zeros_like(actions) + 6) for view in (ours, theirs)]


def test_an_algorithm_of_ones_own_is_not_exported(shipped, tmp_path):
    state = checkpoint.load(shipped[0] / "run" / "last.safetensors")
    source = checkpoint.save({**state, "own_algo": False}, tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match=r"an algorithm of its user's own"):
        export.export(source, tmp_path / "file.safetensors")
    assert not (tmp_path / "file.safetensors").exists()


def test_training_goes_on_from_what_is_kept_of_it(shipped, tmp_path):
    folder, before = shipped
    path = export.export_training(folder / "run", tmp_path)
    numbers = sum(part.numel() for part in before.agent.module.parameters())
    assert path.stat().st_size < 2 * 4 * numbers + 50_000
    with pytest.warns(UserWarning, match="holds no replay: it starts anew"):
        after = Runner.load(tmp_path, steps=before.done + 8, quiet=True)
    assert (after.done, after.episodes, after.starts_anew) == (before.done, before.episodes, True)
    assert (after.agent.time, after.agent.updates) == (before.agent.time, before.agent.updates)
    for name in ("module", "target"):
        pairs = zip(
            getattr(after.agent, name).parameters(),
            getattr(before.agent, name).parameters(),
            strict=True,
        )
        for found, trained in pairs:
            assert torch.equal(found, trained.half().float())
    pairs = zip(
        after.agent.optimizer.state.values(), before.agent.optimizer.state.values(), strict=True
    )
    for found, kept in pairs:
        assert found["step"] == kept["step"] > 0
        for moment in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(found[moment], kept[moment].bfloat16().float())
            assert found[moment].any()
    after.train()
    assert after.agent.updates > before.agent.updates


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["mfq", "iql"])
def test_the_training_of_what_is_shipped_can_go_on(algo):
    with pytest.warns(UserWarning, match="holds no replay"):
        runner = Runner.load(TRAINED / f"battle-{algo}", out=None)
    assert (runner.config.algo, runner.is_done, runner.starts_anew) == (algo, True, True)
    assert runner.episodes >= 2000
    moments = runner.agent.optimizer.state.values()
    assert len(moments) == len(list(runner.agent.module.parameters()))
    assert all(kept["step"] == runner.agent.updates > 50_000 for kept in moments)
    scores = mfq.head_to_head(runner.view, runner.agent, "random", episodes=4, seed=11)
    assert scores["both"]["win_rate"] == 1.0


def test_the_random_player_draws_what_is_allowed_uniformly():
    view = mfq.wrap(battle_v4.parallel_env(map_size=14))
    step = view.reset(seed=0)
    mask = torch.zeros((1, view.num_agents, 21), dtype=torch.int8)
    mask[..., [2, 5, 20]] = 1
    step = step.__class__(**{**vars(step), "action_mask": mask})
    drawn = torch.cat([mfq.Random(seed).act(step)[0] for seed in range(300)])
    counts = torch.bincount(drawn, minlength=21)
    assert set(counts.nonzero().flatten().tolist()) == {2, 5, 20}
    # Three standard deviations of a third.
    assert (counts[[2, 5, 20]] / len(drawn) - 1 / 3).abs().max() < 3 * (2 / 9 / len(drawn)) ** 0.5


def test_parts_of_a_space():
    box = lambda *shape: spaces.Box(0, 1, shape)  # noqa: E731
    assert picture_parts(spaces.Dict(features=box(3), view=box(7, 7, 2))) == {
        "view": 2,
        "features": 3,
    }
    assert picture_parts(box(7, 7, 2)) is None
    assert picture_parts(spaces.Dict(a=box(7, 7, 2), b=box(7, 7, 2))) is None
    assert picture_parts(spaces.Dict(a=box(7, 7, 2), b=spaces.Discrete(3))) is None
    space = split(box(7, 7, 5), {"view": 2, "features": 3})
    assert (space["view"].shape, space["features"].shape) == ((7, 7, 2), (3,))
    with pytest.raises(ValueError, match="allowed: a picture of"):
        split(box(5), {"view": 2, "features": 3})


def test_a_network_in_parts_splits_by_hand():
    class Sum(torch.nn.Module):
        def forward(self, obs, mean, agent):
            return obs["view"].sum((1, 2)) + obs["features"][:, :2]

    picture = torch.arange(2 * 2 * 2 * 5.0).reshape(2, 2, 2, 5)
    picture[..., 2:] = picture[:, :1, :1, 2:]
    found = InParts(Sum(), {"view": 2, "features": 3})(picture, None, None)
    # Channel 0 of the first picture: 0 + 5 + 10 + 15, and its first feature, 2.
    assert found.tolist() == [[30 + 2, 34 + 3], [110 + 22, 114 + 23]]
