"""Learning curves: what the logs of runs say by step, over seeds, as means with 95% intervals."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from baselines.named import sources_by_name
from baselines.report import write_report
from mfq.common.files import write_atomically
from mfq.matches.intervals import rate_of_runs, student


@dataclass(frozen=True)
class CurvesStudy:
    """Curves of runs that are there already.

    Attributes:
        runs: folders of runs, or their logs, ANY.csv; NAME=RUN gives a name, NAME=RUN,RUN one curve to
            runs of several seeds.
        metrics: columns of their log.csv.
        out: folder for curves.csv, curves.png and config.json. None writes nothing.
    """

    runs: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("eval_random_win_rate", "eval_rush_win_rate")
    out: str | None = "runs/curves"

    def __post_init__(self) -> None:
        self.entries()

    def entries(self) -> dict[str, tuple[str, ...]]:
        """The folders of each curve, by its name."""
        return sources_by_name("runs", self.runs)


class Point(NamedTuple):
    """A metric at a step, over the runs of a curve that logged it there.

    ``low`` and ``high`` bound the mean over runs: `rate_of_runs` of a win rate, with the episodes that
    the logs count; else Student's interval, none for a single run.
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
    """A metric by step, from the log of a run.

    Raises:
        OSError: if there is no log.
        ValueError: if it has no such column.
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
    """How many episodes all logs together count behind a win rate, by step; none if one does not say."""
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
    """All curves, by name, metric and step."""
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


def write_figure(points: list[Point], path: Path) -> Path:
    """curves.png: a panel for each metric; bands are the intervals, thin lines the extremes."""
    # Without pyplot: a figure of our own touches no global state and needs no screen.
    from matplotlib.figure import Figure

    metrics = list(dict.fromkeys(point.metric for point in points))
    names = list(dict.fromkeys(point.name for point in points))
    figure = Figure(figsize=(1 + 4.2 * len(metrics), 3.4), layout="constrained", dpi=150)
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        for k, name in enumerate(names):
            own = [point for point in points if (point.name, point.metric) == (name, metric)]
            steps = [point.step for point in own]
            colour = f"C{k}"
            axes.plot(steps, [point.mean for point in own], color=colour, label=name)
            bounds = [point.low for point in own], [point.high for point in own]
            axes.fill_between(steps, *bounds, color=colour, alpha=0.25, linewidth=0)
            for end in ("lowest", "highest"):
                values = [getattr(point, end) for point in own]
                axes.plot(steps, values, color=colour, linewidth=0.5, alpha=0.6)
        axes.set_title(metric, fontsize=10)
        axes.set_xlabel("steps of each row")
        axes.locator_params(axis="x", nbins=5)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    return write_atomically(path, figure.savefig)


def table(points: list[Point]) -> str:
    """The last point of each curve."""
    last = {(point.name, point.metric): point for point in points}
    lines = [
        f"{p.name:<10} {p.metric:<28} step {p.step:>7}: {p.mean:.3f} "
        f"({p.low:.3f} to {p.high:.3f}), {p.runs} runs from {p.lowest:.3f} to {p.highest:.3f}"
        for p in last.values()
    ]
    return "\n".join(lines)


def run(study: CurvesStudy) -> list[Point]:
    """`mfq compare curves`: reads the logs, prints where they end, writes the files."""
    points = curves(study)
    print(table(points))
    write_report(study, "curves", points, lambda path: write_figure(points, path))
    return points
