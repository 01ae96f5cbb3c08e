"""The graphs that `wrap` takes, against neighbourhoods worked out by hand."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

import mfq
from mfenvs.graph import CompleteGraph
from tests.fakes.scenes import Scene, box
from tests.fakes.tables import stored

# Teams red and blue; red_2 and blue_0 observe more, so that types cut across teams.
CAST = {
    "red_0": (box(1), spaces.Discrete(2)),
    "red_1": (box(1), spaces.Discrete(2)),
    "red_2": (box(2), spaces.Discrete(2)),
    "blue_0": (box(2), spaces.Discrete(2)),
    "blue_1": (box(1), spaces.Discrete(2)),
}


def scene():
    def observe(agent, time):
        return np.full(CAST[agent][0].shape, time, np.float32)

    return Scene(CAST, [list(CAST)] * 4, observe)


def heard(view):
    graph = view.graph
    return [graph.neighbors(i).tolist() for i in range(view.num_agents)]


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (None, [[1, 2], [0, 2], [0, 1], [4], [3]]),
        ("team", [[1, 2], [0, 2], [0, 1], [4], [3]]),
        ("type", [[1, 4], [0, 4], [3], [2], [0, 1]]),
        ("all", [[1, 2, 3, 4], [0, 2, 3, 4], [0, 1, 3, 4], [0, 1, 2, 4], [0, 1, 2, 3]]),
        ([[0, 0, 4], [1, 3, 0]], [[1, 3], [], [], [], [0]]),
        (np.zeros((2, 0), np.int64), [[]] * 5),
        (CompleteGraph(5, np.array([0, 0, 1, 1, 2])), [[1], [0], [3], [2], []]),
        (lambda env: [[env.time], [4]], [[4], [], [], [], []]),
        (lambda env: CompleteGraph(5), [[i for i in range(5) if i != j] for j in range(5)]),
    ],
    ids=lambda part: str(part).split(" at ")[0][:30],
)
def test_neighbours_by_hand(graph, expected):
    view = mfq.wrap(scene(), graph=graph)
    view.reset()
    assert heard(view) == expected


def test_within_a_radius_as_the_agents_move():
    def positions(env):
        # red_0 walks along a line on which the others stand; red_2 is nowhere.
        return np.array([[2 * env.time, 0], [1, 0], [np.nan, 0], [3, 0], [6, 0]])

    view = mfq.wrap(scene(), graph=mfq.Within(1.0, positions))
    step = view.reset()
    assert heard(view) == [[1], [0], [], [], []]
    step = view.step(torch.tensor([[0, 1, 0, 0, 0]]))
    # The mean is over whom red_0 had near when it chose; now it is between two.
    assert step.mean_action[0, 0].tolist() == [0, 1, 0, 0]
    assert step.graph.neighbors(0).tolist() == [1, 3]
    assert heard(view) == [[1, 3], [0], [], [0], []]

    moving = mfq.wrap(scene(), graph=lambda env: mfq.Within(1.0 + env.time, positions))
    moving.reset()
    assert heard(moving) == [[1], [0], [], [], []]
    moving.step(torch.zeros(1, 5, dtype=torch.int64))
    assert heard(moving) == [[1, 3], [0, 3], [], [0, 1], []]

    team = mfq.wrap(scene(), graph=mfq.Within(1.0, positions, among="team"))
    team.reset()
    team.step(torch.zeros(1, 5, dtype=torch.int64))
    assert heard(team) == [[1], [0], [], [], []]


def test_a_learner_learns_over_a_graph_that_moves():
    view = mfq.wrap(scene(), graph=lambda env: [[env.time], [3]])
    options = {"replay": {"learning_starts": 10}, "optimizer": {"batch_size": 8}}
    config = mfq.QConfig(pairing="current", **options)
    agent = mfq.ByType(view, lambda its, seed: mfq.QAgent(its, True, config, seed))
    mfq.train(view, agent, 20)
    assert [part.updates for part in agent.parts] == [17, 15]
    heard_something = set()
    for part in agent.parts:
        kept = stored(part)
        for who, obs, mean in zip(kept["agent"], kept["obs"], kept["mean"], strict=True):
            if mean.any():
                heard_something.add((int(who), int(obs[0])))
    # At time t the t-th agent, and nobody else, hears what blue_0 does.
    assert heard_something == {(0, 0), (1, 1), (2, 2), (3, 3)}


@pytest.mark.parametrize(
    ("graph", "error", "words"),
    [
        (lambda: "teams", ValueError, "graph='teams'; allowed: all, type, team, a NeighborGraph"),
        (lambda: 3, TypeError, "graph is a int"),
        (lambda: CompleteGraph(4), ValueError, "4 agents; allowed: 5"),
        (lambda: [[0], [5]], ValueError, "0 to 4"),
        (lambda: [[0, 1, 2]], ValueError, r"\[2, E\]"),
        (lambda: mfq.Within(-1.0, len), ValueError, "radius=-1.0"),
        (lambda: mfq.Within(1.0, 3), TypeError, "positions=3"),
        (lambda: mfq.Within(1.0, len, "group"), ValueError, "among='group'"),
        (lambda: mfq.Within(1.0, lambda env: np.zeros(5)), ValueError, r"allowed: \(5, dims\)"),
        (lambda: lambda env: CompleteGraph(3), ValueError, "3 agents"),
        (lambda: lambda env: None, ValueError, r"the graph \(what its function returned"),
    ],
)
def test_graphs_that_do_not_fit_are_refused(graph, error, words):
    with pytest.raises(error, match=words):
        mfq.wrap(scene(), graph=graph()).reset()
