"""Numbers that are not finite are refused before anything is stored."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

import mfq
from mfenvs import ising_v0
from mfq.envs.finite import check_finite
from tests.fakes.scenes import Scene, box

NAN, INF = float("nan"), float("inf")
BOTH = spaces.Dict({"place": box(2), "inner": spaces.Dict({"speed": box(3)})})


def scene(space, observe, earn=lambda agent, action, time: 0.0):
    cast = {agent: (space, spaces.Discrete(2)) for agent in ("a_0", "a_1")}
    return Scene(cast, [list(cast)] * 5, observe, earn=earn)


def vectors(bad, at=3):
    """Observations [1, 2], of which a_1's last number is bad at a time."""

    def observe(agent, time):
        return np.array([1.0, bad if (agent, time) == ("a_1", at) else 2.0], np.float32)

    return scene(box(2), observe)


def play(view, steps=5):
    agent = mfq.QAgent(view, config=mfq.QConfig(network={"hidden": (4,)}))
    mfq.train(view, agent, steps)
    return agent


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_an_observation_names_agent_component_and_step(bad):
    words = rf"agent 'a_1' got obs\[1\]={bad} in step 3; allowed: finite numbers"
    with pytest.raises(ValueError, match=words):
        play(mfq.wrap(vectors(bad)))
    with pytest.raises(ValueError, match="in step 0"):
        mfq.wrap(vectors(bad, at=0)).reset()


def test_nothing_is_learned_of_it():
    view = mfq.wrap(vectors(NAN))
    agent = mfq.QAgent(view, config=mfq.QConfig(network={"hidden": (4,)}))
    with pytest.raises(ValueError, match="in step 3"):
        mfq.train(view, agent, 5)
    assert agent.replay.added == 2 * 2
    assert all(part.isfinite().all() for part in agent.module.parameters())


def test_a_part_of_a_dict_is_named():
    def observe(agent, time):
        speed = [0.0, NAN if (agent, time) == ("a_0", 2) else 0.0, 0.0]
        return {
            "place": np.zeros(2, np.float32),
            "inner": {"speed": np.array(speed, np.float32)},
        }

    with pytest.raises(ValueError, match=r"'a_0' got obs\.inner\.speed\[1\]=nan in step 2"):
        play(mfq.wrap(scene(BOTH, observe)))


def test_rewards_copies_and_large_numbers():
    def earn(agent, action, time):
        return INF if (agent, time) == ("a_1", 2) else 1.0

    def still(agent, time):
        return np.full(2, 3e38, np.float32)  # their sum is infinite

    def broken():
        return scene(box(2), still, earn)

    with pytest.raises(ValueError, match="'a_1' got the reward inf in step 2; allowed"):
        play(mfq.wrap(broken()))
    play(mfq.wrap([scene(box(2), still), scene(box(2), still)]))
    with pytest.raises(ValueError, match="'a_1' got obs"):
        play(mfq.wrap([vectors(1.0), vectors(NAN)]))


class Batched:
    """A batched environment of one's own: ising's, with a bad number in a step's "obs" or "reward"."""

    game = None

    def __init__(self, name, bad, step):
        self.env, self.name, self.bad, self.left = ising_v0.batched_env(3, side=4), name, bad, step

    def __getattr__(self, name):
        return getattr(self.env, name)

    def step(self, actions):
        obs, reward, *rest = self.env.step(actions)
        parts = {"obs": obs.clone(), "reward": reward.clone()}
        self.left -= 1
        if self.left == 0:
            parts[self.name][2, 5] = self.bad
        return parts["obs"], parts["reward"], *rest


@pytest.mark.parametrize(("name", "component"), [("obs", r"obs\[0\]"), ("reward", "reward")])
def test_a_batch_of_ones_own_is_checked(name, component):
    words = rf"agent 'site_5' got {component}=nan in step 2, row 2; allowed"
    view = mfq.wrap(Batched(name, NAN, 2))
    step = view.reset(seed=0)
    step = view.step(torch.zeros_like(step.actions))
    with pytest.raises(ValueError, match=words):
        view.step(torch.zeros_like(step.actions))


def test_our_games_are_not_looked_at(monkeypatch):
    monkeypatch.setattr("mfq.envs.batched.check_finite", None)
    mfq.wrap(ising_v0.batched_env(num_envs=2, side=4)).reset()


def test_integers_and_sums_that_overflow_are_no_fault():
    agents = ["a", "b"]
    check_finite({"obs": torch.full((1, 2, 4), 3e38)}, agents, 0)
    check_finite({"obs": torch.full((1, 2, 4), 6e4, dtype=torch.float16)}, agents, 0)
    check_finite({"obs": {"x": torch.ones(1, 2, dtype=torch.int64)}}, agents, 0)
    wide = torch.full((1, 2, 4), 3e38)
    wide[0, 1, 3] = INF
    with pytest.raises(ValueError, match=r"agent 'b' got obs\.x\[3\]=inf"):
        check_finite({"obs": {"x": wide}}, agents, 0)
