"""Rounds of play: Monte-Carlo returns over deaths, time limits and rows that end at different times."""

import itertools

import pytest
import torch

from mfenvs.graph import CompleteGraph
from mfq.envs.step import Step
from mfq.replay.rollout import Rollout
from mfq.values import monte_carlo_returns

GAMMA = 0.5


def a_step(obs, alive, *, reward=None, terminated=None, acting=None, truncated=None, reset=None):
    """A step of B rows and N agents; what is left out is zero, or False, or alive's."""
    alive = torch.tensor(alive)
    no = torch.zeros_like(alive)
    graph = CompleteGraph(alive.shape[1])
    rows = [False] * len(alive)
    return Step(
        obs=torch.tensor(obs, dtype=torch.float32)[..., None],
        reward=no.float() if reward is None else torch.tensor(reward, dtype=torch.float32),
        terminated=no if terminated is None else torch.tensor(terminated),
        truncated=torch.tensor(rows if truncated is None else truncated),
        alive=alive,
        acting=alive if acting is None else torch.tensor(acting),
        actions=no.long(),
        action_mask=None,
        reset=torch.tensor(rows if reset is None else reset),
        graph=graph,
        graph_before=graph,
        num_actions=2,
    )


def play(rollout, steps, mine=None):
    """Adds the steps one after another; whose choice counted is learned from."""
    for before, after in itertools.pairwise(steps):
        if mine is not None:
            before = before.for_player(torch.tensor(mine))
        learns = after.acting & ~after.reset[:, None]
        place = torch.arange(learns.numel()).view_as(learns)
        expected = before.obs + 0.25  # tells it from the observation
        rollout.add(before, after, expected, {"learns": learns, "known_as": place})
    last = steps[-1] if mine is None else steps[-1].for_player(torch.tensor(mine))
    return rollout.finish(last, last.obs + 0.25, hundred_times, GAMMA)


def hundred_times(states):
    """v(s) is 100 times the observation; it is given the mean action that goes with it."""
    assert torch.equal(states["expected"], states["obs"] + 0.25)
    return 100 * states["obs"][:, 0]


def returned(batch):
    """(place, observation) -> return."""
    assert torch.equal(batch["place"], batch["known_as"])
    keys = zip(batch["place"].tolist(), batch["obs"][:, 0].tolist(), strict=True)
    return dict(zip(keys, batch["returns"].tolist(), strict=True))


Y, N = True, False


def test_returns_by_hand():
    # Observations count 1, 2, 3 ... so that v(s) tells which state it is of. Row 0: agent 1 dies in the
    # second step, agent 0 reaches the time limit after the third; row 1 goes on past the round's end.
    steps = [
        a_step([[1, 1], [1, 1]], [[Y, Y], [Y, Y]], reset=[Y, Y]),
        a_step([[2, 2], [2, 2]], [[Y, Y], [Y, Y]], reward=[[1, 2], [3, 4]]),
        a_step(
            [[3, 0], [3, 3]], [[Y, N], [Y, Y]], reward=[[5, -1], [6, 7]], terminated=[[N, Y], [N, N]],
            acting=[[Y, Y], [Y, Y]],
        ),
        a_step(
            [[4, 0], [4, 4]], [[Y, N], [Y, Y]], reward=[[8, 0], [9, 10]], truncated=[Y, N]
        ),
        # Row 0 starts anew: what was sent it is ignored.
        a_step([[5, 5], [5, 5]], [[Y, Y], [Y, Y]], reward=[[0, 0], [11, 12]], reset=[Y, N]),
        a_step([[6, 6], [6, 6]], [[Y, Y], [Y, Y]], reward=[[13, 14], [15, 16]]),
    ]  # fmt: skip
    found = returned(play(Rollout(100), steps))
    # Row 0, agent 0: bootstraps from its fourth state, the last of the episode.
    third = 8 + 0.5 * 400
    assert found[0, 3] == third
    assert found[0, 2] == 5 + 0.5 * third
    assert found[0, 1] == 1 + 0.5 * (5 + 0.5 * third)
    # Agent 1: dies with nothing to follow.
    assert found[1, 2] == -1
    assert found[1, 1] == 2 + 0.5 * -1
    # Their next episode is cut by the end of the round.
    assert found[0, 5] == 13 + 0.5 * 600
    assert found[1, 5] == 14 + 0.5 * 600
    # Row 1 has no end before that.
    fifth = 15 + 0.5 * 600
    assert found[2, 5] == fifth
    assert found[2, 4] == 11 + 0.5 * fifth
    assert found[2, 3] == 9 + 0.5 * (11 + 0.5 * fifth)
    # Nothing is learned from the dead, nor from the step that began row 0 anew.
    assert set(found) == {(0, 1), (0, 2), (0, 3), (0, 5), (1, 1), (1, 2), (1, 5)} | {
        (place, t) for place in (2, 3) for t in (1, 2, 3, 4, 5)
    }


