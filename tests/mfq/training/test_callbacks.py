"""Callbacks: what is called when, and what they add to the log."""

import csv

import pytest

import mfq

GAME = {"num_agents": 4, "max_cycles": 5}
QUIET = {"quiet": True, "env_options": GAME, "log": {"every": 0}}


class Recorder(mfq.Callback):
    """Writes down its calls."""

    def __init__(self):
        self.calls = []

    def on_start(self, runner):
        self.calls.append("start")

    def on_step(self, runner, transition, is_last):
        assert runner.view.num_agents == len(transition.next_step.reward[0])
        self.calls.append(f"step {runner.done}" + " last" * is_last)

    def on_episodes_end(self, runner, step):
        assert step.ended.any()
        self.calls.append(f"ended {runner.episodes}")

    def on_evaluation(self, runner, scores):
        assert "return" in scores
        self.calls.append("evaluation")

    def on_checkpoint(self, runner, path):
        assert path.is_file()
        self.calls.append(path.stem)

    def on_end(self, runner):
        self.calls.append("end")

    def metrics(self):
        return {"calls": float(len(self.calls))}


def test_the_order_of_calls(tmp_path):
    recorder = Recorder()
    options = {
        **QUIET,
        "steps": 6,
        "out": str(tmp_path),
        "checkpoints": {"every": 2},
        "evaluation": {"every": 4},
    }
    mfq.Runner("gaussian_squeeze_v0", config=options, callbacks=[recorder]).train()
    after_each = ["evaluation", "best", "last"]
    assert recorder.calls == [
        "start",
        "step 1",
        *("step 2", "last"),
        "step 3",
        *("step 4", "last", *after_each),
        *("ended 1", "step 5"),
        *("step 6 last", "last", *after_each),
        "last",
        "end",
    ]


def test_metrics_are_columns_of_the_log(tmp_path):
    options = {
        **QUIET,
        "steps": 4,
        "out": str(tmp_path),
        "log": {"every": 2},
        "evaluation": {"every": 0},
    }
    mfq.Runner("gaussian_squeeze_v0", config=options, callbacks=[Recorder()]).train()
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [row["calls"] for row in rows if row["calls"]] == ["3.0", "5.0"]


def test_the_end_is_called_after_an_error():
    class Fails(Recorder):
        def on_step(self, runner, transition, is_last):
            super().on_step(runner, transition, is_last)
            raise ZeroDivisionError

    recorder = Fails()
    runner = mfq.Runner("gaussian_squeeze_v0", config=QUIET, callbacks=[recorder])
    with pytest.raises(ZeroDivisionError):
        runner.train()
    assert recorder.calls == ["start", "step 1", "end"]


def test_what_is_no_callback_is_named():
    with pytest.raises(TypeError, match=r"callbacks=.*allowed: instances of mfq\.Callback"):
        mfq.Runner("gaussian_squeeze_v0", config=QUIET, callbacks=[print])


def test_the_end_of_all_is_called_though_one_raises():
    class FailsAtTheEnd(Recorder):
        def on_end(self, runner):
            raise ZeroDivisionError

    recorder = Recorder()
    callbacks = [FailsAtTheEnd(), recorder]
    runner = mfq.Runner("gaussian_squeeze_v0", config={**QUIET, "steps": 1}, callbacks=callbacks)
    with pytest.raises(ZeroDivisionError):
        runner.train()
    assert recorder.calls[-1] == "end"
