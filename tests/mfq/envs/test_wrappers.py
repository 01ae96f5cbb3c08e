"""MeanActionObservation: spaces, means by hand, deaths, PettingZoo's suite, equality with mfq's own."""

import copy
import pickle
import warnings

import numpy as np
import pettingzoo
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

import mfq
from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfenvs.graph import CompleteGraph, EdgesGraph, LatticeGraph
from mfenvs.infos import ACTION
from mfq import MeanActionObservation
from tests.mfq.envs.test_view import Mortal

with warnings.catch_warnings():
    # PettingZoo's tests import its classic games by a name that it has itself deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from pettingzoo.test import parallel_api_test, parallel_seed_test


class Observing(Mortal):
    """Mortal, with an observation and infos of the test's choice."""

    def __init__(self, space, obs, infos=None, **options):
        super().__init__(**options)
        self.space, self.obs, self.infos = space, obs, infos or {}

    def observation_space(self, agent):
        return self.space

    def _obs(self, agents):
        return dict.fromkeys(agents, self.obs)

    def _infos(self, agents):
        return {agent: self.infos.get(agent, {}) for agent in agents}


class TwoKinds(Mortal):
    """Sheep have two actions, wolves three."""

    def action_space(self, agent):
        return spaces.Discrete(2) if agent.startswith("sheep") else super().action_space(agent)


def test_means_by_hand_and_the_dead_do_not_count():
    env = MeanActionObservation(Mortal(wolves=3, sheep=2, max_cycles=4))
    obs, _ = env.reset()
    assert obs["wolf_1"].tolist() == [0, 7, 0, 0, 0]  # nobody has acted
    obs, *_ = env.step({"wolf_0": 5, "wolf_1": 6, "wolf_2": 6, "sheep_0": 5, "sheep_1": 7})
    # wolf_0 died in this step, but it chose: the others hear it, and it sees the step to its end.
    assert obs["wolf_0"].tolist() == [1, 7, 0, 1, 0]
    assert obs["wolf_1"].tolist() == [1, 7, 0.5, 0.5, 0]
    assert obs["sheep_0"].tolist() == [1, 7, 0, 0, 1]
    obs, *_ = env.step({"wolf_0": 5, "wolf_1": 6, "wolf_2": 7, "sheep_0": 5})
    assert "wolf_0" not in obs
    assert obs["wolf_1"].tolist() == [2, 7, 0, 0, 1]  # wolf_0 is dead, whatever is sent for it
    assert obs["sheep_0"].tolist() == [2, 7, 0, 0, 0]  # sheep_1 was silent
    assert obs["sheep_1"].tolist() == [2, 7, 1, 0, 0]
    obs, *_ = env.step({"wolf_2": 5})
    assert obs["wolf_2"].tolist() == [3, 7, 0, 0, 0]
    obs, _ = env.reset()
    assert obs["wolf_1"].tolist() == [0, 7, 0, 0, 0]  # forgotten


def test_actions_in_effect_are_what_infos_tell():
    infos = {"sheep_0": {ACTION: 2}, "sheep_1": {ACTION: -1}}
    env = Observing(spaces.Box(0, 1, (1,)), np.zeros(1, np.float32), infos, wolves=0, sheep=3)
    env = MeanActionObservation(env)
    obs, _ = env.reset()
    assert obs["sheep_2"].tolist() == [0, 0, 0, 1]  # sheep_0 begins with an action
    obs, *_ = env.step({"sheep_0": 5, "sheep_1": 5, "sheep_2": 6})
    assert obs["sheep_0"].tolist() == [0, 0, 1, 0]
    assert obs["sheep_1"].tolist() == [0, 0, 0.5, 0.5]
    assert obs["sheep_2"].tolist() == [0, 0, 0, 1]


def test_graphs():
    edges = np.array([[0, 1], [2, 3]])
    for graph in (EdgesGraph(edges, 4), lambda _: edges):
        env = MeanActionObservation(Mortal(), graph)
        env.reset()
        obs, *_ = env.step({"wolf_0": 5, "wolf_1": 5, "sheep_0": 6, "sheep_1": 7})
        assert [o[2:].tolist() for o in obs.values()] == [[0, 1, 0], [0, 0, 1], [0] * 3, [0] * 3]
        assert env.neighbor_graph.neighbors(1).tolist() == [3]
    assert MeanActionObservation(Mortal()).neighbor_graph.neighbors(2).tolist() == [3]
    ising = MeanActionObservation(ising_v0.parallel_env(side=4))
    assert isinstance(ising.neighbor_graph, LatticeGraph)
    assert ising.neighbors("site_0") == ising.env.neighbors("site_0")
    # What is wrapped again finds the graph that was given.
    again = mfq.wrap(MeanActionObservation(Mortal(), EdgesGraph(edges, 4)))
    assert again.graph.edge_index().tolist() == edges.tolist()


