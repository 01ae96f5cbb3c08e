"""Third-party environments: deaths, late joiners, every observation space, masks."""

import gymnasium
import numpy as np
import pettingzoo
import pytest
import torch
from gymnasium import spaces

import mfq
from mfq.networks.encoders import encoder
from tests.fakes.scenes import TWO, Scene, box, learner, number
from tests.fakes.tables import stored

# -- who is there ----------------------------------------------------------------------------------


def test_late_joiners_live_from_when_they_come():
    env = Scene(TWO, [["a_0"], ["a_0"], ["a_0", "a_1"], ["a_0", "a_1"]], number)
    view = mfq.wrap(env)
    step = view.reset()
    assert step.alive.tolist() == [[True, False]]
    assert step.active_index.tolist() == [0]
    step = view.step(torch.tensor([[1, 1]]))
    assert env.sent[-1] == {"a_0": 1}
    assert (step.acting.tolist(), step.actions.tolist()) == ([[True, False]], [[1, -1]])
    step = view.step(torch.tensor([[1, 1]]))
    assert (step.alive.tolist(), step.acting.tolist()) == ([[True, True]], [[True, False]])
    assert step.obs[0, :, 0].tolist() == [2, 2]
    assert not step.mean_action[0, 0].any()  # the newcomer had done nothing
    step = view.step(torch.tensor([[1, 0]]))
    assert step.mean_action[0].tolist() == [[1, 0], [0, 1]]
    assert not bool(step.ended)
    step = view.step(torch.tensor([[1, 0]]))
    assert bool(step.ended)
    assert bool(step.truncated)
    assert not step.terminated.any()


def test_an_episode_goes_on_while_new_agents_come():
    env = Scene(TWO, [["a_0"], ["a_1"], ["a_1"]], number, dies={"a_0": 1})
    view = mfq.wrap(env)
    view.reset()
    step = view.step(torch.tensor([[0, -1]]))
    assert (step.terminated.tolist(), step.alive.tolist()) == ([[True, False]], [[False, True]])
    assert not bool(step.ended)
    assert step.obs[0, :, 0].tolist() == [0, 1]  # the dead observe nothing


def test_who_leaves_without_a_word_counts_as_dead():
    env = Scene(TWO, [["a_0", "a_1"], ["a_0"], ["a_0"]], number)
    view = mfq.wrap(env)
    view.reset()
    step = view.step(torch.tensor([[0, 0]]))
    assert step.terminated.tolist() == [[False, True]]
    assert step.alive.tolist() == [[True, False]]
    assert view.step(torch.tensor([[0, 0]])).terminated.tolist() == [[False, False]]


def test_possible_agents_that_never_come_are_never_played():
    env = Scene(TWO, [["a_0"]] * 30, number)
    view = mfq.wrap(env)
    agent = learner(view)
    mfq.train(view, agent, 100)
    assert all(set(actions) == {"a_0"} for actions in env.sent)
    assert agent.replay.sample(64)["agent"].unique().tolist() == [0]


def test_an_agent_that_dies_learns_from_its_last_transition_alone():
    env = Scene(TWO, [["a_0", "a_1"]] * 2 + [["a_1"]] * 2, number, dies={"a_0": 2})
    view = mfq.wrap(env)
    agent = learner(view, gamma=0.9, replay={"learning_starts": 10**6})
    mfq.train(view, agent, 4)
    fields = stored(agent)
    assert fields["agent"].tolist() == [0, 1, 0, 1, 1, 1]
    assert fields["reward"].tolist() == [1, 1, 2, 2, 3, 4]
    assert fields["terminated"].tolist() == [False, False, True, False, False, False]


# -- observations ----------------------------------------------------------------------------------

