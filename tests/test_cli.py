"""The `mfq` command as a user meets it: results, help, nonsense, Ctrl-C."""

import contextlib
import csv
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time

import pytest

from mfq.cli import main
from tests.fakes.options import agents_scores

TINY = ["--side", "4", "--seeds", "2", "--sweeps", "30", "--burn-in", "5", "--taus", "0.8", "2.0"]


def command(*words):
    return [sys.executable, "-m", "mfq.cli", *words]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished study, and what it printed."""
    out = tmp_path_factory.mktemp("study") / "new" / "folder"
    words = command("compare", "ising", *TINY, "--out", str(out))
    return out, subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_compare_ising_writes_its_files(finished):
    out, printed = finished
    assert sorted(file.name for file in out.iterdir()) == ["config.json", "ising.csv", "ising.png"]
    with (out / "ising.csv").open() as file:
        rows = list(csv.DictReader(file))
    results = ["tau", "method", "order_parameter", "low", "high", "seeds", "q_mse"]
    columns = [*results, "exact", "monte_carlo", "weiss"]
    assert list(rows[0]) == columns
    methods = ["mfq", "iql-observing", "iql", "mfq-previous", "monte_carlo"]
    assert [(r["method"], float(r["tau"])) for r in rows] == [
        (m, t) for m in methods for t in (0.8, 2.0)
    ]
    assert all(0 <= float(r["order_parameter"]) <= 1 for r in rows)
    # Onsager: (1 - sinh(1 / tau)^-4)^(1/8); Weiss: m = tanh(2 m / tau), here by iteration.
    for name, known in (("exact", [0.979622, 0.0]), ("weiss", [0.985624, 0.0])):
        assert [float(r[name]) for r in rows] == pytest.approx(known * 5, abs=1e-6)
    assert all((r["q_mse"] == "") == (r["method"] == "monte_carlo") for r in rows)
    config = json.loads((out / "config.json").read_text())
    assert config["taus"] == [0.8, 2.0]
    assert config["coupling"] == 1.0
    assert max(map(len, printed.split("written:")[0].splitlines())) <= 80


@pytest.mark.slow
def test_the_same_seed_gives_the_same_file(finished, tmp_path):
    assert main(["compare", "ising", *TINY, "--out", str(tmp_path)]) == 0
    assert (tmp_path / "ising.csv").read_bytes() == (finished[0] / "ising.csv").read_bytes()


@pytest.mark.slow
def test_a_yaml_file_gives_defaults_and_flags_win(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("side: 4\nseeds: 2\nsweeps: 20\nburn_in: 2\ntaus: [1.0]\ncoupling: 0.7\n")
    out = tmp_path / "out"
    flags = ["--config", str(file), "--seeds", "1", "--out", str(out)]
    assert main(["compare", "ising", *flags]) == 0
    config = json.loads((out / "config.json").read_text())
    assert (config["side"], config["seeds"], config["taus"]) == (4, 1, [1.0])
    assert config["coupling"] == 0.7


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["trian"],
            "command='trian'; did you mean train? allowed: train, evaluate, compare, play, record, list",
        ),
        (["compare", "chess"], "study='chess'; allowed: ising, squeeze, battle, curves"),
        (["train", "--env", "chess_v6"], "env='chess_v6' is unknown; "),
        (["train", "--algo", "dqn"], "algo='dqn'"),
        (["train", "--set", "num_agents"], "--set num_agents; allowed: NAME=VALUE"),
        (["train", "--set", "num_agents=[1"], "--set num_agents=[1; allowed: a value in YAML"),
        (["train", "--set", "agents=3"], "no option 'agents'"),
        (
            ["train", "--set", "num_envs=3"],
            "env_options['num_envs']=3; allowed: the run's num_envs",
        ),
        (
            ["train", "--preset", "small", "--opponents", "rush"],
            "--opponents rush; allowed: NAME SHARE",
        ),
        (
            ["train", "--preset", "small", "--opponents", "rush", "x"],
            "--opponents rush x; allowed: a number",
        ),
        (["train", "--preset", "small", "--opponents", "rush", "0"], "opponents['rush']=0.0"),
        (["train", "--agent.gamma", "2"], "gamma=2.0"),
        (["train", "--resume", "no/such"], "no/such"),
        (["train", "--resume", "x", "--seed", "1"], "--seed is no flag; allowed: --steps, "),
        (
            ["train", "--resume", "x", "--steps", "many"],
            "--steps=many; allowed: an integer or None",
        ),
        (
            ["train", "--algo", "mfac", "--agent.exploration.start", "1"],
            "--agent.exploration.start",
        ),
        (["train", "--algo", "iql", "--agent.pairing", "current"], "which algo='iql' ignores"),
        (["train", "--preset", "tiny"], "preset='tiny'; allowed: authors, "),
        (["evaluate", "no/such"], "no/such"),
        (["evaluate", "x", "y"], "argument='y' is unknown; "),
        (["evaluate", "x", "--checkpoint", "first"], "--checkpoint=first; allowed: last, best"),
        (["play", "isling"], "game='isling'; did you mean ising? allowed: "),
        (["play", "ising", "--red", "random"], "red='random' where the groups are lattice"),
        (["play", "ising", "--speed", "0"], "speed=0.0"),
        (["play", "battle", "--red", "human", "--no-window"], "--no-window with the player human"),
        (
            ["play", "battle", "--red", "brave"],
            "brave is no player; allowed: random, hold, rush, focus",
        ),
        (["play", "battle", "--episodes", "0"], "--episodes 0; allowed: 1 or more"),
        (["play", "battle", "--select", "red_64", "--no-window"], "agent='red_64'"),
        (["play", "battle", "--set", "map_size=3"], "map_size=3"),
        (["compare", "battle", "--players", "rush"], "players=('rush',); allowed: at least two"),
        (
            ["compare", "battle", "--players", "rush", "a=brave"],
            "brave is no player; allowed: rando",
        ),
        (["compare", "battle", "--episodes", "1"], "episodes=1"),
        (["compare", "battle", "--set", "map_size=3"], "map_size=3"),
        (["compare", "battle", "--set", "map=3"], "no option 'map'"),
        (["compare", "ising", "--seeds", "0"], "seeds=0"),
        (["compare", "ising", "--coupling", "-1"], "coupling=-1.0"),
        (["compare", "ising", "--taus", "0.0"], "taus=(0.0,)"),
        (["compare", "ising", "--side", "5"], "side=5"),
        (["compare", "ising", "--config"], "--config"),
        (["compare", "ising", "--config", "no/such.yaml"], "no/such.yaml"),
    ],
)
def test_nonsense_is_named(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # a folder of this checkout may hold a study's results
    assert main(words) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("mfq: ")
    assert says in error


@pytest.mark.parametrize(
    ("text", "says"),
    [("sidee: 3", "'sidee'"), ("- 1", "list"), ("{", "no YAML"), ("seeds: 0", "seeds=0")],
)
def test_a_bad_yaml_file_is_named(tmp_path, text, says, capsys):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    assert main(["compare", "ising", "--config", str(file)]) == 2
    assert says in capsys.readouterr().err


def test_unknown_flags_and_wrong_types_are_refused():
    for flags in (["--tau", "1"], ["--seeds", "many"]):
        assert main(["compare", "ising", *flags]) == 2


@pytest.mark.parametrize(("words", "name"), [(["--help"], "train"), (["compare", "-h"], "ising")])
def test_help(words, name, capsys):
    assert main(words) == 0
    assert name in capsys.readouterr().out


def test_list_names_what_there_is(capsys):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    for word in ("ising_v0", "battle_v0", "gaussian_squeeze_v0", "mfq", "iql", "squeeze", "rush"):
        assert word in printed


@pytest.mark.slow
def test_play_shows_armies_or_sums_them_up(capsys, monkeypatch):
    flags = ["--red", "rush", "--blue", "random", "--set", "map_size=16", "max_cycles=60"]
    flags += ["--speed", "1000"]
    summaries = []
    for window in ("--window", "--no-window"):
        assert main(["play", "battle", *flags, "--episodes", "2", "--seed", "3", window]) == 0
        summaries.append(capsys.readouterr().out)
    assert summaries[0] == summaries[1], "a window changes nothing"
    lines = summaries[0].splitlines()
    assert [line.split(":")[0] for line in lines] == ["episode 0", "episode 1"]
    assert all("red has more kills" in line for line in lines)

    monkeypatch.setenv("SDL_VIDEODRIVER", "nonsense")
    assert main(["play", "battle", *flags, "--episodes", "2", "--seed", "3"]) == 2
    without = capsys.readouterr()
    assert without.out == ""
    assert "no window can be opened here" in without.err
    assert "mfq record battle_v0" in without.err


def test_train_evaluate_and_resume(tmp_path, capsys):
    out = str(tmp_path / "run")
    flags = ["--steps", "60", "--out", out, "--quiet", "--agent.replay.learning-starts", "20"]
    # Greedy play without inertia, so that scores do not depend on a seed.
    flags += ["--env", "gaussian_squeeze_v0", "--agent.play", "greedy"]
    flags += ["--agent.exploration.stickiness", "0"]
    assert main(["train", *flags, "--set", "num_agents=8", "mu=20", "sigma=10", "--seed", "3"]) == 0
    trained = capsys.readouterr().out
    assert "final_performance" in trained
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["env_options"] == {"num_agents": 8, "mu": 20, "sigma": 10}
    assert config["agent"]["replay"]["learning_starts"] == 20
    assert main(["evaluate", out]) == 0
    assert agents_scores(capsys.readouterr().out) == agents_scores(trained)
    assert main(["evaluate", out, "--checkpoint", "best", "--episodes", "2", "--seed", "1"]) == 0
    assert main(["train", "--resume", out, "--steps", "90"]) == 0
    with (tmp_path / "run" / "log.csv").open() as file:
        assert max(int(row["step"]) for row in csv.DictReader(file)) == 90
    capsys.readouterr()
    assert main(["train", "--resume", out]) == 0
    assert "run is done after 90 steps" in capsys.readouterr().err


def test_train_takes_nested_yaml(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "env: gaussian_squeeze_v0\nsteps: 12\nquiet: true\nenv_options: {num_agents: 3}\n"
        "agent: {gamma: 0, network: {hidden: [8]}, batch_size: 8}\n"  # one name as it was once
    )
    out = tmp_path / "run"
    flags = ["--out", str(out), "--agent.optimizer.batch-size", "4", "--set", "mu=3"]
    assert main(["train", "--config", str(file), *flags]) == 0
    config = json.loads((out / "config.json").read_text())
    assert config["agent"]["network"]["hidden"] == [8]
    assert config["agent"]["gamma"] == 0
    assert config["agent"]["optimizer"]["batch_size"] == 4
    assert config["env_options"] == {"num_agents": 3, "mu": 3}


def test_a_file_may_start_from_a_preset_and_have_options_by_algorithm(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "preset: small\nsteps: 2\nnum_envs: 6\nquiet: true\nevaluation: {every: 0, episodes: 2}\n"
        "env_options: {map_size: 14, max_cycles: 3}\n"
        "algorithms: {mfac: {entropy: 0.5}, mfq: {gamma: 0.5}}\n"
    )
    out = tmp_path / "run"
    words = ["train", "--config", str(file), "--algo", "mfac", "--out", str(out)]
    assert main(words) == 0
    config = json.loads((out / "config.json").read_text())
    assert config["algo"] == "mfac"
    assert config["agent"]["entropy"] == 0.5  # the file's
    assert config["agent"]["gamma"] == 0.8  # the preset's
    assert config["env_options"]["minimap_mode"] is True


@pytest.mark.parametrize("words", [["train", "--help"], ["compare", "squeeze", "--help"]])
def test_help_of_commands_with_flags(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 0
    assert "--steps" in capsys.readouterr().out


def test_help_of_battles_says_how_to_name_players(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["compare", "battle", "--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    for word in ("--players", "--episodes", "--explore", "NAME=RUN", "--set NAME=VALUE"):
        assert word in printed


def test_help_of_evaluate(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    assert "--checkpoint {last,best}" in capsys.readouterr().out


def test_help_of_training_is_of_the_chosen_algorithm(capsys):
    printed = {}
    for algo in ("mfq", "mfac"):
        with pytest.raises(SystemExit):
            main(["train", "--algo", algo, "--help"])
        printed[algo] = capsys.readouterr().out
    assert "--agent.exploration.stickiness" in printed["mfq"]
    assert "--agent.exploration.stickiness" not in printed["mfac"]
    assert "--agent.rollout.steps" in printed["mfac"]
    for text in printed.values():
        assert "--preset NAME" in text
        assert "--trust" in text


def test_help_of_a_study_lists_its_options(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["compare", "ising", "--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    for option in ("--side", "--coupling", "--field", "--taus", "--seeds", "--quick", "--out"):
        assert option in printed


def test_no_command_shows_the_help_and_fails(capsys):
    assert main([]) == 2
    assert "usage" in capsys.readouterr().out


def press_ctrl_c(words, after):
    """Runs a command, presses Ctrl-C once it has said a word; its status and what it still said."""

    def listen():
        # A shell's background jobs ignore the signal, and what they start inherits that.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    screen, terminal = (
        pty.openpty()
    )  # where there is no terminal, progress comes after half a minute
    termios.tcsetwinsize(terminal, (24, 80))
    process = subprocess.Popen(command(*words), stderr=terminal, preexec_fn=listen)
    os.close(terminal)
    try:
        seen = b""
        while after.encode() not in seen and process.poll() is None:
            seen += os.read(screen, 1)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        rest = b""
        with contextlib.suppress(OSError):  # EIO: the terminal was closed
            while part := os.read(screen, 4096):
                rest += part
        rest = rest.decode()
        process.wait(timeout=60)
    finally:
        os.close(screen)
        process.kill()
        process.wait()
    # As a shell shows it. CPython ends by the signal itself where that came during an exec of a string
    # (in some of Numba's imports), though we have caught it; shells call that 130, too.
    status = process.returncode
    return (status if status >= 0 else 128 - status), rest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "phase", "words"),
    [
        ("ising", "Monte Carlo", ["--sweeps", "3000000", "--taus", "1.0"]),
        ("ising", "agents", ["--sweeps", "10000", "--taus", "1.0"]),
        ("battle", "against", ["--episodes", "100000", "--set", "map_size=14"]),
    ],
)
def test_ctrl_c_ends_quietly_and_leaves_nothing(study, phase, words, tmp_path):
    out = tmp_path / "out"
    words = ["compare", study, *words, "--out", str(out)]
    status, rest = press_ctrl_c(words, after=phase)
    assert status == 130
    assert "interrupted" in rest
    assert "Traceback" not in rest
    assert not out.exists()


def test_opponents_take_the_place_of_a_presets(tmp_path):
    little = ["--steps", "2", "--num-envs", "4", "--evaluation.episodes", "2", "--quiet"]
    words = ["train", "--preset", "small", *little, "--set", "map_size=14", "max_cycles=3"]
    assert (
        main([*words, "--opponents", "lagged", "0.5", "hold", "0.5", "--out", str(tmp_path)]) == 0
    )
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["opponents"] == {"lagged": 0.5, "hold": 0.5}
    assert config["steps"] == 2


def test_steps_that_are_asked_for_count_though_a_preset_has_episodes(tmp_path):
    little = ["--set", "map_size=14", "max_cycles=3", "--evaluation.episodes", "2", "--quiet"]
    words = ["train", "--preset", "fast", "--steps", "3", *little, "--out", str(tmp_path)]
    assert main(words) == 0
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["steps"], config["episodes"]) == (3, 0)


@pytest.mark.slow
def test_a_closed_pipe_ends_quietly():
    words = " ".join(command("list"))
    shell = subprocess.run(
        ["bash", "-c", f"{words} | true"], capture_output=True, text=True, check=False
    )
    assert shell.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_preset_ising_beats_random_play(seed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert (
        main(["train", "--preset", "ising", "--quiet", "--steps", "300", "--seed", str(seed)]) == 0
    )
    scores = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[1:])
    trained, random_play = map(float, scores["return"].split())
    # 200 steps of at most 2. Random play sums to about 0: a sum over 400 agents' coin tosses.
    assert trained > 300
    assert abs(random_play) < 10
    assert (tmp_path / f"runs/ising_v0-mfq-{seed}/best.safetensors").exists()
