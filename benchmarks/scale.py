"""What an agent's step costs from a handful of agents to a million, in one row and in many.

Steps of `BatchedEnv` with everything that they return, while nobody dies or starts anew: choices drawn
before, in a battle moves alone. Times are the least of many calls, since what interrupts a call is none
of an agent's cost. Writes docs/scale.csv and docs/scale.png. "floor" is the time in which a large copy
moves the bytes that a step must read and write once.
"""

from __future__ import annotations

import csv
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks.battle import MOVES
from benchmarks.stage_games import STEP_BYTES
from benchmarks.timing import machine
from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0

FOLDER = Path(__file__).parent.parent / "docs"
CALLS, SECONDS = 8, 0.4  # of each size, at least
# Actions twice, rewards, four flags; a view of 13 x 13 x 5 in float32.
BATTLE_BYTES = 8 + 8 + 4 + 3 + 13 * 13 * 5 * 4
ROWS = (1, 4, 16, 64, 256, 1024, 4096, 16384)


class Kind(NamedTuple):
    """A game, in its sizes."""

    name: str
    module: Any
    options: dict[str, Any]
    option: str  # that says how large it is
    sizes: tuple[int, ...]  # of one row
    small: int  # of many rows
    bytes: int  # that an agent's step must move
    choices: int  # that are drawn from
    color: str


KINDS = (
    Kind(
        "Ising",
        ising_v0,
        {},
        "side",
        (3, 6, 11, 20, 32, 64, 100, 316, 1000),
        4,
        STEP_BYTES,
        2,
        "#c77700",
    ),
    Kind(
        "squeeze",
        gaussian_squeeze_v0,
        {},
        "num_agents",
        (8, 32, 128, 512, 2048, 8192, 32768, 131_072, 1_000_000),
        16,
        STEP_BYTES,
        10,
        "#1b7f5c",
    ),
    Kind(
        "battle",
        battle_v0,
        {"copied_start": False},
        "map_size",
        (15, 20, 28, 40, 80, 160, 320, 640, 1118),
        16,
        BATTLE_BYTES,
        MOVES,
        "#3d5a9e",
    ),
)


class Point(NamedTuple):
    """A line of the CSV."""

    game: str
    num_envs: int
    num_agents: int
    microseconds_per_call: float
    nanoseconds_per_agent_step: float


def least(call: Callable[[], object]) -> float:
    """Seconds of the quickest of many calls."""
    times: list[float] = []
    while len(times) < CALLS or sum(times) < SECONDS:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times)


def copy_bandwidth() -> float:
    """Bytes read and written a second by a large copy in NumPy, on one thread."""
    source = np.ones(2**23)
    target = np.empty_like(source)
    return 2 * source.nbytes / least(lambda: np.copyto(target, source))


def measure(kind: Kind, size: int, num_envs: int) -> Point:
    """Times one size."""
    options = {**kind.options, kind.option: size, "max_cycles": None}
    env = kind.module.batched_env(num_envs=num_envs, **options)
    coin = np.random.default_rng(0)
    shape = (num_envs, env.num_agents)
    joints = [torch.as_tensor(coin.integers(0, kind.choices, shape)) for _ in range(2)]
    env.reset(seed=1)

    def call() -> None:
        joints.reverse()
        env.step(joints[0])

    call()  # both sides of the buffers are touched before anything counts
    spent = least(call)
    return Point(kind.name, *shape, 1e6 * spent, 1e9 * spent / (num_envs * env.num_agents))


def write(points: list[Point], path: Path) -> None:
    """The CSV."""
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(Point._fields)
        for *names, call, step in points:
            lines.writerow([*names, f"{call:.4g}", f"{step:.4g}"])


def draw(one: list[Point], many: list[Point], floors: dict[str, float], path: Path) -> None:
    """The figure: at the left one row of more and more agents, at the right more and more rows."""
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, points, title in (
        (left, one, "One row (B = 1), one thread"),
        (right, many, "Many small rows (N = 16, battle 12), two threads"),
    ):
        for kind in KINDS:
            mine = [point for point in points if point.game == kind.name]
            agents = [point.num_envs * point.num_agents for point in mine]
            costs = [point.nanoseconds_per_agent_step for point in mine]
            axes.plot(agents, costs, "o-", color=kind.color, label=kind.name, lw=2, ms=5)
            axes.axhline(floors[kind.name], color=kind.color, ls=":", lw=1.2)
            if kind.name == "squeeze":  # the fixed cost of a call, shared by its agents
                slope = [costs[0] * agents[0] / count for count in agents]
                axes.plot(agents, slope, color="#888888", ls="--", lw=1, zorder=0)
                fixed = f"{costs[0] * agents[0] / 1e3:.0f} µs a call"
                axes.annotate(
                    fixed, (agents[3], slope[3]), (-8, -8), textcoords="offset points",
                    ha="right", va="top", color="#666666", fontsize=9,
                )  # fmt: skip
            if kind.name != "squeeze":  # its floor is Ising's
                label = f"floor{' of both' if kind.name == 'Ising' else ''}"
                at = (0.995, floors[kind.name])
                axes.text(
                    *at, label, color=kind.color, transform=axes.get_yaxis_transform(),
                    ha="right", va="top", fontsize=9,
                )  # fmt: skip
        axes.set(xscale="log", yscale="log", ylim=(1, 3e4), xlabel="agents in a call, B N")
        axes.set_title(title, fontsize=12)
        axes.grid(True, which="major", color="#dddddd", lw=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    left.set_ylabel("nanoseconds an agent-step")
    left.legend(frameon=False, fontsize=11)
    figure.suptitle(f"Cost of an agent's step, observations included ({machine()})", fontsize=12)
    figure.savefig(path, dpi=130)


def main() -> None:
    """`python -m benchmarks.scale`."""
    bandwidth = copy_bandwidth()
    print(f"{machine()}; copy {bandwidth / 1e9:.1f} GB/s\n")
    one = [measure(kind, size, 1) for kind in KINDS for size in kind.sizes]
    many = [measure(kind, kind.small, rows) for kind in KINDS for rows in ROWS]
    for point in one + many:
        print(
            f"{point.game:<8}{point.num_envs:>7}{point.num_agents:>9}"
            f"{point.microseconds_per_call:>13,.1f} us a call"
            f"{point.nanoseconds_per_agent_step:>11,.2f} ns an agent-step"
        )
    floors = {kind.name: 1e9 * kind.bytes / bandwidth for kind in KINDS}
    write(one + many, FOLDER / "scale.csv")
    draw(one, many, floors, FOLDER / "scale.png")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"\nat most {peak / 2**30:.1f} GiB of memory")


if __name__ == "__main__":
    main()
