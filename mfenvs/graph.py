"""Neighbour graphs, and the mean over live neighbours from which a mean field is made.

A graph is immutable and describes one time step. Its methods accept numpy arrays and torch tensors on
any device, and return arrays of the same library; this file does not import torch.

Legend: B rows, N agents, E directed edges, D features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mfenvs.validate import whole

Array = Any  # numpy.ndarray or torch.Tensor
MAX_TABLE_AGENTS = 8192  # of a graph whose adjacency matrix is stored


class NeighborGraph(ABC):
    """Neighbourhoods of N agents, the same in all rows unless a subclass says otherwise.

    An edge (i, j) means that j is a neighbour of i: agent i averages over j. An agent is a neighbour of
    itself only if ``include_self``.
    """

    num_agents: int
    include_self: bool = False
    fixed: bool = True
    """Whether neighbourhoods are the same in all rows and at all times."""

    @abstractmethod
    def neighbors(self, agent: int, row: int = 0) -> np.ndarray:
        """Returns the neighbours of ``agent`` in ``row``, dead or alive: int64, ascending."""

    @abstractmethod
    def _sum(self, x: Array) -> Array:
        """Returns the sum of x [B, N, D] over each agent's neighbours, [B, N, D] of the same dtype."""

    @property
    @abstractmethod
    def max_degree(self) -> int:
        """The largest number of neighbours that an agent has when all are alive."""

    def degree(self, alive: Array) -> Array:
        """Returns the number of live neighbours of each agent.

        Args:
            alive: bool [B, N].

        Returns:
            int64 [B, N], an array of the same library.
        """
        self._check(alive, "alive", 2)
        return self._sum(_match(alive, _int64(alive))[..., None])[..., 0]

    def mean(self, x: Array, alive: Array) -> Array:
        """Returns the mean of x over each agent's live neighbours, or zeros if there are none.

        Args:
            x: floats [B, N, D], finite for dead agents too.
            alive: bool [B, N]; which agents count as neighbours.

        Returns:
            [B, N, D] in the dtype of x.

        Raises:
            ValueError: if a shape does not match.
        """
        self._check(x, "x", 3)
        self._check(alive, "alive", 2)
        weight = _match(alive, x)[..., None]
        return self._sum(x * weight) / self._sum(weight).clip(1)

    def adjacency_rows(self, agents: Array) -> Array:
        """Returns rows of the adjacency matrix of a fixed graph: bool [M, N].

        Args:
            agents: int64 [M], whose rows to return.

        Raises:
            ValueError: for a graph that is not fixed, or too large for a matrix [N, N].
        """
        if not self.fixed or self.num_agents > MAX_TABLE_AGENTS:
            raise ValueError(
                f"adjacency_rows of a graph of {self.num_agents} agents that is "
                f"{'' if self.fixed else 'not '}fixed; allowed: fixed, of at most {MAX_TABLE_AGENTS}"
            )
        return self._table.like(agents[:0] != 0)[agents]

    @cached_property
    def _table(self) -> _Constant:
        """The adjacency matrix: bool [N, N]."""
        table = np.zeros((self.num_agents, self.num_agents), np.bool_)
        table[tuple(self.edge_index())] = True
        return _Constant(table)

    def edge_index(self, row: int = 0) -> np.ndarray:
        """Returns the directed edges of ``row``: int64 [2, E], each an agent and its neighbour."""
        lists = [self.neighbors(agent, row) for agent in range(self.num_agents)]
        agents = np.repeat(np.arange(self.num_agents), [len(near) for near in lists])
        return np.stack([agents, np.concatenate([*lists, np.zeros(0, np.int64)])])

    def _check(self, array: Array, name: str, ndim: int) -> None:
        shape = tuple(array.shape)
        if len(shape) != ndim or shape[1] != self.num_agents:
            allowed = ["B", str(self.num_agents), "D"][:ndim]
            raise ValueError(f"{name} has shape {shape}; allowed: [{', '.join(allowed)}]")


