"""What holds in any battle: laws of the rules, seeds, snapshots, and the contract of a game."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mfenvs import battle_v0
from mfenvs.check import CHECKS, check
from mfenvs.gridworld import board, compact
from mfenvs.gridworld.games.battle import BattleGame
from mfenvs.gridworld.state import engine_state
from mfenvs.gridworld.tables import (
    ATTACK_PENALTY,
    DEAD_PENALTY,
    KILL_REWARD,
)
from mfenvs.gridworld.tables import (
    STAY as STAY_COLUMN,
)
from tests.fakes.battle_field import STAY, assert_same, grid_of, naive_of, plain_game
from tests.reference.battle import circle

pytestmark = pytest.mark.slow

CLOSE = {
    "red": [(x, y) for x in (3, 4, 5) for y in range(2, 9)],
    "blue": [(x, y) for x in (6, 7) for y in range(1, 11)],
}
amounts = st.floats(-3, 3, width=32)
options = st.fixed_dictionaries(
    {
        "map_size": st.sampled_from([12, 13, 16, 20]),
        "placement": st.sampled_from(["magent2", "paper", "random", CLOSE]),
        "minimap_mode": st.booleans(),
        "extra_features": st.booleans(),
        "copied_start": st.booleans(),
        "max_cycles": st.sampled_from([None, 1, 7]),
        "hp": st.sampled_from([10.0, 3.3]),
        "damage": st.sampled_from([2.0, 20.0, 0.7]),
        "recover": st.sampled_from([0.1, 0.0, 4.0]),
        "speed": st.sampled_from([1.0, 2.0, 3.5]),
        "view_radius": st.sampled_from([6.0, 1.0, 3.3]),
        "attack_radius": st.sampled_from([1.5, 1.0, 3.0]),
    },
    optional={
        "kill_reward": amounts,
        "step_reward": amounts,
        "dead_penalty": amounts,
        "attack_penalty": amounts,
        "attack_opponent_reward": amounts,
    },
)


def actions_for(env, coin):
    """Some rush, some play at random, some say nothing."""
    shape = (env.num_envs, env.num_agents)
    found = coin.integers(-1, env.single_action_space.n, shape)
    return np.where(coin.random(shape) < 0.6, env.scripted("rush").numpy(), found)


def assert_lawful(env, before, what):
    """The state stands to reason, and to the state before."""
    state, params = env._state, env.game.params
    for row in range(env.num_envs):
        living = np.flatnonzero(state.status[row] == board.ALIVE)
        cells = {int(i): (int(state.x[row, i]), int(state.y[row, i])) for i in living}
        assert len(set(cells.values())) == len(cells), f"{what}: two in a cell"
        for x, y in cells.values():
            assert 0 < x < params.size - 1, what
            assert 0 < y < params.size - 1, what
        assert_same(state.grid[row], grid_of(params.size, params.rim, cells), what)
        hp = state.hp[row, living]
        assert ((hp >= 0) & (hp <= params.max_hp[0])).all(), what
        living_blue = int((params.agents[living, 0] == 1).sum())
        assert state.living[row].tolist() == [len(living) - living_blue, living_blue], what
        if before is not None and not env._sides[0][0].reset[row]:
            died = before.status[row] != board.ALIVE
            assert (state.status[row, died] == board.GONE).all(), f"{what}: back from the dead"
            assert (state.living[row] <= before.living[row]).all(), what
            for name in ("attacks", "hits", "kills"):
                assert (getattr(state, name)[row] >= getattr(before, name)[row]).all(), (what, name)
        assert (state.kills[row] <= state.hits[row]).all(), what
        assert (state.hits[row] <= state.attacks[row]).all(), what


def possible_rewards(params):
    """What an agent can earn in a step, in the engine's arithmetic, by what became of it."""
    zero, struck = np.float32(0), params.paid[0, 1, 0, 0]
    step = params.step_reward[0]
    dead, penalty, kill = params.amounts[0, [DEAD_PENALTY, ATTACK_PENALTY, KILL_REWARD]]
    living = {
        step,
        step + (zero + penalty),
        step + penalty + struck,
        step + (kill + penalty),
    }
    return {board.ALIVE: living, board.DYING: {dead, dead + struck}, board.GONE: {zero}}


def assert_within(space, found, what):
    # The bounds of rewards are MAgent2's, sums in double precision; rewards are in single.
    slack = np.where((space.low == 0) & (space.high == 2), 0, 1e-5)
    assert found.dtype == space.dtype, what
    assert ((found >= space.low - slack) & (found <= space.high + slack)).all(), what


