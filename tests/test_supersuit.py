"""SuperSuit's wrappers over our three games: which work, and which do not and why."""

import numpy as np
import pytest
import supersuit as ss
from gymnasium import spaces
from stable_baselines3 import DQN

import mfq
from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfenvs.graph import CompleteGraph, LatticeGraph

pytestmark = pytest.mark.third_party

GAMES = {
    "ising": lambda: ising_v0.parallel_env(side=4, update="checkerboard", max_cycles=5),
    "squeeze": lambda: gaussian_squeeze_v0.parallel_env(num_agents=4, max_cycles=5),
    "battle": lambda: battle_v0.parallel_env(map_size=12, max_cycles=6, damage=10.0),
}


def stacked(seen, space, times=3):
    """The last observations side by side, zeros before the first."""
    frames = [np.zeros_like(seen[0])] * times + seen
    return np.concatenate(frames[-times:], -1)


def scaled(seen, space):
    return (seen[-1] - space.low) / (space.high - space.low)


# What each makes of the observations that an agent has seen, the last one last.
OBSERVATIONS = {
    "frame_stack_v1": (lambda env: ss.frame_stack_v1(env, 3), stacked),
    "frame_stack_v2": (
        lambda env: ss.frame_stack_v2(env, 3),
        lambda seen, space: stacked([seen[0]] * 3 + seen[1:], space),
    ),
    "dtype_v0": (lambda env: ss.dtype_v0(env, "float16"), lambda seen, _: seen[-1].astype("f2")),
    "flatten_v0": (ss.flatten_v0, lambda seen, _: seen[-1].ravel()),
    "normalize_obs_v0": (ss.normalize_obs_v0, scaled),
    "pad_observations_v0": (ss.pad_observations_v0, lambda seen, _: seen[-1]),
    "pad_action_space_v0": (ss.pad_action_space_v0, lambda seen, _: seen[-1]),
    "clip_reward_v0": (ss.clip_reward_v0, lambda seen, _: seen[-1]),
    "delay_observations_v0": (
        lambda env: ss.delay_observations_v0(env, 1),
        lambda seen, _: seen[-2] if len(seen) > 1 else np.zeros_like(seen[-1]),
    ),
    "max_observation_v0": (
        lambda env: ss.max_observation_v0(env, 2),
        lambda seen, _: np.maximum(*seen[-2:]) if len(seen) > 1 else seen[-1],
    ),
}


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("name", OBSERVATIONS)
def test_wrappers_of_observations_see_what_they_should(name, game):
    wrap, expected = OBSERVATIONS[name]
    plain, env = GAMES[game](), wrap(GAMES[game]())
    coin = np.random.default_rng(0)
    for _ in range(2):  # episodes
        (theirs, _), (ours, _) = env.reset(seed=5), plain.reset(seed=5)
        seen = {agent: [obs] for agent, obs in ours.items()}
        while True:
            assert theirs.keys() == ours.keys()  # PettingZoo's conversions sort by name
            for agent in ours:
                space = plain.observation_space(agent)
                assert np.array_equal(theirs[agent], expected(seen[agent], space))
                assert theirs[agent] in env.observation_space(agent)
            assert set(env.agents) == set(plain.agents)
            if not plain.agents:
                break
            num_actions = plain.game.num_actions
            actions = {agent: int(coin.integers(num_actions)) for agent in plain.agents}
            ours, rewards, *ends, infos = plain.step(actions)
            theirs, their_rewards, *their_ends, their_infos = env.step(actions)
            for agent, obs in ours.items():
                seen[agent].append(obs)
                reward = rewards[agent]
                if name == "clip_reward_v0":
                    reward = min(max(reward, -1), 1)
                assert their_rewards[agent] == pytest.approx(reward)
                assert their_infos[agent].keys() == infos[agent].keys()
            assert their_ends == ends


@pytest.mark.parametrize("name", OBSERVATIONS)
def test_mfq_finds_the_game_s_graph_under_them(name):
    wrap, _ = OBSERVATIONS[name]
    assert isinstance(mfq.wrap(wrap(GAMES["ising"]())).graph, LatticeGraph)
    battle = mfq.wrap(wrap(GAMES["battle"]()))
    assert isinstance(battle.graph, CompleteGraph)
    step = battle.reset(seed=0)
    assert battle.step(mfq.QAgent(battle).act(step)).mean_action.sum(-1).tolist() == [[1.0] * 4]


def test_agent_indicator_tells_the_types():
    env = ss.agent_indicator_v0(GAMES["battle"](), type_only=True)
    obs, _ = env.reset(seed=0)
    assert obs["red_0"].shape == (13, 13, 7)
    assert (
        obs["red_0"][..., 5:].mean((0, 1)).tolist() != obs["blue_0"][..., 5:].mean((0, 1)).tolist()
    )


def test_sticky_actions_repeat():
    env = ss.sticky_actions_v0(GAMES["squeeze"](), 0.9999)
    env.reset(seed=0)
    env.step(dict.fromkeys(env.agents, 9))
    env.step(dict.fromkeys(env.agents, 0))
    assert env.measures["total"] == 36.0  # nines again


