"""Learning curves: logged metrics of runs by step, as means over seeds with 95% intervals."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfq.matches.evaluate import RANDOM_PLAY
from mfq.matches.intervals import rate_of_runs, student
from mfq.matches.sources import sources_by_name
from mfq.studies import style
from mfq.studies.report import check_folder, write_report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
        ValueError: if the log has no such column, or is damaged.
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
        try:
            return {int(row["step"]): float(row[metric]) for row in table if row[metric]}
        except (ValueError, TypeError, KeyError, csv.Error) as error:
            raise ValueError(f"{path} is damaged or no log of a run: {error!r}") from None


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
        ValueError: if there are no runs or metrics, or the logs of a curve lack a metric.
    """
    for name in ("runs", "metrics"):
        if not getattr(study, name):
            raise ValueError(f"{name} is empty; allowed: one or more")
    points = []
    for (name, folders), metric in product(study.entries().items(), study.metrics):
        logs = [read(folder, metric) for folder in folders]
        if not any(logs):
            raise ValueError(f"metric {metric!r} of {name} has no values; allowed: other metrics")
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


def bands_overlap(points: list[Point]) -> bool:
    """Returns whether the intervals of two curves of a metric overlap at some step."""
    at: dict[tuple[str, int], list[Point]] = {}
    for point in points:
        if np.isfinite(point.low):
            at.setdefault((point.metric, point.step), []).append(point)
    return any(
        one.low <= two.high and two.low <= one.high
        for together in at.values()
        for one, two in combinations(together, 2)
    )


def draw(points: list[Point], random: Mapping[str, float] | None = None) -> Figure:
    """Draws a line of panels for each metric; bands are the intervals, thin lines the extremes.

    Where bands overlap each curve has a panel, with the means of the others behind it.

    Args:
        points: the points of all curves.
        random: scores of random play by metric, drawn as dashed lines.
    """
    metrics = list(dict.fromkeys(point.metric for point in points))
    names = list(dict.fromkeys(point.name for point in points))
    columns = [[name] for name in names] if bands_overlap(points) else [names]
    colours = style.colours(names)
    with style.style():
        figure = style.new_figure(0.6 + 1.75 * len(metrics))
        panels = figure.subplots(
            len(metrics), len(columns), sharex=True, sharey="row", squeeze=False
        )
        for line, metric in zip(panels, metrics, strict=True):
            for axes, shown in zip(line, columns, strict=True):
                for name in names:
                    curve = [p for p in points if (p.name, p.metric) == (name, metric)]
                    _draw_curve(axes, curve, colours[name], name in shown)
                if random and metric in random:
                    style.draw_random_play(axes, random[metric])
                axes.locator_params(axis="x", nbins=4)
            line[0].set_ylabel(style.metric_title(metric).replace(" against", "\nagainst"))
        for axes, shown in zip(panels[0], columns, strict=True):
            if len(columns) > 1:
                axes.set_title(style.title(shown[0]), fontweight="bold")
        for axes in panels[-1]:
            axes.set_xlabel("steps of each row")
        handles = dict(zip(*panels[0, 0].get_legend_handles_labels()[::-1], strict=True))
        if len(columns) > 1:
            handles = {label: handles[label] for label in handles if label == "random play"}
        if handles:
            figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=6)
    return figure


def _draw_curve(axes: Axes, curve: list[Point], colour: str, shown: bool) -> None:
    """Draws a curve with its band, or only its mean, in grey."""
    steps, means = [point.step for point in curve], [point.mean for point in curve]
    if not shown:
        axes.plot(steps, means, color="#cccccc", linewidth=0.8, zorder=0)
        return
    label = style.title(curve[0].name) if curve else None
    axes.plot(steps, means, color=colour, label=label)
    bounds = [point.low for point in curve], [point.high for point in curve]
    axes.fill_between(steps, *bounds, color=colour, alpha=0.2, linewidth=0)
    for end in ("lowest", "highest"):
        values = [getattr(point, end) for point in curve]
        axes.plot(steps, values, color=colour, linewidth=0.5, alpha=0.7)


def write_figure(
    points: list[Point], path: Path, random: Mapping[str, float] | None = None
) -> Path:
    """Writes the figure of `draw`. Returns the path."""
    return style.write(draw(points, random), path)


def table(points: list[Point]) -> str:
    """Formats the last point of each curve."""
    last = {(point.name, point.metric): point for point in points}
    lines = []
    for p in last.values():
        spread = f"{p.runs} runs from {p.lowest:.3f} to {p.highest:.3f}"
        lines.append(f"{p.name}, {p.metric}")
        lines.append(f"  step {p.step:>7}: {p.mean:.3f} ({p.low:.3f} to {p.high:.3f}), {spread}")
    return "\n".join(lines)


def run(study: CurvesStudy) -> list[Point]:
    """Runs `mfq compare curves`: reads the logs, prints the last points, writes the files."""
    check_folder(study, "curves")
    points = curves(study)
    print(table(points))
    random: dict[str, list[float]] = {}
    for (name, metric), value in random_play(study).items():
        print(f"{name:<10} {metric:<28} of random play: {value:.3f}")
        random.setdefault(metric, []).append(value)
    means = {metric: float(np.mean(values)) for metric, values in random.items()}
    write_report(study, "curves", points, lambda path: write_figure(points, path, means))
    return points
