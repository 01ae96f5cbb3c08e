"""Gymnasium's vector view: equality with the batched view, Gymnasium's own wrappers, errors."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector as wrappers

from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfenvs.views.vector import AgentVectorEnv
from tests.fakes.toy_game import JUMP, ToyGame

OPTIONS = [
    (ising_v0, {"side": 4, "max_cycles": 7}),
    (ising_v0, {"side": 4, "update": "checkerboard", "observe_neighbors": True, "max_cycles": 3}),
    (ising_v0, {"side": 3, "update": "random", "fraction": 0.4, "field": 0.2}),
    (gaussian_squeeze_v0, {"num_agents": 7, "max_cycles": 5, "mu": 15.0, "sigma": 9.0}),
]


def told(value):
    """A test's name: that of the module, then its options."""
    return str(value) if isinstance(value, dict) else value.__name__.rpartition(".")[2]


class Walkers(ToyGame):
    """The toy game without its deaths, as long as nobody jumps; observations are dicts."""

    id = "walkers_v0"
    fixed_population = True


@pytest.mark.parametrize(("module", "options"), OPTIONS, ids=told)
def test_it_is_the_batched_view_row_by_row(module, options):
    rows = 3
    vector = module.vector_env(num_envs=rows, **options)
    batched = module.batched_env(num_envs=rows, **options)
    agents = batched.num_agents
    assert (vector.num_rows, vector.num_agents, vector.num_envs) == (rows, agents, rows * agents)
    coin = np.random.default_rng(0)
    found, expected = vector.reset(seed=5), batched.reset(seed=5)
    for _ in range(20):
        obs, *values, infos = found
        theirs, *tensors, info = expected
        assert obs in vector.observation_space
        if tensors:
            tensors[-1] = tensors[-1][:, None].expand(rows, agents)  # truncated: a row's
        pairs = [(obs, theirs), *zip(values, tensors, strict=True)]
        pairs += [(infos["action"], info["actions"]), (infos["acting"], info["acting"])]
        if "action_mask" in info:
            pairs.append((infos["action_mask"], info["action_mask"]))
        for mine, tensor in pairs:
            assert mine.dtype == tensor.numpy().dtype
            assert np.array_equal(mine, tensor.numpy().reshape(mine.shape))
            assert len(mine) == vector.num_envs
        assert ("action_mask" in infos) == ("action_mask" in info)
        for name, values in infos.items():
            assert name.startswith("_") or infos[f"_{name}"].all()
            assert len(values) == vector.num_envs
        for name, value in vector.measures.items():
            assert np.array_equal(value, info[name].numpy())
        actions = coin.integers(-1, batched.single_action_space.n, rows * agents)
        found = vector.step(actions)
        expected = batched.step(actions.reshape(rows, agents))
    vector.close()
    assert vector.closed


def test_what_a_step_returned_is_the_caller_s_to_keep():
    env = ising_v0.vector_env(num_envs=2, side=3)
    kept = [env.reset(seed=0)[0]]
    before = kept[0].copy()
    for action in (0, 1, 0, 1):
        obs, *_ = env.step(np.full(18, action))
        assert not any(np.shares_memory(obs, old) for old in kept)
        kept.append(obs)
    assert np.array_equal(kept[0], before)


def test_gymnasium_s_wrappers_see_episodes_end_together_and_start_in_the_next_step():
    env = ising_v0.vector_env(num_envs=2, side=3, initial="up", max_cycles=3)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    env = wrappers.RecordEpisodeStatistics(env)
    env.reset(seed=0)
    up = np.ones(18, np.int64)
    for step in range(1, 9):
        _, rewards, terminations, truncations, infos = env.step(up)
        assert truncations.all() == truncations.any() == (step % 4 == 3)
        assert not terminations.any()
        assert (rewards == (0 if step % 4 == 0 else 2)).all()
        if step % 4 == 3:
            assert infos["_episode"].all()
            assert (infos["episode"]["l"] == 3).all()
            assert (infos["episode"]["r"] == 6.0).all()
        else:
            assert "episode" not in infos
    assert env.episode_count == 2 * 18


def test_gymnasium_s_wrappers_of_observations_rewards_and_infos():
    plain = gaussian_squeeze_v0.vector_env(num_envs=2, num_agents=4, mu=9.0, sigma=5.0)
    env = gaussian_squeeze_v0.vector_env(num_envs=2, num_agents=4, mu=9.0, sigma=5.0)
    env = wrappers.TransformReward(env, lambda rewards: 2 * rewards)
    env = wrappers.DictInfoToList(env)
    plain.reset(seed=0)
    obs, _ = env.reset(seed=0)
    assert obs.shape == (8, 2)
    actions = np.array([0, 1, 2, 3, 4, 5, 6, 7])
    obs, rewards, _, _, infos = env.step(actions)
    assert np.array_equal(rewards, 2 * plain.step(actions)[1])
    assert len(np.unique(rewards)) == 2  # one sum a game
    assert [int(info["action"]) for info in infos] == actions.tolist()
    assert all(bool(info["acting"]) for info in infos)


