"""The interface between agents and environments: B rows of N agents, as tensors.

`mfq.envs.wrap` makes the view of an environment.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from mfenvs.graph import NeighborGraph
from mfenvs.layout import Layout, Places
from mfenvs.validate import of_kind
from mfq.envs.step import Step
from mfq.envs.types import AgentTypes


class SpaceOfOneType:
    """A space attribute of `View`. A view of several types does not set it, and reading it raises."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, view: View | None, owner: type) -> Any:
        if view is None:
            return self
        if view.type_specs is None:
            raise AttributeError(f"{type(view).__name__} has no attribute {self.name!r}")
        raise ValueError(
            f"{self.name} of agents of several types ({', '.join(view.type_specs.names)}); allowed: "
            f"view.of_type(k).{self.name}, and mfq.ByType for a learner of each type"
        )


class View(ABC):
    """B rows of N agents.

    Attributes:
        num_envs, num_agents, num_actions: B, N, A.
        agents: their ids: strings, or whatever the environment has.
        groups, types: int64 [N].
        group_names: the name of each group.
        observation_space, action_space: the spaces of one agent. With several types each type has its
            spaces (see `of_type`), and reading these raises a ValueError.
        device: the device of the tensors.
        type_specs: names and spaces of the types if there are several; else None.
    """

    num_envs: int
    num_agents: int
    agents: list[Any]
    groups: Tensor
    group_names: tuple[str, ...]
    types: Tensor
    observation_space: spaces.Space[Any] = SpaceOfOneType()  # type: ignore[assignment]
    action_space: spaces.Discrete = SpaceOfOneType()  # type: ignore[assignment]
    device: torch.device
    type_specs: AgentTypes | None = None

    def __repr__(self) -> str:
        """Returns the sizes of the view in a line."""
        if self.type_specs is None:
            agents = f"{self.num_agents} agents, {self.num_actions} actions"
        else:
            agents = f"{self.num_agents} agents of types {', '.join(self.type_names)}"
        groups = f"groups {', '.join(self.group_names)}"
        rows = "1 row" if self.num_envs == 1 else f"{self.num_envs} rows"
        return f"{type(self).__name__}({rows}, {agents}, {groups}, {self.device})"

    @property
    def num_actions(self) -> int:
        return int(self.action_space.n)

    @property
    def mean_action_dim(self) -> int:
        """The size of mean actions: A, or with several types the sum of theirs."""
        return self.num_actions if self.type_specs is None else self.type_specs.width

    @property
    def first_action(self) -> int:
        """The index in mean actions of the first action: 0, or for a view `of_type` that of the type."""
        return 0

    @property
    def type_names(self) -> tuple[str, ...]:
        """The name of each type."""
        return ("type_0",) if self.type_specs is None else self.type_specs.names

    def of_type(self, k: int) -> View:
        """Returns a view of the same rows and agents with the spaces and steps of type k.

        Raises:
            ValueError: for a type that does not exist.
        """
        if not 0 <= k < len(self.type_names):
            raise ValueError(f"k={k!r}; allowed: 0 to {len(self.type_names) - 1}")
        return self if self.type_specs is None else TypeView(self, self.type_specs, k)

    @property
    @abstractmethod
    def graph(self) -> NeighborGraph:
        """The current neighbour graph."""

    @property
    def match_measure(self) -> str | None:
        """The name of the measure that decides a match: the group with the highest
        ``measures[f"{group}_{match_measure}"]`` wins. None: the group with the highest return.

        For a PettingZoo environment it is its attribute ``match_measure``, beside ``measures``, a dict
        of numbers or a function that returns one; "kills" for MAgent2's battles."""
        return None

    @property
    def ends(self) -> bool:
        """Whether episodes end; False for a game without an end or a time limit."""
        return True

    def limit_episodes(self, steps: int | None) -> bool:
        """Truncates episodes after a number of steps, if the environment has no limit that is known.

        A view of a PettingZoo or Gymnasium environment does so, others ignore it: the games of mfenvs
        have ``max_cycles``. `mfq.evaluate` sets such a limit, and leaves none.

        Args:
            steps: the most steps of an episode; None: no limit.

        Returns:
            Whether episodes are truncated so.
        """
        return False

    @property
    def scripts(self) -> tuple[str, ...]:
        """The names of the environment's scripted players."""
        return ()

    def scripted(self, name: str) -> Tensor:
        """Returns the actions of a scripted player: int64 [B, N], -1 for dead agents.

        Raises:
            ValueError: for a name that is not among ``scripts``.
        """
        raise ValueError(f"name={name!r}; allowed: {', '.join(self.scripts) or 'no script'}")

    @abstractmethod
    def reset(self, seed: int | None = None) -> Step:
        """Resets all rows and returns the first step."""

    @abstractmethod
    def step(self, actions: Tensor) -> Step:
        """Plays actions int64 [B, N]. A row with a finished episode is reset and ignores its actions."""

    @property
    def has_snapshots(self) -> bool:
        """Whether `snapshot` and `observe` are available."""
        return False

    def snapshot(self) -> Any:
        """Returns a compact copy of what the current observations depend on: a named tuple of tensors
        [B, ...].

        Raises:
            AttributeError: if the environment has no snapshots.
        """
        raise AttributeError(
            f"{type(self).__name__} has no snapshots; only a BatchedEnv's view has"
        )

    @property
    def agent_fields(self) -> tuple[str, ...]:
        """The fields [B, N, ...] of a snapshot that may be zeroed for agents that are neither alive nor
        just terminated, since no observation depends on them."""
        return ()

    def observe(
        self, snapshot: Any, rows: Tensor, agents: Tensor, of_type: str | None = None
    ) -> Any:
        """Returns the observations of agents ``agents[m]`` in rows ``rows[m]`` of a snapshot: [M, ...],
        or a dict of such. The snapshot may be a concatenation of several along the rows. With several
        types, ``of_type`` names that of the agents. Raises AttributeError as `snapshot` does."""
        raise AttributeError(f"{type(self).__name__} has no snapshots to observe")

    def picture(self) -> np.ndarray:
        """Returns a picture of the first row, uint8 [height, width, 3].

        Raises:
            ValueError: if the environment draws none.
        """
        raise ValueError(
            f"{type(self).__name__} has no pictures; allowed: environments that render"
        )

    def draw(self, canvas: Any) -> None:
        """Draws the first row on a `mfenvs.render.canvas.Canvas`.

        Raises:
            ValueError: unless the environment is a game of mfenvs.
        """
        raise ValueError(f"{type(self).__name__} draws on no canvas; allowed: games of mfenvs")

    @property
    def layout(self) -> Layout | None:
        """The board of the game, for displays that draw it themselves; None if it has none."""
        return None

    def places(self) -> Places:
        """Returns where the agents of the first row are, if there is a `layout`."""
        raise AttributeError(f"{type(self).__name__} has no layout")

    def close(self) -> None:
        """Closes the environment."""
        env = getattr(self, "env", None)
        if env is not None:
            env.close()

    def state_dict(self) -> dict[str, Any] | None:
        """Returns the complete state of the rows; None if the environment cannot be saved."""
        return None

    def load_state_dict(self, state: dict[str, Any]) -> Step:
        """Loads a `state_dict`; returns the step at which it was saved."""
        raise AttributeError(f"{type(self).__name__} has no state to load; allowed: reset()")


