"""Atomic writes: files are written under a temporary name, then moved into place."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> Path:
    """Calls ``write`` with a temporary path beside ``path``, and moves the result there.

    Args:
        path: the file to write; missing folders are made.
        write: a function that writes the file at a path. If it raises, the temporary file is removed.

    Returns:
        The path.

    Raises:
        OSError: if the file cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp puts eight characters between prefix and suffix, which `clear_leftovers` matches.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    try:
        write(Path(name))
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
    return path


def clear_leftovers(folder: str | Path) -> None:
    """Removes temporary files of `write_atomically` that a killed process left in a folder.

    No other process may write there at the same time.
    """
    for path in Path(folder).glob(".*-????????.*"):
        path.unlink(missing_ok=True)


def write_csv(path: str | Path, rows: Sequence[Any]) -> Path:
    """Writes named tuples of one type, at least one, with a header; NaN becomes an empty cell."""

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(rows[0]._fields)
            for row in rows:
                writer.writerow(["" if value != value else value for value in row])

    return write_atomically(path, write)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
