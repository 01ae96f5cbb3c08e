"""Actor-critics whose networks are tables of numbers, and steps made by hand."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

import mfq
from mfenvs.graph import CompleteGraph
from mfq.agents.ac_config import ACConfig
from mfq.agents.actor_critic import ActorCritic
from mfq.common.config import build
from mfq.envs.step import Step
from mfq.mean_field import MeanAction, NoMeanField
from tests.reference.matrix_game import MatrixGame


class Sizes(NamedTuple):
    """The sizes that mean fields read of a view."""

    num_agents: int = 10
    num_actions: int = 4
    mean_action_dim: int = 4
    device: torch.device = torch.device("cpu")


FIELDS = {True: MeanAction(Sizes()), False: NoMeanField(Sizes())}
"""Of four actions; with and without a mean action."""


class Table(nn.Module):
    """A number per output, whatever is observed; a critic adds the mean action times 10."""

    def __init__(self, numbers):
        super().__init__()
        self.numbers = nn.Parameter(torch.tensor(numbers))

    def forward(self, obs, *rest):
        out = self.numbers.expand(len(rest[-1]), -1)
        mean = rest[0] if len(rest) == 2 else None
        if mean is None or not mean.shape[-1]:
            return out
        # A value takes up a third of the tilt for the last action.
        return out + 10 * mean if out.shape[-1] > 1 else out + 10 * mean[:, -1:] / 3


DEFAULT = ACConfig(
    gamma=0.5, entropy=0.0, optimizer={"clip_gradient": 0.0}, replay={"learning_starts": 1}
)
LOGITS, Q = [0.5, -0.3, 1.1], [1.0, 2.0, 4.0]


def agent_with(logits=LOGITS, values=Q, mean_field=True, agents=2, **config):
    """An agent on a game of three actions whose networks are tables."""
    view = mfq.wrap(MatrixGame(torch.zeros(1, 3, 3, 2)))
    view.num_agents = agents
    return ActorCritic(
        view,
        mean_field,
        build(ACConfig, config, DEFAULT),
        network=lambda view, coin: (Table(logits), Table(values)),
    )


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def a_step(actions, *, alive=None, acting=None, mask=None, reward=0.0, groups=None, **rest):
    actions = torch.tensor([actions])
    yes = torch.ones_like(actions, dtype=torch.bool)
    graph = CompleteGraph(actions.shape[1], None if groups is None else np.array(groups))
    alive = yes if alive is None else torch.tensor([alive])
    parts = {
        "obs": torch.zeros(*actions.shape, dtype=torch.int64),
        "reward": torch.full(actions.shape, reward),
        "terminated": ~yes,
        "truncated": torch.zeros(1, dtype=torch.bool),
        "alive": alive,
        "acting": alive if acting is None else torch.tensor([acting]),
        "actions": actions,
        "action_mask": mask,
        "reset": torch.zeros(1, dtype=torch.bool),
        "graph": graph,
        "graph_before": graph,
        "num_actions": 3,
    }
    return Step(**{**parts, **rest})


def in_rows(step, rows):
    """A step of one row, so many times."""
    tensors = {name: part for name, part in vars(step).items() if isinstance(part, torch.Tensor)}
    return replace(
        step, **{name: part.repeat(rows, *[1] * (part.ndim - 1)) for name, part in tensors.items()}
    )


def stored(agent):
    """The transitions in the replay."""
    return agent.replay.state_dict()["fields"]
