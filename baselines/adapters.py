"""What third-party environments need in front of `mfq.wrap`, as printed in docs/suites.md.

Each class turns the interface of a suite into PettingZoo's `ParallelEnv` or into Gymnasium's `Env`,
which has Tuple spaces for several agents. baselines/suites.py imports the suites.
"""

from __future__ import annotations

import ast
import inspect
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
from gymnasium import spaces
from pettingzoo.utils.wrappers import BaseParallelWrapper


class Pogema(gymnasium.Env):
    """pogema's environment: lists, one space for all agents, and no time limit."""

    def __init__(self, env: Any, steps: int) -> None:
        self.env, self.steps, count = env, steps, env.get_num_agents()
        self.observation_space = spaces.Tuple([env.observation_space] * count)
        self.action_space = spaces.Tuple([env.action_space] * count)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.time = 0
        if seed is not None:
            self.env.grid_config.seed = seed
        else:  # its reset would repeat the grid
            self.env.grid_config.seed += 1
        return self.env.reset()

    def step(self, actions: Any) -> Any:
        obs, reward, terminated, _, infos = self.env.step(list(actions))
        self.time += 1
        return obs, reward, terminated, self.time >= self.steps, infos


class MarlEnv(gymnasium.Env):
    """An environment of multi-agent-rlenv: objects with an array for all agents."""

    def __init__(self, env: Any) -> None:
        self.env = env
        box = spaces.Box(-np.inf, np.inf, env.observation_shape, np.float32)
        self.observation_space = spaces.Tuple([box] * env.n_agents)
        self.action_space = spaces.Tuple([spaces.Discrete(env.n_actions)] * env.n_agents)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        obs, _ = self.env.reset(seed=seed)
        return list(obs.data), {"action_mask": list(obs.available_actions.astype(np.int8))}

    def step(self, actions: Any) -> Any:
        step = self.env.step(np.array(actions))
        info = {"action_mask": list(step.obs.available_actions.astype(np.int8))}
        return list(step.obs.data), float(step.reward[0]), step.done, step.truncated, info


class Vmas(gymnasium.Env):
    """One row of a VMAS environment with discrete actions: lists of tensors [1, ...]."""

    def __init__(self, env: Any) -> None:
        self.env = env
        boxes = [spaces.Box(-np.inf, np.inf, obs[0].shape, np.float32) for obs in env.reset()]
        self.observation_space = spaces.Tuple(boxes)
        self.action_space = spaces.Tuple([spaces.Discrete(space.n) for space in env.action_space])

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return [obs[0].numpy() for obs in self.env.reset(seed=seed)], {}

    def step(self, actions: Any) -> Any:
        obs, rewards, terminated, truncated, _ = self.env.step([[[a]] for a in actions])
        obs, rewards = [o[0].numpy() for o in obs], [float(reward) for reward in rewards]
        return obs, rewards, bool(terminated), bool(truncated), {}


class DictAgents(pettingzoo.ParallelEnv):
    """A Gymnasium environment of several agents in Dict spaces, such as multigrid's; pictures only."""

    def __init__(self, env: Any) -> None:
        self.env, self.metadata = env, env.metadata
        self.possible_agents, self.agents = list(env.action_space.spaces), list[Any]()

    def observation_space(self, agent: Any) -> Any:
        return self.env.observation_space[agent]["image"]

    def action_space(self, agent: Any) -> Any:
        return self.env.action_space[agent]

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        obs, _ = self.env.reset(seed=seed)
        self.agents = list(self.possible_agents)
        return {agent: obs[agent]["image"] for agent in obs}, {agent: {} for agent in self.agents}

    def step(self, actions: Any) -> Any:
        obs, *results = self.env.step(actions)
        present, (_, terminated, truncated, _) = self.agents, results
        self.agents = [agent for agent in present if not terminated[agent] | truncated[agent]]
        pictures = {agent: obs[agent]["image"] for agent in present}
        return (pictures, *({agent: part[agent] for agent in present} for part in results))


