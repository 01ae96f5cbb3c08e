"""Pictures of MAgent2's games: bodies, food, several types of a colour, and what the panel says."""

import numpy as np
import pytest

from mfenvs import make_batched
from mfenvs.gridworld import arena
from mfenvs.gridworld.looks import SMALL_CELL, looks_of, vessels
from mfenvs.registry import game_class
from mfenvs.render.canvas import Canvas

# By game: options, a script, and a line of the panel after a few steps.
GAMES = {
    "adversarial_pursuit_v0": ({"map_size": 20}, "hunt", "tags"),
    "tiger_deer_v0": ({"map_size": 20}, "hunt", "kills"),
    "gather_v0": (
        {"map_size": 20, "placement": "random", "counts": {"omnivore": 20, "food": 30, "walls": 5}},
        "forage",
        "eaten",
    ),
    "combined_arms_v0": ({"map_size": 20}, "focus", "kills"),
    "battlefield_v0": ({"map_size": 46}, "rush", "kills"),
}
THEME = Canvas.theme


@pytest.fixture
def texts(monkeypatch):
    """Texts of a picture, and the rectangles that they fill."""
    written, draw = [], Canvas.text

    def text(canvas, words, at, size=14, color=THEME.ink, anchor="topleft", bold=False):
        label = canvas._label(words, size, color, bold)
        written.append((words, label.get_rect(**{anchor: (round(at[0]), round(at[1]))})))
        return draw(canvas, words, at, size, color, anchor, bold)

    monkeypatch.setattr(Canvas, "text", text)
    return written


def played(name, options, script, steps):
    env = make_batched(name, num_envs=1, copied_start=False, **options)
    env.reset(seed=2)
    for _ in range(steps):
        env.step(env.scripted(script))
    return env


@pytest.mark.parametrize("size", ["small", "default"])
@pytest.mark.parametrize("name", list(GAMES))
def test_texts_fit_and_name_what_decides(name, size, texts):
    small, script, measure = GAMES[name]
    env = played(name, small if size == "small" else {}, script, 8)
    picture = env.render(0)
    width = picture.shape[1]
    assert any(text.endswith((measure, measure.removesuffix("s"))) for text, _ in texts)
    for k, (text, place) in enumerate(texts):
        assert 0 <= place.left <= place.right <= width - 10, text
        for other, there in texts[:k]:
            # Fonts leave room above and below their letters.
            assert not place.inflate(-2, -8).colliderect(there.inflate(-2, -8)), (text, other)


@pytest.mark.parametrize("name", list(GAMES))
def test_each_group_is_on_the_map(name):
    options, script, _ = GAMES[name]
    env = played(name, options, script, 3)
    map_part = env.render(0)[:, :640].reshape(-1, 3)
    for look in looks_of(env.game.world, THEME):
        assert (map_part == np.array(look.color)).all(1).any(), look


def test_shapes_and_shades():
    looks = {}
    for name, (options, *_) in GAMES.items():
        config = game_class(name).configure(options)
        looks[name] = looks_of(game_class(name).world_of(config), THEME)
    arms = looks["combined_arms_v0"]
    assert [look.shape for look in arms] == ["disc", "square", "disc", "square"]
    assert len({look.color for look in arms}) == 4
    assert (arms[0].color, arms[2].color) == (THEME.red, THEME.blue)
    assert sum(arms[1].color) < sum(arms[0].color)
    assert looks["gather_v0"][1].shape == "diamond"
    predator, prey = looks["adversarial_pursuit_v0"]
    assert (predator.width, predator.length, predator.shape) == (2, 2, "disc")
    assert (prey.width, prey.shape) == (1, "square")


@pytest.mark.parametrize("shape", ["disc", "square", "diamond"])
def test_vessels_fill_their_bodies(shape):
    pictures = vessels(24, 12, 12, shape, THEME.red, THEME, False)
    assert pictures.shape == (41, 12, 24, 4)
    assert (pictures[:, -1, :, 3] == 0).all(), "a gap"
    assert (pictures[:, :, -1, 3] < 0.2).all()
    assert pictures[0, 5, 11, 3] == 1
    full = (pictures[..., :3] == np.array(THEME.red)).all(-1) & (pictures[..., 3] == 1)
    counts = full.sum((1, 2))
    assert (np.diff(counts) >= 0).all()
    assert counts[-1] > counts[0]
    corner = pictures[-1, 0, 0, 3]
    assert corner == 0, "round, or pointed"


def test_a_body_of_four_cells_is_one_disc():
    cells = {"predator": [(5, 5)], "prey": [(10, 10)]}
    env = played("adversarial_pursuit_v0", {"map_size": 20, "placement": cells}, "hold", 0)
    picture = env.render(0)
    canvas = env._canvases[0]
    field = arena.lay_out(env.game, env._state, 0, canvas, 36, 600)
    assert field.cell >= SMALL_CELL
    x, y = field.at(np.array([6, 6])).tolist()
    assert picture[y - 1, x - 1].tolist() == list(THEME.red), "where its four cells meet"


@pytest.mark.parametrize("name", list(GAMES))
def test_what_agents_of_each_type_see_is_drawn(name):
    options, script, _ = GAMES[name]
    env = played(name, {**options, "minimap_mode": True}, script, 3)
    before = env.render(0)
    for members in env.game.members:
        env._canvases[0].selected = int(members[0])
        shown = env.render(0)
        assert (shown[:, 660:] != before[:, 660:]).any()
        assert (shown[:, :640] != before[:, :640]).any()
