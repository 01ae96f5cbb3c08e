"""Decides how many gradient steps to make."""

from __future__ import annotations

from typing import Any

from mfq.agents.q_config import ReplayConfig
from mfq.common import distributed


class UpdateScheduler:
    """Counts the samples that are due. All processes of a data-parallel run get the same counts.

    Args:
        config: sets how often the replay is sampled.
        batch_size: the number of samples of a gradient step.

    Attributes:
        samples_due: the number of samples still to draw.
    """

    def __init__(self, config: ReplayConfig, batch_size: int) -> None:
        self.config, self.batch_size, self.samples_due = config, batch_size, 0.0

    def stored(self, new: int, added: int) -> None:
        """Counts ``new`` transitions; ``added`` is the total so far."""
        if self.config.samples_per_insert and self._is_ready(added):
            new_per_process = distributed.total(new) / distributed.world()
            self.samples_due += new_per_process * self.config.samples_per_insert

    def updates(self, added: int) -> int:
        """Returns the number of gradient steps to make now; ``added`` is the total of transitions."""
        if not self._is_ready(added):
            return 0
        if not self.config.samples_per_insert:
            return self.config.updates_per_step
        due = int(self.samples_due / self.batch_size)
        self.samples_due -= due * self.batch_size
        return due

    def load(self, state: dict[str, Any]) -> None:
        """Loads ``samples_due`` from the state of an agent; older checkpoints have "owed"."""
        self.samples_due = state["samples_due"] if "samples_due" in state else state["owed"]

    def _is_ready(self, added: int) -> bool:
        """Whether all processes together have enough transitions to learn."""
        return distributed.total(added) >= self.config.learning_starts
