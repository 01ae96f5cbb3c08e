"""Rows a second of the stage games, beside a plain NumPy version and the floor that memory sets.

The floor is the bytes that a step must read and write once (actions in; observation, reward, actions in
effect, acting out) over the bandwidth of a large copy on the same machine, measured in the same run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.timing import machine, seconds_per_call, side_by_side
from mfenvs import ising_v0

# Read: action int64. Written: observation 2 x float32, reward float32, action int64, acting bool.
ISING_BYTES = 8 + 8 + 4 + 8 + 1


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


def ising(num_envs: int, side: int, bandwidth: float) -> Row:
    """Times one size of the Ising game."""
    sites = side * side
    actions = torch.randint(0, 2, (num_envs, sites), generator=torch.Generator().manual_seed(0))
    env = ising_v0.batched_env(num_envs=num_envs, side=side, max_cycles=None)
    env.reset(seed=0)
    plain = NumpyIsing(num_envs, side)
    calls: dict[str, Callable[[], object]] = {
        "batched": lambda: env.step(actions),
        "numpy": lambda: plain.step(actions.numpy()),
    }
    if num_envs == 1:
        parallel = ising_v0.parallel_env(side=side, max_cycles=None)
        parallel.reset(seed=0)
        joint = dict(zip(parallel.agents, actions[0].tolist(), strict=True))
        calls["pettingzoo"] = lambda: parallel.step(joint)
    found = {name: num_envs / seconds for name, seconds in side_by_side(calls).items()}
    return Row(
        "Ising",
        num_envs,
        sites,
        found["batched"],
        found.get("pettingzoo"),
        found["numpy"],
        bandwidth / (ISING_BYTES * sites),
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


def main() -> None:
    """`python -m benchmarks.stage_games`."""
    bandwidth = copy_bandwidth()
    print(f"{machine()}; copy {bandwidth / 1e9:.1f} GB/s\nrows per second\n")
    print(table([ising(num_envs, 20, bandwidth) for num_envs in (1, 64, 4096)]))


if __name__ == "__main__":
    main()
