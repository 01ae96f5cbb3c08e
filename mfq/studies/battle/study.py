"""Plays all pairs of the battle study and summarises the records."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import Any

import numpy as np

from mfq.agents.base import Player
from mfq.common.progress import Progress
from mfq.envs.view import View
from mfq.envs.wrap import wrap
from mfq.matches.evaluate import Record, match
from mfq.matches.intervals import rate, student, wilson
from mfq.matches.players import Random, load_player, options_of
from mfq.studies.battle.config import FIXED, SIDES, BattleStudy, Comparison, Result, Single
from mfq.studies.battle.figure import write_figure
from mfq.studies.battle.tables import WIDTH, share, table, table_of_runs
from mfq.studies.report import check_folder, write_report

ROWS = 64  # the most episodes at once


def compare(study: BattleStudy) -> Comparison:
    """Plays all pairs on all starts; the progress on each start goes to standard error."""
    from mfenvs import battle_v0, game_class

    sources = [source for runs in study.entries().values() for source in runs]
    trained = options_of(sources, "battle_v0", game_class("battle_v0").players)
    basis = battle_v0.PAPER if trained is None else trained
    study = replace(study, env_options={**basis, **study.env_options})
    starts = starts_of(study)
    results, singles = list[Result](), list[Single]()
    for start, options in starts.items():
        on_start, of_runs = compare_on(study, options)
        results += [r._replace(placement=start) for r in on_start]
        singles += [s._replace(placement=start) for s in of_runs]
    return Comparison(replace(study, placement=tuple(starts)), results, singles)


def starts_of(study: BattleStudy) -> dict[str, dict[str, Any]]:
    """Returns the game's options for each start of a study, by the start's name.

    "fixed" is replaced by the name of the start that it means.
    """
    from mfenvs import game_class

    default = game_class("battle_v0").configure(study.env_options).placement
    fixed = "magent2" if default == "random" else default
    starts = {}
    for name in study.placement:
        placement = fixed if name == FIXED else name
        name = placement if isinstance(placement, str) else FIXED
        starts[name] = {**study.env_options, "placement": placement}
    return starts


def compare_on(
    study: BattleStudy, env_options: dict[str, Any]
) -> tuple[list[Result], list[Single]]:
    """Plays all pairs in one game. The rows that it returns leave ``placement`` empty."""
    entries = study.entries()
    view, players = _players_of(study, env_options)
    results, singles = list[Result](), list[Single]()
    pairs = list(combinations(entries, 2))
    total = sum(len(entries[first]) * len(entries[second]) for first, second in pairs)
    with Progress(total, "match") as progress:
        for first, second in pairs:
            progress.describe(f"{first} against {second}")
            records = []
            for a, b in product(entries[first], entries[second]):
                options = (study.episodes, study.seed, study.explore)
                records.append(match(view, players[a], players[b], *options))
                progress.advance()
            for side in SIDES:
                of_first = joined([record[side] for record, _ in records], len(entries[first]))
                of_second = joined([record[side] for _, record in records], len(entries[first]))
                of_second = changed(of_second, lambda values: values.swapaxes(0, 1))
                for player, opponent, record in (
                    (first, second, of_first),
                    (second, first, of_second),
                ):
                    results.append(result(player, opponent, side, record))
                    singles += single_runs(player, entries[player], opponent, side, record)
    order = {name: k for k, name in enumerate(entries)}
    results.sort(key=lambda r: (order[r.player], order[r.opponent]))
    singles.sort(key=lambda r: (order[r.player], order[r.opponent]))
    return results, singles


def _players_of(study: BattleStudy, env_options: dict[str, Any]) -> tuple[View, dict[str, Player]]:
    """Returns a view of a game, and the players by their sources."""
    from mfenvs import battle_v0

    sources = [source for runs in study.entries().values() for source in runs]
    a_side = -(-study.episodes // 2)
    rows = -(-a_side // -(-a_side // ROWS))  # the fewest rows that take no longer
    view = wrap(battle_v0.batched_env(num_envs=rows, **env_options))
    return view, {source: load_player(source, view) for source in dict.fromkeys(sources)}


def random_rates(study: BattleStudy, env_options: dict[str, Any]) -> dict[str, float]:
    """Returns random play's win rate against each player in one game, both sides together."""
    view, players = _players_of(study, env_options)
    rates = {}
    for name, sources in study.entries().items():
        matches = (
            match(view, Random(), players[source], study.episodes, study.seed, study.explore)
            for source in sources
        )
        rates[name] = float(np.mean([ours["both"].won.mean() for ours, _ in matches]))
    return rates


