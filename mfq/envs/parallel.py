"""The view of a PettingZoo ParallelEnv, and of a Gymnasium environment as one with a single agent."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import torch
from gymnasium import spaces
from torch import Tensor

from mfenvs.graph import NeighborGraph
from mfq.envs.graphs import GraphLike, Graphs
from mfq.envs.observations import MASK, Reader
from mfq.envs.step import Step
from mfq.envs.types import AgentTypes, by_spaces, numbered, prefix, type_names
from mfq.envs.view import View

STEP_PARTS = ("observations", "rewards", "terminations", "truncations", "infos")


class ParallelView(View):
    """One PettingZoo ParallelEnv as one row; new tensors each step.

    The agents are its possible agents. Who is not among its agents (dead, or yet to come) is not alive;
    who leaves without a word, neither terminated nor truncated, counts as terminated.
    """

    num_envs = 1

    def __init__(self, env: Any, graph: GraphLike) -> None:
        self.env = env
        self.agents = _agents_of(env)
        self.num_agents = len(self.agents)
        self.device = torch.device("cpu")
        groups, names = numbered([prefix(agent) for agent in self.agents])
        self.group_names, self.groups = tuple(names), torch.tensor(groups)
        kinds, self._readers = _types_of(env, self.agents)
        self.types, self._type_names = kinds.of, kinds.names
        if len(kinds.names) > 1:
            self.type_specs = kinds
        else:
            self.observation_space = kinds.observation_spaces[0]
            self.action_space = kinds.action_spaces[0]
        self._counts: list[int] = kinds.counts.tolist()
        self._starts = [int(kinds.action_spaces[k].start) for k in self.types.tolist()]
        self._members = [
            (self.types == k).nonzero()[:, 0].tolist() for k in range(len(kinds.names))
        ]
        self._open = (np.arange(max(self._counts)) < np.array(self._counts)[:, None])[None]
        self._open = self._open.astype(np.int8)  # every action that there is
        self._masked = any(reader.has_mask for reader in self._readers)
        self._graphs = Graphs(env, graph, self.groups.numpy(), self.types.numpy())
        self._over = True
        self._present: set[str] = set()

    @property
    def graph(self) -> NeighborGraph:
        return self._graphs.now()

    @property
    def graph_moves(self) -> bool:
        """Whether the graph may change."""
        return self._graphs.moves

    @property
    def type_names(self) -> tuple[str, ...]:
        return self._type_names

    def reset(self, seed: int | None = None) -> Step:
        obs, infos = _parts("reset", self.env.reset(seed=seed), ("observations", "infos"))
        self._over, self._present = False, set(self.env.agents)
        self._masked |= any(MASK in infos.get(agent, ()) for agent in self.agents)
        return self._step(obs, {}, {}, {}, infos, sent={}, before=self.graph, reset=True)

    def step(self, actions: Tensor) -> Step:
        if self._over:
            return self.reset()
        chosen = actions[0].tolist()
        living = set(self.env.agents)
        sent = {
            agent: chosen[i] + self._starts[i]
            for i, agent in enumerate(self.agents)
            if agent in living and chosen[i] >= 0
        }
        before = self.graph
        told = _parts("step", self.env.step(sent), STEP_PARTS)
        obs, rewards, terminations, truncations, infos = told
        self._over = not self.env.agents
        if unpaid := [agent for agent in sent if agent not in rewards]:
            raise ValueError(
                f"agent {unpaid[0]!r} acted, and step gave no reward for it; allowed: one for each "
                "agent that acted, 0.0 if it earned nothing"
            )
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
        infos = {agent: infos.get(agent, {}) for agent in self.agents}
        present = set(self.env.agents)
        timed_out = {agent for agent, ended in truncations.items() if ended}
        left = self._present - present - timed_out
        terminated = [agent in left or bool(terminations.get(agent)) for agent in self.agents]
        # An episode that a time limit ended leaves its agents alive, though PettingZoo drops them.
        living = present | timed_out
        alive = [
            agent in living and not gone
            for agent, gone in zip(self.agents, terminated, strict=True)
        ]
        self._present = present
        in_effect = [
            infos[agent].get("action", sent[agent] - start if agent in sent else -1)
            for agent, start in zip(self.agents, self._starts, strict=True)
        ]
        acting = [bool(infos[agent].get("acting", agent in sent)) for agent in self.agents]
        return Step(
            obs=self._observations(obs, alive),
            reward=torch.tensor([[_pay(agent, rewards.get(agent, 0.0)) for agent in self.agents]]),
            terminated=torch.tensor([terminated]),
            # Of the episode: an agent whose own time is up leaves the others playing.
            truncated=torch.tensor([self._over and bool(timed_out)]),
            alive=torch.tensor([alive]),
            acting=torch.tensor([acting]),
            actions=torch.tensor([in_effect]),
            action_mask=self._mask(obs, infos, alive),
            reset=torch.tensor([reset]),
            graph=self.graph,
            graph_before=before,
            num_actions=max(self._counts),
            types=self.type_specs,
        )

    def _observations(self, obs: dict[str, Any], alive: list[bool]) -> Any:
        found = [
            obs.get(agent) if here else None for agent, here in zip(self.agents, alive, strict=True)
        ]
        for agent, here, seen in zip(self.agents, alive, found, strict=True):
            if here and seen is None:
                raise ValueError(
                    f"agent {agent!r} is alive and observes nothing; allowed: an observation for each "
                    "agent that plays on or whose time is up"
                )
        if self.type_specs is None:
            return self._readers[0].stack(self.agents, found)
        stacked = {}
        for k, (name, reader) in enumerate(zip(self.type_specs.names, self._readers, strict=True)):
            own: list[Any] = [None] * self.num_agents
            for i in self._members[k]:
                own[i] = found[i]
            stacked[name] = reader.stack(self.agents, own)
        return stacked

    def _mask(
        self, obs: dict[str, Any], infos: dict[str, dict[str, Any]], alive: list[bool]
    ) -> Tensor | None:
        """int8 [1, N, A], in full for whom nothing is said; None where nobody is ever told anything."""
        masks = self._open.copy()
        for i, (agent, count) in enumerate(zip(self.agents, self._counts, strict=True)):
            source = obs.get(agent)
            mask = infos[agent].get(MASK)
            if mask is None and isinstance(source, dict):
                mask = source.get(MASK)
            if mask is None:
                continue
            if not self._masked:
                raise ValueError(
                    f"agent {agent!r} brings an action_mask, which nobody did at the reset; allowed: "
                    "masks from the reset on, or in the observation space"
                )
            if np.shape(mask) != (count,):
                raise ValueError(
                    f"agent {agent!r} has an action_mask of shape {np.shape(mask)}; allowed: ({count},)"
                )
            masks[0, i, :count] = np.asarray(mask) != 0
            if alive[i] and not self._over and not masks[0, i].any():
                raise ValueError(
                    f"agent {agent!r} has an action_mask of zeros; allowed: at least one action for an "
                    "agent that is to act"
                )
        return torch.from_numpy(masks) if self._masked else None


def _parts(name: str, found: Any, parts: tuple[str, ...]) -> tuple[Any, ...]:
    """What a method of the environment returned, checked to be as many parts as it should be."""
    several = isinstance(found, tuple | list)
    if not several or len(found) != len(parts):
        what = f"{len(found)} values" if several else f"a {type(found).__name__}"
        raise ValueError(f"{name} returned {what}; allowed: {len(parts)}: {', '.join(parts)}")
    return tuple(found)


def _pay(agent: str, reward: Any) -> float:
    """A reward as a number.

    Raises:
        ValueError: naming the agent, if it is none or not finite.
    """
    number = float(reward) if np.ndim(reward) == 0 else math.nan
    if not math.isfinite(number):
        raise ValueError(f"agent {agent!r} got the reward {reward!r}; allowed: a finite number")
    return number


def _agents_of(env: Any) -> list[str]:
    """Everybody that there ever is, in order.

    Raises:
        ValueError: if the environment does not say so.
    """
    agents = list(getattr(env, "possible_agents", None) or ())
    if not agents:
        raise ValueError(
            f"{type(env).__name__} has no possible_agents; allowed: a list of all agents that there "
            "will ever be"
        )
    return agents


def _types_of(env: Any, agents: list[str]) -> tuple[AgentTypes, list[Reader]]:
    """The types of the agents, and a reader of the observations of each.

    Raises:
        ValueError: naming the agent whose space is not allowed.
    """
    labels, found = by_spaces(env, agents)
    readers = []
    for k, (seen, action) in enumerate(found):
        agent = agents[labels.index(k)]
        if not isinstance(action, spaces.Discrete):
            raise ValueError(f"agent {agent!r} acts in {action}; allowed: Discrete")
        readers.append(Reader(agent, seen))
    kinds = AgentTypes(
        of=torch.tensor(labels),
        names=type_names(agents, labels),
        observation_spaces=tuple(reader.space for reader in readers),
        action_spaces=tuple(action for _, action in found),
    )
    return kinds, readers


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