class CompleteGraph(NeighborGraph):
    """All agents of a group are neighbours. A mean takes O(N): the sum of the group less the agent.

    Args:
        num_agents: N >= 1.
        groups: int [N], the group of each agent; None puts all in one.
        include_self: whether an agent is its own neighbour.
    """

    def __init__(
        self, num_agents: int, groups: np.ndarray | None = None, include_self: bool = False
    ) -> None:
        self.num_agents = whole("num_agents", num_agents, 1)
        self.include_self = include_self
        labels = np.zeros(num_agents, np.int64) if groups is None else np.array(groups)
        if labels.shape != (num_agents,):
            raise ValueError(f"groups has shape {labels.shape}; allowed: ({num_agents},)")
        self._groups = _Constant(labels)
        self._numbers = _Constant(np.arange(num_agents))
        self._members = [np.flatnonzero(labels == label) for label in np.unique(labels)]

    @property
    def groups(self) -> np.ndarray:
        """int64 [N]; the group of each agent."""
        return self._groups.array.copy()

    @property
    def max_degree(self) -> int:
        return max(map(len, self._members)) - (not self.include_self)

    def neighbors(self, agent: int, row: int = 0) -> np.ndarray:
        agent = _index("agent", agent, self.num_agents)
        groups = self._groups.array
        members = np.flatnonzero(groups == groups[agent])
        return members if self.include_self else members[members != agent]

    def adjacency_rows(self, agents: Array) -> Array:
        labels = self._groups.like(agents)
        near = labels[None, :] == labels[agents][:, None]
        if not self.include_self:
            near &= self._numbers.like(agents)[None, :] != agents[:, None]
        return near

    def _sum(self, x: Array) -> Array:
        total = x * 0
        for members in self._members:
            index: Any = _slice_or_index(members)
            total[:, index] = x[:, index].sum(1)[:, None]
        return total if self.include_self else total - x


class LatticeGraph(NeighborGraph):
    """The four nearest neighbours on a square torus, agents numbered line by line.

    Args:
        side: sites along an edge, at least 3. On a smaller torus two neighbours are the same site.
        include_self: whether a site is its own neighbour.
    """

    def __init__(self, side: int, include_self: bool = False) -> None:
        self.side, self.include_self = whole("side", side, 3), include_self
        self.num_agents = side * side

    @property
    def max_degree(self) -> int:
        return 4 + self.include_self

    def neighbors(self, agent: int, row: int = 0) -> np.ndarray:
        agent, degree = _index("agent", agent, self.num_agents), self.max_degree
        return self._edges[1, agent * degree : (agent + 1) * degree].copy()

    def edge_index(self, row: int = 0) -> np.ndarray:
        return self._edges.copy()

    @cached_property
    def _edges(self) -> np.ndarray:
        side, sites = self.side, np.arange(self.num_agents)
        y, x = sites // side, sites % side
        around = [
            (y - 1) % side * side + x,
            (y + 1) % side * side + x,
            y * side + (x - 1) % side,
            y * side + (x + 1) % side,
            sites,
        ][: self.max_degree]
        return np.stack([sites.repeat(self.max_degree), np.sort(around, 0).T.ravel()])

    def _sum(self, x: Array) -> Array:
        grid = x.reshape(x.shape[0], self.side, self.side, x.shape[2])
        total = grid + 0 if self.include_self else grid * 0
        total[:, 1:] += grid[:, :-1]
        total[:, :1] += grid[:, -1:]
        total[:, :-1] += grid[:, 1:]
        total[:, -1:] += grid[:, :1]
        total[:, :, 1:] += grid[:, :, :-1]
        total[:, :, :1] += grid[:, :, -1:]
        total[:, :, :-1] += grid[:, :, 1:]
        total[:, :, -1:] += grid[:, :, :1]
        return total.reshape(x.shape)


class RadiusGraph(NeighborGraph):
    """Agents within a Euclidean distance of each other are neighbours; rows differ.

    Args:
        positions: floats or ints [B, N, dims]; copied.
        radius: the largest distance of neighbours.
        groups: int [N]; if given, only agents of one group are neighbours.
        include_self: whether an agent is its own neighbour.
    """

    fixed = False

    def __init__(
        self,
        positions: Array,
        radius: float,
        groups: np.ndarray | None = None,
        include_self: bool = False,
    ) -> None:
        if len(positions.shape) != 3:
            raise ValueError(f"positions has shape {tuple(positions.shape)}; allowed: [B, N, dims]")
        if not radius >= 0:
            raise ValueError(f"radius={radius!r} is out of range; allowed: 0 or more")
        self.num_agents, self.radius = int(positions.shape[1]), radius
        self.include_self = include_self
        gaps = positions[:, :, None] - positions[:, None]
        near = (gaps * gaps).sum(-1) <= radius * radius
        if groups is not None:
            labels = np.asarray(groups)
            near = near & _match(labels[:, None] == labels[None, :], near)
        diagonal = np.arange(self.num_agents)
        near[:, diagonal, diagonal] = include_self
        self._near = near

    @property
    def max_degree(self) -> int:
        return int(self._near.sum(-1).max())

    def neighbors(self, agent: int, row: int = 0) -> np.ndarray:
        agent = _index("agent", agent, self.num_agents)
        row = _index("row", row, self._near.shape[0])
        return np.flatnonzero(np.asarray(self._near[row, agent].tolist()))

    def _sum(self, x: Array) -> Array:
        return _match(self._near, x) @ x


