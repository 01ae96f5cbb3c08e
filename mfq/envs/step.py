"""One step of B rows of N agents: all that an agent may know.

Legend: B rows, N agents, A actions, S agents that have to choose.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from mfenvs.graph import NeighborGraph
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
    def active_index(self) -> Tensor:
        """Who has to choose, int64 [S]: the places b N + j of the living whom the receiver plays."""
        playing = self.alive if self.mine is None else self.alive & self.mine
        return playing.flatten().nonzero()[:, 0]

    def obs_at(self, index: Tensor) -> Any:
        """The observations at places b N + j: [S, ...], or a dict of such."""
        if isinstance(self.obs, dict):
            return {name: part.flatten(0, 1)[index] for name, part in self.obs.items()}
        return self.obs.flatten(0, 1)[index]

    def mask_at(self, index: Tensor) -> Tensor | None:
        """What may be chosen at places b N + j: [S, A]; None if everything may."""
        return None if self.action_mask is None else self.action_mask.flatten(0, 1)[index]

    def scatter_actions(self, chosen: Tensor, index: Tensor) -> Tensor:
        """Actions [S] at their places in [B, N]; -1 elsewhere."""
        actions = torch.full_like(self.actions, -1)
        actions.view(-1)[index] = chosen
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

    def for_player(self, mine: Tensor) -> Step:
        """The step as handed to one who plays ``mine``, bool [B, N]."""
        step = replace(self, mine=mine)
        step.__dict__["mean_action"] = self.mean_action  # all share it
        return step
