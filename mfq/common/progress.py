"""Progress of long work on standard error: a bar on a terminal, elsewhere a line every half minute."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

SECONDS_PER_LINE = 30.0
"""Seconds between lines of progress where standard error is no terminal."""
DELAY = 2.0
"""Seconds before the bar of `watched` work appears; shorter work shows none."""

BAR = "{desc}{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


class Progress:
    """Shows how much of some work is done.

    On a terminal it is a bar. Elsewhere it is a line every `SECONDS_PER_LINE` seconds.

    Args:
        total: the amount of work; None if that is not known.
        unit: the unit of the work, such as "step".
        done: the part that was done before.
        description: words before the bar.
        quiet: if True, shows nothing.
        delay: seconds before the bar appears.
    """

    def __init__(
        self,
        total: int | None,
        unit: str,
        done: int = 0,
        description: str = "",
        quiet: bool = False,
        delay: float = 0.0,
    ) -> None:
        self.done = self._start = done
        self._total, self._unit = total, unit
        self._description, self._shown = description, ""
        self._bar = tqdm(
            total=total,
            initial=done,
            unit=unit,
            desc=f"{description}: " if description else None,
            dynamic_ncols=True,
            disable=quiet or None,  # None: where standard error is no terminal
            delay=delay,
            bar_format=None if total is None else BAR,
        )
        self._writes_lines = self._bar.disable and not quiet
        self._began = time.monotonic()
        self._next_line = self._began + SECONDS_PER_LINE

    def advance(self, by: int = 1) -> None:
        """Adds to the work done. With 0 it only shows that time passes."""
        self.done += by
        if by:
            self._bar.update(by)
        if not self._writes_lines:
            return
        if (now := time.monotonic()) >= self._next_line:
            self._next_line = now + SECONDS_PER_LINE
            print(self._line(now - self._began), file=sys.stderr, flush=True)

    def describe(self, description: str) -> None:
        """Replaces the words before the bar."""
        self._description = description
        self._bar.set_description_str(f"{description}: ")

    def show(self, text: str) -> None:
        """Replaces the words after the bar."""
        self._shown = text
        self._bar.set_postfix_str(text)

    def say(self, line: str) -> None:
        """Prints a line above the bar; nothing where there is no bar."""
        if not self._bar.disable:
            self._bar.clear()
            print(line, file=sys.stderr, flush=True)
            self._bar.refresh()

    def close(self) -> None:
        """Ends the bar."""
        self._bar.close()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def _line(self, seconds: float) -> str:
        """Returns the progress in words."""
        plural = "es" if self._unit.endswith("ch") else "s"
        rate = (self.done - self._start) / seconds
        amount = f"{self._unit} {self.done}" + (f"/{self._total}" if self._total else "")
        parts = [self._description, amount, f"{rate:.3g} {self._unit}{plural}/s"]
        if self._total and rate > 0:
            parts.append(f"{duration((self._total - self.done) / rate)} left")
        return ", ".join(filter(None, [*parts, self._shown]))


def duration(seconds: float) -> str:
    """Returns a time in words: "40 s", "3 min", "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


_watched: ContextVar[Progress | None] = ContextVar("watched", default=None)


@contextmanager
def watched(
    total: int | None, unit: str, description: str = "", quiet: bool = False
) -> Iterator[Progress]:
    """Returns a context in which `tick` advances a progress, which appears after `DELAY` seconds."""
    with Progress(total, unit, description=description, quiet=quiet, delay=DELAY) as progress:
        token = _watched.set(progress)
        try:
            yield progress
        finally:
            _watched.reset(token)


def tick(by: int = 1) -> None:
    """Advances the progress of the surrounding `watched`; nothing without one."""
    if (progress := _watched.get()) is not None:
        progress.advance(by)
