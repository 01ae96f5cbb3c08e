"""Atomic writes, and checks of the folders that results go to.

A file is written under a temporary name, then moved into place.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_type_hints


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


def read_csv(path: str | Path, kind: type[Any]) -> list[Any]:
    """Returns the rows of a file of `write_csv` as named tuples of a type.

    Args:
        path: the file.
        kind: the class of the named tuples; its fields are of type str, int or float.
    """
    types = get_type_hints(kind)
    with Path(path).open(newline="", encoding="utf-8") as file:
        return [
            kind(
                **{
                    name: float(cell or "nan") if types[name] is float else types[name](cell)
                    for name, cell in cells.items()
                }
            )
            for cells in csv.DictReader(file)
        ]


def check_out(out: str | Path, patterns: Sequence[str], overwrite: bool, instead: str) -> None:
    """Checks, before any work, that results can be written to a folder and replace nothing there.

    It changes nothing and makes no folder.

    Args:
        out: the folder, which may be missing.
        patterns: the names of the files of such results, such as "*.safetensors".
        overwrite: whether results in the folder may be replaced.
        instead: what else is allowed, for the error message.

    Raises:
        OSError: if files cannot be written there; the message names the folder.
        ValueError: if the folder holds such files and ``overwrite`` is False.
    """
    check_writable(out)
    held = sorted({path.name for pattern in patterns for path in Path(out).glob(pattern)})
    if held and not overwrite:
        raise ValueError(
            f"out={str(out)!r} holds results already ({', '.join(held)}); allowed: --overwrite (in "
            f"Python overwrite=True) to replace them, {instead}"
        )


def check_writable(folder: str | Path) -> None:
    """Raises OSError, which names the folder, unless files can be written to it once it is made."""
    try:
        place = Path(os.path.abspath(folder))
        while not place.exists():
            place = place.parent
        if not place.is_dir():
            raise NotADirectoryError(f"{place} is a file")
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise type(error)(
            f"out={str(folder)!r} cannot be written: {error.strerror or error}; allowed: a folder that "
            "can be written"
        ) from None


def missing_folders(folder: str | Path) -> list[Path]:
    """Returns the folder and its parents, as far as they do not exist, the innermost first."""
    folder = Path(os.path.abspath(folder))
    return [path for path in (folder, *folder.parents) if not path.exists()]


def remove_empty(folders: Sequence[Path]) -> None:
    """Removes folders, in order, until one is not empty."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
