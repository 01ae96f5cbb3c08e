"""Pictures: what is drawn, whose memory it is, and windows that come and go."""

import importlib
import importlib.metadata
import os
import subprocess
import sys

import numpy as np
import pygame
import pytest

from mfenvs import ising_v0
from mfenvs.ising import draw
from mfenvs.render import canvas as canvas_module
from mfenvs.render.canvas import MAX_TRACE, Canvas
from mfenvs.render.chart import Plot, ticks


def lattice(side=20, **options):
    """A reset environment, all up, with the picture of its start."""
    options = {"initial": "up", "render_mode": "rgb_array", **options}
    env = ising_v0.parallel_env(side=side, **options)
    env.reset(seed=0)
    return env, env.render()


def play(env, spin=1):
    env.step(dict.fromkeys(env.agents, spin))
    return env.render()


def pixel(image, side, x, y):
    """The middle of a site; the lattice is a square of 600 pixels, or nearly so, at (36, 36)."""
    size = 600 // side
    left = 36 + (600 - size * side) // 2
    return tuple(image[left + y * size + size // 2, left + x * size + size // 2].tolist())


def has(image, color):
    return bool((image == color).all(axis=-1).any())


@pytest.fixture
def canvas():
    return Canvas("rgb_array", "test", fps=10)


@pytest.fixture
def window():
    window = Canvas("human", "test", fps=1000)
    yield window
    window.close()
    assert not pygame.display.get_init()


# -- the picture --------------------------------------------------------------------------------


def test_rgb_array_is_a_picture_of_its_own_memory():
    env, image = lattice()
    assert image.shape == (672, 1024, 3)
    assert image.dtype == np.uint8
    assert image.flags.owndata
    assert image.flags.writeable
    before = image.copy()
    image[:] = 0
    assert np.array_equal(env.render(), before)
    play(env, 0)
    assert not image.any()
    env.close()


def test_rendering_twice_draws_the_same():
    env, image = lattice()
    assert np.array_equal(env.render(), image)


@pytest.mark.slow
@pytest.mark.parametrize("side", [3, 4, 20, 37, 100, 200])
def test_spins_have_their_colors(side):
    env, before = lattice(side)
    down, up = draw.spin_colors(Canvas)
    assert pixel(before, side, 1, 2) == up
    actions = dict.fromkeys(env.agents, 1)
    actions[env.agents[2 * side + 1]] = 0
    env.step(actions)
    after = env.render()
    assert pixel(after, side, 1, 2) == down
    assert not has(before[36:636, 36:636], down)
    for x, y in ((0, 0), (2, 1), (side - 1, side - 1)):
        assert pixel(after, side, x, y) == up


def test_idle_sites_are_paler():
    env, image = lattice(4, update="checkerboard")
    paler, up = draw.idle_colors(Canvas)[1], draw.spin_colors(Canvas)[1]
    _, infos = env.reset(seed=0)
    assert np.array_equal(env.render(), image)
    active = [infos[agent]["action_mask"].all() for agent in env.agents]
    assert sum(active) == 8
    for site in range(16):
        assert pixel(image, 4, site % 4, site // 4) == (up if active[site] else paler)


def test_a_field_is_mapped_where_it_varies():
    uniform = lattice(4, field=0.5)[1]
    varied = lattice(4, field=tuple(np.linspace(-1, 1, 16)))[1]
    assert np.array_equal(uniform[:, :650], varied[:, :650])
    blue = Canvas.theme.blue
    assert has(varied[:590, 660:], blue)
    assert not has(uniform[:590, 660:], blue)


@pytest.mark.parametrize("side", [4, 20, 50])
def test_show_graph_draws_links_and_stubs_over_the_border(side):
    plain, linked = lattice(side)[1], lattice(side, show_graph=True)[1]
    middle = 36 + 600 // side // 2
    assert not np.array_equal(plain[100:500, 100:500], linked[100:500, 100:500])
    for x, y in ((middle, 32), (middle, 640), (32, middle), (640, middle)):
        assert (plain[y, x] == Canvas.theme.paper).all()
        assert linked[y - 1 : y + 2, x - 1 : x + 2].min() < 150


def test_a_graph_too_fine_to_draw_leaves_the_lattice_alone():
    plain, linked = lattice(100)[1], lattice(100, show_graph=True)[1]
    assert np.array_equal(plain[:, :650], linked[:, :650])
    assert not np.array_equal(plain, linked)  # the legend says so


def test_the_chart_grows_and_a_reset_empties_it():
    env, _ = lattice(4)

    def inked():
        return int((env.render()[190:420, 700:] == Canvas.theme.green).all(axis=-1).sum())

    start = inked()
    for _ in range(10):
        play(env)
    grown = inked()
    assert grown > 2 * start
    env.reset(seed=0)
    assert inked() == start


def test_rendering_needs_a_reset():
    env = ising_v0.parallel_env(render_mode="rgb_array")
    with pytest.raises(RuntimeError, match="reset"):
        env.render()


# -- the vocabulary -----------------------------------------------------------------------------


def test_a_trace_keeps_times_in_order(canvas):
    for time in range(3):
        canvas.trace("x", time, time / 10)
    history = canvas.trace("x", 2, 9.0)
    assert history.tolist() == [[0, 0.0], [1, 0.1], [2, 9.0]]
    assert canvas.trace("y", 7, 1.0).tolist() == [[7, 1.0]]
    assert canvas.trace("x", 1, 5.0).tolist() == [[1, 5.0]], "time went backward"
    canvas.restart()
    assert canvas.trace("x", 4, 2.0).tolist() == [[4, 2.0]]


def test_a_long_trace_is_thinned_evenly(canvas):
    for time in range(10 * MAX_TRACE):
        history = canvas.trace("x", time, 0.0)
    assert history.shape == (MAX_TRACE, 2)
    assert history[[0, -1], 0].tolist() == [0, 10 * MAX_TRACE - 1]
    assert np.diff(history[:, 0]).max() <= 40


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-3, 3, [-2, 0, 2]),
        (5000, 5020, [5000, 5005, 5010, 5015, 5020]),
        (0, 0.03, [0, 0.01, 0.02, 0.03]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == expected


def test_an_image_keeps_its_cells_and_its_gaps(canvas):
    colors = np.array([[[200, 0, 0], [0, 200, 0], [0, 0, 200]]], np.uint8)
    canvas.image(colors, (10, 20, 30, 7), gap=2)
    line = canvas.pixels[23, 10:40]
    assert (line[:9] == colors[0, 0]).all()
    assert (line[9:11] == canvas.theme.paper).all()
    assert (line[11:19] == colors[0, 1]).all()
    assert (line[21:] == colors[0, 2]).all()
    assert (canvas.pixels[19] == canvas.theme.paper).all()
    with pytest.raises(ValueError, match="float64"):
        canvas.image(colors / 255, (0, 0, 3, 1))


def test_a_graph_draws_each_link_once_whichever_way_it_runs(canvas):
    points = np.array([[100.0, 100.0], [200.0, 100.0], [100.0, 200.0]])
    canvas.graph(points, np.array([[0, 1, 0], [1, 0, 0]]), width=1)
    both = canvas.present()
    canvas.clear()
    canvas.graph(points, np.array([[1], [0]]), width=1)
    assert np.array_equal(canvas.pixels[:, 101:], both[:, 101:])
    assert canvas.pixels[100, 150].max() < 150
    assert (canvas.pixels[150, 100] == canvas.theme.paper).all()
    canvas.graph(points, np.zeros((2, 0), int))


def test_a_plot_places_its_points(canvas):
    plot = Plot(canvas, (0, 0, 400, 300), (0.0, 10.0), (-1.0, 1.0), title="t", x_label="x")
    assert plot.at(0, -1) == (plot.left, plot.bottom)
    assert plot.at(10, 1) == (plot.right, plot.top)
    assert plot.at(99, 0) == (plot.right, (plot.top + plot.bottom) / 2)
    plot.bars(np.array([0.0, 5.0, 10.0]), np.array([0.0, -1.0]), (1, 2, 3))
    middle = (plot.top + plot.bottom) // 2 + 9
    assert (canvas.pixels[middle, plot.left + 9] == (1, 2, 3)).all()
    assert not has(canvas.pixels[:, plot.right - 99 :], (1, 2, 3))


def test_text_says_where_it_ends_and_outlives_a_foreign_quit(canvas):
    right = canvas.text("step 12", (50, 50), anchor="topleft")
    assert 80 < right < 130
    assert canvas.text("step 12", (300, 50), anchor="topright") == 300
    pygame.quit()
    assert canvas.text("another", (50, 80)) > 50


def test_a_canvas_knows_its_modes():
    with pytest.raises(ValueError, match="'human', 'rgb_array'"):
        Canvas("ansi", "test", fps=10)


# -- windows ------------------------------------------------------------------------------------


def test_a_human_episode_opens_a_window_and_closes_it():
    env, shown = lattice(4, render_mode="human")
    assert shown is None
    assert pygame.display.get_init()
    assert play(env) is None
    env.close()
    assert not pygame.display.get_init()
    env.reset()  # shows it again
    assert pygame.display.get_init()
    env.close()


def test_the_window_shows_the_picture(window):
    window.box((0, 0, 50, 50), (200, 0, 0))
    assert window.present() is None
    assert window._window.get_surface().get_at((25, 25))[:3] == (200, 0, 0)


def test_an_episode_survives_its_window():
    env, _ = lattice(4, render_mode="human")
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    for _ in range(3):
        assert play(env) is None
    assert not pygame.display.get_init()
    env.close()


def test_windows_close_one_by_one(window):
    other = Canvas("human", "other", fps=1000)
    pygame.event.post(pygame.event.Event(pygame.WINDOWCLOSE, window=other._window))
    window.present()
    assert other.closed
    assert not window.closed
    assert pygame.display.get_init()
    other.present()
    other.close()
    window.present()


def test_a_window_takes_its_clicks_alone(window):
    key = pygame.event.Event(pygame.KEYDOWN, key=pygame.K_a)
    mine = pygame.event.Event(pygame.USEREVENT, note="mine")
    click = pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=(7, 8), window=window._window)
    for event in (key, mine, click):
        pygame.event.post(event)
    window.present()
    assert window.clicked == (7, 8)
    left = pygame.event.get((pygame.KEYDOWN, pygame.USEREVENT, pygame.MOUSEBUTTONDOWN))
    assert [event.type for event in left] == [pygame.KEYDOWN, pygame.USEREVENT]
    assert (left[0].key, left[1].note) == (pygame.K_a, "mine")


def key_event(window, key, text=""):
    return pygame.event.Event(pygame.KEYDOWN, key=key, unicode=text, mod=0, window=window._window)


def test_keys_are_read_where_asked_for_and_nowhere_else(window):
    reader = Canvas("human", "reader", fps=1000, reads_keys=True)
    keys = ((pygame.K_r, "r"), (pygame.K_r, "R"), (pygame.K_SPACE, " "), (pygame.K_LEFT, ""))
    for key, text in (*keys, (pygame.K_s, "\x13"), (pygame.K_SLASH, "?")):
        pygame.event.post(key_event(reader, key, text))
    pygame.event.post(key_event(window, pygame.K_a, "a"))
    window.present()
    assert reader.pressed == ["r", "R", "space", "left", "s", "?"]
    assert window.pressed == []
    assert [event.unicode for event in pygame.event.get(pygame.KEYDOWN)] == ["a"]
    reader.close()


def test_a_program_with_windows_keeps_their_events_and_the_quit():
    pygame.display.init()
    theirs = pygame.Window("theirs", (64, 64))
    window = Canvas("human", "test", fps=1000)
    pygame.event.clear()
    pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=(1, 2), window=theirs))
    pygame.event.post(pygame.event.Event(pygame.WINDOWCLOSE, window=theirs))
    window.present()
    assert window.clicked is None
    assert not window.closed
    kinds = (pygame.MOUSEBUTTONDOWN, pygame.WINDOWCLOSE, pygame.QUIT)
    assert [event.type for event in pygame.event.get(kinds)] == list(kinds[:2])
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    window.present()
    assert window.closed
    assert [event.type for event in pygame.event.get(kinds)] == [pygame.QUIT]
    theirs.destroy()
    pygame.display.quit()


