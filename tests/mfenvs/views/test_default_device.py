"""torch's default device has no effect on environments with a device of their own."""

import numpy as np
import pytest
import torch

from mfenvs import battle_v0, ising_v0
from mfenvs.graph import CompleteGraph, EdgesGraph, LatticeGraph, RadiusGraph


@pytest.fixture
def elsewhere():
    """No tensor that is made without a device has data."""
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


def results(env, steps=4):
    obs, info = env.reset(seed=1)
    actual = [obs, info, env.alive, env.groups, env.types]
    for _ in range(steps):
        actual.extend(env.step(env.scripted("random") if env.game.scripts else ones(env)))
    snapshot = env.snapshot()
    actual += [env.observe(snapshot), env.observe(snapshot, [0, 1], [2, 1]), *snapshot]
    actual += [env.neighbor_graph.degree(env.alive), env.state_dict()["state"]]
    return actual


def ones(env):
    return np.ones((env.num_envs, env.num_agents), np.int64)


def flat(values):
    for value in values:
        yield from flat(value.values()) if isinstance(value, dict) else (value,)


@pytest.mark.parametrize(
    ("make", "options"),
    [(ising_v0.batched_env, {"side": 4}), (battle_v0.batched_env, {"map_size": 14})],
    ids=["ising", "battle"],
)
def test_a_batched_env_on_the_cpu(make, options, elsewhere):
    actual = list(flat(results(make(2, **options))))
    torch.set_default_device(None)
    expected = list(flat(results(make(2, **options))))
    for one, other in zip(actual, expected, strict=True):
        assert one.device.type == "cpu"
        assert torch.equal(one, other)


def test_states_are_loaded_and_not_dropped(elsewhere):
    env, other = (ising_v0.batched_env(2, side=4) for _ in range(2))
    env.reset(seed=1)
    other.reset(seed=2)
    saved = env.state_dict()
    other.load_state_dict(saved)
    assert torch.equal(other.last()[0], env.last()[0])
    assert torch.equal(other.step(ones(env))[1], env.step(ones(env))[1])
    empty = {**saved, "state": {name: value.to("meta") for name, value in saved["state"].items()}}
    before = other.state_dict()["state"]
    with pytest.raises(ValueError, match="'meta', which has no data"):
        other.load_state_dict(empty)
    assert all(torch.equal(v, before[name]) for name, v in other.state_dict()["state"].items())


def test_vector_and_parallel_envs(elsewhere):
    vector = ising_v0.vector_env(2, side=3)
    vector.reset(seed=0)
    assert vector.step(np.ones(18, np.int64))[1].any()
    env = ising_v0.parallel_env(side=3)
    env.reset(seed=0)
    env.load_state_dict(env.state_dict())
    env.step(dict.fromkeys(env.agents, torch.ones((), dtype=torch.int64, device="cpu")))


@pytest.mark.parametrize(
    "graph",
    [
        CompleteGraph(9, np.arange(9) % 2),
        LatticeGraph(3),
        RadiusGraph(np.random.default_rng(0).random((2, 9, 2)), 0.4),
        EdgesGraph([[0, 1, 2, 5], [1, 2, 0, 8]], 9),
    ],
    ids=lambda graph: type(graph).__name__,
)
def test_graphs_of_tensors_on_the_cpu(graph, elsewhere):
    x = torch.from_numpy(np.random.default_rng(1).random((2, 9, 3)))
    alive = torch.from_numpy(np.random.default_rng(2).random((2, 9)) < 0.7)
    mean, degree = graph.mean(x, alive), graph.degree(alive)
    assert np.allclose(mean.numpy(), graph.mean(x.numpy(), alive.numpy()))
    assert np.array_equal(degree.numpy(), graph.degree(alive.numpy()))