def check_view(view: Any) -> None:
    """Raises TypeError unless it is a `View`."""
    of_kind("view", view, View, "a View, as mfq.wrap(env) is")


class TypeView(View):
    """A view with the spaces and the steps of one type of agents."""

    def __init__(self, view: View, types: AgentTypes, k: int) -> None:
        self.view, self.k, self._width = view, k, types.width
        self._first = sum(int(space.n) for space in types.action_spaces[:k])
        self.num_envs, self.num_agents, self.agents = view.num_envs, view.num_agents, view.agents
        self.groups, self.group_names, self.types = view.groups, view.group_names, view.types
        self.observation_space = types.observation_spaces[k]
        self.action_space = types.action_spaces[k]
        self.device = view.device

    @property
    def mean_action_dim(self) -> int:
        return self._width

    @property
    def first_action(self) -> int:
        return self._first

    @property
    def graph(self) -> NeighborGraph:
        return self.view.graph

    def limit_episodes(self, steps: int | None) -> bool:
        return self.view.limit_episodes(steps)

    @property
    def has_snapshots(self) -> bool:
        return self.view.has_snapshots

    @property
    def agent_fields(self) -> tuple[str, ...]:
        return self.view.agent_fields

    def snapshot(self) -> Any:
        return self.view.snapshot()

    def observe(
        self, snapshot: Any, rows: Tensor, agents: Tensor, of_type: str | None = None
    ) -> Any:
        return self.view.observe(snapshot, rows, agents, self.view.type_names[self.k])

    def reset(self, seed: int | None = None) -> Step:
        return self.view.reset(seed).of_type(self.k)

    def step(self, actions: Tensor) -> Step:
        return self.view.step(actions).of_type(self.k)
