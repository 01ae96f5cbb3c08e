"""Rows a second of the stage games, beside a plain NumPy version and the floor that memory sets.

The floor is the bytes that a step must read and write once (actions in; observation, reward, actions in
effect, acting out) over the bandwidth of a large copy on the same machine, measured in the same run. The
NumPy versions return observations and rewards alone: no measures, no resets, no actions in effect.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.timing import machine, seconds_per_call, side_by_side
from mfenvs import gaussian_squeeze_v0, ising_v0

# Read: action int64. Written: observation 2 x float32, reward float32, action int64, acting bool.
STEP_BYTES = 8 + 8 + 4 + 8 + 1
# PettingZoo's dicts of a million names are not what anybody would time.
MOST_NAMED = 10_000
STAGED_STEPS = 50


class Game(NamedTuple):
    """A game to time, and its NumPy version by number of rows."""

    name: str
    module: Any
    options: dict[str, Any]
    plain: Callable[[int], Any]


class Row(NamedTuple):
    """One line of the table: rows per second."""

    game: str
    num_envs: int
    num_agents: int
    batched: float
    pettingzoo: float | None
    numpy: float
    floor: float


class NumpyIsing:
    """The synchronous game as one would write it in NumPy: whole arrays, no loops."""

    def __init__(self, num_envs: int, side: int) -> None:
        self.shape = (num_envs, side, side)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        spin = (2 * actions - 1).reshape(self.shape).astype(np.float32)
        around = sum(np.roll(spin, shift, axis) for shift in (-1, 1) for axis in (1, 2))
        observation = np.stack([spin, np.zeros_like(spin)], -1)
        return observation, 0.5 * spin * around


def copy_bandwidth() -> float:
    """Bytes read and written a second by a large copy in NumPy, on one thread."""
    source = np.ones(64 * 2**20 // 8)
    target = np.empty_like(source)
    return 2 * source.nbytes / seconds_per_call(lambda: np.copyto(target, source))


class NumpySqueeze:
    """The squeeze as one would write it in NumPy."""

    def __init__(self, num_envs: int, num_agents: int) -> None:
        index = np.arange(1, num_agents + 1) / num_agents
        self.observation = np.stack([np.broadcast_to(index, (num_envs, num_agents))] * 2, -1)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = actions.sum(1)
        objective = x * np.exp(-((x - 400.0) ** 2) / 200.0**2)
        reward = np.broadcast_to(objective[:, None], actions.shape).astype(np.float32)
        return self.observation.astype(np.float32), reward


def measure(game: Game, num_envs: int, bandwidth: float) -> Row:
    """Times one size of a game: our two views, and NumPy's."""
    env = game.module.batched_env(num_envs=num_envs, max_cycles=None, **game.options)
    shape = (num_envs, env.num_agents)
    coin = torch.Generator().manual_seed(0)
    actions = torch.randint(0, int(env.single_action_space.n), shape, generator=coin)
    env.reset(seed=0)
    plain = game.plain(num_envs)
    calls: dict[str, Callable[[], object]] = {
        "batched": lambda: env.step(actions),
        "numpy": lambda: plain.step(actions.numpy()),
    }
    if num_envs == 1 and env.num_agents <= MOST_NAMED:
        parallel = game.module.parallel_env(max_cycles=None, **game.options)
        parallel.reset(seed=0)
        joint = dict(zip(parallel.agents, actions[0].tolist(), strict=True))
        calls["pettingzoo"] = lambda: parallel.step(joint)
    found = {name: num_envs / seconds for name, seconds in side_by_side(calls).items()}
    return Row(
        game.name,
        num_envs,
        env.num_agents,
        found["batched"],
        found.get("pettingzoo"),
        found["numpy"],
        bandwidth / (STEP_BYTES * env.num_agents),
    )


def ising(side: int) -> Game:
    """The synchronous Ising game."""
    return Game("Ising", ising_v0, {"side": side}, lambda rows: NumpyIsing(rows, side))


def squeeze(num_agents: int) -> Game:
    """The Gaussian squeeze."""
    options = {"num_agents": num_agents}
    return Game(
        "squeeze", gaussian_squeeze_v0, options, lambda rows: NumpySqueeze(rows, num_agents)
    )


def table(rows: list[Row]) -> str:
    """Rows per second, 80 columns."""
    names = ["batched", "PettingZoo", "NumPy", "floor", "x NumPy"]
    lines = [f"{'game':<8}{'B':>7}{'N':>9}" + "".join(f"{name:>11}" for name in names)]
    for row in rows:
        slow = "" if row.pettingzoo is None else f"{row.pettingzoo:,.0f}"
        lines.append(
            f"{row.game:<8}{row.num_envs:>7}{row.num_agents:>9}{row.batched:>11,.0f}{slow:>11}"
            f"{row.numpy:>11,.0f}{row.floor:>11,.0f}{row.batched / row.numpy:>11.1f}"
        )
    return "\n".join(lines)


def stages(game: Game, num_envs: int) -> str:
    """Nanoseconds an agent-step that each rule of a step takes (medians), and all else."""
    env = game.module.batched_env(num_envs=num_envs, max_cycles=None, **game.options)
    backend, agents = env.game.backend, num_envs * env.num_agents
    env.reset(seed=0)
    actions = torch.zeros(num_envs, env.num_agents, dtype=torch.int64)
    spent: dict[str, list[float]] = {}
    inner = backend.run

    def timed(rule: Any, *arguments: Any, **options: Any) -> None:
        start = time.perf_counter()
        inner(rule, *arguments, **options)
        spent.setdefault(rule.__name__, []).append(time.perf_counter() - start)

    backend.run = timed
    for _ in range(10):  # warm up
        env.step(actions)
    spent.clear()
    start = time.perf_counter()
    for _ in range(STAGED_STEPS):
        env.step(actions)
    whole = (time.perf_counter() - start) / STAGED_STEPS
    found = {name: statistics.median(times) for name, times in spent.items()}
    found["the rest"] = whole - sum(found.values())
    parts = [f"{name} {1e9 * seconds / agents:.2f}" for name, seconds in found.items()]
    return f"{game.name}, B = {num_envs}: {', '.join(parts)}"


def main() -> None:
    """`python -m benchmarks.stage_games`."""
    bandwidth = copy_bandwidth()
    print(f"{machine()}; copy {bandwidth / 1e9:.1f} GB/s\nrows per second\n")
    sizes = [(ising(20), num_envs) for num_envs in (1, 64, 4096)]
    sizes += [(squeeze(1000), num_envs) for num_envs in (1, 64, 4096)]
    sizes += [(squeeze(num_agents), 1) for num_agents in (100, 10_000, 1_000_000)]
    print(table([measure(game, num_envs, bandwidth) for game, num_envs in sizes]))
    print("\nnanoseconds an agent-step")
    for game in (ising(20), squeeze(1000)):
        print("\n".join(stages(game, num_envs) for num_envs in (64, 4096)))


if __name__ == "__main__":
    main()
