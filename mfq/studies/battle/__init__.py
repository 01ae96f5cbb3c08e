"""Battle: every pair of players against each other, on both sides, with intervals.

Even matches are decided by which side moves first and by how far apart the armies start. So every pair
plays both sides, half of the episodes each and from the same seeds, and the results are reported by side
and together. Every pair also plays on several starts: the game's fixed one, and random ones.
"""

from mfq.studies.battle.config import BattleStudy, Comparison, Result, Single
from mfq.studies.battle.study import compare, run

__all__ = ["BattleStudy", "Comparison", "Result", "Single", "compare", "run"]
