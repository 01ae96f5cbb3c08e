"""What anybody may ask of players and of learning agents.

Legend: B rows, N agents.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from mfq.common.generators import load_generator_state
from mfq.envs.step import Step

APART = 100_003
"""How far the seeds of a player's parts are from each other: farther than those of players are."""


class Player(Protocol):
    """Who chooses actions."""

    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Actions int64 [B, N]; only those of ``step.mine`` count."""


class Agent(Player, Protocol):
    """What the loop asks of a learner."""

    def observe(self, step: Step, actions: Tensor, next_step: Step) -> None:
        """Takes note of what the actions led to."""

    def learn(self) -> dict[str, float]:
        """Improves; returns metrics."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the future depends on."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a `state_dict`."""


def parts_of(player: Any) -> list[Any]:
    """The players that a player is made of, where it is of several; else itself."""
    return list(getattr(player, "parts", [player]))


def reseed(player: Any, seed: int) -> None:
    """Seeds a player's own generator, where it has one; of several parts each gets a seed of its own."""
    for k, part in enumerate(parts_of(player)):
        if isinstance(generator := getattr(part, "generator", None), torch.Generator):
            generator.manual_seed(seed + APART * k)


def state_of(player: Any) -> dict[str, Any]:
    """What a player's play depends on: weights, generator, the time of its schedules."""
    if (parts := parts_of(player)) != [player]:
        return {"parts": [state_of(part) for part in parts]}
    state: dict[str, Any] = {}
    if (module := getattr(player, "module", None)) is not None:
        state["module"] = module.state_dict()
    if (generator := getattr(player, "generator", None)) is not None:
        state["generator"] = generator.get_state()
    if (time := getattr(player, "time", None)) is not None:
        state["time"] = time
    return state


def restore(player: Any, state: dict[str, Any]) -> None:
    """Takes up a `state_of` a player of the same make."""
    if "parts" in state:
        for part, saved in zip(parts_of(player), state["parts"], strict=True):
            restore(part, saved)
        return
    if "module" in state:
        player.module.load_state_dict(state["module"])
    if "generator" in state:
        load_generator_state(player.generator, state["generator"])
    if "time" in state:
        player.time = state["time"]
