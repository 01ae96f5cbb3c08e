"""Environments of unusual form: names, rewards after an end, infos, spaces and measures."""

import gymnasium
import numpy as np
import pettingzoo
import pytest
import torch
from gymnasium import spaces

import mfq
from tests.fakes.scenes import TWO, Scene, box, learner, number

QUICK = {"replay": {"learning_starts": 4}, "optimizer": {"batch_size": 4}}


def act(view, *actions):
    return view.step(torch.tensor([actions]))


def test_an_agent_may_have_the_name_of_a_shared_key():
    """PettingZoo and RLlib have dicts with "common" and "__all__" among the agents."""
    cast = {"common": TWO["a_0"], "__all__": TWO["a_1"]}
    present = [list(cast), list(cast), ["__all__"]]
    view = mfq.wrap(Scene(cast, present, number, dies={"common": 1}), graph="all")
    view.reset()
    step = act(view, 0, 0)
    assert (step.terminated.tolist(), step.alive.tolist()) == ([[True, False]], [[False, True]])
    assert not act(view, -1, 0).ended
    step = act(view, -1, 0)
    assert (step.terminated.any(), step.truncated.tolist()) == (False, [True])
    view = mfq.wrap(Scene(cast, [list(cast), ["common"]], number, dies={"__all__": 1}), graph="all")
    view.reset()
    assert act(view, 0, 0).terminated.tolist() == [[False, True]]


class Crowd(gymnasium.Env):
    """As RLlib's MultiAgentEnv, a gymnasium.Env with agents."""

    possible_agents = agents = ("a_0", "a_1")
    observation_space = action_space = None

    def __init__(self):
        self.observation_spaces = dict.fromkeys(self.agents, box(1))
        self.action_spaces = dict.fromkeys(self.agents, spaces.Discrete(2))

    def reset(self, seed=None, options=None):
        self.time = 0
        return {agent: number(agent, 0) for agent in self.agents}, {}

    def step(self, actions):
        self.time += 1
        obs = {agent: number(agent, self.time) for agent in self.agents}
        rewards = {agent: float(agent in actions) for agent in self.agents}
        return obs, rewards, {"__all__": self.time == 3}, {"__all__": False}, {}


def test_a_gymnasium_environment_with_agents_is_one_of_several_agents():
    view = mfq.wrap(Crowd())
    assert view.agents == ["a_0", "a_1"]
    assert mfq.evaluate(view, mfq.Random(), 2) == {"return": 3.0, "length": 3.0}


class Pays(Scene):
    """Everybody is paid in every step, also those who have ended."""

    stays = True

    def step(self, actions):
        obs, _, dead, late, infos = super().step(actions)
        if self.agents and self.stays:
            self.agents = list(self.possible_agents)
        return obs, dict.fromkeys(self.cast, 1.0), dead, late, infos


@pytest.mark.parametrize("stays", [False, True])
@pytest.mark.filterwarnings("ignore:agents that have ended")
def test_nothing_is_earned_after_an_end(stays):
    env = Pays(TWO, [list(TWO), *[["a_1"]] * 4], number, dies={"a_0": 1})
    env.stays = stays
    view = mfq.wrap(env)
    view.reset()
    rewards = [act(view, 0, 0).reward.tolist() for _ in range(4)]
    assert rewards == [[[1.0, 1.0]], [[0.0, 1.0]], [[0.0, 1.0]], [[0.0, 1.0]]]
    assert mfq.evaluate(view, mfq.Random(), 1)["return"] == 3.0


def test_who_is_born_may_earn_at_once():
    view = mfq.wrap(Pays(TWO, [["a_0"], list(TWO), list(TWO)], number))
    view.env.stays = False
    view.reset()
    assert act(view, 0, 0).reward.tolist() == [[1.0, 1.0]]


def test_who_is_not_there_has_chosen_nothing_whatever_its_info_says():
    env = Scene(TWO, [["a_0"], ["a_0"], list(TWO), list(TWO)], number)
    env.infos = lambda agent, time: {"mfenvs_acting": True, "mfenvs_action": -1}
    view = mfq.wrap(env)
    view.reset()
    acting = [act(view, 0, 0).acting.tolist() for _ in range(3)]
    assert acting == [[[True, False]], [[True, False]], [[True, True]]]
    agent = mfq.QAgent(view, config=mfq.QConfig(**QUICK))
    mfq.train(view, agent, steps=8, step=view.reset())
    assert agent.updates > 0


def test_an_action_out_of_range_is_named():
    view = mfq.wrap(
        Scene({**TWO, "b_0": (box(2), spaces.Discrete(3))}, [["a_0", "b_0"]] * 3, number)
    )
    view.env.observe = lambda agent, time: np.zeros(2 if agent == "b_0" else 1, np.float32)
    view.reset()
    act(view, 1, 9, 2)  # a_1 is not there
    with pytest.raises(ValueError, match=r"agent 'a_0': action=2; allowed: 0 to 1"):
        act(view, 2, 0, 2)


