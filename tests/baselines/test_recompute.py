"""Committed summaries follow from the results of single runs that are committed beside them."""

import pytest

from baselines import recompute
from baselines.third_party import Summary
from mfq.studies.battle import Result, Single
from mfq.studies.curves import Point


def assert_equal(found, kept):
    assert len(found) == len(kept) > 0
    for mine, its in zip(found, kept, strict=True):
        assert mine._asdict() == pytest.approx(its._asdict(), abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("name", recompute.BATTLES)
def test_battles(name):
    kept = recompute.read(name, Result)
    assert_equal(recompute.battle_results(name), kept)
    # What the intervals are about follows from the runs as well.
    singles = recompute.read(f"{name}_runs", Single)
    checked = 0
    for r in kept:
        mine = [s for s in singles if s[:1] + s[2:4] == (r.player, r.opponent, r.side)]
        assert len(mine) == (r.runs if r.runs > 1 else 0)
        if mine:
            checked += 1
            assert sum(s.episodes for s in mine) == r.episodes
            assert sum(s.win_rate for s in mine) / r.runs == pytest.approx(r.win_rate)
            margin = sum(s.kill_difference for s in mine) / r.runs
            assert margin == pytest.approx(r.kill_difference)
    assert checked >= 24


@pytest.mark.parametrize("name", recompute.CURVES)
def test_curves(name):
    assert_equal(recompute.curve_points(name), recompute.read(f"{name}-curves", Point))


def test_third_party():
    assert_equal(recompute.summaries(), recompute.read("third_party_summary", Summary))


@pytest.mark.parametrize("name", recompute.BATTLES)
def test_the_columns_of_the_files_stay(name):
    """These files have no column of the start, whose place the page names."""
    (row, *_) = recompute.without_start(recompute.battle_results(name))
    header = (recompute.RESULTS / f"{name}.csv").read_text().splitlines()[0]
    assert ",".join(row._fields) == header
