"""Options, seeds and actions in the forms that callers have them in, MAgent2's among them."""

import inspect
import json
import types
from collections import OrderedDict, UserDict

import numpy as np
import pytest
import torch
from magent2.environments import battle_v4

from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfenvs.gaussian_squeeze.config import SqueezeConfig
from mfenvs.gridworld.games.battle import BattleConfig
from mfenvs.ising.config import IsingConfig
from mfenvs.validate import MAX_SEED
from tests.mfenvs.views.test_parallel import same

# -- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        IsingConfig(side=np.int64(4), coupling=np.float32(0.5), field=np.ones(16, np.float32)),
        IsingConfig(side=np.array(4), observe_neighbors=np.bool_(True), max_cycles=np.uint8(9)),
        SqueezeConfig(num_agents=np.int32(9), mu=np.float64(3.0), sigma=np.array(2.0)),
        BattleConfig(
            map_size=np.int64(12),
            seed=np.uint64(3),
            hp=np.float32(3.0),
            placement={"red": np.array([[5, 5]]), "blue": [(np.int64(6), 5)]},
        ),
        battle_v0.parallel_env(map_size=np.int64(12), minimap_mode=np.bool_(False)).game.config,
    ],
    ids=lambda config: type(config).__name__,
)
def test_options_are_kept_as_python_s_numbers(config):
    written = json.loads(json.dumps(vars(config)))
    assert type(config)(**written) == config


def test_a_limit_that_is_set_is_checked_and_kept_as_a_python_number():
    env = ising_v0.parallel_env(side=4)
    env.max_cycles = np.int64(7)
    assert type(env.max_cycles) is int
    with pytest.raises(ValueError, match="max_cycles=0"):
        env.max_cycles = 0
    assert env.max_cycles == 7


# -- seeds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 7, MAX_SEED])
@pytest.mark.parametrize(
    "make",
    [lambda: battle_v0.batched_env(3, map_size=12), lambda: ising_v0.vector_env(3, side=3)],
    ids=["battle", "ising, vector"],
)
def test_row_seeds_are_seeds(make, seed):
    env = make()
    inner = getattr(env, "_env", env)
    env.reset(seed=seed)
    state, seeds = inner.state_dict()["state"], inner.row_seeds
    assert len(set(seeds.tolist())) == 3
    for again in (seeds, seeds.tolist(), torch.from_numpy(seeds), inner.state_dict()["seeds"]):
        rows = again["row_seeds"] if isinstance(again, dict) else again
        env.reset(seed=rows)
        for name, value in inner.state_dict()["state"].items():
            assert torch.equal(value, state[name]), name


@pytest.mark.parametrize("seed", [np.array(5), np.int64(5), np.uint8(5), torch.tensor(5), [5]])
def test_a_seed_may_be_an_array_without_axes(seed):
    if isinstance(seed, list):
        env = battle_v0.parallel_env(map_size=12)  # there a row's seed is the seed
        assert same(env.reset(seed=seed), battle_v0.parallel_env(map_size=12).reset(seed=5))
        return
    for make in (ising_v0.parallel_env, ising_v0.batched_env, ising_v0.vector_env):
        obs, expected = make(side=4).reset(seed=seed)[0], make(side=4).reset(seed=5)[0]
        assert np.array_equal(np.array(list(obs)), np.array(list(expected)))


@pytest.mark.parametrize("seed", [np.array(5.0), np.array(-1), np.array(True), torch.tensor(0.5)])
def test_bad_arrays_of_seeds_are_named(seed):
    with pytest.raises((TypeError, ValueError), match="seed="):
        ising_v0.parallel_env(side=4).reset(seed=seed)


def test_a_seed_that_no_reset_takes_is_no_option():
    with pytest.raises(ValueError, match="seed="):
        battle_v0.parallel_env(map_size=12, seed=MAX_SEED + 1)


def test_the_vector_env_names_the_seed_that_its_rows_have():
    env = ising_v0.vector_env(2, side=3)
    assert env.np_random_seed is None
    first, _ = env.reset()
    again, _ = ising_v0.vector_env(2, side=3).reset(seed=env.np_random_seed)
    assert np.array_equal(first, again)
    env.reset(seed=11)
    assert env.np_random_seed == 11
    draws = env.np_random.random(3)
    env.reset()
    assert env.np_random_seed == 11
    env.reset(seed=np.int64(11))
    assert type(env.np_random_seed) is int
    assert np.array_equal(env.np_random.random(3), draws)
    env.reset(seed=[4, 5])
    assert env.np_random_seed == (4, 5)


@pytest.mark.parametrize("maker", ["parallel_env", "batched_env", "vector_env", "env", "raw_env"])
def test_reset_ignores_options_in_every_view(maker):
    env, twin = (getattr(ising_v0, maker)(side=4) for _ in range(2))
    env.reset(seed=3, options={"options": 1})
    twin.reset(seed=3)
    state, expected = (
        (made._env if maker == "vector_env" else made).state_dict()["state"] for made in (env, twin)
    )
    assert all(np.array_equal(value, expected[name]) for name, value in state.items())


# -- actions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [OrderedDict, UserDict, types.MappingProxyType])
def test_actions_may_be_any_mapping(form):
    env, twin = (battle_v0.parallel_env(map_size=16) for _ in range(2))
    env.reset(seed=0)
    twin.reset(seed=0)
    for _ in range(3):
        actions = twin.scripted("rush")
        assert same(env.step(form(actions)), twin.step(actions))


