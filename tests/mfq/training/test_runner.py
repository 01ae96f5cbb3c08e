"""The Runner: files, exact resumption after Ctrl-C and kill -9, evaluation that disturbs nothing."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from mfenvs import gaussian_squeeze_v0, ising_v0
from mfq.agents.q_agent import QAgent
from mfq.agents.q_config import QConfig
from mfq.common import checkpoint
from mfq.envs.wrap import wrap
from mfq.matches.evaluate import evaluate, of_player
from mfq.matches.players import load_player
from mfq.training.config import RunConfig
from mfq.training.runner import Runner
from tests.fakes.options import merged

SMALL = {
    "env": "gaussian_squeeze_v0",
    "steps": 400,
    "log": {"every": 1},
    "evaluation": {"every": 90},
    "checkpoints": {"every": 50},
    "quiet": True,
    "env_options": {"num_agents": 20, "max_cycles": 30},
    "agent": {
        "replay": {"learning_starts": 100},
        "optimizer": {"batch_size": 32},
        "exploration": {"stickiness": 0.8},
        "network": {"hidden": [16]},
    },
}


def losses(folder):
    """Step -> loss, from the log."""
    with (folder / "log.csv").open() as file:
        return {int(row["step"]): row["loss"] for row in csv.DictReader(file) if row["loss"]}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    Runner(config={**SMALL, "out": str(out)}).train()
    return losses(out)


@pytest.mark.slow
def test_a_run_writes_its_files(tmp_path, uninterrupted):
    runner = Runner(config={**SMALL, "out": str(tmp_path)})
    assert runner.train()
    assert sorted(os.listdir(tmp_path)) == [
        "best.safetensors",
        "config.json",
        "last.safetensors",
        "log.csv",
    ]
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["agent"]["optimizer"]["batch_size"] == 32
    assert config["agent"]["gamma"] == 0.95
    assert losses(tmp_path) == uninterrupted
    assert len(uninterrupted) > 390
    with (tmp_path / "log.csv").open() as file:
        evaluated = [int(row["step"]) for row in csv.DictReader(file) if row["eval_return"]]
    assert evaluated == [90, 180, 270, 360, 400]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("returns", "step"), [([1, 2, 2, 0, 1], 270), ([3, 1, 2, 1, 2], 90), ([1, 1, 1, 1, 1], 400)]
)
def test_the_best_checkpoint_is_the_latest_of_equal_ones(tmp_path, monkeypatch, returns, step):
    runner = Runner(config={**SMALL, "out": str(tmp_path)})
    monkeypatch.setattr(runner, "evaluate", iter([{"return": r} for r in returns]).__next__)
    runner.train()
    assert checkpoint.load(tmp_path / "best.safetensors")["done"] == step


def test_resuming_from_a_checkpoint_gives_the_same_losses(tmp_path, uninterrupted):
    first = Runner(config={**SMALL, "steps": 250, "out": str(tmp_path)})
    first.train()
    second = Runner.load(tmp_path, steps=400)
    assert second.done == 250
    second.train()
    found = losses(tmp_path)
    assert all(found[step] == uninterrupted[step] for step in range(251, 401))


CHILD = [sys.executable, "-m", "mfq.cli", "train", "--config"]


def interrupted_run(tmp_path, number):
    """Starts a long run, sends it a signal after some 150 steps; its folder and status."""
    out = tmp_path / "run"
    config = tmp_path / "config.yaml"
    # JSON is YAML.
    config.write_text(json.dumps({**SMALL, "steps": 100_000, "out": str(out)}))
    process = subprocess.Popen(
        [*CHILD, str(config)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # as here: see tests/conftest.py
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            if (out / "last.safetensors").exists() and len(losses(out)) > 150:
                break
            time.sleep(0.02)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
        process.wait()
    return out, process.returncode, said


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_goes_on_exactly(tmp_path, number, uninterrupted):
    out, status, said = interrupted_run(tmp_path, number)
    if number == signal.SIGINT:
        assert status == 130
        assert f"mfq train --resume {out}" in said
        assert "Traceback" not in said
    else:
        assert status == -signal.SIGKILL
    assert not [
        name for name in os.listdir(out) if name.startswith(".") and number == signal.SIGINT
    ]
    runner = Runner.load(out)
    start = runner.done
    assert start >= 50
    # The same again, without an interruption, as far as needed.
    whole = Runner(config={**SMALL, "steps": start + 100, "out": str(tmp_path / "whole")})
    whole.train()
    resumed = Runner.load(out, steps=start + 100)
    resumed.train()
    found, expected = losses(out), losses(tmp_path / "whole")
    steps = range(start + 1, start + 101)
    assert [found[step] for step in steps] == [expected[step] for step in steps]
    assert list(found) == sorted(set(found))


def test_a_moved_run_goes_on_where_it_is(tmp_path):
    Runner(config={**SMALL, "steps": 20, "out": str(tmp_path / "old")}).train()
    (tmp_path / "old").rename(tmp_path / "new")
    Runner.load(tmp_path / "new", steps=30).train()
    assert os.listdir(tmp_path) == ["new"]
    assert Runner.load(tmp_path / "new").done == 30


def test_changes_on_loading_reach_the_agent(tmp_path):
    Runner(config={**SMALL, "steps": 20, "out": str(tmp_path)}).train()
    changed = Runner.load(tmp_path, agent={"optimizer": {"learning_rate": 0.5}})
    assert changed.config.agent.exploration.stickiness == 0.8
    assert changed.agent.optimizer.param_groups[0]["lr"] == 0.5


def test_a_new_run_takes_nothing_from_an_old_one_in_its_folder(tmp_path):
    Runner(config={**SMALL, "steps": 20, "out": str(tmp_path)}).train()
    never = {"evaluation": {"every": 0}, "checkpoints": {"every": 0}, "overwrite": True}
    runner = Runner(config={**SMALL, **never, "steps": 3, "out": str(tmp_path)})
    runner.train()
    assert Runner.load(tmp_path).done == 3
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 5


def test_the_rows_seeds_and_means_come_back(tmp_path):
    runner = Runner(config={**SMALL, "steps": 20, "num_envs": 2, "out": str(tmp_path)})
    runner.train()
    again = Runner.load(tmp_path)
    assert again.view.env.row_seeds.tolist() == runner.view.env.row_seeds.tolist()
    means = [each.view.state_dict()["mean_action"] for each in (again, runner)]
    assert means[0].any()
    assert torch.equal(*means)


def test_metrics_nobody_announced_get_a_column(tmp_path):
    class Chatty(QAgent):
        def __init__(self, view, config, seed):
            super().__init__(view, True, config, seed)

        def learn(self):
            return {**super().learn(), **({"mood": 1.5} if self.time > 10 else {})}

    Runner(algo=Chatty, config={**SMALL, "steps": 20, "out": str(tmp_path)}).train()
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["mood"] for row in rows if row["reward"]] == [""] * 10 + ["1.5"] * 10


def test_episodes_that_never_end_are_refused():
    options = {"num_agents": 3, "max_cycles": None}
    with pytest.raises(ValueError, match="max_cycles=None"):
        Runner(config={**SMALL, "env_options": options}).evaluate()


def test_another_number_of_threads_is_told(tmp_path):
    runner = Runner(config={**SMALL, "steps": 20, "out": str(tmp_path)})
    runner.train()
    state = checkpoint.load(tmp_path / "last.safetensors")
    checkpoint.save({**state, "threads": 64}, tmp_path / "last.safetensors")
    with pytest.warns(UserWarning, match="64 torch threads"):
        Runner.load(tmp_path)


def test_a_run_goes_on_on_another_kind_of_device_and_tells(tmp_path):
    runner = Runner(config={**SMALL, "steps": 20, "out": str(tmp_path)})
    runner.train()
    state = checkpoint.load(tmp_path / "last.safetensors")
    assert state["device"] == "cpu"
    state["config"]["device"] = state["device"] = "cuda"
    coins = torch.arange(16, dtype=torch.uint8)  # as large as a GPU's generator is
    state["agent"]["generator"] = state["agent"]["replay"]["generator"] = coins
    checkpoint.save(state, tmp_path / "last.safetensors")
    with pytest.warns(UserWarning, match="written on cuda and resumes on 1 torch threads"):
        one, other = (Runner.load(tmp_path, device="cpu", steps=25) for _ in range(2))
    assert one.train()
    assert other.train()
    pairs = zip(one.agent.module.parameters(), other.agent.module.parameters(), strict=True)
    assert all(torch.equal(mine, theirs) for mine, theirs in pairs)
    load_player(tmp_path, one.view).act(one.view.reset(seed=0))


def test_evaluation_disturbs_no_training(uninterrupted, tmp_path):
    never = {"evaluation": {"every": 0}, "checkpoints": {"every": 0}}
    Runner(config={**SMALL, **never, "out": str(tmp_path)}).train()
    assert losses(tmp_path) == uninterrupted


def test_evaluation_repeats_itself_and_is_greedy():
    # The agent would still explore: nearly at random, where nothing that it has learned shows.
    exploration = {"stickiness": 0.0, "start": 100.0}
    agent = {"exploration": exploration, "play": "greedy"}
    runner = Runner(config=merged(SMALL, {"agent": agent}))
    first = runner.evaluate(seed=3)
    assert runner.evaluate(seed=3) == first
    assert runner.agent.time == 0
    view = wrap(gaussian_squeeze_v0.batched_env(**SMALL["env_options"]))
    step, earned = view.reset(seed=3), 0.0
    for _ in range(30):
        best = runner.agent.values(step, step.mean_action, step.active_index).argmax(-1)
        step = view.step(best[None])
        earned += float(step.reward.double().mean())
    assert bool(step.ended)
    assert of_player(first) == {
        "return": pytest.approx(earned),
        "length": 30,
        "final_performance": pytest.approx(float(step.measures["performance"])),
        "final_objective": pytest.approx(float(step.measures["objective"])),
        "final_total": float(best.sum()),
    }
    explored = evaluate(view, runner.agent, seed=3, explore=True)
    assert explored["final_total"] != first["final_total"]


def test_evaluate_counts_whole_episodes_of_every_row():
    view = wrap(ising_v0.batched_env(num_envs=3, side=4, initial="up", max_cycles=5))
    agent = QAgent(view, config=QConfig(exploration={"stickiness": 1.0}))
    # Nobody ever changes its action: all stay up, and earn 2 in each of five steps.
    scores = evaluate(view, agent, episodes=7)
    assert scores["return"] == 10
    assert scores["length"] == 5
    assert scores["final_order_parameter"] == 1
    with pytest.raises(ValueError, match="episodes=0"):
        evaluate(view, agent, episodes=0)


def test_a_users_own_environment_and_class(tmp_path):
    env = gaussian_squeeze_v0.parallel_env(num_agents=4, max_cycles=10)
    seen = []

    class Mine(QAgent):
        def __init__(self, view, config, seed):
            super().__init__(view, True, config, seed)
            seen.append(seed)

    config = {**SMALL, "env_options": {}, "steps": 60, "seed": 9, "out": str(tmp_path)}
    runner = Runner(env, algo=Mine, config=config)
    scores = runner.run()
    assert seen == [9]
    assert scores["length"] == 10
    with pytest.raises(ValueError, match="an environment that was given as an object"):
        Runner.load(tmp_path)
    assert type(Runner.load(tmp_path, env=env).agent) is Mine  # this process knows the class
    state = checkpoint.load(tmp_path / "last.safetensors")
    assert state["config"]["algo"] == f"{Mine.__module__}:{Mine.__qualname__}"
    state["config"]["algo"] = "elsewhere:Mine"  # as in a process that does not know it
    path = checkpoint.save(state, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="algo='elsewhere:Mine'; loading a file imports nothing"):
        Runner.load(path, env=env)
    assert type(Runner.load(path, env=env, algo=Mine).agent) is Mine
    again = Runner.load(tmp_path, env=env, algo=Mine)
    assert again.done == 60
    assert type(again.agent) is Mine
    with pytest.raises(ValueError, match="num_envs"):
        Runner(env, config={"num_envs": 2})
    runner.finish()


def test_save_load_benchmark(tmp_path):
    runner = Runner("gaussian_squeeze_v0", algo="iql", config={**SMALL, "steps": 120})
    assert runner.benchmark() == runner.evaluate(seed=1_000_000)
    assert runner.done == 120
    path = runner.save(tmp_path / "mine.safetensors")
    other = Runner.load(path)
    assert other.config.algo == "iql"
    for name, weights in runner.agent.module.state_dict().items():
        assert torch.equal(weights, other.agent.module.state_dict()[name])


def test_other_rules_start_a_new_episode(tmp_path):
    runner = Runner("gaussian_squeeze_v0", algo="iql", config={**SMALL, "steps": 20})
    runner.train()
    path = runner.save(tmp_path / "mine.safetensors")
    assert not Runner.load(path).starts_anew
    again = Runner.load(path, env_options={"mu": 90.0}, steps=30)
    assert again.starts_anew
    assert again.train()
    with pytest.raises(ValueError, match=r"mu=400.0; allowed: mu=90.0"):
        again.view.load_state_dict(checkpoint.load(path)["view"])


def test_a_checkpoint_that_does_not_fit_is_named(tmp_path):
    runner = Runner(config={**SMALL, "steps": 20, "out": str(tmp_path)})
    runner.train()
    path = tmp_path / "last.safetensors"
    with pytest.raises(ValueError, match="does not fit"):
        Runner.load(path, env_options={"num_agents": 21})
    state = checkpoint.load(path)
    del state["agent"]["module"]
    checkpoint.save(state, path)
    with pytest.raises(ValueError, match="module"):
        Runner.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        Runner.load(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"steps": 0}, "steps=0"),
        ({"algo": "dqn"}, "algo='dqn'"),
        ({"env": "chess_v6"}, "chess_v6"),
        ({"stepz": 1}, "'stepz'"),
        ({"agent": {"gama": 1}}, "'gama'"),
        ({"device": "tpu"}, "device='tpu'"),
    ],
)
def test_bad_options_are_named(config, words):
    with pytest.raises(ValueError, match=words):
        Runner(config=config)


def test_num_envs_rows_share_one_learner():
    config = {**SMALL, "steps": 40, "num_envs": 3}
    runner = Runner(config=config)
    runner.train()
    assert runner.agent.replay.added == (40 - 1) * 3 * 20  # one of the steps was a reset
    assert isinstance(runner.config, RunConfig)


def test_tensorboard_on_request(tmp_path):
    pytest.importorskip("tensorboard")
    changes = {"steps": 30, "log": {"tensorboard": True}, "out": str(tmp_path)}
    config = merged(SMALL, changes)
    Runner(config=config).train()
    assert [name for name in os.listdir(tmp_path) if name.startswith("events.out")]


def test_tensorboard_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    changes = {"steps": 30, "log": {"tensorboard": True}, "out": str(tmp_path)}
    config = merged(SMALL, changes)
    with pytest.raises(ImportError, match=r"mfenvs\[log\]"):
        Runner(config=config).train()
