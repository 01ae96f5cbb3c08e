"""Charts on a `Canvas`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mfenvs.render.geometry import Area, Color, Range

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas

# Lengths of a time axis, in steps. Time is an int32.
HORIZONS = tuple(first * 10**zeros for zeros in range(1, 10) for first in (2, 5, 10))


class Plot:
    """A chart: axes in an area of a canvas, and curves on them.

    Args:
        canvas: the canvas to draw on.
        area: the area of the chart with its labels.
        x, y: the ranges of the axes.
        title, x_label: above the chart and below its x axis; none if empty.
    """

    def __init__(
        self, canvas: Canvas, area: Area, x: Range, y: Range, title: str = "", x_label: str = ""
    ) -> None:
        self.canvas, self.x, self.y = canvas, x, y
        theme, (left, top, width, height) = canvas.theme, area
        # The tick labels, the title and the x label lie between the area and the axes.
        self.left, self.top = left + 34, top + (26 if title else 8)
        self.right, self.bottom = left + width - 14, top + height - (38 if x_label else 22)
        canvas.text(title, (left, top), 13, theme.ink, bold=True)
        for value in ticks(*y):
            level = round(self.at(x[0], value)[1])
            canvas.line([(self.left, level), (self.right, level)], theme.rule)
            canvas.text(f"{value:,g}", (self.left - 8, level), 12, theme.faint, "midright")
        for value in ticks(*x):
            along = round(self.at(value, y[0])[0])
            canvas.line([(along, self.bottom), (along, self.bottom + 4)], theme.faint)
            canvas.text(f"{value:,g}", (along, self.bottom + 7), 12, theme.faint, "midtop")
        canvas.line([(self.left, self.bottom), (self.right, self.bottom)], theme.faint)
        below = ((self.left + self.right) / 2, top + height)
        canvas.text(x_label, below, 12, theme.faint, "midbottom")

    def at(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Returns the pixels of points, numbers or arrays, clipped to the axes."""
        across = np.clip((x - self.x[0]) / (self.x[1] - self.x[0]), 0, 1)
        up = np.clip((y - self.y[0]) / (self.y[1] - self.y[0]), 0, 1)
        return (
            self.left + across * (self.right - self.left),
            self.bottom - up * (self.bottom - self.top),
        )

    def line(self, points: np.ndarray, color: Color, width: int = 2) -> None:
        """Draws a curve through points, floats [n, 2]; nothing for a single one."""
        if len(points) > 1:
            pixels = np.stack(self.at(points[:, 0], points[:, 1]), axis=1)
            self.canvas.line(pixels.tolist(), color, width)

    def bars(self, edges: np.ndarray, heights: np.ndarray, color: Color) -> None:
        """Draws a histogram: ``heights`` [n] between the ``edges`` [n + 1]."""
        x, top = np.round(self.at(edges, np.append(heights, 0))).astype(int).tolist()
        for left, right, level in zip(x[:-1], x[1:], top[:-1], strict=True):
            area = (left, level, max(right - left - 1, 1), self.bottom - level)
            self.canvas.box(area, color)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Returns round values in [low, high], 1, 2 or 5 times a power of ten apart, in ``most`` steps."""
    power = 10.0 ** np.floor(np.log10((high - low) / most))
    steps = (factor * power for factor in (1, 2, 5, 10))
    step = next(step for step in steps if (high - low) / step < most + 1e-9)
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [float(np.round(k * step, 12)) for k in range(first, last + 1)]


def time_axis(history: np.ndarray) -> Range:
    """Returns the range of a time axis for a `Canvas.trace`. It grows in few, round steps."""
    start, now = int(history[0, 0]), int(history[-1, 0])
    return start, start + next(steps for steps in HORIZONS if start + steps >= now)


def mixed(color: Color, other: Color, share: float) -> Color:
    """Mixes two colours, the second with weight ``share`` in [0, 1]."""
    red, green, blue = (
        round(one + share * (two - one)) for one, two in zip(color, other, strict=True)
    )
    return red, green, blue
