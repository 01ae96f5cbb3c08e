"""Snapshots: few bytes, from which any observation is drawn again, bit for bit."""

import numpy as np
import pytest
import torch

from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0

GAMES = {
    "battle": lambda rows: battle_v0.batched_env(rows, map_size=20, hp=3.0, max_cycles=9),
    "battle, all": lambda rows: battle_v0.batched_env(
        rows, map_size=18, hp=3.0, max_cycles=9, placement="paper", **EVERYTHING
    ),
    "battle, random": lambda rows: battle_v0.batched_env(
        rows, map_size=18, hp=3.0, max_cycles=5, placement="random", **EVERYTHING
    ),
    "battle, many actions": lambda rows: battle_v0.batched_env(
        rows, map_size=20, speed=6.0, attack_radius=3.0, hp=3.0, max_cycles=9, **EVERYTHING
    ),
    "ising": lambda rows: ising_v0.batched_env(rows, side=5, max_cycles=7, update="random"),
    "ising, neighbours": lambda rows: ising_v0.batched_env(rows, side=4, observe_neighbors=True),
    "squeeze": lambda rows: gaussian_squeeze_v0.batched_env(rows, num_agents=9, max_cycles=7),
}
EVERYTHING = {"minimap_mode": True, "extra_features": True}


def parts(obs):
    return obs if isinstance(obs, dict) else {"": obs}


def played(env, steps):
    """(snapshot, observations) of each moment."""
    coin = torch.Generator().manual_seed(0)
    found = []
    obs, _ = env.reset(seed=4)
    for _ in range(steps):
        found.append((env.snapshot(), {name: part.clone() for name, part in parts(obs).items()}))
        most, shape = int(env.single_action_space.n), (env.num_envs, env.num_agents)
        obs, *_ = env.step(torch.randint(-1, most, shape, generator=coin))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", list(GAMES))
def test_snapshots_of_many_moments_in_one_call(name):
    env = GAMES[name](3)
    moments = played(env, 12)
    kind = type(moments[0][0])
    together = kind(*map(torch.cat, zip(*(snapshot for snapshot, _ in moments), strict=True)))
    whole = parts(env.observe(together))
    coin = np.random.default_rng(0)
    rows, agents = coin.integers(0, 36, 700), coin.integers(0, env.num_agents, 700)
    some = parts(env.observe(together, rows, agents))
    for key, values in whole.items():
        expected = torch.cat([obs[key] for _, obs in moments])
        assert torch.equal(values, expected), key
        assert torch.equal(some[key], expected[rows, agents]), key
    assert all(part.numel() == 0 for part in parts(env.observe(together, [], [])).values())


def bytes_per_agent(env):
    env.reset(seed=0)
    snapshot = env.snapshot()
    return sum(part.nbytes for part in snapshot) / env.num_envs / env.num_agents


def test_bytes_of_an_agent():
    # With its action (int8) and its reward (float32), 16 and the row's bit.
    assert bytes_per_agent(battle_v0.batched_env(2, **battle_v0.PAPER)) == 11 + 1 / 128
    assert bytes_per_agent(battle_v0.batched_env(2, map_size=300)) == pytest.approx(13, abs=0.01)
    assert bytes_per_agent(ising_v0.batched_env(2, side=20)) == 1 / 8
    assert bytes_per_agent(gaussian_squeeze_v0.batched_env(2, num_agents=1000)) == 0.088
