"""The figure of the battle study."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mfq.studies import style
from mfq.studies.battle.config import SIDES, Result
from mfq.studies.battle.tables import names_in, share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIDES = {"both": "both sides", "red": "the row as red", "blue": "the row as blue"}
_STARTS = {"paper": "fixed start", "random": "random starts"}
_LEAST_CELL = 0.46  # inches, which an interval needs
_LABELS = 0.75  # inches, of the names at the left


def draw(results: list[Result]) -> Figure:
    """Draws the matrices of win rates, on both sides together and apart, for each start."""
    names, starts = names_in(results), list(dict.fromkeys(r.placement for r in results))
    by_pair = {(r.placement, r.player, r.opponent, r.side): r for r in results}
    panels = list(product(starts, SIDES))
    room = style.WIDTH - _LABELS
    columns = max(1, min(len(SIDES), int(room / (_LEAST_CELL * len(names) + 0.1))))
    if len(starts) == columns == 2:  # a column for each start
        panels = [(start, side) for side, start in product(SIDES, starts)]
    lines = -(-len(panels) // columns)
    cell = min(0.6, max(_LEAST_CELL, (room / columns - 0.1) / len(names)))
    width = max(style.WIDTH, _LABELS + cell * len(names) + 0.1)
    with style.style():
        figure = style.new_figure(lines * (cell * len(names) + 0.85) + 0.25, width)
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for k, (start, side) in enumerate(panels):
            rates = {
                pair: by_pair[start, *pair, side]
                for pair in product(names, names)
                if pair[0] != pair[1]
            }
            _draw_matrix(grid.flat[k], names, rates, k % columns == 0)
            words = filter(None, (_SIDES[side], _STARTS.get(start, start)))
            grid.flat[k].set_title(", ".join(words))
        figure.supxlabel(
            "win rate of the row against the column, with its 95% interval", fontsize=8
        )
    return figure


def _draw_matrix(
    axes: Axes, names: list[str], results: dict[tuple[str, str], Result], labels: bool
) -> None:
    """Draws the win rates of one side and start, by (player, opponent)."""
    rates = np.array([[results[i, j].win_rate if i != j else np.nan for j in names] for i in names])
    picture = axes.imshow(rates, cmap="PuOr", vmin=0, vmax=1)
    axes.set_facecolor("#e8e8e8")
    for (i, row), (j, column) in product(enumerate(names), enumerate(names)):
        if row == column:
            continue
        r = results[row, column]
        red, green, blue, _ = picture.cmap(r.win_rate)
        dark = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 < 0.18
        ink: Any = {"ha": "center", "va": "center", "color": "white" if dark else "black"}
        axes.text(j, i - 0.14, share(r.win_rate), fontsize=9, **ink)
        bounds = f"{share(r.win_rate_low)}-{share(r.win_rate_high)}"
        axes.text(j, i + 0.24, bounds, fontsize=7.4, **ink)
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names if labels else [])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def write_figure(results: list[Result], path: Path) -> Path:
    """Writes the figure of `draw`. Returns the path."""
    return style.write(draw(results), path)
