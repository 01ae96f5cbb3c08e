"""The Gaussian squeeze's rules against the naive game, its numbers against the datasheet's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mfenvs import gaussian_squeeze_v0
from mfenvs.check import CHECKS, check
from mfenvs.engine.backend import get_backend
from mfenvs.gaussian_squeeze import draw, rules
from mfenvs.gaussian_squeeze.config import SqueezeConfig, optimum
from mfenvs.gaussian_squeeze.game import SqueezeGame
from mfenvs.render.canvas import Canvas
from tests.reference.gaussian_squeeze import NaiveSqueeze

options = st.fixed_dictionaries(
    {
        "num_agents": st.integers(1, 30),
        "num_actions": st.integers(2, 12),
        "mu": st.floats(0.1, 500.0),
        "sigma": st.floats(0.3, 300.0),
        "reward": st.sampled_from(["optimum", "per_agent", "shared"]),
        "max_cycles": st.sampled_from([None, 1, 4]),
    }
)


def batched(num_envs=1, **options):
    """An environment of many agents that has been reset."""
    env = gaussian_squeeze_v0.batched_env(num_envs=num_envs, **options)
    env.reset(seed=0)
    return env


def played(total, num_agents=1000):
    """The info of a step whose actions add up to ``total``."""
    actions = torch.zeros(1, num_agents, dtype=torch.int64)
    actions[0, : total // 9] = 9
    actions[0, -1] = total % 9
    return batched(num_agents=num_agents).step(actions)[-1]


# -- against the naive game ---------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(options=options, seed=st.integers(0, 2**32))
def test_every_step_equals_the_naive_game(options, seed):
    coin = np.random.default_rng(seed)
    size, most = options["num_agents"], options["num_actions"]
    env = gaussian_squeeze_v0.batched_env(**options)
    parallel = gaussian_squeeze_v0.parallel_env(**options)
    naive = NaiveSqueeze(**options)
    obs, info = env.reset(seed=seed)
    parallel.reset()
    naive.reset()
    for _ in range(7):
        expected = [naive.observation(agent) for agent in range(size)]
        assert np.allclose(obs[0], expected, rtol=1e-6, atol=0)
        assert info["actions"][0].tolist() == naive.actions
        assert info["acting"][0].tolist() == [action >= 0 for action in naive.actions]
        assert info["total"].item() == naive.total()
        assert info["objective"].item() == pytest.approx(naive.objective(), rel=1e-9, abs=0)
        assert info["performance"].item() == pytest.approx(naive.performance(), rel=1e-9, abs=0)
        state = parallel.state()
        assert np.allclose(state, naive.state(), rtol=1e-6, atol=1e-38)
        assert parallel.state_space.contains(state)
        actions = coin.integers(-1, most, size)
        if parallel.agents:
            chosen = zip(parallel.agents, actions.tolist(), strict=True)
            parallel.step({agent: action for agent, action in chosen if action >= 0})
        else:
            parallel.reset()
        obs, reward, terminated, truncated, info = env.step(actions[None])
        anew = naive.step(actions.tolist())
        assert info["reset"].item() == anew
        assert np.allclose(reward[0], naive.reward, rtol=1e-6, atol=1e-38)
        assert truncated.item() == naive.over
        assert not terminated.any()


@pytest.mark.parametrize("reward", ["optimum", "per_agent", "shared"])
def test_compiled_rules_equal_the_same_rules_as_plain_python(reward):
    # Stage by stage: the undecorated functions, called over the index space in Python.
    config = SqueezeConfig(num_agents=9, num_actions=4, mu=12.0, sigma=5.0, reward=reward)
    game = SqueezeGame(config, get_backend())
    rows, agents = 2, 9
    fast, slow = game.allocate(rows), game.allocate(rows)
    out, plain = game.allocate_step(rows), game.allocate_step(rows)
    room, plain_room = (game.allocate_observation((rows, agents)) for _ in range(2))
    game.reset(fast, out, None)
    game.reset(slow, plain, None)
    coin = np.random.default_rng(0)
    for _ in range(7):
        actions = coin.integers(-1, 4, (rows, agents))
        game.step(fast, actions, out, out)
        game.observe(fast, room)
        for row in range(rows):
            rules.begin(row, slow, plain, plain)
            for agent in range(agents):
                rules.choose(row, agent, actions, plain)
        for row in range(rows):
            rules.measure(row, game.params, slow, plain)
            for agent in range(agents):
                rules.reward(row, agent, slow, plain)
                rules.observe_all(row, agent, game.params, plain_room)
        for one, other in ((fast, slow), (out, plain)):
            for name in one._fields:
                # Exponentials may differ in their last bit from one library to the other.
                pair = getattr(one, name), getattr(other, name)
                assert np.allclose(*pair, rtol=1e-14 if pair[0].dtype == float else 2e-7, atol=0)
        assert np.array_equal(room, plain_room)


@pytest.mark.parametrize(
    "options",
    [
        {"num_agents": 5},
        {"num_agents": 1, "num_actions": 2, "mu": 0.4, "sigma": 0.01},
        {"num_agents": 40, "mu": 90.0, "sigma": 50.0, "reward": "shared"},
        {"num_agents": 2, "num_actions": 300, "reward": "per_agent", "max_cycles": None},
    ],
    ids=str,
)
def test_it_keeps_the_contract(options):
    report = check(SqueezeGame, steps=20, **options)
    assert report.passed == tuple(CHECKS)
    endless = {"truncation", "autoreset"} if options.get("max_cycles", 1) is None else set()
    assert set(report.unseen) == {"seeding", "deaths", "masks"} | endless


# -- numbers ------------------------------------------------------------------------------------


def test_the_optimum_is_the_datasheet_s():
    best = optimum(400.0, 200.0)
    assert best.total == pytest.approx(444.949, abs=5e-4)
    assert best.objective == pytest.approx(423.0326, abs=5e-5)
    nearby = [rules.objective(best.total + gap, 400.0, 200.0) for gap in (-0.1, 0.1)]
    assert max(nearby) < best.objective
    within = optimum(400.0, 200.0, num_agents=100, num_actions=10)
    assert within.total == 445
    assert within.objective == pytest.approx(423.0326, abs=5e-5)
    assert 1 - within.objective / best.objective == pytest.approx(7e-8, rel=0.1)


@pytest.mark.parametrize(
    ("total", "expected"), [(400, 0.9456), (500, 0.9205), (0, 0.0), (600, 0.522), (1000, 2.9e-4)]
)
def test_performance_is_the_datasheet_s(total, expected):
    info = played(total)
    assert info["total"].item() == total
    assert info["performance"].item() == pytest.approx(expected, abs=5e-4 if total == 600 else 5e-5)
    assert info["objective"].item() == pytest.approx(423.0326 * expected, rel=0.01)


@settings(deadline=None)
@given(
    mu=st.floats(1e-3, 1e3),
    sigma=st.floats(1e-3, 1e3),
    num_agents=st.integers(1, 20),
    num_actions=st.integers(2, 9),
)
def test_the_best_total_within_reach_is_the_best_of_all(mu, sigma, num_agents, num_actions):
    naive = NaiveSqueeze(num_agents, num_actions, mu, sigma, "optimum", None)
    found = optimum(mu, sigma, num_agents, num_actions).total
    ahead = naive.log_objective(naive.best) - naive.log_objective(found)
    assert ahead == pytest.approx(0, abs=1e-9 * (1 + abs(naive.log_objective(found))))


@pytest.mark.parametrize(
    ("options", "total"),
    [
        ({"num_agents": 10}, 90),  # x* is out of reach
        ({"num_agents": 1}, 9),
        ({"mu": 400.6, "sigma": 0.01}, 401),
        ({"mu": 400.4, "sigma": 1e-100}, 400),
        ({"mu": 1e-100, "sigma": 1e-100}, 1),  # not 0, whose objective is 0
        ({"mu": 1e100, "sigma": 1e-100}, 900),
        ({"mu": 1e-100, "sigma": 1e100}, 900),
    ],
)
def test_the_best_joint_action_performs_1_and_nothing_is_nan(options, total):
    options = {"num_agents": 100, **options}
    size = options["num_agents"]
    assert SqueezeConfig(**options).optimum().total == total
    env = batched(**options)
    actions = torch.full((1, size), total // size)
    actions[0, : total % size] += 1
    assert env.step(actions)[1].unique().tolist() == [1.0]
    for action in range(10):
        info = env.step(torch.full((1, size), action))[-1]
        assert 0 <= info["performance"].item() <= 1 + 1e-12
        assert np.isfinite(info["objective"].item())


def uniform_mean(num_agents):
    """E[G / G*] of uniform actions, exactly: sums of N digits are N convolutions."""
    chances = np.ones(1)
    for _ in range(num_agents):
        chances = np.convolve(chances, np.full(10, 0.1))
    best = optimum(num_agents=num_agents, num_actions=10).total
    scores = [rules.performance(float(x), best, 400.0, 200.0) for x in range(len(chances))]
    return float(chances @ np.array(scores))


def test_uniform_play_of_100_is_nearly_optimal():
    assert uniform_mean(100) == pytest.approx(0.977, abs=5e-4)
    env = batched(4096, max_cycles=None)
    actions = np.random.default_rng(0).integers(0, 10, (4096, 100))
    reward, info = env.step(actions)[1], env.step(actions)[-1]
    assert info["performance"].mean().item() == pytest.approx(0.977, abs=0.002)
    assert reward.mean().item() == pytest.approx(0.977, abs=0.002)


def test_uniform_play_of_many_earns_next_to_nothing():
    assert np.log10(uniform_mean(500)) == pytest.approx(-31, abs=1)
    # The datasheet has 1e-156, as a sample would: the mean hangs on totals that hardly ever occur.
    assert np.log10(uniform_mean(1000)) == pytest.approx(-129, abs=1)
    coin = np.random.default_rng(0)
    for size, float32_sees_it in ((500, True), (1000, False)):
        env = batched(64, num_agents=size)
        _, reward, *_, info = env.step(coin.integers(0, 10, (64, size)))
        assert info["performance"].dtype == info["objective"].dtype == torch.float64
        assert (info["performance"] > 0).all()
        assert (info["performance"] < 1e-25).all()
        assert bool((reward > 0).any()) == float32_sees_it


def test_rewards_differ_by_constant_factors():
    actions = torch.full((1, 100), 5)
    found = {
        kind: batched(reward=kind).step(actions)[1][0, 0].item()
        for kind in ("shared", "per_agent", "optimum")
    }
    assert found["shared"] == pytest.approx(500 * np.exp(-0.25))
    assert found["per_agent"] == pytest.approx(found["shared"] / 100)
    assert found["optimum"] == pytest.approx(found["shared"] / 423.0326)


# -- agents -------------------------------------------------------------------------------------


def test_no_action_adds_nothing_and_earns_the_same():
    env = gaussian_squeeze_v0.parallel_env(num_agents=4, mu=10.0, sigma=5.0)
    _, infos = env.reset(seed=0)
    assert list(infos.values()) == [{}] * 4, "nothing given, nothing done"
    assert env.measures["total"] == 0
    _, rewards, _, _, infos = env.step({"agent_0": 0, "agent_2": 9})
    assert list(infos.values()) == [{}] * 4, "done as given"
    assert env.measures["total"] == 9.0
    assert len(set(rewards.values())) == 1
    shares = [0.5, 0.25, *[0] * 8, 0.25]
    assert env.state()[:-2].tolist() == shares
    assert env.state()[-2] == 9 / 36


def test_everybody_else_is_a_neighbour():
    env = gaussian_squeeze_v0.parallel_env(num_agents=4)
    env.reset(seed=0)
    assert env.neighbors("agent_1") == ["agent_0", "agent_2", "agent_3"]


def test_a_single_agent_has_no_neighbours():
    env = batched(num_agents=1, mu=3.0, sigma=2.0)
    alive = torch.ones(1, 1, dtype=torch.bool)
    assert env.neighbor_graph.degree(alive).tolist() == [[0]]
    assert env.neighbor_graph.mean(torch.ones(1, 1, 10), alive).tolist() == [[[0.0] * 10]]
    assert env.step(torch.tensor([[4]]))[1].item() == 1.0


def test_agents_tell_themselves_apart_whatever_happens():
    env = batched(2, num_agents=5)
    before = env.snapshot()
    obs = env.step(torch.tensor([[0, 1, 2, 3, -1], [9, 9, 9, 9, 9]]))[0]
    assert np.allclose(obs[0], [[k / 5, 0.2] for k in (1, 2, 3, 4, 5)])
    assert torch.equal(obs[0], obs[1])
    assert torch.equal(env.observe(before), obs)
    assert torch.equal(env.observe(before, [1, 0], [3, 0]), obs[[1, 0], [3, 0]])
    assert before.count.tolist() == [[5] + [0] * 10] * 2
    assert env.snapshot().count.tolist() == [[1, 1, 1, 1, 1, *[0] * 6], [0] * 10 + [5]]


def test_a_million_agents_play():
    size = 1_000_000
    env = batched(num_agents=size)
    actions = torch.zeros(1, size, dtype=torch.int64)
    actions[0, ::10_000] = torch.arange(100) % 10
    actions[0, 1] = -1
    obs, reward, _, _, info = env.step(actions)
    assert info["total"].item() == 450
    expected = rules.performance(450.0, 445.0, 400.0, 200.0)
    assert info["performance"].item() == pytest.approx(expected)
    assert (reward == np.float32(expected)).all()
    assert torch.equal(info["actions"], actions)
    assert int(info["acting"].sum()) == size - 1
    assert len(obs[0, :, 0].unique()) == size
    info = env.step(torch.full((1, size), 9))[-1]
    assert info["total"].item() == 9 * size


# -- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"num_agents": 0}, ValueError, "num_agents=0"),
        ({"num_agents": 1_000_001}, ValueError, "num_agents=1000001; allowed: 1 to 1000000"),
        ({"num_agents": 100.0}, TypeError, "num_agents=100.0"),
        ({"num_actions": 1}, ValueError, "num_actions=1"),
        ({"num_actions": 1001}, ValueError, "num_actions=1001; allowed: 2 to 1000"),
        ({"mu": 0.0}, ValueError, "mu=0.0"),
        ({"mu": float("nan")}, ValueError, "mu=nan"),
        ({"mu": 1e200}, ValueError, r"mu=1e\+200"),
        ({"mu": "high"}, TypeError, "mu='high'"),
        ({"sigma": 0}, ValueError, "sigma=0"),
        ({"sigma": -2.0}, ValueError, "above 0"),
        ({"sigma": 1e-200}, ValueError, "sigma=1e-200"),
        ({"reward": "total"}, ValueError, "'per_agent'"),
        ({"max_cycles": 0}, ValueError, "max_cycles=0"),
        ({"side": 3}, TypeError, "no option 'side'"),
    ],
)
def test_bad_options_are_named(options, error, words):
    with pytest.raises(error, match=words):
        gaussian_squeeze_v0.parallel_env(**options)


def test_the_optimum_names_bad_arguments():
    for arguments, words in [
        ({"sigma": -1.0}, "sigma=-1.0"),
        ({"num_agents": 3}, "both or neither"),
        ({"num_agents": 3, "num_actions": 1}, "num_actions=1"),
    ]:
        with pytest.raises(ValueError, match=words):
            optimum(**arguments)


# -- pictures -----------------------------------------------------------------------------------


def picture(*joint, **options):
    """Frames of a game, a joint action each; the last one, and the canvas."""
    game = SqueezeGame(SqueezeConfig(**options), get_backend())
    state, out, canvas = game.allocate(1), game.allocate_step(1), Canvas("rgb_array", "test", 10)
    game.reset(state, out, None)
    game.draw(state, out, 0, canvas)
    for actions in joint:
        game.step(state, np.array([actions]), out, out)
        game.draw(state, out, 0, canvas)
    return canvas.present(), game


def amber_columns(image):
    """Where the present total's line stands: x of the amber pixels at the foot of the hill."""
    foot = image[360:380, 60:630]
    return 60 + np.flatnonzero((foot == Canvas.theme.amber).all(axis=(0, 2)))


