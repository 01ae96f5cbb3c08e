"""The files of a study: its results, its figure and its options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mfq.common.config import to_json
from mfq.common.files import check_out, write_csv


def check_folder(study: Any, name: str) -> None:
    """Checks, before a study is computed, that its files can be written and replace no others.

    Args:
        study: a dataclass of options, with ``out`` and ``overwrite``.
        name: the stem of the file names.

    Raises:
        OSError: if files cannot be written to the folder.
        ValueError: if it holds results and ``overwrite`` is False.
    """
    if study.out is not None:
        patterns = ("config.json", f"{name}.csv", f"{name}_*.csv", f"{name}.png")
        check_out(study.out, patterns, study.overwrite, "or another folder")


def write_report(
    study: Any,
    name: str,
    rows: Sequence[Any],
    draw: Callable[[Path], Path] | None = None,
    runs: Sequence[Any] = (),
) -> None:
    """Writes NAME.csv, NAME_runs.csv, NAME.png and config.json into the study's folder, and prints
    their paths.

    Args:
        study: a dataclass of options; its ``out`` is the folder. None writes nothing.
        name: the stem of the file names.
        rows: named tuples of one class.
        draw: writes the figure to a path. None writes no figure.
        runs: rows of single runs. If empty, NAME_runs.csv is not written.
    """
    if study.out is None:
        return
    out = Path(study.out)
    written = [write_csv(out / f"{name}.csv", rows)]
    if runs:
        written.append(write_csv(out / f"{name}_runs.csv", runs))
    if draw is not None:
        written.append(draw(out / f"{name}.png"))
    # A permission to overwrite is for one run of the study.
    written.append(to_json(replace(study, overwrite=False), out / "config.json"))
    print("\nwritten: " + ", ".join(map(str, written)))
