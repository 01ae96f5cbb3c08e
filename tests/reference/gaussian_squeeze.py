"""The Gaussian squeeze again, in plain Python on lists of numbers.

Written from the datasheet in `mfenvs.gaussian_squeeze.game.SqueezeGame`, not from its rules.
"""

from __future__ import annotations

from math import exp, inf, log


class NaiveSqueeze:
    def __init__(self, num_agents, num_actions, mu, sigma, reward, max_cycles):
        self.num_agents, self.num_actions = num_agents, num_actions
        self.mu, self.sigma = mu, sigma
        self.kind, self.max_cycles = reward, max_cycles
        # By trial of every total. Logarithms, since G itself may be 0 for all of them.
        self.best = max(range(num_agents * (num_actions - 1) + 1), key=self.log_objective)

    def reset(self):
        self.time = 0
        self.actions = [-1] * self.num_agents
        self.reward = [0.0] * self.num_agents
        self.over = False

    def step(self, actions):
        """One step of actions from 0 on, or -1 for none; returns whether the row started anew."""
        if self.over:
            self.reset()
            return True
        self.time += 1
        self.actions = list(actions)
        earned = {
            "optimum": self.performance(),
            "per_agent": self.objective() / self.num_agents,
            "shared": self.objective(),
        }[self.kind]
        self.reward = [earned] * self.num_agents
        self.over = self.max_cycles is not None and self.time >= self.max_cycles
        return False

    def total(self):
        return sum(action for action in self.actions if action != -1)

    def objective(self):
        x = self.total()
        return x * exp(-((x - self.mu) ** 2) / self.sigma**2)

    def log_objective(self, x):
        return log(x) - (x - self.mu) ** 2 / self.sigma**2 if x > 0 else -inf

    def performance(self):
        x = self.total()
        return exp(self.log_objective(x) - self.log_objective(self.best)) if x > 0 else 0.0

    def observation(self, agent):
        return [(agent + 1) / self.num_agents, 1 / self.num_agents]

    def state(self):
        shares = [
            sum(action == chosen for chosen in self.actions) / self.num_agents
            for action in range(-1, self.num_actions)
        ]
        reach = self.num_agents * (self.num_actions - 1)
        return [*shares, self.total() / reach, self.performance()]