def joined(records: list[Record], runs: int) -> Record:
    """Joins the records of R runs against S, sorted by run, to one of arrays [R, S, E]."""

    def stacked(values: list[np.ndarray]) -> np.ndarray:
        return np.stack(values).reshape(runs, -1, len(values[0]))

    return Record(
        stacked([record.won for record in records]),
        stacked([record.drawn for record in records]),
        stacked([record.returns for record in records]),
        {
            name: stacked([record.measures[name] for record in records])
            for name in records[0].measures
        },
    )


def changed(record: Record, change: Callable[[np.ndarray], np.ndarray]) -> Record:
    """Applies a function to all arrays of a record."""
    return Record(
        change(record.won),
        change(record.drawn),
        change(record.returns),
        {name: change(values) for name, values in record.measures.items()},
    )


def result(player: str, opponent: str, side: str, record: Record) -> Result:
    """Summarises R runs against S runs, with the intervals `rate` and `student` of
    `mfq.matches.intervals`.

    Args:
        player, opponent, side: the row's labels.
        record: the player's record, of arrays [R, S, E].
    """

    def with_interval(values: np.ndarray) -> tuple[float, float, float]:
        return float(values.mean()), *student(values)

    runs, opponents, _ = record.won.shape
    count, wins, draws = record.won.size, int(record.won.sum()), int(record.drawn.sum())
    return Result(
        *(player, opponent, side, runs, opponents, count),
        *(wins, draws, count - wins - draws),
        *(wins / count, *rate(record.won)),
        float(record.measures["kills"].mean()),
        *with_interval(record.measures["kills_difference"]),
        *with_interval(record.returns),
    )


def single_runs(
    player: str, runs: Sequence[str], opponent: str, side: str, record: Record
) -> list[Single]:
    """Summarises each run of a player; empty for a player of one run.

    Args:
        player, opponent, side: the rows' labels.
        runs: the sources of the player's R runs.
        record: the player's record, of arrays [R, S, E].
    """
    if len(runs) == 1:
        return []
    singles = []
    for run, won, margin in zip(runs, record.won, record.measures["kills_difference"], strict=True):
        bounds = wilson(int(won.sum()), won.size)
        rates = float(won.mean()), *bounds, float(margin.mean())
        singles.append(Single(player, run, opponent, side, won.size, *rates))
    return singles


def run(study: BattleStudy) -> list[Result]:
    """Runs `mfq compare battle`: plays all pairs, prints the tables, writes the files."""
    check_folder(study, "battle")
    study, results, singles = compare(study)
    options = ", ".join(f"{name} {value}" for name, value in study.env_options.items())
    print("\n".join(textwrap.wrap(f"Battle ({options}):", WIDTH, break_on_hyphens=False)))
    print(f"{-(-study.episodes // 2)} episodes a side, same seeds")
    for start in study.placement:
        print(f"\nStart: {start}\n")
        print(table([r for r in results if r.placement == start]))
        if singles:
            print("\n" + table_of_runs([s for s in singles if s.placement == start]))
        if ("random",) not in study.entries().values():  # else it is in the table
            rates = random_rates(study, starts_of(study)[start])
            against = ", ".join(f"{name} {share(rate)}" for name, rate in rates.items())
            text = f"Win rate of random play, both sides together: against {against}"
            print("\n" + "\n".join(textwrap.wrap(text, WIDTH, break_on_hyphens=False)))
    write_report(study, "battle", results, lambda path: write_figure(results, path), singles)
    return results
