"""The tables that `mfq compare battle` prints."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from mfq.studies.battle.config import Result, Single


def names_in(results: list[Result]) -> list[str]:
    """Returns the players in the order of the results."""
    return list(dict.fromkeys(result.player for result in results))


def share(value: float) -> str:
    """Formats a rate with two digits: .07, 1.0, "" for NaN."""
    if np.isnan(value):
        return ""
    return "1.0" if value >= 0.995 else f"{value:.2f}".removeprefix("0")


def table(results: list[Result]) -> str:
    """Formats the matrix of win rates, and a line for each pair by side.

    Args:
        results: of one start.
    """
    names, by_pair = names_in(results), {(r.player, r.opponent, r.side): r for r in results}
    first, width = max(map(len, names)), max(9, *map(len, names))
    lines = [
        "Win rate of the row against the column, both sides together (+- half the 95% interval):",
        "",
        " " * first + "".join(f"  {name:>{width}}" for name in names),
    ]
    for row in names:
        cells = []
        for column in names:
            won = by_pair.get((row, column, "both"))
            half = 0.0 if won is None else (won.win_rate_high - won.win_rate_low) / 2
            cells.append("-" if won is None else f"{share(won.win_rate)} +-{share(half)}")
        lines.append(f"{row:<{first}}" + "".join(f"  {cell:>{width}}" for cell in cells))
    title = "player v opponent"
    first = max(len(title), 2 * first + 3)
    lines += [
        "",
        f"{title:<{first}}  {'as red':>14}  {'as blue':>14}  {'draws':>5}  {'kill difference':>20}",
    ]
    for player, opponent in combinations(names, 2):
        both = by_pair[player, opponent, "both"]
        sides = [
            f"{share(r.win_rate)} ({share(r.win_rate_low)}-{share(r.win_rate_high)})"
            for r in (by_pair[player, opponent, side] for side in ("red", "blue"))
        ]
        bounds = f"({both.kill_difference_low:+.1f} to {both.kill_difference_high:+.1f})"
        lines.append(
            f"{f'{player} v {opponent}':<{first}}  {sides[0]:>14}  {sides[1]:>14}  "
            f"{share(both.draws / both.episodes):>5}  {f'{both.kill_difference:+.1f} {bounds}':>20}"
        )
    return "\n".join(lines)


def table_of_runs(singles: list[Single]) -> str:
    """Formats the win rates of single runs, as the median and the extremes, by player and opponent.

    Args:
        singles: of one start.
    """
    rates: dict[tuple[str, str], dict[str, list[float]]] = {}
    for single in singles:
        by_side = rates.setdefault((single.player, single.opponent), {})
        by_side.setdefault(single.side, []).append(single.win_rate)
    title = "Single runs, median (extremes)"
    first = max(len(title), *(len(" v ".join(pair)) for pair in rates))
    lines = [f"{title:<{first}}  {'as red':>14}  {'as blue':>14}"]
    for pair, by_side in rates.items():
        cells = [
            f"{share(float(np.median(side)))} ({share(min(side))}-{share(max(side))})"
            for side in (by_side["red"], by_side["blue"])
        ]
        lines.append(f"{' v '.join(pair):<{first}}  {cells[0]:>14}  {cells[1]:>14}")
    return "\n".join(lines)
