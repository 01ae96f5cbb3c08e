"""A replay memory on the learner's device: a ring in which new transitions replace the oldest."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mfq.common.generators import load_generator_state
from mfq.envs.step import Step
from mfq.replay.base import Fields, Replay, check_replay_fits


class RingReplay(Replay):
    """The last ``capacity`` transitions, each of a single agent.

    Fields have the shapes and dtypes of the first batch added.

    Args:
        capacity: the number of transitions, at least 1.
        device: the device that stores them.
        seed: seed of the samples.
    """

    def __init__(self, capacity: int, device: torch.device, seed: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity={capacity!r}; allowed: at least 1")
        self.capacity, self.device = capacity, device
        self.generator = torch.Generator(device).manual_seed(seed)
        self.added = 0
        self._fields: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def add(self, step: Step, next_step: Step, learns: Tensor, fields: Fields) -> None:
        self.extend({name: values[learns] for name, values in fields().items()})

    def extend(self, batch: dict[str, Tensor]) -> None:
        """Adds M transitions.

        Args:
            batch: tensors [M, ...] by name.

        Raises:
            ValueError: if the fields are not those of the first batch, or do not fit into the available
                memory.
        """
        if not self._fields:
            self._fields = self._allocate(batch)
        if batch.keys() != self._fields.keys():
            raise ValueError(f"batch has {list(batch)}; allowed: {list(self._fields)}")
        count = len(next(iter(batch.values())))
        # If the batch is larger than the ring, only its last transitions are kept.
        kept = min(count, self.capacity)
        index = (torch.arange(count - kept, count, device=self.device) + self.added) % self.capacity
        for name, values in batch.items():
            self._fields[name][index] = values[count - kept :]
        self.added += count

    def sample(self, size: int) -> dict[str, Tensor]:
        if not self.added:
            raise ValueError("the replay is empty; allowed: sampling after the first add")
        index = torch.randint(len(self), (size,), generator=self.generator, device=self.device)
        return self.at(index)

    def at(self, index: Tensor) -> dict[str, Tensor]:
        """Returns the transitions at places int64 [M] of the ring."""
        return {name: values[index] for name, values in self._fields.items()}

    def state_dict(self) -> dict[str, Any]:
        """Returns the complete state, transitions included."""
        return {
            "added": self.added,
            "generator": self.generator.get_state(),
            "fields": {name: values[: len(self)] for name, values in self._fields.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict`.

        Raises:
            ValueError: if it has another number of transitions than this replay would hold, or the
                fields do not fit into the available memory.
        """
        size = min(state["added"], self.capacity)
        for name, values in state["fields"].items():
            if len(values) != size:
                raise ValueError(f"{name} has {len(values)} transitions; allowed: {size}")
        self._fields = {}
        self._fields = self._allocate(state["fields"])
        for name, values in state["fields"].items():
            self._fields[name][:size] = values
        self.added = state["added"]
        load_generator_state(self.generator, state["generator"])

    def _allocate(self, like: dict[str, Tensor]) -> dict[str, Tensor]:
        """Returns fields of ``capacity`` zeros, with the dtypes and shapes of tensors [any, ...]."""
        shapes = {name: (self.capacity, *values.shape[1:]) for name, values in like.items()}
        asked = sum(
            torch.Size(shape).numel() * like[name].element_size() for name, shape in shapes.items()
        )
        check_replay_fits(self.capacity, asked, self.device)
        return {
            name: torch.zeros(shape, dtype=like[name].dtype, device=self.device)
            for name, shape in shapes.items()
        }
