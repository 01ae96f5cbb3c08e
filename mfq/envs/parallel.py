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
from mfq.envs.finite import check_finite
from mfq.envs.graphs import GraphLike, Graphs
from mfq.envs.measures import match_measure_of, measures_of
from mfq.envs.observations import MASK, Reader
from mfq.envs.step import Step
from mfq.envs.types import AgentTypes, by_spaces, numbered, prefix, type_names
from mfq.envs.view import View

STEP_PARTS = ("observations", "rewards", "terminations", "truncations", "infos")


class ParallelView(View):
    """A PettingZoo ParallelEnv as a view of one row, with new tensors in each step.

    The agents are its possible agents. An agent that is not in ``env.agents`` is not alive. An agent
    that disappears from it without being terminated or truncated counts as terminated.
    """

    num_envs = 1

    def __init__(self, env: Any, graph: GraphLike) -> None:
        self.env = env
        self.agents = _agents_of(env)
        self.num_agents = len(self.agents)
        self.device = torch.device("cpu")
        groups, names = numbered([prefix(agent) for agent in self.agents])
        self.group_names, self.groups = tuple(names), torch.tensor(groups, device="cpu")
        type_specs, self._readers = _types_of(env, self.agents)
        self.types, self._type_names = type_specs.of, type_specs.names
        if len(type_specs.names) > 1:
            self.type_specs = type_specs
        else:
            self.observation_space = type_specs.observation_spaces[0]
            self.action_space = type_specs.action_spaces[0]
        self._counts: list[int] = type_specs.counts.tolist()
        self._starts = [int(type_specs.action_spaces[k].start) for k in self.types.tolist()]
        self._members = [
            (self.types == k).nonzero()[:, 0].tolist() for k in range(len(type_specs.names))
        ]
        self._full_mask = (np.arange(max(self._counts)) < np.array(self._counts)[:, None])[None]
        self._full_mask = self._full_mask.astype(np.int8)  # allows all actions of each agent
        self._masked = any(reader.has_mask for reader in self._readers)
        self._graphs = Graphs(env, graph, self.groups.numpy(), self.types.numpy())
        self._over = True
        self._present: set[str] = set()
        self._time = 0  # steps since the last reset, for error messages

    @property
    def graph(self) -> NeighborGraph:
        return self._graphs.now()

    @property
    def graph_moves(self) -> bool:
        """Whether the graph may change."""
        return self._graphs.moves

    @property
    def match_measure(self) -> str | None:
        return match_measure_of(self.env)

    @property
    def type_names(self) -> tuple[str, ...]:
        return self._type_names

    def reset(self, seed: int | None = None) -> Step:
        obs, infos = _parts("reset", self.env.reset(seed=seed), ("observations", "infos"))
        self._over, self._present, self._time = False, set(self.env.agents), 0
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
        self._time += 1
        parts = _parts("step", self.env.step(sent), STEP_PARTS)
        obs, rewards, terminations, truncations, infos = parts
        self._over = not self.env.agents
        if missing := [agent for agent in sent if agent not in rewards]:
            raise ValueError(
                f"agent {missing[0]!r} acted, and step gave no reward for it; allowed: one for each "
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
        # Agents are still alive after a time limit, although PettingZoo removes them.
        living = present | timed_out
        alive = [
            agent in living and not is_terminated
            for agent, is_terminated in zip(self.agents, terminated, strict=True)
        ]
        self._present = present
        in_effect = [
            infos[agent].get("action", sent[agent] - start if agent in sent else -1)
            for agent, start in zip(self.agents, self._starts, strict=True)
        ]
        acting = [bool(infos[agent].get("acting", agent in sent)) for agent in self.agents]
        observed = self._observations(obs, alive)
        check_finite({"obs": observed}, self.agents, self._time)
        return Step(
            obs=observed,
            reward=torch.tensor(
                [[_finite(agent, rewards.get(agent, 0.0), self._time) for agent in self.agents]],
                device="cpu",
            ),
            terminated=torch.tensor([terminated], device="cpu"),
            # Of the whole episode, not of a single agent while the others play on.
            truncated=torch.tensor([self._over and bool(timed_out)], device="cpu"),
            alive=torch.tensor([alive], device="cpu"),
            acting=torch.tensor([acting], device="cpu"),
            actions=torch.tensor([in_effect], device="cpu"),
            action_mask=self._mask(obs, infos, alive),
            reset=torch.tensor([reset], device="cpu"),
            graph=self.graph,
            graph_before=before,
            num_actions=max(self._counts),
            measures=measures_of(self.env),
            types=self.type_specs,
        )

    def _observations(self, obs: dict[str, Any], alive: list[bool]) -> Any:
        by_agent = [
            obs.get(agent) if is_alive else None
            for agent, is_alive in zip(self.agents, alive, strict=True)
        ]
        for agent, is_alive, observed in zip(self.agents, alive, by_agent, strict=True):
            if is_alive and observed is None:
                raise ValueError(
                    f"agent {agent!r} is alive and observes nothing; allowed: an observation for each "
                    "agent that plays on or is truncated"
                )
        if self.type_specs is None:
            return self._readers[0].stack(self.agents, by_agent)
        stacked = {}
        for k, (name, reader) in enumerate(zip(self.type_specs.names, self._readers, strict=True)):
            of_type: list[Any] = [None] * self.num_agents
            for i in self._members[k]:
                of_type[i] = by_agent[i]
            stacked[name] = reader.stack(self.agents, of_type)
        return stacked

    def _mask(
        self, obs: dict[str, Any], infos: dict[str, dict[str, Any]], alive: list[bool]
    ) -> Tensor | None:
        """Returns int8 [1, N, A], all actions for agents without a mask; None if the environment has no
        masks."""
        masks = self._full_mask.copy()
        for i, (agent, count) in enumerate(zip(self.agents, self._counts, strict=True)):
            source = obs.get(agent)
            mask = infos[agent].get(MASK)
            if mask is None and isinstance(source, dict):
                mask = source.get(MASK)
            if mask is None:
                continue
            if not self._masked:
                raise ValueError(
                    f"agent {agent!r} has an action_mask, which no agent had at the reset; allowed: "
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


def _parts(method: str, values: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    """Checks that a method of the environment returned as many values as there are names."""
    is_sequence = isinstance(values, tuple | list)
    if not is_sequence or len(values) != len(names):
        what = f"{len(values)} values" if is_sequence else f"a {type(values).__name__}"
        raise ValueError(f"{method} returned {what}; allowed: {len(names)}: {', '.join(names)}")
    return tuple(values)


def _finite(agent: str, reward: Any, step: int) -> float:
    """Returns a reward as a float.

    Raises:
        ValueError: if it is not a finite number; the message names the agent and the step.
    """
    number = float(reward) if np.ndim(reward) == 0 else math.nan
    if not math.isfinite(number):
        raise ValueError(
            f"agent {agent!r} got the reward {reward!r} in step {step}; allowed: a finite number"
        )
    return number


def _agents_of(env: Any) -> list[str]:
    """Returns all possible agents of an environment, in order.

    Raises:
        ValueError: if it has no ``possible_agents``.
    """
    agents = list(getattr(env, "possible_agents", None) or ())
    if not agents:
        raise ValueError(
            f"{type(env).__name__} has no possible_agents; allowed: a list of all agents that there "
            "will ever be"
        )
    return agents


def _types_of(env: Any, agents: list[str]) -> tuple[AgentTypes, list[Reader]]:
    """Returns the types of the agents, and a reader of the observations of each type.

    Raises:
        ValueError: for an unsupported space; the message names the agent.
    """
    labels, type_spaces = by_spaces(env, agents)
    readers = []
    for k, (observation_space, action_space) in enumerate(type_spaces):
        agent = agents[labels.index(k)]
        if not isinstance(action_space, spaces.Discrete):
            raise ValueError(f"agent {agent!r} acts in {action_space}; allowed: Discrete")
        readers.append(Reader(agent, observation_space))
    types = AgentTypes(
        of=torch.tensor(labels, device="cpu"),
        names=type_names(agents, labels),
        observation_spaces=tuple(reader.space for reader in readers),
        action_spaces=tuple(action_space for _, action_space in type_spaces),
    )
    return types, readers


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
        *values, info = self.env.step(actions["agent_0"])
        if values[2] or values[3]:
            self.agents = []
        return (*({"agent_0": value} for value in values), {"agent_0": info})

    def render(self) -> Any:
        return self.env.render()

    def close(self) -> None:
        self.env.close()
