"""What all views share: `with env:` closes, and copies share no memory."""

from __future__ import annotations

import copy
from types import TracebackType
from typing import Self


class Lifetime:
    """Base class of views with a ``close``."""

    def __copy__(self) -> Self:
        return copy.deepcopy(self)  # two environments cannot share their memory

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()  # type: ignore[attr-defined]
