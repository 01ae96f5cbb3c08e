"""Converts observations of third-party environments to tensors.

A nested Dict becomes one dict with dotted names; an ``action_mask`` in it is removed.

Legend: N agents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    low: Any  # the range of a discrete space; None for a Box
    high: Any

    @property
    def name(self) -> str:
        """The path with dots, or "an array"."""
        return ".".join(self.path) or "an array"


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

    def __init__(self, agent: Any, space: spaces.Space[Any]) -> None:
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

    def stack(self, agents: Sequence[Any], obs: Sequence[Any]) -> Any:
        """Returns one row of observations: [1, N, ...], or a dict of such.

        Args:
            agents: N names, for error messages.
            obs: N observations; None for absent agents.

        Raises:
            ValueError: for an observation of another shape, of numbers that its space cannot hold, or
                without a part; the message names the agent and the part.
        """
        stacked = {".".join(leaf.path): self._stack(leaf, agents, obs) for leaf in self._leaves}
        return stacked if self._is_dict else next(iter(stacked.values()))

    def _stack(self, leaf: Leaf, agents: Sequence[Any], obs: Sequence[Any]) -> Tensor:
        shape = leaf.space.shape or ()
        stacked = np.empty((1, len(obs), *shape), leaf.dtype)
        stacked[...] = leaf.blank
        for i, value in enumerate(obs):
            if value is None:
                continue
            array = _array(leaf, agents[i], _part(leaf, agents[i], value) if leaf.path else value)
            if array.shape != shape:
                raise ValueError(
                    f"agent {agents[i]!r} observed {leaf.name} of shape {array.shape}; allowed: "
                    f"{shape}, as its space"
                )
            if array.dtype == leaf.dtype or leaf.dtype.kind == "f":
                stacked[0, i] = array
            else:
                stacked[0, i] = _cast(leaf, agents[i], array)
        if leaf.low is not None:
            _check_range(leaf, agents, stacked)
        return torch.from_numpy(stacked)


def _part(leaf: Leaf, agent: Any, value: Any) -> Any:
    """Returns the part of an observation at a leaf's path."""
    for name in leaf.path:
        if not isinstance(value, Mapping) or name not in value:
            has = ", ".join(map(repr, value)) if isinstance(value, Mapping) else f"{value!r:.80}"
            raise ValueError(
                f"agent {agent!r} observed no {name!r} of {leaf.name}, but {has}; allowed: a dict with "
                "all parts of its space"
            )
        value = value[name]
    return value


def _array(leaf: Leaf, agent: Any, value: Any) -> np.ndarray:
    """Returns an observation as an array of numbers."""
    if type(value) is np.ndarray and value.dtype == leaf.dtype:  # for speed
        return value
    try:
        array = np.asarray(value)
    except ValueError:  # lists of unequal lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"agent {agent!r} observed {leaf.name} {value!r:.80}; allowed: numbers, as its space "
            f"{leaf.space}"
        )
    return array


def _cast(leaf: Leaf, agent: Any, array: np.ndarray) -> np.ndarray:
    """Returns an array as integers of the leaf's dtype.

    Raises:
        ValueError: if that changes a number: a fraction, or one that is out of range.
    """
    with np.errstate(invalid="ignore"):
        cast = array.astype(leaf.dtype)
    is_other = cast != array
    if is_other.any():
        raise ValueError(
            f"agent {agent!r} observed {leaf.name} with {array[is_other][0]!s} ({array.dtype}); "
            f"allowed: {leaf.dtype}, as its space {leaf.space}"
        )
    return cast


def _check_range(leaf: Leaf, agents: Sequence[Any], stacked: np.ndarray) -> None:
    """Raises ValueError if a number lies outside a discrete space."""
    is_outside = (stacked < leaf.low) | (stacked > leaf.high)
    if is_outside.any():
        place = tuple(np.argwhere(is_outside)[0])
        raise ValueError(
            f"agent {agents[place[1]]!r} observed {leaf.name} with {stacked[place]}; allowed: a value "
            f"of {leaf.space}"
        )


def _leaves(agent: Any, space: spaces.Space[Any], path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    if isinstance(space, spaces.Dict):
        for name, part in space.spaces.items():
            if not isinstance(name, str):
                raise ValueError(
                    f"agent {agent!r} observes a Dict with the key {name!r}; allowed: strings"
                )
            yield from _leaves(agent, part, (*path, name))
        return
    if not isinstance(space, LEAVES):
        where = f" ({'.'.join(path)})" if path else ""
        raise ValueError(
            f"agent {agent!r} observes {space}{where}; allowed: Box, Discrete, MultiDiscrete, "
            "MultiBinary, or a Dict of these"
        )
    dtype = np.dtype(WIDER.get(str(space.dtype), space.dtype))
    start = getattr(space, "start", 0)
    low, high = None, None
    if isinstance(space, spaces.Discrete):
        low, high = start, start + space.n - 1
    elif isinstance(space, spaces.MultiDiscrete):
        low, high = start, start + space.nvec - 1
    elif isinstance(space, spaces.MultiBinary):
        low, high = 0, 1
    yield Leaf(path, space, dtype, start, low, high)
