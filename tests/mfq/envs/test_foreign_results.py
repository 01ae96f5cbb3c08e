"""What reset and step return, wrong or unusual: accepted, or an error with the agent and the key."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

import mfq
from tests.fakes.scenes import TWO, Scene, box, number

ACT = torch.zeros(1, 2, dtype=torch.int64)


def view_of(change, method="step", space=None, observe=number):
    """A view of two agents; ``change`` maps the list of what ``method`` returns to what it is to be."""

    class Changed(Scene):
        def reset(self, seed=None, options=None):
            results = super().reset(seed)
            return change(list(results)) if method == "reset" else results

        def step(self, actions):
            results = super().step(actions)
            return change(list(results)) if method == "step" else results

    cast = TWO if space is None else dict.fromkeys(TWO, (space, spaces.Discrete(2)))
    view = mfq.wrap(Changed(cast, [list(TWO)] * 4, observe))
    if method == "step":
        view.reset()
    return view


def put(i, value):
    return lambda results: [*results[:i], value, *results[i + 1 :]]


# -- harmless ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "infos", [None, {}, {"a_0": None}, {"a_0": None, "a_1": {"action_mask": None}}]
)
def test_infos_may_be_none(infos):
    step = view_of(put(4, infos)).step(ACT)
    assert step.acting.all()
    assert view_of(put(1, infos), "reset").reset().alive.all()
    wrapped = mfq.MeanActionObservation(view_of(put(1, infos), "reset").env)
    assert wrapped.reset()[0]["a_1"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("flag", [False, np.False_])
def test_one_flag_may_stand_for_all(flag):
    step = view_of(lambda results: [*results[:2], flag, flag, results[4]]).step(ACT)
    assert step.alive.all()
    step = view_of(lambda results: [*results[:2], not flag, flag, results[4]]).step(ACT)
    assert step.terminated.all()
    assert bool(step.ended)


def test_flags_may_be_numbers():
    view = view_of(put(2, {"a_0": 1, "a_1": np.int8(0)}))
    with pytest.warns(UserWarning, match="'a_0'"):  # which stays
        step = view.step(ACT)
    assert step.terminated.tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("space", "value"),
    [
        (box(2), [1, 2]),
        (box(2), np.array([1, 2])),
        (box(2), np.array([1.0, 2.0])),
        (box(2, dtype=np.uint8), [1.0, 2.0]),
        (box(2, dtype=np.uint8), np.array([1, 2])),
        (spaces.MultiDiscrete([3, 3]), np.array([1.0, 2.0])),
        (spaces.MultiBinary(2), [True, False]),
    ],
    ids=str,
)
def test_numbers_of_another_dtype_are_read_where_nothing_is_lost(space, value):
    step = view_of(put(4, {}), space=space, observe=lambda agent, time: value).step(ACT)
    assert step.obs[0, 0].tolist() == np.asarray(value).tolist()


# -- errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r[:4], r"step returned 4 values; allowed: 5: .*\(the old API"),
        (lambda r: [r], "step returned 1 values; allowed: 5"),
        (put(0, [1, 2]), "step 1 returned observations as a list; allowed: a dict by agent"),
        (put(1, [1.0, 2.0]), "step 1 returned rewards as a list; allowed: a dict by agent"),
        (put(1, 1.0), "step 1 returned rewards as a float"),
        (put(2, [False, False]), "step 1 returned terminations as a list"),
        (put(3, None), "step 1 returned truncations as a NoneType"),
        (put(4, [{}, {}]), "step 1 returned infos as a list"),
        (put(4, {"a_1": 3}), r"step 1 returned infos\['a_1'\]=3; allowed: a dict"),
        (put(2, {"a_1": None}), r"terminations\['a_1'\]=None; allowed: True or False"),
        (put(3, {"a_1": "no"}), r"truncations\['a_1'\]='no'; allowed: True or False"),
        (put(3, {"a_1": np.zeros(2)}), r"truncations\['a_1'\]=array"),
        (put(3, {"a_1": 2}), r"truncations\['a_1'\]=2"),
        (put(1, {"a_0": 1.0, "a_1": None}), "'a_1' got the reward None in step 1; allowed: a finite"),
        (put(1, {"a_0": 1.0, "a_1": "2 points"}), "'a_1' got the reward '2 points'"),
    ],
)  # fmt: skip
def test_a_step_of_another_form_is_named(change, words):
    with pytest.raises(ValueError, match=words):
        view_of(change).step(ACT)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r[0], "reset returned a dict; allowed: 2: observations, infos"),
        (put(0, [1, 2]), "reset returned observations as a list; allowed: a dict by agent"),
        (put(1, 7), "reset returned infos as a int"),
        (put(0, {"b": 1}), "reset returned observations of 'b'"),
    ],
)
def test_a_reset_of_another_form_is_named(change, words):
    with pytest.raises(ValueError, match=words):
        view_of(change, "reset").reset()


PARTS = spaces.Dict({"x": box(1), "in": spaces.Dict({"y": spaces.Discrete(3)})})


@pytest.mark.parametrize(
    ("space", "value", "words"),
    [
        (box(2, dtype=np.uint8), np.array([0.5, 1.0]), r"with 0.5 \(float64\); allowed: uint8"),
        (box(2, dtype=np.uint8), np.array([3, 300]), r"with 300 \(int64\); allowed: uint8"),
        (box(2, dtype=np.int8), np.array([3, -200.0]), r"with -200.0 \(float64\); allowed: int8"),
        (box(2, dtype=np.uint8), np.array([3, np.nan]), r"with nan \(float64\); allowed: uint8"),
        (spaces.Discrete(3, start=1), 0, r"an array with 0; allowed: a value of Discrete\(3, start=1\)"),
        (spaces.Discrete(3), 3, r"an array with 3; allowed: a value of Discrete"),
        (spaces.Discrete(3), 1.5, r"with 1.5 \(float64\); allowed: int64"),
        (spaces.MultiDiscrete([3, 2]), np.array([2, 2]), r"with 2; allowed: a value of MultiDiscrete"),
        (spaces.MultiBinary(2), np.array([0, 2]), r"with 2; allowed: a value of MultiBinary"),
        (PARTS, {"x": np.zeros(1)}, r"observed no 'in' of in.y, but 'x'; allowed: a dict with all"),
        (PARTS, {"x": np.zeros(1), "in": 1}, r"observed no 'y' of in.y, but 1; allowed"),
        (PARTS, {"x": np.zeros(1), "in": {"y": 7}}, r"observed in.y with 7; allowed: a value of Disc"),
        (box(1), "wall", r"observed an array 'wall'; allowed: numbers"),
        (box(2), [[1, 2], [3]], r"observed an array \[\[1, 2\], \[3\]\]; allowed: numbers"),
        (box(2), {"x": 1}, r"observed an array \{'x': 1\}; allowed: numbers"),
    ],
    ids=str,
)  # fmt: skip
def test_observations_that_their_space_cannot_hold_are_named(space, value, words):
    def observe(agent, time):
        good = space.sample()
        return value if (agent, time) == ("a_1", 1) else good

    view = view_of(list, space=space, observe=observe)
    with pytest.raises(
        ValueError, match=f"agent 'a_1' {words if words.startswith('ob') else '.*' + words}"
    ):
        view.step(ACT)


@pytest.mark.parametrize("mask", [np.array([np.nan, 1]), np.array([np.inf, 1]), ["yes", "no"]])
def test_a_mask_has_numbers(mask):
    view = view_of(put(1, {"a_1": {"action_mask": mask}}), "reset")
    with pytest.raises(
        ValueError, match=r"agent 'a_1' has the action_mask .*allowed: 1 for allowed"
    ):
        view.reset()


def test_a_mask_that_the_space_has_is_observed():
    space = spaces.Dict({"observation": box(1), "action_mask": spaces.MultiBinary(2)})
    view = view_of(list, "reset", space, lambda agent, time: {"observation": number(agent, time)})
    with pytest.raises(ValueError, match="'a_0' observed no 'action_mask', which its space has"):
        view.reset()


# -- Gymnasium's old API -----------------------------------------------------------------------------


class Old(gymnasium.Env):
    observation_space, action_space = box(1), spaces.Discrete(2)
    results = (np.zeros(1, np.float32), 0.0, False, {})
    first = (np.zeros(1, np.float32), {})

    def reset(self, seed=None, options=None):
        return self.first

    def step(self, action):
        return self.results


def test_a_gymnasium_step_of_four_values_is_named():
    view = mfq.wrap(Old())
    view.reset()
    with pytest.raises(
        ValueError, match=r"step returned 4 values; allowed: 5: observation, .*old API"
    ):
        view.step(ACT[:, :1])
    env = Old()
    env.results = (np.zeros(1, np.float32), 0.0, "no", False, {})
    view = mfq.wrap(env)
    view.reset()
    with pytest.raises(
        ValueError, match=r"step returned terminated\['agent_0'\]='no'; allowed: True"
    ):
        view.step(ACT[:, :1])


def test_a_gymnasium_reset_without_an_info_is_named():
    env = Old()
    env.first = np.zeros(1, np.float32)
    with pytest.raises(ValueError, match="reset returned a ndarray; allowed: 2: observation, info"):
        mfq.wrap(env).reset()
