"""Recomputes summaries in baselines/results, and their figures in docs, from results of single runs.

    python -m baselines.recompute

For battles the files have means of each run against all runs of the opponent, not single episodes. So
rows of one run against one stay as they are: their intervals of kill differences and rewards, over 50
episodes or more, are those of the percentile bootstrap. Rewards of single runs were not stored, so
rewards have no interval over runs.
"""

from __future__ import annotations

import json
import math
from collections import namedtuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baselines import third_party
from mfq.common.config import build
from mfq.common.files import read_csv, write_csv
from mfq.matches.intervals import rate_of_runs, student_of_runs
from mfq.studies import curves, style
from mfq.studies.battle import Result, Single, figure
from mfq.studies.ising import IsingStudy
from mfq.studies.ising import Result as IsingResult
from mfq.studies.ising import figure as ising_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "baselines/results"
BATTLES = ("battle-small", "battle-small-four", "battle-h100")
MATRICES = ("battle-fast", "battle-large", "battle-starts")
CURVES = {"battle-small": ("mfq", "iql"), "battle-small-four": ("mfq", "iql", "mfac", "ac")}


def read(name: str, row: Any) -> list[Any]:
    """Reads a result as named tuples of class ``row``."""
    return read_csv(RESULTS / f"{name}.csv", row)


def battle_results(name: str) -> list[Result]:
    """Returns the rows of NAME.csv, with intervals over runs from NAME_runs.csv.

    The differences between the opponent's runs are taken from their wins, since the draws of single runs
    were not stored.
    """
    singles: dict[tuple[str, str, str], list[Single]] = {}
    for single in read(f"{name}_runs", Single):
        singles.setdefault((single.player, single.opponent, single.side), []).append(single)
    other = {"both": "both", "red": "blue", "blue": "red"}
    results = []
    for r in read(name, Result):
        if r.runs == r.opponent_runs == 1:
            results.append(r)
            continue
        of_player = singles.get((r.player, r.opponent, r.side), [])
        of_opponent = singles.get((r.opponent, r.player, other[r.side]), [])
        won = np.array([s.win_rate for s in of_player] or [r.win_rate])
        against = np.array([1 - s.win_rate for s in of_opponent])
        margin = np.array([s.kill_difference for s in of_player] or [r.kill_difference])
        low, high = rate_of_runs(won, against, r.episodes)
        least, most = student_of_runs(margin, np.array([-s.kill_difference for s in of_opponent]))
        results.append(
            r._replace(
                win_rate_low=low,
                win_rate_high=high,
                kill_difference_low=least,
                kill_difference_high=most,
                reward_low=math.nan,
                reward_high=math.nan,
            )
        )
    return results


def curve_points(name: str) -> list[curves.Point]:
    """Returns the points of NAME-curves.csv, from the logs of the runs."""
    metrics = tuple(dict.fromkeys(p.metric for p in read(f"{name}-curves", curves.Point)))
    runs = []
    for player in CURVES[name]:
        logs = sorted(RESULTS.glob(f"{name}-{player}-[0-9].csv"))
        runs.append(f"{player}={','.join(map(str, logs))}")
    return curves.curves(curves.CurvesStudy(tuple(runs), metrics))


def summaries() -> list[third_party.Summary]:
    """Returns the rows of third_party_summary.csv, from the episodes."""
    return third_party.summarise(read("third_party", third_party.Result))


def random_play() -> dict[str, float]:
    """Returns random play's win rates on the small setting by metric, from battles of the scripts."""
    own = {r.side: r for r in read("battle-random-mirror", Result) if r.player == "random"}
    rush = {r.side: r for r in read("battle-small", Result) if r[:2] == ("random", "rush")}
    rates = {}
    for opponent, by_side in (("random", own), ("rush", rush)):
        for side, r in by_side.items():
            metric = f"eval_{opponent}_win_rate" + ("" if side == "both" else f"_as_{side}")
            rates[metric] = r.win_rate
    return rates


def ising_study(name: str = "ising") -> IsingStudy:
    """Returns the options of NAME.csv."""
    options = json.loads((RESULTS / f"{name}.json").read_text())
    return build(IsingStudy, options)


def figures() -> dict[str, Figure]:
    """Returns the figures of docs/studies, by name."""
    matrices = {name: battle_results(name) for name in BATTLES}
    matrices |= {name: read(name, Result) for name in MATRICES}
    drawn = {name: figure.draw(results) for name, results in matrices.items()}
    for name in CURVES:
        drawn[f"{name}-curves"] = curves.draw(curve_points(name), random_play())
    drawn["ising"] = ising_figure.draw(ising_study(), read("ising", IsingResult))
    return drawn


def without_start(results: list[Result]) -> list[Any]:
    """Returns the rows without the column of the start, which these files do not have."""
    fields = Result._fields[: Result._fields.index("placement")]
    row = namedtuple("row", fields)  # type: ignore[misc]
    return [row(*result[: len(fields)]) for result in results]


def main() -> None:
    """Writes all summaries and figures."""
    for name in BATTLES:
        write_csv(RESULTS / f"{name}.csv", without_start(battle_results(name)))
    for name in CURVES:
        write_csv(RESULTS / f"{name}-curves.csv", curve_points(name))
    write_csv(RESULTS / "third_party_summary.csv", summaries())
    for name, drawn in figures().items():
        style.write(drawn, ROOT / f"docs/studies/{name}.png")
    points = read("third_party_curves", third_party.Point)
    third_party.draw(points, summaries(), ROOT / "docs/third_party.png")


if __name__ == "__main__":
    main()
