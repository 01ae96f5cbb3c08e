"""Mean fields: what an agent hears of its neighbours (Yang et al. 2018, section 3.1).

`MeanAction` is the paper's: the mean one-hot action of the live neighbours. `NoMeanField` is empty,
which turns MFQ into independent Q-learning. Subclass `MeanField` for other mean fields.

Mean actions are means over the actions *in effect*: an agent that keeps its last action counts with
that action, and an agent without an action (-1) does not count.

Legend: B rows, N agents, A actions, D numbers that an agent hears, M samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mfenvs.graph import NeighborGraph

PAIRINGS = ("current", "previous")


class Moment(Protocol):
    """What mean fields read of a step; see `mfq.Step`."""

    @property
    def actions(self) -> Tensor: ...
    @property
    def num_actions(self) -> int: ...
    @property
    def graph_before(self) -> NeighborGraph: ...
    @property
    def types(self) -> Any: ...


class HeardStep(Moment, Protocol):
    """A `Moment` with its mean action."""

    @property
    def mean_action(self) -> Tensor: ...


class Sizes(Protocol):
    """What mean fields read of a view; see `mfq.View`."""

    @property
    def num_agents(self) -> int: ...
    @property
    def num_actions(self) -> int: ...
    @property
    def mean_action_dim(self) -> int: ...
    @property
    def device(self) -> torch.device: ...


class MeanField(ABC):
    """Base class of mean fields, which have two parts.

    `hear` has no weights; replays store its result. `embed` makes the module that encodes this result
    inside a network. It is trained with the network and copied to the target network.

    Args:
        view: gives the sizes.
        pairing: "previous" fits Q(s_t, a_t, abar_{t-1}), as in the authors' code; "current" fits
            Q(s_t, a_t, abar_t), as in the paper. Acting at t uses abar_{t-1} in both.

    Attributes:
        width: D, the size of the result of `hear`.
        redraws: whether `at` is implemented, which compact replays need.
        iterates: whether the result is a distribution over A actions, which the iteration of Eqs. 6 and
            11 needs.

    Raises:
        ValueError: for an unknown pairing.
    """

    width: int
    redraws: bool = False
    iterates: bool = False

    def __init_subclass__(cls) -> None:
        """A class that redefines `hear` can be redrawn only if it redefines `at` too."""
        super().__init_subclass__()
        if "hear" in vars(cls) or "at" in vars(cls):
            cls.redraws = "at" in vars(cls)

    def __init__(self, view: Sizes, pairing: str = "previous") -> None:
        if pairing not in PAIRINGS:
            raise ValueError(f"pairing={pairing!r}; allowed: {PAIRINGS}")
        self.num_agents, self.num_actions = view.num_agents, view.num_actions
        self.device, self.pairing = view.device, pairing

    @abstractmethod
    def hear(self, step: Any, memory: dict[str, Tensor]) -> Tensor:
        """Returns what agents hear in a step, before they act on it: float32 [B, N, D].

        Args:
            step: a `mfq.Step`.
            memory: tensors as from `new_memory`, to update in place. `hear` is called once a step; rows
                that were reset have new memory.
        """

    def new_memory(self, num_envs: int) -> dict[str, Tensor]:
        """Returns the memory at an episode's start, tensors [B, ...] by name; none by default."""
        return {}

    def at(self, graph: NeighborGraph, actions: Tensor, agents: Tensor) -> Tensor:
        """Returns what single agents hear of stored actions: float32 [M, D].

        Args:
            graph: a fixed graph.
            actions: int64 [M, N], in effect; -1 for none. With several types, indices over (type,
                action).
            agents: int64 [M]; the agent of each sample.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot be redrawn from stored actions")

    def embed(self, generator: torch.Generator, features: int) -> nn.Module | None:
        """Returns a module that encodes what agents hear; None for the paper's layers, 64 and 32 wide.

        Its ``forward(heard [M, D], features [M, features])`` returns [M, size]; ``size`` is an
        attribute.

        Args:
            generator: draws the weights.
            features: the number of features of the observation.
        """
        return None

    def fitted(self, before: Callable[[], Tensor], after: Callable[[], Tensor]) -> Tensor:
        """Returns the mean field that the value of the chosen action is fitted with, by the pairing.

        Args:
            before: returns what agents heard before they chose, abar_{t-1}.
            after: returns what they hear after it, abar_t.
        """
        return after() if self.pairing == "current" else before()


class MeanAction(MeanField):
    """The mean one-hot action of the live neighbours (Eq. 4), uniform over them.

    With several types it is over (type, action), so that D is the sum of the types' A.
    """

    def __init__(self, view: Sizes, pairing: str = "previous") -> None:
        super().__init__(view, pairing)
        self.width = view.mean_action_dim
        self.iterates = type(self).hear is MeanAction.hear and self.width == view.num_actions

    def hear(self, step: HeardStep, memory: dict[str, Tensor]) -> Tensor:
        return step.mean_action

    def at(self, graph: NeighborGraph, actions: Tensor, agents: Tensor) -> Tensor:
        return mean_action_at(graph, actions, agents, self.width)


class NoMeanField(MeanField):
    """The empty mean field: D = 0. With it MFQ is IQL, and MF-AC is AC."""

    width = 0

    def hear(self, step: Moment, memory: dict[str, Tensor]) -> Tensor:
        return torch.zeros((*step.actions.shape, 0), device=self.device)

    def at(self, graph: NeighborGraph, actions: Tensor, agents: Tensor) -> Tensor:
        return torch.zeros((len(agents), 0), device=agents.device)


def redraws_types(mean_field: MeanField) -> bool:
    """Returns whether ``at`` is known to take actions of several types."""
    return type(mean_field).at in (MeanAction.at, NoMeanField.at)


MEAN_FIELDS: dict[str, Callable[[Any, str], MeanField]] = {"mean_action": MeanAction}
"""Mean fields by their names in configurations."""


def one_hot(actions: Tensor, num_actions: int) -> Tensor:
    """Returns one-hot actions, the zero vector for -1.

    Args:
        actions: int64 [B, N] in [-1, A).

    Returns:
        float32 [B, N, A].
    """
    hot = torch.zeros((*actions.shape, num_actions), device=actions.device)
    hot.scatter_(-1, actions.clamp(min=0)[..., None], (actions >= 0).float()[..., None])
    return hot


def mean_action(graph: NeighborGraph, actions: Tensor, num_actions: int) -> Tensor:
    """Returns the mean one-hot action of each agent's neighbours; zeros if none has an action.

    Args:
        graph: the neighbours at the time when the actions were chosen.
        actions: int64 [B, N], in effect; -1 for none.

    Returns:
        float32 [B, N, A]: the paper's abar at that time.
    """
    return graph.mean(one_hot(actions, num_actions), actions >= 0)


def neighbors_mean_action(moment: Moment) -> Tensor:
    """Returns `mean_action` of a step; with several types over (type, action)."""
    actions, width = moment.actions, moment.num_actions
    if moment.types is not None:
        actions, width = moment.types.place(actions), moment.types.width
    return mean_action(moment.graph_before, actions, width)


def mean_action_at(
    graph: NeighborGraph, actions: Tensor, agents: Tensor, num_actions: int
) -> Tensor:
    """Returns the mean action of one agent per row: `mean_action` at (m, agents[m]).

    Args:
        graph: a fixed graph.
        actions: int64 [M, N], in effect; -1 for none.
        agents: int64 [M].

    Returns:
        float32 [M, A].
    """
    weights = (graph.adjacency_rows(agents) & (actions >= 0)).float()
    counts = torch.zeros((len(actions), num_actions + 1), device=actions.device)
    counts.scatter_add_(1, actions + 1, weights)
    return counts[:, 1:] / weights.sum(1, keepdim=True).clamp(min=1.0)


def iterate(
    mean: Tensor,
    iterations: int,
    graph: NeighborGraph,
    respond: Callable[[Tensor], Tensor],
    damping: float = 0.0,
) -> Tensor:
    """Alternates Eqs. 6 and 11: agents respond to the mean action, which gives a new mean action.

    An iteration replaces abar_j by d abar_j + (1 - d) abar'_j, with the damping d and the mean action
    abar'_j of the responses. An abar_j of zeros (no neighbour had an action) is replaced by abar'_j.

    Args:
        mean: float32 [B, N, A], the initial value (the mean action of the previous step).
        iterations: the number of iterations; 0 returns ``mean``.
        graph: the neighbours now.
        respond: mean action [B, N, A] -> actions int64 [B, N], drawn from the policy.
        damping: d, 0 to 1; 0 takes the responses alone.

    Returns:
        float32 [B, N, A].
    """
    for _ in range(iterations):
        response = mean_action(graph, respond(mean), mean.shape[-1])
        kept = damping * (mean != 0).any(-1, keepdim=True)
        mean = kept * mean + (1 - kept) * response
    return mean
