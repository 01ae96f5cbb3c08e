"""One view of any environment: B rows, N agents, tensors. Agents see nothing else.

`wrap` takes a BatchedEnv, a PettingZoo Parallel or AEC environment, or a single-agent Gymnasium one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import gymnasium
import pettingzoo
import torch
from gymnasium import spaces
from pettingzoo.utils.conversions import aec_to_parallel
from torch import Tensor

from mfenvs.graph import NeighborGraph
from mfq.common.config import of_kind
from mfq.envs.graphs import GraphLike
from mfq.envs.types import AgentTypes
from mfq.mean_field import mean_action


@dataclass(frozen=True, eq=False)
class Step:
    """What an agent may know after a step (or a reset). Tensors stay valid through the next step.

    Attributes:
        obs: [B, N, ...], or a dict of such; zeros for the dead. Of agents of several types, a dict of
            such by the name of the type, zeros for agents of other types; see `of_type`.
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
        num_actions: A; of agents of several types, the most that one has.
        measures: per-row quantities that the environment reports, name -> [B].
        mine: bool [B, N]; whom the receiver of this step plays. None: everybody.
        types: the types of the agents, where there are several.
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
    types: AgentTypes | None = None

    @cached_property
    def mean_action(self) -> Tensor:
        """abar of the step's actions, float32 [B, N, A]: what acting now may know of the others.

        Of agents of several types it is the mean of one-hots over (type, action), as wide as the sum
        of the types' A."""
        if self.types is not None:
            places = self.types.place(self.actions)
            return mean_action(self.graph_before, places, self.types.width)
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

    def of_type(self, k: int) -> Step:
        """The step as agents of type k see it: their observations, masks and actions, for them to play;
        the mean action is everybody's. The same object when it is asked for again."""
        if self.types is None:
            return self
        if k not in self._by_type:
            space = self.types.action_spaces[k]
            mine = (self.types.of == k).expand_as(self.alive)
            mask = self.action_mask
            step = replace(
                self,
                obs=self.obs[self.types.names[k]],
                actions=self.actions.where(mine, -1),
                action_mask=None if mask is None else mask[..., : int(space.n)],
                num_actions=int(space.n),
                mine=mine if self.mine is None else mine & self.mine,
                types=None,
            )
            step.__dict__["mean_action"] = self.mean_action
            self._by_type[k] = step
        return self._by_type[k]

    @cached_property
    def _by_type(self) -> dict[int, Step]:
        return {}

    def given_to(self, mine: Tensor) -> Step:
        """The step as handed to one who plays ``mine``, bool [B, N]."""
        step = replace(self, mine=mine)
        step.__dict__["mean_action"] = self.mean_action  # all share it
        return step


class View(ABC):
    """B rows of N agents.

    Attributes:
        num_envs, num_agents, num_actions: B, N, A.
        agents: names.
        groups, types: int64 [N].
        group_names: by the number of the group.
        observation_space, action_space: of one agent. Where agents are of several types, each has its
            own (`of_type`), and asking for these is a ValueError.
        device: where the tensors are.
        kinds: the types' names and spaces, where there are several; else None.
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
    kinds: AgentTypes | None = None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in ("observation_space", "action_space") and self.kinds is not None:
                raise ValueError(
                    f"{name} of agents of several types ({', '.join(self.kinds.names)}); allowed: "
                    f"view.of_type(k).{name}, and mfq.ByType for a learner of each type"
                )
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    @property
    def num_actions(self) -> int:
        return int(self.action_space.n)

    @property
    def mean_width(self) -> int:
        """How wide mean actions are: A, or with several types the sum of theirs."""
        return self.num_actions if self.kinds is None else self.kinds.width

    @property
    def type_names(self) -> tuple[str, ...]:
        """By the number of the type."""
        return ("type_0",) if self.kinds is None else self.kinds.names

    def of_type(self, k: int) -> View:
        """The same rows and agents, with the spaces of type k; its steps are `Step.of_type`'s.

        Raises:
            ValueError: for a type that there is not.
        """
        if not 0 <= k < len(self.type_names):
            raise ValueError(f"k={k!r}; allowed: 0 to {len(self.type_names) - 1}")
        return self if self.kinds is None else TypeView(self, self.kinds, k)

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

    @property
    def agent_fields(self) -> tuple[str, ...]:
        """The fields [B, N, ...] of a snapshot that may be zeros for agents who are gone (neither alive
        nor terminated just now), since no observation depends on those."""
        return ()

    def observe(self, snapshot: Any, rows: Tensor, agents: Tensor) -> Any:
        """Observations of agents ``agents[m]`` in rows ``rows[m]`` of a snapshot, which may be of many
        moments, one after the other: [M, ...], or a dict of such. Raises as `snapshot` does."""
        raise AttributeError(f"{type(self).__name__} has no snapshots to observe")

    def close(self) -> None:
        """Closes the environment."""
        env = getattr(self, "env", None)
        if env is not None:
            env.close()

    def state_dict(self) -> dict[str, Any] | None:
        """The rows' whole state, to go on exactly; None where the environment cannot tell."""
        return None

    def load_state_dict(self, state: dict[str, Any]) -> Step:
        """Takes up a `state_dict`; returns the step that it was taken after."""
        raise AttributeError(f"{type(self).__name__} has no state to load; allowed: reset()")


