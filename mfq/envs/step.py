"""One step of B rows of N agents: everything that agents may use.

Legend: B rows, N agents, A actions, S agents that choose next.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import Any

import torch
from torch import Tensor

from mfenvs.graph import NeighborGraph
from mfq.envs.types import AgentTypes
from mfq.mean_field import neighbors_mean_action

_numbers = count()


@dataclass(frozen=True, eq=False)
class Step:
    """The result of a step or a reset. Its tensors stay valid through the next step.

    Attributes:
        obs: [B, N, ...], or a dict of such; zeros for dead agents. With several types, a dict of such by
            the name of the type, zeros for agents of other types, or [B, N_k, ...] of the type's agents
            alone (``types.is_ragged``); see `of_type`.
        reward: float32 [B, N].
        terminated: bool [B, N]; True only on the step in which the agent died.
        truncated: bool [B]; the time limit ended the episode.
        alive: bool [B, N]; after the step.
        acting: bool [B, N]; the agents that chose their action in effect in the step.
        actions: int64 [B, N]; the actions in effect in the step; -1: none.
        action_mask: int8 [B, N, A], the actions allowed next; None if all are.
        reset: bool [B]; the row was reset, so that the step is not an outcome of the actions passed.
        graph: the neighbour graph now.
        graph_before: the neighbour graph when ``actions`` were chosen.
        num_actions: A; with several types, the largest of theirs.
        measures: per-row quantities that the environment reports, name -> [B].
        mine: bool [B, N]; the agents that the receiving player plays. None: all of them.
        types: the types of the agents if there are several, else None.
        number: identifies the step within the process; `for_player` and `of_type` keep it.
        known_mean_action: the `mean_action` if it is known already; None to compute it on demand.
        places: int64 [N], the place of each agent in ``obs`` along its second axis; None if there are N.
        joint: int64 [B, N], the actions of all types, as indices in a mean action; None if there are no
            other types than that of the step.
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
    number: int = field(default_factory=lambda: next(_numbers))
    known_mean_action: Tensor | None = None
    places: Tensor | None = None
    joint: Tensor | None = None

    @cached_property
    def mean_action(self) -> Tensor:
        """The mean action abar_t of each agent's neighbours in this step, float32 [B, N, D].

        D is A; with several types it is the sum of the types' A."""
        if self.known_mean_action is not None:
            return self.known_mean_action
        return neighbors_mean_action(self)

    @cached_property
    def ended(self) -> Tensor:
        """Whether this is the last step of a row's episode: bool [B]."""
        all_dead = ~(self.alive & ~self.terminated).any(1)
        return (self.truncated | all_dead) & ~self.reset

    @cached_property
    def active_index(self) -> Tensor:
        """The agents that choose next, int64 [S]: the indices b N + j of living agents in ``mine``."""
        playing = self.alive if self.mine is None else self.alive & self.mine
        return playing.flatten().nonzero()[:, 0]

    def obs_at(self, index: Tensor) -> Any:
        """Returns the observations at the indices b N + j: [S, ...], or a dict of such."""
        if self.places is not None:
            first = next(iter(self.obs.values())) if isinstance(self.obs, dict) else self.obs
            row, agent = index // self.places.numel(), index % self.places.numel()
            index = row * first.shape[1] + self.places[agent]
        if isinstance(self.obs, dict):
            return {name: part.flatten(0, 1)[index] for name, part in self.obs.items()}
        return self.obs.flatten(0, 1)[index]

    @property
    def obs_of_all(self) -> Any:
        """The observations with an entry for each of the N agents; any for agents of other types."""
        if self.places is None:
            return self.obs
        if isinstance(self.obs, dict):
            return {name: part[:, self.places] for name, part in self.obs.items()}
        return self.obs[:, self.places]

    def mask_at(self, index: Tensor) -> Tensor | None:
        """Returns the action mask at the indices b N + j: [S, A]; None if all actions are allowed."""
        return None if self.action_mask is None else self.action_mask.flatten(0, 1)[index]

    def scatter_actions(self, chosen: Tensor, index: Tensor) -> Tensor:
        """Returns actions [B, N]: those chosen [S] at their indices b N + j, -1 elsewhere."""
        actions = torch.full_like(self.actions, -1)
        actions.view(-1)[index] = chosen
        return actions

    def learners(self, next_step: Step) -> Tensor:
        """Returns the agents to learn from, bool [B, N]: those in ``mine`` that chose an action in this
        step, in rows that were not reset."""
        counted = next_step.acting & ~next_step.reset[:, None]
        return counted if self.mine is None else counted & self.mine

    def of_type(self, k: int) -> Step:
        """Returns the step with the observations, masks and actions of type k only.

        The mean action is over all types. Repeated calls return the same object."""
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
                known_mean_action=self.mean_action,
                places=None if self.types.places is None else self.types.places[k],
                joint=self.types.place(self.actions),
            )
            self._by_type[k] = step
        return self._by_type[k]

    @cached_property
    def _by_type(self) -> dict[int, Step]:
        return {}

    def for_player(self, mine: Tensor) -> Step:
        """Returns the step for a player of the agents in ``mine``, bool [B, N]."""
        return replace(self, mine=mine, known_mean_action=self.mean_action)