def test_observations_may_be_dicts():
    env = AgentVectorEnv(Walkers, num_envs=3, hazard=0.0, masked=False)
    obs, _ = env.reset(seed=1)
    assert obs in env.observation_space
    assert obs["near"].shape == (18, 3)
    obs = env.step(np.zeros(18, np.int64))[0]
    assert obs["own"].shape == (18, 2)
    assert JUMP in env.single_action_space


def test_one_table_for_all_learns_what_each_sees_in_its_own_observation():
    # The field outdoes the neighbours (3 against 4 x 0.5), so everybody is best off following it.
    coin = np.random.default_rng(0)
    field = tuple((3.0 * coin.choice([-1, 1], 16)).tolist())
    env = ising_v0.vector_env(num_envs=8, side=4, coupling=1.0, field=field, max_cycles=9)
    values = np.zeros((2, 2))  # by whether one's field is up, and by action
    obs, _ = env.reset(seed=0)
    ended = np.zeros(env.num_envs, bool)
    for _ in range(60):
        up = (obs[:, 1] > 0).astype(int)
        explore = coin.random(env.num_envs) < 0.5
        actions = np.where(explore, coin.integers(0, 2, env.num_envs), values[up].argmax(1))
        obs, rewards, _, ended_now, _ = env.step(actions)
        for seen, action in np.ndindex(2, 2):
            chosen = (up == seen) & (actions == action) & ~ended  # what follows an end is no choice
            if chosen.any():
                values[seen, action] += 0.2 * (rewards[chosen].mean() - values[seen, action])
        ended = ended_now
    assert values.argmax(1).tolist() == [0, 1]
    assert values.max(1) == pytest.approx(3.0, abs=1.0)
    assert values.min(1) == pytest.approx(-3.0, abs=1.0)


def test_battle_refuses_since_its_agents_die():
    with pytest.raises(ValueError, match="battle_v0 has agents that die while others play on"):
        battle_v0.vector_env(num_envs=2)
    with pytest.raises(ValueError, match="toy_v0"):
        AgentVectorEnv(ToyGame)


def test_bad_input_is_named_and_changes_nothing():
    env, twin = (ising_v0.vector_env(num_envs=2, side=3, update="random") for _ in range(2))
    with pytest.raises(RuntimeError, match="before reset"):
        env.step(np.ones(18, np.int64))
    env.reset(seed=0)
    twin.reset(seed=0)
    good = np.ones(18, np.int64)
    for actions, error, words in [
        (good.reshape(2, 9), ValueError, r"\(18,\)"),
        (good[:9], ValueError, r"\(9,\)"),
        (good * 0.5, TypeError, "float64"),
        (good + 1, ValueError, "0 to 1"),
        ([1] * 17, ValueError, r"\(17,\)"),
    ]:
        with pytest.raises(error, match=words):
            env.step(actions)
    with pytest.raises(ValueError, match="reset_mask"):
        env.reset(options={"reset_mask": np.ones(18, bool)})
    with pytest.raises(ValueError, match="3 entries"):
        env.reset(seed=[1, 2, 3])
    for mine, theirs in zip(env.step(good)[:4], twin.step(good)[:4], strict=True):
        assert np.array_equal(mine, theirs)
    with pytest.raises(ValueError, match="num_envs=0"):
        ising_v0.vector_env(num_envs=0)
    with pytest.raises(TypeError, match="'device'"):
        ising_v0.vector_env(device="cuda")
    assert isinstance(env, gymnasium.vector.VectorEnv)


def test_each_sub_environment_has_the_picture_of_its_row():
    env = ising_v0.vector_env(num_envs=2, render_mode="rgb_array", side=3)
    assert "rgb_array" in env.metadata["render_modes"]
    with pytest.raises(RuntimeError, match="before reset"):
        env.render()
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 2, 18)
    env.step(actions)
    pictures = env.render()
    batch = ising_v0.batched_env(2, side=3)
    batch.reset(seed=0)
    batch.step(actions.reshape(2, 9))
    assert len(pictures) == env.num_envs
    assert not np.array_equal(pictures[0], pictures[-1])
    for row in range(2):
        assert np.array_equal(pictures[9 * row], batch.render(row))
        assert all(picture is pictures[9 * row] for picture in pictures[9 * row : 9 * row + 9])
        assert np.array_equal(env.render_row(row), batch.render(row))
    with pytest.raises(ValueError, match="row=2"):
        env.render_row(2)
    env.close()
    assert ising_v0.vector_env(side=3).render() is None
    with pytest.raises(ValueError, match="render_mode='human'"):
        ising_v0.vector_env(render_mode="human")
