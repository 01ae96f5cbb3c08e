"""Agents of several types: how their view tells them apart, and a learner for each."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

import mfq
from tests.fakes.scenes import TWO, Scene, box, learner, number

MIXED = {
    "wolf_0": (box(2), spaces.Discrete(3)),
    "sheep_0": (box(4), spaces.Discrete(2, start=1)),
    "wolf_1": (box(2), spaces.Discrete(3)),
    "sheep_1": (box(4), spaces.Discrete(2, start=1)),
}


def mixed(length=3, **options):
    def observe(agent, time):
        return np.full(MIXED[agent][0].shape, time + 1, np.float32)

    return Scene(MIXED, [list(MIXED)] * length, observe, **options)


def test_agents_of_equal_spaces_are_a_type_named_by_their_prefix():
    view = mfq.wrap(mixed())
    assert view.types.tolist() == [0, 1, 0, 1]
    assert view.type_names == view.group_names == ("wolf", "sheep")
    wolves, sheep = view.of_type(0), view.of_type(1)
    assert (wolves.observation_space.shape, wolves.num_actions) == ((2,), 3)
    assert (sheep.observation_space.shape, sheep.num_actions) == ((4,), 2)
    assert view.mean_action_dim == wolves.mean_action_dim == sheep.mean_action_dim == 5
    with pytest.raises(ValueError, match="several types"):
        _ = view.observation_space
    with pytest.raises(ValueError, match="0 to 1"):
        view.of_type(2)
    alike = mfq.wrap(Scene(TWO, [list(TWO)], number))
    assert alike.of_type(0) is alike
    assert (alike.types.tolist(), alike.type_names, alike.mean_action_dim) == ([0, 0], ("a",), 2)


def test_a_prefix_that_two_types_share_names_neither():
    cast = {**TWO, "a_2": (box(2), spaces.Discrete(2)), "b": (box(1), spaces.Discrete(2))}
    view = mfq.wrap(Scene(cast, [list(cast)], number))
    assert view.types.tolist() == [0, 0, 1, 0]
    assert view.type_names == ("type_0", "type_1")
    assert view.group_names == ("a", "b")


def test_a_step_as_each_type_sees_it():
    env = mixed()
    view = mfq.wrap(env, graph="all")
    view.reset()
    step = view.step(torch.tensor([[2, 1, 0, 0]]))
    assert env.sent == [{"wolf_0": 2, "sheep_0": 2, "wolf_1": 0, "sheep_1": 1}]
    wolves, sheep = step.of_type(0), step.of_type(1)
    assert wolves.obs.tolist() == [[[2, 2], [0, 0], [2, 2], [0, 0]]]
    assert sheep.obs.tolist() == [[[0] * 4, [2] * 4, [0] * 4, [2] * 4]]
    assert wolves.active_index.tolist() == [0, 2]
    assert sheep.active_index.tolist() == [1, 3]
    assert sheep.actions.tolist() == [[-1, 1, -1, 0]]
    assert (wolves.num_actions, sheep.num_actions) == (3, 2)
    # One-hots over (wolf 0, 1, 2; sheep 0, 1), the mean of the three others'.
    expected = torch.tensor([[1, 0, 0, 1, 1], [1, 0, 1, 1, 0], [0, 0, 1, 1, 1], [1, 0, 1, 0, 1]])
    assert torch.allclose(step.mean_action, expected[None] / 3)
    assert wolves.mean_action is step.mean_action
    assert step.of_type(1) is sheep
    assert sheep.types is None
    assert sheep.of_type(0) is sheep
    alone = step.for_player(torch.tensor([[True, True, False, False]]))
    assert alone.of_type(0).active_index.tolist() == [0]


def test_masks_of_types_with_more_and_fewer_actions():
    masks = {"wolf_0": [1, 0, 1], "sheep_1": [0, 1]}

    def infos(agent, time):
        found = masks.get(agent)
        return {} if found is None else {"action_mask": np.array(found, np.int8)}

    step = mfq.wrap(mixed(infos=infos)).reset()
    assert step.action_mask.dtype == torch.int8
    assert step.of_type(0).action_mask[0].tolist() == [[1, 0, 1], [1, 1, 0], [1, 1, 1], [0, 1, 0]]
    assert step.of_type(1).mask_at(torch.tensor([1, 3])).tolist() == [[1, 1], [0, 1]]


def test_random_play_keeps_to_each_types_actions_and_masks():
    view = mfq.wrap(mixed(length=200))
    step, player, seen = view.reset(), mfq.Random(), []
    for _ in range(100):
        seen.append(player.act(step))
        step = view.step(seen[-1])
    assert torch.cat(seen).amax(0).tolist() == [2, 1, 2, 1]
    assert torch.cat(seen).amin(0).tolist() == [0, 0, 0, 0]


@pytest.mark.slow
def test_a_network_a_type_learns_what_is_good_for_each():
    good = {"wolf": 2, "sheep": 1}  # a sheep's actions are 1 and 2, of which 1 is its 0

    def earn(agent, action, time):
        return float(action == good[agent.split("_")[0]])

    view = mfq.wrap(mixed(length=10, earn=earn))
    agent = mfq.ByType(view, learner, seed=1)
    before = mfq.evaluate(view, mfq.Random(), 20, seed=3)["return"]
    mfq.train(view, agent, 400)
    assert agent.act(view.reset(), explore=False).tolist() == [[2, 0, 2, 0]]
    assert mfq.evaluate(view, agent, 2)["return"] == 10 > 1.5 * before
    metrics = agent.learn()
    assert {"wolf_loss", "sheep_loss"} <= metrics.keys()
    twin = mfq.ByType(view, learner, seed=7)
    twin.load_state_dict(agent.state_dict())
    assert twin.act(view.reset(), explore=False).tolist() == [[2, 0, 2, 0]]
    assert agent.player().act(view.reset(), explore=False).tolist() == [[2, 0, 2, 0]]
    with pytest.raises(ValueError, match="has types"):
        twin.load_state_dict({"types": {}})


def test_evaluation_leaves_the_learners_as_they_were():
    view = mfq.wrap(mixed(length=5))
    agent = mfq.ByType(view, learner)
    mfq.train(view, agent, 20)
    before = [(a.generator.get_state(), a.time) for a in agent.parts]
    first = mfq.evaluate(view, agent, 3, seed=1, explore=True)
    assert mfq.evaluate(view, agent, 3, seed=1, explore=True) == first
    for (state, time), its in zip(before, agent.parts, strict=True):
        assert torch.equal(its.generator.get_state(), state)
        assert its.time == time


@pytest.mark.slow
def test_each_type_hears_what_the_other_did():
    """A wolf's reward is whether the sheep did, a step ago, what it does now: only the mean tells."""
    cast = {"wolf_0": MIXED["wolf_0"], "sheep_0": MIXED["sheep_0"]}
    said = []

    def earn(agent, action, time):
        if agent == "sheep_0":
            said.append(action)
            return 0.0
        return float(action == (said[-1] if said else 1))

    def observe(agent, time):
        return np.ones(cast[agent][0].shape, np.float32)

    env = Scene(cast, [list(cast)] * 50, observe, earn=earn)
    view = mfq.wrap(env, graph="all")

    def make(its, seed):
        if its.num_actions == 2:  # the sheep stay as random as they begin
            return learner(
                its,
                seed,
                optimizer={"learning_rate": 1e-12},
                exploration={"start": 9.0, "end": 9.0},
            )
        return learner(its, seed, pairing="previous", exploration={"end": 0.02})

    agent = mfq.ByType(view, make)
    mfq.train(view, agent, 600)
    wolf = agent.parts[0]
    for sheep, best in ((0, 1), (1, 2)):
        step = view.step(torch.tensor([[0, sheep]]))
        assert not bool(step.reset)
        assert wolf.act(step.of_type(0), explore=False)[0, 0] == best


def test_several_types_refuse_iterated_mean_actions():
    view = mfq.wrap(mixed())
    with pytest.raises(ValueError, match="iterations=2 with agents of several types"):
        mfq.QAgent(view.of_type(0), True, mfq.QConfig(iterations=2))


def test_actor_critics_of_each_type_learn():
    view = mfq.wrap(mixed(length=9), graph="all")
    config = mfq.ACConfig(replay={"learning_starts": 20}, optimizer={"batch_size": 8})
    agent = mfq.ByType(view, lambda its, seed: mfq.ActorCritic(its, True, config, seed))
    mfq.train(view, agent, 40)
    assert {"wolf_loss", "sheep_entropy"} <= agent.learn().keys()
    weights = agent.parts[0].online["critic"].mean[0].weight
    assert weights.shape[1] == 5
