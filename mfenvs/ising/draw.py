"""How a lattice looks: the spins at the left; numbers, history and legend at the right."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mfenvs.game import Game, Step
from mfenvs.graph import NeighborGraph
from mfenvs.ising.state import State
from mfenvs.render.chart import Plot, mixed, time_axis
from mfenvs.render.geometry import Color

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas

MARGIN = 36
PANEL = 316  # width of the right part, pixels
# Cells of fewer pixels have no gaps, and no room for the graph.
SMALL_CELL = 8
# Cells of at least so many pixels have room for a bold graph.
LARGE_CELL = 24
FIELD_MAP = 96  # width and height of the map of a non-uniform field, pixels


def draw(game: Game, state: State, step: Step, row: int, canvas: Canvas) -> None:
    """Draws a row: its spins, its numbers, and the order parameter over the frames drawn so far.

    Args:
        game: the rules and options.
        state: arrays of B rows.
        step: what the last step did.
        row: which row, 0 to B - 1.
        canvas: cleared and drawn on.
    """
    canvas.clear()
    _draw_lattice(game, state, row, canvas)
    top = _draw_header(game, state, step, row, canvas)
    bottom = _draw_legend(game, canvas)
    if np.ptp(game.params.field) > 0:
        bottom = _draw_field(game, canvas, bottom)
    bottom = _draw_numbers(state, row, canvas, bottom)
    _draw_history(game, state, row, canvas, top, bottom)


def _extent(canvas: Canvas) -> int:
    """Pixels along the lattice."""
    return min(canvas.size[1], canvas.size[0] - PANEL - MARGIN) - 2 * MARGIN


def spin_colors(canvas: Canvas) -> tuple[Color, Color]:
    """The colours of down and up: apart in hue for the colour-blind, and in lightness for all."""
    return canvas.theme.blue, canvas.theme.amber


def idle_colors(canvas: Canvas) -> tuple[Color, Color]:
    """The paler colours of sites that hold their spin in the next step."""
    down, up = (mixed(color, canvas.theme.paper, 0.4) for color in spin_colors(canvas))
    return down, up


def _draw_lattice(game: Game, state: State, row: int, canvas: Canvas) -> None:
    side = game.config.side
    extent = _extent(canvas)
    # Cells of equal size, unless whole pixels would leave much of the space empty.
    cell = extent // side
    length = cell * side if cell > 1 else extent
    left = top = MARGIN + (extent - length) // 2

    colors = np.array([idle_colors(canvas), spin_colors(canvas)], np.uint8)
    lively = np.ones(side * side, int)
    if game.masks_actions:
        lively = np.asarray(state.active[row]).astype(int)
    cells = colors[lively, np.asarray(state.spin[row]).astype(int)].reshape(side, side, 3)
    linked = canvas.show_graph and cell >= SMALL_CELL
    # On cells of middling size, gaps and the graph together would be a thicket.
    gap = 2 if cell >= LARGE_CELL else 1 if cell >= SMALL_CELL and not linked else 0
    canvas.image(cells, (left, top, length, length), gap)

    if linked:
        y, x = np.divmod(np.arange(side * side), side)
        points = np.stack([left + (x + 0.5) * cell, top + (y + 0.5) * cell], axis=1)
        canvas.graph(
            points,
            _edges(game.graph(state)),
            period=(length, length),
            overhang=min(cell / 2, MARGIN / 2),
            width=2 if cell >= 2 * LARGE_CELL else 1,
            dot=min(cell / 10, 6) if cell >= LARGE_CELL else 0,
        )


@lru_cache(maxsize=4)
def _edges(graph: NeighborGraph) -> np.ndarray:
    """The edges of a graph, which is immutable: int64 [2, E]. Slow to list for every frame."""
    return graph.edge_index()


def _draw_header(game: Game, state: State, step: Step, row: int, canvas: Canvas) -> int:
    """What is played, and when. Returns the y below."""
    config, field = game.config, game.params.field
    left, right, top = canvas.size[0] - MARGIN - PANEL, canvas.size[0] - MARGIN, MARGIN - 5
    canvas.text("Ising model", (left, top), 24, bold=True)
    time = f"step {int(state.time[row]):,}" + (" (last)" if step.over[row] else "")
    canvas.text(time, (right, top + 26), 14, anchor="bottomright")
    uniform = np.ptp(field) == 0
    lines = (
        f"{config.side} × {config.side} torus, {config.update} update"
        + (f", {100 * config.fraction:.4g} % a step" if config.update == "random" else ""),
        f"coupling λ = {config.coupling:.4g}, "
        + (f"field h = {field[0]:.4g}" if uniform else "field h as mapped below"),
    )
    for index, line in enumerate(lines):
        canvas.text(line, (left, top + 38 + 20 * index), 13, canvas.theme.faint)
    return top + 104


def _draw_history(
    game: Game, state: State, row: int, canvas: Canvas, top: int, bottom: int
) -> None:
    time, value = int(state.time[row]), float(state.order_parameter[row])
    left, right = canvas.size[0] - MARGIN - PANEL, canvas.size[0] - MARGIN
    canvas.text("Order parameter", (left, top), 15, bold=True)
    canvas.text("|N↑ − N↓| / N", (left, top + 22), 13, canvas.theme.faint)
    canvas.text(f"{value:.3f}", (right, top - 5), 34, anchor="topright", bold=True)

    history = canvas.trace("order parameter", time, value)
    area = (left, top + 48, PANEL, bottom - top - 48)
    plot = Plot(canvas, area, time_axis(history), (0.0, 1.0), x_label="step")
    plot.line(history, canvas.theme.green)
    canvas.circle(plot.at(time, value), 4, canvas.theme.green)


def _draw_numbers(state: State, row: int, canvas: Canvas, bottom: int) -> int:
    """A table above ``bottom``. Returns the y above it."""
    left, right = canvas.size[0] - MARGIN - PANEL, canvas.size[0] - MARGIN
    numbers = {
        "magnetisation": state.magnetisation,
        "staggered magnetisation": state.staggered_magnetisation,
        "energy per site": state.energy,
    }
    shown = {name: f"{float(values[row]):+.3f}" for name, values in numbers.items()}
    return canvas.table(left, right, bottom - 18, shown) - 18


def _draw_field(game: Game, canvas: Canvas, bottom: int) -> int:
    """A map of the field above ``bottom``, in the spins' colours. Returns the y above it."""
    side, field = game.config.side, np.asarray(game.params.field)
    left, right, top = canvas.size[0] - MARGIN - PANEL, canvas.size[0] - MARGIN, bottom - FIELD_MAP
    strongest = float(np.abs(field).max())
    canvas.image(
        _field_colors(field / strongest, canvas).reshape(side, side, 3),
        (left, top, FIELD_MAP, FIELD_MAP),
    )
    x = left + FIELD_MAP + 20
    canvas.text("Field h at each site", (x, top - 2), 13, bold=True)
    canvas.text(f"{field.min():.3g} to {field.max():.3g}", (x, top + 18), 13, canvas.theme.faint)
    scale = np.linspace(-1, 1, right - x)
    canvas.image(_field_colors(scale, canvas)[None], (x, bottom - 32, right - x, 10))
    for value, at, anchor in (
        (-strongest, x, "topleft"),
        (0.0, (x + right) / 2, "midtop"),
        (strongest, right, "topright"),
    ):
        canvas.text(f"{value:.3g}", (at, bottom - 18), 12, canvas.theme.faint, anchor)
    return top - 20


