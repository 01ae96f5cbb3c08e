"""The interface of replay memories, and the names of the fields of transitions.

Legend: B rows, N agents, A actions, D numbers heard of neighbours, M samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mfq.common.memory import SMALLER, available, check_fits
from mfq.envs.step import Step

Fields = Callable[[], dict[str, Tensor]]


class Replay(ABC):
    """A memory of transitions to sample from.

    Attributes:
        added: the number of transitions added so far.
        generator: draws the samples.
    """

    added: int
    generator: torch.Generator

    def record_snapshot(self, step: Step) -> None:
        """Records a snapshot of the step's observations, if the replay does not store them themselves.

        Called before the view takes the next step. By default does nothing.
        """
        return

    @abstractmethod
    def add(self, step: Step, next_step: Step, learns: Tensor, fields: Fields) -> None:
        """Adds the transitions from a step to the next one.

        Args:
            step: a step that `record_snapshot` was called with.
            next_step: the step after it, the latest of the view.
            learns: bool [B, N]; the agents to add transitions of.
            fields: a function that returns the transitions of all agents, as `transition_fields` does.
                Called only by replays that store these fields.
        """

    @abstractmethod
    def sample(self, size: int) -> dict[str, Tensor]:
        """Returns ``size`` transitions, drawn uniformly with replacement: tensors [M, ...] by name.

        The names are those of `transition_fields`.

        Raises:
            ValueError: if the replay is empty.
        """

    @abstractmethod
    def __len__(self) -> int:
        """Returns the number of transitions that may be drawn."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Returns the complete state, transitions included."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict`.

        Raises:
            ValueError: if it does not fit.
        """


def transition_fields(
    step: Step, actions: Tensor, next_step: Step, fitted: Tensor, following: Tensor | None
) -> dict[str, Tensor]:
    """Returns the transitions of all agents, [B, N, ...] by name.

    Args:
        step, next_step: the steps before and after the actions.
        actions: int64 [B, N].
        fitted: float32 [B, N, D], the mean action that Q(s, a, .) is fitted with.
        following: float32 [B, N, D], the mean action that acting in the next step uses. None leaves out
            all fields of the next state.

    Returns:
        "agent", "action", "reward", "mean", "obs" (or "obs.NAME" for dicts); and for the next state
        "next_mean", "terminated", "next_obs", and "next_mask" if actions are masked.
    """
    batch = {
        "agent": torch.arange(actions.shape[1], device=actions.device).expand_as(actions),
        "action": actions,
        "reward": next_step.reward,
        "mean": fitted,
        **named("obs", step.obs_of_all),
    }
    if following is not None:
        batch |= {
            "next_mean": following,
            "terminated": next_step.terminated,
            **named("next_obs", next_step.obs_of_all),
        }
        if next_step.action_mask is not None:
            batch["next_mask"] = next_step.action_mask
    return batch


def check_replay_fits(capacity: int, asked: int, device: torch.device) -> None:
    """Checks that the tensors of a replay fit into the available memory.

    Args:
        capacity: the number of transitions.
        asked: the size of all of them, in bytes.
        device: the device that stores them.

    Raises:
        ValueError: if they do not fit; the message has the number of transitions that would.
    """
    fitting = int(0.8 * capacity * (available(device) or 0) / max(asked, 1))
    check_fits(
        f"a replay of {capacity:,} transitions",
        asked,
        f"replay.size={max(fitting, 1)} or less, or {SMALLER}",
        device,
    )


def named(name: str, obs: Any) -> dict[str, Tensor]:
    """Returns an observation as tensors by name: "obs", or "obs.view" and so on for a dict."""
    if isinstance(obs, dict):
        return {f"{name}.{key}": value for key, value in obs.items()}
    return {name: obs}


def observation(name: str, batch: dict[str, Tensor]) -> Any:
    """Returns the observation in a batch, the inverse of `named`."""
    if name in batch:
        return batch[name]
    return {
        key.partition(".")[2]: part for key, part in batch.items() if key.startswith(name + ".")
    }
