"""A policy of one's own: Boltzmann among the k best actions. It explores, and is pi in v^MF."""

from dataclasses import dataclass

import torch

import mfq
from mfenvs import gaussian_squeeze_v0
from mfq.policy import Boltzmann, Exponential, Policy, Value


@dataclass(frozen=True)
class TopK(Policy):
    """Boltzmann among the k actions of the highest value."""

    k: int
    temperature: Value

    def probabilities(self, q, time, mask=None):
        """q float32 [..., A], time: steps acted so far, mask [..., A] -> float32 [..., A], sums of 1."""
        if mask is not None:
            q = q.masked_fill(mask == 0, -torch.inf)
        least = q.topk(min(self.k, q.shape[-1]), -1).values[..., -1:]
        kept = (q >= least) & (q > -torch.inf)
        return Boltzmann(self.temperature).probabilities(q, time, kept)


def main(steps=2000):
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=20, mu=50.0, sigma=20.0))
    policy = TopK(k=4, temperature=Exponential(start=1.0, end=0.02, decay=0.997))
    agent = mfq.QAgent(
        view, policy=policy, config=mfq.QConfig(gamma=0.0, exploration={"stickiness": 0.9})
    )
    mfq.train(view, agent, steps)
    return mfq.evaluate(view, agent)["final_performance"]


if __name__ == "__main__":
    print(f"G / G* = {main():.3f}")
