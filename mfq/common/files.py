"""Files that are there whole or not at all: written under a temporary name, then moved into place."""

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
        path: where the file belongs; folders are made as needed.
        write: writes the file that it is given. If it raises, nothing stays behind.

    Returns:
        The path.

    Raises:
        OSError: if the place cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp puts eight characters between the two, by which `clear_leftovers` knows its own.
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
    """Removes what `write_atomically` left half-written in a folder as its process was killed.

    Nobody may be writing there.
    """
    for path in Path(folder).glob(".*-????????.*"):
        path.unlink(missing_ok=True)


def write_csv(path: str | Path, rows: Sequence[Any]) -> Path:
    """Writes named tuples of one kind, at least one, under their names; NaN as an empty cell."""

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
