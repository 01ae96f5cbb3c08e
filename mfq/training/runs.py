"""Finds the runs in a folder, with their scores."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mfq.matches.evaluate import Scores
from mfq.training.log import EVALUATED
from mfq.training.summary import headline

UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    OverflowError,  # of a step that is not finite
    RecursionError,  # of a config nested too deep
    csv.Error,
)
"""The errors of a folder that is no run, or a damaged one."""


class KeptRun(NamedTuple):
    """A run that is kept in a folder.

    Attributes:
        folder: the folder.
        env, algo: the names in its config.
        seed: its seed.
        step: the last step in its log.
        score: the `headline` of its last evaluation, by name, with random play's; {} before the first.
    """

    folder: Path
    env: str
    algo: str
    seed: int
    step: int
    score: Scores


def runs_in(folder: str | Path) -> Iterator[KeptRun]:
    """Yields the runs in the subfolders of a folder, by name. Other folders are passed over."""
    for config in sorted(Path(folder).glob("*/config.json")):
        log = config.with_name("log.csv")
        try:
            options = json.loads(config.read_text(encoding="utf-8"))
            with log.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            yield _run(config.parent, options, rows)
        except UNREADABLE:
            continue  # results of a study, or no run of this version


def _run(folder: Path, options: dict[str, Any], rows: list[dict[str, str]]) -> KeptRun:
    evaluated = [scores for row in rows if (scores := _scores(row))]
    side = None if options["sides"] == "both" else options["sides"]
    return KeptRun(
        folder=folder,
        env=str(options["env"]),
        algo=str(options["algo"]),
        seed=int(options["seed"]),
        step=int(float(rows[-1]["step"])) if rows else 0,
        score=headline(evaluated[-1], side) if evaluated else {},
    )


def _scores(row: dict[str, str]) -> Scores:
    """Returns the scores of an evaluation in a row of a log; {} for other rows."""
    return {
        name.removeprefix(EVALUATED): float(value)
        for name, value in row.items()
        if name is not None and name.startswith(EVALUATED) and value  # None: cells without a column
    }


def described(run: KeptRun) -> str:
    """Returns a run in a line."""
    words = f"{run.folder}: {run.env}, {run.algo}, seed {run.seed}, step {run.step}"
    line = ", ".join([words, *(f"{name} {value:.4g}" for name, value in run.score.items())])
    # Files are data: a name in them sends no control characters to a terminal.
    return "".join(char if char.isprintable() else "?" for char in line)