def test_a_wipe_out_ends_without_a_bootstrap():
    steps = [
        a_step([[1, 1]], [[Y, Y]], reset=[Y]),
        # Agent 1 dies, and with that the survivor's episode is over, too.
        a_step([[2, 0]], [[Y, N]], reward=[[5, -1]], terminated=[[Y, Y]], acting=[[Y, Y]]),
        a_step([[3, 3]], [[Y, Y]], reset=[Y]),
    ]
    assert returned(play(Rollout(100), steps)) == {(0, 1): 5.0, (1, 1): -1.0}


def test_a_time_limit_of_ones_own_bootstraps():
    # As PettingZoo has it: agent 1's time is up after the first step, then it is gone.
    steps = [
        a_step([[1, 1]], [[Y, Y]], reset=[Y]),
        a_step([[2, 2]], [[Y, Y]], reward=[[1, 1]]),
        a_step([[3, 0]], [[Y, N]], reward=[[1, 0]]),
        a_step([[4, 0]], [[Y, N]], reward=[[1, 0]]),
    ]
    found = returned(play(Rollout(100), steps))
    assert found[1, 1] == 1 + 0.5 * 200
    assert found[0, 1] == 1 + 0.5 * (1 + 0.5 * (1 + 0.5 * 400))
    assert (1, 2) not in found


def test_returns_run_through_steps_of_held_actions():
    # Agent 0 may choose in every other step only, and earns in all of them.
    steps = [
        a_step([[1, 1]], [[Y, Y]], reset=[Y]),
        a_step([[2, 2]], [[Y, Y]], reward=[[1, 1]], acting=[[Y, N]]),
        a_step([[3, 3]], [[Y, Y]], reward=[[2, 2]], acting=[[N, Y]]),
        a_step([[4, 4]], [[Y, Y]], reward=[[4, 4]], acting=[[Y, N]]),
    ]
    assert returned(play(Rollout(100), steps)) == {
        (0, 1): 1 + 0.5 * (2 + 0.5 * (4 + 200)),
        (1, 2): 2 + 0.5 * (4 + 200),
        (0, 3): 4 + 200.0,
    }


def test_only_ones_own_agents_are_kept():
    steps = [
        a_step([[1, 1]], [[Y, Y]], reset=[Y]),
        a_step([[2, 2]], [[Y, Y]], reward=[[1, 9]]),
    ]
    assert returned(play(Rollout(100), steps, mine=[[Y, N]])) == {(0, 1): 1 + 0.5 * 200}


def test_a_round_is_over_when_every_row_has_ended_an_episode_or_at_its_longest():
    rollout = Rollout(4)
    assert not rollout.is_over()
    on, first, second = ([N, N], [Y, N], [N, Y])
    over = []
    steps = [a_step([[1], [1]], [[Y], [Y]], reset=r) for r in ([Y, Y], on, first, second)]
    for before, after in itertools.pairwise(steps):
        rollout.add(before, after, before.obs, {"learns": after.acting})
        over.append(rollout.is_over())
    assert over == [False, False, True]
    rollout.clear()
    for _ in range(4):
        assert not rollout.is_over()
        rollout.add(steps[1], steps[1], steps[1].obs, {"learns": steps[1].acting})
    assert rollout.is_over()


def test_a_reset_from_outside_drops_what_has_no_end():
    rollout = Rollout(10)
    start, on = a_step([[1]], [[Y]], reset=[Y]), a_step([[2]], [[Y]], reward=[[1]])
    for _ in range(2):
        rollout.add(start, on, start.obs, {"learns": on.acting})
    assert len(rollout) == 1
    # The row's own course is none of that.
    rollout.add(on, start, on.obs, {"learns": on.acting})
    rollout.add(start, on, start.obs, {"learns": on.acting})
    assert len(rollout) == 3


