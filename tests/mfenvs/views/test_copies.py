"""Copies, pickles and state dicts of environments in use: they continue as the original would."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch

from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfenvs.views.parallel import ParallelEnv
from mfenvs.views.vector import AgentVectorEnv
from tests.fakes.toy_game import ToyGame
from tests.mfenvs.views.test_parallel import same
from tests.mfenvs.views.test_vector import Walkers

COPIES = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda env: pickle.loads(pickle.dumps(env)),
}
GAMES = {
    "ising": (ising_v0, {"side": 4, "update": "random", "max_cycles": 12}),
    "squeeze": (gaussian_squeeze_v0, {"num_agents": 7, "max_cycles": 12}),
    "battle": (battle_v0, {**battle_v0.PAPER, "map_size": 16, "damage": 6.0, "max_cycles": 25}),
}
every_copy = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
every_game = pytest.mark.parametrize(("module", "options"), GAMES.values(), ids=GAMES)


def run(env, steps=30):
    """Plays on, over an episode's end and without a seed; the actions are the spaces' samples."""
    results = []
    for _ in range(steps):
        actions = {agent: env.action_space(agent).sample() for agent in env.agents}
        results.append(env.step(actions) if actions else env.reset())
        results.append((env.agents, env.state(), env.measures))
    return results


def started(module, options, steps=7):
    env = module.parallel_env(**options)
    env.reset(seed=3)
    for agent in env.possible_agents:
        env.action_space(agent).seed(5)
    run(env, steps)
    return env


@every_game
@every_copy
def test_a_copied_parallel_env_continues_as_the_original(module, options, copied):
    env = started(module, options)
    env.selected = env.possible_agents[1]
    twin = copied(env)
    untouched = copied(env)
    expected = run(env)
    assert same(run(twin), expected)
    assert same(run(untouched), expected), "the copies share no memory"
    assert twin.selected == env.selected
    assert twin.game is not env.game


@every_copy
def test_a_copy_before_the_first_reset(copied):
    twin = copied(ising_v0.parallel_env(side=4))
    with pytest.raises(RuntimeError, match="before reset"):
        twin.step({})
    assert same(twin.reset(seed=1), ising_v0.parallel_env(side=4).reset(seed=1))


def test_a_copy_keeps_what_was_set():
    env = ising_v0.parallel_env(side=4, render_mode="rgb_array")
    env.max_cycles, env.note = 3, "mine"
    env.reset(seed=0)
    env.render()
    twin = copy.deepcopy(env)
    assert (twin.max_cycles, twin.note, twin.render_mode) == (3, "mine", "rgb_array")
    assert np.array_equal(twin.render(), env.render())


def test_a_game_with_deaths_and_dict_observations():
    env = ParallelEnv(ToyGame, max_cycles=20)
    env.reset(seed=2)
    run(env, 4)
    twin = pickle.loads(pickle.dumps(env))
    assert same(run(twin), run(env))


@every_game
def test_a_parallel_state_dict_tries_several_continuations(module, options):
    env = started(module, options)
    saved = env.state_dict()
    shown = env.observations()
    futures = []
    for seed in (1, 1, 2):
        env.load_state_dict(saved)
        assert same(env.observations(), shown)
        for agent in env.possible_agents:
            env.action_space(agent).seed(seed)
        futures.append(run(env))
    assert same(futures[0], futures[1])
    assert not same(futures[0], futures[2])
    other = module.parallel_env(**options)
    other.load_state_dict(saved)
    for agent in other.possible_agents:
        other.action_space(agent).seed(2)
    assert same(run(other), futures[2])


def test_a_parallel_env_loads_the_state_of_a_batch_of_one():
    batch = battle_v0.batched_env(map_size=16, damage=11.0)
    batch.reset(seed=4)
    for _ in range(6):
        batch.step(batch.scripted("rush"))
    env = battle_v0.parallel_env(map_size=16, damage=11.0)
    env.load_state_dict(batch.state_dict())
    alive = batch.alive[0].tolist()
    assert env.agents == [a for a, lives in zip(batch.agents, alive, strict=True) if lives]
    joint = batch.scripted("rush")
    _, rewards, *_ = env.step(env.scripted("rush"))
    expected = batch.step(joint)[1][0]
    assert list(rewards.values()) == expected[torch.tensor(alive)].tolist()


def tensors(result):
    obs, *values, info = result
    parts = [*(obs.values() if isinstance(obs, dict) else [obs]), *values, *info.values()]
    return [part.clone() for part in parts]


def batched_run(env, seed=0, steps=20):
    generator = torch.Generator().manual_seed(seed)
    shape, most = (env.num_envs, env.num_agents), int(env.single_action_space.n)
    return [
        tensor
        for _ in range(steps)
        for tensor in tensors(env.step(torch.randint(most, shape, generator=generator)))
    ]


@every_game
@every_copy
def test_a_copied_batched_env_continues_as_the_original(module, options, copied):
    env = module.batched_env(3, **options)
    env.reset(seed=1)
    batched_run(env, seed=1, steps=8)
    env.render(1)
    twin, untouched = copied(env), copied(env)
    assert all(map(torch.equal, tensors(twin.last()), tensors(env.last())))
    expected = batched_run(env)
    assert all(map(torch.equal, batched_run(twin), expected))
    assert all(map(torch.equal, batched_run(untouched), expected))
    assert np.array_equal(twin.row_seeds, env.row_seeds)
    # A backend knows pinned arrays by their address: a copy's must be its own.
    pinned = twin.game.backend._pinned
    assert all(key == id(arrays) for key, arrays in pinned.items())
    assert id(twin._state) in pinned


@every_copy
def test_a_copied_vector_env_continues_as_the_original(copied):
    env = AgentVectorEnv(Walkers, num_envs=2, hazard=0.0)
    env.reset(seed=1)
    actions = np.random.default_rng(0).integers(0, 3, (9, env.num_envs))
    for joint in actions[:3]:
        env.step(joint)
    twin, untouched = copied(env), copied(env)
    expected = [env.step(joint) for joint in actions]
    assert same([twin.step(joint) for joint in actions], expected)
    assert same([untouched.step(joint) for joint in actions], expected)
    assert twin.np_random_seed == env.np_random_seed == 1


@every_copy
@every_game
def test_a_used_game_can_be_copied(module, options, copied):
    env = started(module, options)
    game = copied(env.game)
    assert type(game) is type(env.game)
    assert game.config == env.game.config
    assert game.backend is not env.game.backend
    assert repr(game) == repr(env.game)


@every_copy
@pytest.mark.parametrize("maker", ["env", "raw_env"])
@every_game
def test_a_copied_aec_env_continues_as_the_original(module, options, maker, copied):
    env = getattr(module, maker)(**options)
    env.reset(seed=3)
    play = aec_player(env)
    play(env, 2 * len(env.possible_agents) + 3)  # amid a cycle
    twin, loaded = copied(env), getattr(module, maker)(**options)
    saved = env.state_dict()
    expected = play(env, 150)
    assert same(play(twin, 150), expected)
    loaded.load_state_dict(saved)
    assert same(play(loaded, 150), expected)
    env.load_state_dict(saved)
    assert same(play(env, 150), expected), "loading does not change the state dict"


def aec_player(env):
    most = int(env.action_space(env.possible_agents[0]).n)

    def play(env, turns):
        coin, results = np.random.default_rng(0), []
        for _ in range(turns):
            if not env.agents:
                break
            obs, reward, terminated, truncated, info = env.last()
            results.append((env.agent_selection, obs, reward, terminated, truncated, info))
            env.step(None if terminated or truncated else int(coin.integers(most)))
        return results

    return play


def test_an_aec_state_needs_its_cycle():
    env = ising_v0.env(side=4)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="'cycle'"):
        env.load_state_dict(env.unwrapped.state_dict())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"damage": 3.0}, r"damage=2.0; allowed: damage=3.0"),
        ({"max_cycles": 9, "attack_penalty": 0.0}, "attack_penalty=-0.1, max_cycles=1000"),
        ({"placement": {"red": [(5, 5)], "blue": [(6, 5)]}}, "placement='magent2'"),
    ],
)
@pytest.mark.parametrize("maker", ["parallel_env", "batched_env"])
def test_a_state_of_other_rules_is_refused(maker, change, words):
    env = getattr(battle_v0, maker)(map_size=12)
    env.reset(seed=0)
    other = getattr(battle_v0, maker)(map_size=12, **change)
    other.reset(seed=1)
    before = other.state_dict()
    with pytest.raises(ValueError, match=words):
        other.load_state_dict(env.state_dict())
    assert same(list(map(str, before.items())), list(map(str, other.state_dict().items())))


def test_a_state_of_another_game_is_refused_and_an_older_one_is_not():
    env = ising_v0.parallel_env(side=4)
    env.reset(seed=0)
    state = env.state_dict()
    with pytest.raises(ValueError, match=r"'ising_v0'; allowed: 'battle_v0'"):
        battle_v0.parallel_env(map_size=12).load_state_dict(state)
    fewer = {**state["rules"]["options"]}
    del fewer["fraction"]  # as a version without that option would have saved it
    env.load_state_dict({**state, "rules": {"game": "ising_v0", "options": fewer}})
    del state["rules"]
    env.load_state_dict(state)
    for part, key in (("state", "spin"), ("step", "over")):
        broken = {**state, part: {**state[part], key: state[part][key][:0]}}
        with pytest.raises(ValueError, match=rf"state\['{part}'\]\['{key}'\] is \(0"):
            env.load_state_dict(broken)


def test_a_changed_time_limit_keeps_one_set_of_rules():
    env = battle_v0.parallel_env(map_size=12)
    env.reset(seed=0)
    for limit in range(50, 100):
        env.max_cycles = limit
        env.step(env.scripted("rush"))
    assert len(env.game.backend._pinned) <= 4  # params, the state and two steps
    assert env.max_cycles == 99


def test_a_batch_loads_the_seeds_of_its_rows():
    env, other = (ising_v0.batched_env(2, side=4) for _ in range(2))
    env.reset(seed=1)
    other.load_state_dict(env.state_dict())
    assert np.array_equal(other.row_seeds, env.row_seeds)


@pytest.mark.parametrize("make", [battle_v0.parallel_env, partial(battle_v0.batched_env, 1)])
def test_a_state_with_floats_for_integers_is_refused(make):
    env = make(map_size=12)
    env.reset(seed=1)
    state = env.state_dict()
    state["state"] = {**state["state"], "x": state["state"]["x"] + 0.5}
    with pytest.raises(ValueError, match=r"state\['state'\]\['x'\] is .*float.*; allowed: .*int"):
        env.load_state_dict(state)
