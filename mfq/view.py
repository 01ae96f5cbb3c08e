"""One view of any environment: B rows, N agents, tensors. Agents see nothing else.

`wrap` takes a BatchedEnv, a PettingZoo Parallel or AEC environment, or a single-agent Gymnasium one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import torch
from gymnasium import spaces
from pettingzoo.utils.conversions import aec_to_parallel
from torch import Tensor

from mfenvs.graph import CompleteGraph, EdgesGraph, NeighborGraph
from mfq.mean_field import mean_action

STEP_INFO = {"acting", "actions", "action_mask", "reset"}
GraphLike = NeighborGraph | Callable[[Any], Any] | None


@dataclass(frozen=True, eq=False)
class Step:
    """What an agent may know after a step (or a reset). Tensors stay valid through the next step.

    Attributes:
        obs: [B, N, ...], or a dict of such; zeros for the dead.
        reward: float32 [B, N].
        terminated: bool [B, N]; on the step of the death only.
        truncated: bool [B]; the time limit ended the episode.
        alive: bool [B, N]; after the step.
        acting: bool [B, N]; whose choice counted in the step.
        actions: int64 [B, N]; the actions in effect in the step; -1: none.
        action_mask: int8 [B, N, A], what may be chosen next; None if everything may.
        reset: bool [B]; the row started anew, so this is no outcome of the actions given.
        graph: who is whose neighbour now.
        graph_before: who was, when ``actions`` were chosen.
        num_actions: A.
        measures: per-row quantities that the environment reports, name -> [B].
        mine: bool [B, N]; whom the receiver of this step plays. None: everybody.
    """

    obs: Any
    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    alive: Tensor
    acting: Tensor
    actions: Tensor
    action_mask: Tensor | None
    reset: Tensor
    graph: NeighborGraph
    graph_before: NeighborGraph
    num_actions: int
    measures: dict[str, Tensor] = field(default_factory=dict)
    mine: Tensor | None = None

    @cached_property
    def mean_action(self) -> Tensor:
        """abar of the step's actions, float32 [B, N, A]: what acting now may know of the others."""
        return mean_action(self.graph_before, self.actions, self.num_actions)

    @cached_property
    def ended(self) -> Tensor:
        """Whether this is a row's last step of an episode: bool [B]."""
        nobody = ~(self.alive & ~self.terminated).any(1)
        return (self.truncated | nobody) & ~self.reset

    @cached_property
    def seats(self) -> Tensor:
        """Who has to choose, int64 [S]: the places b N + j of the living whom the receiver plays."""
        playing = self.alive if self.mine is None else self.alive & self.mine
        return playing.flatten().nonzero()[:, 0]

    def obs_at(self, seats: Tensor) -> Any:
        """The observations at places b N + j: [S, ...], or a dict of such."""
        if isinstance(self.obs, dict):
            return {name: part.flatten(0, 1)[seats] for name, part in self.obs.items()}
        return self.obs.flatten(0, 1)[seats]

    def mask_at(self, seats: Tensor) -> Tensor | None:
        """What may be chosen at places b N + j: [S, A]; None if everything may."""
        return None if self.action_mask is None else self.action_mask.flatten(0, 1)[seats]

    def spread(self, chosen: Tensor, seats: Tensor) -> Tensor:
        """Actions [S] at their places in [B, N]; -1 elsewhere."""
        actions = torch.full_like(self.actions, -1)
        actions.view(-1)[seats] = chosen
        return actions

    def learners(self, next_step: Step) -> Tensor:
        """Of whom the receiver learns what came of this step, bool [B, N]: those it plays whose choice
        counted, in rows that went on."""
        counted = next_step.acting & ~next_step.reset[:, None]
        return counted if self.mine is None else counted & self.mine

    def given_to(self, mine: Tensor) -> Step:
        """The step as handed to one who plays ``mine``, bool [B, N]."""
        step = replace(self, mine=mine)
        step.__dict__["mean_action"] = self.mean_action  # all share it
        return step


