"""The figure of the battle study."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np

from mfq.common.files import write_atomically
from mfq.studies.battle.config import SIDES, Result
from mfq.studies.battle.tables import names_in, share


def write_figure(results: list[Result], path: Path) -> Path:
    """Draws the matrices of win rates, both sides together and apart; a line of them for each start.

    Returns:
        The path.
    """
    # Not pyplot: such a figure changes no global state and needs no screen.
    from matplotlib.figure import Figure

    names, starts = names_in(results), list(dict.fromkeys(r.placement for r in results))
    by_pair = {(r.placement, r.player, r.opponent, r.side): r for r in results}
    edge = 1.2 + 0.62 * len(names)
    size = 3 * edge + 1.2, (edge + 0.7) * len(starts)
    figure = Figure(figsize=size, layout="constrained", dpi=150)
    panels = figure.subplots(len(starts), len(SIDES), sharey=True, squeeze=False)
    for axes, (start, side) in zip(panels.flat, product(starts, SIDES), strict=True):
        rates = np.full((len(names), len(names)), np.nan)
        for (i, row), (j, column) in product(enumerate(names), enumerate(names)):
            if row == column:
                continue
            r = by_pair[start, row, column, side]
            rates[i, j] = r.win_rate
            ink = "white" if abs(r.win_rate - 0.5) > 0.3 else "black"
            place = {"ha": "center", "color": ink}
            axes.text(j, i - 0.08, share(r.win_rate), va="center", fontsize=10, **place)
            bounds = f"{share(r.win_rate_low)}-{share(r.win_rate_high)}"
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
