"""The player of an actor-critic: a policy network without a learner."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mfq.agents.base import ActionValues, Player
from mfq.common.generators import load_generator_state
from mfq.envs.step import Step
from mfq.networks.modes import check_outputs, in_eval_mode
from mfq.networks.precision import Precision
from mfq.policy import Boltzmann, Greedy


class ACPlayer(Player):
    """Plays pi(a | o_j) = softmax(actor(o_j) / temperature), which does not use the mean action.

    Args:
        actor: a module with the signature of `Actor.forward`.
        temperature: temperature of the softmax, above 0.
        greedy: if True, takes the most likely action when it does not explore, instead of drawing one.
        generator: draws the actions; on the actor's device.
        precision: the precision of the actor.

    Attributes:
        module: the actor.
    """

    module: nn.Module

    def __init__(
        self,
        actor: nn.Module,
        temperature: float,
        greedy: bool,
        generator: torch.Generator,
        precision: Precision,
    ) -> None:
        self.module, self.generator, self.precision = actor, generator, precision
        self.temperature, self.greedy = temperature, greedy
        self._last: tuple[Tensor, Tensor, Tensor | None] | None = None  # of the last act

    @torch.no_grad()
    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Returns actions int64 [B, N]; -1 for dead agents and those that it does not play."""
        index = step.active_index
        agents = index % step.actions.shape[1]
        with self.precision.exactly(not explore), in_eval_mode(self.module):
            logits = self.precision(self.module, step.obs_at(index), agents)
        check_outputs(self.module, logits, len(index), step.num_actions, "logits [S, A]")
        policy = Greedy() if self.greedy and not explore else Boltzmann(self.temperature)
        mask = step.mask_at(index)
        self._last = index, logits, mask
        chosen = policy.sample(logits, 0, self.generator, mask)
        return step.scatter_actions(chosen, index)

    @property
    def last_values(self) -> ActionValues | None:
        """The policy in the last `act`."""
        if self._last is None:
            return None
        index, logits, mask = self._last
        policy = Boltzmann(self.temperature).probabilities(logits, 0, mask)
        return ActionValues("probability", index, policy.float())

    def player(self) -> ACPlayer:
        """Returns a frozen copy that plays as this one does now."""
        actor = copy.deepcopy(self.module).requires_grad_(False)
        generator = torch.Generator(self.generator.device)
        generator.set_state(self.generator.get_state())
        return ACPlayer(actor, self.temperature, self.greedy, generator, self.precision)

    @property
    def generators(self) -> Sequence[torch.Generator]:
        return (self.generator,)

    def state_dict(self) -> dict[str, Any]:
        """Returns weights and generator."""
        return {"module": self.module.state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict`."""
        self.module.load_state_dict(state["module"])
        load_generator_state(self.generator, state["generator"])
