"""Finite two-player games, many rows at once: payoff tables and a next state, in plain tensors.

It has the attributes that `mfq.wrap` asks of a vectorized environment, and nothing of mfenvs.
"""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces

from mfenvs.graph import CompleteGraph


class MatrixGame:
    """Both players see the state; payoff[s, a, b] are the two rewards; next_state[s, a, b] follows.

    Args:
        payoff: floats [S, A, A, 2].
        next_state: ints [S, A, A]; None stays in state 0.
        num_envs: rows.
        max_cycles: steps an episode.
    """

    num_agents = 2
    device = torch.device("cpu")

    def __init__(
        self, payoff: Any, next_state: Any = None, num_envs: int = 1, max_cycles: int = 10**9
    ) -> None:
        self.payoff = torch.as_tensor(payoff, dtype=torch.float32)
        states, actions = self.payoff.shape[:2]
        zeros = torch.zeros((states, actions, actions), dtype=torch.int64)
        self.next_state = zeros if next_state is None else torch.as_tensor(next_state)
        self.num_envs, self.max_cycles = num_envs, max_cycles
        self.agents = ["player_0", "player_1"]
        self.groups = self.types = torch.zeros(2, dtype=torch.int64)
        self.single_observation_space = spaces.Discrete(states)
        self.single_action_space = spaces.Discrete(actions)
        self.neighbor_graph = CompleteGraph(2)
        self.alive = torch.ones((num_envs, 2), dtype=torch.bool)

    def reset(self, seed: int | None = None) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        self.state, self.time = torch.zeros(self.num_envs, dtype=torch.int64), 0
        return self._out(torch.full((self.num_envs, 2), -1), acting=False, reset=True)

    def step(self, actions: torch.Tensor) -> tuple[Any, ...]:
        dead = torch.zeros((self.num_envs, 2), dtype=torch.bool)
        if self.time >= self.max_cycles:
            obs, info = self.reset()
            return obs, torch.zeros((self.num_envs, 2)), dead, dead[:, 0], info
        played = (self.state, actions[:, 0], actions[:, 1])
        reward = self.payoff[played]
        self.state = self.next_state[played]
        self.time += 1
        obs, info = self._out(actions.clone(), acting=True, reset=False)
        truncated = torch.full((self.num_envs,), self.time >= self.max_cycles)
        return obs, reward, dead, truncated, info

    def _out(
        self, actions: torch.Tensor, acting: bool, reset: bool
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return self.state[:, None].expand(-1, 2).clone(), {
            "actions": actions,
            "acting": torch.full((self.num_envs, 2), acting),
            "reset": torch.full((self.num_envs,), reset),
        }


def zero_sum(table: Any) -> torch.Tensor:
    """payoff [1, A, A, 2] of a matrix that the row player gains and the column player loses."""
    table = torch.as_tensor(table, dtype=torch.float32)
    return torch.stack([table, -table], -1)[None]


def common(table: Any) -> torch.Tensor:
    """payoff [1, A, A, 2] of a matrix that both players gain."""
    table = torch.as_tensor(table, dtype=torch.float32)
    return torch.stack([table, table], -1)[None]
