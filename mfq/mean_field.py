"""The mean field: the mean action of an agent's live neighbours (Yang et al. 2018, section 3.1).

Everything here reads the actions *in effect*: an agent that held its action counts with the action it
held, one without an action (-1: dead, or silent) does not count at all.

Legend: B rows, N agents, A actions.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mfenvs.graph import NeighborGraph


def one_hot(actions: Tensor, num_actions: int) -> Tensor:
    """One-hot actions, the zero vector for -1.

    Args:
        actions: int64 [B, N] in [-1, A).

    Returns:
        float32 [B, N, A].
    """
    hot = torch.zeros((*actions.shape, num_actions), device=actions.device)
    hot.scatter_(-1, actions.clamp(min=0)[..., None], (actions >= 0).float()[..., None])
    return hot


def mean_action(graph: NeighborGraph, actions: Tensor, num_actions: int) -> Tensor:
    """Mean one-hot action of each agent's neighbours; the zero vector where none has an action.

    Args:
        graph: the neighbours at the time when the actions were chosen.
        actions: int64 [B, N], in effect; -1 for none.

    Returns:
        float32 [B, N, A]: the paper's abar, of that time.
    """
    return graph.mean(one_hot(actions, num_actions), actions >= 0)


def mean_action_at(
    graph: NeighborGraph, actions: Tensor, agents: Tensor, num_actions: int
) -> Tensor:
    """The mean action of single agents, each in a row of its own: `mean_action` at (m, agents[m]).

    Args:
        graph: a fixed one.
        actions: int64 [M, N], in effect; -1 for none.
        agents: int64 [M].

    Returns:
        float32 [M, A].
    """
    weights = (graph.adjacency_rows(agents) & (actions >= 0)).float()
    counts = torch.zeros((len(actions), num_actions + 1), device=actions.device)
    counts.scatter_add_(1, actions + 1, weights)
    return counts[:, 1:] / weights.sum(1, keepdim=True).clamp(min=1.0)


def iterate(
    mean: Tensor, rounds: int, graph: NeighborGraph, respond: Callable[[Tensor], Tensor]
) -> Tensor:
    """Eqs. 6 and 11 in turn: everybody responds to the mean action, which makes a new mean action.

    Args:
        mean: float32 [B, N, A], where to begin (the previous step's mean action).
        rounds: how often; 0 gives ``mean`` back.
        graph: the neighbours now.
        respond: mean action [B, N, A] -> actions int64 [B, N], drawn from the policy.

    Returns:
        float32 [B, N, A].
    """
    for _ in range(rounds):
        mean = mean_action(graph, respond(mean), mean.shape[-1])
    return mean
