"""The tables that `mfq compare battle` prints."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from itertools import combinations

import numpy as np

from mfq.studies.battle.config import Result, Single

WIDTH = 80
MAX_NAME = 20  # of a column


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
    lines = [
        "Win rate of the row against the column, both sides together",
        "(+- half the 95% interval):",
    ]
    rows = columns = {name: name for name in names}
    if max(map(len, names)) > MAX_NAME:  # columns are then headed by the numbers of their rows
        columns = {name: f"({k})" for k, name in enumerate(names, start=1)}
        rows = {name: f"{columns[name]} {name}"[: WIDTH - 20] for name in names}
    first, width = max(map(len, rows.values())), max(9, *map(len, columns.values()))
    at_once = max(1, (WIDTH - first) // (width + 2))  # more columns are in further blocks
    for start in range(0, len(names), at_once):
        block = names[start : start + at_once]
        lines += ["", " " * first + "".join(f"  {columns[name]:>{width}}" for name in block)]
        for row in names:
            cells = []
            for column in block:
                won = by_pair.get((row, column, "both"))
                half = 0.0 if won is None else (won.win_rate_high - won.win_rate_low) / 2
                cells.append("-" if won is None else f"{share(won.win_rate)} +-{share(half)}")
            lines.append(f"{rows[row]:<{first}}" + "".join(f"  {cell:>{width}}" for cell in cells))
    numbers = {}
    for player, opponent in combinations(names, 2):
        both = by_pair[player, opponent, "both"]
        sides = [
            f"{share(r.win_rate)} ({share(r.win_rate_low)}-{share(r.win_rate_high)})"
            for r in (by_pair[player, opponent, side] for side in ("red", "blue"))
        ]
        bounds = f"({both.kill_difference_low:+.1f} to {both.kill_difference_high:+.1f})"
        numbers[f"{player} v {opponent}"] = (
            f"{sides[0]:>14}  {sides[1]:>14}  {share(both.draws / both.episodes):>5}  "
            f"{f'{both.kill_difference:+.1f} {bounds}':>20}"
        )
    heads = f"{'as red':>14}  {'as blue':>14}  {'draws':>5}  {'kill difference':>20}"
    return "\n".join([*lines, "", *beside("player v opponent", heads, numbers)])


def beside(title: str, heads: str, rows: Mapping[str, str]) -> list[str]:
    """Returns the lines of a table of at most `WIDTH` columns. A label that is too long for its column
    has a line of its own.

    Args:
        title: the head of the labels.
        heads: the heads of the other columns.
        rows: by label, the other columns.
    """
    room = max(len(title), WIDTH - 2 - max(map(len, [heads, *rows.values()])))
    first = max(len(label) for label in [title, *rows] if len(label) <= room)
    lines = [f"{title:<{first}}  {heads}"]
    for label, text in rows.items():
        if len(label) > first:
            lines += textwrap.wrap(label, WIDTH, break_on_hyphens=False)
            label = ""
        lines.append(f"{label:<{first}}  {text}")
    return lines


def table_of_runs(singles: list[Single]) -> str:
    """Formats the win rates of single runs, as the median and the extremes, by player and opponent.

    Args:
        singles: of one start.
    """
    rates: dict[tuple[str, str], dict[str, list[float]]] = {}
    for single in singles:
        by_side = rates.setdefault((single.player, single.opponent), {})
        by_side.setdefault(single.side, []).append(single.win_rate)
    numbers = {}
    for pair, by_side in rates.items():
        cells = [
            f"{share(float(np.median(side)))} ({share(min(side))}-{share(max(side))})"
            for side in (by_side["red"], by_side["blue"])
        ]
        numbers[" v ".join(pair)] = f"{cells[0]:>14}  {cells[1]:>14}"
    heads = f"{'as red':>14}  {'as blue':>14}"
    return "\n".join(beside("Single runs, median (extremes)", heads, numbers))
