"""The view of any environment: a BatchedEnv, PettingZoo's, Gymnasium's, or a list of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import pettingzoo
from pettingzoo.utils.conversions import aec_to_parallel

from mfq.envs.batched import BatchedView
from mfq.envs.copies import Copies
from mfq.envs.graphs import GraphLike
from mfq.envs.gymnasium_agents import OneAgent, TupleAgents, has_tuples
from mfq.envs.members import is_parallel
from mfq.envs.parallel import ParallelView
from mfq.envs.view import View

Names = Mapping[Any, str] | Callable[[Any], str] | None


def wrap(env: Any, graph: GraphLike = None, groups: Names = None, types: Names = None) -> View:
    """Returns the view of an environment.

    Args:
        env: a BatchedEnv, a PettingZoo ParallelEnv or AECEnv (with ``is_parallelizable``), a
            gymnasium.Env (of several agents, if it has ``possible_agents``, as RLlib's have, or if both
            spaces are Tuples of equal length; see `mfq.TupleAgents`), an object with the methods and
            attributes of a ParallelEnv, or a View (returned unchanged). A list of environments: copies
            of one, each becomes a row (see `mfq.Workers` for slow environments).
        graph: the neighbour graph. None takes that of the environment, or else "team". "all", "type"
            and "team" (agents of one group) are complete graphs among these agents; a single agent has
            no neighbour. Or a NeighborGraph, a fixed edge list int [2, E], `Within` a radius, or a
            function of the environment, called after each reset and step, that returns a NeighborGraph
            or an edge list.
        groups: the group of each agent, as a dict agent -> name, or a function of an agent. None: agents
            with names that differ in their last number only ("wolf_0", "wolf3", integers) are a group.
        types: the type of each agent, likewise. Agents of one type have equal spaces and share a network
            in `mfq.ByType`. None: all agents of equal spaces are a type.

    Warns:
        UserWarning: if no graph is given and each of several agents is alone in its group, so that
            nobody has a neighbour.

    Raises:
        TypeError: for any other ``env`` or option.
        ValueError: if an action space is not Discrete (or MultiDiscrete or MultiBinary of at most 1000
            combinations), an observation space is not supported, agents act in turns, or ``graph``,
            ``groups`` or ``types`` do not fit.
    """
    has_names = groups is not None or types is not None
    if isinstance(env, View):
        if graph is not None or has_names:
            raise ValueError(
                "graph, groups or types is given with a View, which has them; allowed: None"
            )
        return env
    if isinstance(env, list | tuple):
        return Copies.of([wrap(copy, graph, groups, types) for copy in env])
    if isinstance(env, type):
        raise TypeError(
            f"env is the class {env.__name__}; allowed: an environment, such as {env.__name__}()"
        )
    if isinstance(env, pettingzoo.AECEnv):
        env = _parallel(env)
    if isinstance(env, pettingzoo.ParallelEnv):
        return ParallelView(env, graph, groups, types)
    if hasattr(env, "num_envs") and hasattr(env, "neighbor_graph"):
        if has_names:
            raise ValueError(
                "groups or types is given with a BatchedEnv, which has them; allowed: None"
            )
        return BatchedView(env, graph)
    # RLlib's MultiAgentEnv is a gymnasium.Env, too.
    if isinstance(env, gymnasium.Env) and not getattr(env, "possible_agents", None):
        env = TupleAgents(env) if has_tuples(env) else OneAgent(env)
    if is_parallel(env):
        return ParallelView(env, graph, groups, types)
    raise TypeError(
        f"env is a {type(env).__name__}; allowed: a BatchedEnv, a PettingZoo ParallelEnv or AECEnv, "
        "a gymnasium.Env, an object with reset, step and possible_agents, a View, or a list of "
        "environments"
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
