"""`mfq compare battle`: every pair, both sides, runs of several seeds."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from mfenvs import battle_v0
from mfq.cli import main
from mfq.envs.wrap import wrap
from mfq.matches.evaluate import Record, match
from mfq.matches.intervals import rate, student, wilson
from mfq.matches.players import Random
from mfq.studies.battle import BattleStudy, compare, run
from mfq.studies.battle.config import SIDES
from mfq.studies.battle.study import changed, joined, result, single_runs, starts_of
from mfq.studies.battle.tables import share, table, table_of_runs
from mfq.training.runner import Runner
from tests.mfq.matches.test_players import CONFIG

TINY = {"map_size": 14, "max_cycles": 25}
STUDY = BattleStudy(
    ("random", "hold", "rush"), episodes=8, placement=("fixed",), env_options=TINY, out=None
)


@pytest.fixture(scope="module")
def comparison():
    return compare(STUDY)


def test_every_pair_on_both_sides(comparison):
    study, results, singles = comparison
    assert singles == [], "nobody has several runs"
    names = ("random", "hold", "rush")
    assert [(r.player, r.opponent, r.side) for r in results] == [
        (player, opponent, side)
        for player in names
        for opponent in names
        if player != opponent
        for side in SIDES
    ]
    assert study.env_options["map_size"] == 14
    assert study.env_options["minimap_mode"] is True, "the paper's by default"
    by_name = {(r.player, r.opponent, r.side): r for r in results}
    for r in results:
        assert r.wins + r.draws + r.losses == r.episodes == (8 if r.side == "both" else 4)
        assert r.win_rate == r.wins / r.episodes
        assert (r.win_rate_low, r.win_rate_high) == wilson(r.wins, r.episodes)
        assert r.kill_difference_low <= r.kill_difference <= r.kill_difference_high
        its_side = {"both": "both", "red": "blue", "blue": "red"}[r.side]
        other = by_name[r.opponent, r.player, its_side]
        assert (r.wins, r.draws, r.losses) == (other.losses, other.draws, other.wins)
        assert r.kill_difference == -other.kill_difference
    for player, opponent in (("rush", "random"), ("random", "rush")):
        parts = [by_name[player, opponent, side] for side in ("red", "blue")]
        assert sum(part.wins for part in parts) == by_name[player, opponent, "both"].wins
        mean = sum(part.reward for part in parts) / 2
        assert by_name[player, opponent, "both"].reward == pytest.approx(mean)
    assert by_name["rush", "random", "both"].win_rate == 1
    assert by_name["rush", "random", "both"].reward > by_name["random", "rush", "both"].reward


def test_files_and_table_say_the_same(comparison, tmp_path, capsys):
    results = run(replace(STUDY, out=str(tmp_path)))
    assert results == comparison.results, "the same seed gives the same results"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "battle.csv",
        "battle.png",
        "config.json",
    ]
    with (tmp_path / "battle.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["wins"]) for row in rows] == [r.wins for r in results]
    assert [float(row["reward_low"]) for row in rows] == [r.reward_low for r in results]
    assert json.loads((tmp_path / "config.json").read_text())["env_options"]["map_size"] == 14
    printed = capsys.readouterr().out
    assert "4 episodes a side" in printed
    assert table(results) in printed
    assert max(map(len, table(results).splitlines())) <= 80
    row = next(line for line in printed.splitlines() if line.startswith("rush"))
    assert row.split() == ["rush", "1.0", "+-.16", ".50", "+-.28", "-"]
    won = {r.opponent: r for r in results if (r.player, r.side) == ("rush", "both")}
    assert (won["random"].win_rate, won["hold"].win_rate) == (1, 0.5)
    assert (won["hold"].win_rate_high - won["hold"].win_rate_low) / 2 == pytest.approx(
        0.28, abs=0.005
    )


def record(won):
    """[E] outcomes as a record, a win being one kill more."""
    won = np.array(won, bool)
    return Record(
        won, ~won & False, won * 2.0, {"kills": won * 1.0, "kills_difference": won * 2.0 - 1}
    )


def test_several_runs_have_intervals_over_runs():
    # Two runs against three: the first always wins, the second never.
    records = [record([wins] * 10) for wins in (1, 1, 1, 0, 0, 0)]
    ours = joined(records, runs=2)
    assert ours.won.shape == (2, 3, 10)
    assert ours.won[0].all()
    assert not ours.won[1].any()
    r = result("a", "b", "both", ours)
    assert (r.runs, r.opponent_runs, r.episodes, r.wins, r.losses) == (2, 3, 60, 30, 30)
    assert r.win_rate == 0.5
    assert (r.win_rate_low, r.win_rate_high) == rate(ours.won)
    assert r.win_rate_low < 1e-4
    assert r.win_rate_high > 1 - 1e-4
    # Two runs that lie 2 apart, and three opponents who are alike: t(.975; 1) = 12.706.
    assert r.kill_difference == 0
    assert r.kill_difference_low == pytest.approx(-12.706, abs=1e-3)
    assert (r.kill_difference_low, r.kill_difference_high) == student(
        ours.measures["kills_difference"]
    )
    assert r.reward == 1
    r = result("b", "a", "both", changed(ours, lambda values: values.swapaxes(0, 1)[:, 1:]))
    assert (r.runs, r.opponent_runs, r.wins) == (3, 1, 0)
    assert (r.win_rate_low, r.win_rate_high) == wilson(0, 30)
    r = result("a", "b", "both", changed(ours, lambda values: values[:1]))
    assert (r.runs, r.opponent_runs, r.losses) == (1, 3, 0)
    assert (r.win_rate_low, r.win_rate_high) == wilson(30, 30)
    # One run against one: Wilson's.
    one = result("a", "b", "both", joined([record([1, 0, 0, 1])], runs=1))
    assert (one.win_rate_low, one.win_rate_high) == wilson(2, 4)


def test_the_median_of_single_runs():
    # Runs of 4 episodes as red and 2 as blue; the third wins most.
    won = {"red": [[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0]], "blue": [[1, 0], [1, 1], [1, 1]]}
    singles = []
    for side, rows in won.items():
        ours = joined([record(row) for row in rows], runs=3)
        singles += single_runs("a", ("x", "y", "z"), "b", side, ours)
        assert single_runs("a", ("x",), "b", side, changed(ours, lambda values: values[:1])) == []
    assert [(s.run, s.win_rate, s.episodes) for s in singles[:3]] == [
        ("x", 0.25, 4),
        ("y", 0.0, 4),
        ("z", 0.75, 4),
    ]
    assert (singles[2].win_rate_low, singles[2].win_rate_high) == wilson(3, 4)
    line = table_of_runs(singles).splitlines()[1]
    assert line.split() == ["a", "v", "b", ".25", "(.00-.75)", "1.0", "(.50-1.0)"]


@pytest.mark.slow
def test_runs_meet_scripts_in_the_game_that_they_were_trained_on(tmp_path, capsys):
    folders = []
    for seed in (0, 1):
        folders.append(str(tmp_path / f"run{seed}"))
        Runner(config={**CONFIG, "seed": seed, "out": folders[-1]}).train()
    words = [f"mfq={','.join(folders)}", folders[0], "rush"]
    out = str(tmp_path / "out")
    flags = ["--episodes", "4", "--placement", "fixed", "--set", "max_cycles=15", "--out", out]
    assert main(["compare", "battle", "--players", *words, *flags]) == 0
    with (tmp_path / "out" / "battle.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["side"] == "both"]
    counts = {
        (r["player"], r["opponent"]): (r["runs"], r["opponent_runs"], r["episodes"]) for r in rows
    }
    assert counts["mfq", "rush"] == ("2", "1", "8")
    assert counts["rush", "mfq"] == ("1", "2", "8")
    assert counts["run0", "rush"] == ("1", "1", "4")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["env_options"] == {**CONFIG["env_options"], "max_cycles": 15}
    printed = capsys.readouterr().out
    assert "mfq v run0" in printed

    with (tmp_path / "out" / "battle_runs.csv").open() as file:
        singles = list(csv.DictReader(file))
    assert {single["player"] for single in singles} == {"mfq"}, "the others have one run"
    keys = [(s["opponent"], s["side"], s["run"]) for s in singles]
    assert keys == [
        (opponent, side, run) for opponent in ("run0", "rush") for side in SIDES for run in folders
    ]
    for r in rows:
        if r["player"] == "mfq":
            of_pair = [s for s in singles if (s["opponent"], s["side"]) == (r["opponent"], "both")]
            assert np.mean([float(s["win_rate"]) for s in of_pair]) == float(r["win_rate"])
            assert sum(int(s["episodes"]) for s in of_pair) == int(r["episodes"])
    assert "Single runs, median (extremes)" in printed

    # Names of `play` may be runs, too.
    words = ["--red", folders[0], "--no-window", "--set", "max_cycles=9", "--episodes", "2"]
    assert main(["play", "battle", *words]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line[:18] for line in printed] == ["episode 0: 9 steps", "episode 1: 9 steps"]


def test_every_pair_on_every_start(tmp_path, capsys):
    words = ["--players", "hold", "x=rush,rush", "--episodes", "8", "--out", str(tmp_path)]
    assert main(["compare", "battle", *words, "--set", *(f"{k}={v}" for k, v in TINY.items())]) == 0
    by_start = {}
    for name in ("battle", "battle_runs"):
        with (tmp_path / f"{name}.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0])[-1] == "placement"
        for row in rows:
            by_start.setdefault((name, row.pop("placement")), []).append(row)
    assert [start for _, start in by_start] == ["paper", "random"] * 2
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["placement"] == ["paper", "random"], "the fixed start by its name"
    assert config["env_options"]["placement"] == "paper"
    printed = capsys.readouterr().out
    assert printed.index("Start: paper") < printed.index("Start: random")
    for pair in ("hold v x", "x v hold"):  # of players, and of single runs
        assert printed.count(pair) == 2

    # Each part is what a study of that start alone finds, and what a match in that game comes to.
    for start in ("paper", "random"):
        study = BattleStudy(("hold", "x=rush,rush"), 8, placement=(start,), env_options=TINY)
        _, results, singles = compare(study)
        for name, alone in (("battle", results), ("battle_runs", singles)):
            rows = [{k: str(v) for k, v in r._asdict().items() if k != "placement"} for r in alone]
            assert rows == by_start[name, start], "the same seeds"
        view = wrap(battle_v0.batched_env(4, **{**battle_v0.PAPER, **TINY, "placement": start}))
        ours, _ = match(view, "hold", "rush", 8, study.seed)
        assert np.mean(ours["both"].returns) == pytest.approx(results[0].reward)
    assert by_start["battle", "paper"] != by_start["battle", "random"]


def test_the_fixed_start_of_a_game_is_its_own():
    def starts(*names, **options):
        starts = starts_of(BattleStudy(placement=names, env_options=options))
        return {name: options["placement"] for name, options in starts.items()}

    assert starts("fixed", "random") == {"magent2": "magent2", "random": "random"}
    assert starts("random", "fixed", placement="paper") == {"random": "random", "paper": "paper"}
    assert starts("fixed", placement="random") == {"magent2": "magent2"}
    assert len(starts("fixed", "magent2", "random", placement="random")) == 2
    cells = {"red": [(3, 3)], "blue": [(4, 4)]}
    assert starts("fixed", placement=cells) == {"fixed": (((3, 3),), ((4, 4),))}


@pytest.mark.parametrize(
    ("players", "words"),
    [
        (("rush",), "at least two"),
        (("rush", "rush"), "players has 'rush' twice"),
        (("a=rush", "a=hold"), "players has 'a' twice"),
        (("=rush", "hold"), "players has '=rush'; allowed"),
        (("a=rush,", "hold"), "players has 'a=rush,'; allowed"),
    ],
)
def test_bad_players_are_named(players, words):
    with pytest.raises(ValueError, match=words):
        BattleStudy(players)


@pytest.mark.parametrize(
    "options",
    [
        {"episodes": 1},
        {"seed": -1},
        {"placement": ()},
        {"placement": ("fixed", "chance")},
        {"placement": ("random", ["fixed"])},
    ],
)
def test_bad_options_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        BattleStudy(**options)


def test_the_same_source_may_play_itself():
    players = ("a=rush", "b=rush")
    study = BattleStudy(players, 4, placement=("fixed",), env_options=TINY, out=None)
    results = {(r.player, r.side): r for r in compare(study).results}
    assert results["a", "red"].wins == results["b", "red"].wins, "the same game"
    assert results["a", "both"].wins == results["b", "both"].wins


def test_random_play_is_printed_where_it_is_no_player(capsys):
    study = BattleStudy(("rush", "hold"), 4, placement=("fixed",), env_options=TINY, out=None)
    run(study)
    line = capsys.readouterr().out.splitlines()[-1]
    view = wrap(battle_v0.batched_env(num_envs=2, **{**battle_v0.PAPER, **TINY}))
    rates = [
        match(view, Random(), name, 4, study.seed)[0]["both"].won.mean()
        for name in ("rush", "hold")
    ]
    assert line.endswith(f"against rush {share(rates[0])}, hold {share(rates[1])}")
    run(replace(study, players=("rush", "random")))
    assert "of random play" not in capsys.readouterr().out
