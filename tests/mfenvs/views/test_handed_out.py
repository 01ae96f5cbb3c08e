"""What a caller does to a list, dict or array that an environment returned has no effect on it."""

import random

import numpy as np
import pytest
import torch

from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfenvs.graph import CompleteGraph
from tests.mfenvs.views.test_parallel import same

CHANGES = {
    "shuffle": lambda names: random.Random(0).shuffle(names),
    "reverse": lambda names: names.reverse(),
    "remove": lambda names: names.remove(names[0]),
    "append": lambda names: names.append("nobody"),
    "clear": lambda names: names.clear(),
}


def fight(**options):
    env = battle_v0.parallel_env(map_size=16, damage=11.0, **options)
    env.reset(seed=0)
    return env


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("names", ["agents", "possible_agents"])
def test_a_changed_list_of_agents_changes_no_step(names, change):
    env, twin = fight(), fight()
    while env.agents:
        change(getattr(env, names))
        actions = env.scripted("rush")
        assert actions == twin.scripted("rush")
        change(getattr(env, names))
        assert same(env.step(actions), twin.step(actions))
        assert env.agents == twin.agents
        assert env.possible_agents == list(env.game.agents)
        assert env.neighbors("red_0") == twin.neighbors("red_0")


def test_actions_in_any_order_go_to_their_agents():
    env, twin = fight(), fight()
    while env.agents:
        actions = env.scripted("rush")
        names = env.agents
        random.Random(1).shuffle(names)
        expected = twin.step(actions)
        assert same(env.step({agent: actions[agent] for agent in names}), expected)


def test_changed_dicts_of_spaces_and_lists_of_neighbours_change_nothing():
    env = fight()
    for name in ("observation_spaces", "action_spaces"):
        getattr(env, name).clear()
        spaces = getattr(env, name)
        assert list(spaces) == env.possible_agents
        assert spaces["red_0"] is getattr(env, name[:-1])("red_0")
    env.neighbors("red_0").clear()
    assert env.neighbors("red_0")
    for agent in (0, 3):
        env.neighbor_graph.neighbors(agent)[:] = 0
        assert (
            0 < len(set(env.neighbor_graph.neighbors(agent).tolist())) == len(env.agents) // 2 - 1
        )


@pytest.mark.parametrize(
    "make",
    [
        lambda: ising_v0.batched_env(2, side=4, update="checkerboard", max_cycles=5),
        lambda: gaussian_squeeze_v0.batched_env(2, num_agents=5, max_cycles=4),
        lambda: battle_v0.batched_env(2, map_size=14, damage=11.0, max_cycles=6),
    ],
    ids=["ising", "squeeze", "battle"],
)
def test_tensors_that_are_changed_in_place_change_no_later_result(make):
    env, twin = make(), make()
    generator = torch.Generator().manual_seed(0)
    shape, most = (env.num_envs, env.num_agents), int(env.single_action_space.n)

    def tensors(result):
        obs, *values, info = result
        return [*(obs.values() if isinstance(obs, dict) else [obs]), *values, *info.values()]

    env.reset(seed=0)
    twin.reset(seed=0)
    for _ in range(15):
        actions = torch.randint(most, shape, generator=generator)
        actual, expected = tensors(env.step(actions)), tensors(twin.step(actions))
        assert all(map(torch.equal, actual, expected))
        assert torch.equal(env.alive, twin.alive)
        for tensor in (*actual, env.alive, env.groups, env.types):
            tensor.copy_(~tensor if tensor.dtype == torch.bool else tensor * 0 + 1)
        env.agents.clear()
    fresh = make()
    assert env.agents == fresh.agents
    assert np.array_equal(env.game.groups, fresh.game.groups)
    env.reset(seed=0)
    assert env.neighbor_graph.neighbors(0).tolist() == twin.neighbor_graph.neighbors(0).tolist()


def test_a_graph_does_not_follow_the_array_of_groups_that_it_was_given():
    groups = np.array([0, 0, 1])
    graph = CompleteGraph(3, groups)
    groups[:] = 0
    assert graph.neighbors(0).tolist() == [1]
