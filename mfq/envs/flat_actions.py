"""Action spaces of agents as Discrete ones.

A joint choice from a MultiDiscrete or MultiBinary space is one action of a Discrete space: the index
of the combination, in the order of `numpy.unravel_index`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

MOST = 1000
"""The most combinations of a MultiDiscrete or MultiBinary space."""


@dataclass(frozen=True)
class FlatActions:
    """The actions of an agent as indices from 0 on.

    Attributes:
        space: Discrete; the space that learners see.
        sizes: the number of choices of each component; () for a Discrete space.
        start: the first action, or the first of each component.
        like: the environment's space.
    """

    space: spaces.Discrete
    sizes: tuple[int, ...]
    start: Any
    like: spaces.Space[Any]

    def to_env(self, index: int) -> Any:
        """Returns the environment's action: an int, or an array of the space's shape and dtype."""
        if not self.sizes:
            return index + self.start
        flat = np.array(np.unravel_index(index, self.sizes), self.like.dtype)
        return (flat + self.start).astype(self.like.dtype).reshape(self.like.shape)


def flat_actions(agent: Any, space: spaces.Space[Any]) -> FlatActions:
    """Returns the flat actions of an agent.

    Args:
        agent: its id, for error messages.
        space: Discrete, MultiDiscrete or MultiBinary.

    Raises:
        ValueError: for another space, or more than `MOST` combinations.
    """
    if isinstance(space, spaces.Discrete):
        return FlatActions(space, (), int(space.start), space)
    start: Any
    if isinstance(space, spaces.MultiDiscrete):
        sizes, start = space.nvec.ravel().tolist(), space.start.ravel()
    elif isinstance(space, spaces.MultiBinary):
        sizes, start = [2] * math.prod(space.shape), 0
    else:
        raise ValueError(
            f"agent {agent!r} acts in {space}; allowed: Discrete, and MultiDiscrete or MultiBinary of "
            f"at most {MOST} combinations"
        )
    count = math.prod(sizes)
    if count > MOST:
        # Python prints no integers of more than 4300 digits.
        shown = count if count < 10**99 else "more than 10^99"
        raise ValueError(
            f"agent {agent!r} acts in {space}, which has {shown} combinations; allowed: at most {MOST}, "
            "since a network has an output for each"
        )
    return FlatActions(spaces.Discrete(count), tuple(sizes), start, space)
