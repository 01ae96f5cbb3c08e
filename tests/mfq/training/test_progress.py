"""What a run shows while it trains and when it ends: the bar, lines without a terminal, the summary."""

import io
import re
import sys

import pytest
import yaml

import mfq
from mfq.cli import main
from mfq.common import progress
from mfq.matches.evaluate import selection_score
from mfq.training.config import RunConfig
from mfq.training.log import Log
from mfq.training.summary import below_random, headline, in_words, table

RATES = {
    "random_win_rate": 0.9,
    "random_win_rate_as_red": 0.95,
    "rush_win_rate": 0.3,
    "rush_win_rate_as_red": 0.25,
    "rush_return": 7.0,
    "random_play_random_win_rate": 0.5,
    "random_play_random_win_rate_as_red": 0.4,
    "random_play_rush_win_rate": 0.02,
    "random_play_rush_win_rate_as_red": 0.01,
}


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """A clock that goes on ten seconds each time that it is looked at."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        self.now += 10.0
        return self.now


def test_the_headline_is_of_the_hardest_opponent():
    assert headline(RATES) == {"rush_win_rate": 0.3, "random play": 0.02}
    assert headline({"return": 2.0, "length": 3.0}) == {"return": 2.0}
    scores = {"return": 2.0, "length": 3.0, "random_play_return": 1.0}
    assert headline(scores) == {"return": 2.0, "random play": 1.0}


def test_scores_in_words():
    assert (
        in_words(RATES)
        == "win rate 0.90 against random, 0.30 against rush (random play: 0.50, 0.02)"
    )
    assert in_words(RATES, "red") == (
        "win rate 0.95 against random, 0.25 against rush (random play: 0.40, 0.01)"
    )
    assert in_words({"rush_win_rate": 1.0}) == "win rate 1.00 against rush"
    assert in_words({"return": 2.0, "random_play_return": 1.0}) == "return 2 (random play: 1)"


def test_a_long_name_has_a_line_of_its_own_in_a_table():
    name = "a" * 60 + "_win_rate"
    lines = table({"return": 2.5, name: 0.25, f"random_play_{name}": 0.125}).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[2] == name
    assert lines[3].split() == ["0.25", "0.125"]


def test_on_a_terminal_each_evaluation_has_a_line(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    train()
    lines = re.findall(r"step (\d): return [\d.]+\n", sys.stderr.getvalue())
    assert lines == ["4", "8"]


def test_a_table_has_random_play_beside_the_agent():
    printed = table({"return": 2.5, "rush_win_rate_low": 0.25, "random_play_return": 1.0})
    assert [line.split() for line in printed.splitlines()] == [
        ["agent", "random", "play"],
        ["return", "2.5", "1"],
        ["rush_win_rate_low", "0.25"],
    ]


def train(quiet=False, **changes):
    options = {
        "env_options": {"num_agents": 4, "max_cycles": 3},
        "steps": 8,
        "evaluation": {"every": 4},
        "log": {"every": 2},
        "quiet": quiet,
        "agent": {"network": {"hidden": [4]}},
    }
    mfq.Runner("gaussian_squeeze_v0", config={**options, **changes}).train()


def test_the_bar_shows_the_reward_and_the_last_evaluation(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    train()
    last = sys.stderr.getvalue().split("\r")[-1]
    assert re.search(r"8/8 .*, reward [\d.e+-]+, return [\d.e+-]+, random play [\d.e+-]+", last)


def test_without_a_terminal_a_line_is_written_every_half_minute(monkeypatch, capsys):
    monkeypatch.setattr(
        progress, "time", Clock()
    )  # one look a step: lines after 3 and 6 of 8 steps
    train()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(r"step 3/8, 0.1 steps/s, 50 s left, reward [\d.e+-]+", lines[0])
    assert re.fullmatch(
        r"step 6/8, 0.1 steps/s, 20 s left, reward [\d.e+-]+, return [\d.e+-]+, random play [\d.e+-]+",
        lines[1],
    )
    train(quiet=True)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_no_lines(monkeypatch):
    monkeypatch.setattr(progress, "time", Clock())
    monkeypatch.setattr(sys, "stderr", Terminal())
    shown = Log(None, [], total=9)
    for _ in range(9):
        shown.advance()
    shown.close()
    assert "steps/s" not in sys.stderr.getvalue()


# -- the end ------------------------------------------------------------------------------------


def test_a_run_ends_with_a_summary(tmp_path, capsys):
    out = tmp_path / "run"
    little = ["--steps", "2", "--num-envs", "6", "--evaluation.episodes", "2"]
    words = ["train", "--preset", "small", *little, "--set", "map_size=14", "max_cycles=3"]
    assert main([*words, "--out", str(out)]) == 0
    printed = capsys.readouterr()
    for name in ("random_win_rate", "rush_win_rate", "rush_win_rate_as_red"):
        assert re.search(rf"^{name} +\S+ +\S+$", printed.out, re.M), name
    assert re.search(
        r"mfq: done after 2 steps, \d+ s\n"
        r"mfq: win rate [\d.]+ against random, [\d.]+ against rush \(random play: [\d.]+, [\d.]+\)\n"
        rf"mfq: the run is kept in {out}\n"
        rf"mfq: best checkpoint: {out}/best.safetensors, score [\d.]+\n"
        rf"mfq: next: mfq evaluate {out} --checkpoint best\n"
        rf"mfq: next: mfq record battle --red {out} --blue \w+ --out {out}/battle.html\n"
        rf"mfq: next: mfq play battle --red {out} --blue \w+\n",
        printed.err,
    )


def test_the_next_command_trusts_what_the_run_names(tmp_path, capsys):
    words = ["train", "--env", "tests.fakes.meadow:make", "--graph", "tests.fakes.meadow:ring"]
    assert main([*words, "--steps", "2", "--out", str(tmp_path)]) == 0
    trust = "--trust tests.fakes.meadow:make --trust tests.fakes.meadow:ring"
    assert f"mfq evaluate {tmp_path} --checkpoint best {trust}\n" in capsys.readouterr().err


# -- below random play --------------------------------------------------------------------------

BELOW = {"return": 1.0, "random_play_return": 2.0}


@pytest.mark.parametrize(
    ("algo", "agent", "tries"),
    [
        (
            "mfq",
            {},
            "--agent.exploration.stickiness 0.3 or "
            "--agent.pairing current --agent.iterations 3 --agent.damping 0.5",
        ),
        (
            "mfq",
            {"pairing": "current", "play": "greedy"},
            "--agent.pairing previous or --agent.play sample",
        ),
        (
            "mfq",
            {"pairing": "current", "iterations": 3, "damping": 0.5},
            "--agent.pairing previous or --agent.exploration.stickiness 0.3",
        ),
        ("mfq", {"replay": {"kind": "compact"}}, "--agent.exploration.stickiness 0.3"),
        # Greedy in either play.
        (
            "mfq",
            {"exploration": {"policy": "epsilon_greedy", "stickiness": 0.5}, "play": "greedy"},
            "--agent.pairing current --agent.iterations 3 --agent.damping 0.5",
        ),
        ("iql", {}, "--agent.exploration.stickiness 0.3"),
        ("mfac", {}, "--agent.play sample"),
        ("mfac", {"pairing": "previous"}, "--agent.pairing current or --agent.play sample"),
        ("ac", {"play": "sample"}, None),
    ],
)
def test_below_random_play_says_what_to_try(algo, agent, tries):
    config = RunConfig(algo=algo, agent=agent)
    remark = below_random(BELOW, config)
    assert remark.startswith("the run scores below random play: return 1, of random play 2")
    assert remark.partition("; try ")[2] == (tries or "")
    for option in [] if tries is None else tries.split(" or "):  # one that the run may take
        flags, changed = option.replace("--agent.", "").split(), {**agent}
        for name, value in zip(flags[::2], flags[1::2], strict=True):
            *part, name = name.split(".")
            values = {name: yaml.safe_load(value)}
            changed |= {part[0]: {**agent.get(part[0], {}), **values}} if part else values
        RunConfig(algo=algo, agent=changed)
    assert below_random({**BELOW, "return": 2.0}, config) is None
    assert below_random({"return": 1.0}, config) is None


def test_with_opponents_the_lower_sides_decide():
    config = RunConfig(evaluation={"against": ("random", "rush")})
    assert below_random(RATES, config) is None
    low = {**RATES, "random_win_rate_as_red": 0.1, "rush_win_rate_as_red": 0.1}
    assert "lower side) 0.1, of random play 0.205; try" in below_random(low, config)


def test_the_return_of_several_groups_is_no_verdict():
    """What wolves earn sheep lose. With ``sides`` the return of that side counts."""
    scores = {"return": 1.0, "return_wolf": 3.0, "return_sheep": -1.0, "length": 5.0}
    chance = {"return": 2.0, "return_wolf": 1.5, "return_sheep": 2.5}
    scores |= {f"random_play_{name}": value for name, value in chance.items()}
    assert below_random(scores, RunConfig()) is None
    of_wolves = RunConfig(opponents={"random": 1.0}, sides="wolf")
    of_sheep = RunConfig(opponents={"random": 1.0}, sides="sheep")
    assert below_random(scores, of_wolves) is None
    assert "return -1, of random play 2.5" in below_random(scores, of_sheep)
    assert headline(scores, "wolf") == {"return_wolf": 3.0, "random play": 1.5}
    assert headline(scores) == {"return": 1.0, "random play": 2.0}
    assert selection_score(scores, "wolf") == 3.0


class Zero(mfq.QAgent):
    """Plays 0, which earns nothing in the squeeze."""

    def __init__(self, view, config, seed):
        super().__init__(view, True, config, seed)

    def act(self, step, explore=True):
        return super().act(step, explore).clamp(max=0)


def test_a_run_that_ends_below_random_play_warns(capsys):
    options = {"env_options": {"num_agents": 4, "mu": 10, "sigma": 5}, "steps": 2}
    runner = mfq.Runner("gaussian_squeeze_v0", Zero, options)
    with pytest.warns(UserWarning, match="below random play: return 0, of random play .*; try --a"):
        scores = runner.run()
    assert scores["return"] == 0 < scores["random_play_return"]
    mfq.Runner("gaussian_squeeze_v0", Zero, {**options, "quiet": True}).run()
    capsys.readouterr()
    words = [
        "train",
        "--env",
        "gaussian_squeeze_v0",
        "--algo",
        f"{__name__}:Zero",
        "--steps",
        "2",
        "--quiet",
        "--out",
        "none",
    ]
    assert main([*words, "--set", "num_agents=4", "mu=10", "sigma=5"]) == 0
    assert "mfq: the run scores below random play" in capsys.readouterr().err