class View(ABC):
    """B rows of N agents that share their spaces.

    Attributes:
        num_envs, num_agents, num_actions: B, N, A.
        agents: names.
        groups, types: int64 [N].
        group_names: by the number of the group.
        observation_space, action_space: of one agent.
        device: where the tensors are.
    """

    num_envs: int
    num_agents: int
    agents: list[str]
    groups: Tensor
    group_names: tuple[str, ...]
    types: Tensor
    observation_space: spaces.Space[Any]
    action_space: spaces.Discrete
    device: torch.device

    @property
    def num_actions(self) -> int:
        return int(self.action_space.n)

    @property
    @abstractmethod
    def graph(self) -> NeighborGraph:
        """Who is whose neighbour now."""

    @property
    def scripts(self) -> tuple[str, ...]:
        """The names of the environment's scripted players."""
        return ()

    def scripted(self, name: str) -> Tensor:
        """What a scripted player would do now: int64 [B, N], -1 for the dead.

        Raises:
            ValueError: for a name that is not among ``scripts``.
        """
        raise ValueError(f"name={name!r}; allowed: {', '.join(self.scripts) or 'no script'}")

    @abstractmethod
    def reset(self, seed: int | None = None) -> Step:
        """Starts all rows anew."""

    @abstractmethod
    def step(self, actions: Tensor) -> Step:
        """Plays int64 [B, N]. Rows whose episode has ended start anew and ignore their actions."""

    @property
    def has_snapshots(self) -> bool:
        """Whether there are `snapshot` and `observe`."""
        return False

    def snapshot(self) -> Any:
        """A compact copy of what the observations of this moment depend on: a named tuple of tensors
        [B, ...].

        Raises:
            AttributeError: where the environment offers none.
        """
        raise AttributeError(
            f"{type(self).__name__} has no snapshots; only a BatchedEnv's view has"
        )

    def observe(self, snapshot: Any, rows: Tensor, agents: Tensor) -> Any:
        """Observations of agents ``agents[m]`` in rows ``rows[m]`` of a snapshot, which may be of many
        moments, one after the other: [M, ...], or a dict of such. Raises as `snapshot` does."""
        raise AttributeError(f"{type(self).__name__} has no snapshots to observe")

    def state_dict(self) -> dict[str, Any] | None:
        """The rows' whole state, to go on exactly; None where the environment cannot tell."""
        return None

    def load_state_dict(self, state: dict[str, Any]) -> Step:
        """Takes up a `state_dict`; returns the step that it was taken after."""
        raise AttributeError(f"{type(self).__name__} has no state to load; allowed: reset()")


def wrap(env: Any, graph: GraphLike = None) -> View:
    """The view of an environment.

    Args:
        env: a BatchedEnv, a PettingZoo ParallelEnv or AECEnv, a gymnasium.Env, or a View (returned
            as it is).
        graph: None takes the environment's own neighbour graph, or else a complete one within each
            group (a single agent has no neighbour); a NeighborGraph; or a function that is given the
            environment after each step and returns a NeighborGraph or an edge list int [2, E].

    Raises:
        TypeError: for anything else.
        ValueError: if agents have no Discrete actions, or different spaces, or the graph has another
            number of agents.
    """
    # Here, since these build on what is above.
    from mfq.parallel_view import OneAgent, ParallelView

    if isinstance(env, View):
        if graph is not None:
            raise ValueError("graph is given with a View, which has one; allowed: None")
        return env
    if hasattr(env, "num_envs") and hasattr(env, "neighbor_graph"):
        return BatchedView(env, graph)
    if isinstance(env, gymnasium.Env):
        env = OneAgent(env)
    elif isinstance(env, pettingzoo.AECEnv):
        env = aec_to_parallel(env)
    if isinstance(env, pettingzoo.ParallelEnv):
        return ParallelView(env, graph)
    raise TypeError(
        f"env is a {type(env).__name__}; allowed: a BatchedEnv, a PettingZoo ParallelEnv or AECEnv, "
        "a gymnasium.Env, or a View"
    )


