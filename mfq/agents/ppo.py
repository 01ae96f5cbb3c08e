"""IPPO and MF-PPO: proximal policy optimization with parameters that all agents share.

Legend: B rows, N agents, A actions, M samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mfq.agents.ac_rollout import RolloutActorCritic, in_chunks
from mfq.agents.ppo_config import PPOConfig
from mfq.common import distributed
from mfq.replay.base import observation
from mfq.values import clipped_gain


class PPO(RolloutActorCritic):
    """PPO (Schulman et al. 2017) with one policy pi(a | o_j) and one critic for all agents.

    The critic of MF-PPO is V(o_j, abar_j), that of IPPO V(o_j). From rollouts of a fixed length it
    computes R, the lambda-returns of `mfq.values.lambda_returns`, and A = R - V. With pi_old the policy
    that played, each of several epochs of minibatches

        maximises  min(ratio A, clip(ratio, 1 - c, 1 + c) A) + entropy H(pi),   ratio = pi(a) / pi_old(a)
        minimises  value_weight (R - V)^2

    An agent's death ends its returns; a time limit, or the end of the rollout, bootstraps from V of its
    last observation. The dead are not learned from.

    It takes the arguments of `ActorCritic`, with a `PPOConfig`: ``mean_field=True`` is MF-PPO, False is
    IPPO.
    """

    Config = PPOConfig
    config: PPOConfig

    def _is_over(self) -> bool:
        return self._last is not None and len(self.rollout) >= self.config.rollout.steps

    def _improve(self) -> dict[str, float]:
        if not self._is_over():
            return {}
        options, metrics = self.config.rollout, dict[str, Tensor]()
        batch = self._finished(options.gae_lambda)
        advantage = batch["returns"] - batch["value"]
        batch["advantage"] = normalized(advantage) if options.normalize_advantages else advantage
        batch["log_pi"] = self._log_pi(batch)
        for _ in range(options.epochs):
            order = torch.randperm(
                len(advantage), generator=self.generator, device=self.view.device
            )
            for part in order.tensor_split(options.minibatches):
                minibatch = {name: values[part] for name, values in batch.items()}
                metrics = self._take_step(minibatch) or metrics
        if len(advantage):
            metrics["kl"] = (batch["log_pi"] - self._log_pi(batch)).mean()
        return {name: float(value) for name, value in metrics.items()}

    def _gain(self, log_pi: Tensor, value: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Returns min(ratio A, clip(ratio) A) [M]; see `ActorCritic`."""
        ratio = (log_pi - batch["log_pi"]).exp()
        return clipped_gain(ratio, batch["advantage"], self.config.rollout.clip)

    @torch.no_grad()
    def _log_pi(self, batch: dict[str, Tensor]) -> Tensor:
        """Returns log pi(a | s) [M] of the actions taken, under the current policy."""

        def of(batch: dict[str, Tensor]) -> Tensor:
            agent = batch["place"] % self.view.num_agents
            logits = self.precision(self.online["actor"], observation("obs", batch), agent)
            log_pi = self.log_policy(logits, batch.get("mask"))
            return log_pi.gather(-1, batch["action"][:, None])[:, 0]

        return torch.cat([of(chunk) for chunk in in_chunks(batch)])


def normalized(values: Tensor) -> Tensor:
    """Returns numbers [M], shifted and divided so that over all processes their mean is 0 and their
    standard deviation is 1 (or 0, if they are equal)."""
    count = distributed.total(len(values))
    if not count:
        return values
    numbers = values.double()
    mean = distributed.summed(numbers.sum()) / count
    variance = distributed.summed((numbers - mean).square().sum()) / count
    return ((numbers - mean) / (variance.sqrt() + 1e-8)).to(values)
