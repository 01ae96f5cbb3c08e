"""CONTRIBUTING's worked examples: parts of your own in one file each, examples/custom/*.py."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

import mfq
from examples.custom import algorithm, mean_field, metric, picture, player
from mfenvs import battle_v0, gaussian_squeeze_v0
from mfq.cli import main

ROOT = Path(__file__).parent.parent
NAME = "examples.custom.algorithm:HuberQ"
SQUEEZE = {"num_agents": 10, "mu": 25.0, "sigma": 10.0, "max_cycles": 20}


def test_a_metric_is_a_column_of_the_log(tmp_path):
    metric.main(tmp_path, steps=40)
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    shares = [float(row["movers"]) for row in rows if row["movers"]]
    assert len(shares) == 2
    # 12 of 21 actions move; at the start agents choose nearly uniformly.
    assert shares[0] == pytest.approx(12 / 21, abs=0.1)


def test_a_mean_field_by_hand():
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=4))
    field = mean_field.MeanAndCount(view)
    view.reset(seed=0)
    step = view.step(torch.tensor([[0, 1, 1, 2]]))
    heard = field.hear(step, {})
    assert heard.shape == (1, 4, view.num_actions + 1)
    assert heard[0, 0, :3].tolist() == pytest.approx([0, 2 / 3, 1 / 3])
    assert heard[0, :, -1].tolist() == [0.75] * 4


@pytest.mark.slow
def test_a_mean_field_is_learned_from_by_mfq_and_mfac():
    assert min(mean_field.main()) > 0
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=4))
    agent = mfq.QAgent(view, mean_field.MeanAndCount)
    weights = agent.module.mean[0].weight
    assert weights.shape[1] == view.num_actions + 1


def test_a_mean_field_has_a_name_in_options(tmp_path):
    name = "examples.custom.mean_field:MeanAndCount"
    options = {
        "env_options": SQUEEZE,
        "steps": 10,
        "agent": {"mean_field": name},
        "quiet": True,
        "out": str(tmp_path),
    }
    runner = mfq.Runner("gaussian_squeeze_v0", config=options)
    assert isinstance(runner.agent.mean_field, mean_field.MeanAndCount)
    runner.train()
    assert isinstance(mfq.Runner.load(tmp_path).agent.mean_field, mean_field.MeanAndCount)


def test_a_scripted_player_strikes_whoever_is_near():
    view = mfq.wrap(
        battle_v0.batched_env(map_size=16, placement={"red": [(5, 5)], "blue": [(6, 5)]})
    )
    actions = player.Guard().act(view.reset(seed=0))
    assert actions.tolist() == [[17, 16]]  # right, and left
    scores = player.main(episodes=40)
    assert scores["win_rate_low"] > 0.4
    assert scores["kills_difference"] > 0


def test_pictures_are_of_the_board_at_the_end_of_every_100th_episode(tmp_path):
    picture.main(tmp_path, episodes=300)
    names = ["episode-100.png", "episode-200.png", "episode-300.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    image = imread(tmp_path / names[0])
    assert image.shape[:2] == (672, 1024)
    assert np.ptp(image[..., :3]) > 0.5


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run of the algorithm on a small battle, from the command line."""
    out = tmp_path_factory.mktemp("own") / "run"
    plain = ["minimap_mode=False", "extra_features=False", "copied_start=True"]
    words = ["--env", "battle_v0", "--set", "map_size=16", "max_cycles=20", *plain, "--steps", "30"]
    flags = ["--agent.delta", "0.5", "--num-envs", "2", "--quiet", "--out", str(out)]
    flags += ["--opponents", "--evaluation.against"]  # nobody: it plays both sides
    assert main(["train", "--algo", NAME, *words, *flags]) == 0
    return out


@pytest.mark.slow
def test_an_algorithm_learns_the_squeeze():
    options = {"env_options": SQUEEZE, "steps": 1500, "quiet": True, "evaluation": {"every": 0}}
    scores = mfq.Runner("gaussian_squeeze_v0", algorithm.HuberQ, options).run()
    assert scores["final_performance"] > 0.6  # uniform play scores about .3


def test_its_options_are_flags(trained, capsys):
    runner = mfq.Runner.load(trained)
    assert runner.config.agent == algorithm.HuberConfig(delta=0.5)
    with pytest.raises(SystemExit):
        main(["train", "--algo", NAME, "--help"])
    printed = capsys.readouterr().out
    assert "--agent.delta" in printed
    assert "grows linearly" in printed
    assert "--agent.exploration" not in printed


def test_it_goes_on_and_evaluates_from_the_command_line(trained, capsys):
    assert main(["train", "--resume", str(trained), "--steps", "40"]) == 0
    assert mfq.Runner.load(trained).done == 40
    assert main(["evaluate", str(trained), "--episodes", "2"]) == 0
    assert "return_red" in capsys.readouterr().out


def test_it_is_an_opponent_and_plays_itself(trained):
    view = mfq.wrap(battle_v0.batched_env(map_size=16, max_cycles=20))
    opponent = mfq.load_player(trained, view)
    assert mfq.head_to_head(view, opponent, "random", 2)["both"]["episodes"] == 2
    options = {
        "env_options": {"map_size": 16, "max_cycles": 20},
        "num_envs": 6,
        "steps": 30,
        "opponents": {str(trained): 1.0, "lagged": 1.0, "pool": 1.0},
        "evaluation": {"against": (str(trained),), "episodes": 2},
        "quiet": True,
    }
    runner = mfq.Runner("battle_v0", algorithm.HuberQ, options)
    assert runner.train()
    assert list(runner.teams.players) == ["learner", str(trained), "lagged", "pool"]


@pytest.mark.slow
def test_loading_its_file_imports_nothing_unless_trusted(trained):
    """In a process that was not given the name, a file may not make it imported."""
    code = (
        "import sys, mfq\n"
        "from mfenvs import battle_v0\n"
        "view = mfq.wrap(battle_v0.batched_env(map_size=16, max_cycles=20))\n"
        "try:\n"
        f"    mfq.load_player({str(trained)!r}, view)\n"
        "except ValueError as error:\n"
        "    print(error)\n"
        "print('examples.custom.algorithm' in sys.modules)\n"
        f"mfq.load_player({str(trained)!r}, view, trust=[{NAME!r}])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert f"trust=['{NAME}']" in run.stdout
    assert run.stdout.endswith("False\n")
