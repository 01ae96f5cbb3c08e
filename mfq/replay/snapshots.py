"""A ring of the last moments of several rows, which stores only the agents that are present.

Legend: B rows, N agents, T moments, M pairs of a moment and a row, R records: single agents at moments.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mfq.common.memory import check_fits


class SnapshotRing:
    """The last moments: fields of rows, and fields of the agents that were present.

    A moment's *slot* is its number modulo T. A *record* has the fields of one agent at one moment, and
    the agent's number. Records are stored one after the other in a second ring. A row stores the index
    of its first record at a moment, and the number of its records.

    Args:
        length: T, the maximum number of moments.
        num_records: R, the maximum number of records; at least those of two full moments.
        num_envs: B.
        num_agents: N.
        device: the device that stores them.

    Attributes:
        count: the number of moments appended so far.
        oldest: the number of the oldest moment that is still complete.
    """

    def __init__(
        self, length: int, num_records: int, num_envs: int, num_agents: int, device: torch.device
    ) -> None:
        if num_records < 2 * num_envs * num_agents:
            raise ValueError(
                f"num_records={num_records}; allowed: at least {2 * num_envs * num_agents}"
            )
        self.length, self.num_records, self.device = length, num_records, device
        self.num_envs, self.num_agents = num_envs, num_agents
        self.count = self.oldest = 0
        self._written = 0  # the number of records written so far
        self._starts = [0] * length  # the number of records written before each moment
        self._rows: dict[str, Tensor] = {}  # [T, B, ...], with "_first" and "_size"
        self._agents: dict[str, Tensor] = {}  # [R + 1, ...], with "_number"; the last one is zero

    @property
    def slot(self) -> int:
        """The slot of the last moment."""
        return (self.count - 1) % self.length

    def append(self, present: Tensor, rows: dict[str, Tensor], agents: dict[str, Tensor]) -> None:
        """Appends a moment, in place of the oldest ones.

        Args:
            present: bool [B, N]; the agents to store.
            rows: fields of rows by name, each [B, ...].
            agents: fields of agents by name, each [B, N, ...].
        """
        index, sizes = present.flatten().nonzero()[:, 0], present.sum(1)
        of_rows = rows | {
            "_first": (sizes.cumsum(0) - sizes + self._written) % self.num_records,
            "_size": sizes.to(torch.int32),
        }
        of_agents = {name: values.flatten(0, 1)[index] for name, values in agents.items()}
        of_agents["_number"] = (index % self.num_agents).to(integers(self.num_agents - 1))
        if not self._rows:
            self._allocate(of_rows, of_agents)
        self.count += 1
        for name, values in of_rows.items():
            self._rows[name][self.slot] = values
        ring = torch.arange(len(index), device=self.device).add_(self._written) % self.num_records
        for name, values in of_agents.items():
            self._agents[name][ring] = values
        self._starts[self.slot] = self._written
        self._written += len(index)
        self.oldest = max(self.oldest, self.count - self.length)
        while self._starts[self.oldest % self.length] < self._written - self.num_records:
            self.oldest += 1

    def at(self, places: Tensor) -> dict[str, Tensor]:
        """Returns the stored fields of some rows of some moments.

        Args:
            places: int64 [M]; slot * B + row.

        Returns:
            Fields by name, [M, ...] or [M, N, ...]; zeros for agents that were not present.
        """
        rows = {name: values.flatten(0, 1)[places] for name, values in self._rows.items()}
        first, size = rows.pop("_first")[:, None], rows.pop("_size")[:, None]
        # N records for every row, so that sizes need not be copied from the device; the excess ones are
        # scattered to an index after the last row.
        nth = torch.arange(self.num_agents, device=self.device)
        record = (first + nth) % self.num_records
        row = torch.arange(0, record.numel(), self.num_agents, device=self.device)[:, None]
        target = self._agents["_number"][record] + row
        target.masked_fill_(nth >= size, record.numel())
        source = torch.full((record.numel() + 1,), self.num_records, device=self.device)
        source.scatter_(0, target.flatten(), record.flatten())
        agents = {
            name: values.index_select(0, source[:-1]).view(*record.shape, *values.shape[1:])
            for name, values in self._agents.items()
            if name != "_number"
        }
        return rows | agents

    def last(self) -> dict[str, Tensor]:
        """Returns the fields of the last moment, as `at` does: [B, ...] or [B, N, ...]."""
        rows = torch.arange(self.num_envs, device=self.device)
        return self.at(rows + self.slot * self.num_envs)

    def state_dict(self) -> dict[str, Any]:
        """Returns the complete state; tensors have only their used part."""
        return {
            "count": self.count,
            "oldest": self.oldest,
            "written": self._written,
            "room": self.num_records,
            "starts": torch.tensor(self._starts, device="cpu"),
            "rows": {name: part[: self.count] for name, part in self._rows.items()},
            "agents": {
                name: part[: min(self._written, self.num_records)]
                for name, part in self._agents.items()
            },
        }

    @classmethod
    def of(
        cls, state: dict[str, Any], num_envs: int, num_agents: int, device: torch.device
    ) -> SnapshotRing:
        """Returns a ring with the moments of a `state_dict`.

        Raises:
            ValueError: if it has another number of rows.
        """
        starts, rows, agents = state["starts"].tolist(), state["rows"], state["agents"]
        if (saved_envs := rows["_first"].shape[1]) != num_envs:
            raise ValueError(f"the moments are of {saved_envs} rows; allowed: {num_envs}")
        ring = cls(len(starts), state["room"], num_envs, num_agents, device)
        ring._allocate({name: part[0] for name, part in rows.items()}, agents)
        for fields, saved in ((ring._rows, rows), (ring._agents, agents)):
            for name, part in saved.items():
                fields[name][: len(part)] = part
        ring._starts, ring._written = starts, state["written"]
        ring.count, ring.oldest = state["count"], state["oldest"]
        return ring

    def _allocate(self, rows: dict[str, Tensor], agents: dict[str, Tensor]) -> None:
        """Allocates fields like those in ``rows``, [B, ...], and ``agents``, [any, ...].

        Raises:
            ValueError: if they do not fit into the available memory.
        """
        asked = self.length * sum(part.nbytes for part in rows.values())
        sizes = (part.shape[1:].numel() * part.element_size() for part in agents.values())
        asked += (self.num_records + 1) * sum(sizes)
        what = f"a replay of {self.length:,} moments"
        check_fits(what, asked, "a smaller replay.size", self.device)

        def zeros(shape: tuple[int, ...], like: Tensor) -> Tensor:
            return torch.zeros(shape, dtype=like.dtype, device=self.device)

        self._rows = {name: zeros((self.length, *part.shape), part) for name, part in rows.items()}
        self._agents = {
            name: zeros((self.num_records + 1, *part.shape[1:]), part)
            for name, part in agents.items()
        }


def integers(most: int) -> torch.dtype:
    """Returns the smallest integer type that can represent 0 to ``most``."""
    dtypes = (torch.uint8, torch.int16, torch.int32)
    return next(dtype for dtype in dtypes if most <= torch.iinfo(dtype).max)
