"""How a squeeze looks: the objective and who did what at the left; numbers and history at the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfenvs.game import Game, Step
from mfenvs.gaussian_squeeze import rules
from mfenvs.gaussian_squeeze.state import State
from mfenvs.render.chart import Plot, mixed, time_axis
from mfenvs.render.geometry import Color, Range

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas

MARGIN = 36
PANEL = 316  # width of the right part, pixels
HISTOGRAM = 190  # height of the part with the actions, pixels
TRAIL = 30  # totals of earlier frames that the objective shows
LABELS = 20  # bars of the histogram that have room for text, at most
# What a bar of full height stands for, as a share of the agents: the least that suffices.
HEIGHTS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


def draw(game: Game, state: State, step: Step, row: int, canvas: Canvas) -> None:
    """Draws a row: where its total lies, who did what, and the frames drawn so far.

    Args:
        game: the rules and options.
        state: arrays of B rows.
        step: what the last step did.
        row: which row, 0 to B - 1.
        canvas: cleared and drawn on.
    """
    canvas.clear()
    time = int(state.time[row])
    totals = canvas.trace("total", time, int(state.total[row]))
    performances = canvas.trace("performance", time, float(state.performance[row]))

    split = canvas.size[1] - MARGIN - HISTOGRAM
    _draw_hill(game, totals, canvas, split - 24)
    _draw_actions(game, np.asarray(state.count[row]), canvas, split)
    top = _draw_header(game, state, step, row, canvas)
    bottom = _draw_numbers(game, state, row, canvas, _draw_legend(canvas))
    _draw_histories(game, totals, performances, canvas, top, bottom)


def scale(game: Game) -> Range:
    """The totals that are shown: mu and three sigma around it, as far as these agents reach."""
    params, reach = game.params, game.config.reach
    low, high = params.mu - 3 * params.sigma, params.mu + 3 * params.sigma
    # The best total is there, and one more at least, where sigma is minute or mu out of reach.
    low = np.floor(np.clip(low, 0, params.best - 1)) if low < reach else 0
    return float(low), float(np.ceil(np.clip(high, params.best, reach)))


def hill(game: Game, totals: np.ndarray) -> np.ndarray:
    """Totals, which are whole, and the performance of each: float64 [n, 2]."""
    params = game.params
    heights = [rules.performance(x, params.best, params.mu, params.sigma) for x in totals.tolist()]
    return np.stack([totals, np.array(heights)], axis=1)


def told(share: float) -> str:
    """A number from 0 to 1 in few characters."""
    return f"{share:.3f}" if share >= 5e-4 or share == 0 else f"{share:.0e}"


# -- left ---------------------------------------------------------------------------------------


def _draw_hill(game: Game, totals: np.ndarray, canvas: Canvas, bottom: int) -> None:
    """Performance over the total, with the best total and those so far."""
    params, theme = game.params, canvas.theme
    plot = Plot(
        canvas,
        (MARGIN, MARGIN - 5, canvas.size[0] - PANEL - 3 * MARGIN, bottom - MARGIN + 5),
        scale(game),
        (0.0, 1.18),
        "G(x) / G*, of the objective G(x) = x exp(−(x − μ)² / σ²)",
        "total x, the sum of all actions",
    )
    columns = np.linspace(*plot.x, round(plot.right - plot.left) + 1)  # one a pixel
    curve = hill(game, np.unique(np.round(columns)))
    filling = np.interp(columns[:-1], *curve.T)
    plot.bars(columns, filling, mixed(theme.blue, theme.paper, 0.85))
    plot.line(curve, theme.blue)
    best = rules.objective(params.best, params.mu, params.sigma)
    x, y = plot.at(params.best, 1.0)
    right = x > plot.right - 130
    anchor = "bottomright" if right else "midbottom"
    words = f"best within reach: G* = {best:,.4g} at x = {params.best:,.0f}"
    canvas.text(words, (plot.right if right else x, y - 14), 13, theme.blue, anchor)
    _draw_totals(game, totals[totals[:, 0] > 0, 1], plot)


def _draw_totals(game: Game, totals: np.ndarray, plot: Plot) -> None:
    """A fading trail of dots, and the present total, which may lie beyond the axis."""
    canvas, theme = plot.canvas, plot.canvas.theme
    if len(totals) == 0:
        canvas.text("nothing played yet", (plot.left + 12, plot.top), 13, theme.faint)
        return
    points = hill(game, totals[-TRAIL:])
    for age, point in reversed(list(enumerate(points[::-1]))):
        if plot.x[0] <= point[0] <= plot.x[1]:
            x, y = plot.at(*point)
            if age == 0:
                canvas.line([(round(x), plot.bottom), (round(x), round(y))], theme.amber, 2)
            canvas.circle((x, y), 4 if age else 6, _faded(age, canvas))

    total, words = points[-1, 0], f"x = {points[-1, 0]:,.0f}"
    x, y = plot.at(*points[-1])
    if total > plot.x[1]:
        at, anchor, words = (plot.right, plot.bottom - 36), "midright", f"{words} →"
    elif total < plot.x[0]:
        at, anchor, words = (plot.left, plot.bottom - 36), "midleft", f"← {words}"
    elif x > plot.left + 100 and (total < game.params.best or x > plot.right - 100):
        at, anchor = (x - 12, y), "midright"  # on the outer side of the hill, if there is room
    else:
        at, anchor = (x + 12, y), "midleft"
    canvas.text(words, at, 15, theme.ink, anchor, bold=True)


def _faded(age: int, canvas: Canvas) -> Color:
    """The colour of the total of some frames ago."""
    return mixed(canvas.theme.amber, canvas.theme.paper, 0.3 + 0.4 * age / TRAIL if age else 0.0)


def _draw_actions(game: Game, count: np.ndarray, canvas: Canvas, top: int) -> None:
    """How many agents took each action: a bar each, and one apart for those who took none."""
    theme, left = canvas.theme, MARGIN
    right, floor = canvas.size[0] - PANEL - 2 * MARGIN - 14, canvas.size[1] - MARGIN - 20
    canvas.text("Agents by action", (left, top), 13, bold=True)
    full = game.num_agents * next(h for h in HEIGHTS if h * game.num_agents >= count.max())
    rise = floor - top - 44

    def bar(x: float, width: float, n: int, name: str, color: Color) -> None:
        edge, height = round(x), round(rise * n / full)
        canvas.box((edge, floor - height, max(round(x + width) - edge - 2, 1), height), color)
        if name:
            canvas.text(name, (x + width / 2, floor + 5), 12, theme.faint, "midtop")
        if n and len(count) <= LABELS:
            canvas.text(f"{n:,}", (x + width / 2, floor - height - 3), 12, theme.ink, "midbottom")

    none, taken = int(count[0]), count[1:].tolist()
    apart = 1.5 if none else 0.0
    width = (right - left) / (len(taken) + apart)
    if none:
        bar(left, width, none, "none", theme.faint)
    every = -(-len(taken) // LABELS)
    for action, n in enumerate(taken):
        name = f"{action}" if action % every == 0 else ""
        bar(left + (apart + action) * width, width, n, name, theme.blue)
    canvas.line([(left, floor), (right, floor)], theme.faint)


# -- right --------------------------------------------------------------------------------------


def _sides(canvas: Canvas) -> tuple[int, int]:
    """Left and right end of the panel."""
    return canvas.size[0] - MARGIN - PANEL, canvas.size[0] - MARGIN


def _draw_header(game: Game, state: State, step: Step, row: int, canvas: Canvas) -> int:
    """What is played, and when. Returns the y below."""
    config, (left, right), top = game.config, _sides(canvas), MARGIN - 5
    canvas.text("Gaussian squeeze", (left, top), 24, bold=True)
    time = f"step {int(state.time[row]):,}" + (" (last)" if step.over[row] else "")
    canvas.text(time, (right, top + 26), 14, anchor="bottomright")
    each = {"shared": "G(x)", "per_agent": "G(x) / N", "optimum": "G(x) / G*"}[config.reward]
    agents = "1 agent" if config.num_agents == 1 else f"{config.num_agents:,} agents"
    lines = (
        f"{agents}, actions 0 to {config.num_actions - 1}",
        f"μ = {config.mu:.5g}, σ = {config.sigma:.5g}, reward {each}",
    )
    for index, line in enumerate(lines):
        canvas.text(line, (left, top + 38 + 20 * index), 13, canvas.theme.faint)
    return top + 104


def _draw_histories(
    game: Game,
    totals: np.ndarray,
    performances: np.ndarray,
    canvas: Canvas,
    top: int,
    bottom: int,
) -> None:
    """Performance and total over the frames drawn so far, one below the other."""
    theme, (left, right) = canvas.theme, _sides(canvas)
    canvas.text("Performance", (left, top), 15, bold=True)
    canvas.text("G(x) / G*", (left, top + 22), 13, theme.faint)
    score = told(float(performances[-1, 1]))
    canvas.text(score, (right, top - 5), 34, anchor="topright", bold=True)

    time, top = time_axis(performances), top + 44
    middle = (top + bottom) // 2 - 10
    plot = Plot(canvas, (left, top, PANEL, middle - top), time, (0.0, 1.0))
    plot.line(performances, theme.green)
    canvas.circle(plot.at(*performances[-1]), 4, theme.green)

    low, high = scale(game)
    span = (min(low, totals[:, 1].min()), max(high, 1.05 * totals[:, 1].max()))
    plot = Plot(
        canvas, (left, middle + 4, PANEL, bottom - middle - 4), time, span, "Total x", "step"
    )
    level = round(plot.at(0, game.params.best)[1])
    canvas.line([(plot.left, level), (plot.right, level)], theme.blue)
    plot.line(totals, theme.amber)
    canvas.circle(plot.at(*totals[-1]), 4, theme.amber)


def _draw_numbers(game: Game, state: State, row: int, canvas: Canvas, bottom: int) -> int:
    """A table above ``bottom``. Returns the y above it."""
    none, total = int(state.count[row, 0]), int(state.total[row])
    acting = game.num_agents - none
    entries = {
        "objective G(x)": f"{float(state.objective[row]):.5g}",
        "mean action": f"{total / acting:.4g}" if acting else "–",
        "total x, of at most": f"{total:,} / {game.config.reach:,}",
    }
    return canvas.table(*_sides(canvas), bottom - 18, entries) - 18


def _draw_legend(canvas: Canvas) -> int:
    """The bottom lines of the panel. Returns the y above."""
    (left, _), theme, y = _sides(canvas), canvas.theme, canvas.size[1] - MARGIN - 7
    if canvas.show_graph:
        canvas.text("neighbours: everybody else", (left, y), 13, theme.faint, "midleft")
        y -= 24
    x = canvas.legend((left, y), "total", theme.amber, line=True)
    x = canvas.legend((x + 24, y), "before", _faded(TRAIL // 2, canvas))
    canvas.legend((x + 24, y), "best within reach", theme.blue)
    return y - 30
