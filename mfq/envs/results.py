"""Checks what ``reset`` and ``step`` of a parallel environment return.

Harmless departures from PettingZoo's API are accepted: infos that are None, one bool for all flags,
and the keys ``__all__`` and ``__common__`` of RLlib's dicts, and PettingZoo's ``common``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Set
from typing import Any, NamedTuple

import numpy as np

PARTS = ("observations", "rewards", "terminations", "truncations", "infos")
ALL = "__all__"
# Keys that are no agents, in RLlib and PettingZoo.
SHARED = {ALL, "__common__", "common"}


class Results(NamedTuple):
    """What a step returned, by agent.

    Attributes:
        obs: the observations.
        rewards: floats.
        terminated, truncated: the agents with that flag.
        infos: a dict for each agent that has one.
        all_terminated, all_truncated: whether the flag ``__all__`` is True.
    """

    obs: Mapping[Any, Any]
    rewards: Mapping[Any, float]
    terminated: set[Any]
    truncated: set[Any]
    infos: Mapping[Any, Mapping[str, Any]]
    all_terminated: bool = False
    all_truncated: bool = False


def of_reset(returned: Any, agents: Set[Any]) -> Results:
    """Returns the results of a reset.

    Args:
        returned: what ``reset`` returned.
        agents: all possible agents.

    Raises:
        ValueError: for other values, or agents that are not possible ones.
    """
    obs, infos = parts("reset", returned, ("observations", "infos"))
    return Results(
        _by_agent("reset", "observations", obs, agents),
        {},
        set(),
        set(),
        _infos("reset", infos, agents),
    )


def of_step(returned: Any, agents: Set[Any], present: Collection[Any], time: int) -> Results:
    """Returns the results of a step.

    Args:
        returned: what ``step`` returned.
        agents: all possible agents.
        present: those to whom a single flag applies.
        time: the number of the step, for error messages.

    Raises:
        ValueError: for other values, or agents that are not possible ones.
    """
    where = f"step {time}"
    obs, rewards, terminations, truncations, infos = parts("step", returned, PARTS)
    rewards = _by_agent(where, "rewards", rewards, agents)
    terminated, all_terminated = _flags(where, "terminations", terminations, agents, present)
    truncated, all_truncated = _flags(where, "truncations", truncations, agents, present)
    return Results(
        obs=_by_agent(where, "observations", obs, agents),
        rewards=_finite(rewards, agents, time),
        terminated=terminated,
        truncated=truncated,
        infos=_infos(where, infos, agents),
        all_terminated=all_terminated,
        all_truncated=all_truncated,
    )


def parts(method: str, values: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    """Returns the values that a method returned.

    Raises:
        ValueError: unless they are as many as there are names.
    """
    is_sequence = isinstance(values, tuple | list)
    if not is_sequence or len(values) != len(names):
        what = f"{len(values)} values" if is_sequence else f"a {type(values).__name__}"
        hint = ""
        if is_sequence and (len(values), len(names)) == (4, 5):
            hint = " (the old API has one flag 'done'; return two, terminated and truncated)"
        raise ValueError(
            f"{method} returned {what}; allowed: {len(names)}: {', '.join(names)}{hint}"
        )
    return tuple(values)


def finite(agent: Any, reward: Any, step: int) -> float:
    """Returns a reward as a float.

    Raises:
        ValueError: if it is not a finite number; the message names the agent and the step.
    """
    try:
        number = float(reward) if np.ndim(reward) == 0 else math.nan
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(
            f"agent {agent!r} got the reward {reward!r} in step {step}; allowed: a finite number"
        )
    return number


NUMBERS = {float, int, np.float32, np.float64}


def _finite(rewards: Mapping[Any, Any], agents: Set[Any], time: int) -> Mapping[Any, float]:
    """Returns the rewards of agents as floats; see `finite`."""
    values = rewards.values()
    # A sum of finite numbers that overflows is checked number by number.
    if rewards.keys() <= agents and {*map(type, values)} <= NUMBERS and math.isfinite(sum(values)):
        return dict(zip(rewards, map(float, values), strict=True))
    return {agent: finite(agent, rewards[agent], time) for agent in rewards if agent in agents}


def flag(where: str, name: str, agent: Any, value: Any) -> bool:
    """Returns a flag as a bool.

    Raises:
        ValueError: unless it is a bool, or 0 or 1; the message names the agent.
    """
    if isinstance(value, bool):
        return value
    if np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf" and value in (0, 1):
        return bool(value)
    raise ValueError(f"{where} returned {name}[{agent!r}]={value!r}; allowed: True or False")


def _by_agent(where: str, name: str, given: Any, agents: Set[Any]) -> Mapping[Any, Any]:
    """Checks that a part is a dict by agent."""
    if not isinstance(given, Mapping):
        raise ValueError(
            f"{where} returned {name} as a {type(given).__name__}; allowed: a dict by agent"
        )
    if not given.keys() <= agents:
        unknown = [agent for agent in given if agent not in agents and agent not in SHARED]
        if unknown:
            raise ValueError(
                f"{where} returned {name} of {unknown[0]!r}, which is not in possible_agents; allowed: "
                f"{few(agents)}"
            )
    return given


def _flags(
    where: str, name: str, given: Any, agents: Set[Any], present: Collection[Any]
) -> tuple[set[Any], bool]:
    """Returns the agents with a True flag, and whether that of ``__all__`` is True."""
    if isinstance(given, bool | np.bool_):
        return (set(present) if given else set()), False
    flags = _by_agent(where, name, given, agents)
    if {*map(type, flags.values())} <= {bool, np.bool_}:  # for speed
        raised = {agent for agent, value in flags.items() if value}
    else:
        raised = {agent for agent in flags if flag(where, name, agent, flags[agent])}
    return raised & agents, ALL in raised - agents


def _infos(where: str, given: Any, agents: Set[Any]) -> Mapping[Any, Mapping[str, Any]]:
    """Returns the infos of agents, without those that are None."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ValueError(
            f"{where} returned infos as a {type(given).__name__}; allowed: a dict by agent"
        )
    if given.keys() <= agents and {*map(type, given.values())} <= {dict}:  # for speed
        return given
    infos = {agent: info for agent, info in given.items() if info is not None and agent in agents}
    for agent, info in infos.items():
        if not isinstance(info, Mapping):
            raise ValueError(f"{where} returned infos[{agent!r}]={info!r}; allowed: a dict")
    return infos


def few(agents: Collection[Any]) -> str:
    """Returns the first agents of a collection for a message."""
    names = [repr(agent) for agent in list(agents)[:8]]
    return ", ".join(names) + (", ..." if len(agents) > 8 else "")
