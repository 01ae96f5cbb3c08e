"""Mean-field Q-learning with a network (Yang et al. 2018, Algorithm 1).

MFQ and independent Q-learning (IQL) are two settings of `QAgent`.

Legend: B rows, N agents, A actions, M transitions of a batch.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from mfq.agents.q_config import QConfig
from mfq.agents.q_player import MakeNetwork, QPlayer
from mfq.agents.update_scheduler import UpdateScheduler
from mfq.common import distributed
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.networks.optimizer import adam, load_adam, polyak_update
from mfq.policy import Mixture, Policy
from mfq.replay.compact import CompactReplay, replay_for
from mfq.replay.ring import named, observation
from mfq.values import OPERATORS, NextStateValues, ValueOperator, td_target


class QAgent(QPlayer):
    """Deep Q-learning of the agents that it plays, through one shared network.

    Acting is `QPlayer`'s, and so are the arguments, but for the last.

    Args:
        value: how next states are valued, instead of as ``config.value`` says.

    Attributes:
        target: the target network.
        target_policy: pi in v^MF, but for inertia and coherent exploration; see
            `QConfig.target_temperature`.
        replay: the transitions; see ``config.replay``.
        updates: gradient steps made.
    """

    def __init__(
        self,
        view: View,
        mean_field: bool = True,
        config: QConfig | None = None,
        seed: int = 0,
        network: MakeNetwork | None = None,
        policy: Policy | None = None,
        value: ValueOperator | None = None,
    ) -> None:
        super().__init__(view, mean_field, config, seed, network, policy)
        config = self.config
        own_target = config.target_temperature or policy is None
        self.target_policy = config.make_target_policy() if own_target else self.policy
        self.value_operator = OPERATORS[config.value] if value is None else value
        self.target = copy.deepcopy(self.module).requires_grad_(False)
        # Walking through a module's parts takes long beside a small network's gradient step.
        self._weights = list(self.module.parameters())
        self._slow_weights = list(self.target.parameters())
        self._buffers = list(zip(self.target.buffers(), self.module.buffers(), strict=True))
        self.optimizer = adam(self._weights, view.device, config.learning_rate)
        self.replay = replay_for(
            view,
            # Iterated mean actions are drawn anew each time: what was acted on must be kept.
            "ring" if config.iterations else config.replay,
            config.replay_size,
            seed + 1,
            config.pairing,
            mean_field,
            config.gamma > 0,
        )
        self._agents = torch.arange(view.num_agents, device=view.device)
        self.update_scheduler, self.updates = UpdateScheduler(config), 0

    # -- the agent's protocol --------------------------------------------------------------------

    def act(self, step: Step, explore: bool = True) -> Tensor:
        if explore and isinstance(self.replay, CompactReplay):
            self.replay.record_snapshot(step)
        return super().act(step, explore)

    def observe(self, step: Step, actions: Tensor, next_step: Step) -> None:
        """Stores what the actions led to, of its agents whose choice counted."""
        learns = step.learners(next_step)
        if self.config.explore_rounds:
            self.rounds += distributed.total(int(next_step.ended.sum()))
        before = self.replay.added
        if isinstance(self.replay, CompactReplay):
            self.replay.add(step, next_step, learns)
        else:
            batch = self._transitions(step, actions, next_step)
            self.replay.add({name: values[learns] for name, values in batch.items()})
        self.update_scheduler.stored(self.replay.added - before, self.replay.added)

    def learn(self) -> dict[str, float]:
        """Gradient steps on (y - Q(s, a, abar))^2; metrics of the last, or {} before there is enough."""
        self._set_rate()
        found: tuple[Tensor, ...] = ()
        for _ in range(self.update_scheduler.updates(self.replay.added)):
            found = self._improve(self.replay.sample(self.config.batch_size))
        return dict(zip(("loss", "q", "td_error"), map(float, found), strict=False))

    def _improve(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """One gradient step; its loss, the mean value and the mean absolute error."""
        with torch.enable_grad():
            inputs = observation("obs", batch), batch["mean"], batch["agent"]
            q = self.precision(self.module, *inputs)
            chosen = q.gather(-1, batch["action"][:, None])[:, 0]
            error = self.td_target(batch) - chosen
            loss = error.square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        distributed.average_gradients(self._weights)
        if self.config.clip_gradient:
            nn.utils.clip_grad_norm_(self._weights, self.config.clip_gradient)
        self.optimizer.step()
        self.updates += 1
        self._move_target()
        return loss.detach(), chosen.detach().mean(), error.detach().abs().mean()

    def state_dict(self) -> dict[str, Any]:
        """Everything that the future depends on, replay included."""
        return {
            **super().state_dict(),
            "target": self.target.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "replay": self.replay.state_dict(),
            "updates": self.updates,
            "owed": self.update_scheduler.owed,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a `state_dict`; one without a replay leaves the replay empty."""
        super().load_state_dict(state)
        self.target.load_state_dict(state["target"])
        load_adam(self.optimizer, state["optimizer"])
        self._set_rate()  # as configured, should that have changed
        self.updates, self.update_scheduler.owed = state["updates"], state["owed"]
        if "replay" in state:
            self.replay.load_state_dict(state["replay"])

    # -- its parts ------------------------------------------------------------------------------

    @torch.no_grad()
    def td_target(self, batch: dict[str, Tensor]) -> Tensor:
        """y = r + gamma v(s') [M], with v^MF, double-Q or the maximum for v."""
        config = self.config
        if config.gamma == 0:
            return batch["reward"]
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
        return td_target(batch["reward"], value, batch["terminated"], config.gamma)

    def _next_policy(self, q: Tensor, mask: Tensor | None, habit: Tensor) -> Tensor:
        """pi(. | s', abar') [M, A] of v^MF: how those act at s' who last did ``habit`` [M]."""
        config, together = self.config, self._coherence()
        pi = self.target_policy.probabilities(q, self.clock, mask)
        if config.target_temperature:
            return pi
        if config.reconsider < 1:
            keeps = torch.zeros_like(pi).scatter_(-1, habit[:, None], 1 - config.reconsider)
            if mask is not None:
                keeps *= mask != 0  # who may not repeat itself chooses anew
            pi = keeps + (1 - keeps.sum(-1, keepdim=True)) * pi
        if together > 0:
            anything = Mixture(torch.ones_like(pi)).probabilities(q, self.clock, mask)
            pi = (1 - together) * pi + together * anything
        return pi

    def _set_rate(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate(self.clock)

    def _transitions(self, step: Step, actions: Tensor, next_step: Step) -> dict[str, Tensor]:
        """Everybody's transitions, [B, N, ...] by name."""
        batch = {
            "agent": self._agents.expand_as(actions),
            "action": actions,
            "reward": next_step.reward,
            "mean": self._fitted_mean(step, next_step),
            **named("obs", step.obs),
        }
        if self.config.gamma > 0:
            with torch.no_grad():
                batch["next_mean"] = self.expected_mean(next_step)
            batch["terminated"] = next_step.terminated
            batch |= named("next_obs", next_step.obs)
            if next_step.action_mask is not None:
                batch["next_mask"] = next_step.action_mask
        return batch

    def _fitted_mean(self, step: Step, next_step: Step) -> Tensor:
        """The mean action that the chosen action's value is fitted to."""
        if self.config.pairing == "previous":
            return self.expected_mean(step)
        return next_step.mean_action if self.mean_field else next_step.mean_action[..., :0]

    def _move_target(self) -> None:
        hard = self.config.hard_update
        if hard and self.updates % hard:
            return
        share = 1.0 if hard else self.config.polyak
        with torch.no_grad():
            polyak_update(self._slow_weights, self._weights, share)
            for mine, theirs in self._buffers:
                mine.copy_(theirs)
