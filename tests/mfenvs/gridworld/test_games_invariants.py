"""What holds in every episode of MAgent2's five other games, whatever is played."""

from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mfenvs.gridworld import board
from mfenvs.gridworld.attack import HIT
from tests.mfenvs.gridworld.test_games_options import SMALL

ROWS = 3


def covered(game, state, row):
    """The cells of all living bodies, each as often as it is covered."""
    units = game.world.unit_types
    for unit in np.flatnonzero(state.status[row] == board.ALIVE).tolist():
        body = units[game.unit_types[unit]]
        for dx in range(body.width):
            for dy in range(body.length):
                yield int(state.x[row, unit]) + dx, int(state.y[row, unit]) + dy


@pytest.mark.parametrize("name", SMALL)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**31), eager=st.floats(0, 1))
def test_invariants(name, seed, eager):
    env = import_module(f"mfenvs.{name}_v0").batched_env(ROWS, **{**SMALL[name], "max_cycles": 25})
    game, coin = env.game, np.random.default_rng(seed)
    env.reset(seed=seed)
    state, params = env._state, game.params
    gone = np.zeros(state.status.shape, bool)
    for _ in range(30):
        drawn = coin.integers(-1, game.action_counts, (ROWS, env.num_agents))
        rush = env.scripted("rush").numpy()
        alive = env.alive.numpy().copy()
        actions = np.where((coin.random(rush.shape) < eager) & alive, rush, drawn)
        _, reward, terminated, _, info = env.step(torch.from_numpy(actions))
        fresh = info["reset"].numpy()
        gone[fresh] = False
        for row in range(ROWS):
            cells = list(covered(game, state, row))
            assert len(set(cells)) == len(cells), "bodies never overlap"
            assert all(0 < x < params.size - 1 and 0 < y < params.size - 1 for x, y in cells)
            grid = state.grid[row].reshape(params.stride, params.stride)
            on_map = (grid >= board.FIRST).sum()
            assert on_map == len(cells), "the dead leave the map"
            walls = state.walls[row]
            at = grid[params.rim + walls // params.size, params.rim + walls % params.size]
            assert (at == board.WALL).all()
        living = state.status == board.ALIVE
        assert not (living & gone).any(), "nobody returns"
        gone |= state.status == board.GONE
        most = np.asarray(params.max_hp)
        assert ((state.hp <= most) | ~living).all()
        assert ((state.hp >= 0) | ~living).all()
        for group in range(params.num_groups):
            of_group = game.unit_groups == group
            assert (state.living[:, group] == (living & of_group).sum(1)).all()
        no_attack = [game.world.unit_types[k].attack_radius == 0 for k in game.unit_types]
        assert (state.attack_result[:, no_attack] < HIT).all()
        assert np.isfinite(reward.numpy()).all()
        dead = ~alive & ~fresh[:, None]
        assert (reward.numpy()[dead] == 0).all()
        assert not (terminated.numpy() & dead).any()
