"""Is a checkout slower than another? Times the rows of `benchmarks.battle` and `.batched` in turns.

    python -m benchmarks.in_turns ../old . --threads 1

A process of each checkout plays the same steps, in turns of about `SECONDS` each, so that both meet the
same noise of the machine. A process keeps its arrays where it allocated them, which alone makes a
difference of some per cent; so each row is timed in several pairs of processes. The ratio of a pair is
that of their fastest turns, to which other work on the machine has added least; a row has the median of
its pairs.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

SECONDS = 0.05
# Runs in a checkout, by names that both have. It reads a number of episodes and prints seconds.
WORKER = """
import json, sys
import numpy as np
from benchmarks import batched, battle
group, name, phase, rows = json.loads(sys.argv[1])
player, first, last = battle.PHASES[phase]
if group == "batched":
    ours = batched.Ours(name, rows, "cpu", None)
    actions = ours.record(player, last)
    once = lambda: ours.seconds(actions, first, last)
else:
    actions = battle.recorded(player, last)
    options = {"map_size": battle.MAP, **battle.MODES[name]}
    if group == "engine":
        env = battle.Engine(**options)
        agents = env.env.possible_agents
        arrays = [np.full((1, len(agents)), -1, np.int64) for _ in actions]
        for array, joint in zip(arrays, actions):
            array[0, [agents.index(agent) for agent in joint]] = list(joint.values())
        actions = arrays
    else:
        env = battle.battle_v0.parallel_env(**options)
    battle.EPISODES = 1
    once = lambda: battle.seconds_per_step(env, actions, first, last)
print("ready", flush=True)
for line in sys.stdin:
    print(sum(once() for _ in range(int(line))), flush=True)
"""
ROWS: list[tuple[str, str, str, int]] = [
    *(("batched", tier, "start", rows) for tier in ("step", "views") for rows in (1, 16, 64, 256)),
    *(("batched", tier, "fight", 64) for tier in ("step", "views")),
    *(
        (group, mode, phase, 1)
        for group in ("engine", "pettingzoo")
        for mode in ("13 x 13 x 5", "minimap", "minimap, features")
        for phase in ("start", "fight")
    ),
]


@dataclass(frozen=True)
class Options:
    """Two checkouts to compare.

    Attributes:
        old, new: folders of checkouts.
        pairs: pairs of processes for each row.
        turns: turns of each process.
        threads: cores for each process; 0 for all.
        only: only rows whose text contains this.
    """

    old: Annotated[Path, tyro.conf.Positional]
    new: Annotated[Path, tyro.conf.Positional]
    pairs: int = 3
    turns: int = 30
    threads: int = 0
    only: str = ""


def start(checkout: Path, row: Any, threads: int) -> subprocess.Popen[str]:
    """A process that plays a row in a checkout."""
    cores = sorted(os.sched_getaffinity(0))
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, json.dumps(row)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout.resolve())},
        preexec_fn=lambda: os.sched_setaffinity(0, cores[-threads:]),
    )
    assert process.stdout is not None
    if process.stdout.readline().strip() != "ready":
        raise RuntimeError(f"{checkout} cannot play {row}")
    return process


def seconds(process: subprocess.Popen[str], episodes: int) -> float:
    """The seconds of a turn of so many episodes."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{episodes}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def ratio(row: Any, options: Options) -> float:
    """How many times as fast as the old checkout the new one is, in one pair of processes."""
    with ExitStack() as stack:
        pair = [
            stack.enter_context(start(checkout, row, options.threads))
            for checkout in (options.old, options.new)
        ]
        once = max(seconds(process, 3) / 3 for process in pair)
        episodes = max(1, round(SECONDS / max(once, 1e-6))) if row[0] == "batched" else 100
        times: list[list[float]] = [[], []]
        for turn in range(options.turns):
            for which in (0, 1) if turn % 2 else (1, 0):
                times[which].append(seconds(pair[which], episodes))
        for process in pair:
            process.kill()
    old, new = map(min, times)  # what other processes take only adds
    return old / new


def main() -> None:
    """Prints a line for each row."""
    options = tyro.cli(Options, description=__doc__)
    print(f"{'row':<44}{'new / old':>10}   of the pairs")
    for row in ROWS:
        text = " ".join(map(str, row))
        if options.only in text:
            found = sorted(ratio(row, options) for _ in range(options.pairs))
            pairs = " ".join(f"{value:.3f}" for value in found)
            print(f"{text:<44}{statistics.median(found):>10.3f}   {pairs}", flush=True)


if __name__ == "__main__":
    main()
