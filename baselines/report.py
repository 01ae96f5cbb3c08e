"""What a study leaves behind: its rows, its figure and its options, as files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mfq.common.config import to_json
from mfq.common.files import write_csv


def write_report(
    study: Any,
    name: str,
    rows: Sequence[Any],
    draw: Callable[[Path], Path] | None = None,
    runs: Sequence[Any] = (),
) -> None:
    """Writes NAME.csv, NAME_runs.csv, NAME.png and config.json into the study's folder, and prints
    where they are.

    Args:
        study: a dataclass of options; its ``out`` is the folder, and None writes nothing.
        name: of the files.
        rows: named tuples of one kind.
        draw: makes the figure at a path; None makes none.
        runs: rows of single runs; none write no file.
    """
    if study.out is None:
        return
    out = Path(study.out)
    written = [write_csv(out / f"{name}.csv", rows)]
    if runs:
        written.append(write_csv(out / f"{name}_runs.csv", runs))
    if draw is not None:
        written.append(draw(out / f"{name}.png"))
    written.append(to_json(study, out / "config.json"))
    print("\nwritten: " + ", ".join(map(str, written)))
