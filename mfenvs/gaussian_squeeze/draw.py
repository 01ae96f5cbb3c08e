"""Draws a squeeze: the objective and the actions at the left, figures at the right."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mfenvs.game import Game, Step
from mfenvs.gaussian_squeeze import rules
from mfenvs.gaussian_squeeze.state import State
from mfenvs.render.chart import Plot, mixed
from mfenvs.render.geometry import Color, Range
from mfenvs.render.panel import MARGIN, Key, LegendRow, Panel, game_area

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas

HISTOGRAM = 190  # height of the histogram of actions, pixels
TRAIL = 30  # totals of earlier frames on the objective's curve
MAX_LABELS = 20  # bars of the histogram with text, at most
# The share of the agents for which a bar has full height: the least that suffices is used.
HEIGHTS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


def draw(game: Game, state: State, step: Step, row: int, canvas: Canvas) -> None:
    """Draws a row: its total on the objective's curve, its actions, and the frames drawn so far.

    A click on a bar of the actions selects one of its agents, further clicks the next ones. The bar of
    the selected agent has a frame.

    Args:
        game: the rules and options.
        state: arrays of B rows.
        step: what the last step did.
        row: index of the row, 0 to B - 1.
        canvas: cleared and drawn on.
    """
    canvas.clear()
    time, count = int(state.time[row]), np.asarray(state.count[row])
    totals = canvas.trace("total", time, int(state.total[row]))
    performances = canvas.trace("performance", time, float(state.performance[row]))

    split = canvas.size[1] - MARGIN - HISTOGRAM
    _draw_objective(game, totals, canvas, split - 24)
    _draw_actions(game, count, np.asarray(step.actions[row]), canvas, split)

    panel = Panel(canvas)
    panel.header("Gaussian squeeze", time, bool(step.over[row]), _options(game))
    panel.legend(*_legend(canvas))
    panel.table(_figures(game, state, row))
    panel.quantity("Performance", "G(x) / G*", share_text(float(performances[-1, 1])))
    _draw_histories(game, totals, performances, panel)


def scale(game: Game) -> Range:
    """Returns the range of totals to show: mu plus and minus 3 sigma, as far as the agents reach."""
    params, reach = game.params, game.config.reach
    low, high = params.mu - 3 * params.sigma, params.mu + 3 * params.sigma
    # It includes the best total and one more at least, even if sigma is tiny or mu out of reach.
    low = np.floor(np.clip(low, 0, params.best - 1)) if low < reach else 0
    return float(low), float(np.ceil(np.clip(high, params.best, reach)))


def curve(game: Game, totals: np.ndarray) -> np.ndarray:
    """Returns integer totals and the performance of each: float64 [n, 2]."""
    params = game.params
    heights = [rules.performance(x, params.best, params.mu, params.sigma) for x in totals.tolist()]
    return np.stack([totals, np.array(heights)], axis=1)


def share_text(share: float) -> str:
    """Returns a number from 0 to 1 in few characters."""
    return f"{share:.3f}" if share >= 5e-4 or share == 0 else f"{share:.0e}"


# -- left ---------------------------------------------------------------------------------------


def _draw_objective(game: Game, totals: np.ndarray, canvas: Canvas, bottom: int) -> None:
    """Draws performance over the total, the best total, and the totals so far."""
    params, theme = game.params, canvas.theme
    plot = Plot(
        canvas,
        (MARGIN, MARGIN - 5, game_area(canvas)[2], bottom - MARGIN + 5),
        scale(game),
        (0.0, 1.18),
        "G(x) / G*, of the objective G(x) = x exp(−(x − μ)² / σ²)",
        "total x, the sum of all actions",
    )
    columns = np.linspace(*plot.x, round(plot.right - plot.left) + 1)  # one for each pixel
    points = curve(game, np.unique(np.round(columns)))
    filling = np.interp(columns[:-1], *points.T)
    plot.bars(columns, filling, mixed(theme.blue, theme.paper, 0.85))
    plot.line(points, theme.blue)
    best = rules.objective(params.best, params.mu, params.sigma)
    x, y = plot.at(params.best, 1.0)
    right = x > plot.right - 130
    anchor = "bottomright" if right else "midbottom"
    words = f"best within reach: G* = {best:,.4g} at x = {params.best:,.0f}"
    canvas.text(words, (plot.right if right else x, y - 14), 13, theme.blue, anchor)
    _draw_totals(game, totals[totals[:, 0] > 0, 1], plot)


def _draw_totals(game: Game, totals: np.ndarray, plot: Plot) -> None:
    """Draws a fading trail of dots, and the current total, which may lie beyond the axis."""
    canvas, theme = plot.canvas, plot.canvas.theme
    if len(totals) == 0:
        canvas.text("nothing played yet", (plot.left + 12, plot.top), 13, theme.faint)
        return
    points = curve(game, totals[-TRAIL:])
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
        at, anchor = (x - 12, y), "midright"  # outside the curve, if it fits
    else:
        at, anchor = (x + 12, y), "midleft"
    canvas.text(words, at, 15, theme.ink, anchor, bold=True)


def _faded(age: int, canvas: Canvas) -> Color:
    """Returns the colour of a total that is ``age`` frames old."""
    return mixed(canvas.theme.amber, canvas.theme.paper, 0.3 + 0.4 * age / TRAIL if age else 0.0)


def _draw_actions(
    game: Game, count: np.ndarray, actions: np.ndarray, canvas: Canvas, top: int
) -> None:
    """Draws the number of agents with each action, and apart from them that without one."""
    theme, left = canvas.theme, MARGIN
    right, floor = left + game_area(canvas)[2] - 14, canvas.size[1] - MARGIN - 20
    canvas.text("Agents by action", (left, top), 13, bold=True)
    full = game.num_agents * next(h for h in HEIGHTS if h * game.num_agents >= count.max())
    rise = floor - top - 44

    def bar(x: float, width: float, n: int, name: str, color: Color) -> None:
        edge, height = round(x), round(rise * n / full)
        canvas.box((edge, floor - height, max(round(x + width) - edge - 2, 1), height), color)
        if name:
            canvas.text(name, (x + width / 2, floor + 5), 12, theme.faint, "midtop")
        if n and len(count) <= MAX_LABELS:
            canvas.text(f"{n:,}", (x + width / 2, floor - height - 3), 12, theme.ink, "midbottom")

    none, counts = int(count[0]), count[1:].tolist()
    offset = 1.5 if none else 0.0
    width = (right - left) / (len(counts) + offset)
    if none:
        bar(left, width, none, "none", theme.faint)
    every = -(-len(counts) // MAX_LABELS)
    for action, n in enumerate(counts):
        name = f"{action}" if action % every == 0 else ""
        bar(left + (offset + action) * width, width, n, name, theme.blue)
    canvas.line([(left, floor), (right, floor)], theme.faint)

    clicked, canvas.clicked = canvas.clicked, None
    if clicked is not None and top <= clicked[1] <= floor + 20:
        _select(canvas, actions, math.floor((clicked[0] - left) / width - offset))
    if canvas.selected is not None and (chosen := int(actions[canvas.selected])) >= 0:
        edge, height = left + (offset + chosen) * width, round(rise * counts[chosen] / full)
        area = (round(edge) - 2, floor - height - 2, round(width) + 2, height + 4)
        canvas.box(area, theme.ink, width=2)


def _select(canvas: Canvas, actions: np.ndarray, action: int) -> None:
    """Selects the next agent with an action; nothing changes if there is none."""
    having = np.flatnonzero(actions == action)
    if action >= 0 and len(having):
        after = -1 if canvas.selected is None else canvas.selected
        later = having[having > after]
        canvas.selected = int(later[0] if len(later) else having[0])


# -- panel --------------------------------------------------------------------------------------


def _options(game: Game) -> tuple[str, str]:
    """The options in words."""
    config = game.config
    reward = {"shared": "G(x)", "per_agent": "G(x) / N", "optimum": "G(x) / G*"}[config.reward]
    agents = "1 agent" if config.num_agents == 1 else f"{config.num_agents:,} agents"
    return (
        f"{agents}, actions 0 to {config.num_actions - 1}",
        f"μ = {config.mu:.5g}, σ = {config.sigma:.5g}, reward {reward}",
    )


def _figures(game: Game, state: State, row: int) -> dict[str, str]:
    """The other quantities of a row, by name."""
    total = int(state.total[row])
    acting = game.num_agents - int(state.count[row, 0])
    return {
        "objective G(x)": f"{float(state.objective[row]):.5g}",
        "mean action": f"{total / acting:.4g}" if acting else "–",
        "total x, of at most": f"{total:,} / {game.config.reach:,}",
    }


def _legend(canvas: Canvas) -> list[LegendRow]:
    theme = canvas.theme
    rows: list[LegendRow] = [
        [
            Key("total", (theme.amber,), line=True),
            Key("before", (_faded(TRAIL // 2, canvas),)),
            Key("best within reach", (theme.blue,)),
        ]
    ]
    if canvas.show_graph:
        rows.append("neighbours: everybody else")
    return rows


def _draw_histories(game: Game, totals: np.ndarray, performances: np.ndarray, panel: Panel) -> None:
    """Draws performance and total over the frames drawn so far, one below the other."""
    theme = panel.canvas.theme
    half = (panel.top + panel.bottom) // 2 - 10 - panel.top
    panel.history((performances, theme.green), y=(0.0, 1.0), height=half)
    panel.top += 4
    low, high = scale(game)
    panel.history(
        (totals, theme.amber),
        y=(min(low, totals[:, 1].min()), max(high, 1.05 * totals[:, 1].max())),
        title="Total x",
        x_label="step",
        level=(game.params.best, theme.blue),
    )
