"""Players as users write them, for MODULE:NAME: instances, classes, functions, torch modules."""

import torch
from torch import nn

import mfq


class Constant(mfq.Player):
    """Plays one action."""

    def __init__(self, action=0):
        self.action = action

    def act(self, step, explore=True):
        return torch.full_like(step.actions, self.action).where(step.alive, -1)


class OfView(mfq.Player):
    """Needs the view that it plays."""

    def __init__(self, view):
        self.view = view

    def act(self, step, explore=True):
        return torch.full_like(step.actions, self.view.num_actions - 1)


class Favours(nn.Module):
    """Values of 21 actions, the highest for one of them; as uncertain as dropout makes it."""

    def __init__(self, action=4, actions=21):
        super().__init__()
        self.bias = nn.Parameter(torch.arange(actions) * 0.01)
        self.dropout = nn.Dropout(0.5)
        with torch.no_grad():
            self.bias[action] += 1.0

    def forward(self, obs):
        picture = obs if isinstance(obs, torch.Tensor) else obs["view"]
        return self.dropout(self.bias.expand(len(picture), -1) + 1.0)


class Noisy(nn.Module):
    """A network of an agent, with dropout, and values of observations [M, D] and means."""

    def __init__(self, inputs, outputs, dropout=0.5):
        super().__init__()
        self.layer = nn.Linear(inputs, outputs)
        self.dropout = nn.Dropout(dropout)
        self.modes = []

    def forward(self, obs, *others):
        self.modes.append(self.training)
        return self.dropout(self.layer(obs.flatten(1).float()))


instance = Constant(6)
module = Favours()
number = 3


def of_view(view):
    return OfView(view)


def optional_view(view=None):
    return OfView(view)


def seeded(seed=6):
    return Constant(seed)


def makes_module():
    return Favours(5)


def makes_nothing():
    return None


def takes_two(view, other):
    return instance
