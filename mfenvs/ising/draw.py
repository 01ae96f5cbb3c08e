"""Draws a lattice: the spins at the left, figures at the right."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mfenvs.game import Game, Step
from mfenvs.graph import NeighborGraph
from mfenvs.ising.state import State
from mfenvs.render.chart import mixed
from mfenvs.render.geometry import Color
from mfenvs.render.panel import MARGIN, Key, LegendRow, Panel, game_area

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas

# Cells of fewer pixels have neither gaps nor lines of the graph.
SMALL_CELL = 8
# Cells of at least this many pixels have dots in the graph, and gaps beside it.
LARGE_CELL = 24
FIELD_MAP = 96  # width and height of the map of a non-uniform field, pixels


def draw(game: Game, state: State, step: Step, row: int, canvas: Canvas) -> None:
    """Draws a row: its spins, its measures, and the order parameter over the frames drawn so far.

    A click on a site selects it, one on the selected site selects nobody. The selected site is framed,
    and of the graph only its links are drawn.

    Args:
        game: the rules and options.
        state: arrays of B rows.
        step: what the last step did.
        row: index of the row, 0 to B - 1.
        canvas: cleared and drawn on.
    """
    canvas.clear()
    _draw_lattice(game, state, row, canvas)

    panel, time = Panel(canvas), int(state.time[row])
    panel.header("Ising model", time, bool(step.over[row]), _options(game))
    panel.legend(*_legend(game, canvas))
    if np.ptp(game.params.field) > 0:
        _draw_field(game, panel)
    panel.table(_measures(state, row))
    order = float(state.order_parameter[row])
    panel.quantity("Order parameter", "|N↑ − N↓| / N", f"{order:.3f}")
    panel.top += 4
    history = canvas.trace("order parameter", time, order)
    panel.history((history, canvas.theme.green), y=(0.0, 1.0), x_label="step")


def _extent(canvas: Canvas) -> int:
    """Pixels along the lattice."""
    return min(game_area(canvas)[2:])


def spin_colors(canvas: Canvas) -> tuple[Color, Color]:
    """The colours of down and up. They differ in hue and in lightness, for the colour-blind."""
    return canvas.theme.blue, canvas.theme.amber


def idle_colors(canvas: Canvas) -> tuple[Color, Color]:
    """The paler colours of sites that cannot choose in the next step."""
    down, up = (mixed(color, canvas.theme.paper, 0.4) for color in spin_colors(canvas))
    return down, up


def _draw_lattice(game: Game, state: State, row: int, canvas: Canvas) -> None:
    side = game.config.side
    extent = _extent(canvas)
    # Cells of equal size, unless whole pixels would leave much of the space empty.
    cell = extent // side
    length = cell * side if cell > 1 else extent
    left = top = MARGIN + (extent - length) // 2
    _take_click(canvas, left, length, side)

    colors = np.array([idle_colors(canvas), spin_colors(canvas)], np.uint8)
    active = np.ones(side * side, int)
    if game.masks_actions:
        active = np.asarray(state.active[row]).astype(int)
    cells = colors[active, np.asarray(state.spin[row]).astype(int)].reshape(side, side, 3)
    linked = canvas.show_graph and cell >= SMALL_CELL
    # Cells of medium size have gaps or the graph, but not both.
    gap = 2 if cell >= LARGE_CELL else 1 if cell >= SMALL_CELL and not linked else 0
    canvas.image(cells, (left, top, length, length), gap)

    if linked:
        is_one = canvas.selected is not None
        y, x = np.divmod(np.arange(side * side), side)
        points = np.stack([left + (x + 0.5) * cell, top + (y + 0.5) * cell], axis=1)
        canvas.graph(
            points,
            _links(game.graph(state), canvas.selected),
            period=(length, length),
            overhang=min(cell / 2, MARGIN / 2),
            width=3 if is_one else 2 if cell >= 2 * LARGE_CELL else 1,
            dot=min(cell / 10, 6) if cell >= LARGE_CELL and not is_one else 0,
        )
    if canvas.selected is not None:
        _draw_frame(canvas, left, length, side)


def _take_click(canvas: Canvas, corner: int, length: int, side: int) -> None:
    """Selects the site that was clicked on; nobody, if it was selected before."""
    clicked, canvas.clicked = canvas.clicked, None
    if clicked is None or not all(0 <= at - corner < length for at in clicked):
        return
    x, y = ((at - corner) * side // length for at in clicked)
    site = y * side + x
    canvas.selected = None if canvas.selected == site else site


def _draw_frame(canvas: Canvas, corner: int, length: int, side: int) -> None:
    """Draws a frame around the selected site, of at least 7 pixels."""
    assert canvas.selected is not None
    y, x = divmod(canvas.selected, side)
    left, top = corner + x * length // side, corner + y * length // side
    edge = max(length // side + 4, 7)
    margin = (edge - length // side) // 2
    for width, color in ((0, canvas.theme.paper), (2, canvas.theme.ink)):
        area = (left - margin - width // 2, top - margin - width // 2, edge + width, edge + width)
        canvas.box(area, color, width=2)


def _links(graph: NeighborGraph, selected: int | None) -> np.ndarray:
    """The edges to draw: those of the selected site, or all; int64 [2, E]."""
    edges = _edges(graph)
    return edges if selected is None else edges[:, edges[0] == selected]


@lru_cache(maxsize=4)
def _edges(graph: NeighborGraph) -> np.ndarray:
    """The edges of a graph, which is immutable: int64 [2, E]. Listing them takes long."""
    return graph.edge_index()


# -- panel --------------------------------------------------------------------------------------


def _options(game: Game) -> tuple[str, str]:
    """The options in words."""
    config, field = game.config, game.params.field
    uniform = np.ptp(field) == 0
    return (
        f"{config.side} × {config.side} torus, {config.update} update"
        + (f", {100 * config.fraction:.4g} % a step" if config.update == "random" else ""),
        f"coupling λ = {config.coupling:.4g}, "
        + (f"field h = {field[0]:.4g}" if uniform else "field h as mapped below"),
    )


def _measures(state: State, row: int) -> dict[str, str]:
    """The other measures of a row, by name."""
    measures = {
        "magnetisation": state.magnetisation,
        "staggered magnetisation": state.staggered_magnetisation,
        "energy per site": state.energy,
    }
    return {name: f"{float(values[row]):+.3f}" for name, values in measures.items()}


def _legend(game: Game, canvas: Canvas) -> list[LegendRow]:
    down, up = spin_colors(canvas)
    spins = [Key("up", (up,)), Key("down", (down,))]
    if game.masks_actions:
        spins.append(Key("idle next step", tuple(reversed(idle_colors(canvas)))))
    rows: list[LegendRow] = [spins]
    if canvas.show_graph and _extent(canvas) // game.config.side >= SMALL_CELL:
        rows.append([Key("neighbours", (canvas.theme.ink,), line=True)])
    elif canvas.show_graph:
        rows.append("neighbours: too fine to draw here")
    return rows


def _draw_field(game: Game, panel: Panel) -> None:
    """Draws a map of the field, in the colours of the spins, at the bottom of the free space."""
    canvas, faint = panel.canvas, panel.canvas.theme.faint
    side, field = game.config.side, np.asarray(game.params.field)
    left, right, bottom = panel.left, panel.right, panel.bottom
    top, strongest = bottom - FIELD_MAP, float(np.abs(field).max())
    colors = _field_colors(field / strongest, canvas).reshape(side, side, 3)
    canvas.image(colors, (left, top, FIELD_MAP, FIELD_MAP))
    x = left + FIELD_MAP + 20
    canvas.text("Field h at each site", (x, top - 2), 13, bold=True)
    canvas.text(f"{field.min():.3g} to {field.max():.3g}", (x, top + 18), 13, faint)
    scale = np.linspace(-1, 1, right - x)
    canvas.image(_field_colors(scale, canvas)[None], (x, bottom - 32, right - x, 10))
    for value, at, anchor in (
        (-strongest, x, "topleft"),
        (0.0, (x + right) / 2, "midtop"),
        (strongest, right, "topright"),
    ):
        canvas.text(f"{value:.3g}", (at, bottom - 18), 12, faint, anchor)
    panel.bottom = top - 20


def _field_colors(strength: np.ndarray, canvas: Canvas) -> np.ndarray:
    """The colours of fields from -1 (down) through 0 to 1 (up): uint8 [n, 3]."""
    down, up = np.array(spin_colors(canvas), float)
    neutral = np.array(canvas.theme.rule, float)
    target = np.where(strength[:, None] < 0, down, up)
    return (neutral + np.abs(strength)[:, None] * (target - neutral)).round().astype(np.uint8)
