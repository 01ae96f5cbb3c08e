"""What an agent's step costs from a handful of agents to a million, in one row and in many.

Steps of `BatchedEnv` with everything that they return, while nobody dies or starts anew: choices drawn
before, in a battle moves alone. Times are the least of many calls, since what interrupts a call is none
of an agent's cost. Writes docs/scale.csv, docs/scale.json and docs/scale.png. "floor" is the time in
which a large copy moves the bytes that a step must read and write once.

    python -m benchmarks.scale --draw    # the figure alone, from the other two
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from benchmarks.battle import MOVES
from benchmarks.stage_games import STEP_BYTES
from benchmarks.timing import machine
from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfq.common.files import read_csv
from mfq.studies import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
        style.COLOURS["ac"],
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
        style.COLOURS["iql"],
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
        style.COLOURS["mfq"],
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
    """Writes the CSV, with four digits."""
    lines = [",".join(Point._fields)]
    for *names, call, step in points:
        lines.append(",".join(map(str, [*names, f"{call:.4g}", f"{step:.4g}"])))
    path.write_text("\n".join(lines) + "\n")


def draw(points: list[Point], bandwidth: float) -> Figure:
    """Draws one row of more and more agents at the left, more and more rows at the right.

    Args:
        points: those of all games.
        bandwidth: of a large copy, in bytes per second.
    """
    floors = {kind.name: 1e9 * kind.bytes / bandwidth for kind in KINDS}
    one = [point for point in points if point.num_envs == 1 and point.num_agents not in (12, 16)]
    # Of many rows the first size is one row, which is measured for both panels.
    many = [point for point in points if point.num_agents in (12, 16)]
    with style.style():
        figure = style.new_figure(3.9)
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, shown, title in (
            (left, one, "one row, one thread"),
            (right, many, "many rows of 16 agents (battle: 12), two threads"),
        ):
            for kind in KINDS:
                _draw_game(axes, kind, [p for p in shown if p.game == kind.name], floors[kind.name])
            axes.set(xscale="log", yscale="log", ylim=(1, 3e4), xlabel="agents in a call")
            axes.set_title(title)
            axes.grid(True, which="major", color="#dddddd", lw=0.6)
        left.set_ylabel("nanoseconds an agent-step")
        left.legend(loc="upper right")
    return figure


def _draw_game(axes: Axes, kind: Kind, points: list[Point], floor: float) -> None:
    """Draws the curve of a game and its floor."""
    agents = [point.num_envs * point.num_agents for point in points]
    costs = [point.nanoseconds_per_agent_step for point in points]
    axes.plot(agents, costs, "o-", color=kind.color, label=kind.name, ms=4)
    axes.axhline(floor, color=kind.color, ls=":", lw=1.2)
    label = "floor of memory: battle" if kind.name == "battle" else "floor: Ising and squeeze"
    if kind.name == "squeeze":  # the fixed cost of a call, shared by its agents
        slope = [costs[0] * agents[0] / count for count in agents]
        axes.plot(agents, slope, color="#888888", ls="--", lw=1, zorder=0)
        axes.annotate(
            f"{costs[0] * agents[0] / 1e3:.0f} µs a call",
            (agents[3], slope[3]), (-8, -8), textcoords="offset points",
            ha="right", va="top", color="#555555",
        )  # fmt: skip
    else:  # the squeeze's floor is Ising's
        axes.text(
            0.995, floor, label, transform=axes.get_yaxis_transform(),
            ha="right", va="top", fontsize=7.8,
        )  # fmt: skip


def main(words: Sequence[str] = ()) -> None:
    """`python -m benchmarks.scale`."""
    if "--draw" not in words:
        _measure_all()
    setup = json.loads((FOLDER / "scale.json").read_text())
    points = read_csv(FOLDER / "scale.csv", Point)
    style.write(draw(points, 1e9 * setup["copy_gb_per_s"]), FOLDER / "scale.png")


def _measure_all() -> None:
    """Times all sizes, prints them and writes them."""
    bandwidth = copy_bandwidth()
    print(f"{machine()}; copy {bandwidth / 1e9:.1f} GB/s\n")
    points = [measure(kind, size, 1) for kind in KINDS for size in kind.sizes]
    points += [measure(kind, kind.small, rows) for kind in KINDS for rows in ROWS]
    for point in points:
        print(
            f"{point.game:<8}{point.num_envs:>7}{point.num_agents:>9}"
            f"{point.microseconds_per_call:>13,.1f} us a call"
            f"{point.nanoseconds_per_agent_step:>11,.2f} ns an agent-step"
        )
    write(points, FOLDER / "scale.csv")
    setup = {"machine": machine(), "copy_gb_per_s": round(bandwidth / 1e9, 1)}
    (FOLDER / "scale.json").write_text(json.dumps(setup, indent=2) + "\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"\nat most {peak / 2**30:.1f} GiB of memory")


if __name__ == "__main__":
    main(sys.argv[1:])