def _field_colors(strength: np.ndarray, canvas: Canvas) -> np.ndarray:
    """Colours of fields from -1 (down) over 0 to 1 (up): uint8 [n, 3]."""
    down, up = np.array(spin_colors(canvas), float)
    neutral = np.array(canvas.theme.rule, float)
    target = np.where(strength[:, None] < 0, down, up)
    return (neutral + np.abs(strength)[:, None] * (target - neutral)).round().astype(np.uint8)


def _draw_legend(game: Game, canvas: Canvas) -> int:
    """The bottom lines of the panel. Returns the y above."""
    left, bottom = canvas.size[0] - MARGIN - PANEL, canvas.size[1] - MARGIN
    cell = _extent(canvas) // game.config.side
    y = bottom - 7
    if canvas.show_graph:
        if cell >= SMALL_CELL:
            canvas.legend((left, y), "neighbours", canvas.theme.ink, line=True)
        else:
            canvas.text(
                "neighbours: too fine to draw here", (left, y), 13, canvas.theme.faint, "midleft"
            )
        y -= 24
    down, up = spin_colors(canvas)
    x = canvas.legend((left, y), "up", up)
    x = canvas.legend((x + 24, y), "down", down)
    if game.masks_actions:
        canvas.legend((x + 24, y), "idle next step", *reversed(idle_colors(canvas)))
    return y - 30