def wrap(env: Any, graph: GraphLike = None) -> View:
    """The view of an environment.

    Args:
        env: a BatchedEnv, a PettingZoo ParallelEnv or AECEnv (one whose agents act at the same time), a
            gymnasium.Env, or a View (returned as it is). A list of environments: copies of one, each a
            row (see `mfq.Workers` for slow ones).
        graph: None takes the environment's own neighbour graph, or else "team". "all", "type" (equal
            spaces) or "team" (equal names but for the number) are complete graphs among these; a
            single agent has no neighbour. Or a NeighborGraph, a fixed edge list int [2, E], `Within` a
            radius, or a function that is given the environment after each step and returns a
            NeighborGraph or an edge list.

    Raises:
        TypeError: for anything else.
        ValueError: if an agent has no Discrete actions, or observes what no tensor holds, or acts in
            turns, or the graph does not fit.
    """
    # Here, since these build on what is above.
    from mfq.envs.batched import BatchedView
    from mfq.envs.copies import Copies
    from mfq.envs.parallel import OneAgent, ParallelView

    if isinstance(env, View):
        if graph is not None:
            raise ValueError("graph is given with a View, which has one; allowed: None")
        return env
    if isinstance(env, list | tuple):
        return Copies.of(env, graph)
    if hasattr(env, "num_envs") and hasattr(env, "neighbor_graph"):
        return BatchedView(env, graph)
    if isinstance(env, gymnasium.Env):
        env = OneAgent(env)
    elif isinstance(env, pettingzoo.AECEnv):
        env = _parallel(env)
    if isinstance(env, pettingzoo.ParallelEnv):
        return ParallelView(env, graph)
    raise TypeError(
        f"env is a {type(env).__name__}; allowed: a BatchedEnv, a PettingZoo ParallelEnv or AECEnv, "
        "a gymnasium.Env, a View, or a list of environments"
    )


def _parallel(env: Any) -> Any:
    """The ParallelEnv of an AECEnv whose agents act at the same time."""
    try:
        return aec_to_parallel(env)
    except AssertionError:
        name = env.metadata.get("name", type(env).__name__)
        raise ValueError(
            f"{name} is played in turns (its metadata has no is_parallelizable=True); allowed: AEC "
            "environments whose agents act at the same time, since a mean action is of one moment"
        ) from None


def check_view(view: Any) -> None:
    """Raises TypeError unless it is a `View`."""
    of_kind("view", view, View, "a View, as mfq.wrap(env) is")


class TypeView(View):
    """A view as agents of one type see it: what their network is made for."""

    def __init__(self, view: View, kinds: AgentTypes, k: int) -> None:
        self.view, self.k, self._width = view, k, kinds.width
        self.num_envs, self.num_agents, self.agents = view.num_envs, view.num_agents, view.agents
        self.groups, self.group_names, self.types = view.groups, view.group_names, view.types
        self.observation_space = kinds.observation_spaces[k]
        self.action_space = kinds.action_spaces[k]
        self.device = view.device

    @property
    def mean_width(self) -> int:
        return self._width

    @property
    def graph(self) -> NeighborGraph:
        return self.view.graph

    def reset(self, seed: int | None = None) -> Step:
        return self.view.reset(seed).of_type(self.k)

    def step(self, actions: Tensor) -> Step:
        return self.view.step(actions).of_type(self.k)
