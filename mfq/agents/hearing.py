"""A mean field together with its memory, as agents use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mfenvs.validate import of_kind, whole
from mfq.envs.lookup import find
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.mean_field import MEAN_FIELDS, MeanField, NoMeanField

MakeMeanField = Callable[[View, str], MeanField]
"""A `MeanField` class, or a function of (view, pairing) that returns one."""


def make_mean_field(view: View, choice: bool | MakeMeanField, name: str, pairing: str) -> MeanField:
    """Returns the mean field of an agent.

    Args:
        view: the view that the agent plays.
        choice: False for `NoMeanField`, True for the one called ``name``, or a `MakeMeanField`.
        name: a name in `MEAN_FIELDS`, or MODULE:CLASS.
        pairing: see `MeanField`.

    Raises:
        ValueError: for an unknown name or pairing.
        TypeError: if the result is not a `MeanField`.
    """
    if choice is False:
        return NoMeanField(view, pairing)
    make: Any = choice
    if not isinstance(choice, bool) and not callable(choice):
        raise TypeError(f"mean_field={choice!r}; allowed: True, False, or a class of mean fields")
    if choice is True:
        if name not in MEAN_FIELDS and ":" not in name:
            raise ValueError(
                f"mean_field={name!r}; allowed: {', '.join(MEAN_FIELDS)}, or MODULE:CLASS"
            )
        make = MEAN_FIELDS[name] if name in MEAN_FIELDS else find(name)
    field = make(view, pairing)
    if not isinstance(field, MeanField):
        raise TypeError(f"mean_field made a {type(field).__name__}; allowed: a MeanField")
    if not hasattr(field, "pairing"):
        raise TypeError(
            f"{type(field).__name__} has no pairing; allowed: a constructor that calls "
            "super().__init__(view, pairing)"
        )
    whole(f"{type(field).__name__}.width", getattr(field, "width", None), 0)
    return field


class Hearing:
    """Calls `MeanField.hear` once for each step, caches the result, and keeps the mean field's memory.

    Args:
        field: the mean field.
    """

    def __init__(self, field: MeanField) -> None:
        self.field = field
        self._memory: dict[str, Tensor] = {}
        self._heard: dict[int, Tensor] = {}  # results of the last two steps, by number
        self._restored: Tensor | None = None  # result of the step after `load_state_dict`

    def __call__(self, step: Step) -> Tensor:
        """Returns what agents hear in a step: float32 [B, N, D]."""
        if step.number not in self._heard:
            restored, self._restored = self._restored, None
            if restored is None or bool(step.reset.all()):
                self._start_episodes(step)
                restored = self.field.hear(step, self._memory)
                expected = (*step.actions.shape, self.field.width)
                if tuple(restored.shape) != expected or restored.dtype != torch.float32:
                    raise ValueError(
                        f"{type(self.field).__name__}.hear returned {restored.dtype} "
                        f"{tuple(restored.shape)}; allowed: torch.float32 {expected}"
                    )
            self._heard = dict([*list(self._heard.items())[-1:], (step.number, restored)])
        return self._heard[step.number]

    def _start_episodes(self, step: Step) -> None:
        """Resets the memory of rows that were reset."""
        fresh = self.field.new_memory(len(step.actions))
        of_kind(f"{type(self.field).__name__}.new_memory()", fresh, dict, "a dict of tensors")
        if any(
            name not in self._memory or len(self._memory[name]) != len(fresh[name])
            for name in fresh
        ):
            self._memory = fresh
        for name, values in fresh.items():
            if len(values) != len(step.actions):
                raise ValueError(
                    f"{type(self.field).__name__}.new_memory: {name!r} has {len(values)} rows; allowed: "
                    f"{len(step.actions)}"
                )
            started = step.reset.view(-1, *[1] * (values.dim() - 1))
            self._memory[name] = values.where(started, self._memory[name])

    def copy(self) -> Hearing:
        """Returns a copy with the same mean field."""
        hearing = Hearing(self.field)
        hearing._memory = {name: values.clone() for name, values in self._memory.items()}
        hearing._heard, hearing._restored = dict(self._heard), self._restored
        return hearing

    def state_dict(self) -> dict[str, Any]:
        """Returns the memory and the last result; {} for a mean field without memory."""
        if not self._memory:
            return {}
        return {"memory": dict(self._memory), "heard": list(self._heard.values())[-1]}

    def load_state_dict(self, state: dict[str, Any], is_current: bool) -> None:
        """Loads a `state_dict`.

        Args:
            is_current: whether the saved result is that of the next step to be heard.
        """
        device = self.field.device
        self._memory = {name: v.to(device) for name, v in state.get("memory", {}).items()}
        self._heard = {}
        self._restored = state["heard"].to(device) if state and is_current else None
