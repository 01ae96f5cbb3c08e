"""The window of `mfq play`: what its keys and clicks do, and what it shows."""

import re
from pathlib import Path

import numpy as np
import pygame
import pytest
from PIL import Image

from mfenvs import gaussian_squeeze_v0
from mfenvs.render.canvas import Canvas
from mfq.matches import window as window_module
from mfq.matches.by_hand import ORDERS, Human
from mfq.matches.display import table
from mfq.matches.lineup import lineup
from mfq.matches.window import (
    COMMANDS,
    PlayConfig,
    Window,
    is_done,
    keys,
    orders_of_keys,
    play,
)

ISING = {"side": 10, "max_cycles": 5}
BATTLE = {"map_size": 16, "max_cycles": 40, "placement": "paper"}
SQUEEZE = {"num_agents": 20, "mu": 50.0, "sigma": 20.0, "max_cycles": 5}
GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "watch.md"


class Clock:
    """A time that only tests change."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1e-6  # time passes, as each frame has an end
        return self.now


@pytest.fixture
def open_window():
    opened = []

    def make(game="ising", options=None, players=None, **config):
        makers = {"human": Human}
        cast = lineup(
            game,
            **(players or {}),
            env_options=ISING if options is None else options,
            makers=makers,
        )
        opened.append(Window(cast, PlayConfig(**config), fps=10_000, clock=Clock()))
        return opened[-1]

    yield make
    for window in opened:
        window.close()


def press(window, *names):
    """Presses keys, each in a frame of its own."""
    for name in names:
        code = {"space": pygame.K_SPACE, "right": pygame.K_RIGHT, "escape": pygame.K_ESCAPE}
        text = "" if name in code else name
        key = code.get(name, pygame.key.key_code(name.lower()) if name.isalpha() else 0)
        event = pygame.event.Event(
            pygame.KEYDOWN, key=key, unicode=text, mod=0, window=window.canvas._window
        )
        pygame.event.post(event)
        window.canvas.present()
        window.turn()


def click(window, x, y):
    event = pygame.event.Event(
        pygame.MOUSEBUTTONDOWN, pos=(x, y), button=1, window=window.canvas._window
    )
    pygame.event.post(event)
    window.canvas.present()
    window.turn()


def pass_time(window, seconds):
    window._clock.now += seconds
    window.turn()


def test_steps_are_played_at_the_speed_asked_for(open_window):
    window = open_window(speed=2.0)
    window.turn()
    assert window.session.steps == 0, "the start is shown first"
    pass_time(window, 0.5)
    assert window.session.steps == 1
    pass_time(window, 0.4)
    assert window.session.steps == 1
    pass_time(window, 0.1)
    assert window.session.steps == 2
    press(window, "+")
    assert window.speed == 5
    press(window, "-", "-")
    assert window.speed == 1


def test_a_fast_game_plays_several_steps_a_frame(open_window):
    window = open_window("gaussian_squeeze", {**SQUEEZE, "max_cycles": 100}, speed=1000.0)
    pass_time(window, 0.01)
    assert 5 <= window.session.steps <= 12
    pass_time(window, 60.0)
    assert window.session.steps < 60, "steps that were missed are not made up for"


def test_a_slow_game_leaves_time_for_keys(open_window, monkeypatch):
    window = open_window(speed=1000.0)
    advance, played = window.session.advance, []

    def slowly():
        assert len(played) < 5, "many steps in a frame"
        played.append(advance())
        window._clock.now += 0.05

    monkeypatch.setattr(window.session, "advance", slowly)
    pass_time(window, 1.0)
    assert len(played) == 1


def test_pause_and_single_steps(open_window):
    window = open_window()
    press(window, "space")
    pass_time(window, 10.0)
    assert (window.paused, window.session.steps) == (True, 0)
    press(window, "right", ".")
    assert window.session.steps == 2
    press(window, "space")
    assert (window.paused, window.session.steps) == (False, 3), "it goes on at once"
    pass_time(window, 0.1)
    assert window.session.steps == 4


def test_it_plays_on_after_an_episode_and_shows_the_result(open_window, capsys):
    window = open_window()
    window.turn()
    before = window.canvas.pixels.copy()
    press(window, *["."] * 5)
    assert capsys.readouterr().out.startswith("episode 0: 5 steps, return ")
    band = (slice(638, 672), slice(0, 40))
    assert (window.canvas.pixels[band] == window.canvas.theme.ink).all(), "the result is shown"
    assert not (before[band] == window.canvas.theme.ink).all()
    press(window, "space")
    assert window.session.result is None, "going on starts the next episode at once"
    assert (window.session.episode, window.session.steps) == (1, 0)
    for _ in range(5):
        pass_time(window, 0.1)
    assert window.session.result is not None
    pass_time(window, window_module.PAUSE - 0.1)
    assert window.session.episode == 1, "the result is still shown"
    pass_time(window, 0.1)
    assert window.session.episode == 2


def actions_of(window, count):
    chosen = []
    for _ in range(count):
        press(window, ".")
        chosen.append(window.session.transition.next_step.actions[0].tolist())
    return chosen


def test_restart_takes_the_next_seed_and_shift_repeats_the_episode(open_window):
    window = open_window("battle", BATTLE, {"red": "focus", "blue": "random"}, seed=4)
    first = actions_of(window, 6)
    curve = window.canvas.pixels[180:480, 670:1000].copy()
    press(window, "R")
    assert (window.session.seed, window.session.steps) == (4, 0)
    assert (window.canvas.pixels[180:480, 670:1000] != curve).any(), "the curves begin anew"
    assert actions_of(window, 6) == first
    press(window, "R")
    assert actions_of(window, 6) == first, "and once more"
    press(window, "r")
    assert (window.session.seed, window.session.steps) == (5, 0)
    other = actions_of(window, 6)
    assert other != first
    press(window, "R")
    assert actions_of(window, 6) == other


def test_a_later_episode_repeats_too(open_window):
    window = open_window()
    press(window, *["."] * 6)
    assert (window.session.episode, window.session.steps) == (1, 0)
    first = actions_of(window, 3)
    press(window, "R")
    assert window.session.episode == 1
    assert actions_of(window, 3) == first


def test_a_click_selects_the_agent_below_the_pointer(open_window):
    window = open_window()
    window.turn()
    plain = window.canvas.pixels.copy()
    click(window, 36 + 60 * 3 + 30, 36 + 60 * 2 + 30)
    assert window.selected == 23
    assert (window.canvas.pixels[:, 1030:] != plain[:, 1030:]).any(), "the panel shows it"
    site = (slice(36 + 2 * 60, 36 + 3 * 60), slice(36 + 3 * 60, 36 + 4 * 60))
    assert (window.canvas.pixels[site] != plain[site]).any(), "a frame, and its links"
    assert (window.canvas.pixels[153, 230] == window.canvas.theme.ink).all(), "the frame"
    far = (slice(36 + 6 * 60, 36 + 9 * 60), slice(36 + 6 * 60, 36 + 9 * 60))
    assert (window.canvas.pixels[far] == plain[far]).all()
    click(window, 1200, 300)
    assert window.selected == 23, "a click beside the game changes nothing"
    click(window, 36 + 60 * 3 + 30, 36 + 60 * 2 + 30)
    assert window.selected is None


def test_a_click_on_a_bar_selects_its_agents_in_turn(open_window):
    window = open_window("gaussian_squeeze", SQUEEZE)
    press(window, ".")
    actions = window.session.transition.next_step.actions[0].numpy()
    action = int(np.bincount(actions).argmax())
    having = np.flatnonzero(actions == action).tolist()
    width = (1024 - 316 - 3 * 36 - 14) / 10
    x = 36 + (action + 0.5) * width
    bars = window.canvas.pixels[480:640, 36:640]
    inked = (bars == window.canvas.theme.ink).all(-1).sum()
    for agent in [*having, having[0]]:
        click(window, int(x), 600)
        assert window.selected == agent
    framed = (window.canvas.pixels[480:640, 36:640] == window.canvas.theme.ink).all(-1).sum()
    assert framed > inked + 100


def test_bars_lie_further_right_beside_agents_without_an_action():
    env = gaussian_squeeze_v0.batched_env(**{**SQUEEZE, "num_agents": 4})
    env.reset(seed=0)
    env.step(np.array([[-1, 3, 3, -1]]))
    canvas = Canvas("rgb_array", "test", fps=1)
    canvas.clicked = (36 + int(5 * (1024 - 316 - 3 * 36 - 14) / 11.5), 600)
    env.draw(canvas)
    assert canvas.selected == 1


def test_keys_select_living_agents_in_turn(open_window):
    window = open_window("battle", BATTLE, {"red": "hold", "blue": "rush"}, select="blue_0")
    names = list(window.cast.view.agents)
    assert names[window.selected] == "blue_0"
    press(window, "p")
    assert names[window.selected] == max((n for n in names if "red" in n), key=names.index)
    press(window, "n", "n")
    assert names[window.selected] == "blue_1"
    window.picture.selected = len(names) - 1
    press(window, "n")
    assert window.selected == 0
    press(window, "space", *["."] * 30)
    shown = window.cast.view.places().is_shown
    assert not shown.all(), "somebody died"
    window.picture.selected = None
    for _ in range(len(names)):
        press(window, "n")
        assert shown[window.selected]


def test_the_panel_shows_what_the_player_compared(open_window):
    window = open_window("battle", {}, {"red": "mfq", "blue": "rush"}, select="red_3")
    assert window.session.values_of(3) is None, "nothing was chosen yet"
    press(window, ".")
    before = window.canvas.pixels.copy()
    name, values = window.session.values_of(3)
    player = window.cast.players["red"]
    last = player.last_values
    assert name == "Q"
    assert values.tolist() == last.values[last.agents.tolist().index(3)].tolist()
    blue = list(window.cast.view.agents).index("blue_0")
    assert window.session.values_of(blue) is None, "a script compares nothing"
    color = np.array(window.canvas.theme.blue)
    assert (before[200:, 1030:] == color).all(-1).sum() > 500, "bars"
    window.picture.selected = blue
    press(window, "g")
    assert not (window.canvas.pixels[200:, 1030:] == color).all(-1).any()


def test_the_graph_is_drawn_on_a_key(open_window):
    window = open_window()
    window.turn()
    plain = window.picture.pixels.copy()
    press(window, "g")
    assert (window.picture.pixels[:, :650] != plain[:, :650]).any()
    press(window, "g")
    assert (window.picture.pixels[:, :650] == plain[:, :650]).all()
    press(window, "n")
    linked = window.picture.pixels.copy()
    press(window, "g")
    assert (window.picture.pixels[:, :650] != linked[:, :650]).any()
    assert (window.picture.pixels[:, :650] != plain[:, :650]).any(), "the frame stays"
    assert (window.picture.pixels[300:, 300:650] == plain[300:, 300:650]).all()


def test_pictures_are_saved_under_new_names(open_window, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ising_v0-001.png").write_text("mine")
    window = open_window()
    press(window, "s", ".", "h", "s")
    assert capsys.readouterr().out.split() == [
        "mfq:", "ising_v0-002.png", "mfq:", "ising_v0-003.png"
    ]  # fmt: skip
    assert (tmp_path / "ising_v0-001.png").read_text() == "mine"
    assert window.help, "the help is left out of the picture, and stays open"
    saved = [np.asarray(Image.open(tmp_path / f"ising_v0-00{k}.png")) for k in (2, 3)]
    assert saved[0].shape == (704, 1296, 3)
    assert (saved[0] != saved[1]).any()
    press(window, "h")
    game = window.canvas.pixels[:672]
    assert (saved[1][:672] == game).all()


def test_help_opens_and_closes(open_window):
    window = open_window()
    press(window, "space")
    plain = window.canvas.pixels.copy()
    for key in "h?":
        press(window, key)
        assert window.help
        assert (window.canvas.pixels != plain).mean() > 0.1
        press(window, "escape")
        assert not window.canvas.closed
        assert (window.canvas.pixels == plain).all()


@pytest.mark.parametrize("key", ["escape", "q"])
def test_a_key_closes_the_window(key, open_window):
    window = open_window()
    press(window, key)
    assert window.canvas.closed
    window.run()  # ends at once


def test_closing_the_window_ends_the_play(capsys):
    pygame.display.init()
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    play("ising", PlayConfig(env_options=ISING))
    pygame.display.quit()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("limits", "lines"), [({"episodes": 2}, 2), ({"steps": 7}, 1), ({"episodes": 3, "steps": 5}, 1)]
)
def test_limits_keep_scripts_finite(limits, lines, capsys, monkeypatch):
    monkeypatch.setattr(window_module, "PAUSE", 0.01)
    for window in (True, False):
        play("ising", PlayConfig(**limits, window=window, speed=1000.0, env_options=ISING))
        printed = capsys.readouterr().out.splitlines()
        assert [line.split(":")[0] for line in printed] == [f"episode {k}" for k in range(lines)]


def test_the_last_step_is_the_one_asked_for(open_window):
    window = open_window(steps=3, speed=100.0)
    while not is_done(window.session, window.config):
        pass_time(window, 1.0)
    assert window.session.total == 3


def test_no_display_is_an_error_that_names_another_way(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "nonsense")
    with pytest.raises(OSError, match=r"no window can be opened.*mfq record ising_v0.*--no-window"):
        play("ising", PlayConfig(env_options=ISING))


def test_unknown_keys_do_nothing(open_window):
    window = open_window()
    press(window, "z", "y")
    assert (window.session.steps, window.paused, window.canvas.closed) == (0, False, False)


# -- an army played by hand ---------------------------------------------------------------------


def test_orders_come_before_commands(open_window):
    window = open_window("battle", BATTLE, {"red": "human", "blue": "hold"})
    press(window, "space", "right")
    assert window.session.steps == 0, "an order, no step"
    human = window.cast.players["red"]
    assert human.order.words == "move right"
    before = window.cast.view.places().x.copy()
    press(window, ".")
    moved = window.cast.view.places().x - before
    assert (moved[window.cast.view.groups.numpy() == 0] > 0).any()
    press(window, "n", "x")
    assert human.orders[0].words.startswith("stay")
    assert human.order.words == "move right", "the others go on"
    assert "move left" in dict(keys(by_hand=True)).values()
    assert "." in dict(keys(by_hand=True))


def test_no_orders_without_a_window():
    config = PlayConfig(red="human", window=False, env_options=BATTLE)
    with pytest.raises(ValueError, match="--no-window with the player human"):
        play("battle", config)


# -- the tables ---------------------------------------------------------------------------------


def test_no_key_has_two_commands():
    names = [key for command in COMMANDS for key in command.keys]
    assert len(names) == len(set(names))
    assert len({order.key for order in ORDERS}) == len(ORDERS)


@pytest.mark.parametrize(
    ("name", "rows"), [("keys", keys(by_hand=False)), ("orders", orders_of_keys())]
)
def test_the_guide_has_the_keys(name, rows):
    (printed,) = re.findall(
        rf"<!-- {name} -->\n\n(.*?)\n\n<!-- end of {name} -->", GUIDE.read_text(), re.S
    )
    assert printed == table(rows)
