"""Trained players on the battle of MAgent2, against random play.

    python -m baselines.magent2 --players mfq iql --episodes 40

A win is more kills than the random army at the end of the episode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

import mfq
from mfenvs import battle_v0
from mfenvs.validate import whole
from mfq.envs.view import View
from mfq.matches.intervals import wilson
from mfq.matches.players import load_player, options_of
from mfq.matches.teams import Teams
from mfq.studies.report import check_folder, write_report


@dataclass(frozen=True)
class MAgent2Study:
    """Trained players on MAgent2's battle_v4.

    Attributes:
        players: pretrained players, checkpoints or folders of runs.
        episodes: episodes of each player, half of them on each side.
        seed: seed of the first episode; each further one adds one.
        out: folder for magent2.csv and config.json. None writes nothing.
        overwrite: whether results in that folder may be replaced.
    """

    players: tuple[str, ...] = ("mfq", "iql")
    episodes: int = 40
    seed: int = 0
    out: str | None = "runs/magent2"
    overwrite: bool = False

    def __post_init__(self) -> None:
        whole("episodes", self.episodes, 2)
        whole("seed", self.seed, 0)


class Score(NamedTuple):
    """The results of a player as one army, with Wilson's 95% interval of the win rate."""

    player: str
    side: str
    episodes: int
    wins: int
    win_rate: float
    low: float
    high: float
    kills: float
    losses: float


def make(options: dict[str, Any]) -> Any:
    """Makes MAgent2's battle with those options of battle_v0 that it also has."""
    from magent2.environments import battle_v4

    known = ("map_size", "minimap_mode", "extra_features", "max_cycles")
    return battle_v4.parallel_env(**{name: options[name] for name in known if name in options})


def episode(view: View, teams: Teams, side: int, seed: int) -> tuple[int, int]:
    """Plays an episode. Returns the kills and losses of a side."""
    step = view.reset(seed=seed)
    with torch.no_grad():
        while not step.ended.any():
            step = view.step(teams.act(step, explore=False))
    kills = [int(step.measures[f"{army}_kills"]) for army in view.group_names]
    return kills[side], kills[1 - side]


def scores(study: MAgent2Study) -> list[Score]:
    """Plays each player as red and as blue."""
    results = []
    for source in study.players:
        options = options_of([source], "battle_v0") or battle_v0.PAPER
        view = mfq.wrap(make(options))
        player = load_player(source, view)
        for side, army in enumerate(view.group_names):
            both = {army: player, view.group_names[1 - side]: mfq.Random(study.seed)}
            teams = Teams(view, {name: both[name] for name in view.group_names}, view.groups[None])
            count = -(-study.episodes // 2)
            ends = [
                episode(view, teams, side, study.seed + k)
                for k in tqdm(range(count), desc=f"{source} as {army}", dynamic_ncols=True)
            ]
            wins = sum(kills > losses for kills, losses in ends)
            kills, losses = (sum(part) / count for part in zip(*ends, strict=True))
            interval = wilson(wins, count)
            results.append(Score(source, army, count, wins, wins / count, *interval, kills, losses))
        view.close()
    return results


def run(study: MAgent2Study) -> list[Score]:
    """Runs the study, prints a line for each side, writes the file."""
    check_folder(study, "magent2")
    results = scores(study)
    for s in results:
        print(
            f"{s.player:<10} as {s.side:<5} {s.wins} of {s.episodes} ({s.low:.2f} to {s.high:.2f}), "
            f"kills {s.kills:.1f}, losses {s.losses:.1f}"
        )
    write_report(study, "magent2", results)
    return results


if __name__ == "__main__":
    import tyro

    run(tyro.cli(MAgent2Study, description=__doc__))
