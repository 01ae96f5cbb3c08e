"""Options, measures and graphs of MAgent2's five other games."""

from importlib import import_module

import numpy as np
import pytest

from mfenvs.engine.backend import get_backend
from mfenvs.gridworld import board
from mfenvs.gridworld.units import AttackReward, Group, UnitType, World
from mfenvs.registry import game_class

SMALL = {
    "adversarial_pursuit": {"map_size": 12},
    "battlefield": {"map_size": 46},
    "combined_arms": {"map_size": 16},
    "gather": {"map_size": 14, "placement": "random", "counts": {"omnivore": 6, "food": 8}},
    "tiger_deer": {"map_size": 12},
}
every_game = pytest.mark.parametrize("game", SMALL)


def made(game, **options):
    return import_module(f"mfenvs.{game}_v0").parallel_env(**{**SMALL[game], **options})


def refused(game, words, **options):
    with pytest.raises((ValueError, TypeError), match=words):
        made(game, **options)


def cells_of(env, group):
    state, k = env._state, [g.name for g in env.game.world.groups].index(group)
    who = np.flatnonzero((env.game.unit_groups == k) & (state.status[0] == board.ALIVE))
    return list(zip(state.x[0, who].tolist(), state.y[0, who].tolist(), strict=True))


@every_game
def test_counts_and_positions(game):
    groups = [group.name for group in made(game).game.world.groups]
    counts = {name: 2 + k for k, name in enumerate(groups)}
    env = made(game, placement="random", counts={**counts, "walls": 3})
    env.reset(seed=1)
    walls = (env._state.grid[0] == board.WALL).sum()
    for name, count in counts.items():
        assert len(cells_of(env, name)) == count
    assert walls == (made_walls(made(game, placement="random", counts={**counts, "walls": 1})) + 2)
    before = [cells_of(env, name) for name in groups]
    env.reset()
    assert [cells_of(env, name) for name in groups] != before, "drawn anew"

    given = {name: [(3 + 3 * k, 2), (3 + 3 * k, 5)] for k, name in enumerate(groups)}
    size = {"battlefield": 46, "combined_arms": 20}.get(game, 14)
    env = made(game, placement={**given, "walls": [(2, 8), (3, 8)]}, counts=None, map_size=size)
    for _ in range(2):
        env.reset()
        assert [cells_of(env, name) for name in groups] == list(given.values())
        grid = env._state.grid[0].reshape(env.game.params.stride, -1)
        rim = env.game.params.rim
        assert (grid[rim + 8, rim + 2 : rim + 4] == board.WALL).all()
        assert env.state()[2, 8, 0] == 1.0
    again = type(env)(game_class(f"{game}_v0"), **env.game.options)  # as they are kept
    assert again.game.config == env.game.config


def made_walls(env):
    env.reset(seed=1)
    return int((env._state.grid[0] == board.WALL).sum())


@every_game
def test_bad_options_are_named(game):
    first = made(game).game.world.groups[0].name
    unit = made(game).game.world.unit_types[0].name
    random = {"placement": "random"}
    refused(game, rf"counts\['{first}'\]=0; allowed: 1 or more", counts={first: 0}, **random)
    refused(game, "counts: its key='wolf'; allowed", counts={"wolf": 1}, **random)
    refused(game, "counts=.*a dict", counts=3, **random)
    refused(game, "placement='left'; allowed", placement="left")
    refused(game, "placement has the keys.*allowed", placement={"wolf": [(1, 1)]}, counts=None)
    refused(game, "units: its key='wolf'; allowed", units={"wolf": {}})
    refused(game, rf"units\['{unit}'\]: its key='size'; allowed", units={unit: {"size": 1}})
    refused(game, rf"units\['{unit}'\]: hp=-1.*", units={unit: {"hp": -1}})
    refused(
        game,
        rf"units\['{unit}'\]: view_radius=99.* allowed: less",
        units={unit: {"view_radius": 99}},
    )
    refused(game, "neighbors='friends'; allowed", neighbors="friends")
    refused(game, "map_size=4", map_size=4)


def test_what_a_map_has_no_place_for_is_refused():
    refused("tiger_deer", "always find a place", counts={"deer": 200})
    refused("adversarial_pursuit", "always find a place", counts={"predator": 20})
    refused("adversarial_pursuit", r"counts\['predator'\]=0", map_size=8)
    made("adversarial_pursuit", map_size=8, counts={"predator": 1})
    refused("battlefield", "map_size=51.*allowed", map_size=51)
    refused(
        "gather",
        "map_size=60 with placement='magent2'",
        map_size=60,
        placement="magent2",
        counts=None,
    )
    refused("combined_arms", "counts is given with placement='magent2'", counts={"redmelee": 3})
    refused(
        "tiger_deer",
        "counts is given with positions",
        counts={"deer": 1},
        placement=[[(2, 2)], [(3, 3)]],
    )
    refused(
        "tiger_deer", "is taken", placement={"deer": [(2, 2)], "tiger": [(3, 3)], "walls": [(2, 2)]}
    )


