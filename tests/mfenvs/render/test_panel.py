"""The panel at the right of a picture: what each part draws, and where."""

import numpy as np
import pytest

from mfenvs.render.canvas import Canvas
from mfenvs.render.panel import Key, Panel, game_area

RED, BLUE = (200, 0, 0), (0, 0, 200)


@pytest.fixture
def canvas():
    return Canvas("rgb_array", "test", fps=10)


@pytest.fixture
def panel(canvas):
    return Panel(canvas)


def drawn(canvas):
    """The rows and columns of all pixels that are not paper."""
    return np.nonzero((canvas.pixels != canvas.theme.paper).any(axis=-1))


def places(canvas, color):
    return np.argwhere((canvas.pixels == color).all(axis=-1))


def curve(*values):
    return np.array(list(enumerate(values)), float)


def test_the_game_s_area_ends_before_the_panel(canvas, panel):
    left, top, width, height = game_area(canvas)
    assert (left, top) == (36, 36)
    assert left + width < panel.left < panel.right < canvas.size[0]
    assert top + height < canvas.size[1]


def test_a_long_title_leaves_room_for_the_step(canvas, panel):
    panel.header("Gaussian squeeze", 1_000, True, ())
    columns = set(drawn(canvas)[1].tolist())
    end = canvas.text("Gaussian squeeze", (panel.left, 500), 18, bold=True)
    assert not columns & set(range(end + 1, end + 9))
    assert columns & set(range(end + 9, panel.right))


@pytest.mark.parametrize(
    "draw",
    [
        lambda panel: panel.header("Game", 3, True, ("one", "two")),
        lambda panel: panel.quantity("Order", "x / y", "0.5"),
        lambda panel: panel.history((curve(0, 1), RED), y=(0.0, 1.0), height=150),
        lambda panel: panel.history((curve(0, 1), RED), y=(0.0, 1.0), x_label="step"),
        lambda panel: panel.table({"a": "1", "b": "2"}),
        lambda panel: panel.legend("a note", [Key("red", (RED, BLUE))]),
    ],
    ids=["header", "quantity", "high", "history", "table", "legend"],
)
def test_a_part_draws_in_the_space_that_it_takes(canvas, panel, draw):
    top, bottom = panel.top, panel.bottom
    draw(panel)
    rows, columns = drawn(canvas)
    assert len(rows)
    assert columns.min() >= panel.left
    assert columns.max() <= panel.right
    assert (panel.top > top) != (panel.bottom < bottom)
    taken = (top - 5, panel.top) if panel.top > top else (panel.bottom, bottom)
    assert taken[0] <= rows.min()
    assert rows.max() <= taken[1]


def test_the_last_step_says_so(canvas, panel):
    panel.header("Game", 1234, False, ())
    before = canvas.present()
    canvas.clear()
    Panel(canvas).header("Game", 1234, True, ())
    assert not np.array_equal(canvas.pixels, before)


def test_a_legend_has_its_rows_in_order(canvas, panel):
    heights = []
    panel.legend([Key("red", (RED,)), Key("blue", (BLUE,))], heights.append, "a note")
    red, blue = places(canvas, RED), places(canvas, BLUE)
    assert red[:, 0].tolist() == blue[:, 0].tolist(), "one row"
    assert red[:, 1].max() < blue[:, 1].min()
    assert heights == [canvas.size[1] - 36 - 7 - 24]
    assert red[:, 0].max() < heights[0]


def test_a_history_marks_the_present_and_a_level(canvas, panel):
    panel.history((curve(0, 5, 10), RED), y=(0.0, 10.0), level=(5.0, BLUE))
    dot, line = places(canvas, RED), places(canvas, BLUE)
    assert len(np.unique(line[:, 0])) == 1
    # The curve runs from 0 to 10, where its dot has a radius of 4.
    middle = (dot[:, 0].min() + 4 + dot[:, 0].max()) / 2
    assert line[0, 0] == pytest.approx(middle, abs=2)
    left, right = line[:, 1].min(), line[:, 1].max()  # steps 0 and 20
    assert dot[:, 1].max() == pytest.approx(left + 0.1 * (right - left) + 4, abs=2)
