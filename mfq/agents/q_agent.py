"""Mean-field Q-learning with a network (Yang et al. 2018, Algorithm 1).

`QAgent` implements MFQ and independent Q-learning (IQL).

Legend: B rows, N agents, A actions, M transitions of a batch.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from mfq.agents.base import Agent
from mfq.agents.hearing import MakeMeanField
from mfq.agents.q_config import QConfig
from mfq.agents.q_player import MakeNetwork, QPlayer
from mfq.agents.update_scheduler import UpdateScheduler
from mfq.common import distributed
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.networks.normalize import RewardScale
from mfq.networks.optimizer import adam, load_adam, polyak_update
from mfq.policy import Mixture, Policy
from mfq.replay.base import observation, transition_fields
from mfq.replay.compact import replay_for
from mfq.values import OPERATORS, NextStateValues, ValueOperator, td_target


class QAgent(QPlayer, Agent):
    """Deep Q-learning with one network for all agents that it plays.

    It acts as `QPlayer` does, and takes the same arguments, and one more.

    Args:
        value: computes the values of next states, in place of ``config.value``.

    Attributes:
        target: the target network.
        target_policy: pi in v^MF, without stickiness and coherent exploration; see
            `QConfig.target_temperature`.
        replay: the transitions; see `ReplayConfig`.
        reward_scale: the scale of rewards; None if they are not scaled.
        updates: gradient steps made.
    """

    def __init__(
        self,
        view: View,
        mean_field: bool | MakeMeanField = True,
        config: QConfig | None = None,
        seed: int = 0,
        network: MakeNetwork | None = None,
        policy: Policy | None = None,
        value: ValueOperator | None = None,
    ) -> None:
        super().__init__(view, mean_field, config, seed, network, policy)
        config = self.config
        from_config = config.target_temperature or policy is None
        self.target_policy = config.make_target_policy() if from_config else self.policy
        self.value_operator = OPERATORS[config.value] if value is None else value
        self.target = copy.deepcopy(self.module).requires_grad_(False)
        # Listed once, since iterating over a module is slow beside a small network's gradient step.
        self._weights = list(self.module.parameters())
        self._slow_weights = list(self.target.parameters())
        self._buffers = list(zip(self.target.buffers(), self.module.buffers(), strict=True))
        self.optimizer = adam(self._weights, view.device, config.optimizer.learning_rate)
        self.replay = replay_for(
            view,
            # Iterated mean actions are random, so that they cannot be recomputed.
            "ring" if config.iterations else config.replay.kind,
            config.replay.size,
            int(seed) + 1,
            self.mean_field,
            config.gamma > 0,
        )
        self.update_scheduler = UpdateScheduler(config.replay, config.optimizer.batch_size)
        self.reward_scale = RewardScale(view.device) if config.reward_scale == "auto" else None
        self.updates = 0

    # -- interface of agents ---------------------------------------------------------------------

    def act(self, step: Step, explore: bool = True) -> Tensor:
        if explore:
            self.replay.record_snapshot(step)
        return super().act(step, explore)

    def observe(self, step: Step, actions: Tensor, next_step: Step) -> None:
        """Stores the transitions of its agents that chose an action."""
        learns = step.learners(next_step)
        if self.config.exploration.episodes:
            self.episodes += distributed.total(int(next_step.ended.sum()))
        if self.reward_scale is not None:
            self.reward_scale.update(next_step.reward[learns])
        before = self.replay.added
        self.replay.add(
            step, next_step, learns, lambda: self._transition_fields(step, actions, next_step)
        )
        self.update_scheduler.stored(self.replay.added - before, self.replay.added)
        self.hearing(next_step)  # so that a checkpoint holds it; see `Hearing.load_state_dict`

    def learn(self) -> dict[str, float]:
        """Makes the gradient steps on (y - Q(s, a, abar))^2 that are due; returns metrics, or {}."""
        self._set_rate()
        metrics: tuple[Tensor, ...] = ()
        for _ in range(self.update_scheduler.updates(self.replay.added)):
            metrics = self._improve(self.replay.sample(self.config.optimizer.batch_size))
        return dict(zip(("loss", "q", "td_error"), map(float, metrics), strict=False))

    def _improve(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Makes a gradient step; returns the loss, the mean value and the mean absolute error."""
        with torch.enable_grad():
            inputs = observation("obs", batch), batch["mean"], batch["agent"]
            with self._training_mode():
                q = self.precision(self.module, *inputs)
            chosen = q.gather(-1, batch["action"][:, None])[:, 0]
            error = self.td_target(batch) - chosen
            loss = error.square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        distributed.average_gradients(self._weights)
        if self.config.optimizer.clip_gradient:
            nn.utils.clip_grad_norm_(self._weights, self.config.optimizer.clip_gradient)
        self.optimizer.step()
        self.updates += 1
        self._move_target()
        return loss.detach(), chosen.detach().mean(), error.detach().abs().mean()

    def state_dict(self) -> dict[str, Any]:
        """Returns the complete state, replay included."""
        return {
            **super().state_dict(),
            "target": self.target.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "replay": self.replay.state_dict(),
            "updates": self.updates,
            "samples_due": self.update_scheduler.samples_due,
            **({"reward_scale": self.reward_scale.state_dict()} if self.reward_scale else {}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict`; one without a replay leaves the replay empty."""
        super().load_state_dict(state)
        self.hearing.load_state_dict(state.get("hearing", {}), is_current=True)
        self.target.load_state_dict(state["target"])
        load_adam(self.optimizer, state["optimizer"])
        self._set_rate()  # of the config, which may differ from the saved one
        self.updates = state["updates"]
        self.update_scheduler.load(state)
        if self.reward_scale is not None and "reward_scale" in state:
            self.reward_scale.load_state_dict(state["reward_scale"])
        if "replay" in state:
            self.replay.load_state_dict(state["replay"])

    def offset_seeds(self, offset: int) -> None:
        for generator in (self.generator, self.replay.generator):
            generator.manual_seed(generator.initial_seed() + offset)

    # -- implementation -------------------------------------------------------------------------

    @torch.no_grad()
    def td_target(self, batch: dict[str, Tensor]) -> Tensor:
        """Returns y = r + gamma v(s') [M]; v is v^MF, double Q or the maximum. ``reward_scale`` divides
        r."""
        config, reward = self.config, batch["reward"]
        if self.reward_scale is not None:
            reward = reward / self.reward_scale.scale
        if config.gamma == 0:
            return reward
        inputs = observation("next_obs", batch), batch["next_mean"], batch["agent"]
        mask = batch.get("next_mask")
        q = self.precision(self.target, *inputs)
        after = NextStateValues(
            q,
            mask,
            ask_online=lambda: self.precision(self.module, *inputs),
            ask_policy=lambda: self._next_policy(q, mask, batch["action"]),
        )
        value = self.value_operator(after)
        return td_target(reward, value, batch["terminated"], config.gamma)

    def _next_policy(self, q: Tensor, mask: Tensor | None, last: Tensor) -> Tensor:
        """Returns pi(. | s', abar') [M, A] in v^MF, of agents with the last actions ``last`` [M]."""
        config, together = self.config, self._coherence()
        pi = self.target_policy.probabilities(q, self.clock, mask)
        if config.target_temperature:
            return pi
        if (stickiness := config.exploration.stickiness) > 0:
            repeats = torch.zeros_like(pi).scatter_(-1, last[:, None], stickiness)
            if mask is not None:
                repeats *= mask != 0  # agents cannot repeat an action that is not allowed now
            pi = repeats + (1 - repeats.sum(-1, keepdim=True)) * pi
        if together > 0:
            uniform = Mixture(torch.ones_like(pi)).probabilities(q, self.clock, mask)
            pi = (1 - together) * pi + together * uniform
        return pi

    def _set_rate(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.optimizer.rate(self.clock)

    def _transition_fields(self, step: Step, actions: Tensor, next_step: Step) -> dict[str, Tensor]:
        """Returns the transitions of all agents, [B, N, ...] by name."""
        fitted = self.mean_field.fitted(
            before=lambda: self._mean_before(step), after=lambda: self.hearing(next_step)
        )
        following = None
        if self.config.gamma > 0:
            with torch.no_grad():
                following = self.expected_mean(next_step)
        return transition_fields(step, actions, next_step, fitted, following)

    def _mean_before(self, step: Step) -> Tensor:
        """Returns the abar that the actions of a step were chosen with, [B, N, D]."""
        # Iterated mean actions are random: another iteration would give another abar.
        if self._acted_on is not None and self._acted_on[0] == step.number:
            return self._acted_on[1]
        return self.expected_mean(step)

    def _move_target(self) -> None:
        hard = self.config.hard_update
        if hard and self.updates % hard:
            return
        share = 1.0 if hard else self.config.polyak
        with torch.no_grad():
            polyak_update(self._slow_weights, self._weights, share)
            for slow, fast in self._buffers:
                slow.copy_(fast)
