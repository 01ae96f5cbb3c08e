"""Is fighting worth it, for one agent and for its army?

An agent, its army, or both are made to strike whenever they can, as the script "hold" does, instead of
what they learned. That gives the payoffs of a game between an agent and the rest of its army. Where the
army earns more by striking and the agent alone does not, there is a dilemma: each learning for itself
does not lead out of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from baselines.named import sources_by_name
from baselines.report import write_report
from mfenvs import battle_v0
from mfq.config import whole
from mfq.evaluate import undisturbed
from mfq.intervals import bootstrap
from mfq.players import load_player, options_of
from mfq.team import Teams
from mfq.view import Step, View, wrap

DOES = ("learned", "strikes")


@dataclass(frozen=True)
class DilemmaStudy:
    """What an agent earns by striking, and its army.

    Attributes:
        runs: folders of runs on battle; NAME=RUN gives a name, NAME=RUN,RUN one name to several seeds.
        opponent: a script, or a run.
        episodes: of each run, side and choice; in the e-th, the e-th agent is the one, and so around.
        seed: of the episodes, the same for all.
        out: folder for dilemma.csv and config.json. None writes nothing.
    """

    runs: tuple[str, ...] = ()
    opponent: str = "rush"
    episodes: int = 120
    seed: int = 0
    out: str | None = "runs/dilemma"

    def __post_init__(self) -> None:
        whole("episodes", self.episodes, 1)
        whole("seed", self.seed, 0)
        sources_by_name("runs", self.runs)


class Payoff(NamedTuple):
    """What agents earned, with 95% bootstrap intervals over runs and episodes.

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


class Striking:
    """A player some of whose agents strike whenever an enemy is in reach.

    Args:
        view: of battle; the steps it is given must be this view's latest.
        player: who plays but for that.
        who: bool [B, N]; the agents that strike.
    """

    def __init__(self, view: View, player: Any, who: Tensor) -> None:
        self.view, self.player, self.who = view, player, who
        self.stay = view.env.game.law.stay  # type: ignore[attr-defined]

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


def dilemma(study: DilemmaStudy) -> list[Payoff]:
    """All payoffs, by name, side, and what the others and the one did."""
    entries = sources_by_name("runs", study.runs)
    if not entries:
        raise ValueError("runs is empty; allowed: one or more")
    found = []
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
                    *(float(earned.mean()), *bootstrap(earned, study.seed)),
                    *(float(mean.mean()), *bootstrap(mean, study.seed)),
                    float(kills.mean()),
                )
            )
    return found


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


def run(study: DilemmaStudy) -> list[Payoff]:
    """`mfq compare dilemma`: plays, prints the payoffs, writes the files."""
    payoffs = dilemma(study)
    print(table(payoffs))
    write_report(study, "dilemma", payoffs)
    return payoffs
