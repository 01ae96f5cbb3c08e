"""MF-AC with a critic Q(s, a, abar) that learns from replay (Yang et al. 2018, Algorithm 2).

Legend: B rows, N agents, A actions, M transitions of a batch.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from mfq.agents.ac_config import ACConfig
from mfq.agents.actor_critic import ActorCritic, Networks
from mfq.agents.hearing import MakeMeanField
from mfq.agents.update_scheduler import UpdateScheduler
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.networks.modes import check_outputs
from mfq.networks.optimizer import polyak_update
from mfq.replay.base import Replay, observation, transition_fields
from mfq.replay.compact import replay_for
from mfq.values import mean_field_value, td_target


class ReplayActorCritic(ActorCritic):
    """The paper's actor-critic: an off-policy critic with target networks.

    It takes the arguments of `ActorCritic`.

    Attributes:
        replay: the transitions; see `ReplayConfig`.
        target: the target networks, "actor" and "critic".
    """

    critic = "q"

    def __init__(
        self,
        view: View,
        mean_field: bool | MakeMeanField = True,
        config: ACConfig | None = None,
        seed: int = 0,
        network: Networks | None = None,
    ) -> None:
        super().__init__(view, mean_field, config, seed, network)
        config = self.config
        self.update_scheduler = UpdateScheduler(config.replay, config.optimizer.batch_size)
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.replay = self._make_replay(int(seed) + 1)

    def act(self, step: Step, explore: bool = True) -> Tensor:
        if explore:
            self.replay.record_snapshot(step)
        return super().act(step, explore)

    def observe(self, step: Step, actions: Tensor, next_step: Step) -> None:
        """Stores the transitions of its agents that chose an action."""
        learns = step.learners(next_step)
        if self.reward_scale is not None:
            self.reward_scale.update(next_step.reward[learns])
        before = self.replay.added
        self.replay.add(
            step,
            next_step,
            learns,
            lambda: self._transition_fields(step, actions, next_step),
        )
        self.update_scheduler.stored(self.replay.added - before, self.replay.added)
        self.hearing(next_step)  # so that a checkpoint holds it; see `Hearing.load_state_dict`

    def state_dict(self) -> dict[str, Any]:
        return {
            **super().state_dict(),
            "target": self.target.state_dict(),
            "replay": self.replay.state_dict(),
            "samples_due": self.update_scheduler.samples_due,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict`; one without a replay leaves the replay empty."""
        super().load_state_dict(state)
        self.target.load_state_dict(state["target"])
        self.update_scheduler.load(state)
        if "replay" in state:
            self.replay.load_state_dict(state["replay"])

    def offset_seeds(self, offset: int) -> None:
        for generator in (self.generator, self.replay.generator):
            generator.manual_seed(generator.initial_seed() + offset)

    def _improve(self) -> dict[str, float]:
        config, metrics = self.config, dict[str, Tensor]()
        for _ in range(self.update_scheduler.updates(self.replay.added)):
            batch = self.replay.sample(config.optimizer.batch_size)
            obs, agent = observation("obs", batch), batch["agent"]
            with torch.enable_grad():
                with self._training_mode():
                    q = self._critic_values(batch)
                    logits = self.precision(self.online["actor"], obs, agent)
                num_actions = self.view.num_actions
                check_outputs(self.online["critic"], q, len(agent), num_actions, "values [M, A]")
                chosen = q.gather(-1, batch["action"][:, None])[:, 0]
                critic_loss = (self.td_target(batch) - chosen).square().mean()

                # Since grad pi = pi grad log pi, the gradient of sum_a pi(a|s) Q(s, a, abar) is
                # E_{a~pi}[grad log pi(a|s) Q(s, a, abar)], without sampling.
                log_pi = self.log_policy(logits, batch.get("mask"))
                pi = log_pi.exp()
                gain, entropy = (pi * q.detach()).sum(-1), -(pi * log_pi).sum(-1)
                actor_loss = -(gain + config.entropy * entropy).mean()
                self.optimizer.zero_grad()
                (critic_loss + actor_loss).backward()
            self._descend()
            self._move_targets()
            metrics = {"loss": critic_loss, "q": chosen.mean(), "entropy": entropy.mean()}
        return {name: float(value.detach()) for name, value in metrics.items()}

    @torch.no_grad()
    def td_target(self, batch: dict[str, Tensor]) -> Tensor:
        """Returns y = r + gamma v^MF(s') [M].

        v^MF(s') = sum_a pi_target(a | s') Q_target(s', a, abar').
        """
        reward = batch["reward"]
        if self.reward_scale is not None:
            reward = reward / self.reward_scale.scale
        if self.config.gamma == 0:
            return reward
        return td_target(reward, self._next_value(batch), batch["terminated"], self.config.gamma)

    def _make_replay(self, seed: int) -> Replay:
        """Returns the replay."""
        replay, bootstraps = self.config.replay, self.config.gamma > 0
        return replay_for(self.view, replay.kind, replay.size, seed, self.mean_field, bootstraps)

    def _critic_values(self, batch: dict[str, Tensor]) -> Tensor:
        """Returns Q(s, ., abar) [M, A] of the online critic."""
        inputs = observation("obs", batch), batch["mean"], batch["agent"]
        return self.precision(self.online["critic"], *inputs)

    def _next_value(self, batch: dict[str, Tensor]) -> Tensor:
        """Returns v^MF(s') [M]."""
        obs, agent = observation("next_obs", batch), batch["agent"]
        logits = self.precision(self.target["actor"], obs, agent)
        pi = self.log_policy(logits, batch.get("next_mask")).exp()
        q = self.precision(self.target["critic"], obs, batch["next_mean"], agent)
        return mean_field_value(q, pi)

    def _transition_fields(self, step: Step, actions: Tensor, next_step: Step) -> dict[str, Tensor]:
        """Returns the transitions of all agents, [B, N, ...] by name."""
        fitted = self._fitted(step, next_step)
        following = self.hearing(next_step) if self.config.gamma > 0 else None
        batch = transition_fields(step, actions, next_step, fitted, following)
        return batch if step.action_mask is None else {**batch, "mask": step.action_mask}

    @torch.no_grad()
    def _move_targets(self) -> None:
        polyak_update(self.target.parameters(), self.online.parameters(), self.config.polyak)
        for slow, fast in zip(self.target.buffers(), self.online.buffers(), strict=True):
            slow.copy_(fast)
