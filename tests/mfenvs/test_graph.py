"""Graphs against a naive loop over neighbours, on numpy arrays and torch tensors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mfenvs.graph import CompleteGraph, EdgesGraph, LatticeGraph, RadiusGraph, RowGraphs


def naive_mean(graph, x, alive):
    """Mean over live neighbours, one agent at a time, from `neighbors` alone."""
    mean, degree = np.zeros_like(x), np.zeros(alive.shape, np.int64)
    for row in range(len(x)):
        for agent in range(graph.num_agents):
            found = [j for j in graph.neighbors(agent, row) if alive[row, j]]
            degree[row, agent] = len(found)
            if found:
                mean[row, agent] = sum(x[row, j] for j in found) / len(found)
    return mean, degree


def random_graph(kind, coin, rows, include_self):
    if kind == "complete":
        return CompleteGraph(int(coin.integers(1, 9)), include_self=include_self)
    if kind == "groups":
        labels = coin.integers(0, 3, int(coin.integers(1, 9)))
        return CompleteGraph(len(labels), labels, include_self=include_self)
    if kind == "lattice":
        return LatticeGraph(int(coin.integers(3, 6)), include_self=include_self)
    agents = int(coin.integers(1, 8))
    if kind == "radius":
        positions = coin.integers(0, 6, (rows, agents, 2))
        groups = coin.integers(0, 2, agents) if coin.random() < 0.5 else None
        return RadiusGraph(positions, 2.5, groups, include_self=include_self)
    lists = [coin.integers(0, agents, (2, int(coin.integers(0, 20)))) for _ in range(rows)]
    if kind == "rows":
        return RowGraphs([EdgesGraph(edges, agents) for edges in lists])
    return EdgesGraph(lists[0], agents)


KINDS = ["complete", "groups", "lattice", "radius", "edges", "rows"]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), include_self=st.booleans())
def test_mean_and_degree_equal_a_naive_loop(kind, seed, include_self):
    coin = np.random.default_rng(seed)
    rows = int(coin.integers(1, 4))
    graph = random_graph(kind, coin, rows, include_self)
    x = coin.normal(size=(rows, graph.num_agents, 3))
    alive = coin.random((rows, graph.num_agents)) < 0.6
    mean, degree = naive_mean(graph, x, alive)
    assert np.allclose(graph.mean(x, alive), mean, atol=1e-12)
    assert np.array_equal(graph.degree(alive), degree)
    assert degree.max() <= graph.max_degree

    tensor = graph.mean(torch.tensor(x), torch.tensor(alive))
    assert tensor.dtype == torch.float64
    assert np.allclose(tensor.numpy(), mean, atol=1e-12)
    assert torch.equal(graph.degree(torch.tensor(alive)), torch.tensor(degree))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_edge_index_lists_the_neighbours(kind, seed):
    coin = np.random.default_rng(seed)
    graph = random_graph(kind, coin, 2, include_self=False)
    edges = graph.edge_index()
    assert edges.dtype == np.int64
    assert edges.shape[0] == 2
    for agent in range(graph.num_agents):
        assert edges[1, edges[0] == agent].tolist() == graph.neighbors(agent).tolist()
    if kind not in ("edges", "rows"):
        assert not (edges[0] == edges[1]).any()
        assert set(zip(*edges.tolist(), strict=True)) == set(
            zip(*edges[::-1].tolist(), strict=True)
        )


def test_one_hot_means_are_exact_in_float32():
    # Counts are integers, so leaving one out by subtraction loses nothing.
    n = 100_000
    x = np.zeros((1, n, 2), np.float32)
    x[0, : n // 3, 0] = 1
    x[0, n // 3 :, 1] = 1
    mean = CompleteGraph(n).mean(x, np.ones((1, n), bool))
    assert mean[0, 0, 0] == np.float32((n // 3 - 1) / (n - 1))
    assert mean[0, -1, 0] == np.float32((n // 3) / (n - 1))


def test_a_million_agents_build_no_square():
    graph = CompleteGraph(1_000_000)
    mean = graph.mean(torch.ones(1, 1_000_000, 1), torch.ones(1, 1_000_000, dtype=torch.bool))
    assert (mean == 1).all()


def test_lattice_neighbours_on_the_torus():
    graph = LatticeGraph(4)
    assert graph.neighbors(0).tolist() == [1, 3, 4, 12]
    assert graph.neighbors(5).tolist() == [1, 4, 6, 9]


def test_a_radius_graph_is_a_moment():
    positions = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [5.0, 0.0]]])
    graph = RadiusGraph(positions, 1.0)
    positions += 100.0 * torch.arange(3)[None, :, None]
    assert graph.neighbors(0).tolist() == [1]
    assert graph.neighbors(2).tolist() == []


def test_means_leave_their_input_alone():
    x, alive = np.ones((1, 9, 2)), np.ones((1, 9), bool)
    for graph in (CompleteGraph(9), LatticeGraph(3), EdgesGraph([[0], [1]], 9)):
        graph.mean(x, alive)
        assert (x == 1).all()
        assert alive.all()


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: CompleteGraph(0), "num_agents"),
        (lambda: CompleteGraph(3, np.zeros(2)), "groups"),
        (lambda: LatticeGraph(2), "side"),
        (lambda: RadiusGraph(np.zeros((3, 2)), 1.0), "positions"),
        (lambda: RadiusGraph(np.zeros((1, 3, 2)), -1.0), "radius"),
        (lambda: EdgesGraph([[0], [5]], 3), "edge_index"),
        (lambda: EdgesGraph([[0.5], [1.0]], 3), "edge_index"),
        (lambda: CompleteGraph(3).neighbors(3), "agent"),
        (lambda: CompleteGraph(3).mean(np.zeros((1, 4, 2)), np.ones((1, 3), bool)), "x"),
        (lambda: CompleteGraph(3).mean(np.zeros((1, 3, 2)), np.ones((1, 4), bool)), "alive"),
    ],
)
def test_bad_arguments_are_named(call, argument):
    with pytest.raises(ValueError, match=argument):
        call()


@pytest.mark.parametrize("row", [-1, 2])
def test_a_graph_of_rows_refuses_other_rows(row):
    graph = RowGraphs([CompleteGraph(3), CompleteGraph(3)])
    assert graph.neighbors(0, 1).tolist() == [1, 2]
    with pytest.raises(ValueError, match=f"row={row} is out of range; allowed: 0 to 1"):
        graph.neighbors(0, row)
