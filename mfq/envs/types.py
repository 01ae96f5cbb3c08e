"""Types of agents: those of equal observation and action spaces, which one network can serve.

Legend: N agents, K types, A_k actions of type k.
"""

from __future__ import annotations

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
        names: of the K types.
        observation_spaces, action_spaces: of one agent of each type.
    """

    of: Tensor
    names: tuple[str, ...]
    observation_spaces: tuple[spaces.Space[Any], ...]
    action_spaces: tuple[spaces.Discrete, ...]

    @cached_property
    def counts(self) -> Tensor:
        """A_k of each agent's type, int64 [N]."""
        sizes = [int(space.n) for space in self.action_spaces]
        return torch.tensor(sizes, device=self.of.device)[self.of]

    @cached_property
    def width(self) -> int:
        """The sum of the A_k: how wide a mean action over neighbours of several types is."""
        return sum(int(space.n) for space in self.action_spaces)

    @cached_property
    def offsets(self) -> Tensor:
        """Where the actions of each agent's type begin in a mean action, int64 [N]."""
        sizes = [int(space.n) for space in self.action_spaces]
        starts = [sum(sizes[:k]) for k in range(len(sizes))]
        return torch.tensor(starts, device=self.of.device)[self.of]

    def place(self, actions: Tensor) -> Tensor:
        """Actions int64 [B, N] as places in a mean action; -1 where there is none."""
        return (actions + self.offsets).where(actions >= 0, -1)


def by_spaces(env: Any, agents: Sequence[str]) -> tuple[list[int], list[tuple[Any, Any]]]:
    """The type of each agent by number, and the observation and action space of each type."""
    found: list[tuple[Any, Any]] = []
    labels = []
    for agent in agents:
        its = env.observation_space(agent), env.action_space(agent)
        if its not in found:
            found.append(its)
        labels.append(found.index(its))
    return labels, found


def prefix(agent: str) -> str:
    """The group that a name tells, as TorchRL reads it: "wolf" of "wolf_3"; a name that does not end
    in a number is a group of its own."""
    name, _, number = agent.rpartition("_")
    return name if name and number.isdecimal() else agent


def numbered(names: Sequence[Any]) -> tuple[list[int], list[Any]]:
    """Names as numbers in order of appearance, and the names by number."""
    found: dict[Any, int] = {}
    return [found.setdefault(name, len(found)) for name in names], list(found)


def type_names(agents: Sequence[str], types: Sequence[int]) -> tuple[str, ...]:
    """A type is called by its agents' prefix if they have one that no other type's have; else type_k."""
    prefixes: dict[int, set[str]] = {}
    for agent, k in zip(agents, types, strict=True):
        prefixes.setdefault(k, set()).add(prefix(agent))
    names = []
    for k in sorted(prefixes):
        others = set().union(*(found for other, found in prefixes.items() if other != k))
        own = prefixes[k]
        names.append(next(iter(own)) if len(own) == 1 and not own & others else f"type_{k}")
    return tuple(names)
