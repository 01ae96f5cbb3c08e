"""Battle: every pair of players against each other, on both sides, with intervals.

Who moves first, and how far apart the armies start, decide even matches (fidelity I1): so both sides are
played, half of the episodes each and from the same seeds, and are reported apart and together; and every
pair meets on several starts, the game's fixed one and random ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from baselines.named import sources_by_name
from baselines.report import write_report
from mfenvs import battle_v0, game_class
from mfenvs.battle.placement import NAMED
from mfenvs.validate import member
from mfq.common.files import write_atomically
from mfq.envs.wrap import wrap
from mfq.matches.evaluate import Record, match
from mfq.matches.intervals import rate, student, wilson
from mfq.matches.players import load_player, options_of

SIDES = ("both", "red", "blue")
ROWS = 64  # at most so many episodes at once
FIXED = "fixed"


@dataclass(frozen=True)
class BattleStudy:
    """Every pair of players, on both sides.

    Attributes:
        players: scripts, pretrained players, checkpoints or folders of runs; NAME=RUN gives a name,
            NAME=RUN,RUN one name to runs of several seeds.
        episodes: of each pair of runs, half of them a side.
        seed: of the episodes, the same for all pairs. Runs choose their best checkpoint by episodes that
            are seeded from their own seed on: keep away from these. In battle a row more is a seed more
            (0 and 1 are the same), so that another sample is one whose seed is further than the rows.
        placement: which starts every pair is played on, each with so many episodes: "random",
            "magent2", "paper", and "fixed", the game's own (MAgent2's, if the game's own are random).
        explore: whether learned players act as in training, instead of as well as they can.
        env_options: of the game; else those of the first run, or the paper's.
        out: folder for battle.csv, battle.png, config.json and, of several runs of a player,
            battle_runs.csv. None writes nothing.
    """

    players: tuple[str, ...] = ("mfq", "iql", "rush", "random")
    episodes: int = 200
    seed: int = 1000
    placement: tuple[str, ...] = ("fixed", "random")
    explore: bool = False
    env_options: dict[str, Any] = field(default_factory=dict)
    out: str | None = "runs/battle"

    def __post_init__(self) -> None:
        if self.episodes < 2:
            raise ValueError(f"episodes={self.episodes!r}; allowed: at least 2, one a side")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed!r}; allowed: 0 or more")
        if not isinstance(self.placement, tuple | list) or not self.placement:
            allowed = ", ".join((FIXED, *NAMED))
            raise ValueError(f"placement={self.placement!r}; allowed: one or more of {allowed}")
        for name in self.placement:
            member("placement", name, (FIXED, *NAMED))
        if len(self.entries()) < 2:
            raise ValueError(f"players={self.players!r}; allowed: at least two")

    def entries(self) -> dict[str, tuple[str, ...]]:
        """The sources of each player, by its name."""
        return sources_by_name("players", self.players)


class Result(NamedTuple):
    """How one player did against another, as one army or as both in turn."""

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
    """How one run of several did against all of an opponent's, with Wilson's interval."""

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
    """What came of a study: it with the game's options and its own placement filled in, all pairs, and
    single runs."""

    study: BattleStudy
    results: list[Result]
    singles: list[Single]


def compare(study: BattleStudy) -> Comparison:
    """All pairs on all starts, with a progress bar for each start on standard error."""
    sources = [source for runs in study.entries().values() for source in runs]
    trained = options_of(sources, "battle_v0", game_class("battle_v0").players)
    basis = battle_v0.PAPER if trained is None else trained
    study = replace(study, env_options={**basis, **study.env_options})
    starts = starts_of(study)
    results, singles = list[Result](), list[Single]()
    for start, options in starts.items():
        found, by_run = compare_on(study, options)
        results += [r._replace(placement=start) for r in found]
        singles += [s._replace(placement=start) for s in by_run]
    return Comparison(replace(study, placement=tuple(starts)), results, singles)


def starts_of(study: BattleStudy) -> dict[str, dict[str, Any]]:
    """The game's options for each start that a study asks for; "fixed" is called what it is."""
    own = game_class("battle_v0").configure(study.env_options).placement
    fixed = "magent2" if own == "random" else own
    found = {}
    for name in study.placement:
        placement = fixed if name == FIXED else name
        name = placement if isinstance(placement, str) else FIXED
        found[name] = {**study.env_options, "placement": placement}
    return found


