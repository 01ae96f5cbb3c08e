"""The figure of the Ising study."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mfq.common.files import write_atomically
from mfq.studies.ising.config import IsingStudy, Result


def write_figure(study: IsingStudy, results: list[Result], path: Path) -> Path:
    """Draws the order parameter of every method over tau, between the two theories.

    Args:
        study: a resolved study.
        results: its results.
        path: where the image is written.

    Returns:
        The path.
    """
    # Not pyplot: such a figure changes no global state and needs no screen.
    from matplotlib.figure import Figure

    from mfenvs.ising import exact

    figure = Figure(figsize=(7.5, 5.6), layout="constrained", dpi=150)
    axes = figure.add_subplot()
    top = max(result.tau for result in results) * 1.03
    grid = np.linspace(min(result.tau for result in results) * 0.9, top, 600)
    if study.field == 0:
        onsager = exact.onsager_magnetisation(grid, study.coupling)
        axes.plot(grid, onsager, color="black", lw=1.4, label="Onsager, exact (infinite lattice)")
    weiss = np.abs(exact.weiss_magnetisation(grid, study.coupling, study.field))
    axes.plot(grid, weiss, color="black", lw=1.4, ls="--", label="Weiss mean-field theory")
    looks = {
        "monte_carlo": ("s", "#7f7f7f", f"Monte Carlo, {study.side} x {study.side}", 8),
        "mfq": ("o", "#0072B2", "MFQ (checkerboard)", 5),
        "iql-observing": ("D", "#CC79A7", "IQL that observes its neighbours (checkerboard)", 10),
        "iql": ("^", "#D55E00", "IQL that observes nothing (checkerboard)", 6),
        "mfq-previous": ("x", "#009E73", "MFQ, previous pairing (synchronous)", 6),
    }
    for name, (marker, colour, label, size) in looks.items():
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
            label=label,
        )
    axes.set(
        xlabel=r"temperature $\tau$ (policy $\propto e^{Q/\tau}$)",
        ylabel=r"order parameter $|m|$",
        xlim=(grid[0], grid[-1]),
        ylim=(-0.02, 1.03),
    )
    if study.field == 0:
        critical = exact.critical_temperature(study.coupling)
        axes.axvline(critical, color="black", lw=0.8, ls=":")
        axes.annotate(r" $\tau_c$", (critical, 0.0), va="bottom")
    figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    return write_atomically(path, figure.savefig)
