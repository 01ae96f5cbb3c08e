"""An `Agent` that consists of one learner for each type of agents.

Legend: B rows, N agents, K types.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mfq.agents.base import Agent, Player, check_agent
from mfq.agents.loop import check_actions
from mfq.envs.step import Step
from mfq.envs.view import View


class PlayerByType(Player):
    """One player for each type; each gets the steps of its type (`Step.of_type`).

    Args:
        names: the names of the K types.
        players: the player of each type.
    """

    def __init__(self, names: Sequence[str], players: Sequence[Player]) -> None:
        self.names, self._players = tuple(names), tuple(players)

    @property
    def parts(self) -> Sequence[Player]:
        return self._players

    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Returns actions int64 [B, N], each from the player of the agent's type; -1 for dead agents."""
        actions = torch.full_like(step.actions, -1)
        for k, player in enumerate(self.parts):
            typed = step.of_type(k)
            mine = typed.alive if typed.mine is None else typed.alive & typed.mine
            chosen = player.act(typed, explore)
            check_actions(player, chosen, typed)
            actions = chosen.where(mine, actions)
        return actions

    @property
    def generators(self) -> Sequence[torch.Generator]:
        return [generator for player in self.parts for generator in player.generators]

    def acting_state(self) -> dict[str, Any]:
        return {"parts": [player.acting_state() for player in self.parts]}

    def load_acting_state(self, state: dict[str, Any]) -> None:
        for player, saved in zip(self.parts, state["parts"], strict=True):
            player.load_acting_state(saved)

    def state_dict(self) -> dict[str, Any]:
        """Returns the complete state of each player, by the name of its type."""
        pairs = zip(self.names, self.parts, strict=True)
        return {"types": {name: player.state_dict() for name, player in pairs}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict`.

        Raises:
            ValueError: if it has other types.
        """
        saved = state.get("types", {})
        if list(saved) != list(self.names):
            raise ValueError(f"state has types {list(saved)}; allowed: {list(self.names)}")
        for name, player in zip(self.names, self.parts, strict=True):
            player.load_state_dict(saved[name])


class ByType(PlayerByType, Agent):
    """One learner for each type.

    Args:
        view: the view to play.
        make: a function of (view of a type, seed) that returns the learner of that type.
        seed: the learner of type k gets ``seed + 1000 k``.

    Attributes:
        parts: the learner of each type.
    """

    parts: Sequence[Agent]

    def __init__(self, view: View, make: Callable[[View, int], Agent], seed: int = 0) -> None:
        learners = [make(view.of_type(k), seed + 1000 * k) for k in range(len(view.type_names))]
        for learner in learners:
            check_agent("make's result", learner)
        super().__init__(view.type_names, learners)

    def observe(self, step: Step, actions: Tensor, next_step: Step) -> None:
        """Calls `observe` of each learner with the steps of its type."""
        for k, agent in enumerate(self.parts):
            agent.observe(step.of_type(k), actions, next_step.of_type(k))

    def learn(self) -> dict[str, float]:
        """Calls `learn` of each learner; returns their metrics, prefixed by the name of the type."""
        return self._named([agent.learn() for agent in self.parts])

    def metrics(self) -> dict[str, float]:
        return self._named([agent.metrics() for agent in self.parts])

    def player(self) -> PlayerByType:
        return PlayerByType(self.names, [agent.player() for agent in self.parts])

    def offset_seeds(self, offset: int) -> None:
        for agent in self.parts:
            agent.offset_seeds(offset)

    def _named(self, by_type: list[dict[str, float]]) -> dict[str, float]:
        return {
            f"{name}_{key}": value
            for name, metrics in zip(self.names, by_type, strict=True)
            for key, value in metrics.items()
        }
