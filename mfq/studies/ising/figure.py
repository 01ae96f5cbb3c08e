"""The figure of the Ising study."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mfq.studies import style
from mfq.studies.ising.config import IsingStudy, Result
from mfq.studies.style import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Marker, colour, label and size of each method.
_LOOKS = {
    "monte_carlo": ("s", "#7f7f7f", "Monte Carlo, {side} x {side}", 8),
    "mfq": ("o", COLOURS["mfq"], "MFQ (checkerboard)", 5),
    "iql-observing": ("D", COLOURS["ac"], "IQL that observes its neighbours (checkerboard)", 10),
    "iql": ("^", COLOURS["iql"], "IQL that observes nothing (checkerboard)", 6),
    "mfq-previous": ("x", COLOURS["other"], "MFQ, previous pairing (synchronous)", 6),
}


def draw(study: IsingStudy, results: list[Result]) -> Figure:
    """Draws the order parameter of every method over tau, between the two theories.

    Args:
        study: a resolved study.
        results: its results.
    """
    from mfenvs.ising import exact

    with style.style():
        figure = style.new_figure(5.4)
        axes = figure.add_subplot()
        top = max(result.tau for result in results) * 1.03
        grid = np.linspace(min(result.tau for result in results) * 0.9, top, 600)
        if study.field == 0:
            onsager = exact.onsager_magnetisation(grid, study.coupling)
            axes.plot(grid, onsager, color="black", label="Onsager, exact (infinite lattice)")
        weiss = np.abs(exact.weiss_magnetisation(grid, study.coupling, study.field))
        axes.plot(grid, weiss, color="black", ls="--", label="Weiss mean-field theory")
        for name, (marker, colour, label, size) in _LOOKS.items():
            points = [result for result in results if result.method == name]
            order = np.array([result.order_parameter for result in points])
            bars = np.nan_to_num(
                [[r.order_parameter - r.low, r.high - r.order_parameter] for r in points]
            )
            axes.errorbar(
                [result.tau for result in points],
                order,
                np.maximum(bars, 0).T,
                fmt=marker,
                color=colour,
                mfc="none" if name in ("iql-observing", "monte_carlo") else colour,
                ms=size,
                zorder=2 if name == "iql-observing" else 3,  # MFQ's points cover it
                capsize=2,
                lw=1,
                label=label.format(side=study.side),
            )
        # E|m| of fair coins, whose sum is close to a normal one.
        style.draw_random_play(axes, math.sqrt(2 / math.pi) / study.side)
        axes.set(
            xlabel=r"temperature $\tau$ (policy $\propto e^{Q/\tau}$)",
            ylabel=r"order parameter $|m|$",
            xlim=(grid[0], grid[-1]),
            ylim=(-0.02, 1.03),
        )
        if study.field == 0:
            critical = exact.critical_temperature(study.coupling)
            axes.axvline(critical, color="black", lw=0.8, ls=":")
            axes.annotate(r" $\tau_c$", (critical, 0.06), va="bottom")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def write_figure(study: IsingStudy, results: list[Result], path: Path) -> Path:
    """Writes the figure of `draw`. Returns the path."""
    return style.write(draw(study, results), path)