def test_a_graph_that_moves_is_taken_when_the_actions_were_chosen():
    def follow(env):
        return np.array([[0], [1 if getattr(env, "time", 0) == 0 else 2]])

    env = MeanActionObservation(Mortal(wolves=0, sheep=3), follow)
    env.reset()
    obs, *_ = env.step({"sheep_0": 5, "sheep_1": 6, "sheep_2": 7})
    assert obs["sheep_0"].tolist() == [1, 7, 0, 1, 0]
    assert env.neighbor_graph.neighbors(0).tolist() == [2]


def test_agents_of_two_kinds_have_places_of_their_own():
    env = MeanActionObservation(TwoKinds(wolves=2, sheep=2), CompleteGraph(4))
    env.reset()
    obs, *_ = env.step({"wolf_0": 7, "wolf_1": 5, "sheep_0": 1, "sheep_1": 1})
    third = np.float32(1) / 3
    assert obs["wolf_1"][2:].tolist() == pytest.approx([0, 0, third, 0, 2 * third])
    assert obs["sheep_0"][2:].tolist() == pytest.approx([third, 0, third, 0, third])
    assert obs["sheep_0"] in env.observation_space("sheep_0")


PICTURE = np.full((2, 3, 1), 9, np.uint8)
HALF = [0.5, 0.5, 0.0]


@pytest.mark.parametrize(
    ("space", "obs", "expected", "dtype"),
    [
        (spaces.Box(-1, 1, ()), np.float32(0.5), [0.5, *HALF], np.float32),
        (
            spaces.Box(-1, 1, (2,), np.float64),
            np.array([0.1, 1.0]),
            [0.1, 1.0, *HALF],
            np.float64,
        ),
        (spaces.Box(0, 9, (1,), np.int32), np.array([9], np.int32), [9, *HALF], np.float32),
        (spaces.Box(-np.inf, 1, (2, 1)), np.ones((2, 1), "f"), [[1, *HALF]] * 2, np.float32),
        (
            spaces.Box(0, 255, PICTURE.shape, np.uint8),
            PICTURE,
            [[[9, 128, 128, 0]] * 3] * 2,
            np.uint8,
        ),
        (spaces.Discrete(3, start=4), 5, [0, 1, 0, *HALF], np.float32),
        (spaces.MultiDiscrete([2, 3]), np.array([1, 2]), [0, 1, 0, 0, 1, *HALF], np.float32),
        (spaces.MultiBinary(2), np.array([0, 1], np.int8), [0, 1, *HALF], np.float32),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, spaces.Space) else "",
)
def test_how_it_is_appended(space, obs, expected, dtype):
    env = MeanActionObservation(Observing(space, obs, wolves=0, sheep=3))
    env.reset()
    found, *_ = env.step({"sheep_0": 7, "sheep_1": 5, "sheep_2": 6})
    assert found["sheep_0"].dtype == dtype
    assert found["sheep_0"].tolist() == expected
    mine = env.observation_space("sheep_0")
    assert mine is env.observation_space("sheep_0")
    assert (mine.shape, mine.dtype) == (found["sheep_0"].shape, dtype)
    assert all(value in mine for value in found.values())


def test_dicts_get_a_key_and_masked_observations_are_appended_to():
    vector, mask = np.ones(2, np.float32), np.array([1, 0, 1], np.int8)
    box = spaces.Box(0, 1, (2,))
    pairs = {"observation": box, "action_mask": spaces.MultiBinary(3)}
    env = Observing(
        spaces.Dict(pairs), {"observation": vector, "action_mask": mask}, wolves=0, sheep=2
    )
    env = MeanActionObservation(env)
    env.reset()
    found = env.step({"sheep_0": 5, "sheep_1": 6})[0]["sheep_0"]
    assert found["observation"].tolist() == [1, 1, 0, 1, 0]
    assert found["action_mask"] is mask
    assert found in env.observation_space("sheep_0")
    assert mfq.wrap(env).observation_space.shape == (5,)

    env = Observing(spaces.Dict({"own": box}), {"own": vector}, wolves=0, sheep=2)
    env = MeanActionObservation(env)
    found = env.reset()[0]["sheep_0"]
    assert found["mean_action"].tolist() == [0, 0, 0]
    found = env.step({"sheep_0": 5, "sheep_1": 6})[0]["sheep_0"]
    assert found["own"] is vector
    assert found["mean_action"].tolist() == [0, 1, 0]
    assert found in env.observation_space("sheep_0")
    with pytest.raises(ValueError, match="without 'mean_action'"):
        MeanActionObservation(env)


ENVS = {
    "ising": lambda: ising_v0.parallel_env(side=4, update="checkerboard", max_cycles=6),
    "squeeze": lambda: gaussian_squeeze_v0.parallel_env(num_agents=4, max_cycles=6),
    "battle": lambda: battle_v0.parallel_env(map_size=12, max_cycles=12, damage=10.0),
}