@settings(max_examples=80, deadline=None)
@given(options=options, seed=st.integers(0, 2**62 - 4))
def test_laws(options, seed):
    env = battle_v0.batched_env(num_envs=2, **options)
    obs, info = env.reset(seed=seed)
    coin, spaces = np.random.default_rng(seed), env.single_observation_space
    assert_lawful(env, None, "reset")
    for time in range(12):
        before = type(env._state)(*(array.copy() for array in env._state))
        over = env._sides[0][0].over.copy()
        actions = actions_for(env, coin)
        obs, reward, terminated, truncated, info = env.step(actions)
        assert_lawful(env, before, time)
        assert info["reset"].tolist() == over.tolist()
        earned, status = possible_rewards(env.game.params), env._state.status
        for row in np.flatnonzero(~over):
            for value, fate in zip(reward[row].numpy(), status[row], strict=True):
                assert value in earned[fate], (time, value, fate)
            wiped_out = (env._state.living[row] == 0).any()
            ended = (status[row] == board.DYING) | (wiped_out & (status[row] == board.ALIVE))
            assert terminated[row].tolist() == ended.tolist()
            limit = env.game.max_cycles
            assert truncated[row].item() == (limit is not None and env._state.time[row] >= limit)
            counted = info["acting"][row].numpy()
            assert (info["actions"][row].numpy()[counted] == actions[row][counted]).all()
            assert not counted[before.status[row] != board.ALIVE].any()
        for name, part in obs.items():
            assert_within(spaces[name], part.numpy(), (time, name))
        gone = torch.as_tensor(status == board.GONE)
        assert not obs["view"][gone].any()
        assert not obs["features"][gone].any()
        for row in range(2):
            assert_within(env.game.state_space, env.game.global_state(env._state, row), time)


@given(radius=st.integers(10, 60).map(lambda tenths: tenths / 10))
def test_actions_reach_a_circle(radius):
    game = plain_game(map_size=16, speed=radius, attack_radius=radius, view_radius=radius)
    params, expected = game.params, circle(radius)
    cells = [dy * params.stride + dx for dx, dy in expected]
    assert params.reach.tolist() == [cells + [step for step in cells if step]]
    assert game.num_actions == 2 * len(expected) - 1
    assert params.units[0, STAY_COLUMN] == cells.index(0)
    assert game.single_observation_space["view"].shape == (*[2 * int(radius) + 1] * 2, 5)


def test_all_staying_nothing_happens():
    env = battle_v0.batched_env(num_envs=2, map_size=20)
    first, _ = env.reset(seed=0)
    first = {name: part.clone() for name, part in first.items()}
    before = env._state.random.tolist()
    for _ in range(5):
        obs, reward, *_ = env.step(np.full((2, 24), STAY))
        assert torch.equal(obs["view"], first["view"])
        assert reward.unique().tolist() == [float(np.float32(-0.005))]
    assert env._state.random.tolist() == before, "only attacks draw"


# -- seeds --------------------------------------------------------------------------------------


def drawn(seeds):
    return engine_state(np.array(seeds, np.int64)).tolist()


def test_seeds_reach_the_engine_as_in_c():
    # minstd_rand0 takes seeds modulo 2^31 - 1, and 1 for 0; before, they are C ints.
    assert drawn([0, 1, 2, 2**31 - 2]) == [1, 1, 2, 2**31 - 2]
    assert drawn([2**31 - 1, 2**32, 2**32 + 7]) == [1, 1, 7]
    # -2^31 and -1 as unsigned longs are 2^64 - 2^31 and 2^64 - 1; 2^62 is 1 modulo 2^31 - 1.
    assert drawn([2**31, 2**32 - 1]) == [(2**64 - 2**31) % (2**31 - 1), (2**64 - 1) % (2**31 - 1)]
    assert drawn([2**31]) == [4 - 1]
    naive = naive_of(0)
    for seed in (0, 5, 2**31 - 1, 2**31, 2**40 + 2**31 + 9, 2**62 - 1):
        naive.seed(seed)
        assert drawn([seed]) == [naive.generator]