SPACES = [
    (box(), np.float32(3), 1),
    (box(3), np.arange(3, dtype=np.float32), 3),
    (box(2, 3), np.ones((2, 3), np.float32), 6),
    (box(6, 5, 2), np.ones((6, 5, 2), np.float32), 256),
    (box(3, 4, 2), np.ones((3, 4, 2), np.float32), 24),
    (box(2, 2, 2, 2), np.ones((2, 2, 2, 2), np.float32), 16),
    (box(2, dtype=np.uint16), np.array([7, 8], np.uint16), 2),
    (spaces.Discrete(4, start=2), 3, 4),
    (spaces.MultiDiscrete([3, 2], start=[1, 5]), np.array([3, 5]), 5),
    (spaces.MultiBinary(3), np.array([1, 0, 1], np.int8), 3),
    (spaces.MultiBinary((2, 2)), np.ones((2, 2), np.int8), 4),
    (
        spaces.Dict({"a": box(2), "in": spaces.Dict({"b": spaces.Discrete(3)})}),
        {"a": np.array([1, 2], np.float32), "in": {"b": 2}},
        5,
    ),
]


@pytest.mark.parametrize(("space", "value", "size"), SPACES, ids=lambda part: str(part)[:40])
def test_every_observation_space_reaches_a_network(space, value, size):
    cast = {"a_0": (space, spaces.Discrete(2)), "a_1": (space, spaces.Discrete(2))}
    view = mfq.wrap(Scene(cast, [["a_0"]] * 20, lambda agent, time: value))
    step = view.reset(seed=0)
    read = step.obs
    if isinstance(space, spaces.Dict):
        assert {name: part[0, 0].tolist() for name, part in read.items()} == {
            "a": [1, 2],
            "in.b": 2,
        }
        read = read["a"]
        assert not read[0, 1].any()
    else:
        assert read[0, 0].tolist() == np.asarray(value).tolist()
        assert (read[0, 1] == torch.as_tensor(np.asarray(getattr(space, "start", 0)))).all()
    made = encoder(view.observation_space, torch.Generator())
    features = made(step.obs_at(torch.tensor([0, 1])))
    assert features.shape == (2, made.size) == (2, size)
    assert made(step.obs_at(torch.zeros(0, dtype=torch.int64))).shape == (0, size)
    agent = learner(view, gamma=0.9, replay={"learning_starts": 5}, optimizer={"batch_size": 4})
    mfq.train(view, agent, 12)
    assert np.isfinite(agent.learn()["loss"])


def test_one_hots_of_many_numbers_by_hand():
    made = encoder(spaces.MultiDiscrete([3, 2], start=[1, 5]), torch.Generator())
    assert made(torch.tensor([[3, 5], [1, 6]])).tolist() == [[0, 0, 1, 1, 0], [1, 0, 0, 0, 1]]


def test_bytes_become_shares_and_stay_bytes_in_memory():
    cast = {"a_0": (box(2, dtype=np.uint8, high=255), spaces.Discrete(2))}
    view = mfq.wrap(Scene(cast, [["a_0"]] * 9, lambda a, t: np.array([0, 51], np.uint8)))
    step = view.reset()
    assert step.obs.dtype == torch.uint8
    made = encoder(view.observation_space, torch.Generator())
    assert torch.allclose(made(step.obs[0]), torch.tensor([[0.0, 0.2]]))


# -- masks -----------------------------------------------------------------------------------------


def with_mask(agent, time):
    return {"observation": number(agent, time), "action_mask": np.array([time % 2, 1], np.int8)}


def test_a_mask_beside_the_observation():
    space = spaces.Dict({"observation": box(1), "action_mask": spaces.MultiBinary(2)})
    cast = {"a_0": (space, spaces.Discrete(2)), "a_1": (space, spaces.Discrete(2))}
    env = Scene(cast, [["a_0"], ["a_0"]], with_mask)
    view = mfq.wrap(env)
    step = view.reset()
    assert view.observation_space == box(1)
    assert step.action_mask.tolist() == [[[0, 1], [1, 1]]]
    assert step.obs.shape == (1, 2, 1)
    agent = learner(view, gamma=0.9, replay={"learning_starts": 10}, optimizer={"batch_size": 4})
    mfq.train(view, agent, 30)
    forbidden = [sent["a_0"] for sent in env.sent[::2]]
    assert set(forbidden) == {1}


