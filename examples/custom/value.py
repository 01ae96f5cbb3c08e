"""A value operator of one's own: the mellowmax of next states (Asadi & Littman 2017), for v^MF."""

import torch

import mfq
from mfenvs import gaussian_squeeze_v0


def mellowmax(omega):
    """log(mean exp(omega Q)) / omega: softer than the maximum, and still a contraction."""

    def value(after):
        """after.q, .online, .policy float32 [M, A], .mask [M, A] or None (`NextStateValues`) -> [M]."""
        q = after.q if after.mask is None else after.q.masked_fill(after.mask == 0, -torch.inf)
        allowed = (q > -torch.inf).sum(-1).log()
        return (torch.logsumexp(omega * q, -1) - allowed) / omega

    return value


def main(steps=2000):
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=20, mu=50.0, sigma=20.0))
    config = mfq.QConfig(gamma=0.5, exploration={"stickiness": 0.9, "steps": 1000})
    agent = mfq.QAgent(view, value=mellowmax(5.0), config=config)
    mfq.train(view, agent, steps)
    return mfq.evaluate(view, agent)["final_performance"]


if __name__ == "__main__":
    print(f"G / G* = {main():.3f}")
