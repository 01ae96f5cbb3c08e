"""`mfq compare curves`: logs of several runs as means with intervals."""

import csv

import numpy as np
import pytest

from mfq.cli import main
from mfq.matches.intervals import student, wilson
from mfq.studies import curves, style
from mfq.studies.curves import CurvesStudy
from mfq.studies.curves import curves as points_of

WINS = {"a": {500: 0.0, 1000: 0.5}, "b": {500: 0.25, 1000: 1.0}, "c": {500: 0.75}}


@pytest.fixture
def runs(tmp_path):
    for name, wins in WINS.items():
        (tmp_path / name).mkdir()
        with (tmp_path / name / "log.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["step", "loss", "wins"])
            for step, value in wins.items():
                writer.writerow([step - 100, 0.5, ""])  # a row of training
                writer.writerow([step, "", value])
    return {name: str(tmp_path / name) for name in WINS}


def test_points_are_means_over_the_runs_that_got_there(runs):
    study = CurvesStudy((f"mfq={runs['a']},{runs['b']},{runs['c']}", f"iql={runs['c']}"), ("wins",))
    points = {(p.name, p.step): p for p in curves.curves(study)}
    assert list(points) == [("mfq", 500), ("mfq", 1000), ("iql", 500)]
    first = points["mfq", 500]
    assert (first.runs, first.lowest, first.highest) == (3, 0.0, 0.75)
    assert first.mean == pytest.approx(1 / 3)
    assert (first.low, first.high) == student(np.array([0.0, 0.25, 0.75]))
    assert (points["mfq", 1000].runs, points["mfq", 1000].mean) == (2, 0.75)
    assert np.isnan(points["iql", 500].low)


def test_files_and_words(runs, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["--runs", f"mfq={runs['a']},{runs['b']}", "--metrics", "wins", "loss"]
    assert main(["compare", "curves", *words, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "step    1000: 0.750" in printed
    assert "2 runs from 0.500 to 1.000" in printed
    with (out / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [
        (row["metric"], row["step"], row["mean"]) for row in rows if row["metric"] == "wins"
    ] == [
        ("wins", "500", "0.125"),
        ("wins", "1000", "0.75"),
    ]
    assert (out / "curves.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "runs is empty"),
        (["--runs", "name="], "'name='; allowed: RUN, NAME=RUN"),
        (["--runs", "a=x", "a=y"], "'a' twice"),
        (["--runs", "a=no/such/run"], "no/such/run/log.csv"),
    ],
)
def test_nonsense(words, error, capsys):
    try:
        status = main(["compare", "curves", *words, "--out", "None"])
    except SystemExit as leaving:  # tyro's, where the options themselves are wrong
        status = leaving.code
    assert status == 2
    assert error in " ".join(capsys.readouterr().err.split())


def test_an_unknown_metric_is_named(runs):
    with pytest.raises(ValueError, match=r"metric 'kills' .* allowed: step, loss, wins"):
        curves.curves(CurvesStudy((f"a={runs['a']}",), ("kills",)))


def test_runs_that_are_alike_have_wilsons_interval_of_the_episodes_logged(tmp_path):
    folders = []
    for k in range(2):
        folder = tmp_path / f"run{k}"
        folder.mkdir()
        (folder / "log.csv").write_text(
            "step,eval_rush_win_rate,eval_rush_win_rate_as_red,eval_rush_episodes\n500,1,1,40\n"
        )
        folders.append(str(folder))
    metrics = ("eval_rush_win_rate", "eval_rush_win_rate_as_red")
    study = CurvesStudy(runs=(f"mfq={','.join(folders)}",), metrics=metrics, out=None)
    both, red = points_of(study)
    assert (both.low, both.high) == wilson(80, 80)
    assert (red.low, red.high) == wilson(40, 40)


def figure_of(tmp_path, second, random=None):
    """The figure of two curves of two runs each, which win .3 to .4 and ``second``."""
    runs = []
    for name, rates in (("mfq", (0.3, 0.4)), ("iql", second)):
        for k, rate in enumerate(rates):
            folder = tmp_path / f"{name}{k}"
            folder.mkdir()
            lines = "".join(f"{step},{rate}\n" for step in (500, 1000))
            (folder / "log.csv").write_text(f"step,eval_rush_return\n{lines}")
        runs.append(f"{name}={tmp_path / name}0,{tmp_path / name}1")
    metrics = ("eval_rush_return",)
    return curves.draw(points_of(CurvesStudy(tuple(runs), metrics, out=None)), random)


def test_where_bands_overlap_each_curve_has_a_panel(tmp_path):
    figure = figure_of(tmp_path, (0.35, 0.45))
    assert [axes.get_title() for axes in figure.axes] == ["MFQ", "IQL"]
    assert figure.axes[0].get_ylabel() == "return\nagainst rush"
    for axes, name in zip(figure.axes, ("mfq", "iql"), strict=True):
        assert len(axes.collections) == 1  # one band
        colours = [line.get_color() for line in axes.lines]
        assert colours.count(style.COLOURS[name]) == 3  # mean and extremes
        assert colours.count("#cccccc") == 1  # the mean of the other


def test_where_no_bands_overlap_there_is_one_panel(tmp_path):
    figure = figure_of(tmp_path, (9.0, 9.1), {"eval_rush_return": 0.1, "loss": 1.0})
    (axes,) = figure.axes
    assert len(axes.collections) == 2
    assert list(axes.lines[-1].get_ydata()) == [0.1, 0.1]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["MFQ", "IQL", "random play"]


@pytest.mark.parametrize(
    ("log", "says"),
    [
        ("step,wins\n3\n", "metric 'wins' of a has no values; allowed: other metrics"),
        ("wins\n0.5\n", "log.csv is damaged or no log of a run: KeyError('step')"),
        ("step,wins\ninf,0.5\n", "log.csv is damaged or no log of a run: ValueError("),
        (f"step,wins\n3,{'9' * 200_000}\n", "log.csv is damaged or no log of a run: Error("),
    ],
)
def test_a_log_without_values_is_answered_and_nothing_is_written(log, says, tmp_path, capsys):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "log.csv").write_text(log)
    words = ["--runs", f"a={tmp_path / 'a'}", "--metrics", "wins", "--out", str(tmp_path / "out")]
    assert main(["compare", "curves", *words]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_names_of_curves_are_no_formulas(runs, tmp_path):
    out = tmp_path / "out"
    words = ["--runs", f"$\\frac$={runs['a']}", "--metrics", "wins", "--out", str(out)]
    assert main(["compare", "curves", *words]) == 0
    assert (out / "curves.png").stat().st_size > 5000


def test_random_play_is_the_mean_of_the_last_scores_of_the_runs(tmp_path):
    for name, last in (("a", 0.5), ("b", 0.25)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "log.csv").write_text(
            f"step,eval_return,eval_random_play_return\n1,3,0.125\n2,4,{last}\n"
        )
    runs = (f"mfq={tmp_path / 'a'},{tmp_path / 'b'}",)
    study = CurvesStudy(runs, ("eval_return",))
    assert curves.random_play(study) == {("mfq", "eval_return"): 0.375}
    assert curves.random_play(CurvesStudy(runs, ("step",))) == {}
