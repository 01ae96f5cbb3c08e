"""A small ParallelEnv of one's own, and ways to break PettingZoo's contract, each with its message."""

import numpy as np
import pettingzoo
from gymnasium import spaces


class Ring(pettingzoo.ParallelEnv):
    """Agents on a ring raise numbers; agent 0 dies in the third step, and time is up after six."""

    metadata = {"name": "ring_v0"}  # noqa: RUF012
    render_mode = None

    def __init__(self):
        self.possible_agents = [f"agent_{i}" for i in range(3)]
        self.agents = []
        self._observation_spaces = {
            a: spaces.Dict(
                {
                    "said": spaces.Box(0.0, 1.0, (3,), np.float32),
                    "action_mask": spaces.MultiBinary(2),
                }
            )
            for a in self.possible_agents
        }
        self._action_spaces = {a: spaces.Discrete(2) for a in self.possible_agents}

    def observation_space(self, agent):
        return self._observation_spaces[agent]

    def action_space(self, agent):
        return self._action_spaces[agent]

    def look(self, agents):
        return {
            a: {"said": self.said.copy(), "action_mask": np.array([1, 1], np.int8)} for a in agents
        }

    def reset(self, seed=None, options=None):
        if seed is not None or not hasattr(self, "generator"):
            self.generator = np.random.default_rng(seed)
        self.agents, self.time = self.possible_agents[:], 0
        self.said = self.generator.random(3, np.float32)
        return self.look(self.agents), {a: {} for a in self.agents}

    def step(self, actions):
        self.time += 1
        self.said = np.float32(0.5) * (self.said + self.generator.random(3, np.float32))
        acting = self.agents
        terminated = {a: self.time == 3 and a == "agent_0" for a in acting}
        truncated = dict.fromkeys(acting, self.time == 6)
        self.agents = [a for a in acting if not terminated[a] and not truncated[a]]
        rewards = {a: float(actions[a]) for a in acting}
        return self.look(acting), rewards, terminated, truncated, {a: {} for a in acting}


class NewSpaces(Ring):
    def action_space(self, agent):
        return spaces.Discrete(2)


class NoSpace(Ring):
    def observation_space(self, agent):
        return super().observation_space(agent) if agent != "agent_2" else None


class NoPossibleAgents(Ring):
    def __init__(self):
        super().__init__()
        del self.possible_agents


class NoOptions(Ring):
    def reset(self, seed=None):
        return super().reset(seed)


class ResetOfOne(Ring):
    def reset(self, seed=None, options=None):
        return super().reset(seed)[0]


class WrongDtype(Ring):
    def look(self, agents):
        shown = super().look(agents)
        return {a: {**seen, "said": seen["said"].astype(float)} for a, seen in shown.items()}


class NotANumber(Ring):
    def look(self, agents):
        seen = super().look(agents)
        if self.time == 2:
            seen["agent_1"]["said"][1] = np.nan
        return seen


class OutOfBounds(Ring):
    def look(self, agents):
        return {a: {**seen, "said": seen["said"] + 1} for a, seen in super().look(agents).items()}


class WrongMaskSpace(Ring):
    def look(self, agents):
        seen = super().look(agents)
        seen["agent_1"]["action_mask"] = np.array([1, 2], np.int8)
        return seen


class NothingAllowed(Ring):
    def look(self, agents):
        seen = super().look(agents)
        if self.time == 4:
            seen["agent_1"]["action_mask"][:] = 0
        return seen


class Reuses(Ring):
    def look(self, agents):
        self.memory = getattr(self, "memory", np.zeros(3, np.float32))
        self.memory[:] = self.said
        return {a: {**seen, "said": self.memory} for a, seen in super().look(agents).items()}


class Lingers(Ring):
    def step(self, actions):
        acting = self.agents
        results = super().step(actions)
        self.agents = acting if self.time == 3 else self.agents
        return results


class LingersAfterTheEnd(Ring):
    def step(self, actions):
        acting = self.agents
        results = super().step(actions)
        self.agents = self.agents or acting
        return results


class Leaves(Ring):
    def step(self, actions):
        results = super().step(actions)
        self.agents = [a for a in self.agents if a != "agent_1" or self.time < 2]
        return results


class Reborn(Ring):
    def step(self, actions):
        results = super().step({"agent_0": 0, **actions})
        if self.time == 5:
            self.agents = ["agent_0", *self.agents]
            results[0].update(self.look(["agent_0"]))
        return results


