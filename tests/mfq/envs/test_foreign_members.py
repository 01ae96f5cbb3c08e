"""Agents of environments as people write them: who stays, who is unknown, ids, duck-typed classes."""

import gymnasium
import numpy as np
import pettingzoo
import pytest
import torch
from gymnasium import spaces

import mfq
from mfenvs.infos import ACTING, ACTION
from tests.fakes.scenes import TWO, Scene, box, learner, number


def both(action=0):
    return torch.full((1, 2), action)


# -- agents that stay after their end ---------------------------------------------------------------


class Lingering(Scene):
    """Nobody is ever removed from ``agents``."""

    def step(self, actions):
        results = super().step(actions)
        self.agents = list(self.possible_agents)
        return results


def test_an_episode_is_over_when_all_have_ended_although_they_stay():
    env = Lingering(TWO, [list(TWO)] * 3, number)
    view = mfq.wrap(env)
    view.reset(seed=1)
    steps = [view.step(both()) for _ in range(7)]
    assert [bool(step.ended) for step in steps] == [False, False, True, False] * 1 + [
        False,
        False,
        True,
    ]
    assert [bool(step.reset) for step in steps] == [False, False, False, True, False, False, False]
    assert bool(steps[2].truncated)
    assert env.seeds == [1, None]


def test_training_and_evaluation_count_their_episodes_once():
    view = mfq.wrap(Lingering(TWO, [list(TWO)] * 5, number))
    agent, ends = learner(view), []
    mfq.train(view, agent, 24, after=lambda done, step: ends.append(bool(step.ended)))
    assert sum(ends) == 4
    assert agent.replay.sample(64)["reward"].max() == 5
    assert mfq.evaluate(view, agent, 3) == {"return": 15.0, "length": 5.0}


def test_who_has_died_and_stays_is_sent_no_action_and_is_not_dead_twice():
    class Stays(Scene):
        def step(self, actions):
            obs, rewards, dead, late, infos = super().step(actions)
            if self.time > 1 and self.agents:  # a_0 goes on being flagged
                self.agents, dead["a_0"], late["a_0"] = ["a_0", "a_1"], True, True
            return obs, rewards, dead, late, infos

    env = Stays(TWO, [list(TWO)] * 5, number, dies={"a_0": 2})
    view = mfq.wrap(env)
    view.reset()
    view.step(both())
    with pytest.warns(UserWarning, match="step 2: 'a_0'.*get no more actions; allowed: env.agents"):
        step = view.step(both())
    assert (step.terminated.tolist(), step.alive.tolist()) == ([[True, False]], [[False, True]])
    for _ in range(2):  # without another warning
        step = view.step(both())
        assert env.sent[-1] == {"a_1": 0}
        assert (step.terminated.any(), step.alive.tolist()) == (False, [[False, True]])
        assert step.acting.tolist() == [[False, True]]
        assert not bool(step.truncated)
    assert bool(view.step(both()).ended)
    assert view.step(both()).alive.all()  # the next episode


def test_who_has_run_out_of_time_and_stays_does_not_come_back():
    class Stays(Scene):
        def step(self, actions):
            obs, rewards, dead, late, infos = super().step(actions)
            self.agents = list(self.possible_agents) if self.agents else []
            late["a_0"] = self.time >= 1
            return obs, rewards, dead, late, infos

    view = mfq.wrap(Stays(TWO, [list(TWO)] * 3, number))
    view.reset()
    with pytest.warns(UserWarning, match="'a_0'"):
        step = view.step(both())
    assert step.alive.tolist() == [[True, True]]  # its time is up, it is not dead
    assert view.step(both()).alive.tolist() == [[False, True]]


def test_who_leaves_after_its_end_may_be_born_again():
    here = [["a_0", "a_1"], ["a_0", "a_1"], ["a_1"], ["a_0", "a_1"], ["a_0", "a_1"]]
    env = Scene(TWO, here, number, dies={"a_0": 2})
    view = mfq.wrap(env)
    view.reset()
    alive = [view.step(both()).alive[0, 0].item() for _ in range(4)]
    assert alive == [True, False, True, True]
    assert "a_0" in env.sent[-1]


def test_an_environment_that_wants_the_actions_of_those_who_stay_says_so():
    class Wants(Lingering):
        def step(self, actions):
            for agent in self.agents:
                actions[agent]
            return super().step(actions)

    view = mfq.wrap(Wants(TWO, [list(TWO)] * 5, number, dies={"a_0": 1}))
    view.reset()
    with pytest.warns(UserWarning, match="'a_0'"):
        view.step(both())
    with pytest.raises(KeyError, match="a_0") as caught:
        view.step(both())
    assert "'a_0' ended earlier in the episode" in caught.value.__notes__[0]


