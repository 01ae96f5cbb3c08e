"""The view of a PettingZoo ParallelEnv, and of a Gymnasium environment as one with a single agent."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import torch
from gymnasium import spaces
from torch import Tensor

from mfenvs.graph import NeighborGraph
from mfq.view import GraphLike, Graphs, Step, View


class ParallelView(View):
    """One PettingZoo ParallelEnv as one row; new tensors each step."""

    num_envs = 1

    def __init__(self, env: Any, graph: GraphLike) -> None:
        self.env = env
        self.agents = list(env.possible_agents)
        self.num_agents = len(self.agents)
        self.device = torch.device("cpu")
        self.observation_space, self.action_space = _shared_spaces(env)
        prefixes = [agent.rsplit("_", 1)[0] for agent in self.agents]
        labels = {name: label for label, name in enumerate(dict.fromkeys(prefixes))}
        self.group_names = tuple(labels)
        self.groups = torch.tensor([labels[name] for name in prefixes])
        self.types = torch.zeros(self.num_agents, dtype=torch.int64)
        self._graphs = Graphs(env, graph, self.groups.numpy())
        self._over = True

    @property
    def graph(self) -> NeighborGraph:
        return self._graphs.now()

    def reset(self, seed: int | None = None) -> Step:
        obs, infos = self.env.reset(seed=seed)
        self._over = False
        return self._step(obs, {}, {}, {}, infos, sent={}, before=self.graph, reset=True)

    def step(self, actions: Tensor) -> Step:
        if self._over:
            return self.reset()
        chosen, start = actions[0].tolist(), int(self.action_space.start)
        living = set(self.env.agents)
        sent = {
            agent: chosen[i] + start
            for i, agent in enumerate(self.agents)
            if agent in living and chosen[i] >= 0
        }
        before = self.graph
        obs, rewards, terminations, truncations, infos = self.env.step(sent)
        self._over = not self.env.agents
        return self._step(obs, rewards, terminations, truncations, infos, sent, before, reset=False)

    def _step(
        self,
        obs: dict[str, Any],
        rewards: dict[str, float],
        terminations: dict[str, bool],
        truncations: dict[str, bool],
        infos: dict[str, dict[str, Any]],
        sent: dict[str, int],
        before: NeighborGraph,
        reset: bool,
    ) -> Step:
        start = int(self.action_space.start)
        infos = {agent: infos.get(agent, {}) for agent in self.agents}
        terminated = [bool(terminations.get(agent, False)) for agent in self.agents]
        # An episode that a time limit ended leaves its agents alive, though PettingZoo drops them.
        living = set(self.env.agents) | {agent for agent, ended in truncations.items() if ended}
        alive = [
            agent in living and not gone
            for agent, gone in zip(self.agents, terminated, strict=True)
        ]
        in_effect = [
            infos[agent].get("action", sent[agent] - start if agent in sent else -1)
            for agent in self.agents
        ]
        acting = [bool(infos[agent].get("acting", agent in sent)) for agent in self.agents]
        return Step(
            obs=self._observations(obs, alive),
            reward=torch.tensor([[float(rewards.get(agent, 0.0)) for agent in self.agents]]),
            terminated=torch.tensor([terminated]),
            # Of the episode: an agent whose own time is up leaves the others playing.
            truncated=torch.tensor([self._over and any(truncations.values())]),
            alive=torch.tensor([alive]),
            acting=torch.tensor([acting]),
            actions=torch.tensor([in_effect]),
            action_mask=self._mask(obs, infos),
            reset=torch.tensor([reset]),
            graph=self.graph,
            graph_before=before,
            num_actions=self.num_actions,
        )

    def _observations(self, obs: dict[str, Any], alive: list[bool]) -> Tensor:
        dtype, shape = self.observation_space.dtype, self.observation_space.shape or ()
        nothing = getattr(self.observation_space, "start", 0)
        stacked = np.full((1, self.num_agents, *shape), nothing, dtype)
        for i, agent in enumerate(self.agents):
            if alive[i] and agent in obs:
                found = obs[agent]
                stacked[0, i] = found["observation"] if isinstance(found, dict) else found
        return torch.as_tensor(stacked)

    def _mask(self, obs: dict[str, Any], infos: dict[str, dict[str, Any]]) -> Tensor | None:
        masks = np.ones((1, self.num_agents, self.num_actions), np.int8)
        found = False
        for i, agent in enumerate(self.agents):
            source = obs.get(agent)
            mask = infos[agent].get("action_mask")
            if mask is None and isinstance(source, dict):
                mask = source.get("action_mask")
            if mask is not None:
                masks[0, i], found = mask, True
        return torch.as_tensor(masks) if found else None


def _shared_spaces(env: Any) -> tuple[spaces.Space[Any], spaces.Discrete]:
    """The one observation and the one action space that all agents have.

    Raises:
        ValueError: naming the agent whose space is not allowed, or differs from the first agent's.
    """
    first, *others = env.possible_agents
    observation, action = env.observation_space(first), env.action_space(first)
    if isinstance(observation, spaces.Dict) and "action_mask" in observation.spaces:
        observation = observation["observation"]
    if not isinstance(observation, spaces.Box | spaces.Discrete):
        raise ValueError(
            f"agent {first!r} observes {observation}; allowed: Box or Discrete, or a Dict of an "
            "'observation' of these and an 'action_mask'"
        )
    if not isinstance(action, spaces.Discrete):
        raise ValueError(f"agent {first!r} acts in {action}; allowed: Discrete")
    for agent in others:
        for kind, mine, its in (
            ("observation", env.observation_space(first), env.observation_space(agent)),
            ("action", action, env.action_space(agent)),
        ):
            if mine != its:
                raise ValueError(
                    f"agent {agent!r} has the {kind} space {its}, but {first!r} has {mine}; allowed: "
                    "the same for all"
                )
    return observation, action


class OneAgent(pettingzoo.ParallelEnv):
    """A single-agent Gymnasium environment as a PettingZoo one with one agent."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        self.env, self.metadata = env, env.metadata
        self.possible_agents, self.agents = ["agent_0"], list[str]()

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        return self.env.observation_space

    def action_space(self, agent: str) -> spaces.Space[Any]:
        return self.env.action_space

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        obs, info = self.env.reset(seed=seed, options=options)
        self.agents = ["agent_0"]
        return {"agent_0": obs}, {"agent_0": info}

    def step(self, actions: dict[str, int]) -> Any:
        *found, info = self.env.step(actions["agent_0"])
        if found[2] or found[3]:
            self.agents = []
        return (*({"agent_0": value} for value in found), {"agent_0": info})

    def render(self) -> Any:
        return self.env.render()

    def close(self) -> None:
        self.env.close()