def test_events_that_nobody_reads_do_not_fill_the_queue(window, monkeypatch):
    monkeypatch.setattr(canvas_module, "MAX_EVENTS", 40)
    for number in range(200):
        pygame.event.post(pygame.event.Event(pygame.USEREVENT, number=number))
        window.present()
    left = [event.number for event in pygame.event.get(pygame.USEREVENT)]
    assert left[-1] == 199
    assert 30 <= len(left) <= 60


def test_a_display_that_was_there_before_stays():
    pygame.display.init()
    window = Canvas("human", "test", fps=1000)
    window.present()
    window.close()
    assert pygame.display.get_init()
    pygame.display.quit()


def test_a_window_survives_a_foreign_quit(window):
    pygame.quit()
    window.present()
    assert window.closed


def test_no_display_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "nonsense")
    with pytest.raises(RuntimeError, match="rgb_array"):
        Canvas("human", "test", fps=10)
    assert not pygame.display.get_init()


@pytest.mark.slow
def test_rgb_array_needs_no_display():
    hidden = ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY")
    code = (
        "from mfenvs import ising_v0\n"
        "env = ising_v0.parallel_env(side=4, render_mode='rgb_array', show_graph=True)\n"
        "env.reset(seed=0)\n"
        "import sys; assert 'pygame' not in sys.modules\n"
        "assert env.render().std() > 0\n"
        "import pygame; print('display:', pygame.display.get_init())\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={name: value for name, value in os.environ.items() if name not in hidden},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "display: False\n", "and pygame does not advertise"


# -- two pygames --------------------------------------------------------------------------------


def test_the_old_pygame_is_refused(monkeypatch):
    found = importlib.metadata.distribution

    def both(name):
        return found("pygame-ce" if name == "pygame" else name)

    monkeypatch.setattr(importlib.metadata, "distribution", both)
    monkeypatch.delitem(sys.modules, "mfenvs.render.canvas")
    with pytest.raises(ImportError, match=r"pip uninstall -y pygame\n.*force-reinstall pygame-ce"):
        importlib.import_module("mfenvs.render.canvas")
