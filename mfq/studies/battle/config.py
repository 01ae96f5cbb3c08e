"""The options of the battle study, and the rows of its results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mfenvs.validate import one_of
from mfq.matches.sources import sources_by_name

SIDES = ("both", "red", "blue")
FIXED = "fixed"


@dataclass(frozen=True)
class BattleStudy:
    """Every pair of players, on both sides.

    Attributes:
        players: scripts, pretrained players, checkpoints, folders of runs, or MODULE:NAMEs of players of
            your own. NAME=RUN names a player; NAME=RUN,RUN is one player of several runs.
        episodes: episodes of each pair of runs, half of them on each side.
        seed: seed of the episodes, the same for all pairs. A run chooses its best checkpoint by episodes
            that are seeded from its training seed on, so use other seeds here. In battle each further
            row adds one to the seed (seeds 0 and 1 are the same), so the seeds of an independent sample
            differ by more than the number of rows.
        placement: the starts on which every pair plays, ``episodes`` on each: "random", "magent2",
            "paper", or "fixed" for the game's fixed start (MAgent2's, if the game's are random).
        explore: if True, learned players act as in training; otherwise as in evaluation.
        env_options: options of the game; those left out are the first run's, or the paper's.
        out: folder for battle.csv, battle.png, config.json and, if a player has several runs,
            battle_runs.csv. None writes nothing.
        overwrite: whether results in that folder may be replaced.
    """

    players: tuple[str, ...] = ("mfq", "iql", "rush", "random")
    episodes: int = 200
    seed: int = 1000
    placement: tuple[str, ...] = ("fixed", "random")
    explore: bool = False
    env_options: dict[str, Any] = field(default_factory=dict)
    out: str | None = "runs/battle"
    overwrite: bool = False

    def __post_init__(self) -> None:
        from mfenvs.gridworld.games.battle import NAMED

        if self.episodes < 2:
            raise ValueError(f"episodes={self.episodes!r}; allowed: at least 2, one a side")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed!r}; allowed: 0 or more")
        if not isinstance(self.placement, tuple | list) or not self.placement:
            allowed = ", ".join((FIXED, *NAMED))
            raise ValueError(f"placement={self.placement!r}; allowed: one or more of {allowed}")
        for name in self.placement:
            one_of("placement", name, (FIXED, *NAMED))
        if len(self.entries()) < 2:
            raise ValueError(f"players={self.players!r}; allowed: at least two")

    def entries(self) -> dict[str, tuple[str, ...]]:
        """Returns the sources of each player, by its name."""
        return sources_by_name("players", self.players)


class Result(NamedTuple):
    """The results of a player against another, as one army or as both in turn."""

    player: str
    opponent: str
    side: str
    runs: int
    opponent_runs: int
    episodes: int
    wins: int
    draws: int
    losses: int
    win_rate: float
    win_rate_low: float
    win_rate_high: float
    kills: float
    kill_difference: float
    kill_difference_low: float
    kill_difference_high: float
    reward: float
    reward_low: float
    reward_high: float
    placement: str = ""


class Single(NamedTuple):
    """The results of one of a player's runs against all runs of an opponent, with Wilson's interval."""

    player: str
    run: str
    opponent: str
    side: str
    episodes: int
    win_rate: float
    win_rate_low: float
    win_rate_high: float
    kill_difference: float
    placement: str = ""


class Comparison(NamedTuple):
    """The outcome of a study.

    Attributes:
        study: the study with the game's options and the names of the starts filled in.
        results: of all pairs.
        singles: of the single runs of players that have several.
    """

    study: BattleStudy
    results: list[Result]
    singles: list[Single]
