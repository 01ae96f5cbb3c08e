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

from mfenvs.graph import NeighborGraph, RowGraphs
from mfq.envs.parallel import ParallelView
from mfq.envs.step import Step
from mfq.envs.view import View

ENV_SPEC = (
    "agents",
    "groups",
    "group_names",
    "types",
    "type_names",
    "type_specs",
    "graph_moves",
    "match_measure",
)


class RowGroup(Protocol):
    """Some of the rows of a view. Each `send` is followed by one `receive`."""

    size: int

    def send(self, command: str, arguments: list[Any]) -> None:
        """Starts "reset" with the seeds of the rows, or "step" with their actions [1, N]."""

    def receive(self) -> list[Step]:
        """Returns the steps of the rows, the results of the last `send`."""

    def limit_episodes(self, steps: int | None) -> bool:
        """As `View.limit_episodes`, for each row."""

    def close(self) -> None:
        """Closes the environments."""


class LocalRows:
    """Rows in this process."""

    def __init__(self, views: Sequence[View]) -> None:
        self.views, self.size = list(views), len(views)
        self._request: tuple[str, list[Any]] = ("", [])

    def send(self, command: str, arguments: list[Any]) -> None:
        self._request = command, arguments

    def receive(self) -> list[Step]:
        return play(self.views, *self._request)

    def limit_episodes(self, steps: int | None) -> bool:
        limited = [view.limit_episodes(steps) for view in self.views]  # all of them
        return any(limited)

    def close(self) -> None:
        for view in self.views:
            view.close()


def play(views: Sequence[View], command: str, arguments: list[Any]) -> list[Step]:
    """Resets the views with seeds, or steps them with actions; returns their steps."""
    return [
        getattr(view, command)(argument) for view, argument in zip(views, arguments, strict=True)
    ]


def row_seeds(seed: int, rows: int) -> list[int]:
    """Returns the seeds of the rows: the seed itself for row 0, a hash of the seed and the row, below
    2^31, for each other row."""
    hashes = (
        int(np.random.SeedSequence((seed, row)).generate_state(1)[0]) for row in range(1, rows)
    )
    return [seed, *(number >> 1 for number in hashes)]


def env_spec(view: View) -> dict[str, Any]:
    """Returns the attributes that the views of all copies of an environment share, by name."""
    spec = {name: getattr(view, name) for name in ENV_SPEC}
    if view.type_specs is None:
        spec |= {name: getattr(view, name) for name in ("observation_space", "action_space")}
    return spec


class Copies(View):
    """The rows of several row groups, in this process or others.

    Each row resets independently, on the step after the last one of its episode.

    Args:
        row_groups: the groups, in the order of their rows.
        specs: the `env_spec` of each row.

    Raises:
        ValueError: if the rows differ in their agents or spaces.
    """

    device = torch.device("cpu")

    def __init__(self, row_groups: Sequence[RowGroup], specs: Sequence[dict[str, Any]]) -> None:
        first = specs[0]
        for row, spec in enumerate(specs):
            for name in ("agents", "observation_space", "action_space"):
                if spec.get(name) != first.get(name):
                    raise ValueError(
                        f"copy {row} has other {name} than copy 0: {spec.get(name)}; allowed: copies "
                        f"of one environment, with {first.get(name)}"
                    )
            if not _are_equal_types(first["type_specs"], spec["type_specs"]):
                raise ValueError(f"copy {row} has other spaces than copy 0; allowed: copies")
        self.row_groups = list(row_groups)
        self.num_envs, self.num_agents = len(specs), len(first["agents"])
        self._type_names, self._moves = first["type_names"], first["graph_moves"]
        self._match_measure = first["match_measure"]
        for name in first.keys() - {"type_names", "graph_moves", "match_measure"}:
            setattr(self, name, first[name])
        self._last: Step | None = None

    @classmethod
    def of(cls, views: Sequence[View]) -> Copies:
        """Returns copies in this process, from a view of each.

        Raises:
            ValueError, TypeError: if ``views`` is empty, or the views differ, or have several rows.
        """
        if not views:
            raise ValueError("env is an empty list; allowed: at least one environment")
        for view in views:
            if not isinstance(view, ParallelView):
                raise TypeError(
                    f"env is a list with a {type(view).__name__}; allowed: PettingZoo and Gymnasium "
                    "environments (a BatchedEnv has several rows already)"
                )
        return cls([LocalRows(views)], [env_spec(view) for view in views])

    @property
    def type_names(self) -> tuple[str, ...]:
        return self._type_names

    @property
    def match_measure(self) -> str | None:
        return self._match_measure

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

    def limit_episodes(self, steps: int | None) -> bool:
        limited = [row_group.limit_episodes(steps) for row_group in self.row_groups]  # all of them
        return any(limited)

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
            if field.name in ("number", "known_mean_action"):
                continue  # properties of the joined step, not of its rows
            parts = [getattr(row, field.name) for row in rows]
            if isinstance(parts[0], NeighborGraph):
                joined[field.name] = RowGraphs(parts) if self._moves else parts[0]
            elif field.name == "action_mask":
                joined[field.name] = self._masks(parts)
            else:
                joined[field.name] = _cat(parts)
        return Step(**{**joined, "types": self.type_specs})

    def _masks(self, parts: list[Tensor | None]) -> Tensor | None:
        masks = [part for part in parts if part is not None]
        if not masks:
            return None
        if len(masks) < len(parts):
            raise ValueError("some copies restrict actions and others do not; allowed: all or none")
        return torch.cat(masks)


def _cat(parts: list[Any]) -> Any:
    """Concatenates tensors, or nested dicts of them, along the rows; else returns the first value."""
    if isinstance(parts[0], Tensor):
        return torch.cat(parts)
    if isinstance(parts[0], dict):
        return {name: _cat([part[name] for part in parts]) for name in parts[0]}
    return parts[0]


def _are_equal_types(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return (
        a.observation_spaces == b.observation_spaces
        and a.action_spaces == b.action_spaces
        and a.of.tolist() == b.of.tolist()
    )
