"""Random starts of battle: where they may be, that they are fair, and what they are drawn from."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mfenvs import battle_v0
from mfenvs.engine.backend import get_backend
from mfenvs.gridworld.games.battle import BattleConfig, BattleGame
from tests.fakes.battle_field import STAY
from tests.reference import battle_starts


def armies(state, row):
    """The cells of red and of blue at a start, int64 [2, N / 2, 2]."""
    return np.stack([state.x[row], state.y[row]], 1).astype(np.int64).reshape(2, -1, 2)


def shift(red, blue, swapped):
    """How far apart the facing columns are, and how much lower the right army is."""
    left, right = (blue, red) if swapped else (red, blue)
    return int(right[:, 0].min() - left[:, 0].max()), int(right[0, 1] - left[0, 1])


def starts_of(state):
    """The start of each row: (whether blue is left, distance, offset)."""
    return [
        (swapped, *shift(*armies(state, row), swapped))
        for row, swapped in enumerate(state.swapped.tolist())
    ]


@pytest.mark.slow
@given(st.integers(12, 64), st.integers(0, 70), st.integers(0, 2**40))
@settings(max_examples=60, deadline=None)
def test_the_armies_are_equal_and_each_other_s_reflection(map_size, start_range, seed):
    env = battle_v0.batched_env(
        4, map_size=map_size, placement="random", start_range=start_range, max_cycles=1
    )
    env.reset(seed=seed)
    distances, offsets = battle_starts.starts(map_size, start_range)
    for _ in range(2):
        assert env.alive.all()
        for row in range(4):
            red, blue = armies(env._state, row)
            assert len(red) == len(blue) == len(battle_starts.block(map_size, -1))
            cells = set(map(tuple, [*red, *blue]))
            assert len(cells) == 2 * len(red), "two in a cell"
            assert all(battle_starts.is_inside(cell, map_size) for cell in cells)
            # x + x' is one number for a point and its reflection: that of the centre, or one less.
            (right, down), *others = {tuple(both) for both in red + blue[::-1]}
            assert not others, "not symmetric about a point"
            assert {right, down} <= {map_size - 1, map_size - 2}
            distance, offset = shift(red, blue, env._state.swapped[row])
            assert distance in distances
            assert offset in offsets
        env.step(np.full((4, env.num_agents), STAY))
        env.step(np.full((4, env.num_agents), STAY))  # the next start


@pytest.mark.parametrize(
    ("map_size", "start_range", "distances", "offsets"),
    [
        (40, 6, range(2, 10), range(-6, 7)),  # no more than a column more is free
        (45, 2, range(6, 11), range(-2, 3)),
        (12, 50, range(2, 10), range(-7, 8)),
        (20, 0, [8], [0]),
    ],
)
def test_starts_cover_the_whole_range_alike(map_size, start_range, distances, offsets):
    options = {"map_size": map_size, "placement": "random", "start_range": start_range}
    game = BattleGame(BattleConfig(**options), get_backend())
    state, out = game.allocate(4096), game.allocate_step(4096)
    game.reset(state, out, np.arange(5, 4101))
    found = Counter(starts_of(state))
    assert set(found) == {(s, d, v) for s in (False, True) for d in distances for v in offsets}
    assert len(found) == 1 or stats.chisquare(list(found.values())).pvalue > 0.01
    assert battle_starts.starts(map_size, start_range) == (list(distances), list(offsets))


def test_without_a_range_it_is_the_paper_s_start():
    random, paper = (
        battle_v0.batched_env(
            16, map_size=40, extra_features=True, placement=placement, start_range=0
        )
        for placement in ("random", "paper")
    )
    seen = [env.reset(seed=3)[0] for env in (random, paper)]
    assert all(np.array_equal(seen[0][name], seen[1][name]) for name in ("view", "features"))
    for name in set(paper._state._fields) - {"queue"}:
        assert np.array_equal(getattr(random._state, name), getattr(paper._state, name)), name


def test_a_row_s_starts_are_its_own_and_new_in_each_episode():
    """A row alone gives the same starts, whatever the armies do; the engine's generator has no part."""
    options = {"map_size": 20, "placement": "random", "max_cycles": 2, "copied_start": False}
    batch, alone = battle_v0.batched_env(3, **options), battle_v0.parallel_env(**options)
    coin = np.random.default_rng(0)
    alone.reset(seed=12)
    batch.reset(seed=10)
    generator = batch._state.random.copy()
    found = []
    for _ in range(12):
        assert np.array_equal(armies(batch._state, 2), armies(alone._state, 0))
        assert batch._state.swapped[2] == alone._state.swapped[0]
        swapped = bool(alone._state.swapped[0])
        found.append((swapped, *shift(*armies(alone._state, 0), swapped)))
        for _ in range(2):
            batch.step(np.full((3, batch.num_agents), STAY))
            alone.step({agent: int(coin.integers(13)) for agent in alone.agents})
        batch.step(np.full((3, batch.num_agents), STAY))
        alone.reset()
    assert len(set(found)) > 6
    assert np.array_equal(batch._state.random, generator), "nobody attacked"


def test_attacks_and_starts_draw_apart():
    """Attacks move the engine's generator on, and change no start."""
    found = []
    for action in (STAY, 20):
        env = battle_v0.batched_env(8, map_size=20, placement="random", max_cycles=1)
        env.reset(seed=1)
        before = env._state.random.copy()
        env.step(np.full((8, env.num_agents), action))
        env.step(np.full((8, env.num_agents), action))
        found.append(
            ([armies(env._state, row).tolist() for row in range(8)], env._state.random - before)
        )
    (still, none), (fought, some) = found
    assert still == fought
    assert not none.any()
    assert some.all()


def test_a_start_tells_nothing_about_what_random_players_do():
    env = battle_v0.batched_env(4096, map_size=12, placement="random", start_range=6)
    env.reset(seed=0)
    starts = np.array(starts_of(env._state))
    actions = env.scripted("random").numpy()
    for value in starts.T:
        for agent in range(env.num_agents):
            kinds = stats.contingency.crosstab(value, actions[:, agent]).count
            assert stats.chi2_contingency(kinds).pvalue > 1e-4


def test_a_picture_of_a_random_start():
    env = battle_v0.parallel_env(map_size=20, placement="random", render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    env.reset()
    assert (env.render() != first).any()
    assert env.state()[..., 1].sum() == env.state()[..., 3].sum() == 12
