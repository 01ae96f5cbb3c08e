"""Battle against the naive game: its rules stage by stage as plain Python, then whole compiled games."""

import numpy as np
import pytest

from mfenvs import battle_v0
from mfenvs.gridworld import board, rules
from tests.fakes.battle_field import (
    assert_same,
    assert_same_state,
    assert_same_step,
    in_effect,
    mixed,
    naive_of,
    plain_game,
)
from tests.reference import battle as naive_rules

CROWD = {
    "red": [(x, y) for x in (4, 5, 6) for y in (3, 5, 7, 9)],
    "blue": [(x, y) for x in (7, 8) for y in range(1, 11)],
}
# On a map of 104 bands are 13 wide: columns 4 to 9 of each are its inside, the others wait.
BANDS = {
    "red": [(x, 50) for x in (29, 30, 33, 34, 35, 36, 37, 39, 41, 43, 44, 45)],
    "blue": [(x, 51) for x in (29, 31, 32, 34, 35, 36, 38, 40, 42, 43, 44)],
}
CUSTOM = {
    "kill_reward": 0.7,
    "step_reward": 0.03,
    "dead_penalty": 0.11,
    "attack_penalty": -0.3,
    "attack_opponent_reward": -0.17,
}
BOTH = {"minimap_mode": True, "extra_features": True}
OPTIONS = [
    {"map_size": 12, "max_cycles": 9},
    {"map_size": 16, **BOTH, "max_cycles": 25},
    {"map_size": 20, "minimap_mode": True, **CUSTOM, "copied_start": False},
    {"map_size": 14, "extra_features": True, "hp": 3.3, "damage": 1.7, "recover": 0.35},
    {"map_size": 13, **BOTH, "speed": 3.0, "view_radius": 2.5, "attack_radius": 3.0},
    {"map_size": 18, **BOTH, "speed": 1.0, "view_radius": 4.0, "attack_radius": 1.0},
    {"map_size": 12, **BOTH, "placement": CROWD, "max_cycles": None},
    {"map_size": 12, "placement": CROWD, "copied_start": False, "damage": 20.0, **CUSTOM},
    {"map_size": 30, "minimap_mode": True, "placement": "paper", "copied_start": False},
    {"map_size": 33, **BOTH, "placement": "paper", "copied_start": False},
    {"map_size": 104, "placement": BANDS, "extra_features": True},
    {"map_size": 40, **BOTH, "copied_start": True},
    {"map_size": 12, "placement": "random", "max_cycles": 9, "copied_start": False},
    {"map_size": 21, **BOTH, "placement": "random", "start_range": 4, "max_cycles": 14},
]
every_option = pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))


def steps_for(options):
    """Small maps are cheap to play."""
    return 12 if options["map_size"] > 20 else 40


def assert_same_views(game, state, row, naive, what):
    """Observations in both layouts, and the state, are the naive ones."""
    agents = naive.agents
    room = game.allocate_observation(state.x.shape)
    game.observe(state, room)
    for agent in agents:
        view, features = naive_rules.view(naive, agent), naive_rules.features(naive, agent)
        assert_same(room["view"][row, agent.index], view, (what, "view", agent))
        assert_same(room["features"][row, agent.index], features, (what, "features", agent))
    chosen = np.arange(len(agents))[::3]
    pictures = game.allocate_parallel_observation(len(chosen))
    game.observe(state, pictures, np.full(len(chosen), row), chosen)
    for found, index in zip(pictures, chosen, strict=True):
        assert_same(found, naive_rules.picture(naive, agents[index]), (what, "picture", index))
    assert_same(game.global_state(state, row), naive_rules.whole(naive), (what, "state"))


def play_by_stages(game, row, state, actions, out, naive, what):
    """A step of a row by hand, stage by stage, next to the naive game."""
    params, told = game.params, actions[row].tolist()

    def compare(stage):
        assert_same_state(state, row, params, naive, (what, stage))

    state.counter[row] += 1
    if out.over[row]:
        rules.start(row, params, state, out)
        naive.restart(state, row)
        compare("start")
        return
    out.reset[row] = False
    state.time[row] += 1
    rules.retire(row, params, state)
    naive_rules.clear(naive)
    compare("clear")
    attacks = rules.enlist(row, params, state, actions, out)
    attackers = naive_rules.take_orders(naive, told)
    assert state.queue[row, :attacks].tolist() == [agent.index for agent in attackers]
    compare("orders")
    rules.shuffle(row, state, attacks)
    order = naive_rules.shuffled(naive, attackers)
    assert state.queue[row, :attacks].tolist() == [agent.index for agent in order]
    compare("shuffle")
    rules.attack(row, params, state, attacks)
    naive_rules.attack(naive, order)
    compare("attack")
    rules.recover(row, params, state)
    naive_rules.recover(naive)
    compare("recover")
    rules.move(row, params, state)
    naive_rules.move(naive)
    compare("move")
    rules.pay(row, params, state)
    naive_rules.reward(naive)
    compare("reward")
    board.show(row, params, state, state)
    if params.minimap:
        board.count(row, params, state, state)
    rules.close(row, params, state, out)
    naive_rules.close(naive)
    compare("close")
    assert_same_step(out, row, naive, what)


