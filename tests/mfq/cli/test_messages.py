"""Errors in one line, with the nearest right name; exit statuses; what a run says."""

import logging

import pytest

import mfq
from mfq.cli import main
from mfq.cli.train import rival
from mfq.training.runner import Runner

TINY = ["train", "--env", "ising", "--set", "side=4", "max_cycles=3", "--steps", "2", "--quiet"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["evalaute"], "command='evalaute'; did you mean evaluate? allowed: train, "),
        (["--verion"], "flag='--verion'; did you mean --version? allowed: train, "),
        (["compare", "--hepl"], "flag='--hepl'; did you mean --help? allowed: ising, "),
        (["evaluate", "--folder", "x"], "an argument is missing; allowed: FOLDER"),
        (["compare", "isng"], "study='isng'; did you mean ising? allowed: ising, "),
        (["record", "batle"], "game='batle'; did you mean battle? allowed: "),
        (["train", "--algo", "mfg"], "algo='mfg'; did you mean mfq? allowed: mfq, iql, mfac, ac, "),
        (["train", "--preset", "smal"], "preset='smal'; did you mean small? allowed: authors, "),
        (["train", "--stepz", "3"], "--stepz is no flag; did you mean --steps? allowed: those of "),
        (["train", "--gamma", "1"], "--gamma is no flag; did you mean --agent.gamma? allowed: "),
        (["train", "--num_env", "1"], "--num-env is no flag; did you mean --num-envs? "),
        (["train", "--steps", "1.5"], "--steps=1.5; allowed: an integer"),
        (["train", "--minutes=soon"], "--minutes=soon; allowed: a number"),
        (["train", "--agent.gamma"], "--agent.gamma=; allowed: a number"),
        (["train", "--set", "map_siz=9"], "no option 'map_siz'; did you mean map_size? allowed: "),
        (["train", "--device", "cdua"], "device='cdua' is not supported; did you mean cuda? "),
        (["train", "--opponents", "rushh", "1"], "rushh is no player; did you mean rush? "),
        (
            ["train", "--agent.exploration.policy", "boltzman"],
            "policy='boltzman'; did you mean boltzmann? allowed: 'boltzmann', 'epsilon_greedy'",
        ),
        (["evaluate"], "an argument is missing; allowed: the folder of the run"),
        (["evaluate", "x", "--checkpoint", "bets"], "--checkpoint=bets; did you mean best? "),
        (["play", "ising", "--seed", str(10**23)], f"seed={10**23}; allowed: 0 to {2**62 - 1}"),
        (["play", "battle", "--red", "mqf"], "mqf is no player; did you mean mfq? "),
        (["compare", "ising", "--taus", "a"], "--taus=a; allowed: one or more values, each a numb"),
        (["train", "--resume", "x", "--seed", "1"], "--seed is no flag; allowed: --steps, --epi"),
    ],
)
def test_the_nearest_right_name_is_offered(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    out, error = capsys.readouterr()
    assert out == ""
    (line,) = error.splitlines()
    assert line.startswith("mfq: ")
    assert says in line


def test_a_misspelt_field_of_a_file_is_answered(tmp_path, capsys):
    (tmp_path / "mine.yaml").write_text("step: 3\n")
    assert main(["train", "--config", str(tmp_path / "mine.yaml")]) == 2
    assert "no field 'step'; did you mean steps? allowed: env, " in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left"), ValueError("no"), ImportError("x")]
)
def test_what_fails_at_work_has_another_status(error, monkeypatch, capsys):
    def fail(self):
        raise error

    monkeypatch.setattr(Runner, "train", fail)
    assert main([*TINY, "--out", "none"]) == 1
    assert capsys.readouterr().err.startswith(f"mfq: {error} (")  # with the place in this file


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 9 GiB"),
        ValueError("Maximum allowed dimension exceeded"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_too_little_memory_is_no_traceback(error, monkeypatch, capsys):
    def fail(self):
        raise error

    monkeypatch.setattr(Runner, "train", fail)
    assert main([*TINY, "--out", "none"]) == 1
    says = capsys.readouterr().err
    assert says.startswith("mfq: out of memory: ")
    assert "allowed: fewer rows (--num-envs)" in says


def test_a_bug_keeps_its_traceback(monkeypatch):
    def fail(self):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Runner, "train", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main([*TINY, "--out", "none"])


def test_ctrl_c_while_a_run_is_made(monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Runner, "__init__", interrupt)
    assert main(TINY) == 130
    assert capsys.readouterr().err == "\nmfq: interrupted\n"


def test_what_mfenvs_logs_is_a_line_of_the_command(monkeypatch, capsys):
    def log(self):
        logging.getLogger("mfenvs").warning("compiling %s for this machine, once; %s", "ising", "x")
        return True

    monkeypatch.setattr(Runner, "train", log)
    monkeypatch.setattr(Runner, "evaluate", lambda self, *_: {"return": 0.0})  # compiles nothing
    handlers = list(logging.getLogger("mfenvs").handlers)
    assert main([*TINY, "--out", "none"]) == 0
    assert capsys.readouterr().err == "mfq: compiling ising for this machine, once\n"
    assert logging.getLogger("mfenvs").handlers == handlers


def test_a_run_says_what_it_trains_and_what_to_type_next(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(TINY[:-1]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mfq: ")]
    out = "runs/ising_v0-mfq-0"
    assert lines[:3] == [
        "mfq: options of the preset ising",
        "mfq: mfq learns ising_v0: 16 agents, 2 steps",
        f"mfq: the run is kept in {out}",
    ]
    assert lines[-3:] == [
        f"mfq: next: mfq evaluate {out} --checkpoint best",
        f"mfq: next: mfq record ising --player {out} --out {out}/ising.html",
        f"mfq: next: mfq play ising --player {out}",
    ]
    for line in lines[-3:]:  # they can be typed
        words = line.removeprefix("mfq: next: mfq ").split()
        assert main([*words, *(["--no-window"] if "play" in words else [])]) == 0


def test_an_army_is_shown_against_the_hardest_that_it_beats():
    against = ("random", "rush")
    assert rival(against, {"random_win_rate": 1.0, "rush_win_rate": 0.6}) == "rush"
    assert rival(against, {"random_win_rate": 1.0, "rush_win_rate": 0.1}) == "random"
    assert rival(against, {"random_win_rate": 0.2, "rush_win_rate": 0.1}) == "random"
    assert rival(("runs/a",), {"a_win_rate": 0.9}) == "runs/a"
    assert rival((), {}) == "rush"


@pytest.mark.slow
def test_the_first_training_beats_random_play(tmp_path, monkeypatch, capsys):
    """In a sixth of its steps."""
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--quiet", "--steps", "500", "--evaluation.every", "0"]) == 0
    runner = mfq.Runner.load("runs/battle_v0-mfq-0")
    scores = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[1:])
    assert float(scores["random_win_rate"].split()[0]) > 0.8
    assert runner.config.env_options["map_size"] == 20


@pytest.mark.parametrize(
    ("words", "option", "says"),
    [
        (["play", "ising"], "episodes: 1.5", "episodes=1.5; allowed: an integer or None"),
        (["play", "ising"], "steps: 2020-01-01", "; allowed: an integer or None"),
        (["play", "ising"], "window: maybe", "window='maybe'; allowed: True or False"),
        (["play", "ising"], "speed: fast", "speed='fast'; allowed: a number"),
        (["play", "ising"], "player: {a: 1}", "player={'a': 1}; allowed: a text or None"),
        (["record", "ising"], "out: 3", "out=3; allowed: a text or None"),
        (["record", "ising"], "explore: 1", "explore=1; allowed: True or False"),
        (["record", "ising"], "env_options: {1: 2}", "env_options={1: 2}; allowed: NAME=VALUE"),
        (["compare", "curves"], "runs: runs/a", "runs='runs/a'; allowed: one or more values"),
        (["compare", "curves"], "runs: [1, null]", "runs=[1, None]; allowed: one or more values"),
        (["compare", "ising"], "seed: abc", "seed='abc'; allowed: an integer"),
    ],
)
def test_an_option_of_another_type_in_a_file_is_answered(words, option, says, tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text(f"{option}\n")
    assert main([*words, "--config", str(file)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"mfq: {file}: ")
    assert says in error
