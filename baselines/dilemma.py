"""Is fighting worth it, for one agent and for its army?

An agent, its army, or both are made to strike whenever they can, as the script "hold" does, instead of
what they learned. That gives the payoffs of a game between an agent and the rest of its army. Where the
army earns more by striking and the agent alone does not, there is a dilemma: each learning for itself
does not lead out of it.

What the one gains by striking is a contrast of two payoffs from the same seeds, taken episode by
episode. There is one for each run, side and choice of the others, so intervals and p-values are
Bonferroni's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import special
from torch import Tensor

from baselines.named import sources_by_name
from baselines.report import write_report
from mfenvs import battle_v0
from mfq.common.config import whole
from mfq.common.files import write_csv
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.envs.wrap import wrap
from mfq.matches.evaluate import undisturbed
from mfq.matches.intervals import student
from mfq.matches.players import load_player, options_of
from mfq.matches.teams import Teams

DOES = ("learned", "strikes")
ALPHA = 0.05  # that any interval of a study misses its mean


@dataclass(frozen=True)
class DilemmaStudy:
    """What an agent earns by striking, and its army.

    Attributes:
        runs: folders of runs on battle; NAME=RUN gives a name, NAME=RUN,RUN one name to several seeds.
        opponent: a script, or a run.
        episodes: of each run, side and choice; in the e-th, the e-th agent is the one, and so around.
        seed: of the episodes, the same for all. In battle a row more is a seed more, and seeds 0 and 1
            are the same.
        out: folder for dilemma.csv, dilemma_contrasts.csv and config.json. None writes nothing.
    """

    runs: tuple[str, ...] = ()
    opponent: str = "rush"
    episodes: int = 120
    seed: int = 1000
    out: str | None = "runs/dilemma"

    def __post_init__(self) -> None:
        whole("episodes", self.episodes, 1)
        whole("seed", self.seed, 0)
        sources_by_name("runs", self.runs)


class Payoff(NamedTuple):
    """What agents earned, with Student's 95% intervals: over runs, or of a single one over episodes.

    Attributes:
        others, own: what the army did but for the one, and the one: "learned" or "strikes".
        earned: the one's summed reward; ``army`` is that of its whole army, by agent.
    """

    name: str
    side: str
    others: str
    own: str
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
    """What the one gains by striking, while the others do as they do.

    Attributes:
        others: what the army did but for the one: "learned" or "strikes".
        gain: the one's summed reward when it strikes less that when it does as learned, the mean of
            differences between episodes of one seed.
        low, high: simultaneous intervals: all of a study's hold their means in 95% of studies or more.
        p: two-sided, that the mean difference is zero; of Student's t.
        p_adjusted: that times the number of contrasts, at most 1.
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
    """What came of a study."""

    payoffs: list[Payoff]
    contrasts: list[Contrast]


class Striking:
    """A player some of whose agents strike whenever an enemy is in reach.

    Args:
        view: of battle; the steps it is given must be this view's latest.
        player: who plays but for that.
        who: bool [B, N]; the agents that strike.
    """

    def __init__(self, view: View, player: Any, who: Tensor) -> None:
        self.view, self.player, self.who = view, player, who
        self.stay = view.env.game.params.stay  # type: ignore[attr-defined]

    @property
    def parts(self) -> list[Any]:
        return [self.player]

    def act(self, step: Step, explore: bool = True) -> Tensor:
        actions = self.player.act(step, explore)
        blows = self.view.scripted("hold")
        return blows.where(self.who & (blows != self.stay) & (actions >= 0), actions)


