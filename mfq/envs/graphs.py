"""Who is whose neighbour in an environment: the graphs that `wrap` takes.

Legend: N agents, E directed edges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mfenvs.graph import CompleteGraph, EdgesGraph, NeighborGraph, RadiusGraph

NAMES = ("all", "type", "team")


@dataclass(frozen=True)
class Within:
    """Agents within a distance of each other listen to each other.

    Attributes:
        radius: Euclidean distance up to and including which agents are neighbours; 0 or more.
        positions: a function of the environment, called after each reset and step, that returns where
            the agents are: numbers [N, dims], in the order of its possible agents; NaN where one is
            nowhere.
        among: "all", "type" or "team": who may listen to whom at all.

    Raises:
        ValueError: for a radius below 0, or another ``among``; TypeError for no function.
    """

    radius: float
    positions: Callable[[Any], Any]
    among: str = "all"

    def __post_init__(self) -> None:
        if not self.radius >= 0:
            raise ValueError(f"radius={self.radius!r}; allowed: 0 or more")
        if not callable(self.positions):
            raise TypeError(f"positions={self.positions!r}; allowed: a function of the environment")
        if self.among not in NAMES:
            raise ValueError(f"among={self.among!r}; allowed: {', '.join(NAMES)}")


GraphLike = (
    NeighborGraph
    | Within
    | str
    | np.ndarray
    | Sequence[Sequence[int]]
    | Callable[[Any], Any]
    | None
)


class Graphs:
    """The neighbour graph of the moment, from whichever source the user chose.

    Args:
        env: the environment.
        graph: see `mfq.wrap`.
        groups, types: int [N].

    Attributes:
        moves: whether the graph may change.

    Raises:
        ValueError, TypeError: for a graph that does not fit.
    """

    def __init__(self, env: Any, graph: GraphLike, groups: np.ndarray, types: np.ndarray) -> None:
        self._env, self._num_agents = env, len(groups)
        self.moves = True  # or may
        self._labels = {"all": np.zeros_like(groups), "type": types, "team": groups}
        if graph is None and (owner := _owner_of_graph(env)) is not None:
            self._source: Callable[[], Any] = lambda: owner.neighbor_graph
        elif graph is None or isinstance(graph, str):
            name = "team" if graph is None else graph
            if name not in self._labels:
                raise ValueError(
                    f"graph={graph!r}; allowed: {', '.join(NAMES)}, a NeighborGraph, mfq.Within, an "
                    "edge list [2, E], or a function of the environment"
                )
            self._fix(CompleteGraph(len(groups), self._labels[name]))
        elif isinstance(graph, Within):
            near = graph
            self._source = lambda: near
        elif isinstance(graph, NeighborGraph):
            self._fix(graph)
        elif callable(graph):
            called = graph
            self._source = lambda: called(env)
        elif isinstance(graph, np.ndarray | list | tuple):
            self._fix(EdgesGraph(graph, len(groups)))
        else:
            raise TypeError(
                f"graph is a {type(graph).__name__}; allowed: None, {', '.join(NAMES)}, a "
                "NeighborGraph, mfq.Within, an edge list [2, E], or a function of the environment"
            )

    def now(self) -> NeighborGraph:
        """The graph of this moment.

        Raises:
            ValueError: if it has another number of agents, or is none.
        """
        found = self._source()
        if found is None:
            raise ValueError(
                "the graph (what its function returned, or env.neighbor_graph) is None; allowed: an "
                "edge list [2, E], a NeighborGraph, or mfq.Within"
            )
        if isinstance(found, Within):
            found = self._within(found)
        if not isinstance(found, NeighborGraph):
            found = EdgesGraph(found, self._num_agents)
        return self._checked(found)

    def _fix(self, graph: NeighborGraph) -> None:
        self._checked(graph)
        self._source, self.moves = lambda: graph, False

    def _checked(self, graph: NeighborGraph) -> NeighborGraph:
        if graph.num_agents != self._num_agents:
            raise ValueError(
                f"graph has {graph.num_agents} agents; allowed: {self._num_agents}, as the environment"
            )
        return graph

    def _within(self, near: Within) -> NeighborGraph:
        places = np.asarray(near.positions(self._env), np.float64)
        if places.ndim != 2 or len(places) != self._num_agents:
            raise ValueError(
                f"positions gave an array of shape {places.shape}; allowed: ({self._num_agents}, dims)"
            )
        return RadiusGraph(places[None], near.radius, self._labels[near.among])


class RowGraphs(NeighborGraph):
    """A graph of its own for each row.

    Args:
        graphs: B of them, each of the same number of agents and of a single row.
    """

    fixed = False

    def __init__(self, graphs: Sequence[NeighborGraph]) -> None:
        self.graphs, self.num_agents = list(graphs), graphs[0].num_agents
        self.include_self = any(graph.include_self for graph in graphs)

    @property
    def max_degree(self) -> int:
        return max(graph.max_degree for graph in self.graphs)

    def neighbors(self, agent: int, row: int = 0) -> np.ndarray:
        if not 0 <= row < len(self.graphs):
            raise ValueError(f"row={row!r} is out of range; allowed: 0 to {len(self.graphs) - 1}")
        return self.graphs[row].neighbors(agent)

    def _sum(self, x: Any) -> Any:
        total = x * 0
        for row, graph in enumerate(self.graphs):
            total[row : row + 1] = graph._sum(x[row : row + 1])
        return total


def _owner_of_graph(env: Any) -> Any:
    """The environment, or the one within PettingZoo's wrappers, that has a graph of its own."""
    while env is not None and not hasattr(env, "neighbor_graph"):
        env = getattr(env, "aec_env", None) or getattr(env, "env", None)
    return env
