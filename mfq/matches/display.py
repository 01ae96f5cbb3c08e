"""Draws what the window of `mfq play` shows beside the game: an agent, the state of play, and help.

The game's picture lies at the top left, `SIDE` pixels beside it show the selected agent, and a bar of
`BAR` pixels below shows the state of play.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mfq.matches.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SIDE, BAR, MARGIN = 272, 32, 24
LINE = 14  # from one bar of values to the next, pixels
WIDEST = 30  # characters of a name


def draw_side(canvas: Any, left: int, session: Session, agent: int | None) -> None:
    """Draws who plays, and the selected agent."""
    theme, right = canvas.theme, canvas.size[0] - MARGIN
    canvas.line([(left, 0), (left, canvas.size[1] - BAR)], theme.rule)
    left, top = left + MARGIN, 31
    sources = session.cast.sources
    for group, source in sources.items():
        name = "player" if len(sources) == 1 else group
        canvas.text(name, (left, top), 13, theme.faint)
        canvas.text(_short(source), (right, top), 13, anchor="topright")
        top += 22
    top += 18
    if agent is None:
        for line in ("Click an agent, or press n,", "to show its action, its values", "and links."):
            canvas.text(line, (left, top), 13, theme.faint)
            top += 20
        return
    canvas.text(str(session.view.agents[agent]), (left, top), 18, bold=True)
    top += 32
    for name, value in describe(session, agent).items():
        canvas.text(name, (left, top), 13, theme.faint)
        canvas.text(value, (right, top), 13, anchor="topright")
        top += 22
    if (compared := session.values_of(agent)) is not None:
        bottom = canvas.size[1] - BAR - 12
        _draw_values(canvas, (left, top + 14, right, bottom), session, agent, *compared)


def describe(session: Session, agent: int) -> dict[str, str]:
    """Returns what is known of an agent, in words, by name."""
    view, layout, transition = session.view, session.view.layout, session.transition
    assert layout is not None
    places = view.places()
    is_shown = bool(places.is_shown[agent])
    value = f"{float(places.value[agent]):.4g}" if is_shown else "gone"
    entries = {layout.value_name: value, "reward": "–", "chose": "–"}
    if transition is not None:
        step = transition.next_step
        action = int(step.actions[0, agent])
        entries["reward"] = f"{float(step.reward[0, agent]) + 0.0:+.4g}"  # no "-0"
        names = layout.abilities_of(agent).action_names
        entries["chose"] = names[action] if action >= 0 else "nothing"
    near = view.graph.neighbors(agent)
    entries["neighbours"] = f"{int(places.is_shown[near].sum()):,}" if is_shown else "–"
    return entries


def _draw_values(
    canvas: Any,
    area: tuple[int, int, int, int],
    session: Session,
    agent: int,
    name: str,
    values: np.ndarray,
) -> None:
    """Draws the values of actions as bars, the chosen action's in another colour: all of them in the
    order of the actions, or the largest if there are too many."""
    (left, top, right, bottom), theme = area, canvas.theme
    layout, transition = session.view.layout, session.transition
    assert layout is not None
    assert transition is not None
    canvas.text(f"{name} of actions", (left, top), 13, bold=True)
    top += 24
    room = (bottom - top) // LINE
    shown = np.arange(len(values))
    if len(values) > room:
        shown = np.sort(np.argsort(-values, kind="stable")[: room - 1])
        words = f"and {len(values) - len(shown)} lower ones"
        canvas.text(words, (left, top + LINE * len(shown)), 11, theme.faint)
    chosen = int(transition.next_step.actions[0, agent])
    # Probabilities start at 0; only differences of Q matter.
    low = 0.0 if name == "probability" else float(values.min())
    span = max(float(values.max()) - low, 1e-9)
    names = layout.abilities_of(agent).action_names
    ends = [
        canvas.text(names[action], (left, top + LINE * k - 1), 11)
        for k, action in enumerate(shown.tolist())
    ]
    start, end = min(max(ends) + 8, left + 140), right - 44
    for k, action in enumerate(shown.tolist()):
        y, value = top + LINE * k, float(values[action])
        length = round((end - start) * (value - low) / span)
        color = theme.amber if action == chosen else theme.blue
        canvas.box((start, y + 1, max(length, 1), LINE - 4), color)
        canvas.text(f"{value:.3g}", (right, y - 1), 11, anchor="topright")


def draw_bar(canvas: Any, left_words: str, middle_words: str, right_words: str) -> None:
    """Draws the bar at the bottom with three texts."""
    theme, (width, height) = canvas.theme, canvas.size
    y = height - BAR
    canvas.box((0, y, width, BAR), theme.rule)
    canvas.text(left_words, (MARGIN, y + BAR // 2), 13, anchor="midleft")
    canvas.text(middle_words, (width // 2, y + BAR // 2), 13, anchor="center")
    canvas.text(right_words, (width - MARGIN, y + BAR // 2), 13, theme.faint, anchor="midright")


def draw_result(canvas: Any, words: str) -> None:
    """Draws the result of an episode in a band below the game's picture."""
    theme, (width, height) = canvas.theme, canvas.size
    canvas.box((0, height - BAR - 34, width - SIDE, 34), theme.ink)
    at = ((width - SIDE) // 2, height - BAR - 17)
    size = 16 if len(words) <= 80 else 13
    canvas.text(words, at, size, theme.paper, anchor="center", bold=True)


def draw_help(canvas: Any, rows: Sequence[tuple[str, str]]) -> None:
    """Draws keys and what they do over the game's picture."""
    theme, (width, height) = canvas.theme, canvas.size
    line, half = 22, 260
    tall = line * len(rows) + 76
    left, top = (width - SIDE) // 2 - half, (height - BAR - tall) // 2
    canvas.box((left, top, 2 * half, tall), theme.paper, radius=8)
    canvas.box((left, top, 2 * half, tall), theme.ink, radius=8, width=2)
    canvas.text("Keys", (left + 28, top + 20), 18, bold=True)
    for k, (keys, words) in enumerate(rows):
        y = top + 56 + line * k
        canvas.text(keys, (left + 28, y), 13, bold=True)
        canvas.text(words, (left + 160, y), 13)


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Returns keys and what they do as a table in Markdown."""
    lines = ["| key | what it does |", "|---|---|"]
    return "\n".join([*lines, *(f"| {keys} | {words} |" for keys, words in rows)])


def _short(words: str) -> str:
    """Returns the end of a name that is too long to draw."""
    return words if len(words) <= WIDEST else "…" + words[-WIDEST + 1 :]
