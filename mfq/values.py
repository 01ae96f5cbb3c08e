"""Values of a next state, and temporal-difference targets: pure functions of tensors.

Legend: B rows, N agents, A actions. All q are float [..., A].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass
class NextStateValues:
    """Action values and policy in the M next states of a batch, computed on demand.

    Attributes:
        q: the target network's values, float32 [M, A].
        mask: int8 [M, A], the allowed actions; None if all are.
        ask_online, ask_policy: functions that compute ``online`` and ``policy``.
    """

    q: Tensor
    mask: Tensor | None
    ask_online: Callable[[], Tensor]
    ask_policy: Callable[[], Tensor]

    @cached_property
    def online(self) -> Tensor:
        """The online network's values, float32 [M, A]."""
        return self.ask_online()

    @cached_property
    def policy(self) -> Tensor:
        """pi(. | s', abar'), float32 [M, A]."""
        return self.ask_policy()


ValueOperator = Callable[[NextStateValues], Tensor]
"""A function that returns the values [M] of next states."""


def mean_field_value(q_target: Tensor, policy: Tensor) -> Tensor:
    """Returns v^MF(s') = sum_a pi(a | s', abar') Q_target(s', a, abar') (Eq. 10).

    Args:
        q_target: [..., A].
        policy: probabilities [..., A].

    Returns:
        [...].
    """
    return (policy * q_target).sum(-1)


def max_value(q_target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Returns max_a Q_target(s', a) over the allowed actions; 0 if none is."""
    return _allowed(q_target, mask).amax(-1).nan_to_num(neginf=0.0)


def double_value(q_online: Tensor, q_target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Returns Q_target(s', argmax_a Q_online(s', a)): double Q-learning, as in the authors' code."""
    best = _allowed(q_online, mask).argmax(-1, keepdim=True)
    return q_target.gather(-1, best)[..., 0]


def td_target(reward: Tensor, next_value: Tensor, terminated: Tensor, gamma: float) -> Tensor:
    """Returns r + gamma v(s'), or r if the agent died. Truncation does bootstrap.

    Args:
        reward: float [...].
        next_value: float [...].
        terminated: bool [...].
        gamma: discount in [0, 1].
    """
    return reward + gamma * next_value * (~terminated).to(next_value)


def monte_carlo_returns(
    reward: Tensor, terminated: Tensor, ends: Tensor, next_value: Tensor, gamma: float
) -> Tensor:
    """Returns R_t = r_t + gamma R_{t+1} along the first axis.

    If an agent's trajectory ends at t, R_t = r_t + gamma v(s_{t+1}); if it dies, R_t = r_t.

    Args:
        reward, next_value: float [T, ...]; ``next_value`` is used only at the ends.
        terminated, ends: bool [T, ...]; the last t is always an end.
        gamma: discount in [0, 1].
    """
    return lambda_returns(reward, terminated, ends, next_value, ends, gamma, 1.0)


def lambda_returns(
    reward: Tensor,
    terminated: Tensor,
    ends: Tensor,
    next_value: Tensor,
    has_value: Tensor,
    gamma: float,
    trace: float,
) -> Tensor:
    """Returns R_t = r_t + gamma ((1 - lambda) v(s_{t+1}) + lambda R_{t+1}) along the first axis.

    R_t - v(s_t) is the generalized advantage estimate (GAE, Schulman et al. 2016). If an agent's
    trajectory ends at t, R_t = r_t + gamma v(s_{t+1}); if it dies, R_t = r_t. If s_{t+1} has no value,
    since the agent does not choose there, R_t = r_t + gamma R_{t+1}.

    Args:
        reward, next_value: float [T, ...]; ``next_value`` is used only at the ends and where
            ``has_value`` is True, and must be finite.
        terminated, ends, has_value: bool [T, ...]; the last t is always an end.
        gamma: discount in [0, 1].
        trace: lambda in [0, 1]; 1 gives `monte_carlo_returns`.
    """
    returns = torch.empty_like(reward)
    following = next_value[-1]
    for t in reversed(range(len(reward))):
        mixed = (1 - trace) * next_value[t] + trace * following
        later = next_value[t].where(ends[t], mixed.where(has_value[t], following))
        following = returns[t] = td_target(reward[t], later, terminated[t], gamma)
    return returns


def clipped_gain(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """Returns min(ratio A, clip(ratio, 1 - c, 1 + c) A), what PPO maximises (Schulman et al. 2017).

    Args:
        ratio: pi(a | s) / pi_old(a | s), float [...].
        advantage: A, float [...].
        clip: c, above 0.
    """
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return torch.minimum(ratio * advantage, clipped * advantage)


def _allowed(q: Tensor, mask: Tensor | None) -> Tensor:
    return q if mask is None else q.masked_fill(mask == 0, -torch.inf)


OPERATORS: dict[str, ValueOperator] = {
    "mean_field": lambda after: mean_field_value(after.q, after.policy),
    "double": lambda after: double_value(after.online, after.q, after.mask),
    "max": lambda after: max_value(after.q, after.mask),
}
"""Value operators by their names in `QConfig`."""
