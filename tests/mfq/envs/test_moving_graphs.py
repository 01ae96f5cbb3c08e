"""Neighbours that come and go: a mean action is over those whom one had when the actions were chosen."""

import copy

import numpy as np
import pytest
import torch

import mfq
from mfenvs.views.batched import BatchedEnv
from mfq.mean_field import mean_action
from tests.fakes.scenes import TWO, Scene, box, number
from tests.fakes.toy_game import ToyGame

ROWS, AGENTS, ACTIONS = 3, 8, 4


def walkers():
    """Two groups on a line, who hear those of their group at their place or beside it."""
    env = BatchedEnv(ToyGame, ROWS, agents=AGENTS, length=7, masked=False, duel=False, max_cycles=9)
    return mfq.wrap(env)


def heard(place, actions):
    """The mean actions of agents who stand at places, one by one: float [B, N, A]."""
    found = np.zeros((ROWS, AGENTS, ACTIONS), np.float32)
    for row in range(ROWS):
        for i in range(AGENTS):
            near = [
                actions[row, j]
                for j in range(i % 2, AGENTS, 2)
                if j != i and abs(place[row, i] - place[row, j]) <= 1 and actions[row, j] >= 0
            ]
            for action in near:
                found[row, i, action] += 1 / len(near)
    return torch.from_numpy(found)


def places(view):
    return view.snapshot().place.numpy().copy()


def test_rows_hear_those_who_were_near_when_they_chose():
    view, coin = walkers(), torch.Generator().manual_seed(0)
    view.reset(seed=0)
    moved = 0
    for _ in range(30):
        before = places(view)
        step = view.step(torch.randint(ACTIONS - 1, (ROWS, AGENTS), generator=coin))
        actions = step.actions.numpy()
        assert torch.allclose(step.mean_action, heard(before, actions))
        moved += not torch.allclose(step.mean_action, heard(places(view), actions))
    assert moved > 10, "or it would not matter of which moment neighbours are"


def test_what_resumes_hears_those_who_were_near_when_they_chose():
    view, coin = walkers(), torch.Generator().manual_seed(0)
    view.reset(seed=0)
    for _ in range(5):
        step = view.step(torch.randint(ACTIONS - 1, (ROWS, AGENTS), generator=coin))
    state = copy.deepcopy(view.state_dict())
    expected = step.mean_action.clone()
    assert not torch.allclose(mean_action(step.graph, step.actions, ACTIONS), expected)
    others = walkers()
    others.reset(seed=9)
    resumed = others.load_state_dict(state)
    assert torch.equal(resumed.mean_action, expected)
    assert torch.equal(resumed.for_player(resumed.alive).mean_action, expected)
    # And both go on alike.
    for _ in range(8):
        actions = torch.randint(ACTIONS - 1, (ROWS, AGENTS), generator=coin)
        after, again = view.step(actions), others.step(actions)
        assert torch.equal(after.mean_action, again.mean_action)
        assert torch.equal(after.obs["near"], again.obs["near"])


# Whom a_0 hears at each time; nobody else hears anybody.
CAST = {**TWO, "a_2": TWO["a_0"]}
WHOM = [1, 2, 2, 1]


def wandering(shift=0):
    env = Scene(CAST, [list(CAST)] * 4, number)
    env.shift = shift
    return env


def attention(env):
    return [[0], [whom(env.shift, env.time)]]


def whom(row, time):
    return WHOM[(row + time) % len(WHOM)]


@pytest.mark.parametrize("rows", [1, 2])
def test_pettingzoo_agents_hear_those_whom_they_had_when_they_chose(rows):
    view = mfq.wrap(wandering() if rows == 1 else [wandering(0), wandering(1)], attention)
    view.reset(seed=0)
    # a_1 plays 0 and a_2 plays 1, in row 1 the other way round.
    actions = torch.tensor([[0, 0, 1], [0, 1, 0]][:rows])
    for before, after in ((0, 1), (1, 2), (2, 3)):
        step = view.step(actions)
        for row in range(rows):
            assert step.mean_action[row, 0].argmax() == actions[row, whom(row, before)]
            assert step.graph.neighbors(0, row).tolist() == [whom(row, after)]
            assert step.graph_before.neighbors(0, row).tolist() == [whom(row, before)]
        assert not step.mean_action[:, 1:].any()


def test_types_hear_those_whom_they_had_when_they_chose():
    cast = {"wolf": (box(2), TWO["a_0"][1]), "a_1": TWO["a_0"], "a_2": TWO["a_0"]}

    def observe(agent, time):
        return np.full(cast[agent][0].shape, time, np.float32)

    env = Scene(cast, [list(cast)] * 4, observe)
    view = mfq.wrap(env, lambda env: [[0], [whom(0, env.time)]])
    view.reset()
    for before in (0, 1, 2):
        step = view.step(torch.tensor([[0, 0, 1]]))
        # One-hots over (wolf 0, 1; a 0, 1).
        expected = [0, 0, 1, 0] if whom(0, before) == 1 else [0, 0, 0, 1]
        assert step.of_type(0).mean_action[0, 0].tolist() == expected
