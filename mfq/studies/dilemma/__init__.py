"""Dilemma: does fighting pay for one agent, and for its army?

One agent, the rest of its army, or both are made to strike whenever they can, as the script "hold" does,
instead of acting as they learned. The payoffs are those of a game between an agent and the rest of its
army. There is a dilemma if the army earns more by striking and an agent alone does not: then agents that
each learn for themselves do not reach it.

An agent's gain from striking is a contrast of two payoffs from the same seeds, taken episode by episode.
There is one contrast for each run, side and choice of the others, so intervals and p-values have
Bonferroni's correction.
"""

from mfq.studies.dilemma.config import Contrast, DilemmaStudy, Findings, Payoff
from mfq.studies.dilemma.study import compare, run

__all__ = ["Contrast", "DilemmaStudy", "Findings", "Payoff", "compare", "run"]
