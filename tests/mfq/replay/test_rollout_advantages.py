"""Lambda-returns of rollouts, against a loop over each agent's trajectory."""

import itertools

import numpy as np
import pytest
import torch

from mfq.replay.rollout import Rollout
from mfq.values import clipped_gain, lambda_returns, monte_carlo_returns
from tests.mfq.replay.test_rollout import N, Y, a_step

GAMMA, TRACE = 0.9, 0.5


def advantages(reward, value, terminated, ends, has_value=None, trace=TRACE):
    """A_t of one trajectory; ``value`` has one entry more than rewards."""
    marks = [torch.tensor([t in at for t in range(len(reward))]) for at in (terminated, ends)]
    known = torch.tensor([True] * len(reward) if has_value is None else has_value)
    value = torch.tensor(value)
    returns = lambda_returns(torch.tensor(reward), *marks, value[1:], known, GAMMA, trace)
    return (returns - value[:-1]).tolist()


def test_gae_by_hand():
    # delta_1 = 1 + .9 * 2 - 1 = 1.8; delta_0 = 1 + .9 * 1 - 0 = 1.9; A_0 = 1.9 + .45 * 1.8.
    assert advantages([1.0, 1.0], [0.0, 1.0, 2.0], [], [1]) == pytest.approx([2.71, 1.8])
    # The agent dies in the second step.
    assert advantages([1.0, 1.0], [0.0, 1.0, 2.0], [1], [1]) == pytest.approx([1.9, 0.0])
    # A time limit after the first step: nothing of the next episode comes back through it.
    assert advantages([1.0, 1.0], [0.0, 1.0, 2.0], [], [0, 1]) == pytest.approx([1.9, 1.8])


def test_without_a_choice_there_is_no_bootstrap():
    # s_1 is passed through: R_0 = 1 + .9 (2 + .9 * 4).
    actual = advantages([1.0, 2.0], [0.5, 100.0, 4.0], [], [1], has_value=[False, False])
    assert actual[0] == pytest.approx(1 + 0.9 * (2 + 0.9 * 4) - 0.5)


def test_lambda_1_is_monte_carlo_and_lambda_0_one_step():
    coin = torch.Generator().manual_seed(0)
    reward, value = torch.randn((2, 6, 3), generator=coin)
    terminated, ends = torch.rand((2, 6, 3), generator=coin) < 0.2
    ends[-1] = True
    yes = torch.ones_like(ends)
    whole = lambda_returns(reward, terminated, ends, value, yes, GAMMA, 1.0)
    assert torch.equal(whole, monte_carlo_returns(reward, terminated, ends, value, GAMMA))
    one = lambda_returns(reward, terminated, ends, value, yes, GAMMA, 0.0)
    assert torch.allclose(one, reward + GAMMA * value * ~terminated)


def test_the_clipped_gain():
    ratio = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.1], requires_grad=True)
    advantage = torch.tensor([1.0, -1.0, 1.0, -1.0, 2.0])
    gain = clipped_gain(ratio, advantage, 0.2)
    assert gain.tolist() == pytest.approx([1.2, -1.5, 0.5, -0.8, 2.2])
    gain.sum().backward()
    # There is no gradient where the ratio is already further than the clip in the gain's direction.
    assert ratio.grad.tolist() == [0.0, -1.0, 1.0, 0.0, 2.0]


def finished(steps, mine=None):
    """The batch of a rollout of steps, with observations that count the time."""
    rollout = Rollout(100)
    for before, after in itertools.pairwise(steps):
        before = before if mine is None else before.for_player(torch.tensor(mine))
        learns = before.learners(after)
        # Values take 1/2 more than is observed where the agent chooses, else 1/4 more.
        choice = {"learns": learns, "mean": before.obs + 0.5}
        rollout.add(before, after, before.obs + 0.25, choice)
    last = steps[-1] if mine is None else steps[-1].for_player(torch.tensor(mine))
    return rollout.finish(last, last.obs + 0.25, lambda s: s["expected"][:, 0] ** 2, GAMMA, TRACE)


