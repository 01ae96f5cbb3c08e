"""The test bed: small games with known best play. `GAMES` has all by name (docs/studies/test_bed.md)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.fakes.test_bed.base import BedGame
from tests.fakes.test_bed.crowd import Minority, PublicGood
from tests.fakes.test_bed.cues import Alternation, Cue
from tests.fakes.test_bed.fireflies import Fireflies
from tests.fakes.test_bed.matching import Matching, Wishes

GAMES: dict[str, Callable[[int], BedGame]] = {
    "coordination-ring": partial(Matching, "ring", True),
    "coordination-torus": partial(Matching, "torus", True),
    "coordination-all": partial(Matching, "all", True),
    "anti-coordination-ring": partial(Matching, "ring", False),
    "anti-coordination-torus": partial(Matching, "torus", False),
    "anti-coordination-all": partial(Matching, "all", False),
    "public-good": PublicGood,
    "minority": Minority,
    "fireflies": Fireflies,
    "wishes": Wishes,
    "cue": Cue,
    "alternation": Alternation,
}
"""Functions of B that return a game."""
