"""How many gradient steps are due."""

from __future__ import annotations

from typing import Protocol

from mfq.common import distributed


class ScheduleOptions(Protocol):
    """The options that decide it; see `QConfig`."""

    @property
    def batch_size(self) -> int: ...
    @property
    def learning_starts(self) -> int: ...
    @property
    def updates_per_step(self) -> int: ...
    @property
    def samples_per_insert(self) -> float: ...


class UpdateScheduler:
    """Counts the samples that are due, alike in all processes of a data-parallel run.

    Args:
        config: the learner's.

    Attributes:
        owed: samples due.
    """

    def __init__(self, config: ScheduleOptions) -> None:
        self.config, self.owed = config, 0.0

    def stored(self, new: int, added: int) -> None:
        """Tells of ``new`` transitions, of ``added`` of all time."""
        if self.config.samples_per_insert and self._is_ready(added):
            new_to_each = distributed.total(new) / distributed.world()
            self.owed += new_to_each * self.config.samples_per_insert

    def updates(self, added: int) -> int:
        """The gradient steps to be made now, at so many transitions of all time."""
        if not self._is_ready(added):
            return 0
        if not self.config.samples_per_insert:
            return self.config.updates_per_step
        due = int(self.owed / self.config.batch_size)
        self.owed -= due * self.config.batch_size
        return due

    def _is_ready(self, added: int) -> bool:
        """Whether there are transitions enough, counting those of all processes."""
        return distributed.total(added) >= self.config.learning_starts
