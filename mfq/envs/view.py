"""One view of any environment: B rows, N agents, tensors. Agents see nothing else.

`mfq.envs.wrap` makes the view of an environment.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from gymnasium import spaces
from torch import Tensor

from mfenvs.graph import NeighborGraph
from mfq.common.config import of_kind
from mfq.envs.step import Step
from mfq.envs.types import AgentTypes


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
        type_specs: the types' names and spaces, where there are several; else None.
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
    type_specs: AgentTypes | None = None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in ("observation_space", "action_space") and self.type_specs is not None:
                raise ValueError(
                    f"{name} of agents of several types ({', '.join(self.type_specs.names)}); allowed: "
                    f"view.of_type(k).{name}, and mfq.ByType for a learner of each type"
                )
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    @property
    def num_actions(self) -> int:
        return int(self.action_space.n)

    @property
    def mean_action_dim(self) -> int:
        """How wide mean actions are: A, or with several types the sum of theirs."""
        return self.num_actions if self.type_specs is None else self.type_specs.width

    @property
    def type_names(self) -> tuple[str, ...]:
        """By the number of the type."""
        return ("type_0",) if self.type_specs is None else self.type_specs.names

    def of_type(self, k: int) -> View:
        """The same rows and agents, with the spaces of type k; its steps are `Step.of_type`'s.

        Raises:
            ValueError: for a type that there is not.
        """
        if not 0 <= k < len(self.type_names):
            raise ValueError(f"k={k!r}; allowed: 0 to {len(self.type_names) - 1}")
        return self if self.type_specs is None else TypeView(self, self.type_specs, k)

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
    def mean_action_dim(self) -> int:
        return self._width

    @property
    def graph(self) -> NeighborGraph:
        return self.view.graph

    def reset(self, seed: int | None = None) -> Step:
        return self.view.reset(seed).of_type(self.k)

    def step(self, actions: Tensor) -> Step:
        return self.view.step(actions).of_type(self.k)
