"""Learning curves: logged metrics of runs by step, as means over seeds with 95% intervals."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mfq.common.files import write_atomically
from mfq.matches.evaluate import RANDOM_PLAY
from mfq.matches.intervals import rate_of_runs, student
from mfq.matches.sources import sources_by_name
from mfq.studies.report import check_folder, write_report


@dataclass(frozen=True)
class CurvesStudy:
    """The learning curves of finished runs.

    Attributes:
        runs: folders of runs, or their logs (ANY.csv). NAME=RUN names a curve; NAME=RUN,RUN is one curve
            of several runs.
        metrics: columns of the logs.
        out: folder for curves.csv, curves.png and config.json. None writes nothing.
        overwrite: whether results in that folder may be replaced.
    """

    runs: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("eval_random_win_rate", "eval_rush_win_rate")
    out: str | None = "runs/curves"
    overwrite: bool = False

    def __post_init__(self) -> None:
        self.entries()

    def entries(self) -> dict[str, tuple[str, ...]]:
        """Returns the folders of each curve, by its name."""
        return sources_by_name("runs", self.runs)


class Point(NamedTuple):
    """A metric at a step, over the runs of a curve that logged it at that step.

    ``low`` and ``high`` bound the mean over runs. For a win rate they are `rate_of_runs`, with the
    number of episodes in the logs. For other metrics they are Student's interval, NaN for a single run.
    """

    name: str
    metric: str
    step: int
    runs: int
    mean: float
    low: float
    high: float
    lowest: float
    highest: float


def read(folder: str, metric: str) -> dict[int, float]:
    """Reads a metric by step from the log of a run.

    Raises:
        OSError: if there is no log.
        ValueError: if the log has no such column.
    """
    path = Path(folder)
    path = path if path.suffix == ".csv" else path / "log.csv"
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        if metric not in (table.fieldnames or ()):
            raise ValueError(
                f"metric {metric!r} is not logged in {folder}; allowed: "
                + ", ".join(table.fieldnames or ())
            )
        return {int(row["step"]): float(row[metric]) for row in table if row[metric]}


def episodes(folders: Iterable[str], metric: str) -> dict[int, int]:
    """Returns the number of episodes behind a win rate in all logs, by step; empty if a log lacks it."""
    opponent, _, side = metric.partition("_win_rate")
    counts: dict[int, float] = {}
    try:
        for folder in folders:
            for step, count in read(folder, f"{opponent}_episodes").items():
                counts[step] = counts.get(step, 0.0) + count
    except ValueError:
        return {}
    return {step: round(count / (2 if side else 1)) for step, count in counts.items()}


def curves(study: CurvesStudy) -> list[Point]:
    """Returns the points of all curves, by name, metric and step.

    Raises:
        OSError: if a run has no log.
        ValueError: if there are no runs or metrics, or a log lacks a metric.
    """
    for name in ("runs", "metrics"):
        if not getattr(study, name):
            raise ValueError(f"{name} is empty; allowed: one or more")
    points = []
    for (name, folders), metric in product(study.entries().items(), study.metrics):
        logs = [read(folder, metric) for folder in folders]
        is_rate = "win_rate" in metric
        counts = episodes(folders, metric) if is_rate else {}
        for step in sorted(set().union(*logs)):
            values = np.array([log[step] for log in logs if step in log])
            bounds = (
                rate_of_runs(values, episodes=counts.get(step) or None)
                if is_rate
                else student(values)
            )
            spread = float(values.min()), float(values.max())
            points.append(
                Point(name, metric, step, len(values), float(values.mean()), *bounds, *spread)
            )
    return points


def random_play(study: CurvesStudy) -> dict[tuple[str, str], float]:
    """Returns random play's scores by name and metric, as means over runs; older logs have none."""
    means = {}
    for (name, folders), metric in product(study.entries().items(), study.metrics):
        column = f"eval_{RANDOM_PLAY}{metric.removeprefix('eval_')}"
        try:
            logged = [list(read(folder, column).values()) for folder in folders]
        except ValueError:
            continue
        if metric.startswith("eval_") and all(logged):
            means[name, metric] = float(np.mean([values[-1] for values in logged]))
    return means


def write_figure(points: list[Point], path: Path) -> Path:
    """Draws a panel for each metric; bands are the intervals, thin lines the extremes."""
    # Not pyplot: such a figure changes no global state and needs no screen.
    from matplotlib.figure import Figure

    metrics = list(dict.fromkeys(point.metric for point in points))
    names = list(dict.fromkeys(point.name for point in points))
    figure = Figure(figsize=(1 + 4.2 * len(metrics), 3.4), layout="constrained", dpi=150)
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        for k, name in enumerate(names):
            curve = [point for point in points if (point.name, point.metric) == (name, metric)]
            steps = [point.step for point in curve]
            colour = f"C{k}"
            axes.plot(steps, [point.mean for point in curve], color=colour, label=name)
            bounds = [point.low for point in curve], [point.high for point in curve]
            axes.fill_between(steps, *bounds, color=colour, alpha=0.25, linewidth=0)
            for end in ("lowest", "highest"):
                values = [getattr(point, end) for point in curve]
                axes.plot(steps, values, color=colour, linewidth=0.5, alpha=0.6)
        axes.set_title(metric, fontsize=10)
        axes.set_xlabel("steps of each row")
        axes.locator_params(axis="x", nbins=5)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    return write_atomically(path, figure.savefig)


def table(points: list[Point]) -> str:
    """Formats the last point of each curve."""
    last = {(point.name, point.metric): point for point in points}
    lines = [
        f"{p.name:<10} {p.metric:<28} step {p.step:>7}: {p.mean:.3f} "
        f"({p.low:.3f} to {p.high:.3f}), {p.runs} runs from {p.lowest:.3f} to {p.highest:.3f}"
        for p in last.values()
    ]
    return "\n".join(lines)


def run(study: CurvesStudy) -> list[Point]:
    """Runs `mfq compare curves`: reads the logs, prints the last points, writes the files."""
    check_folder(study, "curves")
    points = curves(study)
    print(table(points))
    for (name, metric), value in random_play(study).items():
        print(f"{name:<10} {metric:<28} of random play: {value:.3f}")
    write_report(study, "curves", points, lambda path: write_figure(points, path))
    return points
