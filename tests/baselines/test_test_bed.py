"""The test bed's script, and what docs/studies/test_bed.md says beside its CSV."""

import re

import numpy as np
import pytest

import mfq
from baselines import test_bed as bed
from baselines.test_bed import BedStudy, Run, agent_options, below_random, cell, read, table, tables
from mfq.matches.intervals import student
from tests.baselines.test_pages import ROOT
from tests.fakes.test_bed import GAMES

RESULTS = ROOT / "baselines/results/test-bed.csv"
PAGE = (ROOT / "docs/studies/test_bed.md").read_text()
PROSE = " ".join(PAGE.split())


def test_a_study_trains_what_is_missing(tmp_path, capsys):
    out = str(tmp_path / "study")
    options = {"quick": True, "processes": 1, "out": out, "games": ("cue", "fireflies")}
    runs = bed.run(BedStudy(methods=("random", "previous, 3 damped"), **options))
    names = [(run.game, run.method, run.seed) for run in runs]
    methods = ("random", "previous, 3 damped", "previous, 3 damped, sampled")
    # Games and methods in the order of their lists.
    assert names == [(g, m, s) for g in ("fireflies", "cue") for m in methods for s in (0, 1)]
    assert {run.steps for run in runs} == {0, 40}
    assert read(tmp_path / "study/test_bed.csv") == runs
    printed = capsys.readouterr().out
    assert printed.strip() == tables(runs)
    assert (tmp_path / "study/test_bed.md").read_text() == tables(runs) + "\n"
    again = bed.run(BedStudy(methods=("random", "iql", "previous, 3 damped"), **options))
    assert set(runs) < set(again)  # seconds included: they were not trained again
    assert len(again) == 20