@pytest.mark.parametrize("seed", [0, 11, 2**31 - 3, 2**61])
@pytest.mark.parametrize("placement", ["magent2", "paper", "random"])
def test_row_b_of_seed_s_is_the_parallel_game_of_seed_s_plus_b(seed, placement):
    options = {"map_size": 14, "extra_features": True, "placement": placement, "max_cycles": 12}
    options["copied_start"] = placement == "magent2"
    batched = battle_v0.batched_env(num_envs=3, **options)
    batched.reset(seed=seed)
    assert batched.row_seeds.tolist() == [seed, seed + 1, seed + 2]
    singles = [battle_v0.parallel_env(**options) for _ in range(3)]
    coin = np.random.default_rng(0)
    for row, env in enumerate(singles):
        env.reset(seed=seed + row)
    for _ in range(30):
        actions = actions_for(batched, coin)
        for row, env in enumerate(singles):
            told = zip(env.possible_agents, actions[row].tolist(), strict=True)
            chosen = {name: action for name, action in told if action >= 0 and name in env.agents}
            env.step(chosen) if env.agents else env.reset()
        reward = batched.step(actions)[1]
        for row, env in enumerate(singles):
            for name in set(env._state._fields) - {"queue"}:
                found, expected = getattr(batched._state, name)[row], getattr(env._state, name)[0]
                assert np.array_equal(found, expected), name
            assert np.array_equal(reward[row], env._step.reward[0])


def first_blows(env, steps=8):
    """Whoever is hit when: all that the generator decides in a game of rushing."""
    found = []
    for _ in range(steps):
        env.step(env.scripted("rush"))
        found.append(env._state.attack_result[0].tolist())
    return found


def test_reset_goes_on_with_the_stream_and_seeds_0_and_1_are_one():
    def env_with(**options):
        return battle_v0.parallel_env(placement=CLOSE, map_size=12, **options)

    def blows(env, *seeds):
        found = []
        for seed in seeds:
            env.reset(seed=seed)
            found.append(first_blows(env))
        return found

    first, second, third = blows(env_with(), 0, None, None)
    assert first != second != third != first
    assert blows(env_with(), 1, None, None) == [first, second, third]
    assert blows(env_with(), None) == [first], "no seed is seed 0"
    assert blows(env_with(seed=7), None, None) == blows(env_with(), 7, None)
    assert blows(env_with(seed=7), 1) == [first]
    assert blows(env_with(), 2) != [first]


# -- snapshots ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"minimap_mode": True, "extra_features": True},
        {"placement": "paper", "map_size": 15, "extra_features": True},
        {"placement": "random", "map_size": 15, "extra_features": True, "hp": 1.0},
        {"minimap_mode": True, "speed": 3.0, "view_radius": 2.0},
    ],
    ids=str,
)
def test_snapshots_are_observed_as_their_moments_were(options):
    options = {"map_size": 12, "placement": CLOSE, "max_cycles": 15, **options}
    env = battle_v0.batched_env(num_envs=3, **options)
    obs, _ = env.reset(seed=4)
    coin, dying = np.random.default_rng(0), 0
    kept = [(env.snapshot(), {name: part.clone() for name, part in obs.items()})]
    for _ in range(40):
        obs, *_ = env.step(actions_for(env, coin))
        kept.append((env.snapshot(), {name: part.clone() for name, part in obs.items()}))
    for snapshot, obs in kept:
        seen = env.observe(snapshot)
        assert seen.keys() == obs.keys()
        for name in seen:
            assert_same(seen[name], obs[name], name)
        rows, agents = coin.integers(0, 3, 20), coin.integers(0, env.num_agents, 20)
        some = env.observe(snapshot, rows, agents)
        for name in some:
            assert_same(some[name], obs[name][rows, agents], name)
        dead = snapshot.mark % compact.STATUSES == board.DYING
        dying += int(dead.sum())
        own = obs["view"][dead]
        assert own.flatten(1).any(1).all(), "the dying still see"
    assert dying > 20


def test_a_snapshot_s_graph_is_that_of_its_moment():
    env = battle_v0.batched_env(map_size=12, placement=CLOSE, neighbor_radius=3.0)
    env.reset(seed=0)
    snapshot, before = env.snapshot(), env.neighbor_graph.edge_index()
    env.step(np.full((1, env.num_agents), 0))
    assert np.array_equal(env.graph_of(snapshot).edge_index(), before)
    assert not np.array_equal(env.neighbor_graph.edge_index(), before)


# -- the contract -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"map_size": 12, "max_cycles": 30, "placement": CLOSE, "copied_start": False},
        {"map_size": 13, "minimap_mode": True, "extra_features": True, "max_cycles": 20},
        {"map_size": 15, "placement": "paper", "neighbor_radius": 3.0, "max_cycles": 10},
        {"map_size": 16, "placement": "random", "extra_features": True, "max_cycles": 10},
    ],
    ids=["close", "magent2", "paper", "random"],
)
def test_it_keeps_the_contract(options):
    report = check(BattleGame, steps=60, **options)
    assert report.passed == tuple(CHECKS)
    assert "deaths" not in report.unseen or options.get("placement") is not CLOSE
