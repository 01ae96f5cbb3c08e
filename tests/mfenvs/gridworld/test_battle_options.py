"""Battle's options: where armies start, who plays for them, who is whose neighbour, what is refused."""

import numpy as np
import pytest
import torch
from scipy import stats

from mfenvs import battle_v0
from mfenvs.gridworld import scripted
from tests.fakes.battle_field import (
    DOWN2,
    HIT_RIGHT,
    LEFT2,
    RIGHT2,
    STAY,
    UP2,
    fight,
    mixed,
    naive_of,
)
from tests.reference import battle as naive_rules

# -- placements ---------------------------------------------------------------------------------


def cells(env):
    """Where the living stand, red and blue."""
    state = env._state
    return [
        [
            (int(state.x[0, i]), int(state.y[0, i]))
            for i, name in enumerate(env.possible_agents)
            if name.startswith(team) and state.status[0, i] == 1
        ]
        for team in ("red", "blue")
    ]


@pytest.mark.parametrize("map_size", [12, 13, 17, 20, 29, 30, 40, 45, 50, 60, 80])
def test_magent2_s_placement(map_size):
    env = battle_v0.parallel_env(map_size=map_size)
    env.reset(seed=0)
    red, blue = naive_rules.armies("magent2", map_size)
    assert cells(env) == [red, blue]
    assert len(red) == len(blue)
    known = {40: 64, 45: 81, 50: 100, 60: 144, 80: 256, 30: 30, 20: 12}
    assert len(red) == known.get(map_size, len(red))
    assert env.agents == env.possible_agents


@pytest.mark.parametrize(
    ("map_size", "left", "right"), [(40, 64, 64), (30, 30, 36), (35, 42, 49), (20, 12, 12)]
)
def test_the_paper_s_placement(map_size, left, right):
    env = battle_v0.parallel_env(map_size=map_size, placement="paper", copied_start=False)
    most = max(left, right)
    assert len(env.possible_agents) == 2 * most
    sides = []
    for seed in range(1, 25):
        env.reset(seed=seed)
        red, blue = cells(env)
        swapped = bool(env._state.swapped[0])
        assert [red, blue] == list(naive_rules.armies("paper", map_size, swapped))
        assert (len(red), len(blue)) == ((right, left) if swapped else (left, right))
        assert (max(x for x, _ in red) < min(x for x, _ in blue)) == (not swapped)
        # Those who have no place are dead from the start.
        present = [f"red_{i}" for i in range(len(red))] + [f"blue_{i}" for i in range(len(blue))]
        assert env.agents == present
        assert env._step.alive[0].sum() == left + right
        assert not env._step.terminated.any()
        obs, rewards, *_ = env.step(dict.fromkeys(env.agents, STAY))
        assert list(obs) == list(rewards) == present
        assert env._step.reward[0].sum() == pytest.approx(-0.005 * (left + right), abs=1e-5)
        sides.append(swapped)
    assert 4 <= sum(sides) <= 20
    tossed = []
    for _ in range(24):
        env.reset()
        tossed.append(bool(env._state.swapped[0]))
    assert 4 <= sum(tossed) <= 20, "reset() goes on with the coin"


def test_absent_agents_see_nothing_and_do_nothing():
    env = battle_v0.batched_env(num_envs=8, map_size=30, placement="paper", extra_features=True)
    obs, info = env.reset(seed=1)
    absent = ~env.alive
    assert absent.sum(1).tolist() == [6] * 8
    assert info["red_alive"].tolist() == [30 if a else 36 for a in absent[:, 30].tolist()]
    assert not obs["view"][absent].any()
    assert not obs["features"][absent].any()
    _, reward, terminated, _, info = env.step(np.full((8, 72), STAY))
    assert info["actions"][absent].unique().tolist() == [-1]
    assert not info["acting"][absent].any()
    assert not reward[absent].any()
    assert not terminated.any()


@pytest.mark.parametrize("copied", [False, True])
def test_what_absent_agents_are_told_changes_nothing(copied):
    found = []
    for told in (-1, 2, 20):
        env = battle_v0.batched_env(8, map_size=30, placement="paper", copied_start=copied)
        env.reset(seed=1)
        actions = np.where(env.alive.numpy(), STAY, told)
        assert (actions == told).sum() == 48
        obs, reward, *_, info = env.step(actions)
        found.append([*obs.values(), reward, info["actions"], info["acting"]])
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


