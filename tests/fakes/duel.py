"""Made-up fights for the tests of teams and of evaluation: their course is written down in advance."""

from typing import NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

import mfq
from mfenvs.graph import CompleteGraph
from mfq.envs.step import Step
from mfq.envs.view import View


class Fight(NamedTuple):
    """An episode: its steps, what an agent of each side earns a step, kills at the end, early deaths."""

    length: int
    earns: tuple[float, ...] = (0.0, 0.0)
    kills: tuple[int, ...] = (0, 0)
    dead: tuple[int, ...] = ()  # who dies in the first step


class Duel(View):
    """Each row plays its `Fight`s over and over; actions change nothing, and are kept in ``sent``.

    An agent observes (row, agent, time).
    """

    def __init__(self, *plan, names=("red", "blue"), size=2, counted=True, script=None):
        self.plan, self.counted, self.script = plan, counted, script
        self.num_envs, self.group_names, self.num_agents = len(plan), names, size * len(names)
        self.groups = torch.arange(len(names)).repeat_interleave(size)
        self.types = torch.zeros(self.num_agents, dtype=torch.int64)
        self.agents = [f"{names[g]}_{i}" for i, g in enumerate(self.groups)]
        self.observation_space = spaces.Box(-1, 99, (3,), np.float32)
        self.action_space, self.device = spaces.Discrete(5), torch.device("cpu")
        self.sent, self.seeds = [], []

    @property
    def graph(self):
        return CompleteGraph(self.num_agents, self.groups.numpy())

    @property
    def match_measure(self):
        return "kills" if self.counted else None

    @property
    def scripts(self):
        return () if self.script is None else ("script",)

    def scripted(self, name):
        return torch.full((self.num_envs, self.num_agents), self.script)

    def reset(self, seed=None):
        self.seeds.append(seed)
        self.number, self.time = [-1] * self.num_envs, [10**9] * self.num_envs
        return self._next(torch.full((self.num_envs, self.num_agents), -1))

    def step(self, actions):
        self.sent.append(actions)
        return self._next(actions)

    def _next(self, actions):
        rows, agents = self.num_envs, self.num_agents
        reset, over = torch.zeros(2, rows, dtype=torch.bool)
        reward, alive = torch.zeros(rows, agents), torch.ones(rows, agents, dtype=torch.bool)
        terminated = torch.zeros(rows, agents, dtype=torch.bool)
        kills = torch.zeros(rows, len(self.group_names))
        for row, fights in enumerate(self.plan):
            fight = fights[self.number[row] % len(fights)]
            if self.number[row] < 0 or self.time[row] >= fight.length:
                self.number[row], self.time[row], reset[row] = self.number[row] + 1, 0, True
                continue
            self.time[row] += 1
            reward[row] = torch.tensor(fight.earns)[self.groups]
            alive[row, list(fight.dead)] = False
            reward[row, list(fight.dead)] *= self.time[row] == 1
            terminated[row, list(fight.dead)] = self.time[row] == 1
            over[row] = self.time[row] >= fight.length
            kills[row] = torch.tensor(fight.kills) * over[row]
        rows_of = torch.arange(rows)[:, None].expand(rows, agents)
        seen = [rows_of, torch.arange(agents).expand(rows, agents)]
        seen.append(torch.tensor(self.time)[:, None].expand(rows, agents))
        living = torch.zeros(kills.shape).index_add_(1, self.groups, alive.float())
        counts = {"kills": kills, "alive": living} if self.counted else {}
        return Step(
            obs=torch.stack(seen, -1).float(),
            reward=reward,
            terminated=terminated,
            truncated=over,
            alive=alive,
            acting=alive & ~reset[:, None],
            actions=torch.where(reset[:, None], -1, actions),
            action_mask=None,
            reset=reset,
            graph=self.graph,
            graph_before=self.graph,
            num_actions=5,
            measures={
                f"{name}_{what}": values[:, g]
                for what, values in counts.items()
                for g, name in enumerate(self.group_names)
            },
        )


class Always(mfq.Player):
    """Plays one action, and keeps the steps that it was given."""

    def __init__(self, action):
        self.action, self.given, self.explored = action, [], []

    def act(self, step, explore=True):
        self.given.append(step)
        self.explored.append(explore)
        return torch.full_like(step.actions, self.action)


class Pupil(Always, mfq.Agent):
    """Learns nothing, and keeps what it observes. Its copies play the action that their weight says."""

    def __init__(self, action=1):
        super().__init__(action)
        self.module, self.time, self.observed, self.lessons = nn.Linear(1, 1), 0, [], 0
        self.module.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.set(float(action))

    def set(self, weight):
        with torch.no_grad():
            self.module.weight.fill_(weight)
            self.module.bias.fill_(-weight)

    def player(self):
        return Past(self)

    def observe(self, step, actions, next_step):
        self.observed.append((step, actions, next_step))

    def learn(self):
        self.lessons += 1
        return {"loss": float(self.lessons)}

    def state_dict(self):
        return {"module": self.module.state_dict(), "lessons": self.lessons}

    def load_state_dict(self, state):
        self.module.load_state_dict(state["module"])
        self.lessons = state["lessons"]


class Past(mfq.Player):
    """A copy of a pupil, with a generator of its own."""

    def __init__(self, pupil):
        self.module = nn.Linear(1, 1)
        self.module.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.module.load_state_dict(pupil.module.state_dict())
        self.time, self.generator = pupil.time, torch.Generator().manual_seed(99)

    @property
    def generators(self):
        return (self.generator,)

    @property
    def weight(self):
        return float(self.module.weight.detach())

    def act(self, step, explore=True):
        return torch.full_like(step.actions, round(self.weight))


def run(view, agent, steps, step=None):
    """Plays and learns; the last step."""
    step = view.reset(seed=0) if step is None else step
    for _ in range(steps):
        actions = agent.act(step)
        after = view.step(actions)
        agent.observe(step, actions, after)
        agent.learn()
        step = after
    return step