def test_a_run_does_not_depend_on_others():
    study = BedStudy(quick=True)
    first, again = (bed.train_one(study, "minority", "mfac, previous", 1) for _ in range(2))
    assert [run[:4] for run in first] == [run[:4] for run in again]
    assert [run.score for run in first] == [run.score for run in again]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"games": ("chess",)}, "games='chess'; allowed: 'coordination-ring'"),
        ({"methods": ("mfq",)}, "methods='mfq'; allowed: 'random'"),
        ({"seeds": 0}, "seeds=0"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        BedStudy(**options)


def test_the_methods_are_what_they_are_called():
    config = agent_options("cue", "current, 3 damped", 600)
    assert (config.pairing, config.iterations, config.damping) == ("current", 3, 0.5)
    assert (config.gamma, config.exploration.steps, config.exploration.stickiness) == (0, 300, 0)
    config = agent_options("fireflies", "previous, inertia", 1500)
    assert config == mfq.QConfig(pairing="previous", play="greedy", exploration={"stickiness": 0.3})
    assert agent_options("cue", "mfac, current", 600).pairing == "current"


def test_tables_by_hand():
    runs = [
        Run("cue", method, seed, 0, 0.0, score)
        for method, scores in (("random", (4.0, 6.0)), ("iql", (4.4, 9.6)), ("ac", (4.6,)))
        for seed, score in enumerate(scores)
    ]
    # Student's quantile of one degree of freedom is 12.706.
    assert cell(runs, "cue", "iql") == f"7.00 ± {12.706 * 2.6:.2f}"
    assert cell(runs, "cue", "ac") == "4.60"
    assert cell(runs, "cue", "current") == ""
    assert below_random(runs, "iql") == (1, 2, ["cue"])
    assert below_random(runs, "ac") == (0, 1, [])
    assert (
        table(runs, ("iql",)).splitlines()[2].startswith("| cue | 20.00 | 20.00 | 5.00 ± 12.71 |")
    )


# -- the page -----------------------------------------------------------------------------------------


def printed_tables():
    """The tables of the page, by title."""
    parts = re.split(
        r"^### (.*)$", PAGE.partition("## Tables")[2].partition("\n## ")[0], flags=re.MULTILINE
    )
    return {title: text.strip() for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def test_the_tables_are_the_results():
    parts = re.split(r"^### (.*)$", tables(read(RESULTS)), flags=re.MULTILINE)
    want = {title: text.strip() for title, text in zip(parts[1::2], parts[2::2], strict=True)}
    assert printed_tables() == want


def scores(game, method):
    return np.array([r.score for r in read(RESULTS) if (r.game, r.method) == (game, method)])


def test_all_games_and_their_seeds_are_there():
    for game in GAMES:
        for method in ("random", "iql", "current", "previous"):
            runs = [r for r in read(RESULTS) if (r.game, r.method) == (game, method)]
            assert [r.seed for r in runs] == list(range(len(runs)))
            assert len(runs) >= 3


def test_the_defaults_are_not_below_random_and_not_below_iql():
    assert (mfq.QConfig().pairing, mfq.QConfig().play) == ("previous", "sample")
    runs = read(RESULTS)
    low = {run.method: below_random(runs, run.method) for run in runs}
    assert low["previous, sampled"] == (1, 120, ["minority"])
    assert "in 1 of 120 runs, MFQ with the paper's pairing in 67 (greedy play) or 39 (" in PROSE
    assert low["previous, inertia, sampled"] == (0, 120, [])
    assert low["iql, sampled"] == (1, 120, ["minority"])
    for method, count in (("iql", 27), ("current", 67), ("current, sampled", 39), ("previous", 30)):
        assert low[method][:2] == (count, 120)
        assert f"{count} of {method}" in PROSE
    for game in GAMES:
        ours, iql = scores(game, "previous, sampled"), scores(game, "iql, sampled")
        assert np.median(ours) > np.median(iql) - 0.04 * GAMES[game](1).best(), game


def test_where_agents_must_differ_the_defaults_are_a_little_below_random():
    level = [g for g in GAMES if g.startswith("anti")] + ["minority", "wishes"]
    below = {}
    for game in GAMES:
        chance = scores(game, "random").mean()
        below[game] = chance - scores(game, "previous, sampled")
    assert sum((below[game] > 0).sum() for game in level) == 37
    assert all((below[game] < 0).all() for game in GAMES if game not in level)
    assert f"{below['minority'].mean():.2f}"[1:] == ".36"
    assert (
        "37 of 50 runs by the defaults are below the mean of random play, by at most 1.3" in PROSE
    )
    assert "scores .36 less" in PROSE
    assert max(below[game].max() for game in level) < 1.3


def test_why_the_mean_field_hurts_and_helps():
    for game in ("public-good", "fireflies"):
        for method in ("current", "current, sampled"):
            assert scores(game, method).mean() < scores(game, "random").mean()
    for method in ("current", "current, sampled"):
        assert scores("alternation", method).mean() < scores("alternation", "iql").mean()
    for game in ("anti-coordination-all", "anti-coordination-torus", "minority"):
        for method in ("iql", "previous"):
            assert scores(game, method).mean() < 0.9 * scores(game, "random").mean()
    for game in ("anti-coordination-ring", "anti-coordination-torus"):
        for play in ("", ", sampled"):
            for pairing in ("current", "previous"):
                assert scores(game, f"{pairing}, inertia{play}").mean() > 10.0
            assert scores(game, f"previous, inertia{play}").min() > 10.0
            assert scores(game, f"iql, inertia{play}").mean() < 10.0
    assert scores("alternation", "previous, sampled").min() > 13.34
    assert scores("fireflies", "iql").mean() > scores("fireflies", "previous").mean()


def test_damped_iterations_help_where_neighbours_are_few():
    variants = {r.method for r in read(RESULTS) if r.method.startswith(("current", "previous"))}
    for game in ("anti-coordination-ring", "anti-coordination-torus", "fireflies", "wishes"):
        means = {method: scores(game, method).mean() for method in variants}
        assert max(means, key=means.get).startswith("current, 3 damped"), game
        damped, plain = (scores(game, f"current, 3 {kind}") for kind in ("damped", "iterations"))
        assert damped.mean() > plain.mean() + 3
    for game in ("anti-coordination-all", "minority", "public-good"):
        for play in ("", ", sampled"):
            ours = scores(game, f"current, 3 damped{play}")
            assert ours.mean() < 0.9 * scores(game, "random").mean()


def test_fireflies_by_default_options_are_within_the_interval_of_iql_or_above():
    for play in ("", ", sampled"):
        ours, iql = scores("fireflies", f"previous{play}"), scores("fireflies", f"iql{play}")
        assert len(ours) == len(iql) == 10
        assert ours.mean() >= student(iql)[0]
        assert ours.min() > scores("fireflies", "random").max()
