"""The acting half of an actor-critic: a policy network that plays."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from mfq.common.generators import load_generator_state
from mfq.envs.step import Step
from mfq.networks.precision import Precision
from mfq.policy import Boltzmann, Greedy


class ACPlayer:
    """Plays pi(a | o_j) = softmax(actor(o_j) / temperature); it sees no mean action.

    Args:
        actor: a module with the signature of `Actor.forward`.
        temperature: of the softmax, above 0.
        greedy: whether it takes the likeliest action, instead of drawing one, when it does not explore.
        generator: its coins, on the actor's device.
        precision: which the actor computes in.

    Attributes:
        module: the actor.
    """

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

    @torch.no_grad()
    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Actions int64 [B, N]: drawn from the policy, or the likeliest; -1 for whom others play."""
        index = step.active_index
        agents = index % step.actions.shape[1]
        with self.precision.exactly(not explore):
            logits = self.precision(self.module, step.obs_at(index), agents)
        policy = Greedy() if self.greedy and not explore else Boltzmann(self.temperature)
        chosen = policy.sample(logits, 0, self.generator, step.mask_at(index))
        return step.scatter_actions(chosen, index)

    def player(self, seed: int = 0) -> ACPlayer:
        """A frozen copy with weights and coins of its own."""
        actor = copy.deepcopy(self.module).requires_grad_(False)
        coins = torch.Generator(self.generator.device).manual_seed(seed)
        return ACPlayer(actor, self.temperature, self.greedy, coins, self.precision)

    def state_dict(self) -> dict[str, Any]:
        """Weights and coins."""
        return {"module": self.module.state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a `state_dict`."""
        self.module.load_state_dict(state["module"])
        load_generator_state(self.generator, state["generator"])
