"""Q-networks, actors and critics (Yang et al. 2018, appendix C; the authors' base.py and ac.py).

Weights are Glorot uniform, drawn from the caller's generator; biases are zero.

Legend: M samples, A actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from mfq.mean_field import MeanField
from mfq.networks.encoders import PAPER, Encoder, Encoding, encoder, linear, mlp, output

MEAN_HIDDEN, MEAN_SIZE = 64, 32


class MeanActionEmbedding(nn.Sequential):
    """The paper's encoder of the mean action: two layers, 64 and 32 wide, with ReLU."""

    size = MEAN_SIZE

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__(*mlp([width, MEAN_HIDDEN, MEAN_SIZE], generator, last_relu=True))

    def forward(self, heard: Tensor, features: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(heard)


def embedding_of(mean_field: MeanField, generator: torch.Generator, features: int) -> Any:
    """Returns the module that encodes what agents hear; None if the mean field's width is 0.

    Args:
        mean_field: the agents' mean field.
        generator: draws the weights.
        features: the number of features of the observation.
    """
    if not mean_field.width:
        return None
    embedding = mean_field.embed(generator, features)
    return MeanActionEmbedding(mean_field.width, generator) if embedding is None else embedding


class QNetwork(nn.Module):
    """Q(o_j, abar_j, .) of agent j, one network for all agents.

    The observation, the mean action (64 -> 32, ReLU) and an embedding of the agent's index are encoded
    separately, concatenated, and passed through an MLP.

    Args:
        observation_space: see `encoder`.
        num_agents: N, the number of embeddings.
        num_actions: A.
        mean_field: the agents' mean field.
        hidden: widths of the MLP's hidden layers.
        agent_embedding: size of the embedding; 0 for none, so that agents with equal observations have
            equal values.
        generator: draws the weights.
        encoding: see `encoder`.

    Raises:
        ValueError: for an unsupported space, or as `encoder`.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        num_agents: int,
        num_actions: int,
        mean_field: MeanField,
        hidden: Sequence[int],
        agent_embedding: int,
        generator: torch.Generator,
        encoding: Encoding = PAPER,
    ) -> None:
        super().__init__()
        self.observe = encoder(observation_space, generator, encoding)
        size = self.observe.size
        self.mean = embedding_of(mean_field, generator, size)
        if self.mean is not None:
            size += self.mean.size
        self.identity = _embedding(num_agents, agent_embedding, generator)
        size += agent_embedding
        self.joint = mlp([size, *hidden, num_actions], generator)

    def forward(self, obs: Any, mean: Tensor, agent: Tensor) -> Tensor:
        """Returns action values.

        Args:
            obs: [M, ...], or a dict of such.
            mean: float32 [M, D], what the agents hear; ignored if D is 0.
            agent: int64 [M].

        Returns:
            float32 [M, A].
        """
        parts = [self.observe(obs)]
        if self.mean is not None:
            parts.append(self.mean(mean, parts[0]))
        if self.identity is not None:
            parts.append(self.identity(agent))
        return self.joint(torch.cat(parts, -1))


class Trunk(nn.Module):
    """The observation and the agent's index, encoded and passed through an MLP: [M, size].

    Args:
        observation_space, num_agents, hidden, agent_embedding, generator: as in `QNetwork`; ``hidden``
            must not be empty.
        encoding: see `encoder`.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        num_agents: int,
        hidden: Sequence[int],
        agent_embedding: int,
        encoding: Encoding,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.size = hidden[-1]
        self.observe = encoder(observation_space, generator, encoding)
        self.identity = _embedding(num_agents, agent_embedding, generator)
        sizes = [self.observe.size + agent_embedding, *hidden]
        self.joint = mlp(sizes, generator, last_relu=True)

    def forward(self, obs: Any, agent: Tensor) -> Tensor:
        parts = [self.observe(obs)]
        if self.identity is not None:
            parts.append(self.identity(agent))
        return self.joint(torch.cat(parts, -1))


class Actor(nn.Module):
    """The logits of pi(. | o_j), one network for all agents: float32 [M, A]. It has no mean action."""

    def __init__(self, trunk: Trunk, num_actions: int, generator: torch.Generator) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = output(trunk.size, num_actions, generator)

    def forward(self, obs: Any, agent: Tensor) -> Tensor:
        return self.head(self.trunk(obs, agent))


class SeparateActors(nn.Module):
    """The logits of pi_j(. | o_j) of each agent j, with separate weights: float32 [M, A].

    Args:
        observation_space: see `encoder`; one whose encoder has no weights.
        num_agents, num_actions: N, A.
        hidden: widths of the hidden layers.
        encoding: see `encoder`.
        generator: draws the weights.

    Raises:
        ValueError: for an observation space whose encoder has weights, such as pictures.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        num_agents: int,
        num_actions: int,
        hidden: Sequence[int],
        encoding: Encoding,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.observe = encoder(observation_space, generator, encoding)
        if any(True for _ in self.observe.parameters()):
            raise ValueError(
                f"network.separate_actors=True with observations {observation_space}; allowed: "
                "numbers, without pictures"
            )
        self.num_agents = num_agents
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for inputs, outputs in pairwise([self.observe.size, *hidden, num_actions]):
            weight = torch.empty((num_agents, inputs, outputs), device="cpu")
            bound = (6 / (inputs + outputs)) ** 0.5  # Glorot, for each agent
            self.weights.append(weight.uniform_(-bound, bound, generator=generator))
            self.biases.append(torch.zeros((num_agents, 1, outputs), device="cpu"))

    def forward(self, obs: Any, agent: Tensor) -> Tensor:
        """Returns the logits of agents int64 [M]."""
        x, agents = self.observe(obs), self.num_agents
        # The samples of all agents in order, as in most calls, need no copies of the weights.
        all_in_order = len(agent) % agents == 0 and torch.equal(
            agent, torch.arange(agents, device=agent.device).repeat(len(agent) // agents)
        )
        x = x.view(-1, agents, x.shape[-1]).transpose(0, 1) if all_in_order else x[:, None]
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if not all_in_order:
                weight, bias = weight[agent], bias[agent]
            x = torch.baddbmm(bias, x.relu() if k else x, weight)
        return x.transpose(0, 1).flatten(0, 1) if all_in_order else x[:, 0]


class Critic(nn.Module):
    """Q(o_j, ., abar_j) [M, A], or V(o_j, abar_j) [M, 1]: one network for all agents.

    The encoded mean action (64 -> 32, ReLU) is concatenated to the trunk's output and passed through
    layers of widths ``hidden``. Without a mean action the trunk's output goes to the last layer.
    """

    def __init__(
        self,
        trunk: Trunk,
        num_outputs: int,
        mean_field: MeanField,
        hidden: Sequence[int],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.mean = embedding_of(mean_field, generator, trunk.size)
        sizes = [trunk.size]
        if self.mean is not None:
            sizes = [trunk.size + self.mean.size, *hidden]
        self.head = mlp([*sizes, num_outputs], generator)

    def forward(self, obs: Any, mean: Tensor, agent: Tensor) -> Tensor:
        parts = [self.trunk(obs, agent)]
        if self.mean is not None:
            parts.append(self.mean(mean, parts[0]))
        return self.head(torch.cat(parts, -1))


class JointCritic(nn.Module):
    """Q_j(x, a_1, ..., a_N) of agent j for each of its actions: float32 [M, A].

    One network for all agents. The agent's observation and index go through a trunk. The first layer
    after it adds a linear function of the encoded observations x of all agents, and for each other agent
    a vector for its action, none for an agent without one. Layers of widths ``hidden`` follow.

    Args:
        trunk: encodes the agent's observation and index.
        encode: encodes the observation of each agent for x.
        num_agents, num_actions: N, A.
        hidden: widths of the layers, at least one.
        generator: draws the weights.
    """

    def __init__(
        self,
        trunk: Trunk,
        encode: Encoder,
        num_agents: int,
        num_actions: int,
        hidden: Sequence[int],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.trunk, self.encode, self.num_actions = trunk, encode, num_actions
        self.mine = linear(trunk.size, hidden[0], generator)
        self.all_obs = linear(num_agents * encode.size, hidden[0], generator)
        vectors = torch.empty((num_agents * num_actions, hidden[0]), device="cpu")
        self.actions = nn.Parameter(nn.init.xavier_uniform_(vectors, generator=generator))
        self.head = mlp([*hidden, num_actions], generator)

    def forward(self, obs: Any, all_obs: Any, all_action: Tensor, agent: Tensor) -> Tensor:
        """Returns the values of agents' actions, given those of the others.

        Args:
            obs: [M, ...], or a dict of such.
            all_obs: [M, N, ...], or a dict of such: what all agents observe.
            all_action: int64 [M, N]; -1 for none. The action of the agent itself has no effect.
            agent: int64 [M].

        Returns:
            float32 [M, A].
        """
        agents = torch.arange(all_action.shape[1], device=agent.device)
        counts = (all_action >= 0) & (agents != agent[:, None])
        index = agents * self.num_actions + all_action.clamp(min=0)
        others = nn.functional.embedding_bag(
            index, self.actions, mode="sum", per_sample_weights=counts.to(self.actions.dtype)
        )
        features = self.encode(flat_agents(all_obs)).reshape(len(agent), -1)
        first = self.mine(self.trunk(obs, agent)) + self.all_obs(features) + others
        return self.head(first.relu())


def flat_agents(obs: Any) -> Any:
    """Returns observations [M, N, ...], or a dict of such, as [M N, ...]."""
    if isinstance(obs, dict):
        return {name: part.flatten(0, 1) for name, part in obs.items()}
    return obs.flatten(0, 1)


def _embedding(num_agents: int, size: int, generator: torch.Generator) -> nn.Embedding | None:
    """Returns an embedding of agents' indices; None for a size of 0."""
    if not size:
        return None
    layer: nn.Embedding = nn.utils.skip_init(nn.Embedding, num_agents, size)
    nn.init.normal_(layer.weight, generator=generator)
    return layer