# -- agents that nobody knows -----------------------------------------------------------------------


def with_stranger(part):
    class Stranger(Scene):
        def step(self, actions):
            results = super().step(actions)
            if part < 5:
                results[part]["nobody"] = [np.zeros(1, np.float32), 1.0, True, True, {}][part]
            else:
                self.agents = [*self.agents, "nobody"]
            return results

    view = mfq.wrap(Stranger(TWO, [list(TWO)] * 5, number))
    view.reset()
    return view


@pytest.mark.parametrize("part", [0, 1, 2, 3, 5])
def test_agents_that_are_not_possible_ones_are_named(part):
    what = ["step 1 returned observations of", "rewards of", "terminations of", "truncations of"]
    words = "env.agents has" if part == 5 else what[part]
    with pytest.raises(ValueError, match=f"{words} 'nobody'.*allowed: 'a_0', 'a_1'") as caught:
        with_stranger(part).step(both())
    assert "possible_agents" in str(caught.value)


def test_infos_may_have_more_keys():
    assert with_stranger(4).step(both()).alive.all()


# -- infos of other people --------------------------------------------------------------------------


def test_infos_of_others_are_not_read_as_ours():
    def infos(agent, time):
        return {"action": 1, "acting": 0}

    view = mfq.wrap(Scene(TWO, [list(TWO)] * 9, number, infos=infos))
    assert view.reset().actions.tolist() == [[-1, -1]]
    step = view.step(torch.tensor([[0, 0]]))
    assert step.actions.tolist() == [[0, 0]]
    assert step.acting.all()
    assert step.mean_action.tolist() == [[[1, 0], [1, 0]]]
    wrapped = mfq.MeanActionObservation(Scene(TWO, [list(TWO)] * 9, number, infos=infos))
    assert wrapped.reset()[0]["a_0"].tolist() == [0, 0, 0]


def test_ours_are_read():
    def infos(agent, time):
        return {ACTION: 1, ACTING: False} if agent == "a_0" else {}

    view = mfq.wrap(Scene(TWO, [list(TWO)] * 9, number, infos=infos))
    assert view.reset().actions.tolist() == [[1, -1]]
    step = view.step(both())
    assert (step.actions.tolist(), step.acting.tolist()) == ([[1, 0]], [[False, True]])


@pytest.mark.parametrize("action", [2, -2, "left", None])
def test_an_action_in_effect_is_one_of_the_agents(action):
    env = Scene(TWO, [list(TWO)] * 9, number, infos=lambda agent, time: {ACTION: action})
    with pytest.raises(
        ValueError, match=f"'a_0' has the info mfenvs_action={action!r}; allowed: -1"
    ):
        mfq.wrap(env).reset()


# -- ids ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ids", [[0, 1], [("wolf", 0), ("wolf", 1)], [frozenset({1}), frozenset({2})], np.arange(2)]
)
def test_ids_may_be_anything_hashable(ids):
    env = Scene(dict.fromkeys(list(ids), TWO["a_0"]), [list(ids)] * 5, number)
    env.possible_agents = ids
    view = mfq.wrap(env, graph="all")
    agent = learner(view)
    mfq.train(view, agent, 7)
    assert set(env.sent[0]) == set(ids)
    assert view.agents == list(ids)
    assert not any(isinstance(agent, np.generic) for agent in view.agents)
    assert {"return", "length"} <= mfq.evaluate(view, agent, 2).keys()


def test_agents_are_named_once_and_hashable():
    env = Scene(TWO, [list(TWO)], number)
    env.possible_agents = [["a", 0], ["a", 1]]
    with pytest.raises(
        TypeError, match=r"possible_agents has \['a', 0\], a list; allowed: hashable"
    ):
        mfq.wrap(env)
    env.possible_agents = ["a_0", "a_1", "a_0"]
    with pytest.raises(ValueError, match="possible_agents has 'a_0' twice"):
        mfq.wrap(env)
    env.possible_agents = "a_0"
    with pytest.raises(TypeError, match="possible_agents='a_0'; allowed: a list"):
        mfq.wrap(env)


def test_a_parallel_env_that_is_a_gymnasium_env_too_has_all_its_agents():
    class Two(Scene, gymnasium.Env):
        pass

    assert mfq.wrap(Two(TWO, [list(TWO)] * 3, number)).num_agents == 2


# -- environments that only look like one -----------------------------------------------------------