def test_frames_are_stacked_in_one_array_that_changes():
    """SuperSuit's own: what it returned must be copied to be kept."""
    env = ss.frame_stack_v1(GAMES["squeeze"](), 2)
    first = env.reset(seed=0)[0]["agent_1"]
    assert env.step(dict.fromkeys(env.agents, 0))[0]["agent_1"] is first


def test_black_death_shows_the_dead_black_and_ends_a_step_late():
    """It looks for an episode's end as terminated *and* truncated, which comes when nobody is left."""
    inner = battle_v0.parallel_env(map_size=16, max_cycles=40, damage=10.0)
    env = ss.black_death_v3(inner)
    env.reset(seed=1)
    everybody, black = set(env.possible_agents), 0
    while inner.agents:
        rush = inner.scripted("rush")
        sent = {agent: rush.get(agent, 0) for agent in env.agents}
        before = set(inner.agents)
        obs, rewards, terminations, truncations, _ = env.step(sent)
        assert obs.keys() == rewards.keys() == everybody
        assert not any(terminations.values())
        assert not any(truncations.values())
        for agent in everybody - before:
            black += 1
            assert not obs[agent].any()
            assert rewards[agent] == 0
    assert black > 0
    assert set(env.agents) == everybody
    obs, rewards, terminations, truncations, _ = env.step(dict.fromkeys(env.agents, 0))
    assert not any(found.any() for found in obs.values())
    assert not any(rewards.values())
    # And so a time limit is told as a termination, too.
    assert all(terminations.values())
    assert all(truncations.values())
    assert env.agents == []


def test_a_vector_needs_black_death_where_agents_die():
    env = battle_v0.parallel_env(map_size=16, damage=10.0)
    vector = ss.pettingzoo_env_to_vec_env_v1(env)
    vector.reset(seed=1)

    def fight():
        for _ in range(30):
            rush = env.scripted("rush")
            vector.step([rush.get(agent, 0) for agent in env.possible_agents])

    with pytest.raises(AssertionError, match="varying numbers of active agents"):
        fight()
    assert len(env.agents) < len(env.possible_agents)


def test_vectors_have_an_entry_an_agent_and_seeds_of_their_own():
    env = ss.pettingzoo_env_to_vec_env_v1(GAMES["ising"]())
    env = ss.concat_vec_envs_v1(env, 3)
    obs, _ = env.reset(seed=7)
    assert obs.shape == (3 * 16, 2)
    for row in range(3):
        plain = GAMES["ising"]()
        alone = np.stack(list(plain.reset(seed=7 + row)[0].values()))
        assert np.array_equal(obs[16 * row : 16 * (row + 1)], alone)
    for cycle in range(1, 8):
        obs, _, terminations, truncations, infos = env.step(np.ones(48, np.int64))
        assert truncations.all() == truncations.any() == (cycle == 5)
        assert not terminations.any()
        assert ("terminal_observation" in infos[0]) == (cycle == 5)
    env.close()


def test_the_vector_for_stable_baselines_cannot_be_seeded():
    """Its `seed` asks the vector within for one, which has none. Reset that one with a seed instead."""
    env = ss.pettingzoo_env_to_vec_env_v1(GAMES["ising"]())
    env = ss.concat_vec_envs_v1(env, 2, base_class="stable_baselines3")
    with pytest.raises(AttributeError, match="has no attribute 'seed'"):
        env.seed(3)
    with pytest.raises(AttributeError, match="has no attribute 'seed'"):
        DQN("MlpPolicy", env, seed=3)
    starts = []
    for _ in range(2):
        env.venv.reset(seed=3)
        starts.append(env.reset())
    assert np.array_equal(*starts)


# What cannot be: the reason, as SuperSuit tells it.
REFUSED = {
    # It draws from the environment's np_random, which PettingZoo's environments need not have: our
    # games' randomness is in their states.
    "frame_skip_v0": (lambda env: ss.frame_skip_v0(env, 2), AttributeError, "np_random"),
    # For colours: 3 channels.
    "color_reduction_v0": (lambda env: ss.color_reduction_v0(env), AssertionError, "size 3"),
    # For continuous actions.
    "clip_actions_v0": (ss.clip_actions_v0, AttributeError, "'Discrete' object has no attribute"),
    "scale_actions_v0": (lambda env: ss.scale_actions_v0(env, 2), AssertionError, "Box action"),
}


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("name", REFUSED)
def test_wrappers_that_do_not_fit(name, game):
    wrap, error, words = REFUSED[name]

    def play():
        env = wrap(GAMES[game]())
        env.reset(seed=0)
        env.step(dict.fromkeys(env.agents, 0))

    with pytest.raises(error, match=words):
        play()


def test_pictures_can_be_resized_with_1_3_or_4_channels():
    with pytest.raises(Exception, match="must be 1, 3, or 4"):
        ss.resize_v1(GAMES["battle"](), 6, 6)


def test_games_whose_observations_are_dicts_would_be_refused():
    """None of ours is in the PettingZoo view; MeanActionObservation appends to arrays for this, too."""
    for make in GAMES.values():
        space = mfq.MeanActionObservation(make()).observation_space
        assert all(isinstance(space(agent), spaces.Box) for agent in make().possible_agents)
    flat = ss.flatten_v0(mfq.MeanActionObservation(GAMES["battle"]()))
    assert flat.observation_space("red_0").shape == (13 * 13 * (5 + 21),)