def test_a_mask_beside_other_parts_leaves_a_dict():
    parts = {"x": box(1), "y": spaces.Discrete(2), "action_mask": spaces.MultiBinary(2)}
    cast = {"a_0": (spaces.Dict(parts), spaces.Discrete(2))}

    def observe(agent, time):
        return {"x": number(agent, time), "y": 1, "action_mask": np.array([1, 0], np.int8)}

    step = mfq.wrap(Scene(cast, [["a_0"]], observe)).reset()
    assert list(step.obs) == ["x", "y"]
    assert step.action_mask.tolist() == [[[1, 0]]]


def test_masks_in_infos_that_end_with_the_agents_do_not_change_what_is_stored():
    def learned(end):
        def infos(agent, time):
            return {"action_mask": np.array([1, 1], np.int8)} if time < end else {}

        view = mfq.wrap(Scene(TWO, [list(TWO)] * 4, number, infos=infos))
        agent = learner(view, gamma=0.9, replay={"learning_starts": 4}, optimizer={"batch_size": 4})
        mfq.train(view, agent, 20)
        assert agent.updates > 10
        return stored(agent), agent.module.state_dict()

    for found, expected in zip(learned(end=2), learned(end=9), strict=True):
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


# -- what is refused -------------------------------------------------------------------------------


def refused(observation=None, action=None, **options):
    space = box(1) if observation is None else observation
    cast = {**TWO, "rogue": (space, spaces.Discrete(2) if action is None else action)}
    view = mfq.wrap(Scene(cast, [list(cast)], **{"observe": number, **options}))
    return view.reset()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"action": box(2)}, r"agent 'rogue' acts in Box\(0.0, 9.0, \(2,\).*allowed: Discrete"),
        ({"action": spaces.MultiDiscrete([99, 99])}, r"agent 'rogue' acts in MultiDiscrete.*9801"),
        ({"action": spaces.MultiBinary(11)}, r"agent 'rogue' acts in MultiBinary.*2048"),
        ({"action": spaces.Tuple([])}, r"agent 'rogue' acts in Tuple"),
        ({"observation": spaces.Text(5)}, r"agent 'rogue' observes Text"),
        ({"observation": spaces.Dict({"a": spaces.Text(5)})}, r"'rogue' observes Text.*\(a\)"),
        ({"observation": spaces.Dict({"action_mask": box(2)})}, "more than a mask"),
        ({"observe": lambda a, t: np.zeros(2, np.float32)}, r"'a_0' observed .*\(2,\).*\(1,\)"),
        (
            {"infos": lambda a, t: {"action_mask": np.ones(3, np.int8)}},
            r"'a_0' has an action_mask of shape \(3,\); allowed: \(2,\)",
        ),
    ],
)
def test_what_is_refused_names_the_agent_and_the_space(options, words):
    with pytest.raises(ValueError, match=words):
        refused(**options)


def test_a_mask_of_zeros_is_refused_for_whoever_is_to_act():
    def infos(agent, time):
        return {"action_mask": np.array([1, 1] if time == 0 else [0, 0], np.int8)}

    cast = {"a_0": (box(1), spaces.Discrete(2))}
    see = lambda agent, time: np.zeros(1, np.float32)  # noqa: E731
    view = mfq.wrap(Scene(cast, [["a_0"]] * 3, see, infos=infos))
    view.reset()
    with pytest.raises(
        ValueError, match="'a_0' has an action_mask of zeros; allowed: at least one"
    ):
        view.step(torch.tensor([[0]]))
    last = mfq.wrap(Scene(cast, [["a_0"]], see, infos=infos))  # over with the first step
    last.reset()
    assert last.step(torch.tensor([[0]])).truncated.all()


def test_who_acted_has_a_reward():
    class Unpaid(Scene):
        def step(self, actions):
            obs, _, *rest = super().step(actions)
            return obs, {}, *rest

    cast = {"a_0": (box(1), spaces.Discrete(2))}
    view = mfq.wrap(Unpaid(cast, [["a_0"]] * 2, lambda agent, time: np.zeros(1, np.float32)))
    view.reset()
    with pytest.raises(ValueError, match="'a_0' acted, and step gave no reward for it"):
        view.step(torch.tensor([[0]]))


