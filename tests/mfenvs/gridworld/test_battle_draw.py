"""Pictures of battles: what is marked where, and the selection of an agent."""

import numpy as np
import pygame
import pytest

from mfenvs import battle_v0, ising_v0
from mfenvs.gridworld import arena, board, draw
from mfenvs.gridworld import attack as results
from mfenvs.gridworld.tables import NUM_MOVES, STAY
from mfenvs.render.canvas import Canvas

EXTENT, MARGIN = 600, 36
THEME = Canvas.theme
RIGHT, LEFT, UP, DOWN = (1, 0), (-1, 0), (0, -1), (0, 1)
AROUND = [RIGHT, LEFT, UP, DOWN, (1, 1), (-1, -1), (1, -1), (-1, 1)]


def duel(red=((5, 5),), blue=((6, 5),), size=12, **options):
    """A reset environment with these agents."""
    options = {"render_mode": "rgb_array", "copied_start": False, **options}
    placement = {"red": list(red), "blue": list(blue)}
    env = battle_v0.parallel_env(map_size=size, placement=placement, **options)
    env.reset(seed=0)
    return env


def attack(env, way):
    """The action that attacks the cell that lies that way."""
    params = env.game.params
    actions = np.arange(params.units[0, NUM_MOVES], env.game.num_actions)
    (found,) = actions[params.reach[0, actions] == way[1] * params.stride + way[0]]
    return int(found)


def area(image, size, x, y):
    """The pixels of a cell."""
    cell = EXTENT // size
    corner = MARGIN + (EXTENT - cell * size) // 2
    return image[corner + y * cell : corner + (y + 1) * cell, corner + x * cell :][:, :cell]


def number(image, color):
    return int((image == color).all(axis=-1).sum())


def redrawn(env, **fields):
    """The picture with some fields of the state replaced by others."""
    canvas = Canvas("rgb_array", "test", fps=10)
    canvas.selected = env._canvas.selected if env._canvas else None
    env.game.draw(env._state._replace(**fields), env._step, 0, canvas)
    return canvas.present()


def arrays(env):
    return [array.copy() for array in (*env._state, *env._step)]


# -- the picture --------------------------------------------------------------------------------


@pytest.mark.slow
def test_equal_states_make_equal_pictures_and_drawing_changes_nothing():
    envs = [battle_v0.parallel_env(map_size=20, render_mode="rgb_array") for _ in range(2)]
    for env in envs:
        env.reset(seed=3)
        env.selected, env.show_graph = "blue_2", True
    for _ in range(12):
        frames = []
        for env in envs:
            env.step(env.scripted("rush"))
            before = arrays(env)
            frames.append(env.render())
            assert np.array_equal(frames[-1], env.render())
            assert all(map(np.array_equal, before, arrays(env)))
        assert np.array_equal(*frames)


def test_a_frame_is_the_callers_own():
    env = duel()
    frame = env.render()
    assert (frame.shape, frame.dtype) == ((672, 1024, 3), np.uint8)
    before = frame.copy()
    frame[:] = 0
    assert np.array_equal(env.render(), before)
    assert not frame.any()


@pytest.mark.parametrize("size", [12, 13, 40, 45, 70, 125, 250])
def test_agents_stand_where_they_are_in_their_teams_colors(size):
    env = duel(((3, 5),), ((6, 7),), size)
    image = env.render()
    assert number(area(image, size, 3, 5), THEME.red) > 0
    assert number(area(image, size, 6, 7), THEME.blue) > 0
    for x, y in ((4, 5), (2, 5), (3, 4), (3, 6)):
        around = area(image, size, x, y)
        assert number(around, THEME.red) == number(around, THEME.blue) == 0
    wall = arena.ground_colors(env._canvas)[1]
    for x, y in ((0, 0), (size - 1, 4), (4, size - 1)):
        assert (area(image, size, x, y) == wall).all()


@pytest.mark.slow
@pytest.mark.parametrize("size", [400, 900])
def test_agents_of_huge_maps_are_seen(size):
    image = duel(((5, 5),), ((size - 2, size - 2),), size).render()[36:636, 36:636]
    assert number(image, THEME.red) >= 4
    assert number(image[-5:, -5:], THEME.blue) >= 4


