"""The options of the Ising game."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from mfenvs.ising import rules
from mfenvs.validate import flag, number, numbers, one_of, plain_fields, whole

UPDATES = {
    "synchronous": rules.SYNCHRONOUS,
    "checkerboard": rules.CHECKERBOARD,
    "random": rules.RANDOM,
}
STARTS = {"random": rules.START_RANDOM, "up": rules.START_UP, "down": rules.START_DOWN}


@dataclass(frozen=True)
class IsingConfig:
    """Options of `ising_v0`.

    Attributes:
        side: sites along an edge of the torus, N = side^2; at least 3, and even for "checkerboard".
        coupling: lambda in Eq. 33, any finite number.
        field: h in Eq. 33, one number or one for each site ([N] or [side, side]).
        update: the sites that choose in a step; the others hold their spin. "synchronous" (as in the
            paper): all. "checkerboard": the sites of one colour and of the other in turn; a sweep is two
            steps. "random": each site with probability ``fraction``.
        fraction: for update="random", in (0, 1].
        initial: "random", "up" or "down".
        observe_neighbors: whether observations include the spins of the four neighbours, as in the
            authors' code.
        max_cycles: steps until truncation; None for never.

    Raises:
        ValueError, TypeError: from the constructor, naming the option, its value and what is allowed.
    """

    side: int = 20
    coupling: float = 1.0
    field: float | tuple[float, ...] = 0.0
    update: str = "synchronous"
    fraction: float = 0.5
    initial: str = "random"
    observe_neighbors: bool = False
    max_cycles: int | None = 10_000

    def __post_init__(self) -> None:
        plain_fields(self)
        whole("side", self.side, 3)
        number("coupling", self.coupling)
        one_of("update", self.update, UPDATES)
        one_of("initial", self.initial, STARTS)
        flag("observe_neighbors", self.observe_neighbors)
        if self.max_cycles is not None:
            whole("max_cycles", self.max_cycles, 1)
        if not 0 < number("fraction", self.fraction) <= 1:
            raise ValueError(f"fraction={self.fraction!r}; allowed: above 0, up to 1")
        if self.update == "checkerboard" and self.side % 2:
            raise ValueError(
                f"side={self.side} with update='checkerboard'; allowed: an even side, since a torus "
                "with an odd side has neighbours of one colour"
            )
        object.__setattr__(self, "field", _field(self.field, self.side))

    def field_per_site(self) -> np.ndarray:
        """Returns h_j of every site: float32 [N]."""
        return np.broadcast_to(np.asarray(self.field, np.float32), self.side**2)


class IsingOptions(TypedDict, total=False):
    """The fields of `IsingConfig`, as keyword arguments for type checkers and editors."""

    side: int
    coupling: float
    field: Any
    update: str
    fraction: float
    initial: str
    observe_neighbors: bool
    max_cycles: int | None


def _field(field: Any, side: int) -> float | tuple[float, ...]:
    """Returns a field as a float, or as a tuple of N floats, so that the config is hashable."""
    values = numbers("field", field)
    if values.ndim == 0:
        return float(values)
    if values.shape not in ((side * side,), (side, side)):
        raise ValueError(
            f"field has shape {values.shape}; allowed: a number, ({side * side},) or {(side, side)}"
        )
    return tuple(values.ravel().tolist())
