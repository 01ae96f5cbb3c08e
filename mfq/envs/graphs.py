"""The neighbour graphs that `wrap` accepts.

Legend: N agents, E directed edges.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mfenvs.graph import CompleteGraph, EdgesGraph, NeighborGraph, RadiusGraph
from mfq.envs.members import agents_of
from mfq.envs.results import few

NAMES = ("all", "type", "team")


@dataclass(frozen=True)
class Within:
    """Agents within a distance of each other are neighbours.

    Attributes:
        radius: the largest Euclidean distance between neighbours, inclusive; 0 or more.
        positions: a function of the environment, called after each reset and step, that returns the
            positions of the agents: numbers [N, dims], in the order of its possible agents; NaN for an
            agent without a position.
        among: "all", "type" or "team": only agents of the same type or team can be neighbours, or all.

    Raises:
        ValueError: for a radius below 0, or another ``among``.
        TypeError: if ``positions`` is not callable.
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
    """The current neighbour graph, from the source that the user chose.

    Args:
        env: the environment.
        graph: see `mfq.wrap`.
        groups, types: int [N].

    Attributes:
        moves: whether the graph may change.

    Warns:
        UserWarning: if no graph is given, there are several agents, and each is alone in its group.

    Raises:
        ValueError, TypeError: for a graph that does not fit.
    """

    def __init__(self, env: Any, graph: GraphLike, groups: np.ndarray, types: np.ndarray) -> None:
        self._env, self._num_agents = env, len(groups)
        self.moves = True  # until `_fix`
        self._labels = {"all": np.zeros_like(groups), "type": types, "team": groups}
        if graph is None and (owner := _env_with_graph(env)) is not None:
            self._source: Callable[[], Any] = lambda: owner.neighbor_graph
        elif graph is None or isinstance(graph, str):
            name = "team" if graph is None else graph
            if name not in self._labels:
                raise ValueError(
                    f"graph={graph!r}; allowed: {', '.join(NAMES)}, a NeighborGraph, mfq.Within, an "
                    "edge list [2, E], or a function of the environment"
                )
            self._fix(CompleteGraph(len(groups), self._labels[name]))
            if graph is None and 1 < len(groups) == len(set(groups.tolist())):
                _warn_of_no_neighbors(env)
        elif isinstance(graph, Within):
            within = graph
            self._source = lambda: within
        elif isinstance(graph, NeighborGraph):
            self._fix(graph)
        elif callable(graph):
            function = graph
            self._source = lambda: function(env)
        elif isinstance(graph, np.ndarray | list | tuple):
            self._fix(EdgesGraph(graph, len(groups)))
        else:
            raise TypeError(
                f"graph is a {type(graph).__name__}; allowed: None, {', '.join(NAMES)}, a "
                "NeighborGraph, mfq.Within, an edge list [2, E], or a function of the environment"
            )

    def now(self) -> NeighborGraph:
        """Returns the current graph.

        Raises:
            ValueError: if it is None, or has another number of agents.
        """
        graph = self._source()
        if graph is None:
            raise ValueError(
                "the graph (what its function returned, or env.neighbor_graph) is None; allowed: an "
                "edge list [2, E], a NeighborGraph, or mfq.Within"
            )
        if isinstance(graph, Within):
            graph = self._within(graph)
        if not isinstance(graph, NeighborGraph):
            graph = EdgesGraph(graph, self._num_agents)
        return self._checked(graph)

    def _fix(self, graph: NeighborGraph) -> None:
        self._checked(graph)
        self._source, self.moves = lambda: graph, False

    def _checked(self, graph: NeighborGraph) -> NeighborGraph:
        if graph.num_agents != self._num_agents:
            raise ValueError(
                f"graph has {graph.num_agents} agents; allowed: {self._num_agents}, as the environment"
            )
        return graph

    def _within(self, within: Within) -> NeighborGraph:
        positions = np.asarray(within.positions(self._env), np.float64)
        if positions.ndim != 2 or len(positions) != self._num_agents:
            raise ValueError(
                f"positions gave an array of shape {positions.shape}; allowed: "
                f"({self._num_agents}, dims)"
            )
        return RadiusGraph(positions[None], within.radius, self._labels[within.among])


def _warn_of_no_neighbors(env: Any) -> None:
    warnings.warn(
        f"no agent has a neighbour: {few(agents_of(env))} are each a group alone (by their names, if no "
        "groups are given), so that all mean actions are zero and MFQ is independent Q-learning. For a "
        'mean over everybody give graph="all" (on the command line --graph all), for teams '
        'groups={agent: name} to mfq.wrap; graph="team" keeps it so without this warning',
        UserWarning,
        stacklevel=5,
    )


def _env_with_graph(env: Any) -> Any:
    """Returns the environment, or the one inside its PettingZoo wrappers, that has a neighbour graph."""
    while env is not None and not hasattr(env, "neighbor_graph"):
        env = getattr(env, "aec_env", None) or getattr(env, "env", None)
    return env
