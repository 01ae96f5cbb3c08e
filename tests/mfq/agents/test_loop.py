"""The loop: what is called in which order, and what it says of players that do not act."""

import itertools

import pytest
import torch

import mfq
from mfenvs import gaussian_squeeze_v0
from mfq.agents import loop


class Recorder(mfq.Agent):
    """Writes down its calls."""

    def __init__(self):
        self.calls = []

    def act(self, step, explore=True):
        self.calls.append(("act", step.number))
        return torch.zeros_like(step.actions)

    def observe(self, step, actions, next_step):
        assert not torch.is_grad_enabled()
        self.calls.append(("observe", step.number, next_step.number))

    def learn(self):
        self.calls.append("learn")
        return {"loss": 1.0}

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def a_view():
    return mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=3))


def test_an_agent_acts_observes_and_learns():
    view, agent = a_view(), Recorder()
    step = view.reset(seed=0)
    played = list(itertools.islice(loop.learn(view, agent, step), 2))
    first, second, third = step.number, played[0].next_step.number, played[1].next_step.number
    assert agent.calls == [
        *(("act", first), ("observe", first, second), "learn"),
        *(("act", second), ("observe", second, third), "learn"),
    ]
    assert played[0].metrics == {"loss": 1.0}
    assert all(played[0].seconds[name] > 0 for name in ("act", "env", "learn"))


def test_a_player_only_acts():
    view, agent = a_view(), Recorder()
    list(itertools.islice(loop.play(view, agent, view.reset(seed=0)), 2))
    assert [call[0] for call in agent.calls] == ["act", "act"]


@pytest.mark.parametrize(
    ("actions", "error", "message"),
    [
        (None, TypeError, r"returned a NoneType; allowed: a tensor int64 \(1, 3\)"),
        (torch.zeros(3, dtype=torch.int64), ValueError, r"torch.int64 \(3,\)"),
        (torch.zeros(1, 3), ValueError, r"torch.float32 \(1, 3\)"),
        (torch.zeros(1, 3, dtype=torch.bool), ValueError, "torch.bool"),
    ],
)
def test_what_are_no_actions_is_named(actions, error, message):
    class Wrong(mfq.Player):
        def act(self, step, explore=True):
            return actions

    with pytest.raises(error, match=message):
        mfq.evaluate(a_view(), Wrong())
