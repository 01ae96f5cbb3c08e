"""A hand-made PettingZoo environment whose course is written down in advance, and a learner for it."""

import numpy as np
import pettingzoo
from gymnasium import spaces

import mfq
from mfq.common.config import build


class Scene(pettingzoo.ParallelEnv):
    """Who is there, and what they observe, is a function of the time.

    Args:
        cast: agent -> (observation space, action space).
        present: for each time from 0 on, the agents that are there; an episode ends after the last.
        observe: a function of (agent, time).
        dies: agent -> the time at which it terminates; others that leave are not flagged but at the
            end, when they are truncated.
        infos: a function of (agent, time).
        earn: a function of (agent, its action, time) that returns a reward.
    """

    metadata = {"name": "scene_v0", "render_modes": []}  # noqa: RUF012

    def __init__(self, cast, present, observe, dies=None, infos=None, earn=None):
        self.cast, self.present, self.observe = cast, present, observe
        self.possible_agents, self.dies = list(cast), dies or {}
        self.infos = infos or (lambda agent, time: {})
        self.earn = earn or (lambda agent, action, time: float(time))
        self.agents, self.sent, self.seeds = [], [], []

    def observation_space(self, agent):
        return self.cast[agent][0]

    def action_space(self, agent):
        return self.cast[agent][1]

    def reset(self, seed=None, options=None):
        self.time, self.agents = 0, list(self.present[0])
        self.seeds.append(seed)
        return self._seen(self.agents)

    def _seen(self, agents):
        return (
            {agent: self.observe(agent, self.time) for agent in agents},
            {agent: self.infos(agent, self.time) for agent in agents},
        )

    def step(self, actions):
        self.sent.append(dict(actions))
        before = self.agents
        self.time += 1
        over = self.time >= len(self.present)
        now = before if over else list(self.present[self.time])
        all_of_them = list(dict.fromkeys([*before, *now]))
        obs, infos = self._seen(all_of_them)
        dead = {agent: self.dies.get(agent) == self.time for agent in all_of_them}
        late = {agent: over and not dead[agent] for agent in all_of_them}
        rewards = {agent: self.earn(agent, actions.get(agent), self.time) for agent in before}
        self.agents = [] if over else [agent for agent in now if not dead[agent]]
        return obs, rewards, dead, late, infos


def box(*shape, dtype=np.float32, high=9):
    return spaces.Box(0, high, shape, dtype)


TWO = {"a_0": (box(1), spaces.Discrete(2)), "a_1": (box(1), spaces.Discrete(2))}


def number(agent, time):
    return np.array([time], np.float32)


LEARNER = mfq.QConfig(
    gamma=0.0,
    exploration={"steps": 200},
    network={"hidden": (16,), "agent_embedding": 0},
    optimizer={"learning_rate": 5e-3, "batch_size": 32},
    replay={"learning_starts": 50},
)


def learner(view, seed=0, **options):
    """An MFQ learner with the options of `LEARNER`, but for those given."""
    return mfq.QAgent(view, True, build(mfq.QConfig, options, LEARNER), seed)
