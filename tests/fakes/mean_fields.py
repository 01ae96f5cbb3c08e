"""Mean fields with a memory, and with weights."""

import torch
from torch import nn

from mfq.mean_field import MeanField, one_hot


class Counts(MeanField):
    """The actions that an agent's neighbours took in the episode so far: (1 + c) / (A + sum of c).

    The mean of the posterior of a Dirichlet distribution (Subramanian et al. 2021).
    """

    def __init__(self, view, pairing="current"):
        super().__init__(view, pairing)
        self.width = view.num_actions
        self.calls = 0

    def new_memory(self, num_envs):
        return {"counts": torch.zeros(num_envs, self.num_agents, self.num_actions)}

    def hear(self, step, memory):
        self.calls += 1
        actions = one_hot(step.actions, self.num_actions)
        neighbors = step.graph_before.degree(step.actions >= 0)[..., None]
        memory["counts"] += step.graph_before.mean(actions, step.actions >= 0) * neighbors
        counts = memory["counts"] + 1
        return counts / counts.sum(-1, keepdim=True)


class Gate(nn.Module):
    """Scales what is heard by a weight a feature."""

    def __init__(self, width, features):
        super().__init__()
        self.size = width
        self.weight = nn.Parameter(torch.full((features, width), 0.1))

    def forward(self, heard, features):
        return heard * torch.sigmoid(features @ self.weight)


class Gated(Counts):
    """`Counts` encoded by a `Gate`, which reads the observation too."""

    def embed(self, generator, features):
        return Gate(self.width, features)
