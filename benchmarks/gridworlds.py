"""Steps a second of MAgent2's other games beside MAgent2 itself, at their default sizes.

Both play the same game: the same seed and the same actions, drawn at random and recorded before, so that
they show the same observations. Two tables:

- "pettingzoo": through the parallel API, with default observations and with minimaps.
- "batched": `NUM_ENVS` rows of ours through `BatchedEnv`, per row, beside MAgent2's raw engine on one
  thread, without its PettingZoo layer: actions set, a step, rewards, who lives, observations.

"floor" is what the bytes allow. For "pettingzoo": how often arrays of the observations' size can be
filled with zeros. For "batched": the bytes that a step must read and write once (actions in; rewards,
deaths, who lives and acted, actions in effect, observations out), over the bandwidth of a large copy.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.stage_games import copy_bandwidth
from benchmarks.timing import REPETITIONS, machine, seconds_per_call
from mfenvs.registry import GAMES

SEED, STEPS, EPISODES, NUM_ENVS = 1, 40, 3, 64
MAGENT2 = {
    "adversarial_pursuit": "v4",
    "battlefield": "v5",
    "combined_arms": "v6",
    "gather": "v5",
    "tiger_deer": "v4",
}
MODES: dict[str, dict[str, bool]] = {"default": {}, "minimap": {"minimap_mode": True}}
NAMES = [game for game in MAGENT2 if f"{game}_v0" in GAMES]

Joint = dict[str, int]


class Row(NamedTuple):
    """One line of a table: steps of one row a second."""

    game: str
    mode: str
    agents: float
    magent2: float
    ours: float
    floor: float


def magent2_env(game: str, **options: Any) -> Any:
    """MAgent2's parallel environment."""
    module = import_module(f"magent2.environments.{game}_{MAGENT2[game]}")
    return module.parallel_env(**options)


def our_module(game: str) -> Any:
    """Our module of constructors."""
    return import_module(f"mfenvs.{game}_v0")


def recorded(game: str) -> tuple[list[Joint], np.ndarray]:
    """Random actions for `STEPS` steps from a reset: those of the living, and [STEPS, N] of all."""
    env, coin = magent2_env(game), np.random.default_rng(SEED)
    env.reset(seed=SEED)
    most = [int(env.action_space(agent).n) for agent in env.possible_agents]
    drawn = coin.integers(most, size=(STEPS, len(most)))
    result = []
    for chosen in drawn:
        joint = dict(zip(env.possible_agents, chosen.tolist(), strict=True))
        result.append({agent: joint[agent] for agent in env.agents})
        env.step(result[-1])
    if not env.agents:
        raise RuntimeError(f"{game} ends within {STEPS} steps of random actions")
    return result, drawn


def in_turns(calls: dict[str, Callable[[], float]]) -> dict[str, float]:
    """The median of each call's result; they take turns, after one that warms up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for repetition in range(REPETITIONS + 1):
        for name, call in calls.items():
            seconds = call()
            if repetition:
                times[name].append(seconds)
    return {name: statistics.median(result) for name, result in times.items()}


def seconds_per_step(env: Any, actions: list[Joint]) -> float:
    """Mean time of a step over `EPISODES`."""
    spent = 0.0
    for _ in range(EPISODES):
        env.reset(seed=SEED)
        begin = time.perf_counter()
        for joint in actions:
            env.step(joint)
        spent += time.perf_counter() - begin
    return spent / EPISODES / len(actions)


def measure_pettingzoo(game: str, mode: str) -> Row:
    """Times one line of "pettingzoo"."""
    actions, _ = recorded(game)
    theirs = magent2_env(game, **MODES[mode])
    ours = our_module(game).parallel_env(**MODES[mode])
    seconds = in_turns(
        {
            "magent2": lambda: seconds_per_step(theirs, actions),
            "ours": lambda: seconds_per_step(ours, actions),
        }
    )
    if ours.agents != theirs.agents:
        raise RuntimeError(f"{game}: other agents live in ours than in MAgent2's")
    memory = [np.empty(theirs.observation_space(agent).shape, np.float32) for agent in actions[0]]
    whole = np.empty(sum(array.size for array in memory), np.float32)
    floor = 1 / seconds_per_call(lambda: whole.fill(0.0))
    agents = statistics.mean(len(joint) for joint in actions)
    return Row(game, mode, agents, 1 / seconds["magent2"], 1 / seconds["ours"], floor)


# -- batched ------------------------------------------------------------------------------------


class Ours:
    """`NUM_ENVS` rows of ours. Row 0 plays the recorded actions, the others those of neighbors."""

    def __init__(self, game: str, mode: str, drawn: np.ndarray) -> None:
        self.env: Any = our_module(game).batched_env(
            num_envs=NUM_ENVS, copied_start=False, **MODES[mode]
        )
        groups = np.array([agent.rpartition("_")[0] for agent in self.env.agents])
        actions = np.zeros((STEPS, NUM_ENVS, len(groups)), np.int64)
        for group in dict.fromkeys(groups):
            members = np.flatnonzero(groups == group)
            for row in range(NUM_ENVS):
                actions[:, row, members] = np.roll(drawn[:, members], row, axis=1)
        self.actions = torch.from_numpy(actions)

    def seconds(self) -> float:
        """Time of a step of one row."""
        self.env.reset(seed=SEED)
        begin = time.perf_counter()
        for joint in self.actions:
            self.env.step(joint)
        return (time.perf_counter() - begin) / len(self.actions) / NUM_ENVS

    def living(self) -> int:
        """How many live in row 0."""
        return int(self.env.alive[0].sum())

    def bytes_per_step(self) -> float:
        """What one row's step must read and write once."""
        step, obs = self.env._sides[0]
        return (step.actions.nbytes + sum(map(nbytes, (*step, obs)))) / NUM_ENVS