def test_it_keeps_copies():
    start, on = a_step([[1]], [[Y]], reset=[Y]), a_step([[2]], [[Y]], reward=[[1]])
    rollout = Rollout(10)
    rollout.add(start, on, start.obs + 0.25, {"learns": on.acting, "known_as": on.actions})
    for tensor in (start.obs, start.reset, on.reward, on.terminated, on.reset, on.acting):
        tensor.copy_(torch.full_like(tensor, 1).mul(7))  # the environment's buffers go on
    batch = rollout.finish(on, on.obs + 0.25, hundred_times, GAMMA)
    assert returned(batch) == {(0, 1): 1 + 0.5 * 200}


def test_what_is_loaded_lies_on_the_device_asked_for():
    start, on = a_step([[1]], [[Y]], reset=[Y]), a_step([[2]], [[Y]], reward=[[1]])
    rollout, other = Rollout(10), Rollout(10)
    rollout.add(start, on, start.obs + 0.25, {"learns": on.acting, "known_as": on.actions})
    other.load_state_dict(rollout.state_dict(), torch.device("meta"))
    for entries in other.state_dict().values():
        assert {part.device.type for entry in entries for part in entry.values()} == {"meta"}
    other.load_state_dict(rollout.state_dict(), torch.device("cpu"))
    batch = other.finish(on, on.obs + 0.25, hundred_times, GAMMA)
    assert returned(batch) == {(0, 1): 1 + 0.5 * 200}


@pytest.mark.parametrize("seed", range(20))
def test_random_histories_against_a_walk_from_each_state(seed):
    coin = torch.Generator().manual_seed(seed)
    rows, agents, length = 3, 3, 14

    def chance(p, *shape):
        return torch.rand(shape, generator=coin) < p

    alive, over = torch.ones(rows, agents, dtype=torch.bool), torch.zeros(rows, dtype=torch.bool)
    steps = [a_step([[1] * agents] * rows, alive.tolist(), reset=[True] * rows)]
    for t in range(2, length + 2):
        reset = over
        dies = alive & chance(0.15, rows, agents) & ~reset[:, None]
        acting = alive & chance(0.8, rows, agents) & ~reset[:, None]
        reward = torch.rand((rows, agents), generator=coin) * (alive & ~reset[:, None])
        alive = (alive & ~dies) | reset[:, None]
        truncated = chance(0.15, rows) & ~reset
        over = (truncated | ~alive.any(1)) & ~reset
        steps.append(
            a_step(
                (alive * t).tolist(), alive.tolist(), reward=reward.tolist(),
                terminated=dies.tolist(), acting=acting.tolist(),
                truncated=truncated.tolist(), reset=reset.tolist(),
            )
        )  # fmt: skip
    expected = {}
    for b in range(rows):
        for j in range(agents):
            for t in range(length):
                after = steps[t + 1]
                if not after.acting[b, j] or after.reset[b]:
                    continue
                total, discount, u = 0.0, 1.0, t
                while True:
                    total += discount * float(steps[u + 1].reward[b, j])
                    discount *= GAMMA
                    u += 1
                    if steps[u].terminated[b, j]:
                        break
                    if steps[u].truncated[b] or u == length:
                        total += discount * 100 * (u + 1)
                        break
                expected[b * agents + j, float(t + 1)] = total
    found = returned(play(Rollout(100), steps))
    assert found.keys() == expected.keys()
    assert all(found[key] == pytest.approx(expected[key]) for key in found)
    assert len(found) > 20


def test_returns_as_a_pure_function():
    reward = torch.tensor([1.0, 2.0, 3.0])
    value = torch.tensor([10.0, 20.0, 30.0])

    def returns(terminated, ends):
        marks = [torch.tensor([t in at for t in range(3)]) for at in (terminated, ends)]
        return monte_carlo_returns(reward, *marks, value, 0.5).tolist()

    assert returns([], [2]) == [1 + 0.5 * (2 + 0.5 * 18), 2 + 0.5 * 18, 18]
    assert returns([1], [2]) == [2, 2, 18]
    assert returns([], [0, 2]) == [6, 2 + 0.5 * 18, 18]
    # Death wins over an end.
    assert returns([0, 2], [0, 2]) == [1, 2 + 0.5 * 3, 3]
