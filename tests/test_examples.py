"""The scripts in examples/ run and do what their pages say: other people's learners on our games."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
import torch

from examples import sb3_battle, sb3_ising, sb3_mean_action, torchrl_battle
from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0

pytestmark = pytest.mark.third_party

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "examples" / "results"
PAGE = (ROOT / "docs" / "other_learners.md").read_text()


def committed(name, kind):
    """The rows of a result file as named tuples."""
    with (RESULTS / f"{name}.csv").open() as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == kind._fields
    casts = get_type_hints(kind).values()
    return [kind(*(cast(cell) for cast, cell in zip(casts, row, strict=True))) for row in rows]


# -- Stable-Baselines3 on stage games -------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: ising_v0.vector_env(num_envs=3, side=4, max_cycles=4),
        lambda: gaussian_squeeze_v0.vector_env(num_envs=2, num_agents=5, max_cycles=3),
    ],
)
def test_sb3_s_vector_starts_anew_in_the_step_that_ended_the_last(make):
    vector, env = make(), sb3_ising.StageVecEnv(make())
    env.seed(7)
    assert np.array_equal(env.reset(), vector.reset(seed=7)[0])
    coin, limit = np.random.default_rng(0), 0
    for _ in range(10):
        actions = coin.integers(0, vector.single_action_space.n, vector.num_envs)
        ours, rewards, _, ended, _ = vector.step(actions)
        obs, their_rewards, dones, infos = env.step(actions)
        assert np.array_equal(rewards, their_rewards)
        assert np.array_equal(dones, ended)
        assert len(infos) == env.num_envs
        if ended.any():
            limit += 1
            assert ended.all()
            for info, last in zip(infos, ours, strict=True):
                assert np.array_equal(info["terminal_observation"], last)
                assert info["TimeLimit.truncated"] is True
            ours = vector.step(np.zeros_like(actions))[0]
        else:
            assert not any(infos)
        assert np.array_equal(obs, ours)
    assert limit > 1
    assert env.get_attr("num_agents", [0, 1]) == [vector.num_agents] * 2
    assert env.env_is_wrapped(object, 0) == [False]
    env.close()


def test_dqn_learns_a_stage_game(capsys):
    before, after = sb3_ising.main(["--side", "4", "--rows", "2", "--steps", "150", "--seed", "1"])
    assert before < 0.9
    assert after == 1.0
    assert "100.0% after" in capsys.readouterr().out


# -- The mean action ------------------------------------------------------------------------------


def mean_reward(episodes, method):
    return np.mean([episode.reward for episode in episodes if episode.method == method])


def test_dqn_needs_the_mean_action(tmp_path, capsys):
    out = tmp_path / "found.csv"
    arguments = ["--side", "4", "--steps", "100", "--seeds", "2", "--episodes", "3"]
    episodes = sb3_mean_action.main([*arguments, "--out", str(out)])
    assert len(episodes) == 2 * 2 * 3
    assert mean_reward(episodes, "with") > 1.0
    assert mean_reward(episodes, "without") <= 0.3  # of single random starts; 0 in the mean of all
    assert len(out.read_text().splitlines()) == 13
    assert sb3_mean_action.table(episodes) in capsys.readouterr().out


def test_the_page_has_the_committed_results():
    for name, script, kind in (
        ("sb3_mean_action", sb3_mean_action, sb3_mean_action.Episode),
        ("sb3_mean_action_ferromagnet", sb3_mean_action, sb3_mean_action.Episode),
        ("sb3_battle", sb3_battle, sb3_battle.Battle),
    ):
        rows = committed(name, kind)
        assert len({row.seed for row in rows}) >= 3
        for line in script.table(rows).splitlines():
            assert line in PAGE


# -- Battle ---------------------------------------------------------------------------------------


def test_ppo_plays_battle_through_supersuit(capsys):
    arguments = ["--map-size", "12", "--copies", "4", "--steps", "64", "--seeds", "1"]
    battles = sb3_battle.main([*arguments, "--battles", "2"])
    assert [battle.policy for battle in battles] == ["untrained"] * 2 + ["trained"] * 2
    assert all(0 <= army <= 2 for battle in battles for army in (battle.red, battle.blue))
    assert "win rate" in capsys.readouterr().out


def test_torchrl_s_rollout_is_the_battle_that_was_played(capsys):
    battle = torchrl_battle.main(["--map-size", "16", "--steps", "60", "--seed", "3"])
    assert "alive" in capsys.readouterr().out
    assert battle["next", "done"][-1]
    env = battle_v0.parallel_env(map_size=16, max_cycles=60, damage=10.0)
    obs, _ = env.reset(seed=3)
    for played in battle.unbind(0):
        for army in ("red", "blue"):
            for i in range(6):
                agent, alive = f"{army}_{i}", bool(played[army, "mask"][i])
                assert alive == (agent in env.agents)
                if alive:
                    assert np.array_equal(played[army, "observation"][i].numpy(), obs[agent])
        names = [(f"{army}_{i}", army, i) for army in ("red", "blue") for i in range(6)]
        actions = {a: int(played[army, "action"][i]) for a, army, i in names if a in env.agents}
        obs, rewards, *_ = env.step(actions)
        for agent, reward in rewards.items():
            army, _, i = agent.partition("_")
            assert float(played["next", army, "reward"][int(i)]) == pytest.approx(reward)
    assert env.agents == []


def rushing(battle):
    """A policy of TorchRL that does what the scripted player of a battle of 6 against 6 would."""

    def act(tensordict):
        actions = battle.scripted("rush")
        for army in ("red", "blue"):
            tensordict[army, "action"] = torch.tensor(
                [actions.get(f"{army}_{i}", 0) for i in range(6)]
            )
        return tensordict

    return act


def test_torchrl_would_end_a_battle_with_the_first_death():
    lengths = {}
    for done_on_any in (None, False):
        battle = battle_v0.parallel_env(map_size=16, max_cycles=90, damage=10.0)
        with pytest.warns(UserWarning, match="PettingZoo in TorchRL is tested using version"):
            env = torchrl_battle.PettingZooWrapper(
                battle, use_mask=True, done_on_any=done_on_any, seed=1
            )
        found = env.rollout(90, policy=rushing(battle))
        lengths[done_on_any] = len(found)
        living = sum(int(found[army, "mask"][-1].sum()) for army in ("red", "blue"))
        assert (living == 12) == (done_on_any is None)
    assert lengths[None] < lengths[False] <= 90


def test_torchrl_needs_infos_that_keep_their_keys():
    make = torchrl_battle.PettingZooWrapper
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match="PettingZoo in TorchRL is tested using version"):
        env = make(ising_v0.parallel_env(side=4, update="random"), use_mask=True)
    with pytest.raises(TypeError, match="does not support item assignment"):
        env.rollout(5)
    env = torchrl_battle.wrap(ising_v0.parallel_env(side=4, update="random", max_cycles=6))
    torchrl_battle.check_env_specs(env)
    assert env.rollout(9)["site", "action_mask"].shape == (6, 16, 2)


def run(script, *arguments):
    """What a script prints, in a process of its own."""
    command = [sys.executable, str(ROOT / "examples" / script), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, check=True, cwd=ROOT, env=environment, capture_output=True, text=True
    ).stdout


def test_rllib_trains_on_battle(tmp_path):
    pytest.importorskip("ray", reason="ray is absent: it pins gymnasium (docs/other_learners.md)")
    out = tmp_path / "found.csv"
    arguments = ["--map-size", "12", "--batch", "256", "--iterations", "1", "--out", str(out)]
    assert "steps" in run("rllib_battle.py", *arguments)
    with out.open() as file:
        (found,) = csv.DictReader(file)
    assert int(found["steps"]) >= 256
    assert float(found["red"]) < 0


def test_tianshou_trains_on_the_squeeze():
    pytest.importorskip(
        "tianshou", reason="tianshou is absent: it pins virtualenv (docs/other_learners.md)"
    )
    found = run("tianshou_squeeze.py", "--epochs", "1", "--seeds", "2")
    before, after = map(float, re.findall(r"\d\.\d+", found))
    assert before < after


def test_tianshou_s_committed_result_is_what_the_page_says():
    with (RESULTS / "tianshou_squeeze.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    for row in rows:
        assert f"{float(row['before']):.3f}".lstrip("0") in PAGE
        assert f"{float(row['after']):.3f}".lstrip("0") in PAGE


def test_rllib_s_committed_result_is_of_several_iterations():
    with (RESULTS / "rllib_battle.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 5
    assert f"{float(rows[0]['red']):.2f}" in PAGE
    assert f"{float(rows[-1]['red']):.2f}" in PAGE