def test_the_left_army_has_the_first_ids():
    env = battle_v0.batched_env(num_envs=8, map_size=30, placement="paper", extra_features=True)
    obs, _ = env.reset(seed=1)
    numbers = obs["features"][..., :10].numpy() @ 2 ** np.arange(10)
    for row in range(8):
        red, blue = numbers[row, :36].tolist(), numbers[row, 36:].tolist()
        if env._state.swapped[row]:
            assert (blue[:30], red) == (list(range(30)), list(range(30, 66)))
        else:
            assert (red[:30], blue) == (list(range(30)), list(range(30, 66)))


@pytest.mark.parametrize("form", [dict, list, tuple, np.array])
def test_given_cells(form):
    red, blue = [(3, 4), (1, 1)], [(14, 14)]
    placement = {"red": red, "blue": np.array(blue) if form is np.array else blue}
    if form in (list, tuple):
        placement = form([red, blue])
    env = battle_v0.parallel_env(map_size=16, placement=placement)
    env.reset(seed=0)
    assert cells(env) == [red, blue]
    assert env.possible_agents == ["red_0", "red_1", "blue_0"]


HERE = [(3, 3)]


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"map_size": 11}, ValueError, "map_size=11"),
        ({"map_size": 8193}, ValueError, "map_size=8193"),
        ({"map_size": 40.0}, TypeError, "map_size=40.0"),
        ({"map_size": True}, TypeError, "map_size=True"),
        ({"minimap_mode": 1}, TypeError, "minimap_mode=1"),
        ({"extra_features": None}, TypeError, "extra_features=None"),
        ({"copied_start": "yes"}, TypeError, "copied_start='yes'"),
        ({"max_cycles": 0}, ValueError, "max_cycles=0"),
        ({"max_cycles": 1.5}, TypeError, "max_cycles=1.5"),
        ({"seed": -1}, ValueError, "seed=-1"),
        ({"seed": 1.0}, TypeError, "seed=1.0"),
        ({"step_reward": float("nan")}, ValueError, "step_reward"),
        ({"dead_penalty": float("inf")}, ValueError, "dead_penalty"),
        ({"attack_penalty": "0"}, TypeError, "attack_penalty"),
        ({"attack_opponent_reward": [0.2]}, TypeError, "attack_opponent_reward"),
        ({"kill_reward": None}, TypeError, "kill_reward"),
        ({"hp": 0.0}, ValueError, "hp=0.0"),
        ({"hp": float("nan")}, ValueError, "hp=nan"),
        ({"hp": 1e39}, ValueError, r"hp=1e\+39"),
        ({"hp": 1e-50}, ValueError, "hp=1e-50"),
        ({"kill_reward": 1e39}, ValueError, r"kill_reward=1e\+39"),
        ({"damage": -2.0}, ValueError, "damage=-2.0"),
        ({"recover": -0.1}, ValueError, "recover=-0.1"),
        ({"speed": 0.5}, ValueError, "speed=0.5"),
        ({"view_radius": 0}, ValueError, "view_radius=0"),
        ({"attack_radius": 0.9}, ValueError, "attack_radius=0.9"),
        ({"speed": 45}, ValueError, "speed=45"),
        ({"view_radius": 45.0}, ValueError, "view_radius=45.0"),
        ({"attack_radius": 1e9}, ValueError, "attack_radius"),
        ({"neighbors": "near"}, ValueError, "neighbors='near'"),
        ({"neighbor_radius": -1.0}, ValueError, "neighbor_radius=-1.0"),
        ({"neighbor_radius": "far"}, TypeError, "neighbor_radius"),
        ({"placement": "chance"}, ValueError, "placement='chance'"),
        ({"start_range": -1}, ValueError, "start_range=-1"),
        ({"start_range": 1.0}, TypeError, "start_range=1.0"),
        ({"placement": None}, TypeError, "placement=None"),
        ({"placement": 3}, TypeError, "placement=3"),
        ({"placement": {"red": HERE}}, ValueError, "placement"),
        ({"placement": {"red": HERE, "green": [(4, 4)]}}, ValueError, "placement"),
        ({"placement": {"red": HERE, "blue": []}}, ValueError, r"placement\['blue'\]"),
        ({"placement": {"red": HERE, "blue": HERE}}, ValueError, r"\['blue'\]\[0\]=\(3, 3\)"),
        ({"placement": {"red": HERE, "blue": [(0, 3)]}}, ValueError, r"\['blue'\]\[0\]\[0\]=0"),
        ({"placement": {"red": HERE, "blue": [(3, 44)]}}, ValueError, r"\['blue'\]\[0\]\[1\]=44"),
        ({"placement": {"red": HERE, "blue": [(3.0, 4)]}}, TypeError, r"\['blue'\]\[0\]\[0\]=3.0"),
        ({"placement": {"red": HERE, "blue": [(3, 4, 5)]}}, TypeError, r"\['blue'\]\[0\]"),
        ({"placement": {"red": HERE, "blue": [5]}}, TypeError, r"placement\['blue'\]\[0\]=5"),
        ({"placement": {"red": HERE, "blue": 5}}, TypeError, "placement"),
        ({"placement": {"red": None, "blue": HERE}}, TypeError, "placement"),
        ({"placement": [HERE]}, TypeError, "placement"),
        ({"placement": np.array([HERE, [(4, 4)]])}, TypeError, "placement"),
        ({"turn_mode": True}, TypeError, "turn_mode"),
        ({"render_mode": "ascii"}, ValueError, "render_mode"),
    ],
    ids=str,
)
def test_bad_options_are_named(options, error, name):
    with pytest.raises(error, match=f"{name}.*allowed"):
        battle_v0.parallel_env(**options)