def by_place(batch, name):
    keys = zip(batch["place"].tolist(), batch["obs"][:, 0].tolist(), strict=True)
    return dict(zip(keys, batch[name].tolist(), strict=True))


def test_values_take_what_they_are_fitted_to():
    steps = [
        a_step([[1, 1]], [[Y, Y]], reset=[Y]),
        a_step([[2, 2]], [[Y, Y]], reward=[[1, 1]]),
        a_step([[3, 3]], [[Y, Y]], reward=[[2, 2]]),
    ]
    batch = finished(steps)
    assert by_place(batch, "value") == {(j, t): (t + 0.5) ** 2 for j in (0, 1) for t in (1, 2)}
    # The last state, at which the rollout is cut, takes what acting there would.
    second = 2 + 0.9 * 3.25**2
    expected = {1.0: 1 + 0.9 * (0.5 * 2.5**2 + 0.5 * second), 2.0: second}
    assert by_place(batch, "returns") == {
        (j, t): pytest.approx(r) for j in (0, 1) for t, r in expected.items()
    }


def chooses(steps, b, j, t):
    """Whether an agent chooses an action in step t."""
    return t + 1 < len(steps) and bool(steps[t + 1].acting[b, j] and not steps[t + 1].reset[b])


def total(steps, b, j, t):
    """R of an agent's transition from step t, by its definition."""
    after = steps[t + 1]
    if after.terminated[b, j]:
        return float(after.reward[b, j])
    if after.truncated[b] or t + 2 == len(steps):
        later = (t + 2 + 0.25) ** 2
    elif chooses(steps, b, j, t + 1):
        later = (1 - TRACE) * (t + 2 + 0.5) ** 2 + TRACE * total(steps, b, j, t + 1)
    else:
        later = total(steps, b, j, t + 1)
    return float(after.reward[b, j]) + GAMMA * later


def test_random_games_against_a_loop():
    """Deaths, time limits, held actions and rows that end at different times."""
    coin = np.random.default_rng(3)
    rows, agents, length = 3, 4, 25
    alive, ends = np.ones((rows, agents), bool), np.ones(rows, bool)
    steps = [a_step(np.ones((rows, agents)).tolist(), alive.tolist(), reset=ends.tolist())]
    ends = np.zeros(rows, bool)
    for t in range(2, length + 2):
        begins = ends
        alive[begins] = True
        dies = alive & (coin.random(alive.shape) < 0.08) & ~begins[:, None]
        acting = alive & (coin.random(alive.shape) < 0.7)
        alive = alive & ~dies
        late = (coin.random(rows) < 0.15) & ~begins & alive.any(1)
        ends = late | ~alive.any(1)
        steps.append(
            a_step(
                np.full((rows, agents), t).tolist(), alive.tolist(),
                reward=coin.normal(size=(rows, agents)).tolist(), terminated=dies.tolist(),
                acting=acting.tolist(), truncated=late.tolist(), reset=begins.tolist(),
            )
        )  # fmt: skip
    expected = {
        (b * agents + j, float(t + 1)): pytest.approx(total(steps, b, j, t), rel=1e-5)
        for b, j, t in itertools.product(range(rows), range(agents), range(length))
        if chooses(steps, b, j, t)
    }
    assert by_place(finished(steps), "returns") == expected
    assert len(expected) > 60


def test_only_its_agents_are_kept():
    steps = [
        a_step([[1, 1]], [[Y, Y]], reset=[Y]),
        a_step([[2, 2]], [[Y, Y]], reward=[[1, 9]]),
    ]
    assert by_place(finished(steps, mine=[[Y, N]]), "returns") == {
        (0, 1.0): pytest.approx(1 + 0.9 * 2.25**2)
    }