def test_the_total_stands_at_its_place():
    for action in (3, 5, 6):
        image, game = picture([action] * 100)
        low, high = draw.scale(game)
        place = 70 + (100 * action - low) / (high - low) * 552
        assert amber_columns(image).mean() == pytest.approx(place, abs=2)
    assert len(amber_columns(picture()[0])) == 0, "nothing played yet"
    assert len(amber_columns(picture([9] * 1000, num_agents=1000)[0])) == 0, "beyond the axis"


@pytest.mark.parametrize(
    "options",
    [
        {"num_agents": 1, "num_actions": 2},
        {"num_agents": 3, "num_actions": 1000},
        {"mu": 4600.0, "sigma": 100.0},
        {"mu": 1e100, "sigma": 1e-100},
        {"mu": 1e-100, "sigma": 1e-100},
        {"mu": 1e100, "sigma": 1e100, "reward": "shared"},
    ],
    ids=str,
)
def test_any_options_can_be_drawn(options):
    config = SqueezeConfig(**options)
    coin, shape = np.random.default_rng(0), (5, config.num_agents)
    first, _ = picture(**options)
    last, _ = picture(*coin.integers(-1, config.num_actions, shape), **options)
    assert not np.array_equal(first, last)


def test_show_graph_says_who_is_a_neighbour():
    plain, linked = (
        gaussian_squeeze_v0.parallel_env(render_mode="rgb_array", show_graph=show)
        for show in (False, True)
    )
    for env in (plain, linked):
        env.reset(seed=0)
    assert not np.array_equal(plain.render(), linked.render())
