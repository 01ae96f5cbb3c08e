"""A mean field of your own: the mean action, and how many neighbours there are to have one."""

import torch

import mfq
from mfenvs import battle_v0


class MeanAndCount(mfq.MeanAction):
    """abar [A], and the number of live neighbours with an action, as a share of the agents."""

    def __init__(self, view, pairing="previous"):
        super().__init__(view, pairing)
        self.width = view.mean_action_dim + 1

    def hear(self, step, memory):
        count = step.graph_before.degree(step.actions >= 0)
        share = count[..., None].float() / self.num_agents
        return torch.cat([super().hear(step, memory), share], -1)


def main(steps=30):
    view = mfq.wrap(battle_v0.batched_env(map_size=16, max_cycles=20))
    small = {"replay": {"learning_starts": 50}, "optimizer": {"batch_size": 16}}
    agents = [
        mfq.QAgent(view, MeanAndCount, mfq.QConfig(**small)),
        mfq.ActorCritic(view, MeanAndCount, mfq.ACConfig(**small)),
    ]
    for agent in agents:
        mfq.train(view, agent, steps)
    return [agent.updates for agent in agents]
