"""Memory for observations that are the caller's to keep, used again once nobody keeps them."""

from __future__ import annotations

from collections.abc import Callable
from sys import getrefcount
from typing import Any

import numpy as np


class Buffer:
    """An array, and a view of each of its entries along the first axis, some of which are lent."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.views = array, list(array)

    def is_free(self) -> bool:
        """Whether nobody else holds the array or a view: a view of a view holds the array, too."""
        # The array is known to its attribute, to its views and to the call that counts; a view to its
        # list and that call.
        if getrefcount(self.array) > 2 + len(self.views):
            return False
        return sum(map(getrefcount, self.views)) == 2 * len(self.views)


class BufferPool:
    """Hands out rooms. To make a hundred small arrays takes longer than to fill them.

    Callers mostly hold the last observation while they ask for the next, so that two take turns.

    Args:
        allocate: makes an array with room for so many entries.
    """

    def __init__(self, allocate: Callable[[int], Any]) -> None:
        self._allocate = allocate
        self._buffers: list[Buffer] = []

    def take(self, count: int) -> Buffer:
        """A buffer of at least ``count`` entries, of any content, that nobody else holds.

        The first ``count`` views are the caller's.
        """
        for place, buffer in enumerate(self._buffers):
            if len(buffer.views) >= count and buffer.is_free():
                self._buffers.append(self._buffers.pop(place))
                break
        else:
            buffer = Buffer(self._allocate(count))
            self._buffers = [*self._buffers[-1:], buffer]
        return buffer
