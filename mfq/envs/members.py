"""The agents and the spaces of a parallel environment, PettingZoo's or one that looks like it.

Legend: N agents.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pettingzoo
from gymnasium import spaces

AGENTS = "possible_agents"


def is_parallel(env: Any) -> bool:
    """Returns whether an environment is a PettingZoo ParallelEnv, or has its methods and its agents."""
    if isinstance(env, pettingzoo.ParallelEnv):
        return True
    if isinstance(env, type) or not all(callable(getattr(env, m, None)) for m in ("reset", "step")):
        return False
    return any(getattr(env, name, None) is not None for name in (AGENTS, "agents"))


def agents_of(env: Any) -> list[Any]:
    """Returns all possible agents of an environment, in order.

    An environment that is not PettingZoo's may have ``agents`` alone.

    Raises:
        ValueError: if it has no ``possible_agents``, or one of them twice.
        TypeError: if an agent's id is not hashable.
    """
    agents = _listed(env, AGENTS)
    if not agents and not isinstance(env, pettingzoo.ParallelEnv):
        agents = _listed(env, "agents")
    if not agents:
        raise ValueError(
            f"{type(env).__name__} has no possible_agents; allowed: a list of all agents that there "
            "will ever be"
        )
    for agent in agents:
        if not isinstance(agent, Hashable):
            raise TypeError(
                f"possible_agents has {agent!r}, a {type(agent).__name__}; allowed: hashable ids, such "
                "as strings, integers and tuples"
            )
    if len(set(agents)) < len(agents):
        twice = next(agent for i, agent in enumerate(agents) if agent in agents[:i])
        raise ValueError(f"possible_agents has {twice!r} twice; allowed: each agent once")
    return agents


def present_in(env: Any) -> set[Any]:
    """Returns the agents in ``env.agents``."""
    return set(_listed(env, "agents"))


def _listed(env: Any, name: str) -> list[Any]:
    """Returns an attribute as a list; [] where it is missing or None."""
    given = getattr(env, name, None)
    if given is None:
        return []
    if isinstance(given, np.ndarray):
        return given.tolist()
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise TypeError(f"{name}={given!r}; allowed: a list of agents")
    return list(given)


def spaces_of(env: Any, agents: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Returns the (observation space, action space) of each agent.

    A space is what the method ``observation_space(agent)`` returns. Instead of methods there may be a
    dict by agent or a list in the order of the agents, as ``observation_spaces`` or
    ``observation_space``; or ``observation_space`` is the space of each agent.

    Raises:
        ValueError: if an agent has none, or it is not Gymnasium's; the message names the agent.
    """
    observed = [_space(env, agents, i, "observation_space") for i in range(len(agents))]
    chosen = [_space(env, agents, i, "action_space") for i in range(len(agents))]
    return list(zip(observed, chosen, strict=True))


def _space(env: Any, agents: Sequence[Any], i: int, name: str) -> spaces.Space[Any]:
    agent = agents[i]
    single = getattr(env, name, None)
    if callable(single) and not isinstance(single, spaces.Space):
        try:
            space = single(agent)
        except (AttributeError, KeyError) as error:  # such as PettingZoo's, which looks in a dict
            raise ValueError(
                f"agent {agent!r} has no {name} ({type(error).__name__}: {error}); allowed: a space "
                f"from {name}(agent), or a dict {name}s by agent"
            ) from error
    else:
        space = _part(getattr(env, f"{name}s", None), agents, i)
        if space is None:
            space = _part(single, agents, i)
        if space is None:
            space = single
    if not isinstance(space, spaces.Space):
        raise ValueError(
            f"agent {agent!r} has the {name} {space!r} ({type(space).__module__}); allowed: a "
            f"gymnasium.spaces.Space from {name}(agent), or a dict {name}s by agent"
        )
    return space


def _part(given: Any, agents: Sequence[Any], i: int) -> Any:
    """Returns agent i's part of a dict by agent or of a list in their order; None if it is neither."""
    if isinstance(given, Mapping):
        return given.get(agents[i], None)
    if isinstance(given, spaces.Tuple):
        given = given.spaces
    if isinstance(given, list | tuple) and len(given) == len(agents):
        return given[i]
    return None


def labels(option: str, given: Any, agents: Sequence[Any]) -> list[str]:
    """Returns the names that the option ``groups`` or ``types`` gives to the agents.

    Args:
        option: the name of the option, for error messages.
        given: a dict agent -> name, or a function of an agent that returns a name.
        agents: N agents.

    Raises:
        ValueError: if the dict lacks an agent, or has one that does not exist.
        TypeError: if it is neither, or a name is not a string.
    """
    if isinstance(given, Mapping):
        if missing := [agent for agent in agents if agent not in given]:
            raise ValueError(f"{option} has no {missing[0]!r}; allowed: a name for each agent")
        if unknown := [agent for agent in given if agent not in agents]:
            raise ValueError(
                f"{option} has {unknown[0]!r}, which is not in possible_agents; allowed: "
                f"{', '.join(map(repr, agents))}"
            )
        names = [given[agent] for agent in agents]
    elif callable(given):
        function: Callable[[Any], Any] = given
        names = [function(agent) for agent in agents]
    else:
        raise TypeError(
            f"{option}={given!r}; allowed: a dict agent -> name, or a function of an agent"
        )
    for agent, name in zip(agents, names, strict=True):
        if not isinstance(name, str):
            raise TypeError(f"{option} gives {agent!r} the name {name!r}; allowed: a string")
    return names