def test_keys_of_a_dict_are_strings():
    with pytest.raises(ValueError, match=r"'a_0' observes a Dict with the key 0; allowed: strings"):
        mfq.wrap(Scene({"a_0": (spaces.Dict({0: box(1)}), spaces.Discrete(2))}, [["a_0"]], number))


def test_very_many_combinations_are_refused_too():
    cast = {"a_0": (box(1), spaces.MultiBinary(20_000))}
    with pytest.raises(
        ValueError, match=r"has more than 10\^99 combinations; allowed: at most 1000"
    ):
        mfq.wrap(Scene(cast, [["a_0"]], number))


def test_names_of_parts_may_be_those_of_attributes():
    names = ["values", "type", "keys", "training", "x.y", "x/y", ""]
    cast = {"a_0": (spaces.Dict({name: box(1) for name in names}), spaces.Discrete(2))}
    observe = lambda agent, time: {name: number(agent, time) for name in names}  # noqa: E731
    view = mfq.wrap(Scene(cast, [["a_0"]] * 5, observe))
    agent = learner(view)
    mfq.train(view, agent, steps=3)
    assert agent.module.observe.size == 7
    assert {"x/y", "x/y/", "/", "values/"} < set(agent.module.observe.parts)
    space = spaces.Dict({"eye.left": box(9, 9, 3), "body": box(2)})  # as in earlier checkpoints
    assert set(mfq.networks.encoders.encoder(space, torch.Generator()).parts) == {
        "body",
        "eye/left",
    }


class Scored(Scene):
    match_measure, names = "goals", ("a_goals",)

    @property
    def measures(self):
        return {} if self.time == self.silent else {"a_goals": 7.0}


@pytest.mark.parametrize(("silent", "has"), [(0, "a_goals"), (2, "no names")])
def test_measures_have_the_same_names_in_every_step(silent, has):
    env = Scored(TWO, [list(TWO)] * 4, number)
    env.silent = silent
    with pytest.raises(ValueError, match=f"measures has '?{has}'? in step .; allowed: the same"):
        mfq.evaluate(mfq.wrap(env), {"a": "random"})
    env.silent = None
    assert mfq.evaluate(mfq.wrap(env), {"a": "random"})["a"]["goals"] == 7.0


class Turns(pettingzoo.AECEnv):
    """Two sides that act at the same time, one after the other."""

    metadata = {"name": "turns_v0", "is_parallelizable": True}  # noqa: RUF012
    render_mode = None
    match_measure = "goals"
    measures = {"red_goals": 3.0, "blue_goals": 1.0}  # noqa: RUF012
    possible_agents = ("red_0", "blue_0")

    def observation_space(self, agent):
        return TWO["a_0"][0]

    def action_space(self, agent):
        return TWO["a_0"][1]

    def reset(self, seed=None, options=None):
        self.agents = list(self.possible_agents)
        self.rewards = self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations, self.infos = dict(self.terminations), {a: {} for a in self.agents}
        self.agent_selection = "red_0"

    def observe(self, agent):
        return number(agent, 0)

    def step(self, action):
        if action is None:  # it has ended
            self.agents = self.agents[1:]
            return
        if self.agent_selection == "blue_0":
            self.truncations = dict.fromkeys(self.agents, True)
        self.agent_selection = "blue_0" if self.agent_selection == "red_0" else "red_0"


def test_an_aec_environment_names_what_decides():
    view = mfq.wrap(Turns(), graph="all")
    scores = mfq.evaluate(view, {"red": "random", "blue": "random"})
    assert view.match_measure == "goals"
    assert (scores["red"]["win_rate"], scores["blue"]["goals_difference"]) == (1.0, -2.0)


def test_a_group_called_both_plays_no_match():
    view = mfq.wrap(Scene(TWO, [list(TWO)] * 2, number), "all", {"a_0": "both", "a_1": "x"})
    assert mfq.evaluate(view, {"both": "random", "x": "random"})["both"]["return"] == 3.0
    with pytest.raises(ValueError, match="allowed: other names than 'both'"):
        mfq.head_to_head(view, "random", "random", 2)


def test_the_warning_of_no_neighbors_does_not_blame_names_where_groups_are_given():
    env = Scene(TWO, [list(TWO)] * 3, number)
    with pytest.warns(UserWarning, match="by their names, if no groups are given"):
        mfq.wrap(env, groups={"a_0": "x", "a_1": "y"})


def test_an_id_without_its_module_is_named():
    with pytest.raises(
        ValueError, match="':CartPole-v1' has no module before the colon; allowed: MO"
    ):
        mfq.Runner(":CartPole-v1")