@pytest.mark.slow
@every_option
def test_every_stage_as_plain_python_equals_the_naive_one(options):
    game, seeds = plain_game(**options), np.array([3, 8])
    state, out = game.allocate(2), game.allocate_step(2)
    game.reset(state, out, seeds)
    games = [naive_of(int(seed), **options) for seed in seeds]
    coin, deaths = np.random.default_rng(5), 0
    for row, naive in enumerate(games):
        naive.restart(state, row)
        assert_same_state(state, row, game.params, naive, "reset")
        assert_same_step(out, row, naive, "reset")
    for time in range(steps_for(options)):
        if time % 6 in (0, 5):
            for row, naive in enumerate(games):
                assert_same_views(game, state, row, naive, time)
        actions = np.array([mixed(naive, coin) for naive in games])
        for row, naive in enumerate(games):
            play_by_stages(game, row, state, actions, out, naive, time)
            dying = [agent for agent in naive.agents if agent.status == "dying"]
            if dying and deaths < 40:
                assert_same_views(game, state, row, naive, (time, "a death"))
            deaths += len(dying)
    assert deaths > 0, "the test saw no death"


@pytest.mark.slow
@every_option
@pytest.mark.parametrize("seed", [0, 2**31 + 5])
def test_whole_compiled_games_equal_naive_ones(options, seed):
    env = battle_v0.batched_env(num_envs=2, **options)
    env.reset(seed=seed)
    games = [naive_of(seed + row, **options) for row in range(2)]
    coin = np.random.default_rng(7)
    for row, naive in enumerate(games):
        naive.restart(env._state, row)
    resets = 0
    for time in range(3 * steps_for(options)):
        actions = np.array([mixed(naive, coin, aim=0.9) for naive in games])
        info = env.step(actions)[-1]
        step = env._sides[0][0]
        for row, naive in enumerate(games):
            assert bool(info["reset"][row]) == naive.over
            if naive.over:
                naive.restart(env._state, row)
                resets += 1
            else:
                naive.step(actions[row].tolist())
            assert_same_state(env._state, row, env.game.params, naive, time)
            assert_same_step(step, row, naive, time)
            if time % 10 == 7:
                assert_same_views(env.game, env._state, row, naive, time)
            assert info["red_alive"][row] == len(naive.living(False))
            assert info["blue_alive"][row] == len(naive.living(True))
            assert info["red_kills"][row] == naive.size[1] - len(naive.living(True))
            assert info["blue_kills"][row] == naive.size[0] - len(naive.living(False))
            missed = naive.deeds[True, "miss"]
            assert info["blue_attacks"][row] == info["blue_hits"][row] + missed
    assert resets > 0 or options["map_size"] > 12


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS[:2] + OPTIONS[4:7] + OPTIONS[-2:], ids=str)
def test_the_parallel_view_equals_the_naive_game(options):
    env = battle_v0.parallel_env(**options)
    naive, coin = naive_of(4, **options), np.random.default_rng(1)
    for seed in (4, None):
        obs, _ = env.reset(seed=seed)
        naive.restart(env._state, 0)
        taking_part = naive.agents
        for _ in range(30):
            names = [env.possible_agents[agent.index] for agent in taking_part]
            assert list(obs) == names
            for name, agent in zip(names, taking_part, strict=True):
                assert_same(obs[name], naive_rules.picture(naive, agent), name)
            assert_same(env.state(), naive_rules.whole(naive), "state")
            if naive.over:
                assert env.agents == []
                break
            assert env.agents == [env.possible_agents[agent.index] for agent in naive.living()]
            taking_part = naive.living()
            told = mixed(naive, coin, aim=0.9)
            chosen = {name: told[env.possible_agents.index(name)] for name in env.agents}
            given = {name: action for name, action in chosen.items() if action >= 0}
            obs, rewards, terminated, truncated, infos = env.step(given)
            naive.step(told)
            for agent in taking_part:
                name = env.possible_agents[agent.index]
                assert rewards[name] == float(agent.reward)
                assert terminated[name] == agent.terminated
                assert truncated[name] == naive.truncated
                assert in_effect(infos, given, name) == (agent.action, agent.counted)
