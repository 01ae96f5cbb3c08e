"""The style of all figures: size, fonts, and colours that colour-blind readers tell apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfq.common.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 8.3
"""Inches. A README shows a figure 830 pixels wide, so that an inch has 100 of them; the site 736."""

COLOURS = {
    "mfq": "#0072B2",
    "iql": "#C44E00",
    "mfac": "#56B4E9",
    "ac": "#F0A830",
    "other": "#5E1040",
}
"""The colours of algorithms: blue with a mean field, orange without.

Under simulated protanopia, deuteranopia and tritanopia the least distance in Oklab is 0.18.
"""

RANDOM_PLAY = "#8A8A8A"
"""The colour of random play, a dashed line."""

TITLES = {"mfq": "MFQ", "iql": "IQL", "mfac": "MF-AC", "ac": "AC", "random": "random play"}
"""The algorithms' names in titles."""

_OPTIONS: dict[Any, Any] = {
    "figure.dpi": 200,
    "savefig.dpi": 200,
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.8,
    "ytick.labelsize": 7.8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.5,
}
_METRIC = re.compile(
    r"eval_(random_play_)?(.+)_(win_rate|draw_rate|kill_difference|kills|survivors|return)"
    r"(?:_as_(\w+))?"
)


@contextmanager
def style() -> Iterator[None]:
    """Applies the options of figures to what is drawn within."""
    import matplotlib as mpl

    with mpl.rc_context(_OPTIONS):
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Returns an empty figure, in inches; not pyplot's, which needs a screen and keeps global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def write(figure: Figure, path: Path) -> Path:
    """Writes a figure. Returns the path."""
    return write_atomically(path, lambda file: figure.savefig(file, dpi=_OPTIONS["savefig.dpi"]))


def colours(names: Iterable[str]) -> dict[str, Any]:
    """Returns a colour for each name: its algorithm's, otherwise one that no other name has.

    Where there are more names than colours, colours repeat.
    """
    names = list(dict.fromkeys(names))
    free = [colour for name, colour in COLOURS.items() if name not in names] or list(
        COLOURS.values()
    )
    others = [name for name in names if name not in COLOURS]
    return {name: COLOURS[name] for name in names if name in COLOURS} | {
        name: free[k % len(free)] for k, name in enumerate(others)
    }


def title(name: str) -> str:
    """Returns the name of an algorithm or environment in words: "MF-AC" for "mfac"."""
    if name in TITLES:
        return TITLES[name]
    # matplotlib takes what stands between dollar signs for a formula.
    return re.sub(r"_v\d+$", "", name).replace("_", " ").replace("$", r"\$")


def metric_title(metric: str) -> str:
    """Returns a column of a log in words.

    "eval_rush_win_rate_as_red" is "win rate against rush, as red".
    """
    parts = _METRIC.fullmatch(metric)
    if parts is None:
        return metric.removeprefix("eval_").replace("_", " ")
    of_random_play, opponent, what, side = parts.groups()
    words = f"{what.replace('_', ' ')} against {title(opponent)}"
    words += f", as {side}" if side else ""
    return f"{words}, of random play" if of_random_play else words


def draw_random_play(axes: Axes, value: float, label: str | None = "random play") -> None:
    """Draws the score of random play as a dashed line."""
    axes.axhline(value, color=RANDOM_PLAY, linestyle="--", linewidth=1, label=label, zorder=1)
