"""Memory for observations that callers may keep, reused after they have dropped it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from sys import getrefcount
from typing import Any

import numpy as np


class Buffer:
    """An array, and views of it, which callers may hold; by default each entry along the first axis."""

    def __init__(self, array: np.ndarray, views: Sequence[np.ndarray] | None = None) -> None:
        self.array, self.views = array, list(array if views is None else views)

    def is_free(self) -> bool:
        """Returns whether there is no other reference to the array or to a view, direct or indirect."""
        # References to the array: the attribute, the views, the argument of getrefcount. To a view: the
        # list and the argument.
        if getrefcount(self.array) > 2 + len(self.views):
            return False
        return sum(map(getrefcount, self.views)) == 2 * len(self.views)


class BufferPool:
    """Reuses buffers, since making a hundred small arrays takes longer than filling them.

    Callers mostly hold the last observation when they request the next, so two buffers alternate.

    Args:
        allocate: returns an array of the given number of entries, or a tuple of an array and its views.
    """

    def __init__(self, allocate: Callable[[int], Any]) -> None:
        self._allocate = allocate
        self._buffers: list[Buffer] = []

    def take(self, count: int) -> Buffer:
        """Returns a free buffer of at least ``count`` entries, uninitialized.

        The caller may hand out its first ``count`` views.
        """
        for index, buffer in enumerate(self._buffers):
            if len(buffer.views) >= count and buffer.is_free():
                self._buffers.append(self._buffers.pop(index))
                break
        else:
            made = self._allocate(count)
            buffer = Buffer(*made) if isinstance(made, tuple) else Buffer(made)
            self._buffers = [*self._buffers[-1:], buffer]
        return buffer
