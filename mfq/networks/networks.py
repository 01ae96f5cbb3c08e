"""Q-networks, actors and critics, put together from the spaces (Yang et al. 2018, appendix C; the
authors' base.py and ac.py).

Weights are Glorot uniform and biases zero, drawn from a generator of the caller's.

Legend: M samples, A actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from mfq.networks.encoders import PAPER, Conv, encoder, mlp, output

MEAN_HIDDEN, MEAN_SIZE = 64, 32


class QNetwork(nn.Module):
    """Q(o_j, abar_j, .) of agent j, one network for all agents.

    What an agent observes, its mean action (64 -> 32, relu) and an embedding of who it is are encoded
    apart, joined, and put through an MLP.

    Args:
        observation_space: see `encoder`.
        num_agents: N, how many agents the embedding tells apart.
        num_actions: A.
        mean_field: whether there is a mean action among the inputs.
        hidden: widths of the joint layers.
        agent_embedding: size of the embedding; 0 for none, so that agents are told apart by what they
            observe alone.
        generator: draws the weights.
        mean_action_dim: numbers of a mean action; None: A.
        conv: see `encoder`.

    Raises:
        ValueError: for another space.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        num_agents: int,
        num_actions: int,
        mean_field: bool,
        hidden: Sequence[int],
        agent_embedding: int,
        generator: torch.Generator,
        mean_action_dim: int | None = None,
        conv: Conv | None = PAPER,
    ) -> None:
        super().__init__()
        self.observe = encoder(observation_space, generator, conv)
        size = self.observe.size
        self.mean: nn.Module | None = None
        if mean_field:
            width = num_actions if mean_action_dim is None else mean_action_dim
            self.mean = mlp([width, MEAN_HIDDEN, MEAN_SIZE], generator, last_relu=True)
            size += MEAN_SIZE
        self.identity = _embedding(num_agents, agent_embedding, generator)
        size += agent_embedding
        self.joint = mlp([size, *hidden, num_actions], generator)

    def forward(self, obs: Any, mean: Tensor, agent: Tensor) -> Tensor:
        """Action values.

        Args:
            obs: [M, ...], or a dict of such.
            mean: float32 [M, mean_action_dim]; not read without ``mean_field``.
            agent: int64 [M].

        Returns:
            float32 [M, A].
        """
        parts = [self.observe(obs)]
        if self.mean is not None:
            parts.append(self.mean(mean))
        if self.identity is not None:
            parts.append(self.identity(agent))
        return self.joint(torch.cat(parts, -1))


class Trunk(nn.Module):
    """What an agent observes and who it is, encoded, joined, and put through an MLP: [M, size].

    Args:
        observation_space, num_agents, hidden, agent_embedding, generator: as in `QNetwork`; ``hidden``
            has a width at least.
        pictures: "conv", the paper's convolutions, or "flat", none; see `encoder`.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        num_agents: int,
        hidden: Sequence[int],
        agent_embedding: int,
        pictures: str,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.size = hidden[-1]
        self.observe = encoder(observation_space, generator, PAPER if pictures == "conv" else None)
        self.identity = _embedding(num_agents, agent_embedding, generator)
        sizes = [self.observe.size + agent_embedding, *hidden]
        self.joint = mlp(sizes, generator, last_relu=True)

    def forward(self, obs: Any, agent: Tensor) -> Tensor:
        parts = [self.observe(obs)]
        if self.identity is not None:
            parts.append(self.identity(agent))
        return self.joint(torch.cat(parts, -1))


class Actor(nn.Module):
    """The logits of pi(. | o_j), one network for all agents: float32 [M, A]. It sees no mean action."""

    def __init__(self, trunk: Trunk, num_actions: int, generator: torch.Generator) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = output(trunk.size, num_actions, generator)

    def forward(self, obs: Any, agent: Tensor) -> Tensor:
        return self.head(self.trunk(obs, agent))


class Critic(nn.Module):
    """Q(o_j, ., abar_j) [M, A], or V(o_j, abar_j) [M, 1]: one network for all agents.

    The mean action (64 -> 32, relu) is joined to the trunk's output and goes with it through ``hidden``.
    Without a mean action there is nothing to join, and the trunk's output is all.
    """

    def __init__(
        self,
        trunk: Trunk,
        mean_action_dim: int,
        num_outputs: int,
        mean_field: bool,
        hidden: Sequence[int],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.mean: nn.Module | None = None
        sizes = [trunk.size]
        if mean_field:
            self.mean = mlp([mean_action_dim, MEAN_HIDDEN, MEAN_SIZE], generator, last_relu=True)
            sizes = [trunk.size + MEAN_SIZE, *hidden]
        self.head = mlp([*sizes, num_outputs], generator)

    def forward(self, obs: Any, mean: Tensor, agent: Tensor) -> Tensor:
        parts = [self.trunk(obs, agent)]
        if self.mean is not None:
            parts.append(self.mean(mean))
        return self.head(torch.cat(parts, -1))


def _embedding(num_agents: int, size: int, generator: torch.Generator) -> nn.Embedding | None:
    """Who an agent is; None for a size of 0."""
    if not size:
        return None
    layer: nn.Embedding = nn.utils.skip_init(nn.Embedding, num_agents, size)
    nn.init.normal_(layer.weight, generator=generator)
    return layer
