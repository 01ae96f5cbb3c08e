"""The view of a PettingZoo ParallelEnv, or of an environment that looks like one."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pettingzoo
import torch
from torch import Tensor

from mfenvs.graph import NeighborGraph
from mfenvs.infos import ACTING, ACTION
from mfq.envs.finite import check_finite
from mfq.envs.flat_actions import FlatActions, flat_actions
from mfq.envs.graphs import GraphLike, Graphs
from mfq.envs.measures import match_measure_of, measures_of
from mfq.envs.members import agents_of, labels, present_in, spaces_of
from mfq.envs.observations import MASK, Reader
from mfq.envs.results import Results, few, of_reset, of_step
from mfq.envs.step import Step
from mfq.envs.types import AgentTypes, by_hand, by_spaces, numbered, prefix, type_names
from mfq.envs.view import View


class ParallelView(View):
    """A parallel environment as a view of one row, with new tensors in each step.

    The agents are its possible agents. An agent that is not in ``env.agents`` is not alive. An agent
    that disappears from it without being terminated or truncated counts as terminated. An agent that
    ends and stays in it counts as gone, until it has left and comes again. The episode is over when no
    agent is left.

    An environment that is not PettingZoo's and has no ``agents`` after a reset shows by its observations
    which agents are present.

    Args:
        env: the environment.
        graph, groups, types: see `mfq.wrap`.
    """

    num_envs = 1

    def __init__(
        self, env: Any, graph: GraphLike = None, groups: Any = None, types: Any = None
    ) -> None:
        self.env = env
        self.agents = agents_of(env)
        self.num_agents = len(self.agents)
        self.device = torch.device("cpu")
        self._possible = dict.fromkeys(self.agents).keys()
        by_name = [prefix(agent) for agent in self.agents]
        names = by_name if groups is None else labels("groups", groups, self.agents)
        group_of, group_names = numbered(names)
        self.group_names, self.groups = tuple(group_names), torch.tensor(group_of, device="cpu")
        type_specs, self._readers, self._flat = _types_of(env, self.agents, types)
        self.types, self._type_names = type_specs.of, type_specs.names
        if len(type_specs.names) > 1:
            self.type_specs = type_specs
        else:
            self.observation_space = type_specs.observation_spaces[0]
            self.action_space = type_specs.action_spaces[0]
        self._counts: list[int] = type_specs.counts.tolist()
        # The first action of each agent; None for actions that are no integers.
        self._starts = [
            None if self._flat[agent].sizes else self._flat[agent].start for agent in self.agents
        ]
        self._have_mask = [self._readers[k].has_mask for k in self.types.tolist()]
        self._members = [
            (self.types == k).nonzero()[:, 0].tolist() for k in range(len(type_specs.names))
        ]
        self._full_mask = (np.arange(max(self._counts)) < np.array(self._counts)[:, None])[None]
        self._full_mask = self._full_mask.astype(np.int8)  # allows all actions of each agent
        self._masked = any(reader.has_mask for reader in self._readers)
        self._graphs = Graphs(env, graph, self.groups.numpy(), self.types.numpy())
        self._over = True
        self._present: set[Any] = set()  # the agents that act next
        self._gone: set[Any] = set()  # those that have ended and are still in env.agents
        self._is_listed = True  # whether env.agents says who is present
        self._has_warned = False
        self._truncated = False
        self._time = 0  # steps since the last reset
        self._most_steps: int | None = None
        self._measured: Collection[str] | None = None  # the names of the measures

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

    def limit_episodes(self, steps: int | None) -> bool:
        # An environment with a limit keeps it.
        spec = getattr(getattr(self.env, "env", None), "spec", None)
        has_limit = getattr(spec, "max_episode_steps", None) is not None
        self._most_steps = None if has_limit else steps
        return self._most_steps is not None

    def reset(self, seed: int | None = None) -> Step:
        results = of_reset(self.env.reset(seed=seed), self._possible)
        self._over, self._time = False, 0
        self._gone.clear()
        is_pettingzoo = isinstance(self.env, pettingzoo.ParallelEnv)
        self._is_listed = is_pettingzoo or bool(present_in(self.env))
        self._present = self._listed(results)
        if not self._present:
            raise ValueError("reset left env.agents empty; allowed: at least one agent")
        self._masked |= any(MASK in info for info in results.infos.values())
        return self._step(results, set(), set(self._present), {}, self.graph, reset=True)

    def step(self, actions: Tensor) -> Step:
        if self._over:
            return self.reset()
        chosen = actions[0].tolist()
        sent: dict[Any, int] = {}
        joint: dict[Any, Any] = {}
        by_agent = zip(self.agents, chosen, self._starts, self._counts, strict=True)
        for agent, action, start, count in by_agent:
            if action >= 0 and agent in self._present:
                if action >= count:
                    raise ValueError(f"agent {agent!r}: action={action}; allowed: 0 to {count - 1}")
                sent[agent] = action
                whole = start is not None  # for speed
                joint[agent] = action + start if whole else self._flat[agent].to_env(action)
        before = self.graph
        self._time += 1
        results = self._play(joint)
        if missing := [agent for agent in sent if agent not in results.rewards]:
            raise ValueError(
                f"agent {missing[0]!r} acted, and step gave no reward for it; allowed: one for each "
                "agent that acted, 0.0 if it earned nothing"
            )
        acted = self._present
        died, living = self._turnover(results)
        # Nothing is earned after an end.
        earning = acted | self._present
        rewards = {agent: r for agent, r in results.rewards.items() if agent in earning}
        results = results._replace(rewards=rewards)
        return self._step(results, died, living, sent, before, reset=False)

    def _play(self, joint: dict[Any, Any]) -> Results:
        """Steps the environment with the actions of agents."""
        try:
            returned = self.env.step(joint)
        except Exception as error:
            if self._gone:
                error.add_note(
                    f"{few(self._gone)} ended earlier in the episode, and mfq sends no action for an "
                    "agent that has ended; allowed: env.agents without it"
                )
            raise
        return of_step(returned, self._possible, self._present, self._time)

    def _listed(self, results: Results) -> set[Any]:
        """Returns the agents that the environment says are present."""
        if not self._is_listed:
            return self._possible & results.obs.keys()
        listed = present_in(self.env)
        if not listed <= self._possible:
            unknown = next(agent for agent in listed if agent not in self._possible)
            raise ValueError(
                f"env.agents has {unknown!r} after step {self._time}, which is not in possible_agents; "
                f"allowed: {few(self._possible)}"
            )
        return listed

    def _turnover(self, results: Results) -> tuple[set[Any], set[Any]]:
        """Updates who is present and whether the episode is over.

        Returns:
            Who has died in this step, and who is alive after it. Agents are still alive after a time
            limit, although PettingZoo removes them.
        """
        before, listed = self._present, self._listed(results)
        taking_part = before | (listed - self._gone)
        died, timed_out = results.terminated & taking_part, results.truncated & taking_part
        if results.all_terminated:
            died |= taking_part - timed_out
        elif results.all_truncated:
            timed_out |= taking_part - died
        ended = died | timed_out
        self._gone = (self._gone | ended) & listed
        self._present = listed - self._gone
        died |= before - listed - timed_out
        if self._most_steps is not None and self._time >= self._most_steps:
            timed_out |= self._present
            self._present = set()
        self._over = not self._present
        self._truncated = self._over and bool(timed_out)
        if self._gone and self._present and self._is_listed and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"agents that have ended are still in env.agents after step {self._time}: "
                f"{few(self._gone)}. They count as gone and get no more actions; allowed: env.agents "
                "without them. An agent that is born again leaves env.agents for a step",
                stacklevel=4,
            )
        return died, (self._present | timed_out) - died

    def picture(self) -> np.ndarray:
        picture = self.env.render()
        if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim != 3:
            raise ValueError(
                f"env.render() returned a {type(picture).__name__}; allowed: an array uint8 "
                "[height, width, 3], as environments with render_mode='rgb_array' return"
            )
        return picture

    def _step(
        self,
        results: Results,
        died: set[Any],
        living: set[Any],
        sent: Mapping[Any, int],
        before: NeighborGraph,
        reset: bool,
    ) -> Step:
        infos = results.infos
        alive = [agent in living for agent in self.agents]
        in_effect = [sent.get(agent, -1) for agent in self.agents]
        acting = [agent in sent for agent in self.agents]
        if any(infos.values()):
            for i, agent in enumerate(self.agents):
                info = infos.get(agent, {})
                if ACTION in info:
                    in_effect[i] = self._in_effect(i, info[ACTION])
                acting[i] = acting[i] and bool(info.get(ACTING, True))
        observed = self._observations(results.obs, alive)
        check_finite({"obs": observed}, self.agents, self._time)
        rewards = [results.rewards.get(agent, 0.0) for agent in self.agents]
        return Step(
            obs=observed,
            reward=torch.tensor([rewards], device="cpu"),
            terminated=torch.tensor([[agent in died for agent in self.agents]], device="cpu"),
            # Of the whole episode, not of a single agent while the others play on.
            truncated=torch.tensor([self._truncated and not reset], device="cpu"),
            alive=torch.tensor([alive], device="cpu"),
            acting=torch.tensor([acting], device="cpu"),
            actions=torch.tensor([in_effect], device="cpu"),
            action_mask=self._mask(results.obs, infos, alive),
            reset=torch.tensor([reset], device="cpu"),
            graph=self.graph,
            graph_before=before,
            num_actions=max(self._counts),
            measures=self._measures(),
            types=self.type_specs,
        )

    def _measures(self) -> dict[str, Tensor]:
        """Returns the environment's measures.

        Raises:
            ValueError: if their names change.
        """
        measures = measures_of(self.env)
        if self._measured is None:
            self._measured = measures.keys()
        if measures.keys() != self._measured:
            raise ValueError(
                f"measures has {few(measures) or 'no names'} in step {self._time}; allowed: the same "
                f"names in every step, {few(self._measured) or 'none'}"
            )
        return measures

    def _in_effect(self, i: int, action: Any) -> int:
        """Returns the action of agent i that its info says is in effect."""
        if not isinstance(action, int | np.integer) or not -1 <= action < self._counts[i]:
            raise ValueError(
                f"agent {self.agents[i]!r} has the info {ACTION}={action!r}; allowed: -1 to "
                f"{self._counts[i] - 1}"
            )
        return int(action)

    def _observations(self, obs: Mapping[Any, Any], alive: list[bool]) -> Any:
        by_agent = [
            obs.get(agent) if is_alive else None
            for agent, is_alive in zip(self.agents, alive, strict=True)
        ]
        for agent, is_alive, observed in zip(self.agents, alive, by_agent, strict=True):
            if is_alive and observed is None:
                raise ValueError(
                    f"agent {agent!r} is alive and observes nothing in step {self._time}; allowed: an "
                    "observation for each agent that plays on, is truncated, or is new in env.agents"
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
        self,
        obs: Mapping[Any, Any],
        infos: Mapping[Any, Mapping[str, Any]],
        alive: list[bool],
    ) -> Tensor | None:
        """Returns int8 [1, N, A], all actions for agents without a mask; None if the environment has no
        masks."""
        has_arrays = {*map(type, obs.values())} <= {np.ndarray}
        if not self._masked and has_arrays and not any(infos.values()):  # for speed
            return None
        masks = self._full_mask.copy()
        for i, (agent, count) in enumerate(zip(self.agents, self._counts, strict=True)):
            source = obs.get(agent)
            mask = infos[agent].get(MASK) if agent in infos else None
            if mask is None and isinstance(source, Mapping):
                mask = source.get(MASK)
            if mask is None:
                if alive[i] and self._have_mask[i]:
                    raise ValueError(
                        f"agent {agent!r} observed no {MASK!r}, which its space has; allowed: a mask of "
                        f"shape ({count},)"
                    )
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
            array = np.asarray(mask)
            if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
                raise ValueError(
                    f"agent {agent!r} has the action_mask {mask!r}; allowed: 1 for allowed actions, 0 "
                    "for others"
                )
            masks[0, i, :count] = array != 0
            if alive[i] and not self._over and not masks[0, i].any():
                raise ValueError(
                    f"agent {agent!r} has an action_mask of zeros; allowed: at least one action for an "
                    "agent that is to act"
                )
        return torch.from_numpy(masks) if self._masked else None


def _types_of(
    env: Any, agents: list[Any], types: Any
) -> tuple[AgentTypes, list[Reader], dict[Any, FlatActions]]:
    """Returns the types of the agents, a reader of the observations of each type, and the actions of
    each agent.

    Raises:
        ValueError: for an unsupported space, or types that do not fit; the message names the agent.
    """
    pairs = spaces_of(env, agents)
    if types is None:
        of, type_spaces = by_spaces(pairs)
        names = type_names(agents, of)
    else:
        given = labels("types", types, agents)
        of, type_spaces = by_hand(agents, given, pairs)
        names = tuple(dict.fromkeys(given))
    readers, flat = [], []
    for k, (observation_space, action_space) in enumerate(type_spaces):
        agent = agents[of.index(k)]
        flat.append(flat_actions(agent, action_space))
        readers.append(Reader(agent, observation_space))
    specs = AgentTypes(
        of=torch.tensor(of, device="cpu"),
        names=names,
        observation_spaces=tuple(reader.space for reader in readers),
        action_spaces=tuple(each.space for each in flat),
    )
    return specs, readers, {agent: flat[k] for agent, k in zip(agents, of, strict=True)}