@pytest.mark.parametrize("reward", [float("nan"), float("inf"), np.ones(2)])
def test_a_reward_is_a_finite_number(reward):
    view = mfq.wrap(Scene(TWO, [list(TWO)] * 3, number, earn=lambda agent, action, time: reward))
    view.reset()
    with pytest.raises(
        ValueError, match=r"agent 'a_0' got the reward .*; allowed: a finite number"
    ):
        view.step(torch.tensor([[0, 0]]))


@pytest.mark.parametrize("lost", [0, 1, 3])
def test_the_living_have_an_observation(lost):
    # At 3 their time is up, and the last observation is bootstrapped from.
    def observe(agent, time):
        return None if (agent, time) == ("a_1", lost) else number(agent, time)

    view = mfq.wrap(Scene(TWO, [list(TWO)] * 3, observe))
    for time in range(lost):
        assert view.step(torch.tensor([[0, 0]])).obs[0, :, 0].tolist() == [time] * 2
    with pytest.raises(ValueError, match="agent 'a_1' is alive and observes nothing in step"):
        view.step(torch.tensor([[0, 0]]))


@pytest.mark.parametrize(
    ("method", "returned", "words"),
    [
        ("reset", {"a_0": np.zeros(1)}, "reset returned a dict; allowed: 2: observations, infos"),
        ("step", ({},) * 4, "step returned 4 values; allowed: 5: observations, rewards, term"),
    ],
)
def test_too_few_parts_are_told(method, returned, words):
    env = Scene(TWO, [list(TWO)] * 3, number)
    view = mfq.wrap(env)
    if method == "step":
        view.reset()
    setattr(env, method, lambda *_, **__: returned)
    with pytest.raises(ValueError, match=words):
        view.step(torch.tensor([[0, 0]]))


def test_a_mask_that_comes_too_late_is_refused():
    def infos(agent, time):
        return {"action_mask": np.ones(2, np.int8)} if time else {}

    view = mfq.wrap(Scene(TWO, [list(TWO)] * 4, number, infos=infos))
    view.reset()
    with pytest.raises(ValueError, match="has an action_mask, which"):
        view.step(torch.tensor([[0, 0]]))


class InTurns(pettingzoo.AECEnv):
    metadata = {"name": "turns_v0"}  # noqa: RUF012
    possible_agents = ["a", "b"]  # noqa: RUF012


def test_games_of_turns_are_refused():
    with pytest.raises(ValueError, match="turns_v0 is played in turns"):
        mfq.wrap(InTurns())


def test_an_environment_without_a_list_of_agents_is_refused():
    with pytest.raises(ValueError, match="possible_agents"):
        mfq.wrap(Scene({}, [[]], number))


# -- Gymnasium -------------------------------------------------------------------------------------


def test_a_time_limit_bootstraps_and_a_fall_does_not():
    for limit, terminated in ((4, False), (500, True)):
        view = mfq.wrap(gymnasium.make("CartPole-v1", max_episode_steps=limit))
        step = view.reset(seed=0)
        while not bool(step.ended):
            step = view.step(torch.ones(1, 1, dtype=torch.int64))
        assert bool(step.truncated) is not terminated
        assert bool(step.terminated) is terminated
        # What a limit cut short is still observed, since its value counts.
        assert bool(step.alive) is not terminated
        assert bool(step.obs.any()) is not terminated
        assert bool(view.step(torch.ones(1, 1, dtype=torch.int64)).reset)


def test_a_single_agent_with_a_dict_and_a_mask():
    class Lock(gymnasium.Env):
        observation_space = spaces.Dict({"at": spaces.Discrete(3), "seen": spaces.MultiBinary(2)})
        action_space = spaces.Discrete(3, start=-1)

        def reset(self, seed=None, options=None):
            super().reset(seed=seed)
            return {"at": 1, "seen": np.array([1, 0], np.int8)}, {
                "action_mask": np.array([0, 1, 1], np.int8)
            }

        def step(self, action):
            self.last = action
            obs, info = self.reset()
            return obs, 0.0, False, False, info

    env = Lock()
    view = mfq.wrap(env)
    step = view.reset(seed=1)
    assert step.obs["seen"].tolist() == [[[1, 0]]]
    assert step.action_mask.tolist() == [[[0, 1, 1]]]
    view.step(torch.tensor([[2]]))
    assert env.last == 1
