"""The errors of the command line, and how they are printed."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mfq

TOO_LARGE = (
    "out of memory",
    "can't allocate memory",
    "Maximum allowed dimension exceeded",  # of numpy, for sizes that no memory has
    "array is too big",
    "Overflow when unpacking",  # of torch
)


class UsageError(ValueError):
    """Arguments that a command does not take."""


class Failure(Exception):
    """What failed although the arguments were right, such as a full disk."""


@contextmanager
def at_work() -> Iterator[None]:
    """Returns a context for what follows the checks of arguments: its errors are raised as `Failure`."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (ValueError, TypeError, OSError, ImportError) as error:
        if is_out_of_memory(error):
            raise
        raise Failure(printed(error)) from error


def printed(error: BaseException) -> str:
    """Returns an error in one line, with the place where a user's code raised it."""
    text = " ".join(str(error).partition("Exception raised from")[0].split())
    text = text or type(error).__name__
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    return text + _place(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error is of memory that cannot be allocated, numpy's or torch's."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in TOO_LARGE)


def _place(error: BaseException) -> str:
    """Returns the last line of a user's code in an error's traceback, " (FILE:LINE)", or ""."""
    root = Path(mfq.__file__).parents[1]
    places = [root / name for name in ("mfq", "mfenvs")]
    places += [Path(sys.prefix), Path(sys.base_prefix)]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if file.is_file() and not any(file.is_relative_to(place) for place in places):
            return f" ({file}:{frame.lineno})"
    return ""
