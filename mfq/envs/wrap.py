"""The view of any environment: a BatchedEnv, PettingZoo's, Gymnasium's, or a list of these."""

from __future__ import annotations

from typing import Any

import gymnasium
import pettingzoo
from pettingzoo.utils.conversions import aec_to_parallel

from mfq.envs.batched import BatchedView
from mfq.envs.copies import Copies
from mfq.envs.graphs import GraphLike
from mfq.envs.parallel import OneAgent, ParallelView
from mfq.envs.view import View


def wrap(env: Any, graph: GraphLike = None) -> View:
    """Returns the view of an environment.

    Args:
        env: a BatchedEnv, a PettingZoo ParallelEnv or AECEnv (with ``is_parallelizable``), a
            gymnasium.Env, or a View (returned unchanged). A list of environments: copies of one, each
            becomes a row (see `mfq.Workers` for slow environments).
        graph: the neighbour graph. None takes that of the environment, or else "team". "all", "type"
            (equal spaces) and "team" (names that differ in their number only) are complete graphs among
            these agents; a single agent has no neighbour. Or a NeighborGraph, a fixed edge list int
            [2, E], `Within` a radius, or a function of the environment, called after each reset and
            step, that returns a NeighborGraph or an edge list.

    Raises:
        TypeError: for any other ``env`` or ``graph``.
        ValueError: if an action space is not Discrete, an observation space is not supported, agents
            act in turns, or the graph does not fit.
    """
    if isinstance(env, View):
        if graph is not None:
            raise ValueError("graph is given with a View, which has one; allowed: None")
        return env
    if isinstance(env, list | tuple):
        return Copies.of([wrap(copy, graph) for copy in env])
    is_class = isinstance(env, type)
    if not is_class and hasattr(env, "num_envs") and hasattr(env, "neighbor_graph"):
        return BatchedView(env, graph)
    if isinstance(env, gymnasium.Env):
        env = OneAgent(env)
    elif isinstance(env, pettingzoo.AECEnv):
        env = _parallel(env)
    if isinstance(env, pettingzoo.ParallelEnv):
        return ParallelView(env, graph)
    if isinstance(env, type):
        raise TypeError(
            f"env is the class {env.__name__}; allowed: an environment, such as {env.__name__}()"
        )
    raise TypeError(
        f"env is a {type(env).__name__}; allowed: a BatchedEnv, a PettingZoo ParallelEnv or AECEnv, "
        "a gymnasium.Env, a View, or a list of environments"
    )


def _parallel(env: Any) -> Any:
    """Returns the ParallelEnv of an AECEnv with ``is_parallelizable``."""
    try:
        return aec_to_parallel(env)
    except AssertionError:
        name = env.metadata.get("name", type(env).__name__)
        raise ValueError(
            f"{name} is played in turns (its metadata has no is_parallelizable=True); allowed: AEC "
            "environments with simultaneous actions, since a mean action is of one moment"
        ) from None
