"""Steps a second of battle_v0 beside MAgent2's battle_v4, through the PettingZoo API.

Both play the same game on a map of 40, 64 against 64: the same seed and the same actions, so that they
show the same observations. "start" times the first steps, in which both armies move at random and
nobody dies; "fight" those in which two armies rush at each other. The actions are recorded before, and
not timed.

"engine" is our step without the PettingZoo layer: the rules and the observations, into memory that is
reused. "floor" is what the bytes allow: how often an array of the observations' size can be filled with
zeros, in the caches where it lies here too, measured in the same run.
"""

from __future__ import annotations

import statistics
import time
from typing import Any, NamedTuple

import numpy as np
from magent2.environments import battle_v4

from benchmarks.timing import REPETITIONS, machine, seconds_per_call
from mfenvs import battle_v0

MAP, SEED = 40, 1
MODES: dict[str, dict[str, bool]] = {
    "13 x 13 x 5": {},
    "minimap": {"minimap_mode": True},
    "minimap, features": {"minimap_mode": True, "extra_features": True},
}
# Phase -> who plays, and the steps that are timed; all before them are played untimed.
PHASES = {"start": ("random", 0, 30), "fight": ("rush", 8, 18)}
EPISODES = 10  # of each phase in one repetition
MOVES = 13  # the first actions are those that move

Joint = dict[str, int]


class Row(NamedTuple):
    """One line of the table: steps per second."""

    mode: str
    phase: str
    agents: float
    magent2: float
    ours: float
    engine: float
    floor: float


def recorded(player: str, steps: int) -> list[Joint]:
    """The joint actions of an episode; those of the random player are moves alone."""
    env = battle_v0.parallel_env(map_size=MAP)
    env.reset(seed=SEED)
    found = []
    for _ in range(steps):
        joint = env.scripted(player)
        if player == "random":
            joint = {agent: action % MOVES for agent, action in joint.items()}
        found.append(joint)
        env.step(joint)
    return found


def seconds_per_step(env: Any, actions: list[Joint], first: int, last: int) -> float:
    """Mean time of the steps from ``first`` to ``last`` over `EPISODES`."""
    spent = 0.0
    for _ in range(EPISODES):
        env.reset(seed=SEED)
        for joint in actions[:first]:
            env.step(joint)
        begin = time.perf_counter()
        for joint in actions[first:last]:
            env.step(joint)
        spent += time.perf_counter() - begin
    return spent / EPISODES / (last - first)


class Engine:
    """Our rules and observations alone, with the `step` and `reset` that are timed."""

    def __init__(self, **options: Any) -> None:
        self.env = battle_v0.parallel_env(**options)
        self.game = self.env.game
        self.room = self.game.allocate_parallel_observation(self.game.num_agents)

    def reset(self, seed: int) -> None:
        self.env.reset(seed=seed)

    def step(self, actions: Any) -> None:
        env, chosen = self.env, actions
        env._step, env._last = env._last, env._step
        self.game.step(env._state, chosen, env._last, env._step)
        living = np.flatnonzero(env._last.alive[0])
        rows = np.zeros(len(living), np.int64)
        self.game.observe(env._state, self.room[: len(living)], rows, living)


def measure(mode: str, phase: str) -> Row:
    """Times one line, the three taking turns."""
    options: dict[str, Any] = {"map_size": MAP, **MODES[mode]}
    player, first, last = PHASES[phase]
    actions = recorded(player, last)
    ours = battle_v0.parallel_env(**options)
    arrays = [np.full((1, ours.game.num_agents), -1, np.int64) for _ in actions]
    for array, joint in zip(arrays, actions, strict=True):
        array[0, [ours.possible_agents.index(agent) for agent in joint]] = list(joint.values())
    players: dict[str, tuple[Any, Any]] = {
        "magent2": (battle_v4.parallel_env(**options), actions),
        "ours": (ours, actions),
        "engine": (Engine(**options), arrays),
    }
    times: dict[str, list[float]] = {name: [] for name in players}
    for repetition in range(REPETITIONS + 1):
        for name, (env, orders) in players.items():
            seconds = seconds_per_step(env, orders, first, last)
            if repetition:  # the first one warms up
                times[name].append(seconds)
    rates = {name: 1 / statistics.median(found) for name, found in times.items()}
    agents = statistics.mean(len(joint) for joint in actions[first:last])
    shape = ours.game.parallel_observation_space.shape or ()
    room = np.empty((round(agents), *shape), np.float32)
    floor = 1 / seconds_per_call(lambda: room.fill(0.0))
    return Row(mode, phase, agents, rates["magent2"], rates["ours"], rates["engine"], floor)


def table(rows: list[Row]) -> str:
    """Steps per second and ratios."""
    names = ["agents", "magent2", "ours", "x magent2", "engine", "floor"]
    lines = [f"{'observations':<18} {'phase':<6}" + "".join(f"{name:>10}" for name in names)]
    for row in rows:
        lines.append(
            f"{row.mode:<18} {row.phase:<6}{row.agents:>10.0f}{row.magent2:>10,.0f}{row.ours:>10,.0f}"
            f"{row.ours / row.magent2:>10.1f}{row.engine:>10,.0f}{row.floor:>10,.0f}"
        )
    return "\n".join(lines)


def main() -> None:
    """`python -m benchmarks.battle`."""
    print(f"{machine()}\nsteps per second, map {MAP}\n")
    print(table([measure(mode, phase) for mode in MODES for phase in PHASES]))


if __name__ == "__main__":
    main()
