"""Third-party suites, as docs/suites.md wraps them: neighbours, actions, mean actions, training.

A suite that is not installed is skipped. `pip install -e '.[dev]'` installs ten of the packages.
"""

import importlib
import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch

import mfq
from baselines import suites
from baselines.suites import SUITES

pytestmark = [pytest.mark.third_party, pytest.mark.filterwarnings("ignore")]  # of other packages

# name -> (agents of each type, actions of each type, neighbours of an agent of each type)
SHAPES = {
    "lbforaging": ([2], [6], [1]),
    "rware": ([2], [5], [1]),
    "highway-env": ([2], [3], [1]),
    "minigrid": ([1], [7], [0]),
    "frozen-lake": ([1], [4], [0]),
    "cliff": ([1], [4], [0]),
    "popgym": ([1], [2], [0]),
    "nasim": ([1], [18], [0]),
    "pistonball": ([10], [3], [9]),
    "simple-tag": ([3, 1], [5, 5], [3, 3]),
    "momaland": ([50], [3], [49]),
    "pogema": ([8], [5], [7]),
    "lle": ([2], [5], [1]),
    "vmas": ([4], [9], [3]),
    "multigrid": ([2], [7], [1]),
    "cogrid": ([2], [7], [1]),
    "dsse": ([3], [9], [2]),
    "crafter": ([1], [17], [0]),
    "bsuite": ([1], [3], [0]),
    "pymapf": ([6], [5], [5]),
    "sumo-rl": ([16], [2], [(2, 3, 4)]),
    "simple-reference": ([2], [50], [1]),
    "tiger-deer": ([20, 4], [5, 9], [19, 3]),
    "mosaic": ([2], [8], [1]),
    "ale": ([1], [18], [0]),
}
MPE2 = {
    "simple_adversary_v3": ("adversary", "agent"),
    "simple_crypto_v3": ("eve", "type_1"),
    "simple_push_v3": ("adversary", "agent"),
    "simple_reference_v3": ("agent",),
    "simple_speaker_listener_v4": ("speaker", "listener"),
    "simple_tag_v3": ("adversary", "agent"),
    "simple_v3": ("agent",),
    "simple_world_comm_v3": ("leadadversary", "adversary", "agent"),
}
MISSING = [suite.package for name, suite in SUITES.items() if suites.installed(name) is None]
SMALL = {"hidden": (16,), "learning_starts": 16, "batch_size": 16}


@pytest.fixture
def wrapped(request):
    """The name of a suite, and the view of its game."""
    if suites.installed(request.param) is None:
        pytest.skip(f"not installed: {', '.join(MISSING)}; docs/suites.md says how to")
    game = SUITES[request.param].game
    view = mfq.wrap(game.make(), game.graph)
    yield request.param, view
    view.close()


each_suite = pytest.mark.parametrize("wrapped", SUITES, indirect=True)


class Spy:
    """Notes the actions that the innermost environment receives, by agent."""

    def __init__(self, env):
        while hasattr(env, "env") and "magent2" not in type(env).__module__:
            env = env.env
        self.step, self.received = env.step, {}
        env.step = self

    def __call__(self, actions):
        if isinstance(actions, dict):
            self.received = {str(agent): int(action) for agent, action in actions.items()}
        else:  # a list for all agents, or the action of a single one
            self.received = {f"agent_{i}": int(a) for i, a in enumerate(np.ravel(actions))}
        return self.step(actions)


def neighbours(name, view):
    """The neighbours of each agent as docs/suites.md has them, bool [N, N], without `mfenvs.graph`."""
    near = np.ones((view.num_agents, view.num_agents), bool)
    if name == "tiger-deer":
        names = np.array([agent.split("_")[0] for agent in view.agents])
        near = names[:, None] == names
    elif name == "sumo-rl":
        places = np.array([view.env.env.sumo.junction.getPosition(agent) for agent in view.agents])
        near = abs(places[:, None] - places).sum(-1) == 150  # metres, along a street
    return near & ~np.eye(view.num_agents, dtype=bool)


@each_suite
def test_agents_actions_and_neighbours(wrapped):
    name, view = wrapped
    agents, actions, counts = SHAPES[name]
    assert torch.bincount(view.types).tolist() == agents
    assert [view.of_type(k).num_actions for k in range(len(agents))] == actions
    assert view.mean_action_dim == sum(actions)
    step = view.reset(seed=0)
    degrees = step.graph.degree(step.alive)[0]
    for k, count in enumerate(counts):
        allowed = set(count) if isinstance(count, tuple) else {count}
        assert set(degrees[view.types == k].tolist()) == allowed


@each_suite
def test_each_agent_gets_its_action_and_the_mean_action_of_its_neighbours(wrapped):
    name, view = wrapped
    step, player, num_agents = view.reset(seed=1), mfq.Random(2), view.num_agents
    spy, compared = Spy(view.env), 0  # after the reset, in which some adapters make the environment
    offsets = np.cumsum([0, *SHAPES[name][1]])[view.types.numpy()]
    near = neighbours(name, view)
    for _ in range(8):
        actions, alive = player.act(step), step.alive[0].tolist()
        step = view.step(actions)
        if step.reset.any():
            continue
        chosen = {str(view.agents[i]): int(actions[0, i]) for i in range(num_agents) if alive[i]}
        assert {agent: spy.received[agent] for agent in chosen} == chosen
        onehots = np.zeros((num_agents, view.mean_action_dim))
        onehots[np.arange(num_agents), offsets + actions[0].numpy()] = 1
        for i in range(num_agents):
            others = [j for j in range(num_agents) if near[i, j] and alive[j]]
            if alive[i] and step.alive[0, i]:
                mean = onehots[others].sum(0) / max(1, len(others))
                assert np.allclose(step.mean_action[0, i], mean, atol=1e-6)
                compared += 1
    assert compared


@each_suite
def test_training_and_evaluation(wrapped, monkeypatch):
    name, view = wrapped
    agent = suites.make_agent(name, view, 0, **SMALL)
    steps = []
    mfq.train(view, agent, 24, view.reset(seed=0), after=lambda done, step: steps.append(step))
    assert all(int(b.reset) == int(a.ended) for a, b in pairwise(steps))
    losses = agent.learn()
    assert losses
    assert np.isfinite(list(losses.values())).all()
    monkeypatch.setattr("mfq.matches.evaluate.MAX_STEPS", 10)
    assert np.isfinite(mfq.evaluate(view, agent, 1)["return"])


@pytest.mark.parametrize("name", MPE2)
def test_the_games_of_mpe2(name):
    pytest.importorskip("mpe2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        env = importlib.import_module(f"mpe2.{name}").parallel_env(max_cycles=10)
    view = mfq.wrap(env, graph="all")
    assert view.type_names == MPE2[name]
    config = mfq.QConfig(
        network={"hidden": (16,)}, replay={"learning_starts": 10}, optimizer={"batch_size": 8}
    )
    agent = mfq.ByType(view, lambda its, seed: mfq.QAgent(its, True, config, seed))
    step = mfq.train(view, agent, 15)
    assert step.mean_action.shape == (1, view.num_agents, view.mean_action_dim)
    assert np.isfinite(list(agent.learn().values())).all()
    assert np.isfinite(mfq.evaluate(view, agent, 1)["return"])


def test_ten_new_packages_are_in_the_extra_dev():
    """The suites that a fresh clone tests, beyond those of docs/your_env.md."""
    known = {"gymnasium", "magent2", "pettingzoo", "mpe2"}
    new = {suite.package for name, suite in SUITES.items() if suites.installed(name)} - known
    assert len(new) >= 10
