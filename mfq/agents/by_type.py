"""A learner of its own for each type of agents, together one `Agent`.

Legend: B rows, N agents, K types.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mfq.envs.step import Step
from mfq.envs.view import View


class ByType:
    """One learner a type; each is given the steps as its type sees them (`Step.of_type`).

    Args:
        view: what is played.
        make: a function of (view of a type, seed) that returns the learner of that type, such as
            ``mfq.QAgent`` with its options.
        seed: the learner of type k gets ``seed + 1000 k``.

    Attributes:
        parts: K learners, by the number of the type.
    """

    def __init__(self, view: View, make: Callable[[View, int], Any], seed: int = 0) -> None:
        self.names = view.type_names
        self.parts: list[Any] = [
            make(view.of_type(k), seed + 1000 * k) for k in range(len(self.names))
        ]

    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Actions int64 [B, N], each from the learner of the agent's type; -1 for the dead."""
        actions = torch.full_like(step.actions, -1)
        for k, agent in enumerate(self.parts):
            given = step.of_type(k)
            mine = given.alive if given.mine is None else given.alive & given.mine
            actions = agent.act(given, explore).where(mine, actions)
        return actions

    def observe(self, step: Step, actions: Tensor, next_step: Step) -> None:
        """Tells each learner what came of the actions of its type."""
        for k, agent in enumerate(self.parts):
            agent.observe(step.of_type(k), actions, next_step.of_type(k))

    def learn(self) -> dict[str, float]:
        """The learners' metrics, each with the name of the type before it."""
        return self._named([agent.learn() for agent in self.parts])

    def metrics(self) -> dict[str, float]:
        """How the learners act, likewise."""
        return self._named(
            [agent.metrics() if hasattr(agent, "metrics") else {} for agent in self.parts]
        )

    def player(self) -> ByType:
        """A copy that plays as this one does now."""
        twin = ByType.__new__(ByType)
        twin.names = self.names
        twin.parts = [agent.player() for agent in self.parts]
        return twin

    def state_dict(self) -> dict[str, Any]:
        """Everything that the future depends on."""
        pairs = zip(self.names, self.parts, strict=True)
        return {"types": {name: agent.state_dict() for name, agent in pairs}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a `state_dict`.

        Raises:
            ValueError: if it is of other types.
        """
        saved = state.get("types", {})
        if list(saved) != list(self.names):
            raise ValueError(f"state has types {list(saved)}; allowed: {list(self.names)}")
        for name, agent in zip(self.names, self.parts, strict=True):
            agent.load_state_dict(saved[name])

    def _named(self, found: list[dict[str, float]]) -> dict[str, float]:
        return {
            f"{name}_{key}": value
            for name, metrics in zip(self.names, found, strict=True)
            for key, value in metrics.items()
        }
