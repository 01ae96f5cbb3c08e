"""Types of agents: agents of one type have the same spaces, so that they can share a network.

Legend: N agents, K types, A_k actions of type k.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor


@dataclass(frozen=True, eq=False)
class AgentTypes:
    """The types of N agents.

    Attributes:
        of: int64 [N]; the type of each agent.
        names: the names of the K types.
        observation_spaces, action_spaces: of one agent of each type.
        is_ragged: whether observations of type k are [B, N_k, ...], of its N_k agents in order. If
            False they are [B, N, ...], zeros for agents of other types.
    """

    of: Tensor
    names: tuple[str, ...]
    observation_spaces: tuple[spaces.Space[Any], ...]
    action_spaces: tuple[spaces.Discrete, ...]
    is_ragged: bool = False

    @cached_property
    def places(self) -> tuple[Tensor, ...] | None:
        """For each type the place of each agent in its observations, int64 [N], 0 for agents of other
        types; None unless ``is_ragged``."""
        if not self.is_ragged:
            return None
        are_of = [self.of == k for k in range(len(self.names))]
        return tuple((mine.cumsum(0) - 1) * mine for mine in are_of)

    @cached_property
    def counts(self) -> Tensor:
        """A_k of each agent's type, int64 [N]."""
        sizes = [int(space.n) for space in self.action_spaces]
        return torch.tensor(sizes, device=self.of.device)[self.of]

    @cached_property
    def width(self) -> int:
        """The sum of the A_k, the size of a mean action over neighbours of several types."""
        return sum(int(space.n) for space in self.action_spaces)

    @cached_property
    def offsets(self) -> Tensor:
        """The index in a mean action of the first action of each agent's type, int64 [N]."""
        sizes = [int(space.n) for space in self.action_spaces]
        starts = [sum(sizes[:k]) for k in range(len(sizes))]
        return torch.tensor(starts, device=self.of.device)[self.of]

    def place(self, actions: Tensor) -> Tensor:
        """Returns the indices in a mean action of actions int64 [B, N]; -1 stays -1."""
        return (actions + self.offsets).where(actions >= 0, -1)


def by_spaces(pairs: Sequence[tuple[Any, Any]]) -> tuple[list[int], list[tuple[Any, Any]]]:
    """Returns the index of each agent's type, and the (observation, action) space of each type.

    Args:
        pairs: the (observation, action) space of each agent.
    """
    type_spaces: list[tuple[Any, Any]] = []
    labels = []
    for pair in pairs:
        if pair not in type_spaces:
            type_spaces.append(pair)
        labels.append(type_spaces.index(pair))
    return labels, type_spaces


def by_hand(
    agents: Sequence[Any], names: Sequence[str], pairs: Sequence[tuple[Any, Any]]
) -> tuple[list[int], list[tuple[Any, Any]]]:
    """As `by_spaces`, for types that the user names.

    Raises:
        ValueError: if agents of one type have different spaces; the message names them.
    """
    of, distinct = numbered(names)
    firsts = [of.index(k) for k in range(len(distinct))]
    for agent, pair, k in zip(agents, pairs, of, strict=True):
        first = firsts[k]
        for part, what in enumerate(("observation_space", "action_space")):
            if pair[part] != pairs[first][part]:
                raise ValueError(
                    f"types has {agents[first]!r} and {agent!r} as {names[first]!r}, and they differ in "
                    f"their {what}: {pairs[first][part]} and {pair[part]}; allowed: agents of equal "
                    "spaces"
                )
    return of, [pairs[first] for first in firsts]


NUMBERED = re.compile(r"(.*?)[\s_.:#-]*\d+", re.DOTALL)


def prefix(agent: Any) -> str:
    """Returns the group in an agent's name: what precedes its last number.

    It is "wolf" for "wolf_3" (as TorchRL has it), "wolf3", "wolf-3", "wolf 3" and ("wolf", 3); "agent"
    for numbers alone, such as 3 and (0, 1); and the whole name if it does not end in a number.
    """
    name = "_".join(map(str, agent)) if isinstance(agent, tuple) else str(agent)
    if not re.search(r"[^\W\d_]", name):  # no letter
        return "agent"
    match = NUMBERED.fullmatch(name)
    return match[1] if match else name


def numbered(names: Sequence[Any]) -> tuple[list[int], list[Any]]:
    """Returns the names as numbers in order of appearance, and the distinct names."""
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(name, len(numbers)) for name in names], list(numbers)


def type_names(agents: Sequence[Any], types: Sequence[int]) -> tuple[str, ...]:
    """Returns the names of the types: the prefix of a type's agents if it is unique, else type_k."""
    prefixes: dict[int, set[str]] = {}
    for agent, k in zip(agents, types, strict=True):
        prefixes.setdefault(k, set()).add(prefix(agent))
    names = []
    for k in sorted(prefixes):
        elsewhere = set().union(*(group for i, group in prefixes.items() if i != k))
        is_unique = len(prefixes[k]) == 1 and not prefixes[k] & elsewhere
        names.append(next(iter(prefixes[k])) if is_unique else f"type_{k}")
    return tuple(names)