def test_units_are_changed():
    env = made("tiger_deer", units={"tiger": {"hp": 3.5, "view_radius": 2, "attack_radius": 2}})
    env.reset(seed=0)
    tiger = env.game.unit_types == 1
    assert (env._state.hp[0, tiger] == 3.5).all()
    assert env.observation_space("tiger_0").shape == (5, 5, 5)
    assert env.action_space("tiger_0").n == 5 + 12
    assert env.observation_space("deer_0").shape == (3, 3, 5)


@pytest.mark.parametrize("game", ["adversarial_pursuit", "tiger_deer"])
def test_state_shows_the_episode_s_walls_if_asked(game):
    shown = {}
    for first in (True, False):
        env = made(game, first_walls=first, map_size=20)
        env.reset(seed=5)
        rim, size = env.game.params.rim, env.game.params.size
        grid = env._state.grid[0].reshape(env.game.params.stride, -1)
        walls = grid[rim : rim + size, rim : rim + size].T == board.WALL
        shown[first] = (env.state()[..., 0] == walls).all()
    assert shown == {True: False, False: True}


def test_unshaped_rewards():
    for game in SMALL:
        module = import_module(f"mfenvs.{game}_v0")
        env = made(game, **module.UNSHAPED)
        env.reset(seed=2)
        rewards = set()
        for _ in range(12):
            rewards |= set(env.step(env.scripted("rush"))[1].values())
        assert rewards <= {0.0, 1.0, 2.0, 3.0, -1.0, -2.0, -3.0, 5.0}, game


def test_measures():
    """Hits and kills are those of another side: friendly fire and rivals do not count."""
    cells = {"redmelee": [(3, 3), (4, 3)], "redranged": [(8, 8)]}
    cells |= {"bluemelee": [(3, 4)], "blueranged": [(12, 12)]}
    env = made("combined_arms", placement=cells, copied_start=False)
    env.reset(seed=0)
    env.step({"redmelee_0": 7, "redmelee_1": 2, "bluemelee_0": 5})  # red hits red, blue hits red
    measures = env.measures
    assert (measures["redmelee_attacks"], measures["redmelee_hits"]) == (1, 0)
    assert (measures["bluemelee_hits"], measures["blue_hits"], measures["red_hits"]) == (1, 1, 0)
    assert (measures["red_alive"], measures["redmelee_alive"]) == (3, 2)

    env = made(
        "gather", placement={"omnivore": [(3, 3), (4, 3), (6, 6)], "food": [(6, 5)]}, counts=None
    )
    env.reset(seed=0)
    env.step({"omnivore_0": 31, "omnivore_2": 29})  # one kills a rival, another bites
    assert env.measures["omnivore_eaten"] == 0
    assert env.measures["omnivore_bites"] == 1
    assert env.measures["omnivore_alive"] == 2
    assert env.agents == ["omnivore_0", "omnivore_2"]

    for game, name in (("adversarial_pursuit", "tags"), ("gather", "eaten")):
        env = made(game)
        assert env.game.match_measure == name
        env.reset()
        assert all(f"{group}_{name}" in env.measures for group in env.game.group_names)


def test_graphs():
    neighbors = {}
    for name in ("color", "team", "group", "type", "all"):
        env = made("combined_arms", neighbors=name)
        env.reset(seed=0)
        neighbors[name] = {agent.rpartition("_")[0] for agent in env.neighbors("redmelee_0")}
    colors = {"redmelee", "redranged"}
    everybody = colors | {"bluemelee", "blueranged"}
    assert neighbors == {
        "color": colors,
        "team": colors,
        "group": {"redmelee"},
        "type": {"redmelee", "bluemelee"},
        "all": everybody,
    }
    near = made("combined_arms", neighbors="all", neighbor_radius=2.0)
    near.reset(seed=0)
    assert 0 < len(near.neighbors("redmelee_0")) < 10