FORMS = {
    "float": float,
    "float32": np.float32,
    "array of one": lambda action: np.array([action]),
    "array of one float": lambda action: np.array([float(action)]),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_actions_in_the_forms_that_magent2_takes(form):
    env, theirs = battle_v0.parallel_env(map_size=16), battle_v4.parallel_env(map_size=16)
    env.reset(seed=0)
    theirs.reset(seed=0)
    for _ in range(6):
        actions = {agent: form(action) for agent, action in env.scripted("rush").items()}
        _, rewards, terminations, *_ = env.step(actions)
        expected = theirs.step(actions)
        assert rewards == pytest.approx(expected[1])
        assert terminations == expected[2]
    theirs.close()


@pytest.mark.parametrize(
    "action",
    [0.5, np.float32(0.5), float("nan"), [3], np.array([1, 2]), np.array([[3]]), np.array([True])],
    ids=repr,
)
def test_other_forms_are_refused(action):
    env = battle_v0.parallel_env(map_size=12)
    env.reset(seed=0)
    with pytest.raises(TypeError, match=r"actions\['red_1'\].*allowed: an integer"):
        env.step({"red_0": 1, "red_1": action})


def test_a_tensor_of_one_is_an_action():
    env, twin = (battle_v0.parallel_env(map_size=12) for _ in range(2))
    env.reset(seed=0)
    twin.reset(seed=0)
    tensors = {"red_0": torch.tensor(3), "red_1": torch.tensor([4])}
    assert same(env.step(tensors), twin.step({"red_0": 3, "red_1": 4}))


# -- what student code of MAgent2 uses ----------------------------------------------------------


def test_before_the_reset_there_is_what_magent2_has():
    env, theirs = battle_v0.parallel_env(map_size=16), battle_v4.parallel_env(map_size=16)
    assert env.agents == theirs.agents == env.possible_agents
    assert (env.num_agents, env.max_num_agents) == (theirs.num_agents, theirs.max_num_agents)
    assert env.team_sizes == theirs.team_sizes
    assert list(env.observation_spaces) == list(theirs.observation_spaces)
    for agent in ("red_0", "blue_2"):
        assert env.action_spaces[agent].n == theirs.action_spaces[agent].n
        assert env.observation_spaces[agent].shape == theirs.observation_spaces[agent].shape
    assert not hasattr(env, "env"), "there is no engine of MAgent2's"
    theirs.close()


def test_team_sizes_and_agents_follow_magent2_s():
    env = battle_v0.parallel_env(map_size=20)
    theirs = battle_v4.parallel_env(map_size=20)
    env.reset(seed=3)
    theirs.reset(seed=3)
    sizes = set()
    while True:
        actions = env.scripted("rush")
        env.step(actions)
        theirs.step(actions)
        if len(env.agents) < 3:  # MAgent2 leaves the sizes as they were when a team is gone
            break
        assert env.team_sizes == theirs.team_sizes
        assert env.num_agents == theirs.num_agents == sum(env.team_sizes)
        sizes.add(tuple(env.team_sizes))
    assert len(sizes) > 2
    theirs.close()


def test_seed_is_magent2_s():
    env, theirs = battle_v0.parallel_env(map_size=20), battle_v4.parallel_env(map_size=20)
    for seed in (4, 11):
        env.seed(seed)
        theirs.seed(seed)
        env.reset()
        theirs.reset()
        for step in range(12):
            if step == 6:
                env.seed(seed + 1)
                theirs.seed(seed + 1)
            actions = env.scripted("rush")
            assert env.step(actions)[1] == pytest.approx(theirs.step(actions)[1])
    env.seed()
    with pytest.raises(ValueError, match="seed=-1"):
        env.seed(-1)
    theirs.close()


@pytest.mark.parametrize("maker", ["parallel_env", "raw_env"])
def test_positions_of_arguments_are_magent2_s(maker):
    ours = list(inspect.signature(getattr(battle_v0, maker)).parameters.values())
    theirs = list(inspect.signature(getattr(battle_v4, maker)).parameters.values())
    for mine, its in zip(ours, theirs[:-1], strict=False):  # the last one is **reward_args
        assert (mine.name, mine.default) == (its.name, its.default)
        assert mine.kind is its.kind
    env = battle_v0.parallel_env(16, 30, True, True, "rgb_array", 5, step_reward=-0.1)
    config = env.game.config
    assert (config.map_size, config.max_cycles, config.seed) == (16, 30, 5)
    assert (config.minimap_mode, config.extra_features) == (True, True)
    assert (env.render_mode, config.step_reward) == ("rgb_array", -0.1)
    inner = battle_v0.raw_env(16, 30, True, True, 5).unwrapped.game.config
    assert inner == BattleConfig(16, True, max_cycles=30, extra_features=True, seed=5)


def test_repr_names_the_options_and_with_closes():
    env = battle_v0.parallel_env(map_size=16, render_mode="rgb_array")
    assert repr(env) == "ParallelEnv(BattleGame(map_size=16), render_mode='rgb_array')"
    assert str(env) == "battle_v0"
    batch = ising_v0.batched_env(2, side=4)
    assert repr(batch) == "BatchedEnv(IsingGame(side=4), num_envs=2, device='cpu')"
    vector = gaussian_squeeze_v0.vector_env(2)
    assert repr(vector) == "AgentVectorEnv(SqueezeGame(), num_envs=2)"
    for made in (env, batch):
        with made as inside:
            inside.reset(seed=0)
            inside.render()
        assert not getattr(inside, "_canvases", None)
        assert getattr(inside, "_canvas", None) is None
    with vector as inside:
        assert inside is vector
    assert vector.closed
