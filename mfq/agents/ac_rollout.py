"""MF-AC with a critic V(s, abar) that learns from rollouts, as in the authors' code.

Legend: B rows, N agents, A actions, M transitions of a batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mfq.agents.ac_config import ACConfig
from mfq.agents.actor_critic import ActorCritic, Networks
from mfq.agents.hearing import MakeMeanField
from mfq.common import distributed
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.networks.modes import check_outputs
from mfq.replay.base import observation
from mfq.replay.rollout import Rollout

CHUNK = 16_384  # samples of a rollout per forward pass


def in_chunks(batch: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Returns samples [M, ...] in chunks, at least one: a process without samples averages gradients,
    too."""
    starts = range(0, max(len(batch["place"]), 1), CHUNK)
    return [{name: part[s : s + CHUNK] for name, part in batch.items()} for s in starts]


class RolloutActorCritic(ActorCritic):
    """The actor-critic of the authors' code: on-policy, with Monte-Carlo returns.

    It takes the arguments of `ActorCritic`.

    Attributes:
        rollout: the unfinished rollout.
    """

    critic = "v"

    def __init__(
        self,
        view: View,
        mean_field: bool | MakeMeanField = True,
        config: ACConfig | None = None,
        seed: int = 0,
        network: Networks | None = None,
    ) -> None:
        super().__init__(view, mean_field, config, seed, network)
        self.rollout = Rollout(self.config.rollout.steps)
        self._last: Step | None = None

    def observe(self, step: Step, actions: Tensor, next_step: Step) -> None:
        """Adds a step to the rollout."""
        choice = {
            "action": actions,
            "mean": self._fitted(step, next_step),
            "learns": (learns := step.learners(next_step)),
        }
        if self.reward_scale is not None:
            self.reward_scale.update(next_step.reward[learns])
        if step.action_mask is not None:
            choice["mask"] = step.action_mask
        self.rollout.add(step, next_step, self.hearing(step), choice)
        self._last = next_step if step.mine is None else next_step.for_player(step.mine)
        self.hearing(next_step)  # so that a checkpoint holds it; see `Hearing.load_state_dict`

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "rollout": self.rollout.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.rollout.load_state_dict(state["rollout"], self.view.device)

    def _improve(self) -> dict[str, float]:
        if not self._is_over():
            return {}
        batch = self._finished()
        metrics = dict[str, Tensor]()
        for _ in range(self.config.rollout.updates):
            metrics = self._take_step(batch)
        return {name: float(value) for name, value in metrics.items()}

    def _is_over(self) -> bool:
        """Whether the rollout is over; all processes end their rollouts in the same step."""
        is_over = self._last is not None and self.rollout.is_over()
        return not distributed.total(int(not is_over))

    def _finished(self, trace: float | None = None) -> dict[str, Tensor]:
        """Ends the rollout; returns its samples, with scaled returns. See `Rollout.finish`."""
        assert self._last is not None
        # Values are of scaled rewards; the rewards of the rollout are not scaled yet.
        scale = 1.0 if self.reward_scale is None else self.reward_scale.scale
        batch = self.rollout.finish(
            self._last,
            self.hearing(self._last),
            lambda states: self._state_values(states) * scale,
            self.config.gamma,
            trace,
        )
        scaled = {name: batch[name] / scale for name in ("returns", "value") if name in batch}
        return batch | scaled

    def _take_step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Makes a gradient step on samples, unless no process has any; returns its metrics."""
        count = len(batch["returns"])
        size = distributed.total(count) / distributed.world()
        if not size:
            return {}
        self.optimizer.zero_grad()
        sums = [self._accumulate(chunk, size) for chunk in in_chunks(batch)]
        self._descend()
        return {name: torch.stack([part[name] for part in sums]).sum() for name in sums[0]}

    def _accumulate(self, batch: dict[str, Tensor], size: float) -> dict[str, Tensor]:
        """Adds the gradient of some samples of a step; returns their shares of the metrics.

        ``size`` is the number of samples of the whole step, the mean over processes.
        """
        config, returns = self.config, batch["returns"]
        obs, agent = observation("obs", batch), batch["place"] % self.view.num_agents
        with torch.enable_grad():
            with self._training_mode():
                values = self.precision(self.online["critic"], obs, batch["mean"], agent)
                logits = self.precision(self.online["actor"], obs, agent)
            check_outputs(self.online["critic"], values, len(agent), 1, "state values [M, 1]")
            value = values[:, 0]
            critic_loss = (returns - value).square().sum() / size

            log_pi = self.log_policy(logits, batch.get("mask"))
            chosen = log_pi.gather(-1, batch["action"][:, None])[:, 0]
            gain = self._gain(chosen, value.detach(), batch)
            entropy = -(log_pi.exp() * log_pi).sum(-1)
            actor_loss = -(gain + config.entropy * entropy).sum() / size
            (actor_loss + config.rollout.value_weight * critic_loss).backward()
        metrics = {
            "loss": critic_loss,
            "value": value.sum() / size,
            "entropy": entropy.sum() / size,
        }
        return {name: part.detach() for name, part in metrics.items()}

    def _gain(self, log_pi: Tensor, value: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Returns what the actor maximises [M]; its gradient is grad log pi(a|s) (R - V(s, abar)).

        Args:
            log_pi: log pi(a | s) [M] of the actions taken, with gradients.
            value: V(s, abar) [M].
            batch: the samples.
        """
        return log_pi * (batch["returns"] - value)

    @torch.no_grad()
    def _state_values(self, states: dict[str, Tensor]) -> Tensor:
        """Returns V(s, abar) [M], with ``states["expected"]`` as abar."""

        def values(states: dict[str, Tensor]) -> Tensor:
            agent = states["place"] % self.view.num_agents
            inputs = observation("obs", states), states["expected"], agent
            return self.precision(self.online["critic"], *inputs)[:, 0]

        return torch.cat([values(chunk) for chunk in in_chunks(states)])
