"""The best and the last evaluation against rush of trainings on battle, from their logs.

    python -m baselines.evaluations          # of the committed logs, printed, and as a CSV

The best one was chosen among all of a run by the battles that it is told by, so it looks better than it
is; the last one was not chosen.
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
"""Names of the logs of each study: its algorithm, then the seed."""


class Evaluated(NamedTuple):
    """A run's evaluations against rush.

    Attributes:
        evaluations: how many; ``episodes`` is of each, half of them a side.
        good: in how many of them each side won .6 or more; ``first_good`` is the step of the first,
            NaN for none.
        best_step: of the best one by the weaker side's win rate, of equals the latest.
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
    """What a run's log says of its evaluations against rush.

    Raises:
        ValueError: if there is none.
    """
    with log.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("eval_rush_win_rate")]
    if not rows:
        raise ValueError(f"{log} has no evaluation against rush")
    found = [
        (
            int(row["step"]),
            float(row["eval_rush_win_rate_as_red"]),
            float(row["eval_rush_win_rate_as_blue"]),
        )
        for row in rows
    ]
    good = [step for step, red, blue in found if min(red, blue) >= 0.6]
    best = max(found, key=lambda entry: (min(entry[1:]), entry[0]))
    episodes = int(rows[-1]["eval_rush_episodes"])
    first = good[0] if good else float("nan")
    counts = (len(found), episodes, len(good), first)
    return Evaluated(study, algo, seed, *counts, *best, *found[-1])


def committed() -> list[Evaluated]:
    """The runs whose logs lie in results/, by study, algorithm and seed."""
    found = []
    for study, pattern in STUDIES.items():
        logs = [(re.fullmatch(pattern, log.stem), log) for log in sorted(RESULTS.glob("*.csv"))]
        runs = [
            evaluated(log, study, name[1], int(name[2])) for name, log in logs if name is not None
        ]
        order = list(dict.fromkeys(re.findall(r"\w+", pattern.partition("(")[2].partition(")")[0])))
        found += sorted(runs, key=lambda run: (order.index(run.algo), run.seed))
    return found


def table(runs: Sequence[Evaluated]) -> str:
    """Markdown: the median over runs, and the extremes, of the best and the last by side."""
    lines = [
        "| study | algorithm | runs | best, red | best, blue | last, red | last, blue |",
        "|---|---|---|---|---|---|---|",
    ]
    for study, algo in dict.fromkeys((run.study, run.algo) for run in runs):
        own = [run for run in runs if (run.study, run.algo) == (study, algo)]
        rates = zip(
            *((r.best_as_red, r.best_as_blue, r.last_as_red, r.last_as_blue) for r in own),
            strict=True,
        )
        cells = " | ".join(spread(rate) for rate in rates)
        lines.append(f"| {study} | {algo} | {len(own)} | {cells} |")
    return "\n".join(lines)


def spread(rates: Sequence[float]) -> str:
    """Median (lowest-highest), with two digits."""
    return f"{_share(float(np.median(rates)))} ({_share(min(rates))}-{_share(max(rates))})"


def _share(value: float) -> str:
    return "1.0" if value >= 0.995 else f"{value:.2f}".removeprefix("0")


if __name__ == "__main__":
    runs = committed()
    print(table(runs))
    print(f"\nwritten: {write_csv(RESULTS / 'battle-evaluations.csv', runs)}")