class Stranger(Ring):
    def step(self, actions):
        results = super().step(actions)
        self.agents = [*self.agents, "nobody"]
        return results


class UnknownResults(Ring):
    def step(self, actions):
        obs, rewards, *rest = super().step(actions)
        obs["common"] = {}  # which PettingZoo allows
        return obs, {**rewards, "nobody": 1.0}, *rest


class FourValues(Ring):
    def step(self, actions):
        return super().step(actions)[:4]


class OneFlag(Ring):
    def step(self, actions):
        obs, rewards, _, *rest = super().step(actions)
        return obs, rewards, False, *rest


class InfosNone(Ring):
    def step(self, actions):
        return *super().step(actions)[:4], None


class WrapsBytes(Ring):
    def __init__(self):
        super().__init__()
        for space in self._observation_spaces.values():
            space.spaces["said"] = spaces.Box(0, 255, (3,), np.uint8)

    def look(self, agents):
        return {
            a: {**seen, "said": np.array([0, 300, 1])} for a, seen in super().look(agents).items()
        }


class NoReward(Ring):
    def step(self, actions):
        results = super().step(actions)
        del results[1]["agent_1"]
        return results


class InfiniteReward(Ring):
    def step(self, actions):
        obs, rewards, *ends = super().step(actions)
        return obs, dict.fromkeys(rewards, np.inf), *ends


class NumbersAsEnds(Ring):
    def step(self, actions):
        obs, rewards, terminated, *rest = super().step(actions)
        return obs, rewards, {a: int(end) for a, end in terminated.items()}, *rest


class InfosOfNone(Ring):
    def step(self, actions):
        *results, infos = super().step(actions)
        return *results, dict.fromkeys(infos)


class OneInfo(Ring):
    def step(self, actions):
        *results, _ = super().step(actions)
        return *results, []


class Unseeded(Ring):
    def reset(self, seed=None, options=None):
        return super().reset(None)


class Raises(Ring):
    def step(self, actions):
        if self.time == 4:
            raise KeyError("agent_7")
        return super().step(actions)


BROKEN = {
    NewSpaces: r"action_space\('agent_0'\) is a new object at each call",
    NoSpace: r"observation_space\('agent_2'\) is None",
    NoPossibleAgents: "possible_agents is None; allowed: a list of all agents",
    NoOptions: r"reset\(seed=..., options=\{\}\) raises TypeError",
    ResetOfOne: r"reset returns \{'agent_0': .*allowed: a tuple of 2 dicts",
    WrongDtype: r"reset shows 'agent_0' the observation\['said'\] float64 \(3,\); allowed: float32",
    NotANumber: r"step 2 shows 'agent_1' the observation\['said'\] with NaN or infinity",
    OutOfBounds: r"observation\['said'\] with numbers from 1.* to 1.*; allowed: values of Box",
    WrongMaskSpace: r"observation\['action_mask'\] array\(\[1, 2\].*MultiBinary",
    NothingAllowed: r"step 4 gives 'agent_1' the action_mask array\(\[0, 0\].*at least one 1",
    Reuses: "observations that were returned before step 1 change in it",
    Lingers: "'agent_0' terminated or was truncated in step 3 and is still among agents",
    LingersAfterTheEnd: "'agent_[12]' terminated or was truncated in step 6 and is still among",
    Leaves: "'agent_1' left agents in step 2 without an end",
    Reborn: "'agent_0' ended in step 3 and is among agents again after step 5",
    Stranger: "after step 1 agents has 'nobody'; allowed: agents of possible_agents",
    UnknownResults: "step 1 returns rewards of 'nobody'; allowed: agents of possible_agents",
    FourValues: "step 1 returns 4 values; allowed: a tuple of 5 dicts",
    OneFlag: "step 1 returns terminations that are False; allowed: a tuple of 5 dicts",
    InfosNone: "step 1 returns infos that are None; allowed: a tuple of 5 dicts",
    WrapsBytes: r"observation\['said'\] int64 \(3,\); allowed: uint8",
    NoReward: "step 1 returns no rewards of 'agent_1'",
    InfiniteReward: "step 1 gives 'agent_0' the reward inf; allowed: a finite number",
    NumbersAsEnds: r"terminations\['agent_0'\]=0; allowed: True or False",
    InfosOfNone: "step 1 gives 'agent_0' the info None; allowed: a dict",
    OneInfo: r"step 1 returns infos that are \[\]",
    Unseeded: r"with the same seed and actions reset\(seed=...\) returns other observations",
    Raises: "step 5 raises KeyError: 'agent_7'",
}
