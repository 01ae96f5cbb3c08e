"""A network of one's own: a dueling one. Any module will do that is called with (obs, mean, agent)."""

import torch
from torch import nn

import mfq
from mfenvs import gaussian_squeeze_v0


class Dueling(nn.Module):  # Wang et al. 2016
    def __init__(self, inputs, num_actions):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(inputs, 64), nn.ReLU())
        self.value, self.advantage = nn.Linear(64, 1), nn.Linear(64, num_actions)

    def forward(self, obs, mean, agent):
        """obs [M, ...], mean float32 [M, A], agent int64 [M] -> values float32 [M, A]."""
        x = self.body(torch.cat([obs, mean], -1))
        advantage = self.advantage(x)
        return self.value(x) + advantage - advantage.mean(-1, keepdim=True)


def make(view, generator):
    network = Dueling(view.observation_space.shape[0] + view.mean_action_dim, view.num_actions)
    for weights in network.parameters():
        nn.init.normal_(weights, std=0.1, generator=generator)  # so that a seed tells them
    return network


def main(steps=2000):
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=20, mu=50.0, sigma=20.0))
    config = mfq.QConfig(gamma=0.0, exploration={"stickiness": 0.9, "steps": 1000})
    agent = mfq.QAgent(view, network=make, config=config)
    mfq.train(view, agent, steps)
    return mfq.evaluate(view, agent)["final_performance"]


if __name__ == "__main__":
    print(f"G / G* = {main():.3f}")
