"""The layout that pictures of games share: the game at the left, a panel of figures at the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfenvs.render.chart import Plot, time_axis
from mfenvs.render.geometry import Area, Color, Range

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas

MARGIN = 36  # pixels around the picture, and between its parts
WIDTH = 316  # of the panel, pixels
LONG = 12  # characters of a title in large print
LINE = 24  # from one line of the legend to the next, pixels


class Key(NamedTuple):
    """An entry of a legend: a label beside swatches of the colours, or beside a line."""

    label: str
    colors: tuple[Color, ...]
    line: bool = False


LegendRow = str | Sequence[Key] | Callable[[int], object]


def game_area(canvas: Canvas) -> Area:
    """The part of a picture at the left of the panel."""
    width, height = canvas.size
    return MARGIN, MARGIN, width - WIDTH - 3 * MARGIN, height - 2 * MARGIN


class Panel:
    """The right-hand part of a picture. Each method draws a part and shrinks the free space.

    A header and quantities go to its top, a legend and then tables to its bottom, histories between
    them.

    Args:
        canvas: the canvas to draw on.

    Attributes:
        left, right: x of its ends.
        top, bottom: y of the ends of the free space.
    """

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        width, height = canvas.size
        self.left, self.right = width - MARGIN - WIDTH, width - MARGIN
        self.top, self.bottom = MARGIN - 5, height - MARGIN

    def header(self, title: str, time: int, over: bool, lines: Sequence[str]) -> None:
        """Draws the game's name, the step, and two lines on the options.

        Args:
            title: the game's name.
            time: the number of the step.
            over: whether it is the last of its episode.
            lines: of text, in small print.
        """
        canvas, left, top = self.canvas, self.left, self.top
        # A long title leaves room for the step.
        size = 24 if len(title) <= LONG else 18
        canvas.text(title, (left, top + 24 - size), size, bold=True)
        step = f"step {time:,}" + (" (last)" if over else "")
        canvas.text(step, (self.right, top + 26), 14, anchor="bottomright")
        for index, line in enumerate(lines):
            canvas.text(line, (left, top + 38 + 20 * index), 13, canvas.theme.faint)
        self.top += 104

    def quantity(self, name: str, formula: str, value: str) -> None:
        """Draws a quantity: its name and formula at the left, its value in large print at the right."""
        self.canvas.text(name, (self.left, self.top), 15, bold=True)
        self.canvas.text(formula, (self.left, self.top + 22), 13, self.canvas.theme.faint)
        self.canvas.text(value, (self.right, self.top - 5), 34, anchor="topright", bold=True)
        self.top += 44

    def history(
        self,
        *curves: tuple[np.ndarray, Color],
        y: Range,
        title: str = "",
        x_label: str = "",
        height: int | None = None,
        level: tuple[float, Color] | None = None,
    ) -> None:
        """Draws a chart of one or more quantities over time, with a dot at the present.

        Args:
            curves: each a `Canvas.trace` and its colour.
            y: the range of the y axis.
            title, x_label: above the chart and below its x axis; none if empty.
            height: in pixels; None for all of the free space.
            level: a value to mark by a horizontal line, and its colour.
        """
        canvas = self.canvas
        height = self.bottom - self.top if height is None else height
        area, time = (self.left, self.top, WIDTH, height), time_axis(curves[0][0])
        plot = Plot(canvas, area, time, y, title, x_label)
        if level is not None:
            at = round(plot.at(0, level[0])[1])
            canvas.line([(plot.left, at), (plot.right, at)], level[1])
        for points, color in curves:
            plot.line(points, color)
            canvas.circle(plot.at(*points[-1]), 4, color)
        self.top += height

    def table(self, entries: dict[str, str]) -> None:
        """Draws names at the left and their values at the right, a line each."""
        top = self.canvas.table(self.left, self.right, self.bottom - 18, entries)
        self.bottom = top - 18

    def legend(self, *rows: LegendRow) -> None:
        """Draws the legend at the bottom of the free space.

        Args:
            rows: from top to bottom. A sequence of entries is drawn from left to right, a string as a
                note in small print; a function is called with the y of the middle of its row.
        """
        canvas, y = self.canvas, self.bottom - 7
        for row in reversed(rows):
            if isinstance(row, str):
                canvas.text(row, (self.left, y), 13, canvas.theme.faint, "midleft")
            elif callable(row):
                row(y)
            else:
                x = self.left
                for label, colors, line in row:
                    x = canvas.legend((x, y), label, *colors, line=line) + 24
            y -= LINE
        self.bottom = y + LINE - 30
