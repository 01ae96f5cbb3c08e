"""Several copies of a third-party environment as the rows of one view.

Legend: B rows, N agents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from mfenvs.graph import NeighborGraph
from mfq.envs.graphs import RowGraphs
from mfq.envs.parallel import ParallelView
from mfq.envs.step import Step
from mfq.envs.view import View

ENV_SPEC = ("agents", "groups", "group_names", "types", "type_names", "type_specs", "graph_moves")


class RowGroup(Protocol):
    """Who keeps some of the rows; `send` and `receive` take turns."""

    size: int

    def send(self, command: str, arguments: list[Any]) -> None:
        """Asks for "reset" with the seeds of the rows, or "step" with their actions [1, N]."""

    def receive(self) -> list[Step]:
        """The steps of the rows."""

    def close(self) -> None:
        """Closes the environments."""


class LocalRows:
    """Rows in this process."""

    def __init__(self, views: Sequence[View]) -> None:
        self.views, self.size = list(views), len(views)
        self._asked: tuple[str, list[Any]] = ("", [])

    def send(self, command: str, arguments: list[Any]) -> None:
        self._asked = command, arguments

    def receive(self) -> list[Step]:
        return play(self.views, *self._asked)

    def close(self) -> None:
        for view in self.views:
            view.close()


def play(views: Sequence[View], command: str, arguments: list[Any]) -> list[Step]:
    """Resets the views with seeds, or steps them with actions."""
    return [
        getattr(view, command)(argument) for view, argument in zip(views, arguments, strict=True)
    ]


def row_seeds(seed: int, rows: int) -> list[int]:
    """The seeds of the rows: the first row's is the seed itself, each other's a hash of it and the row,
    below 2^31."""
    others = (
        int(np.random.SeedSequence((seed, row)).generate_state(1)[0]) for row in range(1, rows)
    )
    return [seed, *(number >> 1 for number in others)]


def env_spec(view: View) -> dict[str, Any]:
    """What copies of an environment have in common, by the names of a view's attributes."""
    found = {name: getattr(view, name) for name in ENV_SPEC}
    if view.type_specs is None:
        found |= {name: getattr(view, name) for name in ("observation_space", "action_space")}
    return found


class Copies(View):
    """Rows that are kept by row_groups, in this process or others.

    Each row starts anew on the step after its episode's last, by itself.

    Args:
        row_groups: who keeps the rows, in order.
        like: the `env_spec` of each of the rows.

    Raises:
        ValueError: if the rows differ in their agents or spaces.
    """

    device = torch.device("cpu")

    def __init__(self, row_groups: Sequence[RowGroup], like: Sequence[dict[str, Any]]) -> None:
        first = like[0]
        for row, other in enumerate(like):
            for name in ("agents", "observation_space", "action_space"):
                if other.get(name) != first.get(name):
                    raise ValueError(
                        f"copy {row} has other {name} than copy 0: {other.get(name)}; allowed: copies "
                        f"of one environment, with {first.get(name)}"
                    )
            if not _same_kinds(first["type_specs"], other["type_specs"]):
                raise ValueError(f"copy {row} has other spaces than copy 0; allowed: copies")
        self.row_groups = list(row_groups)
        self.num_envs, self.num_agents = len(like), len(first["agents"])
        self._type_names, self._moves = first["type_names"], first["graph_moves"]
        for name in first.keys() - {"type_names", "graph_moves"}:
            setattr(self, name, first[name])
        self._last: Step | None = None

    @classmethod
    def of(cls, views: Sequence[View]) -> Copies:
        """Copies in this process, from a view of each.

        Raises:
            ValueError, TypeError: if there are none, or they differ, or have rows of their own.
        """
        if not views:
            raise ValueError("env is an empty list; allowed: at least one environment")
        for view in views:
            if not isinstance(view, ParallelView):
                raise TypeError(
                    f"env is a list with a {type(view).__name__}; allowed: PettingZoo and Gymnasium "
                    "environments (a BatchedEnv has rows of its own)"
                )
        return cls([LocalRows(views)], [env_spec(view) for view in views])

    @property
    def type_names(self) -> tuple[str, ...]:
        return self._type_names

    @property
    def graph(self) -> NeighborGraph:
        if self._last is None:
            raise ValueError("copies have no graph before the first reset; allowed: reset() first")
        return self._last.graph

    def reset(self, seed: int | None = None) -> Step:
        seeds = [None] * self.num_envs if seed is None else row_seeds(seed, self.num_envs)
        return self._ask("reset", seeds)

    def step(self, actions: Tensor) -> Step:
        return self._ask("step", list(actions.split(1)))

    def close(self) -> None:
        for row_group in self.row_groups:
            row_group.close()

    def _ask(self, command: str, arguments: Sequence[Any]) -> Step:
        start = 0
        for row_group in self.row_groups:
            row_group.send(command, list(arguments[start : start + row_group.size]))
            start += row_group.size
        self._last = self._join(
            [step for row_group in self.row_groups for step in row_group.receive()]
        )
        return self._last

    def _join(self, rows: list[Step]) -> Step:
        joined: dict[str, Any] = {}
        for field in fields(Step):
            parts = [getattr(row, field.name) for row in rows]
            if isinstance(parts[0], NeighborGraph):
                joined[field.name] = RowGraphs(parts) if self._moves else parts[0]
            elif field.name == "action_mask":
                joined[field.name] = self._masks(parts)
            else:
                joined[field.name] = _cat(parts)
        return Step(**{**joined, "types": self.type_specs})

    def _masks(self, parts: list[Tensor | None]) -> Tensor | None:
        known = [part for part in parts if part is not None]
        if not known:
            return None
        if len(known) < len(parts):
            raise ValueError("some copies restrict actions and others do not; allowed: all or none")
        return torch.cat(known)


def _cat(parts: list[Any]) -> Any:
    """Tensors, and dicts of them however nested, one row below the other; others as the first has it."""
    if isinstance(parts[0], Tensor):
        return torch.cat(parts)
    if isinstance(parts[0], dict):
        return {name: _cat([part[name] for part in parts]) for name in parts[0]}
    return parts[0]


def _same_kinds(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return (
        one.observation_spaces == other.observation_spaces
        and one.action_spaces == other.action_spaces
        and one.of.tolist() == other.of.tolist()
    )