@pytest.mark.parametrize("size", [12, 40, 125])
def test_hp_shows(size):
    env = duel(((3, 5),), ((6, 7),), size)
    amounts = []
    for hp in (10.0, 7.0, 3.0, 0.5):
        image = redrawn(env, hp=np.array([[hp, 10.0]], np.float32))
        tones = 255.0 - area(image, size, 3, 5)[..., 1:]  # how little green and blue there is
        amounts.append(tones.sum())
        assert number(area(image, size, 6, 7), THEME.blue) > 0
    assert amounts == sorted(amounts, reverse=True)
    assert len(set(amounts)) == 4


def test_a_stamp_covers_as_much_as_it_says():
    canvas = Canvas("rgb_array", "test", fps=10)
    pictures = np.zeros((2, 4, 3, 4))
    pictures[0, ..., :] = (200, 0, 0, 1)
    pictures[1, ..., :] = (0, 0, 0, 0.5)
    canvas.stamp(pictures, np.array([[10, 20], [13, 20]]))
    assert (canvas.pixels[20:24, 10:13] == (200, 0, 0)).all()
    assert (canvas.pixels[20:24, 13:16] == (np.array(THEME.paper) + 1) // 2).all()
    assert number(canvas.pixels, THEME.paper) == 672 * 1024 - 24


# -- what happened ------------------------------------------------------------------------------


@pytest.mark.parametrize("way", AROUND)
def test_a_hit_is_marked_from_the_attacker_to_its_target(way):
    x, y = 5 + way[0], 5 + way[1]
    env = duel(((5, 5),), ((x, y),))
    env.step({"red_0": attack(env, way), "blue_0": env.game.params.units[0, STAY]})
    assert env._state.attack_result[0, 0] == results.HIT
    image = env.render()
    without = redrawn(env, attack_result=np.zeros_like(env._state.attack_result))
    for cell in ((5, 5), (x, y)):
        assert number(area(image, 12, *cell), THEME.amber) > 10
    assert number(without[36:636, 36:636], THEME.amber) == 0
    changed = (image != without).any(axis=-1)
    others = [(5 - way[0], 5 - way[1]), (x + way[0], y + way[1])]
    assert not any(area(changed, 12, *cell).any() for cell in others)


@pytest.mark.parametrize("size", [12, 40, 125])
def test_a_miss_is_marked_faintly(size):
    env = duel(((5, 5),), ((8, 8),), size)
    env.step({"red_0": attack(env, UP), "blue_0": env.game.params.units[0, STAY]})
    image, without = (
        env.render(),
        redrawn(env, attack_result=np.zeros_like(env._state.attack_result)),
    )
    assert not np.array_equal(area(image, size, 5, 4), area(without, size, 5, 4))
    assert np.array_equal(area(image, size, 5, 6), area(without, size, 5, 6))
    assert number(image[36:636, 36:636], THEME.amber) == 0


@pytest.mark.parametrize("size", [12, 40, 125])
def test_a_kill_is_marked_in_the_victims_color(size):
    env = duel(((5, 5),), ((6, 5), (9, 9)), size, hp=1.0)
    env.step({"red_0": attack(env, RIGHT)})
    assert env._state.attack_result[0, 0] == results.KILL
    image = env.render()
    gone = env._state.status.copy()
    gone[0, 1] = board.GONE
    assert number(area(image, size, 6, 5), THEME.blue) > 0
    assert number(area(redrawn(env, status=gone), size, 6, 5), THEME.blue) == 0
    env.step({"red_0": env.game.params.units[0, STAY]})
    assert number(area(env.render(), size, 6, 5), THEME.blue) == 0, "it has gone"


def test_a_long_reach_is_marked_at_its_target():
    env = duel(((2, 8),), ((5, 7),), size=16, attack_radius=4, view_radius=2, speed=1)
    env.step({"red_0": attack(env, (3, -1)), "blue_0": env.game.params.units[0, STAY]})
    image, without = (
        env.render(),
        redrawn(env, attack_result=np.zeros_like(env._state.attack_result)),
    )
    changed = (image != without).any(axis=-1)
    assert area(changed, 16, 5, 7).any()
    assert number(image[36:636, 36:636], THEME.amber) > 50
    assert not any(area(changed, 16, *cell).any() for cell in ((6, 7), (1, 8), (5, 9), (3, 6)))


def test_the_last_step_says_so_and_a_whole_episode_can_be_drawn():
    env = battle_v0.parallel_env(
        map_size=14, render_mode="rgb_array", view_radius=3.5, attack_radius=2, speed=3
    )
    env.reset(seed=0)
    env.selected, env.show_graph = "red_0", True
    while env.agents:
        env.step(env.scripted("rush"))
        env.render()
    assert env._state.living[0].min() == 0
    image = env.render()
    env._step.over[0] = False
    changed = np.argwhere((env.render() != image).any(axis=-1))
    assert changed[:, 0].max() < 70, "the header alone"
    assert changed[:, 1].min() > 700


def test_every_row_of_a_batch_can_be_drawn():
    game = battle_v0.parallel_env(map_size=14, neighbor_radius=3.0, minimap_mode=True).game
    state, step, last = game.allocate(3), game.allocate_step(3), game.allocate_step(3)
    game.reset(state, step, np.array([1, 2, 3]))
    rng = np.random.default_rng(0)
    for _ in range(8):
        step, last = last, step
        game.step(state, rng.integers(0, game.num_actions, step.actions.shape), last, step)
    frames = []
    for row in range(3):
        alone = [type(part)(*(a[row : row + 1] for a in part)) for part in (state, step)]
        for parts, at in (((state, step), row), (alone, 0)):
            canvas = Canvas("rgb_array", "test", fps=10)
            canvas.selected, canvas.show_graph = 1, True
            game.draw(*parts, at, canvas)
            frames.append(canvas.present())
        assert np.array_equal(frames[-1], frames[-2])
    assert not np.array_equal(frames[0], frames[2])


# -- the selected agent -------------------------------------------------------------------------


def test_a_selected_agent_is_shown_with_what_it_sees():
    env = duel(((5, 5), (7, 8), (10, 10)), ((7, 5),), view_radius=3)
    plain = env.render()
    env.selected = "red_0"
    image = env.render()
    seen, reached = arena.sight_colors(env._canvas)
    assert number(area(image, 12, 5, 2), seen) > 500
    assert number(area(image, 12, 4, 4), reached) > 500
    assert number(area(image, 12, 1, 1), seen) == number(area(image, 12, 1, 1), reached) == 0
    assert number(image, THEME.green) > 0
    for x, y, marked in ((7, 8, True), (10, 10, True), (7, 5, False)):
        rim = number(area(image, 12, x, y), THEME.ink) - number(area(plain, 12, x, y), THEME.ink)
        assert (rim > 50) == marked, "only its neighbours have a dark rim"
    assert not np.array_equal(plain[300:560, 672:], image[300:560, 672:])
    env.selected = None
    assert np.array_equal(env.render(), plain)


@pytest.mark.parametrize(("agent", "own", "other"), [(0, "red", "blue"), (2, "blue", "red")])
def test_the_view_is_the_agents_observation(agent, own, other):
    env = duel(((5, 5), (5, 8)), ((7, 5), (8, 8)), minimap_mode=True)
    env.render()
    field = arena.lay_out(env.game, env._state, 0, env._canvas, MARGIN, EXTENT)
    maps = draw.view_maps(field, agent, draw.observed(field, agent))
    sight, mine, theirs = maps.values()
    step = 2 if agent == 0 else -2
    assert tuple(sight[6, 6]) == THEME.ink
    assert tuple(sight[6, 6 + step]) == getattr(THEME, other)
    assert tuple(sight[9, 6 if agent == 0 else 7]) == getattr(THEME, own)
    assert (sight == arena.ground_colors(env._canvas)[1]).all(axis=-1).any(), "a wall"
    for minimap, color, cell in ((mine, own, (8, 5)), (theirs, other, (5, 7 if agent == 0 else 5))):
        assert number(minimap, getattr(THEME, color)) >= 1
        if agent == 0 or color == other:
            assert tuple(minimap[cell]) in (getattr(THEME, color), THEME.ink)
    assert np.array_equal(np.argwhere((mine == THEME.ink).all(-1)), [[5, 5 if agent == 0 else 7]])


def test_a_dead_agent_is_said_to_be_dead():
    env = duel(((5, 5), (2, 2)), ((6, 5),), hp=1.0)
    env.selected = "red_0"
    frames = [env.render()]
    env.step({"blue_0": attack(env, LEFT)})
    frames.append(env.render())
    env.step({})
    frames.append(env.render())
    assert number(frames[0], arena.sight_colors(env._canvas)[0]) > 0
    for frame in frames[1:]:
        assert number(frame, arena.sight_colors(env._canvas)[0]) == 0
    field = arena.lay_out(env.game, env._state, 0, env._canvas, MARGIN, EXTENT)
    assert draw.health(field, 0) == "dead"
    assert draw.health(field, 1).startswith("hp 1.00")
    assert env.selected == "red_0"


def test_what_it_did_is_told():
    env = duel()
    params = env.game.params

    def told():
        env.render()
        return draw.last_action_text(
            arena.lay_out(env.game, env._state, 0, env._canvas, MARGIN, EXTENT), 0
        )

    assert told() == "nothing done yet"
    for action, words in (
        (int(params.units[0, STAY]), "stay"),
        (attack(env, RIGHT), "hit 1 right"),
        (attack(env, (-1, 1)), "miss 1 left, 1 down"),
        (0, "move 2 up"),
    ):
        env.step({"red_0": action})
        assert told() == words
    env.step({})
    assert told() == "no action"


def test_only_agents_can_be_selected():
    env = duel()
    env.selected = "blue_0"
    with pytest.raises(ValueError, match="red_7"):
        env.selected = "red_7"
    assert env.selected == "blue_0"


def test_a_lattice_shows_the_selected_site():
    env = ising_v0.parallel_env(side=4, render_mode="rgb_array")
    env.reset(seed=0)
    image = env.render()
    env.selected = env.agents[3]
    assert not np.array_equal(env.render(), image), "a frame"
    assert env.selected == env.agents[3]


# -- the neighbour graph ------------------------------------------------------------------------


def test_a_graph_is_linked_where_it_is_not_too_dense():
    env = duel(((3, 5), (8, 5)), ((3, 9), (8, 9)))
    plain = env.render()
    env.show_graph = True
    both = env.render()
    for y in (5, 9):
        assert not np.array_equal(area(plain, 12, 5, y), area(both, 12, 5, y))
    env.selected = "red_0"
    of_red = env.render()
    env.show_graph = False
    unlinked = env.render()
    assert not np.array_equal(area(of_red, 12, 5, 5), area(unlinked, 12, 5, 5))
    assert np.array_equal(area(of_red, 12, 5, 9), area(unlinked, 12, 5, 9))


def test_a_dense_graph_is_left_out_and_the_legend_says_so():
    env = battle_v0.parallel_env(map_size=40, render_mode="rgb_array")
    env.reset(seed=0)
    plain = env.render()
    env.show_graph = True
    image = env.render()
    assert np.array_equal(plain[:, :650], image[:, :650])
    assert not np.array_equal(plain, image)
    env.selected = "red_9"
    linked = env.render()
    env.show_graph = False
    assert not np.array_equal(linked[:, :650], env.render()[:, :650])


# -- windows ------------------------------------------------------------------------------------


@pytest.fixture
def shown():
    env = duel(((5, 5), (8, 8)), ((6, 5),), render_mode="human")
    yield env
    env.close()
    assert not pygame.display.get_init()


def click(env, x, y, window=None):
    """Clicks on a cell, and draws two frames: one reads the click, the next one follows it."""
    at = MARGIN + 50 * x + 25, MARGIN + 50 * y + 25
    where = window or env._canvas._window
    pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=at, button=1, window=where))
    for _ in range(2):
        assert env.render() is None


