import pytest
import torch

from mfenvs.graph import CompleteGraph, EdgesGraph, LatticeGraph
from mfq.mean_field import iterate, mean_action, one_hot


def test_one_hot_leaves_the_silent_at_zero():
    hot = one_hot(torch.tensor([[2, -1, 0]]), 3)
    assert hot.tolist() == [[[0, 0, 1], [0, 0, 0], [1, 0, 0]]]


def test_leave_one_out_by_hand():
    # Actions 0, 1, 1, 2 among four; agent 0 hears 1, 1, 2; agent 3 hears 0, 1, 1.
    mean = mean_action(CompleteGraph(4), torch.tensor([[0, 1, 1, 2]]), 3)
    assert mean[0, 0].tolist() == pytest.approx([0, 2 / 3, 1 / 3])
    assert mean[0, 1].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert mean[0, 3].tolist() == pytest.approx([1 / 3, 2 / 3, 0])


def test_the_dead_do_not_count_and_no_neighbour_means_zero():
    mean = mean_action(CompleteGraph(3), torch.tensor([[1, -1, -1], [0, 1, -1]]), 2)
    assert mean[0].tolist() == [[0, 0], [0, 1], [0, 1]]
    assert mean[1].tolist() == [[0, 1], [1, 0], [0.5, 0.5]]
    assert mean_action(EdgesGraph([], 3), torch.tensor([[0, 1, 1]]), 2).sum() == 0


def test_iterating_stops_at_a_fixed_point_of_the_response():
    graph = LatticeGraph(4)
    start = mean_action(graph, torch.randint(0, 2, (2, 16)), 2)
    assert torch.equal(iterate(start, 0, graph, lambda mean: 1 / 0), start)

    def all_up(mean):
        return torch.ones(2, 16, dtype=torch.int64)

    assert torch.equal(iterate(start, 1, graph, all_up)[..., 1], torch.ones(2, 16))

    # Each round hands the mean that the last one made to the response.
    seen = []

    def majority(mean):
        seen.append(mean)
        return (mean[..., 1] > 0.5).long()

    last = iterate(start, 3, graph, majority)
    assert len(seen) == 3
    assert torch.equal(seen[1], mean_action(graph, (start[..., 1] > 0.5).long(), 2))
    assert torch.equal(last, mean_action(graph, (seen[2][..., 1] > 0.5).long(), 2))


def test_damping_keeps_a_share_of_the_mean_action():
    graph, start = CompleteGraph(3), torch.tensor([[[1.0, 0.0]] * 3])

    def all_one(mean):
        return torch.ones(1, 3, dtype=torch.int64)

    # A quarter of what is there stays: .25, then .0625.
    for iterations, kept in ((1, 0.25), (2, 0.0625)):
        mean = iterate(start, iterations, graph, all_one, damping=0.25)
        assert torch.allclose(mean, torch.tensor([kept, 1 - kept]).expand(1, 3, 2))
    assert torch.equal(iterate(start, 3, graph, all_one, damping=1.0), start)
    assert iterate(start, 3, graph, all_one)[0].tolist() == [[0, 1]] * 3


def test_damping_does_not_keep_that_nobody_had_an_action():
    graph = CompleteGraph(3)
    start = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]])
    mean = iterate(start, 1, graph, lambda mean: torch.tensor([[1, 1, 0]]), damping=0.5)
    assert mean[0].tolist() == [[0.5, 0.5], [0.75, 0.25], [0.0, 1.0]]