DUO = spaces.Discrete(2)


class Duck:
    """As RLlib's MultiAgentEnv: no base class, and the flag ``__all__``."""

    agents, possible_agents = [], ["a_0", "a_1"]
    observation_spaces = dict.fromkeys(possible_agents, box(1))
    action_spaces = dict.fromkeys(possible_agents, spaces.Discrete(2))
    ends = "terminations"

    def reset(self, *, seed=None, options=None):
        self.time = 0
        return {agent: number(agent, 0) for agent in self.possible_agents}, {}

    def step(self, actions):
        self.time += 1
        over = self.time == 3
        flags = {"terminations": {"__all__": False}, "truncations": {"__all__": False}}
        flags[self.ends]["__all__"] = over
        obs = {agent: number(agent, self.time) for agent in actions}
        return obs, dict.fromkeys(actions, 1.0), *flags.values(), {"__common__": 1}


@pytest.mark.parametrize("ends", ["terminations", "truncations"])
def test_an_environment_as_rllib_has_them(ends):
    env = Duck()
    env.ends = ends
    view = mfq.wrap(env)
    agent = learner(view)
    steps = []
    mfq.train(view, agent, 8, after=lambda done, step: steps.append(step))
    assert [bool(step.ended) for step in steps] == [False, False, True, False] * 2
    assert bool(steps[2].terminated.all()) is (ends == "terminations")
    assert bool(steps[2].truncated) is (ends == "truncations")
    assert mfq.evaluate(view, agent, 2) == {"return": 3.0, "length": 3.0}


@pytest.mark.parametrize(
    "attributes",
    [
        {"observation_space": box(1), "action_space": spaces.Discrete(2)},
        {"observation_space": spaces.Dict(dict.fromkeys(TWO, box(1))), "action_space": [DUO] * 2},
        {"observation_space": [box(1), box(1)], "action_space": {a: spaces.Discrete(2) for a in TWO}},
        {"observation_space": lambda a: box(1), "action_space": lambda a: spaces.Discrete(2)},
        {"observation_spaces": [box(1), box(1)], "action_space": spaces.Tuple([spaces.Discrete(2)] * 2)},
    ],
)  # fmt: skip
def test_spaces_in_many_forms(attributes):
    env = Duck()
    env.observation_spaces = env.action_spaces = None
    for name, value in attributes.items():
        setattr(env, name, value)
    view = mfq.wrap(env)
    assert (view.observation_space, view.action_space) == (box(1), spaces.Discrete(2))
    assert view.reset().obs.tolist() == [[[0], [0]]]


def test_a_pettingzoo_environment_with_a_space_as_attribute():
    env = Scene(TWO, [list(TWO)] * 3, number)
    env.observation_space = box(1)
    assert mfq.wrap(env).reset().obs.tolist() == [[[0], [0]]]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("observation_spaces", None, "'a_0' has the observation_space None.*allowed: a gymnasium"),
        ("observation_spaces", {"a_0": box(1)}, "'a_1' has the observation_space None"),
        (
            "action_spaces",
            dict.fromkeys(TWO, 2),
            "'a_0' has the action_space 2 .*allowed: a gymnasium",
        ),
        ("possible_agents", [], "Duck has no possible_agents"),
    ],
)
def test_what_a_duck_lacks_is_named(name, value, words):
    env = Duck()
    setattr(env, name, value)
    with pytest.raises(ValueError, match=words):
        mfq.wrap(env)


def test_agents_alone_will_do_for_a_duck():
    env = Duck()
    env.agents, env.possible_agents = ["a_0", "a_1"], None
    assert mfq.wrap(env).agents == ["a_0", "a_1"]
    with pytest.raises(ValueError, match="possible_agents"):
        mfq.wrap(type("Zoo", (Duck, pettingzoo.ParallelEnv), {"possible_agents": None})())


def test_a_reset_leaves_somebody():
    view = mfq.wrap(Scene(TWO, [[], ["a_0"]], number))
    with pytest.raises(ValueError, match=r"reset left env.agents empty; allowed: at least one"):
        view.reset()


def test_a_pettingzoo_environment_without_spaces_names_the_agent():
    class Without(pettingzoo.ParallelEnv):
        metadata = {}  # noqa: RUF012
        possible_agents = ("a_0", "a_1")

        def reset(self, seed=None, options=None): ...
        def step(self, actions): ...

    with (
        pytest.warns(UserWarning, match="observation_space"),
        pytest.raises(ValueError, match=r"agent 'a_0' has no observation_space .*allowed: a space"),
    ):
        mfq.wrap(Without())