@pytest.mark.parametrize("name", ENVS)
def test_pettingzoo_s_suite(name, capsys):
    parallel_api_test(MeanActionObservation(ENVS[name]()), num_cycles=60)
    parallel_seed_test(lambda: MeanActionObservation(ENVS[name]()))


@pytest.mark.parametrize("name", ENVS)
def test_it_is_the_mean_action_that_mfq_s_own_learners_see(name):
    view, twin = mfq.wrap(ENVS[name]()), MeanActionObservation(ENVS[name]())
    twin_view = mfq.wrap(MeanActionObservation(ENVS[name]()))
    step, (obs, _), twin_step = view.reset(seed=3), twin.reset(seed=3), twin_view.reset(seed=3)
    coin = torch.Generator().manual_seed(0)
    for _ in range(12):
        for i, agent in enumerate(view.agents):
            if agent in obs:
                mean = step.mean_action[0, i]
                shown = torch.from_numpy(obs[agent])[..., -view.num_actions :]
                assert torch.equal(shown, mean.expand_as(shown))
        assert torch.equal(step.mean_action, twin_step.mean_action)
        actions = torch.randint(0, view.num_actions, (1, view.num_agents), generator=coin)
        living = set(twin.agents)
        sent = {a: int(actions[0, i]) for i, a in enumerate(view.agents) if a in living}
        if not sent:
            break
        step, twin_step = view.step(actions), twin_view.step(actions)
        obs = twin.step(sent)[0]
    assert step.mean_action.any()


def naive(edges, chosen, width):
    """Mean one-hot per listener, with loops alone: ``chosen`` has the actions of those who chose."""
    means = {}
    for listener in range(5):
        counts, heard = [0.0] * width, 0
        for other in {b for a, b in edges if a == listener}:
            if other in chosen:
                counts[chosen[other]] += 1
                heard += 1
        means[listener] = [count / max(heard, 1) for count in counts]
    return means


@settings(max_examples=60, deadline=None)
@given(
    edges=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12),
    plays=st.lists(
        st.dictionaries(st.integers(0, 4), st.integers(0, 2), max_size=5), min_size=1, max_size=4
    ),
)
def test_law_the_mean_is_over_neighbours_that_live_and_choose(edges, plays):
    inner = Mortal(wolves=4, sheep=1, max_cycles=9)  # a wolf dies at each step
    graph = EdgesGraph(np.array(edges, np.int64).reshape(-1, 2).T, 5)
    env = MeanActionObservation(inner, graph)
    env.reset()
    agents = env.possible_agents
    for play in plays:
        living = set(env.agents)
        obs, *_ = env.step({agents[i]: action + 5 for i, action in play.items()})
        chosen = {i: action for i, action in play.items() if agents[i] in living}
        expected = naive(edges, chosen, 3)
        for agent, found in obs.items():
            assert found[2:].tolist() == pytest.approx(expected[agents.index(agent)])
            assert 0 <= found[2:].sum() <= 1 + 1e-6


def test_copies_are_independent_and_keep_their_own_graph():
    env = MeanActionObservation(battle_v0.parallel_env(map_size=12, neighbor_radius=3.0))
    env.reset(seed=1)
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        twin.reset(seed=2)
        assert twin.env is not env.env
        before = env.neighbor_graph.edge_index().tolist()
        rush = twin.scripted("rush")
        for _ in range(3):
            twin.step({agent: rush.get(agent, 0) for agent in twin.agents})
        assert env.neighbor_graph.edge_index().tolist() == before
        assert twin.neighbor_graph.edge_index().tolist() == (
            twin.env.neighbor_graph.edge_index().tolist()
        )


class Continuous(Mortal):
    def action_space(self, agent):
        return self.spaces[agent]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: MeanActionObservation(ising_v0.env(side=3)), TypeError, "aec_to_parallel"),
        (lambda: MeanActionObservation(Continuous()), ValueError, "'wolf_0' acts in Box"),
        (
            lambda: MeanActionObservation(Observing(spaces.Text(3), "abc")),
            ValueError,
            "'wolf_0' observes Text",
        ),
        (
            lambda: MeanActionObservation(Mortal(), CompleteGraph(3)).reset(),
            ValueError,
            "3 agents; allowed: 4",
        ),
    ],
)
def test_what_cannot_be_wrapped_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_bad_actions_are_the_environment_s_to_refuse():
    env = MeanActionObservation(ising_v0.parallel_env(side=3))
    assert isinstance(env, pettingzoo.ParallelEnv)
    assert env.unwrapped is env.env
    before = env.reset(seed=0)[0]["site_0"]
    with pytest.raises(TypeError, match="'up'"):
        env.step({"site_0": "up"})
    assert np.array_equal(env.reset(seed=0)[0]["site_0"], before)