def test_channels_and_features_have_names():
    env = made("combined_arms", minimap_mode=True, extra_features=True)
    names = env.game.channel_names("blueranged")
    assert names[:5] == ("wall", "blueranged", "blueranged_hp", "blueranged_minimap", "redmelee")
    assert len(names) == 13
    features = env.game.feature_names("blueranged")
    assert features[9:12] == ("id_bit_9", "last_action_0", "last_action_1")
    assert features[-4:] == ("last_action_24", "last_reward", "x", "y")
    width = env.observation_space("blueranged_0").shape[2]
    assert len(names) + len(features) == width
    obs = env.reset(seed=0)[0]["blueranged_0"]
    x = obs[0, 0, len(names) + features.index("x")]
    place = env.game.agents.index("blueranged_0")
    assert x == np.float32(env._state.x[0, place]) / np.float32(env.game.params.size)
    assert obs[6, 6, names.index("blueranged_hp")] == 1.0
    assert made("gather").game.feature_names("omnivore") == ()
    with pytest.raises(ValueError, match="group='food'; allowed: 'omnivore'"):
        made("gather").game.channel_names("food")


# -- rules that are not MAgent2's, or not seen in its games ------------------------------------------


def test_joint_rewards_are_paid_for_each_other_attacker():
    cells = {"tiger": [(4, 5), (6, 5), (5, 4)], "deer": [(5, 5), (9, 9)]}
    env = made("tiger_deer", placement=cells, copied_start=False, joint_reward=0.3)
    env.reset(seed=0)
    rewards = env.step({"tiger_0": 7, "tiger_1": 6, "tiger_2": 8})[1]
    each = np.float32(0.3) + np.float32(0.3)
    assert [rewards[f"tiger_{i}"] for i in range(3)] == [each] * 3
    assert rewards["deer_0"] == np.float32(-0.1) + np.float32(-0.1) + np.float32(-0.1)
    with pytest.raises(ValueError, match=r"joint_reward=0\.5 with op='kill'; allowed: 'hit'"):
        AttackReward("wolf", "kill", "deer", joint_reward=0.5)


def test_a_passive_group_comes_last():
    food, wolf = UnitType("food"), UnitType("wolf")
    start = made("tiger_deer").game.world.placement
    passive = Group("food", food, passive=True)
    with pytest.raises(ValueError, match=r"groups are passive: \[True, False\]; allowed"):
        World((passive, Group("wolf", wolf)), start)
    with pytest.raises(ValueError, match="passive"):
        World((passive, Group("more", food, passive=True)), start)


@pytest.mark.parametrize("shown", ["minimap_mode", "extra_features"])
def test_without_id_bits_no_action_shows_in_the_features_of_the_agent_before(shown):
    """In MAgent2's memory, of the agents that it has not removed: here the second one has died."""
    cells = {"omnivore": [(3, 3), (6, 3), (9, 3), (7, 3)], "food": [(12, 12)]}
    env = made("gather", placement=cells, counts=None, **{shown: True})
    env.reset(seed=0)
    last = lambda obs: {agent: seen[0, 0, -1] for agent, seen in obs.items()}  # noqa: E731
    stay, left = 14, 30
    first = last(env.step({"omnivore_0": stay, "omnivore_1": stay, "omnivore_3": left})[0])
    assert first["omnivore_1"] == 1.0, "omnivore_2 had no action"
    assert first["omnivore_0"] != 1.0
    second = last(env.step({"omnivore_0": stay, "omnivore_3": stay})[0])
    assert list(second) == ["omnivore_0", "omnivore_2", "omnivore_3"]
    assert second["omnivore_0"] == 1.0
    third = last(env.step({"omnivore_2": stay, "omnivore_3": stay})[0])
    assert 1.0 not in third.values(), "nobody is before omnivore_0"
    snapshot = env.game.snapshot(env._state)
    out = env.game.allocate_observation((1, 4))
    env.game.observe(snapshot, out)
    assert out["features"][0, [0, 2, 3], -1].tolist() == list(third.values())


def never_draws(generator, cell):
    """Whether MAgent2's tries for a predator on a map of 12 all miss a cell."""
    for _ in range(12 * 12 + 2):
        drawn = []
        for _ in range(2):
            generator = 16807 * generator % (2**31 - 1)
            drawn.append(generator % (12 - 2))
        if tuple(drawn) == cell:
            return False
    return True


def test_a_place_is_taken_without_luck():
    """When drawing fails as often as MAgent2 tries, the first free cell is taken."""
    from mfenvs.gridworld import start

    game = game_class("adversarial_pursuit_v0")(
        made("adversarial_pursuit").game.config, get_backend()
    )
    state = game.allocate(1)
    params, grid = game.params, state.grid
    grid[0] = params.empty_map
    inside = grid[0].reshape(params.stride, -1)[params.rim :, params.rim :]
    inside[1:11, 1:11] = board.WALL
    inside[7:9, 5:7] = board.BLANK  # the one place for a predator
    state.random[0] = next(seed for seed in range(1, 100) if never_draws(seed, (5, 7)))
    assert start.free_cell(0, 2, 2, params, state) == 7 * params.size + 5
