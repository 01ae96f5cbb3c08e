"""Episodes without an end: an evaluation truncates them, warns, and goes on."""

import warnings

import gymnasium
import pytest
import torch
from gymnasium import spaces

import mfq
from mfq.matches import evaluate as evaluation
from tests.fakes.scenes import box, number


class Endless(gymnasium.Env):
    observation_space, action_space = box(1, high=1e6), spaces.Discrete(2)
    ends = None

    def reset(self, seed=None, options=None):
        self.time = 0
        return number(None, 0), {}

    def step(self, action):
        self.time += 1
        return number(None, self.time), 1.0, self.time == self.ends, False, {}


WORDS = "did not end within 7 steps.*--set max_episode_steps=200.*truncated=True"


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """A cap of 7 steps."""
    monkeypatch.setattr(evaluation, "MAX_STEPS", 7)
    monkeypatch.setattr(evaluation, "ENDLESS", evaluation.ENDLESS.replace("10000", "7"))


def views():
    yield mfq.wrap(Endless())
    yield mfq.wrap([Endless(), Endless()])
    yield mfq.Workers(Endless, 2, 1)


def test_an_episode_without_an_end_is_truncated():
    for view in views():
        with pytest.warns(UserWarning, match=WORDS) as caught:
            scores = mfq.evaluate(view, mfq.Random(), 4)
        assert scores == {"return": 7.0, "length": 7.0}
        assert len(caught) == 1
        step = view.reset()  # the limit is the evaluation's
        actions = torch.zeros(view.num_envs, 1, dtype=torch.int64)
        for _ in range(9):
            step = view.step(actions)
            assert not step.ended.any()
        view.close()


def test_an_episode_that_ends_in_time_is_not():
    env = Endless()
    for ends in (6, 7):  # 7: it terminates by itself
        env.ends = ends
        assert mfq.evaluate(mfq.wrap(env), mfq.Random(), 2)["length"] == ends


def test_a_limit_of_ones_own_is_kept():
    for limit in (7, 9):
        gymnasium.register("Endless-v0", entry_point=Endless, max_episode_steps=limit)
        view = mfq.wrap(gymnasium.make("Endless-v0"))
        assert mfq.evaluate(view, mfq.Random(), 2)["length"] == limit
        del gymnasium.registry["Endless-v0"]


def test_a_run_goes_on_after_an_evaluation_without_an_end(tmp_path):
    config = {
        "steps": 6,
        "evaluation": {"every": 3, "episodes": 2},
        "out": str(tmp_path / "run"),
        "quiet": True,
        "agent": {"network": {"hidden": (4,)}},
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        runner = mfq.Runner(Endless, config=config)
        scores = runner.run()
    assert scores["length"] == scores["random_play_length"] == 7
    assert (tmp_path / "run" / "last.safetensors").exists()
    assert any("max_episode_steps" in str(each.message) for each in caught)


def test_cliff_walking_takes_a_limit_by_its_options(tmp_path):
    options = {"env_options": {"max_episode_steps": 5}, "steps": 4, "quiet": True}
    newest = max(id for id in gymnasium.registry if id.startswith("CliffWalking-"))
    runner = mfq.Runner(newest, config=options)
    assert runner.evaluate(2)["length"] == 5
