"""Studies: what `mfq compare NAME` runs. Each has a dataclass of options and ``run(options)``."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple


class Study(NamedTuple):
    """An entry of `STUDIES`.

    Attributes:
        path: "MODULE:CLASS" of the dataclass of its options; the module also has ``run``.
        help: one line that says what it compares.
    """

    path: str
    help: str

    def load(self) -> tuple[Any, type[Any]]:
        """Imports the study. Returns its module and the dataclass of its options."""
        module, _, options = self.path.partition(":")
        loaded = import_module(module)
        return loaded, getattr(loaded, options)


STUDIES = {
    "ising": Study(
        "mfq.studies.ising:IsingStudy", "agents on the Ising lattice, held against exact physics"
    ),
    "squeeze": Study(
        "mfq.studies.squeeze:SqueezeStudy", "MFQ and IQL on the Gaussian squeeze, over seeds"
    ),
    "battle": Study(
        "mfq.studies.battle:BattleStudy", "runs and scripts against each other, on both sides"
    ),
    "curves": Study("mfq.studies.curves:CurvesStudy", "the learning curves of runs, over seeds"),
    "dilemma": Study(
        "mfq.studies.dilemma:DilemmaStudy",
        "what an agent of a run on battle, and its army, earn by fighting",
    ),
}
"""The studies by name. None is imported before `Study.load`."""
