"""The best and the last evaluation against rush of runs on battle, from their logs.

    python -m baselines.evaluations          # of the committed logs, printed, and as a CSV

The best evaluation of a run is chosen by the battles that it reports, so it is biased upwards; the
last one is not chosen.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mfq.common.files import write_csv

RESULTS = Path(__file__).parent / "results"
STUDIES = {
    "small": r"battle-small-(mfq|iql)-(\d)",
    "small, four": r"battle-small-four-(mfq|iql|mfac|ac)-(\d)",
    "small, pairing current": r"battle-small-(mfq)-current-(\d)",
    "large": r"battle-h100-(mfq|iql)-(\d)",
}
"""Patterns of the names of each study's logs, with groups for algorithm and seed."""


class Evaluated(NamedTuple):
    """A run's evaluations against rush.

    Attributes:
        evaluations: number of evaluations, of ``episodes`` battles each, half of them on each side.
        good: number of evaluations in which each side won .6 or more; ``first_good`` is the step of the
            first of them, NaN without one.
        best_step: step of the best one by the weaker side's win rate; the latest among equals.
    """

    study: str
    algo: str
    seed: int
    evaluations: int
    episodes: int
    good: int
    first_good: float
    best_step: int
    best_as_red: float
    best_as_blue: float
    last_step: int
    last_as_red: float
    last_as_blue: float


def evaluated(log: Path, study: str, algo: str, seed: int) -> Evaluated:
    """Summarises the evaluations against rush in the log of a run.

    Raises:
        ValueError: if the log has none.
    """
    with log.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("eval_rush_win_rate")]
    if not rows:
        raise ValueError(f"{log} has no evaluation against rush")
    scores = [
        (
            int(row["step"]),
            float(row["eval_rush_win_rate_as_red"]),
            float(row["eval_rush_win_rate_as_blue"]),
        )
        for row in rows
    ]
    good = [step for step, red, blue in scores if min(red, blue) >= 0.6]
    best = max(scores, key=lambda entry: (min(entry[1:]), entry[0]))
    episodes = int(rows[-1]["eval_rush_episodes"])
    first = good[0] if good else float("nan")
    counts = (len(scores), episodes, len(good), first)
    return Evaluated(study, algo, seed, *counts, *best, *scores[-1])


def committed() -> list[Evaluated]:
    """Returns the runs with logs in results/, by study, algorithm and seed."""
    summaries = []
    for study, pattern in STUDIES.items():
        logs = [(re.fullmatch(pattern, log.stem), log) for log in sorted(RESULTS.glob("*.csv"))]
        runs = [
            evaluated(log, study, name[1], int(name[2])) for name, log in logs if name is not None
        ]
        order = list(dict.fromkeys(re.findall(r"\w+", pattern.partition("(")[2].partition(")")[0])))
        summaries += sorted(runs, key=lambda run: (order.index(run.algo), run.seed))
    return summaries


def table(runs: Sequence[Evaluated]) -> str:
    """Formats median and extremes over runs of the best and the last evaluation by side, as Markdown."""
    lines = [
        "| study | algorithm | runs | best, red | best, blue | last, red | last, blue |",
        "|---|---|---|---|---|---|---|",
    ]
    for study, algo in dict.fromkeys((run.study, run.algo) for run in runs):
        of_algo = [run for run in runs if (run.study, run.algo) == (study, algo)]
        rates = zip(
            *((r.best_as_red, r.best_as_blue, r.last_as_red, r.last_as_blue) for r in of_algo),
            strict=True,
        )
        cells = " | ".join(spread(rate) for rate in rates)
        lines.append(f"| {study} | {algo} | {len(of_algo)} | {cells} |")
    return "\n".join(lines)


def spread(rates: Sequence[float]) -> str:
    """Formats rates as median (lowest-highest), with two digits."""
    return f"{_share(float(np.median(rates)))} ({_share(min(rates))}-{_share(max(rates))})"


def _share(value: float) -> str:
    return "1.0" if value >= 0.995 else f"{value:.2f}".removeprefix("0")


if __name__ == "__main__":
    runs = committed()
    print(table(runs))
    print(f"\nwritten: {write_csv(RESULTS / 'battle-evaluations.csv', runs)}")
