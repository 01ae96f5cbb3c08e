"""What a run says while it goes on: a CSV always, TensorBoard on request, one progress bar."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mfq.common.files import write_atomically


class Log:
    """Rows of metrics by environment step, appended to ``log.csv``; one bar on standard error.

    A run that resumes first drops the rows after the step that it resumes from, so that the file reads
    as if nothing had happened.

    Args:
        folder: where to write; None writes nothing.
        columns: the metrics that will come; others get a column when they do.
        total, done: how long the run is, and how much of it is done, for the bar.
        start: the step that the run resumes from.
        unit: of ``total`` and ``done``.
        tensorboard: also writes TensorBoard events.
        quiet: shows no bar.

    Raises:
        ImportError: if TensorBoard is asked for and not installed.
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
        self._bar = tqdm(
            total=total, initial=done, unit=unit, dynamic_ncols=True, disable=quiet or None
        )

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Adds a row, and shows it beside the bar."""
        if self._path is not None:
            new = [name for name in metrics if name not in self._columns]
            if new:  # a metric nobody announced: the file gets a column more
                self._columns += new
                self._keep_until(self._path, step)
            with self._path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self._columns).writerow({"step": step, **metrics})
        if self._board is not None:
            for name, value in metrics.items():
                self._board.add_scalar(name, value, step)
        self._bar.set_postfix({name: f"{value:.3g}" for name, value in list(metrics.items())[:4]})

    def advance(self, by: int = 1) -> None:
        """Moves the bar."""
        self._bar.update(by)

    def close(self) -> None:
        """Leaves the bar as it is and closes files."""
        self._bar.close()
        if self._board is not None:
            self._board.close()

    def _keep_until(self, path: Path, start: int) -> None:
        kept = []
        if start and path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                found = csv.DictReader(file)
                names = found.fieldnames or []
                self._columns += [name for name in names if name not in self._columns]
                # A kill may have cut the last line short.
                kept = [
                    row
                    for row in found
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
