"""State of the Gaussian squeeze, and its options as the rules read them."""

from __future__ import annotations

from typing import Any, NamedTuple


class Params(NamedTuple):
    """The options as the rules read them."""

    num_agents: int
    share: float  # 1 / N; multiplying by it takes half the time of dividing by N
    mu: float
    sigma: float
    best: float  # the best total that the agents can reach
    reward: int
    max_cycles: int  # -1: never


class State(NamedTuple):
    """B rows: how often each action was chosen in the last step, and what follows from that.

    Attributes:
        time: int32 [B]; steps since the row's reset.
        count: int64 [B, 1 + A]; agents without an action, then those with action 0, 1, ...
        total: int64 [B]; x, the sum of all actions.
        objective, performance: float64 [B]; G(x) and G(x) / G*.
        reward: float32 [B]; of each agent.
    """

    time: Any
    count: Any
    total: Any
    objective: Any
    performance: Any
    reward: Any


class Snapshot(NamedTuple):
    """int64 [B, 1 + A], as in `State`. Observations do not depend on it."""

    count: Any
