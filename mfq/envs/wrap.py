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
    """The view of an environment.

    Args:
        env: a BatchedEnv, a PettingZoo ParallelEnv or AECEnv (one whose agents act at the same time), a
            gymnasium.Env, or a View (returned as it is). A list of environments: copies of one, each a
            row (see `mfq.Workers` for slow ones).
        graph: None takes the environment's own neighbour graph, or else "team". "all", "type" (equal
            spaces) or "team" (equal names but for the number) are complete graphs among these; a
            single agent has no neighbour. Or a NeighborGraph, a fixed edge list int [2, E], `Within` a
            radius, or a function that is given the environment after each step and returns a
            NeighborGraph or an edge list.

    Raises:
        TypeError: for anything else.
        ValueError: if an agent has no Discrete actions, or observes what no tensor holds, or acts in
            turns, or the graph does not fit.
    """
    if isinstance(env, View):
        if graph is not None:
            raise ValueError("graph is given with a View, which has one; allowed: None")
        return env
    if isinstance(env, list | tuple):
        return Copies.of([wrap(one, graph) for one in env])
    if hasattr(env, "num_envs") and hasattr(env, "neighbor_graph"):
        return BatchedView(env, graph)
    if isinstance(env, gymnasium.Env):
        env = OneAgent(env)
    elif isinstance(env, pettingzoo.AECEnv):
        env = _parallel(env)
    if isinstance(env, pettingzoo.ParallelEnv):
        return ParallelView(env, graph)
    raise TypeError(
        f"env is a {type(env).__name__}; allowed: a BatchedEnv, a PettingZoo ParallelEnv or AECEnv, "
        "a gymnasium.Env, a View, or a list of environments"
    )


def _parallel(env: Any) -> Any:
    """The ParallelEnv of an AECEnv whose agents act at the same time."""
    try:
        return aec_to_parallel(env)
    except AssertionError:
        name = env.metadata.get("name", type(env).__name__)
        raise ValueError(
            f"{name} is played in turns (its metadata has no is_parallelizable=True); allowed: AEC "
            "environments whose agents act at the same time, since a mean action is of one moment"
        ) from None
