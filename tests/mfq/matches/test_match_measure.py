"""What decides a match in PettingZoo environments: kills in MAgent2's battles, or what is named."""

import numpy as np
import pettingzoo
import pytest
import torch
from gymnasium import spaces

import mfq
from mfenvs import battle_v0
from mfq.envs.measures import measures_of

GAME = {"map_size": 14, "max_cycles": 60}


class Strikes(mfq.Player):
    """Moves towards the other side and strikes who is near."""

    def __init__(self, right):
        self.right = right

    def act(self, step, explore=True):
        enemies = step.obs[0, :, 5:8, 5:8, 3].flatten(1)
        near = torch.cat([enemies[:, :4], enemies[:, 5:]], 1)
        actions = (13 + near.argmax(1)).where(near.sum(1) > 0, 7 if self.right else 5)
        return actions[None].where(step.alive, -1)


class Stays(mfq.Player):
    def act(self, step, explore=True):
        return torch.full_like(step.actions, 6).where(step.alive, -1)


class Wastes(mfq.Player):
    """Attacks the empty cell behind it: a penalty each step, and no kill."""

    def act(self, step, explore=True):
        return torch.full_like(step.actions, 13).where(step.alive, -1)


def magent2(**options):
    from magent2.environments import battle_v4

    return mfq.wrap(battle_v4.parallel_env(**{**GAME, **options}))


def ours(**options):
    return mfq.wrap(battle_v0.parallel_env(**{**GAME, **options}))


VIEWS = pytest.mark.parametrize(
    "make", [ours, pytest.param(magent2, marks=pytest.mark.third_party)]
)


@VIEWS
def test_without_kills_nobody_wins(make):
    """Whoever wastes attacks returns less, but that is no win of the other."""
    view = make(max_cycles=5)
    scores = mfq.evaluate(view, {"red": Stays(), "blue": Wastes()})
    assert scores["red"]["return"] > scores["blue"]["return"]
    for side in ("red", "blue"):
        assert scores[side]["win_rate"] == 0.0
        assert scores[side]["draw_rate"] == 1.0
        assert scores[side]["kills"] == scores[side]["kills_difference"] == 0.0


@VIEWS
@pytest.mark.parametrize("side", ["red", "blue"])
def test_kills_are_the_dead_of_the_other_side(make, side):
    view = make()
    other = {"red": "blue", "blue": "red"}[side]
    players = {side: Strikes(side == "red"), other: Stays()}
    scores = mfq.evaluate(view, players, 2)
    size = int((view.groups == view.group_names.index(other)).sum())
    assert scores[side]["win_rate"] == 1.0
    assert 0 < scores[side]["kills"] <= size
    assert scores[other]["alive"] == size - scores[side]["kills"]
    assert scores[other]["kills"] == 0, "who is terminated with the game was not killed"


@pytest.mark.third_party
def test_both_engines_count_alike():
    players = {"red": Strikes(True), "blue": Strikes(False)}
    scores = [mfq.evaluate(make(), players, 2, seed=5) for make in (ours, magent2)]
    for side in ("red", "blue"):
        for name in ("kills", "alive", "win_rate", "kills_difference"):
            assert scores[0][side][name] == scores[1][side][name]


class Goals(pettingzoo.ParallelEnv):
    """Two teams of two; whoever plays 1 scores and pays for it."""

    def __init__(self, measures=None, match_measure="goals"):
        self.possible_agents = ["home_0", "home_1", "away_0", "away_1"]
        self.agents, self.goals, self.metadata = [], {}, {"name": "goals_v0"}
        self.match_measure = match_measure
        self.measures = self._measured if measures is None else measures

    def _measured(self):
        return {f"{team}_goals": goals for team, goals in self.goals.items()}

    def observation_space(self, agent):
        return spaces.Box(0, 1, (1,), np.float32)

    def action_space(self, agent):
        return spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        self.agents, self.time = self.possible_agents[:], 0
        self.goals = {"home": 0, "away": 0}
        return self._each(np.zeros(1, np.float32)), self._each({})

    def step(self, actions):
        self.time += 1
        for agent, action in actions.items():
            self.goals[agent.partition("_")[0]] += action
        over = self.time == 3
        rewards = {agent: -float(action) for agent, action in actions.items()}
        parts = self._each(np.zeros(1, np.float32)), rewards
        parts += self._each(False), self._each(over), self._each({})
        self.agents = [] if over else self.agents
        return parts

    def _each(self, value):
        return dict.fromkeys(self.possible_agents, value)


class Plays(mfq.Player):
    def __init__(self, action):
        self.action = action

    def act(self, step, explore=True):
        return torch.full_like(step.actions, self.action)


TEAMS = {"home": Plays(1), "away": Plays(0)}


@pytest.mark.parametrize("copies", [False, True])
def test_an_environment_names_what_decides(copies):
    view = mfq.wrap([Goals(), Goals()] if copies else Goals())
    assert view.match_measure == "goals"
    scores = mfq.evaluate(view, TEAMS, 2)
    assert scores["home"]["win_rate"] == 1.0, "although it earned less"
    assert scores["home"]["goals"] == 6.0
    assert scores["home"]["return"] == -3.0
    by_return = mfq.wrap(Goals(match_measure=None))
    assert by_return.match_measure is None
    assert mfq.evaluate(by_return, TEAMS)["away"]["win_rate"] == 1.0


def test_measures_may_be_a_dict():
    view = mfq.wrap(Goals(measures={"home_goals": np.float32(2), "away_goals": 1}))
    assert mfq.evaluate(view, TEAMS)["home"]["goals_difference"] == 1.0


def test_an_attribute_measures_alone_may_mean_anything():
    env = Goals(measures=["unrelated"], match_measure=None)
    assert measures_of(env) == {}
    del env.match_measure
    assert mfq.evaluate(mfq.wrap(env), TEAMS)["away"]["win_rate"] == 1.0


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"measures": {"home_goals": 1}}, ValueError, "no measure 'away_goals'; allowed: .*home_g"),
        ({"match_measure": "points"}, ValueError, "match_measure='points' and no measure 'home_po"),
        ({"match_measure": 3}, TypeError, "match_measure=3; allowed: the name"),
        ({"measures": ["goals"]}, TypeError, r"measures=\['goals'\]; allowed: numbers by name"),
        ({"measures": {"home_goals": "x"}}, TypeError, r"measures\['home_goals'\]='x'; allowed"),
        ({"measures": {"home_goals": np.nan}}, ValueError, r"measures\['home_goals'\]=nan"),
    ],
)
def test_measures_that_decide_nothing_are_named(options, error, says):
    with pytest.raises(error, match=says):
        mfq.evaluate(mfq.wrap(Goals(**options)), TEAMS)
