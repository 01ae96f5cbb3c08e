"""Best and last evaluations, from logs."""

import csv

import pytest

from baselines.evaluations import RESULTS, Evaluated, committed, evaluated, table

RATE = "eval_rush_win_rate"
HEAD = f"step,loss,eval_rush_episodes,{RATE},{RATE}_as_red,{RATE}_as_blue"


def log(folder, *lines):
    path = folder / "log.csv"
    path.write_text("\n".join([HEAD, *lines, ""]))
    return path


def test_the_best_is_by_the_weaker_side_and_of_equals_the_latest(tmp_path):
    path = log(
        tmp_path,
        "50,.5,,,,",
        "100,.4,40,.5,1.0,0.0",  # more on average than what follows, but nothing as blue
        "200,.3,40,.6,0.6,0.6",
        "300,.2,40,.8,1.0,0.6",
        "400,.1,40,.4,0.55,0.25",
    )
    found = evaluated(path, "small", "mfq", 3)
    assert found == Evaluated("small", "mfq", 3, 4, 40, 2, 200, 300, 1.0, 0.6, 400, 0.55, 0.25)


def test_a_run_that_was_never_good(tmp_path):
    found = evaluated(log(tmp_path, "100,.4,40,.5,1.0,0.59"), "small", "mfq", 0)
    assert found.good == 0
    assert found.first_good != found.first_good


def test_a_log_without_evaluations(tmp_path):
    with pytest.raises(ValueError, match=r"log\.csv has no evaluation against rush"):
        evaluated(log(tmp_path, "50,.5,,,,"), "small", "mfq", 0)


def test_medians_and_extremes():
    runs = [
        Evaluated("small", "mfq", seed, 1, 40, 1, 100, 100, best, 1.0, 200, last, 0.0)
        for seed, (best, last) in enumerate([(0.2, 0.1), (0.9, 0.3), (1.0, 0.2)])
    ]
    line = "| small | mfq | 3 | .90 (.20-1.0) | 1.0 (1.0-1.0) | .20 (.10-.30) | .00 (.00-.00) |"
    assert table(runs).splitlines()[2:] == [line]


def test_the_committed_file_is_what_the_logs_say():
    with (RESULTS / "battle-evaluations.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == Evaluated._fields
    runs = committed()
    assert len(runs) == 35
    for row, run in zip(rows, runs, strict=True):
        assert row == ["" if value != value else str(value) for value in run]
