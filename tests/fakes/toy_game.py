"""A small game with all that Ising lacks: deaths, groups, dict observations, graphs that change.

Agents of two groups walk on a line. They fall asleep, walk into walls, jump off and die of chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from mfenvs.engine.backend import CpuBackend
from mfenvs.game import Game, Step
from mfenvs.graph import RadiusGraph
from mfenvs.rng import bits, uniform

STAY, LEFT, RIGHT, JUMP = 0, 1, 2, 3
GONE, ALIVE, DYING = 0, 1, 2


class Params(NamedTuple):
    length: int
    hazard: float
    group: Any  # int64 [N]
    masked: bool
    duel: bool
    max_cycles: int  # -1: never


class State(NamedTuple):
    """key, counter int64 [B]; time int32 [B]; place int64, status int8, asleep bool [B, N]."""

    key: Any
    counter: Any
    time: Any
    place: Any
    status: Any
    asleep: Any


class Snapshot(NamedTuple):
    """What observations and the graph depend on, each [B, N]."""

    place: Any
    status: Any
    asleep: Any


# -- rules --------------------------------------------------------------------------------------


def begin(row, state, last, out):
    anew = last.over[row]
    out.reset[row] = anew
    state.time[row] = 0 if anew else state.time[row] + 1
    state.counter[row] += 1


def legal(params, place, asleep, action):
    """Whether an agent may choose an action."""
    if not params.masked or action == STAY:
        return True
    if asleep:
        return False
    wall = (action == LEFT and place == 0) or (action == RIGHT and place == params.length - 1)
    return not wall


def move(row, agent, params, state, actions, out):
    """Deals, moves, or lets die one agent; reads no other."""
    key, counter = state.key[row], state.counter[row]
    action, acting = -1, False
    if out.reset[row]:
        state.status[row, agent] = ALIVE
        state.place[row, agent] = bits(key, counter, agent) % params.length
    elif state.status[row, agent] == ALIVE:
        place = state.place[row, agent]
        action = actions[row, agent]
        if action >= 0:
            acting = legal(params, place, state.asleep[row, agent], action)
            action = action if acting else STAY
        if action == LEFT and place > 0:
            state.place[row, agent] = place - 1
        if action == RIGHT and place < params.length - 1:
            state.place[row, agent] = place + 1
        if action == JUMP or uniform(key, counter, params.group.shape[0] + agent) < params.hazard:
            state.status[row, agent] = DYING
    else:
        state.status[row, agent] = GONE
    out.actions[row, agent] = action
    out.acting[row, agent] = acting


def occupied_cells(place, status, row, where):
    """How many agents, dying ones too, are at a place."""
    total = 0
    for agent in range(place.shape[1]):
        total += 1 if place[row, agent] == where and status[row, agent] != GONE else 0
    return total


def settle(row, agent, params, state, out):
    """Rewards company, tells who died, and what may be chosen next."""
    status, place = state.status[row, agent], state.place[row, agent]
    reward = np.float32(0.0)
    if status != GONE and not out.reset[row]:
        reward = np.float32(
            occupied_cells(state.place, state.status, row, place) - 2.0 * (status == DYING)
        )
    out.reward[row, agent] = reward
    out.alive[row, agent] = status == ALIVE
    out.terminated[row, agent] = status == DYING
    lane = 2 * params.group.shape[0] + agent
    asleep = params.masked and uniform(state.key[row], state.counter[row], lane) < 0.3
    state.asleep[row, agent] = asleep
    if out.mask.shape[0] > 0:
        for action in range(out.mask.shape[2]):
            out.mask[row, agent, action] = 1 if legal(params, place, asleep, action) else 0


def finish(row, params, state, out):
    """The end: nobody of a group is left, or time is up."""
    agents = state.status.shape[1]
    left, right = 0, 0
    for agent in range(agents):
        if state.status[row, agent] == ALIVE:
            left += 1 if params.group[agent] == 0 else 0
            right += 1 if params.group[agent] == 1 else 0
    over = left + right == 0 or (params.duel and (left == 0 or right == 0))
    if over:
        for agent in range(agents):
            if state.status[row, agent] == ALIVE:
                out.terminated[row, agent] = True
    out.truncated[row] = not over and state.time[row] == params.max_cycles
    out.over[row] = over or out.truncated[row]


def look(row, agent, params, place, status, asleep, own, near):
    """Writes what an agent sees into own [2] and near [3]."""
    here, seeing = place[row, agent], status[row, agent] != GONE
    own[0] = here / params.length if seeing else 0.0
    own[1] = 1.0 if seeing and asleep[row, agent] else 0.0
    for step in range(3):
        near[step] = occupied_cells(place, status, row, here + step - 1) if seeing else 0


def observe_all(row, agent, params, place, status, asleep, own, near):
    look(row, agent, params, place, status, asleep, own[row, agent], near[row, agent])


def observe_some(row, params, place, status, asleep, rows, agents, own, near):
    look(rows[row], agents[row], params, place, status, asleep, own[row], near[row])


# -- the game -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ToyConfig:
    agents: int = 6
    length: int = 5
    hazard: float = 0.03
    masked: bool = True
    duel: bool = True
    max_cycles: int | None = 50

    def __post_init__(self) -> None:
        if self.max_cycles is not None and self.max_cycles < 1:
            raise ValueError(f"max_cycles={self.max_cycles}; allowed: 1 or more, or None")


class ToyGame(Game):
    """Walkers on a line. Actions: stay, left, right, jump off. Reward: company, less 2 at death."""

    id = "toy_v0"
    agent_fields = ("place", "status", "asleep")
    Config = ToyConfig

    def __init__(self, config: ToyConfig, backend: CpuBackend) -> None:
        super().__init__(config, backend)
        size, length = config.agents, config.length
        self.agents = tuple(f"walker_{agent}" for agent in range(size))
        self.groups = np.arange(size, dtype=np.int64) % 2
        self.group_names = ("even", "odd")
        own = spaces.Box(0.0, 1.0, (2,), np.float32)
        near = spaces.Box(0.0, size, (3,), np.float32)
        self.single_observation_space = spaces.Dict({"own": own, "near": near})
        self.single_action_space = spaces.Discrete(4)
        self.state_space = spaces.Box(0.0, max(length, 2), (2 * size,), np.float32)
        group = backend.asarray(self.groups, np.int64)
        self.params = Params(
            length, config.hazard, group, config.masked, config.duel, self.time_limit
        )

    @property
    def masks_actions(self) -> bool:
        return self.config.masked

    def allocate(self, num_rows: int) -> State:
        zeros, each = self.backend.zeros, (num_rows, self.num_agents)
        return State(
            key=zeros(num_rows, np.int64),
            counter=zeros(num_rows, np.int64),
            time=zeros(num_rows, np.int32),
            place=zeros(each, np.int64),
            status=zeros(each, np.int8),
            asleep=zeros(each, np.bool_),
        )

    def step(self, state: State, actions: Any, last: Step, out: Step) -> None:
        each, run = state.place.shape, self.backend.run
        run(begin, each[:1], state, last, out)
        run(move, each, self.params, state, actions, out)
        run(settle, each, self.params, state, out)
        run(finish, each[:1], self.params, state, out)

    def observe(
        self, source: Any, out: Any, rows: np.ndarray | None = None, agents: Any = None
    ) -> None:
        seen = (self.params, source.place, source.status, source.asleep)
        if rows is None:
            run = self.backend.run
            run(observe_all, source.place.shape, *seen, out["own"], out["near"])
        else:
            shown = (rows, agents, out["own"], out["near"])
            self.backend.run(observe_some, (len(rows),), *seen, *shown)

    def snapshot(self, state: State) -> Snapshot:
        return Snapshot(state.place.copy(), state.status.copy(), state.asleep.copy())

    def graph(self, source: Any) -> RadiusGraph:
        return RadiusGraph(source.place[..., None], 1, self.groups)

    def global_state(self, state: State, row: int) -> np.ndarray:
        return np.concatenate([state.place[row], state.status[row]]).astype(np.float32)

    def measures(self, state: State) -> dict[str, Any]:
        return {"living": (state.status == ALIVE).sum(1)}

    def draw(self, state: Any, step: Step, row: int, canvas: Any) -> None:
        raise NotImplementedError
