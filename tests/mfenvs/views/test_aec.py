"""The AEC forms have what the ParallelEnv has beyond PettingZoo, and pass on what is set."""

import copy

import pytest

from mfenvs import battle_v0, ising_v0

MAKERS = pytest.mark.parametrize("maker", [battle_v0.env, battle_v0.raw_env])


@MAKERS
def test_what_is_read_is_that_of_the_parallel_env(maker):
    env = maker(map_size=12)
    env.reset(seed=0)
    inner = env.unwrapped
    assert env.neighbors("red_1") == inner.neighbors("red_1") != []
    assert env.neighbor_graph.neighbors(0).tolist() == inner.neighbor_graph.neighbors(0).tolist()
    assert env.measures == inner.measures
    assert env.scripted("rush") == inner.scripted("rush")
    assert env.team_sizes == [2, 2]
    assert str(env) == str(inner) == "battle_v0"


@MAKERS
def test_what_is_set_reaches_the_parallel_env(maker):
    env = maker(map_size=12, render_mode="rgb_array")
    env.max_cycles = 2
    env.reset(seed=0)
    before = env.render()
    env.selected = "blue_1"
    assert env.unwrapped.selected == env.selected == "blue_1"
    assert (env.render() != before).any()
    env.selected = None
    env.show_graph = True
    assert env.unwrapped.show_graph
    with pytest.raises(ValueError, match="nobody"):
        env.selected = "nobody"
    turns = 0
    while not any(env.truncations.values()):
        env.step(6)
        turns += 1
    assert turns == 2 * 4, "two steps of four agents"


def test_a_seed_set_before_the_reset_is_that_of_the_reset():
    env, twin = ising_v0.env(side=4), ising_v0.env(side=4)
    env.unwrapped.reset(seed=1)
    env.seed(5)
    env.reset()
    twin.reset(seed=5)
    assert (env.state() == twin.state()).all()


@MAKERS
def test_with_closes(maker):
    closed = []
    with maker(map_size=12) as env:
        env.unwrapped.close = lambda: closed.append(True)
        env.reset(seed=0)
    assert closed == [True]
    assert copy.deepcopy(env).agents == env.agents