def payoff(
    view: View, player: Any, opponent: Any, side: int, others: str, own: str, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the one and its army earned, and the difference in kills: float64 [B], a row an episode."""
    mine = view.groups == side
    members = mine.nonzero()[:, 0]
    rows = torch.arange(view.num_envs)
    the_one = members[rows % len(members)]
    who = mine.expand(view.num_envs, -1) & (others == "strikes")
    who[rows, the_one] = own == "strikes"
    armies = [Striking(view, player, who), opponent]
    names = view.group_names
    seated = {names[side]: armies[0], names[1 - side]: armies[1]}
    teams = Teams(view, {name: seated[name] for name in names}, view.groups.expand(len(rows), -1))

    earned = torch.zeros(view.num_envs, view.num_agents, dtype=torch.float64)
    kills = torch.zeros(view.num_envs, dtype=torch.float64)
    going = torch.ones(view.num_envs, dtype=torch.bool)
    with torch.no_grad(), undisturbed(teams, seed):
        step = view.reset(seed=seed)
        while going.any():
            step = view.step(teams.act(step, explore=False))
            earned += step.reward.double() * going[:, None]
            margin = (
                step.measures[f"{names[side]}_kills"] - step.measures[f"{names[1 - side]}_kills"]
            )
            kills = margin.double().where(going, kills)
            going &= ~step.ended
    army = earned[:, mine].mean(1)
    return earned[rows, the_one].numpy(), army.numpy(), kills.numpy()


def contrasts(earned: dict[tuple[str, str, str, str], np.ndarray]) -> list[Contrast]:
    """Every gain by striking, with Bonferroni's intervals and p-values over all of them.

    With d_k, k = 1 to n, the differences and m the number of contrasts, the interval is
    mean(d) +- t(1 - .05 / 2m; n - 1) sd(d) / sqrt(n). For one run d has an entry an episode; for several
    an entry a run, the mean of its episodes, since episodes of a run share what it learned.

    Args:
        earned: what the one earned, float64 [R, E] of R runs and E episodes, by name, side, what the
            others did and what it did. Equal places are equal seeds.

    Returns:
        In the order of ``earned``. A single difference has NaN bounds and p-values.
    """
    gains = {
        (name, side, others): earned[name, side, others, "strikes"] - values
        for (name, side, others, own), values in earned.items()
        if own == "learned"
    }
    found = []
    for key, gain in gains.items():
        differences = gain[0] if len(gain) == 1 else gain.mean(1)
        mean, low, high, p = t_test(differences, ALPHA / len(gains))
        runs, episodes = gain.shape
        adjusted = min(1.0, p * len(gains))
        found.append(Contrast(*key, runs, episodes, mean, low, high, p, adjusted))
    return found


def t_test(values: np.ndarray, alpha: float) -> tuple[float, float, float, float]:
    """Student's t on a mean: it, its 1 - alpha interval, and the two-sided p-value of zero.

    Args:
        values: float [n]. The bounds and p are NaN for n = 1.
        alpha: the share of intervals that may miss.
    """
    mean, freedom = float(values.mean()), len(values) - 1
    if freedom == 0:
        return mean, math.nan, math.nan, math.nan
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    half = float(special.stdtrit(freedom, 1 - alpha / 2)) * error
    p = 2 * float(special.stdtr(freedom, -abs(mean) / error)) if error else float(mean == 0)
    return mean, mean - half, mean + half, p


def dilemma(study: DilemmaStudy) -> Findings:
    """All payoffs, by name, side, and what the others and the one did; and all contrasts."""
    entries = sources_by_name("runs", study.runs)
    if not entries:
        raise ValueError("runs is empty; allowed: one or more")
    found, by_choice = [], {}
    for name, sources in entries.items():
        options = options_of(sources, "battle_v0") or {}
        view = wrap(battle_v0.batched_env(num_envs=study.episodes, **options))
        players = [load_player(source, view) for source in sources]
        opponent = load_player(study.opponent, view)
        for (side, army), others, own in product(enumerate(view.group_names), DOES, DOES):
            played = [
                payoff(view, player, opponent, side, others, own, study.seed) for player in players
            ]
            earned, mean, kills = (np.stack(part)[:, None] for part in zip(*played, strict=True))
            found.append(
                Payoff(
                    *(name, army, others, own, len(players), study.episodes),
                    *(float(earned.mean()), *student(earned)),
                    *(float(mean.mean()), *student(mean)),
                    float(kills.mean()),
                )
            )
            by_choice[name, army, others, own] = earned[:, 0]
    return Findings(found, contrasts(by_choice))


def table(payoffs: list[Payoff]) -> str:
    """A line for each payoff."""
    lines = [
        f"{'run':<12} {'side':<5} {'others':<8} {'one':<8}  the one earns             an agent, kills"
    ]
    for p in payoffs:
        interval = f"{p.earned:5.2f} ({p.earned_low:5.2f} to {p.earned_high:5.2f})"
        army = f"{p.army:5.2f}, {p.kill_difference:+5.1f}"
        lines.append(f"{p.name:<12} {p.side:<5} {p.others:<8} {p.own:<8}  {interval:<25} {army}")
    return "\n".join(lines)


def table_of_contrasts(found: list[Contrast]) -> str:
    """A line for each contrast."""
    lines = [
        f"What the one gains by striking; intervals and p for {len(found)} contrasts (Bonferroni):",
        f"{'run':<12} {'side':<5} {'others':<8}  {'gain':<23}       p",
    ]
    for c in found:
        gain = f"{c.gain:+5.2f} ({c.low:+5.2f} to {c.high:+5.2f})"
        lines.append(f"{c.name:<12} {c.side:<5} {c.others:<8}  {gain:<23}  {c.p_adjusted:6.4f}")
    return "\n".join(lines)


def markdown(found: Findings) -> str:
    """The table of docs/armies.md: a line for each run and side."""
    kills = {(p.name, p.side, p.others, p.own): p.kill_difference for p in found.payoffs}
    gains = {(c.name, c.side, c.others): c for c in found.contrasts}
    lines = [
        "| run | side | kills as learned, and if all strike "
        "| the one gains, others as learned | and if they strike |",
        "|---|---|---|---|---|",
    ]
    for name, side in dict.fromkeys((c.name, c.side) for c in found.contrasts):
        margins = [f"{kills[name, side, both, both]:+.1f}" for both in DOES]
        cells = []
        for others in DOES:
            c = gains[name, side, others]
            p = "p < .001" if c.p_adjusted < 0.001 else f"p {c.p_adjusted:.3f}".replace("0.", ".")
            cells.append(f"{c.gain:+.2f} ({c.low:+.2f} to {c.high:+.2f}), {p}")
        lines.append(f"| {name} | {side} | {', '.join(margins)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def run(study: DilemmaStudy) -> Findings:
    """`mfq compare dilemma`: plays, prints the payoffs and contrasts, writes the files."""
    found = dilemma(study)
    print(table(found.payoffs))
    print("\n" + table_of_contrasts(found.contrasts))
    write_report(study, "dilemma", found.payoffs)
    if study.out is not None:
        print(write_csv(Path(study.out) / "dilemma_contrasts.csv", found.contrasts))
    return found