# -- scripted players ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hold", "rush", "focus"])
@pytest.mark.parametrize(
    "options",
    [
        {"map_size": 13},
        {"map_size": 20},
        {"map_size": 16, "attack_radius": 3.0, "speed": 3.0, "hp": 5.0},
        {"map_size": 26, "placement": "paper", "copied_start": False},
        {"map_size": 20, "placement": "random", "copied_start": False},
        {"map_size": 20, "view_radius": 3.5, "damage": 1.0},
    ],
    ids=str,
)
def test_players_play_as_the_naive_ones_do(name, options):
    env = battle_v0.batched_env(num_envs=2, **options)
    env.reset(seed=6)
    games, coin = [naive_of(6 + row, **options) for row in range(2)], np.random.default_rng(2)
    for row, naive in enumerate(games):
        naive.restart(env._state, row)
    player, struck = getattr(naive_rules, name), 0
    for _ in range(50):
        found = env.scripted(name).tolist()
        for row, naive in enumerate(games):
            expected = [-1] * len(naive.agents)
            for agent in naive.living():
                expected[agent.index] = player(naive, agent)
            assert naive.over or found[row] == expected
            struck += sum(action >= len(naive.moves) for action in expected)
        # One army rushes, the other does, or does a bit of everything.
        actions = np.array([mixed(naive, coin, aim=0.8) for naive in games])
        red = games[0].num_red
        actions[:, :red] = env.scripted("rush")[:, :red]
        env.step(actions)
        for row, naive in enumerate(games):
            if naive.over:
                naive.restart(env._state, row)
            else:
                naive.step(actions[row].tolist())
    assert struck > 0


def test_the_weakest_is_attacked_first():
    env = fight([(8, 8)], [(7, 8), (9, 8), (8, 9), (8, 10)])
    assert list(env.scripted("hold").values()) == [16, 17, 16, 14, STAY]
    assert env.scripted("rush")["blue_3"] == 1, "beside blue_2, who is in the way"
    env.step({"red_0": 19})
    assert env.scripted("hold")["red_0"] == 19
    env.step({"red_0": 17})
    assert env.scripted("hold")["red_0"] == 17, "blue_1 has had less time to recover"


def test_focus_goes_to_the_weakest_it_sees():
    # blue_1 is hit once; red_1 alone is out of everybody's reach.
    env = fight([(8, 8), (3, 3)], [(6, 3), (9, 8), (14, 14)])
    env.step({"red_0": HIT_RIGHT})
    assert env.scripted("focus")["red_0"] == HIT_RIGHT
    env.step({"red_0": LEFT2, "blue_0": DOWN2})
    # From (6, 8), 3 cells from blue_0 and 3 from blue_1, whose hp is less.
    assert env.scripted("rush")["red_0"] == UP2
    assert env.scripted("focus")["red_0"] == RIGHT2
    # From (3, 3) blue_1 is out of sight, and blue_0 is alone in it; blue_2 sees nobody.
    assert env.scripted("focus")["red_1"] == env.scripted("rush")["red_1"]
    assert env.scripted("focus")["blue_2"] == env.scripted("rush")["blue_2"] != STAY