def compare_on(
    study: BattleStudy, env_options: dict[str, Any]
) -> tuple[list[Result], list[Single]]:
    """All pairs in one game; neither rows say where the armies started."""
    entries = study.entries()
    sources = [source for runs in entries.values() for source in runs]
    a_side = -(-study.episodes // 2)
    rows = -(-a_side // -(-a_side // ROWS))  # as few rows as take no longer
    view = wrap(battle_v0.batched_env(num_envs=rows, **env_options))
    players = {source: load_player(source, view) for source in dict.fromkeys(sources)}

    results, singles = list[Result](), list[Single]()
    pairs = list(combinations(entries, 2))
    total = sum(len(entries[mine]) * len(entries[its]) for mine, its in pairs)
    with tqdm(total=total, unit="match", dynamic_ncols=True) as bar:
        for mine, its in pairs:
            bar.set_description(f"{mine} against {its}")
            found = []
            for a, b in product(entries[mine], entries[its]):
                terms = (study.episodes, study.seed, study.explore)
                found.append(match(view, players[a], players[b], *terms))
                bar.update()
            for side in SIDES:
                ours = joined([ours[side] for ours, _ in found], len(entries[mine]))
                theirs = joined([theirs[side] for _, theirs in found], len(entries[mine]))
                theirs = Record(*(values.swapaxes(0, 1) for values in theirs))
                for player, opponent, record in ((mine, its, ours), (its, mine, theirs)):
                    results.append(result(player, opponent, side, record))
                    singles += single_runs(player, entries[player], opponent, side, record)
    order = {name: k for k, name in enumerate(entries)}
    results.sort(key=lambda r: (order[r.player], order[r.opponent]))
    singles.sort(key=lambda r: (order[r.player], order[r.opponent]))
    return results, singles


def joined(records: list[Record], runs: int) -> Record:
    """The records of R runs against S, those of a run together, as arrays [R, S, E]."""
    return Record(
        *(
            np.stack(values).reshape(runs, -1, len(values[0]))
            for values in zip(*records, strict=True)
        )
    )


def result(player: str, opponent: str, side: str, record: Record) -> Result:
    """What R runs did against S runs, with the intervals of `mfq.matches.intervals.rate` and `student`.

    Args:
        player, opponent, side: whose, against whom, and as what.
        record: of arrays [R, S, E].
    """

    def with_interval(values: np.ndarray) -> tuple[float, float, float]:
        return float(values.mean()), *student(values)

    runs, opponents, _ = record.won.shape
    count, wins, draws = record.won.size, int(record.won.sum()), int(record.drawn.sum())
    return Result(
        *(player, opponent, side, runs, opponents, count),
        *(wins, draws, count - wins - draws),
        *(wins / count, *rate(record.won)),
        float(record.kills.mean()),
        *with_interval(record.kill_difference),
        *with_interval(record.returns),
    )


def single_runs(
    player: str, runs: Sequence[str], opponent: str, side: str, record: Record
) -> list[Single]:
    """Each run of a player's, if they are several; ``record`` is of arrays [R, S, E]."""
    if len(runs) == 1:
        return []
    found = []
    for run, won, margin in zip(runs, record.won, record.kill_difference, strict=True):
        bounds = wilson(int(won.sum()), won.size)
        rates = float(won.mean()), *bounds, float(margin.mean())
        found.append(Single(player, run, opponent, side, won.size, *rates))
    return found


# -- what a reader sees -------------------------------------------------------------------------


def names_in(results: list[Result]) -> list[str]:
    """The players, in their order."""
    return list(dict.fromkeys(result.player for result in results))


def table(results: list[Result]) -> str:
    """The matrix of win rates, and every pair by side; of the results on one start."""
    names, found = names_in(results), {(r.player, r.opponent, r.side): r for r in results}
    first, width = max(map(len, names)), max(9, *map(len, names))
    lines = [
        "Win rate of the row against the column, both sides together (+- half the 95% interval):",
        "",
        " " * first + "".join(f"  {name:>{width}}" for name in names),
    ]
    for mine in names:
        cells = []
        for its in names:
            won = found.get((mine, its, "both"))
            half = 0.0 if won is None else (won.win_rate_high - won.win_rate_low) / 2
            cells.append("-" if won is None else f"{_share(won.win_rate)} +-{_share(half)}")
        lines.append(f"{mine:<{first}}" + "".join(f"  {cell:>{width}}" for cell in cells))
    title = "player v opponent"
    first = max(len(title), 2 * first + 3)
    lines += [
        "",
        f"{title:<{first}}  {'as red':>14}  {'as blue':>14}  {'draws':>5}  {'kill difference':>20}",
    ]
    for mine, its in combinations(names, 2):
        both = found[mine, its, "both"]
        sides = [
            f"{_share(r.win_rate)} ({_share(r.win_rate_low)}-{_share(r.win_rate_high)})"
            for r in (found[mine, its, side] for side in ("red", "blue"))
        ]
        bounds = f"({both.kill_difference_low:+.1f} to {both.kill_difference_high:+.1f})"
        lines.append(
            f"{f'{mine} v {its}':<{first}}  {sides[0]:>14}  {sides[1]:>14}  "
            f"{_share(both.draws / both.episodes):>5}  {f'{both.kill_difference:+.1f} {bounds}':>20}"
        )
    return "\n".join(lines)


def table_of_runs(singles: list[Single]) -> str:
    """What single runs won on one start, as the median and the extremes, a line for each player and
    opponent."""
    rates: dict[tuple[str, str], dict[str, list[float]]] = {}
    for single in singles:
        by_side = rates.setdefault((single.player, single.opponent), {})
        by_side.setdefault(single.side, []).append(single.win_rate)
    title = "Single runs, median (extremes)"
    first = max(len(title), *(len(" v ".join(pair)) for pair in rates))
    lines = [f"{title:<{first}}  {'as red':>14}  {'as blue':>14}"]
    for pair, by_side in rates.items():
        cells = [
            f"{_share(float(np.median(own)))} ({_share(min(own))}-{_share(max(own))})"
            for own in (by_side["red"], by_side["blue"])
        ]
        lines.append(f"{' v '.join(pair):<{first}}  {cells[0]:>14}  {cells[1]:>14}")
    return "\n".join(lines)


def _share(value: float) -> str:
    """A rate with two digits: .07, 1.0, none for NaN."""
    if np.isnan(value):
        return ""
    return "1.0" if value >= 0.995 else f"{value:.2f}".removeprefix("0")


def write_figure(results: list[Result], path: Path) -> Path:
    """battle.png: the matrices of win rates, both sides together and apart, a line for each start."""
    # Without pyplot: a figure of our own touches no global state and needs no screen.
    from matplotlib.figure import Figure

    names, starts = names_in(results), list(dict.fromkeys(r.placement for r in results))
    found = {(r.placement, r.player, r.opponent, r.side): r for r in results}
    edge = 1.2 + 0.62 * len(names)
    size = 3 * edge + 1.2, (edge + 0.7) * len(starts)
    figure = Figure(figsize=size, layout="constrained", dpi=150)
    panels = figure.subplots(len(starts), len(SIDES), sharey=True, squeeze=False)
    for axes, (start, side) in zip(panels.flat, product(starts, SIDES), strict=True):
        rates = np.full((len(names), len(names)), np.nan)
        for (i, mine), (j, its) in product(enumerate(names), enumerate(names)):
            if mine == its:
                continue
            r = found[start, mine, its, side]
            rates[i, j] = r.win_rate
            ink = "white" if abs(r.win_rate - 0.5) > 0.3 else "black"
            place = {"ha": "center", "color": ink}
            axes.text(j, i - 0.08, _share(r.win_rate), va="center", fontsize=10, **place)
            bounds = f"{_share(r.win_rate_low)}-{_share(r.win_rate_high)}"
            axes.text(j, i + 0.3, bounds, va="center", fontsize=6.5, **place)
        axes.set_facecolor("#e8e8e8")
        picture = axes.imshow(rates, cmap="PuOr", vmin=0, vmax=1)
        axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        title = "both sides" if side == "both" else f"the row as {side}"
        axes.set_title(f"{title}, start: {start}", fontsize=10)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    figure.colorbar(picture, ax=panels, label="win rate of the row", shrink=0.9)
    return write_atomically(path, figure.savefig)


def run(study: BattleStudy) -> list[Result]:
    """`mfq compare battle`: computes, prints the tables, writes the files."""
    study, results, singles = compare(study)
    options = ", ".join(f"{name} {value}" for name, value in study.env_options.items())
    print(f"Battle ({options}):\n{-(-study.episodes // 2)} episodes a side, same seeds")
    for start in study.placement:
        print(f"\nStart: {start}\n")
        print(table([r for r in results if r.placement == start]))
        if singles:
            print("\n" + table_of_runs([s for s in singles if s.placement == start]))
    write_report(study, "battle", results, lambda path: write_figure(results, path), singles)
    return results
