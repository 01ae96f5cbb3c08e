"""How everything here is timed: the median of several repetitions, side by side."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

REPETITIONS = 5
SECONDS = 0.3


def seconds_per_call(call: Callable[[], object]) -> float:
    """Calls once to warm up, then times a run of calls that lasts about `SECONDS`."""
    call()
    start = time.perf_counter()
    call()
    once = max(time.perf_counter() - start, 1e-9)
    count = max(1, int(SECONDS / once))
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def side_by_side(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds per call of each; they take turns, so that a noisy machine hits all alike."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(REPETITIONS):
        for name, call in calls.items():
            found[name].append(seconds_per_call(call))
    return {name: statistics.median(times) for name, times in found.items()}


def machine() -> str:
    """The processor, the cores given to us, and the date."""
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    cores = len(os.sched_getaffinity(0))
    return f"{names[0] if names else platform.processor()}, {cores} cores, {date.today()}"
