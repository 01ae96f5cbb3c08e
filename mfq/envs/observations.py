"""Converts observations of third-party environments to tensors.

A nested Dict becomes one dict with dotted names; an ``action_mask`` in it is removed.

Legend: N agents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

LEAVES = spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary
MASK = "action_mask"
# torch indexes no unsigned integers of more than 8 bits.
WIDER = {"uint16": "int32", "uint32": "int64", "uint64": "int64"}


class Leaf(NamedTuple):
    """One array of an observation: its path in the dict, its space, and the dtype of its tensor."""

    path: tuple[str, ...]
    space: spaces.Space[Any]
    dtype: np.dtype[Any]
    blank: Any  # for absent agents: 0, or the first number of a discrete space


class Reader:
    """Reads the observations of agents that share a space.

    Args:
        agent: one of them, for error messages.
        space: a Box, Discrete, MultiDiscrete or MultiBinary space, or a Dict of these or of such Dicts.

    Attributes:
        space: the space of the tensors: without the mask, and without nested Dicts. For a Dict of
            "observation" and a mask only, the space of "observation".
        has_mask: whether observations have an ``action_mask``.

    Raises:
        ValueError: for an unsupported space; the message names the agent and the space.
    """

    def __init__(self, agent: str, space: spaces.Space[Any]) -> None:
        self.has_mask = isinstance(space, spaces.Dict) and MASK in space.spaces
        self._leaves = [leaf for leaf in _leaves(agent, space) if leaf.path != (MASK,)]
        if not self._leaves:
            raise ValueError(f"agent {agent!r} observes {space}; allowed: more than a mask")
        names = [".".join(leaf.path) for leaf in self._leaves]
        if len(set(names)) < len(names):
            raise ValueError(f"agent {agent!r} observes {space}; allowed: names without dots")
        self._is_dict = names != [""] and not (self.has_mask and names == ["observation"])
        parts = {name: leaf.space for name, leaf in zip(names, self._leaves, strict=True)}
        self.space = spaces.Dict(parts) if self._is_dict else self._leaves[0].space

    def stack(self, agents: Sequence[str], obs: Sequence[Any]) -> Any:
        """Returns one row of observations: [1, N, ...], or a dict of such.

        Args:
            agents: N names, for error messages.
            obs: N observations; None for absent agents.

        Raises:
            ValueError: for an observation of another shape; the message names the agent.
        """
        stacked = {".".join(leaf.path): self._stack(leaf, agents, obs) for leaf in self._leaves}
        return stacked if self._is_dict else next(iter(stacked.values()))

    def _stack(self, leaf: Leaf, agents: Sequence[str], obs: Sequence[Any]) -> Tensor:
        shape = leaf.space.shape or ()
        stacked = np.empty((1, len(obs), *shape), leaf.dtype)
        stacked[...] = leaf.blank
        for i, value in enumerate(obs):
            if value is None:
                continue
            for name in leaf.path:
                value = value[name]
            if np.shape(value) != shape:
                raise ValueError(
                    f"agent {agents[i]!r} observed {'.'.join(leaf.path) or 'an array'} of shape "
                    f"{np.shape(value)}; allowed: {shape}, as its space"
                )
            stacked[0, i] = value
        return torch.from_numpy(stacked)


def _leaves(agent: str, space: spaces.Space[Any], path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    if isinstance(space, spaces.Dict):
        for name, part in space.spaces.items():
            yield from _leaves(agent, part, (*path, name))
        return
    if not isinstance(space, LEAVES):
        where = f" ({'.'.join(path)})" if path else ""
        raise ValueError(
            f"agent {agent!r} observes {space}{where}; allowed: Box, Discrete, MultiDiscrete, "
            "MultiBinary, or a Dict of these"
        )
    dtype = np.dtype(WIDER.get(str(space.dtype), space.dtype))
    yield Leaf(path, space, dtype, getattr(space, "start", 0))