class EdgesGraph(NeighborGraph):
    """A fixed list of directed edges.

    Args:
        edge_index: int [2, E]; ``edge_index[1, e]`` is a neighbour of ``edge_index[0, e]``. A repeated
            edge counts once.
        num_agents: N >= 1.

    Raises:
        ValueError: for another shape, or an agent outside [0, N).
    """

    def __init__(self, edge_index: Any, num_agents: int) -> None:
        self.num_agents = whole("num_agents", num_agents, 1)
        edges = np.asarray(edge_index)
        if edges.size == 0:
            edges = np.zeros((2, 0), np.int64)
        if edges.ndim != 2 or edges.shape[0] != 2 or edges.dtype.kind not in "iu":
            raise ValueError(
                f"edge_index has shape {edges.shape} and dtype {edges.dtype}; allowed: int [2, E]"
            )
        if edges.size and not (edges.min() >= 0 and edges.max() < num_agents):
            raise ValueError(
                f"edge_index names agents from {edges.min()} to {edges.max()}; "
                f"allowed: 0 to {num_agents - 1}"
            )
        self._edges = np.unique(edges.astype(np.int64), axis=1)
        self.include_self = bool((self._edges[0] == self._edges[1]).any())

    @property
    def max_degree(self) -> int:
        return int(np.bincount(self._edges[0], minlength=1).max())

    def neighbors(self, agent: int, row: int = 0) -> np.ndarray:
        agent = _index("agent", agent, self.num_agents)
        return self._edges[1, self._edges[0] == agent]

    def _sum(self, x: Array) -> Array:
        total = x * 0
        agents, neighbors = _match(self._edges, _int64(x))
        if isinstance(x, np.ndarray):
            np.add.at(total.swapaxes(0, 1), agents, x[:, neighbors].swapaxes(0, 1))
        else:
            total.index_add_(1, agents, x[:, neighbors])
        return total


class RowGraphs(NeighborGraph):
    """One graph for each row.

    Args:
        graphs: B graphs of the same number of agents, each of a single row.
    """

    fixed = False

    def __init__(self, graphs: Sequence[NeighborGraph]) -> None:
        self.graphs, self.num_agents = list(graphs), graphs[0].num_agents
        self.include_self = any(graph.include_self for graph in graphs)

    @property
    def max_degree(self) -> int:
        return max(graph.max_degree for graph in self.graphs)

    def neighbors(self, agent: int, row: int = 0) -> np.ndarray:
        return self.graphs[_index("row", row, len(self.graphs))].neighbors(agent)

    def _sum(self, x: Array) -> Array:
        total = x * 0
        for row, graph in enumerate(self.graphs):
            total[row : row + 1] = graph._sum(x[row : row + 1])
        return total


def _match(array: Array, like: Array) -> Array:
    """Converts an array to the library, device and dtype of ``like``."""
    if isinstance(like, np.ndarray):
        return np.asarray(array, like.dtype)
    return array.to(like) if hasattr(array, "to") else like.new_tensor(array)


class _Constant:
    """An array that is copied to each library, device and dtype once.

    A copy to a GPU waits for the work queued there.
    """

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self._copies: dict[tuple[Any, ...], Array] = {}

    def like(self, other: Array) -> Array:
        """Returns the array as `_match` converts it."""
        key = type(other), getattr(other, "device", None), other.dtype
        if key not in self._copies:
            self._copies[key] = _match(self.array, other)
        return self._copies[key]


def _int64(like: Array) -> Array:
    """Returns an empty int64 array of the library and device of ``like``, for `_match`."""
    empty = like[:0]
    return empty.astype(np.int64) if isinstance(empty, np.ndarray) else empty.long()


def _slice_or_index(members: np.ndarray) -> slice | np.ndarray:
    """Returns contiguous members as a slice, with which indexing does not copy."""
    first, last = int(members[0]), int(members[-1])
    return slice(first, last + 1) if last - first + 1 == len(members) else members


def _index(name: str, value: int, size: int) -> int:
    if not 0 <= value < size:
        raise ValueError(f"{name}={value!r} is out of range; allowed: 0 to {size - 1}")
    return int(value)
