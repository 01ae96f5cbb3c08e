"""Real environments of other people's: wrapped, played to the end of episodes, and trained on."""

import importlib
import warnings
from itertools import pairwise

import gymnasium
import numpy as np
import pettingzoo
import pytest
import torch

import mfq

pytestmark = pytest.mark.third_party


def module(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        return importlib.import_module(name)


def pursuers():
    name = "magent2.environments.adversarial_pursuit_v4"
    return module(name).parallel_env(map_size=15, max_cycles=20)


def arms():
    name = "magent2.environments.combined_arms_v6"
    return module(name).parallel_env(map_size=16, max_cycles=30)


def pursuit():
    return pettingzoo.make("parallel", "sisl/pursuit-v5", max_cycles=20)


def zombies():
    return pettingzoo.make("parallel", "butterfly/knights_archers_zombies-v11", max_cycles=300)


def spread():
    return module("mpe2.simple_spread_v3").parallel_env(max_cycles=25)


# name -> (maker, the names of the types, agents of each, actions of each, width of a mean action)
ENVIRONMENTS = {
    "adversarial_pursuit_v4": (pursuers, ("predator", "prey"), [2, 5], [13, 9]),
    "combined_arms_v6": (arms, ("type_0", "type_1"), [6, 6], [9, 25]),
    "pursuit_v5": (pursuit, ("pursuer",), [8], [5]),
    "knights_archers_zombies_v11": (zombies, ("type_0",), [4], [6]),
    "simple_spread_v3": (spread, ("agent",), [3], [5]),
    "CartPole-v1": (lambda: gymnasium.make("CartPole-v1"), ("agent",), [1], [2]),
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_types_and_spaces(name):
    make, names, agents, actions = ENVIRONMENTS[name]
    view = mfq.wrap(make())
    assert view.type_names == names
    assert torch.bincount(view.types).tolist() == agents
    assert [view.of_type(k).num_actions for k in range(len(names))] == actions
    assert view.mean_action_dim == sum(actions)


@pytest.mark.filterwarnings("default::DeprecationWarning")
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_training(name):
    make, names, agents, _ = ENVIRONMENTS[name]
    view = mfq.wrap(make(), graph="all")
    config = mfq.QConfig(
        network={"hidden": (16,)}, replay={"learning_starts": 30}, optimizer={"batch_size": 16}
    )
    agent = mfq.ByType(view, lambda its, seed: mfq.QAgent(its, True, config, seed))
    steps = []
    last = mfq.train(view, agent, 60, after=lambda done, step: steps.append(step))
    ends = sum(int(step.ended) for step in steps)
    assert ends >= (0 if "zombies" in name else 1)
    assert all(int(b.reset) == int(a.ended) for a, b in pairwise(steps))
    # Who is dead or gone acts no more, earns nothing, observes zeros.
    for before, after in pairwise(steps):
        absent = ~before.alive & ~after.reset[:, None]
        assert not (after.acting & absent).any()
        assert not after.reward[absent].any()
    losses = agent.learn()
    assert len(losses) == 3 * len(names)
    assert np.isfinite(list(losses.values())).all()
    assert last.mean_action.shape == (1, sum(agents), view.mean_action_dim)
    assert {"return", "length"} <= mfq.evaluate(view, agent, 1).keys()


def test_deaths_in_combined_arms_are_learned_and_end_an_agents_record():
    view = mfq.wrap(arms(), graph="all")
    step, player = view.reset(seed=3), mfq.Random(0)
    died = torch.zeros(view.num_agents, dtype=torch.bool)
    for _ in range(30):
        step = view.step(player.act(step))
        assert not (step.alive & died).any()
        died |= step.terminated[0]
        for k in range(2):
            its = step.of_type(k)
            assert not its.obs[~(step.alive & (view.types == k))].any()
            assert (
                not (its.active_index % view.num_agents).tolist()
                or its.alive.flatten()[its.active_index].all()
            )
    assert bool(step.ended)
    assert died.any(), "nobody died in the skirmish: choose another seed"


def test_supersuit_pads_several_types_into_one():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import supersuit

        padded = supersuit.pad_action_space_v0(supersuit.pad_observations_v0(pursuers()))
    view = mfq.wrap(padded)
    assert view.type_specs is None
    assert view.observation_space.shape == (10, 10, 5)
    assert view.num_actions == view.mean_action_dim == 13
    agent = mfq.QAgent(
        view,
        True,
        mfq.QConfig(
            network={"hidden": (16,)}, replay={"learning_starts": 30}, optimizer={"batch_size": 16}
        ),
    )
    mfq.train(view, agent, 25)
    assert np.isfinite(agent.learn()["loss"])
