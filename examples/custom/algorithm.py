"""An algorithm of one's own: a bandit, that sees no observation. mfq.Runner("ising_v0", Bandit).run()"""

import torch

from mfq.policy import EpsilonGreedy


class Bandit:
    """The mean reward of each action of each agent, and epsilon-greedy on it."""

    def __init__(self, view, config, seed):
        self.epsilon, self.generator = config.explore_end, torch.Generator().manual_seed(seed)
        self.total = torch.zeros(view.num_agents, view.num_actions)
        self.count = torch.ones(view.num_agents, view.num_actions)

    def act(self, step, explore=True):  # actions int64 [B, N], -1 for the dead
        values = (self.total / self.count).expand(*step.alive.shape, -1)
        policy = EpsilonGreedy(self.epsilon if explore else 0.0)
        return policy.sample(values, 0, self.generator).where(step.alive, -1)

    def observe(self, step, actions, next_step):  # what came of it, for those whose choice counted
        row, agent = step.learners(next_step).nonzero(as_tuple=True)
        for table, values in (
            (self.total, next_step.reward),
            (self.count, torch.ones(actions.shape)),
        ):
            table.index_put_((agent, actions[row, agent]), values[row, agent], accumulate=True)

    def learn(self):  # metrics for the log
        return {"best": float((self.total / self.count).max())}

    def state_dict(self):
        return {"total": self.total, "count": self.count, "coin": self.generator.get_state()}

    def load_state_dict(self, state):
        self.total, self.count = state["total"], state["count"]
        self.generator.set_state(state["coin"])
