"""The study of third-party suites in small, docs/studies/suites.md beside its CSV, and the adapters."""

import csv
import re

import numpy as np
import pytest

import mfq
from baselines import adapters, suites
from baselines.suites import SUITES, Run, SuitesStudy, graph_name, read, summary, table, verdict
from tests.baselines.test_pages import ROOT

RESULTS = ROOT / "baselines/results/suites.csv"
PAGE = (ROOT / "docs/studies/suites.md").read_text()
GUIDE = (ROOT / "docs/suites.md").read_text()
SMALL = {"games": ("frozen-lake",), "steps": 20, "episodes": 2}


def test_a_study_trains_what_is_missing(tmp_path, capsys, monkeypatch):
    out = str(tmp_path / "study")
    first = suites.run(SuitesStudy(**SMALL, seeds=1, out=out))
    assert [(run.suite, run.seed, run.steps) for run in first] == [("frozen-lake", 0, 80)]
    trained, train_one = [], suites.train_one
    monkeypatch.setattr(
        suites, "train_one", lambda *words: trained.append(words[1:]) or train_one(*words)
    )
    runs = suites.run(SuitesStudy(**SMALL, seeds=2, out=out))
    assert trained == [("frozen-lake", 1)]
    assert runs[0] == first[0]
    assert read(tmp_path / "study/suites.csv") == runs
    assert table(runs) in capsys.readouterr().out


def test_a_run_depends_on_its_seed_alone(monkeypatch):
    agents, make_agent = [], suites.make_agent
    monkeypatch.setattr(
        suites,
        "make_agent",
        lambda *words, **options: agents.append(make_agent(*words, **options)) or agents[-1],
    )
    runs = [suites.train_one(SuitesStudy(**SMALL), "frozen-lake", seed) for seed in (1, 1, 2)]
    assert runs[0][:-1] == runs[1][:-1]  # all but the minutes
    first, again, other = (next(agent.parts[0].module.parameters()) for agent in agents)
    assert first.equal(again)
    assert not first.equal(other)


def test_a_suite_that_is_not_installed_is_skipped(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(suites, "installed", lambda name: None)
    assert suites.run(SuitesStudy(**SMALL, out=str(tmp_path))) == []
    assert "frozen-lake is skipped: gymnasium is not installed" in capsys.readouterr().out


def test_where_sides_fight_one_learns_and_the_other_plays_at_random(monkeypatch):
    pytest.importorskip("mpe2")
    acted = []

    class Counting(mfq.Random):
        def act(self, step, explore=True):
            acted.append(step.types.names)
            return super().act(step, explore)

    monkeypatch.setattr(mfq, "Random", Counting)
    monkeypatch.setattr(suites, "scores", lambda *words: [0.0])
    run = suites.train_one(SuitesStudy(steps=5), "simple-tag", 0)
    assert run.steps == 10
    assert acted == [("adversary", "agent")] * 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"games": ("chess",)}, "games='chess'; allowed: 'lbforaging'"),
        ({"seeds": 0}, "seeds=0"),
        ({"steps": -1}, "steps=-1"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SuitesStudy(**options)


def runs_of(*gains, suite="bsuite"):
    return [Run(suite, "1.0", seed, 100, 2.0 + gain, 2.0, 0.1) for seed, gain in enumerate(gains)]


def test_the_table_by_hand():
    # Student's quantile of two degrees of freedom is 4.303; the standard deviation of the three is 1.
    (line,) = table(runs_of(3.0, 4.0, 5.0)).splitlines()[2:]
    half = 4.303 / np.sqrt(3)
    assert line.startswith(
        "| bsuite | bsuite 1.0 | catch | 1 | `None` | `DmEnv`, 15 lines | 100 | 3 |"
    )
    assert line.endswith(f"| 2.00 ± 0.00 | 6.00 ± {half:.2f} | yes |")
    assert graph_name("all") == '`"all"`'
    assert graph_name(mfq.Within(160.0, suites.crossings)) == "`mfq.Within(160, crossings)`"


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ((3.0, 4.0, 5.0), "yes"),
        ((0.1, 9.0, 0.1), "unclear"),  # each above, but the interval reaches below
        ((1.0, -1.0, 1.0), "unclear"),
        ((0.0, -1.0, 0.0), "no"),
        ((0.5,), "one run"),
    ],
)
def test_the_verdict_needs_more_than_one_run(gains, expected):
    assert verdict(runs_of(*gains)) == expected


def test_games_by_verdict():
    runs = [*runs_of(1.0, 1.0, suite="lle"), *runs_of(-1.0), *runs_of(-2.0, suite="nasim")]
    assert summary(runs).splitlines() == [
        "- Above random play: lle.",
        "- Not above random play: nasim, bsuite.",
    ]


def test_lines_of_an_adapter():
    assert adapters.lines(adapters.Spaces) == 9


# -- the page -----------------------------------------------------------------------------------------


def test_the_table_of_the_page_is_the_results():
    assert f"\n\n{table(read(RESULTS))}\n\n{summary(read(RESULTS))}\n\n" in PAGE


def test_the_notes_of_the_page():
    gains, scores = {}, {}
    for run in read(RESULTS):
        gains.setdefault(run.suite, []).append(run.score - run.random)
        scores.setdefault(run.suite, []).append(run.score)
    for name in ("minigrid", "nasim", "crafter", "pistonball"):
        assert sum(gain < 0 for gain in gains[name]) == 1
    for name in ("dsse", "simple-reference"):
        assert min(gains[name]) > 0
    for name in ("rware", "tiger-deer", "lle"):
        assert set(scores[name]) == {0.0}
    assert np.allclose(scores["mosaic"], 0, atol=0.01)
    assert set(scores["cliff"]) == {-100.0}
    share = np.mean(gains["momaland"]) / (np.mean(scores["momaland"]) - np.mean(gains["momaland"]))
    assert f"{share:.2f}" == "0.01"
    assert max(run.minutes for run in read(RESULTS)) < 1
    text = " ".join(PAGE.split())
    assert "One run each of minigrid, nasim, crafter and pistonball is below random play." in text
    assert "Each run of dsse and simple-reference is above random play" in text
    counts = [line.count(",") + 1 for line in summary(read(RESULTS)).splitlines()]
    assert f"{counts[0]} of {sum(counts)} third-party games train above" in text
    assert f"{counts[1]} are unclear" in text
    assert f"{counts[2]} are not above random play" in text


def test_the_guide_prints_the_adapters():
    used = {suite.adapter for suite in SUITES.values() if suite.adapter}
    blocks = re.findall(r"```py\n(.*?)\n```", GUIDE, re.S)
    assert sorted(blocks) == sorted(adapters.source(adapter) for adapter in used)


def test_the_page_names_every_suite():
    for suite in SUITES.values():
        assert suite.package in PAGE, suite.package
    with RESULTS.open(newline="") as file:
        assert {row["suite"] for row in csv.DictReader(file)} <= set(SUITES)
