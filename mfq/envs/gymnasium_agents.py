"""Gymnasium environments as PettingZoo ones: of one agent, or of several in Tuple spaces.

Legend: N agents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pettingzoo
from gymnasium import spaces

from mfq.envs.observations import MASK
from mfq.envs.results import flag, parts

STEP = ("observation", "reward", "terminated", "truncated", "info")


class OneAgent(pettingzoo.ParallelEnv):
    """A single-agent Gymnasium environment as a PettingZoo one with the agent "agent_0"."""

    def __init__(self, env: Any) -> None:
        self.env, self.metadata = env, getattr(env, "metadata", {})
        self.possible_agents, self.agents = ["agent_0"], list[str]()

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        return self.env.observation_space

    def action_space(self, agent: str) -> spaces.Space[Any]:
        return self.env.action_space

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        returned = self.env.reset(seed=seed, options=options)
        obs, info = parts("reset", returned, ("observation", "info"))
        self.agents = ["agent_0"]
        return {"agent_0": obs}, {"agent_0": info}

    def step(self, actions: dict[str, Any]) -> Any:
        *values, info = parts("step", self.env.step(actions["agent_0"]), STEP)
        ends = [
            flag("step", name, "agent_0", values[i]) for i, name in ((2, STEP[2]), (3, STEP[3]))
        ]
        if any(ends):
            self.agents = []
        return (*({"agent_0": value} for value in values), {"agent_0": info})

    def render(self) -> Any:
        return self.env.render()

    def close(self) -> None:
        if callable(close := getattr(self.env, "close", None)):
            close()


class TupleAgents(pettingzoo.ParallelEnv):
    """A Gymnasium environment of several agents as a PettingZoo one.

    Agent i, "agent_i", has part i of the observation space and of the action space, and receives part i
    of each observation and of each reward. All agents choose at each step. A reward that is a single
    number is that of each agent. Flags are one bool for all, or a list of N: an agent with a True flag
    has left, and its part of the joint action is from then on the first action of its space. The info is
    a list of N dicts, or one dict for all, of which an ``action_mask``, a list of N masks, is split.

    `mfq.wrap` does this by itself for a ``gymnasium.Env`` with two Tuple spaces of equal length.

    Args:
        env: an environment with Gymnasium's `reset` and `step`. Its spaces are Tuples, or lists of
            spaces, of equal length N.

    Raises:
        ValueError: for other spaces, or in `reset` and `step` for results of another form.
    """

    def __init__(self, env: Any) -> None:
        observed, chosen = _parts_of(env.observation_space), _parts_of(env.action_space)
        if not observed or not chosen or len(observed) != len(chosen):
            raise ValueError(
                f"{type(env).__name__} has the observation space {env.observation_space} and the action "
                f"space {env.action_space}; allowed: two Tuples of equal length, a part for each agent"
            )
        self.env, self.metadata = env, getattr(env, "metadata", {})
        self.possible_agents = [f"agent_{i}" for i in range(len(observed))]
        self.agents: list[str] = []
        self._observation_spaces = dict(zip(self.possible_agents, observed, strict=True))
        self._action_spaces = dict(zip(self.possible_agents, chosen, strict=True))

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        return self._action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        returned = self.env.reset(seed=seed, options=options)
        obs, info = parts("reset", returned, ("observation", "info"))
        self.agents = list(self.possible_agents)
        return self._dict("reset", "observation", obs), self._infos(info)

    def step(self, actions: dict[str, Any]) -> Any:
        joint = tuple(
            actions[agent] if agent in actions else _first(self._action_spaces[agent])
            for agent in self.possible_agents
        )
        obs, reward, terminated, truncated, info = parts("step", self.env.step(joint), STEP)
        present = self.agents
        if np.ndim(reward) == 0:
            rewards = dict.fromkeys(self.possible_agents, reward)
        else:
            rewards = self._dict("step", "reward", reward)
        ends = [
            self._flags(name, value)
            for name, value in (("terminated", terminated), ("truncated", truncated))
        ]
        self.agents = [agent for agent in present if not any(flags[agent] for flags in ends)]
        results = (self._dict("step", "observation", obs), rewards, *ends, self._infos(info))
        return tuple({agent: part[agent] for agent in present} for part in results)

    def render(self) -> Any:
        return self.env.render()

    def close(self) -> None:
        if callable(close := getattr(self.env, "close", None)):
            close()

    def _flags(self, name: str, value: Any) -> dict[str, bool]:
        if np.ndim(value) == 0:
            return dict.fromkeys(self.possible_agents, flag("step", name, "agent_0", value))
        flags = self._dict("step", name, value)
        return {agent: flag("step", name, agent, flags[agent]) for agent in flags}

    def _infos(self, info: Any) -> dict[str, Any]:
        if isinstance(info, list | tuple):
            return self._dict("step", "info", info)
        infos = dict.fromkeys(self.possible_agents, info)
        if isinstance(info, Mapping) and MASK in info:
            masks = self._dict("step", MASK, info[MASK])
            infos = {agent: {**info, MASK: masks[agent]} for agent in infos}
        return infos

    def _dict(self, method: str, name: str, value: Any) -> dict[str, Any]:
        """Returns a list of N parts as a dict by agent."""
        count = len(self.possible_agents)
        is_sequence = isinstance(value, list | tuple | np.ndarray)
        if not is_sequence or len(value) != count:
            what = f"{len(value)} parts" if is_sequence else f"a {type(value).__name__}"
            raise ValueError(
                f"{method} returned the {name} as {what}; allowed: {count} parts, one for each agent"
            )
        return dict(zip(self.possible_agents, value, strict=True))


def has_tuples(env: Any) -> bool:
    """Returns whether both spaces of an environment are Tuples of equal length."""
    observed, chosen = env.observation_space, env.action_space
    are_tuples = isinstance(observed, spaces.Tuple) and isinstance(chosen, spaces.Tuple)
    return are_tuples and len(observed.spaces) == len(chosen.spaces)


def _parts_of(space: Any) -> Sequence[spaces.Space[Any]]:
    """Returns the parts of a Tuple space or of a list of spaces; () for anything else."""
    if isinstance(space, spaces.Tuple):
        return space.spaces
    return space if isinstance(space, list | tuple) else ()


def _first(space: spaces.Space[Any]) -> Any:
    """Returns the first action of a Discrete, MultiDiscrete or MultiBinary space."""
    if isinstance(space, spaces.Discrete):
        return int(space.start)
    return np.zeros(space.shape or (), space.dtype) + getattr(space, "start", 0)
