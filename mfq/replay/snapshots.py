"""A ring of the last moments of several rows, in which only those who are there take room.

Legend: B rows, N agents, T moments, M pairs of a moment and a row, R agents of moments.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class SnapshotRing:
    """The last moments: what they tell of rows, and what they tell of the agents who are there.

    A moment's *slot* is its number modulo T. Agents of moments lie one behind the other in a ring of
    their own, each with its number; a row knows where its first one lies, and how many there are.

    Args:
        length: T, how many moments there is room for.
        room: R, how many agents of moments there is room for; at least those of two whole moments.
        num_envs: B.
        num_agents: N.
        device: where they are kept.

    Attributes:
        count: moments, of all time.
        oldest: the number of the oldest one that is still whole.
    """

    def __init__(
        self, length: int, room: int, num_envs: int, num_agents: int, device: torch.device
    ) -> None:
        if room < 2 * num_envs * num_agents:
            raise ValueError(f"room={room}; allowed: at least {2 * num_envs * num_agents}")
        self.length, self.room, self.device = length, room, device
        self.num_envs, self.num_agents = num_envs, num_agents
        self.count = self.oldest = 0
        self._written = 0  # agents of moments, of all time
        self._starts = [0] * length  # how many had been written before each moment
        self._rows: dict[str, Tensor] = {}  # [T, B, ...], "_first" and "_size" among them
        self._agents: dict[str, Tensor] = {}  # [R + 1, ...], nobody last, "_number" among them

    @property
    def slot(self) -> int:
        """Of the last moment."""
        return (self.count - 1) % self.length

    def append(self, present: Tensor, rows: dict[str, Tensor], agents: dict[str, Tensor]) -> None:
        """Writes a moment over the oldest ones.

        Args:
            present: bool [B, N]; who is there.
            rows: what it tells of rows, by name, each [B, ...].
            agents: what it tells of agents, by name, each [B, N, ...].
        """
        index, sizes = present.flatten().nonzero()[:, 0], present.sum(1)
        of_rows = rows | {
            "_first": (sizes.cumsum(0) - sizes + self._written) % self.room,
            "_size": sizes.to(torch.int32),
        }
        of_agents = {name: values.flatten(0, 1)[index] for name, values in agents.items()}
        of_agents["_number"] = (index % self.num_agents).to(integers(self.num_agents - 1))
        if not self._rows:
            self._allocate(of_rows, of_agents)
        self.count += 1
        for name, values in of_rows.items():
            self._rows[name][self.slot] = values
        ring = torch.arange(len(index), device=self.device).add_(self._written) % self.room
        for name, values in of_agents.items():
            self._agents[name][ring] = values
        self._starts[self.slot] = self._written
        self._written += len(index)
        self.oldest = max(self.oldest, self.count - self.length)
        while self._starts[self.oldest % self.length] < self._written - self.room:
            self.oldest += 1

    def at(self, places: Tensor) -> dict[str, Tensor]:
        """What was told of rows and of agents.

        Args:
            places: int64 [M]; slots times B, plus rows.

        Returns:
            by name, [M, ...] or [M, N, ...]; zeros for those who were not there.
        """
        rows = {name: values.flatten(0, 1)[places] for name, values in self._rows.items()}
        first, size = rows.pop("_first")[:, None], rows.pop("_size")[:, None]
        # As many for every row, so that a device need not tell how many there are; those too many go
        # to a place behind the last row.
        nth = torch.arange(self.num_agents, device=self.device)
        record = (first + nth) % self.room
        row = torch.arange(0, record.numel(), self.num_agents, device=self.device)[:, None]
        seat = self._agents["_number"][record] + row
        seat.masked_fill_(nth >= size, record.numel())
        source = torch.full((record.numel() + 1,), self.room, device=self.device)
        source.scatter_(0, seat.flatten(), record.flatten())
        agents = {
            name: values.index_select(0, source[:-1]).view(*record.shape, *values.shape[1:])
            for name, values in self._agents.items()
            if name != "_number"
        }
        return rows | agents

    def last(self) -> dict[str, Tensor]:
        """The last moment, as `at` tells it: [B, ...] or [B, N, ...]."""
        rows = torch.arange(self.num_envs, device=self.device)
        return self.at(rows + self.slot * self.num_envs)

    def state_dict(self) -> dict[str, Any]:
        """Everything, in no more room than is filled."""
        return {
            "count": self.count,
            "oldest": self.oldest,
            "written": self._written,
            "room": self.room,
            "starts": torch.tensor(self._starts),
            "rows": {name: part[: self.count] for name, part in self._rows.items()},
            "agents": {
                name: part[: min(self._written, self.room)] for name, part in self._agents.items()
            },
        }

    @classmethod
    def of(
        cls, state: dict[str, Any], num_envs: int, num_agents: int, device: torch.device
    ) -> SnapshotRing:
        """Those of a `state_dict`.

        Raises:
            ValueError: if they are of another number of rows.
        """
        starts, rows, agents = state["starts"].tolist(), state["rows"], state["agents"]
        if (found_envs := rows["_first"].shape[1]) != num_envs:
            raise ValueError(f"the moments are of {found_envs} rows; allowed: {num_envs}")
        found = cls(len(starts), state["room"], num_envs, num_agents, device)
        found._allocate({name: part[0] for name, part in rows.items()}, agents)
        for room, parts in ((found._rows, rows), (found._agents, agents)):
            for name, part in parts.items():
                room[name][: len(part)] = part
        found._starts, found._written = starts, state["written"]
        found.count, found.oldest = state["count"], state["oldest"]
        return found

    def _allocate(self, rows: dict[str, Tensor], agents: dict[str, Tensor]) -> None:
        """Room for what moments tell: like ``rows``, [B, ...], and ``agents``, [any, ...]."""

        def room(shape: tuple[int, ...], like: Tensor) -> Tensor:
            return torch.zeros(shape, dtype=like.dtype, device=self.device)

        self._rows = {name: room((self.length, *part.shape), part) for name, part in rows.items()}
        self._agents = {
            name: room((self.room + 1, *part.shape[1:]), part) for name, part in agents.items()
        }


def integers(most: int) -> torch.dtype:
    """The smallest integers that reach from 0 to ``most``."""
    kinds = (torch.uint8, torch.int16, torch.int32)
    return next(kind for kind in kinds if most <= torch.iinfo(kind).max)