class Graphs:
    """The neighbour graph of the moment, from whichever source the user chose."""

    def __init__(self, env: Any, graph: GraphLike, groups: np.ndarray) -> None:
        self._env, self._num_agents = env, len(groups)
        if callable(graph):
            self._source: Callable[[], Any] = lambda: graph(env)
        elif graph is not None:
            self._source = lambda: graph
        elif (owner := _owner_of_graph(env)) is not None:
            self._source = lambda: owner.neighbor_graph
        else:
            complete = CompleteGraph(len(groups), groups)
            self._source = lambda: complete

    def now(self) -> NeighborGraph:
        found = self._source()
        if not isinstance(found, NeighborGraph):
            found = EdgesGraph(found, self._num_agents)
        if found.num_agents != self._num_agents:
            raise ValueError(
                f"graph has {found.num_agents} agents; allowed: {self._num_agents}, as the environment"
            )
        return found


def _owner_of_graph(env: Any) -> Any:
    """The environment, or the one within PettingZoo's wrappers, that has a graph of its own."""
    while env is not None and not hasattr(env, "neighbor_graph"):
        env = getattr(env, "aec_env", None) or getattr(env, "env", None)
    return env


class BatchedView(View):
    """A BatchedEnv, whose tensors pass through as they are."""

    def __init__(self, env: Any, graph: GraphLike) -> None:
        self.env = env
        self.num_envs, self.num_agents, self.agents = env.num_envs, env.num_agents, env.agents
        self.groups, self.types, self.device = env.groups, env.types, env.device
        labels = range(int(self.groups.max()) + 1)
        game = getattr(env, "game", None)
        self.group_names = tuple(getattr(game, "group_names", [f"group_{k}" for k in labels]))
        self.observation_space = env.single_observation_space
        self.action_space = env.single_action_space
        self._graphs = Graphs(env, graph, self.groups.cpu().numpy())
        self._last: Step | None = None

    @property
    def graph(self) -> NeighborGraph:
        return self._graphs.now()

    def reset(self, seed: int | None = None) -> Step:
        obs, info = self.env.reset(seed=seed)
        agents, rows = (self.num_envs, self.num_agents), (self.num_envs,)
        return self._step(
            obs,
            reward=torch.zeros(agents, device=self.device),
            terminated=torch.zeros(agents, dtype=torch.bool, device=self.device),
            truncated=torch.zeros(rows, dtype=torch.bool, device=self.device),
            info=info,
            before=self.graph,
        )

    def step(self, actions: Tensor) -> Step:
        before = self.graph
        obs, reward, terminated, truncated, info = self.env.step(actions)
        return self._step(obs, reward, terminated, truncated, info, before)

    @property
    def scripts(self) -> tuple[str, ...]:
        return getattr(getattr(self.env, "game", None), "scripts", ())

    def scripted(self, name: str) -> Tensor:
        return self.env.scripted(name)

    @property
    def has_snapshots(self) -> bool:
        return hasattr(self.env, "snapshot") and hasattr(self.env, "observe")

    def snapshot(self) -> Any:
        return self.env.snapshot()

    def observe(self, snapshot: Any, rows: Tensor, agents: Tensor) -> Any:
        return self.env.observe(snapshot, rows, agents)

    def state_dict(self) -> dict[str, Any] | None:
        if self._last is None or not hasattr(self.env, "state_dict"):
            return None
        # A graph that moves would no longer tell what the neighbours did.
        return {**self.env.state_dict(), "mean_action": self._last.mean_action}

    def load_state_dict(self, state: dict[str, Any]) -> Step:
        self.env.load_state_dict(state)
        obs, reward, terminated, truncated, info = self.env.last()
        step = self._step(obs, reward, terminated, truncated, info, self.graph)
        step.__dict__["mean_action"] = state["mean_action"].to(self.device)  # as if computed
        return step

    def _step(
        self,
        obs: Any,
        reward: Tensor,
        terminated: Tensor,
        truncated: Tensor,
        info: dict[str, Tensor],
        before: NeighborGraph,
    ) -> Step:
        self._last = Step(
            obs=obs,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            alive=self.env.alive,
            acting=info["acting"],
            actions=info["actions"],
            action_mask=info.get("action_mask"),
            reset=info["reset"],
            graph=self.graph,
            graph_before=before,
            num_actions=self.num_actions,
            measures={name: info[name] for name in info.keys() - STEP_INFO},
        )
        return self._last
