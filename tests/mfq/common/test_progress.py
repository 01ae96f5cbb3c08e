"""Progress: a bar on a terminal, elsewhere a line every half minute, nothing for short work."""

import io
import sys

import pytest

import mfq
from mfenvs import ising_v0
from mfq.common import progress
from mfq.common.progress import Progress, duration, tick, watched


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """A clock that goes on by some seconds each time that it is looked at."""

    def __init__(self, seconds):
        self.now, self.seconds = 0.0, seconds

    def monotonic(self):
        self.now += self.seconds
        return self.now


def test_without_a_terminal_there_is_a_line_every_half_minute(monkeypatch, capsys):
    monkeypatch.setattr(progress, "time", Clock(10))
    with Progress(100, "match", description="a against b") as shown:
        for _ in range(7):
            shown.advance()
        shown.describe("a against c")
        shown.show("win rate 0.5")
        shown.advance(12)
        shown.advance()
        shown.say("only above a bar")
    assert capsys.readouterr().err.splitlines() == [
        "a against b, match 3/100, 0.1 matches/s, 16 min left",
        "a against b, match 6/100, 0.1 matches/s, 16 min left",
        "a against c, match 20/100, 0.222 matches/s, 6 min left, win rate 0.5",
    ]


def test_of_an_unknown_total_no_end_is_said(monkeypatch, capsys):
    monkeypatch.setattr(progress, "time", Clock(40))
    with Progress(None, "frame") as shown:
        shown.advance(2)
    assert capsys.readouterr().err == "frame 2, 0.05 frames/s\n"


def test_quiet_work_says_nothing(monkeypatch, capsys):
    monkeypatch.setattr(progress, "time", Clock(40))
    with watched(3, "step", quiet=True):
        tick()
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_and_lines_above_it(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress(4, "step", description="train") as shown:
        shown.advance(3)
        shown.say("step 3: all is well")
        shown.advance()
    printed = sys.stderr.getvalue()
    assert "train: 100%" in printed
    assert "4/4" in printed
    assert "step 3: all is well\n" in printed
    assert "steps/s" not in printed


def test_short_work_shows_no_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with watched(2, "episode"):
        tick()
    assert sys.stderr.getvalue().strip() == ""
    monkeypatch.setattr(progress, "DELAY", 0.0)
    with watched(2, "episode"):
        tick(2)
    assert "2/2" in sys.stderr.getvalue()


def test_ticks_go_to_the_work_that_is_watched():
    tick()  # nothing is
    with watched(5, "episode") as outer:
        tick(2)
        with watched(3, "frame") as inner:
            tick()
        tick()
    assert (outer.done, inner.done) == (3, 1)


def test_evaluations_and_recordings_tick(tmp_path):
    view = mfq.wrap(ising_v0.batched_env(2, side=3, max_cycles=3))
    with watched(5, "episode") as shown:
        mfq.evaluate(view, "random", episodes=5)
    assert shown.done == 5
    view = mfq.wrap(ising_v0.batched_env(1, side=3, max_cycles=3))
    for name in ("a.html", "a.gif"):
        with watched(None, "frame") as shown:
            mfq.record(view, "random", tmp_path / name)
        assert shown.done == 3


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1.4, "1 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")],
)
def test_times_in_words(seconds, words):
    assert duration(seconds) == words