def test_rush_stays_where_there_is_no_enemy_left():
    env = battle_v0.batched_env(
        map_size=16, damage=20.0, placement={"red": [(7, 8), (3, 3)], "blue": [(8, 8)]}
    )
    env.reset(seed=0)
    _, _, terminated, _, _ = env.step(np.array([[17, STAY, -1]]))
    assert terminated.all()
    for name in ("rush", "focus"):
        assert env.scripted(name).tolist() == [[STAY, STAY, -1]]


def test_random_players_use_every_action_alike():
    env = battle_v0.batched_env(num_envs=32, map_size=45)
    env.reset(seed=3)
    before = env._state.random.copy()
    draws = []
    for _ in range(5):
        draws.append(env.scripted("random").numpy().ravel())
        assert np.array_equal(draws[-1], env.scripted("random").numpy().ravel())
        assert np.array_equal(env._state.random, before), "the engine's generator is untouched"
        env.step(np.full((32, 162), STAY))
    counts = np.bincount(np.concatenate(draws), minlength=21)
    assert len(counts) == 21
    assert stats.chisquare(counts).pvalue > 0.01
    # One step, one row or one agent tells nothing about another.
    for one, other in [(draws[0], draws[1]), (draws[0][:-162], draws[0][162:])]:
        assert (one == other).mean() == pytest.approx(1 / 21, abs=0.01)
    assert (draws[0][:-1] == draws[0][1:]).mean() == pytest.approx(1 / 21, abs=0.01)


def test_names_of_players():
    assert list(scripted.PLAYERS) == ["random", "hold", "rush", "focus"]
    parallel, batched = battle_v0.parallel_env(map_size=12), battle_v0.batched_env(map_size=12)
    assert parallel.game.scripts == ("random", "hold", "rush", "focus")
    for env in (parallel, batched):
        with pytest.raises(RuntimeError, match="before reset"):
            env.scripted("hold")
        env.reset(seed=0)
        with pytest.raises(
            ValueError, match=r"name='flee'; allowed: 'random', 'hold', 'rush', 'focus'"
        ):
            env.scripted("flee")
    assert list(parallel.scripted("random")) == parallel.agents


# -- neighbours ---------------------------------------------------------------------------------

REDS, BLUES = [(5, 5), (5, 8), (9, 5), (14, 14)], [(6, 5), (8, 9)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["red_1", "red_2", "red_3"]),
        ({"neighbors": "all"}, ["red_1", "red_2", "red_3", "blue_0", "blue_1"]),
        ({"neighbor_radius": 3.9}, ["red_1"]),
        ({"neighbor_radius": 4}, ["red_1", "red_2"]),
        ({"neighbor_radius": 0}, []),
        ({"neighbors": "all", "neighbor_radius": 4.99}, ["red_1", "red_2", "blue_0"]),
        ({"neighbors": "all", "neighbor_radius": 5.0}, ["red_1", "red_2", "blue_0", "blue_1"]),
    ],
    ids=str,
)
def test_neighbours(options, expected):
    env = fight(REDS, BLUES, **options)
    assert env.neighbors("red_0") == expected


@pytest.mark.parametrize("options", [{}, {"neighbor_radius": 9.0}], ids=str)
def test_only_the_living_are_neighbours(options):
    env = fight(REDS, BLUES, neighbors="all", damage=20.0, **options)
    before = env.neighbors("red_0")
    env.step({"red_0": 17})
    assert env.neighbors("red_0") == [agent for agent in before if agent != "blue_0"]
    assert "blue_0" in before
    moved = fight(REDS, BLUES, neighbor_radius=4.0)
    graph = moved.neighbor_graph
    moved.step({"red_2": 8})
    assert moved.neighbors("red_0") == ["red_1"]
    assert graph.neighbors(0).tolist() == [1, 2], "a graph is of its moment"
