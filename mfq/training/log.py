"""The log of a run: a CSV file, TensorBoard on request, and a progress bar or lines."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mfq.common.files import write_atomically
from mfq.common.progress import Progress

EVALUATED = "eval_"
"""Prefix of an evaluation's scores among the columns."""


class Log:
    """Appends rows of metrics to ``log.csv``, and shows `Progress`.

    A resumed run first drops the rows after the step that it resumes from, so that the file is the same
    as without an interruption.

    Args:
        folder: the folder of the files; None writes nothing.
        columns: the first columns; other metrics get a column when they first occur.
        total, done: the length of the run, and the part of it that is done, for the progress.
        start: the step that the run resumes from.
        unit: the unit of ``total`` and ``done``.
        tensorboard: if True, also writes TensorBoard events.
        quiet: if True, shows no progress.

    Raises:
        ImportError: if ``tensorboard`` is True and TensorBoard is not installed.
    """

    def __init__(
        self,
        folder: Path | None,
        columns: list[str],
        total: int,
        done: int = 0,
        start: int = 0,
        unit: str = "step",
        tensorboard: bool = False,
        quiet: bool = False,
    ) -> None:
        self._columns = ["step", *columns]
        self._path = None if folder is None else folder / "log.csv"
        if self._path is not None:
            self._keep_until(self._path, start)
        self._board: Any = None
        if tensorboard and folder is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise ImportError(
                    "tensorboard is not installed: pip install 'mfenvs[log]'"
                ) from None
            self._board = SummaryWriter(str(folder), purge_step=start + 1)
        self._progress = Progress(total, unit, done, quiet=quiet)

    def show(self, metrics: Mapping[str, float]) -> None:
        """Shows metrics beside the bar, or in the lines."""
        self._progress.show(", ".join(f"{name} {value:.3g}" for name, value in metrics.items()))

    def say(self, line: str) -> None:
        """Prints a line above the bar; nothing where there is no bar."""
        self._progress.say(line)

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Appends a row."""
        if self._path is not None:
            new = [name for name in metrics if name not in self._columns]
            if new:  # rewrites the file with more columns
                self._columns += new
                self._keep_until(self._path, step)
            with self._path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self._columns).writerow({"step": step, **metrics})
        if self._board is not None:
            for name, value in metrics.items():
                self._board.add_scalar(name, value, step)

    @property
    def done(self) -> int:
        """The part of the run that is done."""
        return self._progress.done

    def advance(self, by: int = 1) -> None:
        """Adds to the part of the run that is done."""
        self._progress.advance(by)

    def close(self) -> None:
        """Ends the progress, and closes the files."""
        self._progress.close()
        if self._board is not None:
            self._board.close()

    def _keep_until(self, path: Path, start: int) -> None:
        kept = []
        if start and path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                names = reader.fieldnames or []
                self._columns += [name for name in names if name not in self._columns]
                # The last line may be incomplete if the process was killed.
                kept = [
                    row
                    for row in reader
                    if None not in row.values()
                    and row["step"].isdigit()
                    and int(row["step"]) <= start
                ]

        def write(temporary: Path) -> None:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, self._columns, restval="", extrasaction="ignore")
                writer.writeheader()
                writer.writerows(kept)

        write_atomically(path, write)