def nbytes(part: Any) -> int:
    """The bytes of an array, or of all arrays of a dict of such."""
    return sum(map(nbytes, part.values())) if isinstance(part, dict) else int(part.nbytes)


class Engine:
    """MAgent2's engine alone, with the actions of row 0."""

    def __init__(self, game: str, mode: str, drawn: np.ndarray) -> None:
        self.outer = magent2_env(game, **MODES[mode])
        self.world, self.handles = self.outer.env, self.outer.handles
        self.orders: list[list[np.ndarray]] = []
        self.start()
        for chosen in drawn.astype(np.int32):
            orders = [chosen[self.world.get_agent_id(handle)] for handle in self.handles]
            self.orders.append(orders)
            self.step(orders)

    def start(self) -> None:
        """A new episode."""
        self.world.set_seed(SEED)
        self.world.reset()
        self.outer.generate_map()

    def step(self, orders: list[np.ndarray]) -> None:
        """A step, and all that it shows."""
        world, handles = self.world, self.handles
        for handle, chosen in zip(handles, orders, strict=True):
            world.set_action(handle, chosen)
        world.step()
        for handle in handles:
            world.get_reward(handle)
            world.get_alive(handle)
        world.clear_dead()
        for handle in handles:
            world.get_observation(handle)

    def seconds(self) -> float:
        """Time of a step."""
        self.start()
        begin = time.perf_counter()
        for orders in self.orders:
            self.step(orders)
        return (time.perf_counter() - begin) / len(self.orders)

    def living(self) -> int:
        """How many live."""
        return sum(self.world.get_num(handle) for handle in self.handles)


def measure_batched(game: str, mode: str, bandwidth: float) -> Row:
    """Times one line of "batched"."""
    _, drawn = recorded(game)
    ours, engine = Ours(game, mode, drawn), Engine(game, mode, drawn)
    seconds = in_turns({"magent2": engine.seconds, "ours": ours.seconds})
    if ours.living() != engine.living():
        raise RuntimeError(f"{game}: {ours.living()} live in ours, {engine.living()} in MAgent2's")
    agents = statistics.mean(sum(map(len, orders)) for orders in engine.orders)
    floor = bandwidth / ours.bytes_per_step()
    return Row(game, mode, agents, 1 / seconds["magent2"], 1 / seconds["ours"], floor)


def table(rows: list[Row]) -> str:
    """Steps of a row a second, ratios, and agents' steps a second."""
    names = ["agents", "magent2", "ours", "x magent2", "agent-steps", "floor"]
    lines = [f"{'game':<20} {'mode':<8}" + "".join(f"{name:>12}" for name in names)]
    for row in rows:
        lines.append(
            f"{row.game:<20} {row.mode:<8}{row.agents:>12.0f}{row.magent2:>12,.0f}{row.ours:>12,.0f}"
            f"{row.ours / row.magent2:>12.1f}{row.ours * row.agents:>12,.0f}{row.floor:>12,.0f}"
        )
    return "\n".join(lines)


def main() -> None:
    """`python -m benchmarks.gridworlds`."""
    bandwidth = copy_bandwidth()
    print(f"{machine()}; copy {bandwidth / 1e9:.1f} GB/s on one thread")
    print("steps of one row a second; random actions, default sizes\n\npettingzoo")
    print(table([measure_pettingzoo(game, mode) for game in NAMES for mode in MODES]))
    print(f"\nbatched, B={NUM_ENVS}, {torch.get_num_threads()} threads, beside the raw engine")
    print(table([measure_batched(game, mode, bandwidth) for game in NAMES for mode in MODES]))


if __name__ == "__main__":
    main()
