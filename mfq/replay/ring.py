"""Memory of transitions on the learner's device: a ring that forgets the oldest."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mfq.common.generators import load_generator_state


class Replay:
    """The last ``capacity`` transitions; each is one agent's, in one row, at one time.

    Fields are tensors, told by name, or nested names for dict observations ("obs.view"). Their shapes
    and dtypes are those of the first batch added.

    Args:
        capacity: how many transitions; at least 1.
        device: where they are kept.
        seed: of the draws.
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

    def add(self, batch: dict[str, Tensor]) -> None:
        """Adds M transitions.

        Args:
            batch: tensors [M, ...] by name.

        Raises:
            ValueError: if the fields are not those of the first batch.
        """
        if not self._fields:
            self._fields = {
                name: torch.zeros(
                    (self.capacity, *values.shape[1:]), dtype=values.dtype, device=self.device
                )
                for name, values in batch.items()
            }
        if batch.keys() != self._fields.keys():
            raise ValueError(f"batch has {list(batch)}; allowed: {list(self._fields)}")
        count = len(next(iter(batch.values())))
        # Of more than fits, only the last would survive.
        kept = min(count, self.capacity)
        place = (torch.arange(count - kept, count, device=self.device) + self.added) % self.capacity
        for name, values in batch.items():
            self._fields[name][place] = values[count - kept :]
        self.added += count

    def sample(self, size: int) -> dict[str, Tensor]:
        """``size`` transitions, uniformly and with replacement.

        Raises:
            ValueError: if there are none.
        """
        if not self.added:
            raise ValueError("the replay is empty; allowed: sampling after the first add")
        place = torch.randint(len(self), (size,), generator=self.generator, device=self.device)
        return {name: values[place] for name, values in self._fields.items()}

    def state_dict(self) -> dict[str, Any]:
        """Everything, transitions included."""
        return {
            "added": self.added,
            "generator": self.generator.get_state(),
            "fields": {name: values[: len(self)] for name, values in self._fields.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a `state_dict`.

        Raises:
            ValueError: if it holds more transitions than fit.
        """
        size = min(state["added"], self.capacity)
        self._fields = {}
        for name, values in state["fields"].items():
            if len(values) != size:
                raise ValueError(f"{name} has {len(values)} transitions; allowed: {size}")
            room = torch.zeros(
                (self.capacity, *values.shape[1:]), dtype=values.dtype, device=self.device
            )
            room[:size] = values
            self._fields[name] = room
        self.added = state["added"]
        load_generator_state(self.generator, state["generator"])


def named(name: str, obs: Any) -> dict[str, Tensor]:
    """An observation as tensors by name: "obs", or "obs.view" and so on for a dict."""
    if isinstance(obs, dict):
        return {f"{name}.{key}": value for key, value in obs.items()}
    return {name: obs}


def observation(name: str, batch: dict[str, Tensor]) -> Any:
    """The observation again, from tensors by name."""
    if name in batch:
        return batch[name]
    return {
        key.partition(".")[2]: part for key, part in batch.items() if key.startswith(name + ".")
    }