class Sumo(pettingzoo.ParallelEnv):
    """sumo-rl's SumoEnvironment: old Gym's reset and step, dicts by traffic light, a flag for all."""

    def __init__(self, env: Any) -> None:
        self.env, self.metadata = env, env.metadata
        self.possible_agents, self.agents = list(env.ts_ids), list[Any]()

    def observation_space(self, agent: Any) -> Any:
        return self.env.observation_spaces(agent)

    def action_space(self, agent: Any) -> Any:
        return self.env.action_spaces(agent)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents = list(self.possible_agents)
        return self.env.reset(seed=seed), {agent: {} for agent in self.agents}

    def step(self, actions: Any) -> Any:
        obs, rewards, dones, _ = self.env.step(actions)
        agents, over = self.agents, dones["__all__"]
        self.agents = [] if over else agents
        ends = dict.fromkeys(agents, False), dict.fromkeys(agents, over)
        return obs, rewards, *ends, {agent: {} for agent in agents}

    def close(self) -> None:
        self.env.close()


class Spaces(BaseParallelWrapper):
    """A PettingZoo environment without `observation_space`, such as cogrid's: of what it first shows."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.boxes = {
            agent: spaces.Box(-np.inf, np.inf, obs.shape, np.float32)
            for agent, obs in env.reset(seed=0)[0].items()
        }

    def observation_space(self, agent: Any) -> Any:
        return self.boxes[agent]


class Drones(BaseParallelWrapper):
    """DSSE: an observation that is a tuple (position, probabilities), as a Dict."""

    def observation_space(self, agent: Any) -> Any:
        _, chances = self.env.observation_space(agent).spaces
        position = spaces.Box(0, self.unwrapped.grid_size, (2,), np.float32)
        return spaces.Dict(position=position, chances=chances)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        obs, infos = self.env.reset(seed=seed)
        return self.named(obs), infos

    def step(self, actions: Any) -> Any:
        obs, *results = self.env.step(actions)
        return self.named(obs), *results

    def named(self, obs: Any) -> Any:
        return {agent: {"position": obs[agent][0], "chances": obs[agent][1]} for agent in obs}


class OldGym(gymnasium.Env):
    """An environment of Gym's former interface, such as crafter's: no seed in `reset`, no truncation."""

    def __init__(self, make: Any) -> None:
        self.make, self.env = make, make(seed=0)
        space = self.env.observation_space
        self.observation_space = spaces.Box(0, 255, space.shape, np.uint8)
        self.action_space = spaces.Discrete(int(self.env.action_space.n))

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if seed is not None:
            self.env = self.make(seed=seed)
        return self.env.reset(), {}

    def step(self, action: Any) -> Any:
        obs, reward, done, info = self.env.step(action)
        died = done and info["discount"] == 0
        return obs, reward, died, done and not died, {}


class DmEnv(gymnasium.Env):
    """An environment of dm_env, such as bsuite's: time steps, and specs for spaces."""

    def __init__(self, make: Any) -> None:
        self.make, self.env = make, make(0)
        self.observation_space = spaces.Box(
            -np.inf, np.inf, self.env.observation_spec().shape, np.float32
        )
        self.action_space = spaces.Discrete(self.env.action_spec().num_values)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if seed is not None:
            self.env = self.make(seed)
        return self.env.reset().observation, {}

    def step(self, action: Any) -> Any:
        step = self.env.step(action)
        ends = step.last()
        return step.observation, step.reward, ends and step.discount == 0, ends, {}


def source(adapter: type) -> str:
    """Returns the code of an adapter, as the documentation prints it."""
    return inspect.getsource(adapter).strip()


def lines(adapter: type) -> int:
    """Returns the number of lines of code of an adapter, without blank lines and its docstring."""
    tree = ast.parse(source(adapter))
    (definition,) = tree.body
    assert isinstance(definition, ast.ClassDef)
    docstring = definition.body[0]
    documented = (docstring.end_lineno or 0) - docstring.lineno + 1
    return sum(bool(line.strip()) for line in source(adapter).splitlines()) - documented
