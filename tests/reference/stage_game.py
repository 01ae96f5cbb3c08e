"""A stage game of N agents, many rows at once: rewards are a function of the joint action.

It has the attributes that `mfq.wrap` asks of a vectorized environment, and nothing of mfenvs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from gymnasium import spaces

from mfenvs.graph import CompleteGraph


class StageGame:
    """All agents observe the same, and each step is a game.

    Args:
        rewards: a function from actions int64 [B, N] to rewards float32 [B, N].
        num_agents, num_actions: N, A.
        num_envs: B.
    """

    device = torch.device("cpu")

    def __init__(
        self,
        rewards: Callable[[torch.Tensor], torch.Tensor],
        num_agents: int,
        num_actions: int,
        num_envs: int = 1,
    ) -> None:
        self.rewards, self.num_agents, self.num_envs = rewards, num_agents, num_envs
        self.agents = [f"player_{j}" for j in range(num_agents)]
        self.groups = self.types = torch.zeros(num_agents, dtype=torch.int64)
        self.single_observation_space = spaces.Discrete(1)
        self.single_action_space = spaces.Discrete(num_actions)
        self.neighbor_graph = CompleteGraph(num_agents)
        self.alive = torch.ones((num_envs, num_agents), dtype=torch.bool)

    def reset(self, seed=None):
        return self._out(torch.full((self.num_envs, self.num_agents), -1), is_reset=True)

    def step(self, actions):
        obs, info = self._out(actions.clone(), is_reset=False)
        none = torch.zeros_like(self.alive)
        return obs, self.rewards(actions), none, none[:, 0], info

    def _out(self, actions, is_reset):
        info = {
            "actions": actions,
            "acting": torch.full_like(self.alive, not is_reset),
            "reset": torch.full((self.num_envs,), is_reset),
        }
        return torch.zeros_like(actions), info


def pairs(table):
    """Rewards of the matrix game ``table`` [A, A], common to agents 2 k and 2 k + 1 for each k."""
    table = torch.as_tensor(table, dtype=torch.float32)
    return lambda actions: table[actions[:, ::2], actions[:, 1::2]].repeat_interleave(2, 1)
