"""MultiDiscrete and MultiBinary actions as Discrete ones; several agents in Tuple spaces."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

import mfq
from mfq.envs.flat_actions import flat_actions
from tests.fakes.scenes import Scene, box, learner, number


@pytest.mark.parametrize(
    ("space", "actions"),
    [
        (spaces.Discrete(2, start=4), [4, 5]),
        (spaces.MultiDiscrete([2, 3]), [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]),
        (spaces.MultiDiscrete([2, 2], start=[1, -1]), [[1, -1], [1, 0], [2, -1], [2, 0]]),
        (spaces.MultiDiscrete([[2], [1]]), [[[0], [0]], [[1], [0]]]),
        (spaces.MultiBinary(2), [[0, 0], [0, 1], [1, 0], [1, 1]]),
        (spaces.MultiBinary((1, 1)), [[[0]], [[1]]]),
    ],
    ids=str,
)
def test_each_combination_is_an_action(space, actions):
    flat = flat_actions("a_0", space)
    assert flat.space.n == len(actions)
    made = [flat.to_env(index) for index in range(len(actions))]
    assert [np.asarray(action).tolist() for action in made] == actions
    assert all(action in space for action in made)


def test_training_on_combinations():
    target = np.array([1, 2])
    space = spaces.MultiDiscrete([2, 3])
    cast = dict.fromkeys(["a_0", "a_1"], (box(1), space))

    def earn(agent, action, time):
        return float((action == target).all())

    env = Scene(cast, [list(cast)] * 10, number, earn=earn)
    view = mfq.wrap(env)
    assert view.action_space == spaces.Discrete(6)
    agent = learner(view)
    mfq.train(view, agent, 400)
    assert all(action in space for action in env.sent[0].values())
    assert mfq.evaluate(view, agent, 1)["return"] == 10


def test_masks_of_combinations():
    cast = {"a_0": (box(1), spaces.MultiBinary(2))}
    mask = np.array([0, 0, 1, 0], np.int8)
    env = Scene(cast, [["a_0"]] * 3, number, infos=lambda agent, time: {"action_mask": mask})
    view = mfq.wrap(env)
    mfq.train(view, learner(view), 3)
    assert [sent["a_0"].tolist() for sent in env.sent] == [[1, 0]] * 3


@pytest.mark.parametrize(
    ("space", "count"), [(spaces.MultiDiscrete([40, 40]), 1600), (spaces.MultiBinary(70), 2**70)]
)
def test_too_many_combinations_are_counted(space, count):
    cast = {"a_0": (box(1), space)}
    words = rf"'a_0' acts in Multi.* which has {count} combinations; allowed: at most 1000"
    with pytest.raises(ValueError, match=words):
        mfq.wrap(Scene(cast, [["a_0"]], number))
    assert flat_actions("a_0", spaces.MultiDiscrete([40, 25])).space.n == 1000


# -- several agents in Tuple spaces ------------------------------------------------------------------


class Foragers(gymnasium.Env):
    """Three agents in one environment; each earns its action, which ends after ``ends[i]`` steps."""

    observation_space = spaces.Tuple([box(1)] * 3)
    action_space = spaces.Tuple([spaces.Discrete(2, start=1)] * 3)
    info = {}  # noqa: RUF012
    ends = (3, 3, 3)

    def reset(self, seed=None, options=None):
        self.time = 0
        return self.seen(), self.info

    def seen(self):
        return tuple(np.array([self.time], np.float32) for _ in range(3))

    def step(self, actions):
        assert actions in self.action_space
        self.time, self.last = self.time + 1, actions
        return self.seen(), [float(a) for a in actions], self.over(), False, self.info

    def over(self):
        return self.time == self.ends[0]


def test_an_environment_with_tuples_has_several_agents():
    env = Foragers()
    view = mfq.wrap(env)
    assert view.agents == ["agent_0", "agent_1", "agent_2"]
    assert view.group_names == ("agent",)
    view.reset(seed=0)
    step = view.step(torch.tensor([[0, 1, 1]]))
    assert env.last == (1, 2, 2)
    assert step.reward.tolist() == [[1, 2, 2]]
    assert step.obs.tolist() == [[[1]] * 3]
    assert step.mean_action[0, 0].tolist() == [0, 1]
    mfq.train(view, learner(view), 10)
    assert mfq.evaluate(view, mfq.Random(), 2)["length"] == 3


def test_flags_for_each_agent():
    class Each(Foragers):
        def over(self):
            return [self.time >= end for end in self.ends]

    env = Each()
    env.ends = (1, 3, 3)
    view = mfq.wrap(env)
    view.reset()
    step = view.step(torch.tensor([[1, 1, 1]]))
    assert step.terminated.tolist() == [[True, False, False]]
    step = view.step(torch.tensor([[-1, 1, 1]]))
    assert env.last == (1, 2, 2)  # the first action, for who is gone
    assert step.alive.tolist() == [[False, True, True]]
    assert bool(view.step(torch.tensor([[-1, 1, 1]])).ended)


def test_one_reward_for_all_and_truncation():
    class Shared(Foragers):
        def step(self, actions):
            obs, rewards, over, _, info = super().step(actions)
            return list(obs), sum(rewards), False, over, info

    step = [view := mfq.wrap(Shared()), view.reset()][1]
    for _ in range(3):
        step = view.step(torch.tensor([[0, 1, 1]]))
    assert step.reward.tolist() == [[5, 5, 5]]
    assert bool(step.truncated)


def test_infos_and_masks():
    env = Foragers()
    masks = np.array([[1, 0], [0, 1], [1, 1]], np.int8)
    env.info = {"action_mask": masks, "other": 3}
    assert mfq.wrap(env).reset().action_mask.tolist() == [masks.tolist()]
    env.info = tuple({"action_mask": mask} for mask in masks)
    assert mfq.wrap(env).reset().action_mask.tolist() == [masks.tolist()]


def test_lists_of_spaces_are_taken_by_hand():
    env = Foragers()
    env.observation_space, env.action_space = [box(1)] * 3, [spaces.MultiBinary(2)] * 3
    view = mfq.wrap(mfq.TupleAgents(env))
    assert (view.num_agents, view.num_actions) == (3, 4)


def change(i, value):
    class Changed(Foragers):
        def step(self, actions):
            results = list(super().step(actions))
            results[i] = value
            return results[:4] if i == 5 else results

    view = mfq.wrap(Changed())
    view.reset()
    return view.step(torch.zeros(1, 3, dtype=torch.int64))


@pytest.mark.parametrize(
    ("i", "value", "words"),
    [
        (
            0,
            np.zeros(2),
            "step returned the observation as 2 parts; allowed: 3 parts, one for each",
        ),
        (0, 3, "step returned the observation as a int; allowed: 3 parts"),
        (1, [1.0], "step returned the reward as 1 parts"),
        (2, [True], "step returned the terminated as 1 parts"),
        (3, None, r"step returned truncated\['agent_0'\]=None; allowed: True or False"),
        (4, [{}], "step returned the info as 1 parts"),
    ],
)
def test_results_of_another_form_are_named(i, value, words):
    with pytest.raises(ValueError, match=words):
        change(i, value)


def test_spaces_that_are_no_tuples_are_named():
    env = Foragers()
    env.observation_space = spaces.Tuple([box(1)] * 2)
    with pytest.raises(ValueError, match="allowed: two Tuples of equal length"):
        mfq.TupleAgents(env)
    with pytest.raises(ValueError, match="'agent_0' acts in Tuple"):
        mfq.wrap(env)


def test_an_environment_without_close_is_closed():
    class Two:
        observation_space = action_space = spaces.Tuple([spaces.Discrete(2)] * 2)

        def reset(self, seed=None, options=None):
            return (0, 0), {}

        def step(self, actions): ...

    mfq.wrap(mfq.TupleAgents(Two())).close()
