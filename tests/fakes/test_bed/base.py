"""The base of the test bed's games: B rows of N agents in plain torch, with known best play."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from mfenvs.graph import CompleteGraph, EdgesGraph, LatticeGraph, NeighborGraph
from mfq.envs.step import Step
from mfq.envs.view import View


class BedGame(View):
    """A game of `num_steps` steps whose best score is known.

    At the start of an episode every agent gets a random action, which counts as its last action and
    enters the first mean action. A subclass defines `observations`, `play`, `best` and
    `best_uncoordinated`, and `begin` if it has a state. Scores are mean returns of an agent.

    Args:
        num_envs: B.
        graph: the neighbours.
        width: D, the numbers that an agent observes.
        num_actions: A.
        num_steps: T, steps of an episode.

    Attributes:
        last: int64 [B, N], the actions in effect in the latest step; -1 for dead agents.
        time: int64 [B], steps of the episode that are done.
        alive: bool [B, N].
    """

    last: Tensor

    def __init__(
        self,
        num_envs: int,
        graph: NeighborGraph,
        width: int,
        num_actions: int = 2,
        num_steps: int = 20,
    ) -> None:
        self.num_envs, self.num_agents, self.num_steps = num_envs, graph.num_agents, num_steps
        self._graph, self.device = graph, torch.device("cpu")
        self.agents = [f"agent_{i}" for i in range(graph.num_agents)]
        self.groups = self.types = torch.zeros(graph.num_agents, dtype=torch.int64)
        self.group_names = ("agent",)
        self.observation_space = spaces.Box(0.0, 1.0, (width,), np.float32)
        self.action_space = spaces.Discrete(num_actions)
        self.generator = torch.Generator().manual_seed(0)
        self.last = torch.full((num_envs, graph.num_agents), -1)
        self.time = torch.zeros(num_envs, dtype=torch.int64)
        self.alive = torch.ones(num_envs, graph.num_agents, dtype=torch.bool)
        self._over = torch.zeros(num_envs, dtype=torch.bool)

    # -- what a game defines -----------------------------------------------------------------------

    def begin(self, rows: Tensor) -> None:
        """Draws the state of the rows [B] that start an episode; by default there is none."""
        return

    @abstractmethod
    def observations(self) -> Tensor:
        """Returns the observations float32 [B, N, D]."""

    @abstractmethod
    def play(self, actions: Tensor) -> Tensor:
        """Changes the state by actions int64 [B, N], -1 for dead agents; returns rewards [B, N]."""

    @abstractmethod
    def best(self) -> float:
        """Returns the best score of a central controller that knows all."""

    @abstractmethod
    def best_uncoordinated(self) -> float:
        """Returns the best score of one policy, random or not, that all agents share and that depends
        on their observations alone."""

    # -- the view ----------------------------------------------------------------------------------

    @property
    def graph(self) -> NeighborGraph:
        return self._graph

    def share(self, actions: Tensor) -> Tensor:
        """Returns the share of each agent's neighbours that play 1: float32 [B, N]. The dead count as
        neighbours that do not."""
        everybody = torch.ones_like(self.alive)
        return self._graph.mean((actions == 1).float()[..., None], everybody)[..., 0]

    def reset(self, seed: int | None = None) -> Step:
        if seed is not None:
            self.generator.manual_seed(seed)
        self._over = torch.ones(self.num_envs, dtype=torch.bool)
        return self.step(torch.full((self.num_envs, self.num_agents), -1))

    def step(self, actions: Tensor) -> Step:
        started, shape = self._over, (self.num_envs, self.num_agents)
        acting = self.alive & ~started[:, None]
        actions = actions.where(acting, -1)
        before = self.alive
        reward = self.play(actions).where(acting, 0.0)
        self.time = (self.time + 1).masked_fill(started, 0)
        if bool(started.any()):
            draws = torch.randint(self.num_actions, shape, generator=self.generator)
            actions = draws.where(started[:, None], actions)
            self.alive = self.alive | started[:, None]
            self.last = actions
            self.begin(started)
        self.last = actions
        terminated = before & ~self.alive & ~started[:, None]
        truncated = (self.time >= self.num_steps) & ~started
        self._over = truncated | ~self.alive.any(1)
        return Step(
            obs=self.observations() * self.alive[..., None],
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            alive=self.alive,
            acting=acting,
            actions=actions,
            action_mask=None,
            reset=started,
            graph=self._graph,
            graph_before=self._graph,
            num_actions=self.num_actions,
        )


def ring(num_agents: int) -> EdgesGraph:
    """Returns a ring: each agent has the one before and the one after it as neighbours."""
    agents = np.arange(num_agents)
    neighbors = np.stack([agents - 1, agents + 1], 1) % num_agents
    return EdgesGraph(np.stack([agents.repeat(2), neighbors.ravel()]), num_agents)


SHAPES: dict[str, NeighborGraph] = {
    "ring": ring(24),
    "torus": LatticeGraph(6),
    "all": CompleteGraph(24),
}
"""The graphs of the games that are played on several."""
