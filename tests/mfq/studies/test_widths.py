"""The tables of studies fit 80 columns, with many players and long names, too."""

from itertools import permutations

import pytest

from mfq.studies.battle.config import SIDES, Result, Single
from mfq.studies.battle.tables import table as battles
from mfq.studies.battle.tables import table_of_runs
from mfq.studies.curves import Point
from mfq.studies.curves import table as curves
from mfq.studies.dilemma.config import Contrast, Payoff
from mfq.studies.dilemma.tables import table as payoffs
from mfq.studies.dilemma.tables import table_of_contrasts, table_of_random_play

LONG = "a-run-with-a-name-of-forty-two-letters-abc"
SHORT = ["mfq", "iql", "mfac", "ac", "rush", "focus", "hold", "random", "mfq-large", "iql-large"]


def results(names):
    numbers = (1, 1, 100, 33, 33, 34, 0.33, 0.25, 0.41, 9.0, -12.0, -12.3, -11.7, 1.0, 0.9, 1.1)
    return [
        Result(one, two, side, *numbers) for one, two in permutations(names, 2) for side in SIDES
    ]


@pytest.mark.parametrize("names", [SHORT[:4], SHORT, [*SHORT, LONG], [LONG, f"{LONG}2"]])
def test_of_battles(names):
    text = battles(results(names))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    for name in names:
        assert name in text
    # Each pair has its numbers, in a line of its own or beside its name.
    assert text.count("-12.0 (-12.3 to -11.7)") == len(names) * (len(names) - 1) / 2
    assert text.count(".33 +-.08") == len(names) * (len(names) - 1)


def test_of_few_battles_it_is_one_block():
    text = battles(results(SHORT[:4]))
    assert "\n            mfq        iql       mfac         ac\n" in text
    assert "\nmfq v iql" in text


@pytest.mark.parametrize("name", ["mfq", LONG])
def test_of_single_runs(name):
    runs = [
        Single(name, run, f"{name}2", side, 100, 0.5, 0.4, 0.6, 1.0)
        for run in "ab"
        for side in SIDES
    ]
    text = table_of_runs(runs)
    assert max(map(len, text.splitlines())) <= 80
    assert f"{name} v" in text


@pytest.mark.parametrize("name", ["mfq", LONG])
def test_of_the_other_studies(name):
    payoff = Payoff(name, "blue", "strikes", "learned", 1, 9, *[-10.25] * 7)
    contrast = Contrast(name, "blue", "strikes", 1, 9, -10.25, -10.5, -10.0, 0.5, 1.0)
    point = Point(name, "eval_random_win_rate_as_blue", 1_000_000, 10, *[0.5] * 5)
    for text in (
        payoffs([payoff]),
        table_of_contrasts([contrast]),
        table_of_random_play({(name, "blue"): -10.25}),
        curves([point]),
    ):
        assert max(map(len, text.splitlines())) <= 80
        assert name in text
