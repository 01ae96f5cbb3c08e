"""The options of the dilemma study, and the rows of its results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mfenvs.validate import whole
from mfq.matches.sources import sources_by_name

CHOICES = ("learned", "strikes")


@dataclass(frozen=True)
class DilemmaStudy:
    """What an agent earns by striking, and what its army earns.

    Attributes:
        runs: folders of runs on battle. NAME=RUN names a line; NAME=RUN,RUN is one of several runs.
        opponent: a script, or a run.
        episodes: episodes of each run, side and choice. The agent of episode e is the army's e-th,
            modulo its size.
        seed: seed of the episodes, the same for all choices. In battle each further row adds one to the
            seed, and seeds 0 and 1 are the same.
        out: folder for dilemma.csv, dilemma_contrasts.csv and config.json. None writes nothing.
        overwrite: whether results in that folder may be replaced.
    """

    runs: tuple[str, ...] = ()
    opponent: str = "rush"
    episodes: int = 120
    seed: int = 1000
    out: str | None = "runs/dilemma"
    overwrite: bool = False

    def __post_init__(self) -> None:
        whole("episodes", self.episodes, 1)
        whole("seed", self.seed, 0)
        sources_by_name("runs", self.runs)


class Payoff(NamedTuple):
    """What agents earned, with Student's 95% intervals: over runs, or over the episodes of a single run.

    Attributes:
        others: the choice of the rest of the army, "learned" or "strikes".
        agent: the choice of the agent, "learned" or "strikes".
        earned: the agent's summed reward.
        army: the summed reward of its whole army, divided by the number of agents.
    """

    name: str
    side: str
    others: str
    agent: str
    runs: int
    episodes: int
    earned: float
    earned_low: float
    earned_high: float
    army: float
    army_low: float
    army_high: float
    kill_difference: float


class Contrast(NamedTuple):
    """What the agent gains by striking, for one choice of the others.

    Attributes:
        others: the choice of the rest of the army, "learned" or "strikes".
        gain: the agent's summed reward when it strikes minus that when it acts as learned: the mean of
            the differences between episodes of equal seeds.
        low, high: simultaneous intervals: in at least 95% of studies all of them contain their means.
        p: two-sided p-value of a mean difference of zero, by Student's t-test.
        p_adjusted: p times the number of contrasts, at most 1.
    """

    name: str
    side: str
    others: str
    runs: int
    episodes: int
    gain: float
    low: float
    high: float
    p: float
    p_adjusted: float


class Findings(NamedTuple):
    """The outcome of a study.

    Attributes:
        payoffs, contrasts: the rows.
        of_random_play: what the army's agents earn if all play at random: by name and side.
    """

    payoffs: list[Payoff]
    contrasts: list[Contrast]
    of_random_play: dict[tuple[str, str], float]
