"""The options of the Ising study, and a row of its results."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

TAUS = (0.6, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2.0, 2.2)
QUICK_TAUS = (0.8, 1.0, 1.2, 1.4, 1.8)


@dataclass(frozen=True)
class IsingStudy:
    """Agents on the Ising lattice, compared with exact physics.

    Attributes:
        side: sites along an edge of the torus; even.
        coupling: lambda of Eq. 33, above 0.
        field: h, the same for all sites. Only h = 0 has an exact solution to compare with.
        taus: temperatures of the Boltzmann policy (T = 2 tau). None: from .6 to 2.2 times the coupling.
        seeds: independent populations for each tau and method; intervals are over them.
        sweeps: measured sweeps of each population; in a sweep each agent chooses once.
        burn_in: sweeps before the measured ones, at the same temperature.
        seed: seed of all random streams.
        quick: fewer temperatures, seeds and sweeps, for a first look.
        out: folder for ising.csv, ising.png and config.json. None writes nothing.
        overwrite: whether results in that folder may be replaced.
    """

    side: int = 20
    coupling: float = 1.0
    field: float = 0.0
    taus: tuple[float, ...] | None = None
    seeds: int = 6
    sweeps: int = 6000
    burn_in: int = 1000
    seed: int = 0
    quick: bool = False
    out: str | None = "runs/ising"
    overwrite: bool = False

    def __post_init__(self) -> None:
        for name, least in (("seeds", 1), ("sweeps", 1), ("burn_in", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)!r}; allowed: {least} or more")
        if not (math.isfinite(self.coupling) and self.coupling > 0):
            raise ValueError(f"coupling={self.coupling!r}; allowed: a finite number above 0")
        if self.taus is not None and not (
            self.taus and all(math.isfinite(tau) and tau > 0 for tau in self.taus)
        ):
            raise ValueError(f"taus={self.taus!r}; allowed: finite numbers above 0")

    def resolved(self) -> IsingStudy:
        """Returns the study with ``taus`` filled in and ``quick`` applied."""
        scaled = tuple(
            round(tau * self.coupling, 12) for tau in (QUICK_TAUS if self.quick else TAUS)
        )
        study = replace(self, taus=self.taus or scaled)
        if self.quick:
            study = replace(
                study, seeds=min(self.seeds, 2), sweeps=min(self.sweeps, 1000), burn_in=300
            )
        return study


class Result(NamedTuple):
    """A row of ising.csv. NaN where a method has no such number.

    Attributes:
        order_parameter: mean of |m| over sweeps and seeds; low and high bound its 95% interval.
        q_mse: mean squared error of the learned tables against the true rewards.
        exact, monte_carlo, weiss: the references at this tau.
    """

    tau: float
    method: str
    order_parameter: float
    low: float
    high: float
    seeds: int
    q_mse: float
    exact: float
    monte_carlo: float
    weiss: float