def test_a_click_selects(shown):
    click(shown, 6, 5)
    assert shown.selected == "blue_0"
    seen = arena.sight_colors(shown._canvas)[0]
    assert number(shown._canvas.pixels, seen) > 0
    shown.step({})
    assert shown.selected == "blue_0"
    click(shown, 14, 5)
    assert shown.selected == "blue_0", "a click on the panel changes nothing"
    click(shown, 2, 9)
    assert shown.selected is None
    assert number(shown._canvas.pixels, seen) == 0


def test_a_click_into_another_window_does_not_select(shown):
    other = Canvas("human", "other", fps=1000)
    click(shown, 6, 5, window=other._window)
    assert shown.selected is None
    assert other.clicked is not None
    other.close()


def test_the_window_shows_the_fight_leaves_keys_to_the_program_and_closes(shown):
    for _ in range(3):
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_a))
        shown.step(shown.scripted("rush"))
        assert [event.key for event in pygame.event.get(pygame.KEYDOWN)] == [pygame.K_a]
    surface = shown._canvas._window.get_surface()
    assert surface.get_at((700, 300))[:3] == tuple(shown._canvas.pixels[300, 700])
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    shown.step(shown.scripted("rush"))
    assert shown._canvas.closed
    shown.step(shown.scripted("rush"))
