"""The loop: what it calls, from where it goes on, and its bar."""

import pytest

import mfq
from mfenvs import ising_v0
from tests.fakes.duel import Duel, Fight, Pupil


def times(agent):
    """Between which times of the `Duel` the agent observed what its actions led to."""
    return [tuple(int(step.obs[0, 0, 2]) for step in (a, b)) for a, _, b in agent.observed]


def test_each_step_is_observed_once_and_the_next_call_goes_on():
    view, agent, done = Duel([Fight(100)]), Pupil(), []
    step = mfq.train(view, agent, 3, view.reset(seed=5), lambda count, _: done.append(count))
    mfq.train(view, agent, 2, step)
    assert times(agent) == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]
    assert (agent.lessons, done, view.seeds) == (5, [1, 2, 3], [5])
    mfq.train(view, agent, 1)
    assert (times(agent)[-1], view.seeds) == ((0, 1), [5, None])


def test_a_bar_shows_only_when_asked_for(capsys):
    mfq.train(Duel([Fight(100)]), Pupil(), 7)
    assert capsys.readouterr() == ("", "")
    mfq.train(Duel([Fight(100)]), Pupil(), 7, progress=True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "7/7" in printed.err


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda v: mfq.train(v, Pupil(), -3), ValueError, "steps=-3; allowed: 0 or more"),
        (
            lambda v: mfq.train(v, mfq.Random(), 3),
            TypeError,
            "agent is a Random; allowed: an mfq.Agent",
        ),
        (lambda v: mfq.train(v.env, Pupil(), 3), TypeError, "view=.*allowed: a View, as mfq.wrap"),
        (lambda v: mfq.QAgent(v.env), TypeError, "view=.*allowed: a View, as mfq.wrap"),
        (lambda v: mfq.ActorCritic(v.env), TypeError, "view=.*allowed: a View, as mfq.wrap"),
        (lambda v: mfq.QAgent(v, config={"gamma": 0.5}), TypeError, "allowed: a QConfig"),
        (lambda v: mfq.ActorCritic(v, config=mfq.QConfig()), TypeError, "allowed: an ACConfig"),
    ],
)
def test_what_cannot_be_trained_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call(mfq.wrap(ising_v0.batched_env(num_envs=1, side=4)))
