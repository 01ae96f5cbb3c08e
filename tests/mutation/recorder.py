"""A pytest plugin that writes down which lines each test runs: `-p tests.mutation.recorder`.

Lines of Python are seen by coverage.py. A rule runs as machine code, which it cannot see: a test that
hands a rule to the CPU backend counts as one that runs every line of the rule and of its helpers.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import coverage
import pytest

ROOT = Path.cwd()
COVERAGE = coverage.Coverage(
    data_file=None, source=["mfq", "mfenvs", "tests"], omit=["tests/mutation/*"], messages=False
)
COVERAGE.start()  # before anything of ours is imported
SECONDS: dict[str, float] = defaultdict(float)
FAILED: set[str] = set()
RULES: dict[str, set[Callable[..., None]]] = defaultdict(set)
running = ""


def function_of(nodeid: str) -> str:
    """A test without its parameters."""
    return nodeid.partition("[")[0]


def pytest_configure() -> None:
    if not (ROOT / "mfenvs").exists():
        return
    from mfenvs.engine.backend import CpuBackend

    run = CpuBackend.run

    def recorded(self: CpuBackend, rule: Any, *arguments: Any, **options: Any) -> None:
        RULES[running].add(rule)
        run(self, rule, *arguments, **options)

    CpuBackend.run = recorded  # type: ignore[method-assign]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    global running
    running = function_of(item.nodeid)
    COVERAGE.switch_context(running)
    before = sum(
        os.times()[:4]
    )  # of processors, children's included, whatever else the machine does
    result = yield
    SECONDS[running] += sum(os.times()[:4]) - before
    COVERAGE.switch_context("")
    running = ""
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if not report.passed:  # skipped, too: it cannot kill anything
        FAILED.add(function_of(report.nodeid))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lines_of(rule: Callable[..., None]) -> Iterator[tuple[str, int]]:
    """The lines of a rule and of all its helpers, as (file, line)."""
    from mfenvs.engine.compile import _helpers

    waiting, seen = [rule], set()
    while waiting:
        function = waiting.pop()
        if function not in seen:
            seen.add(function)
            waiting.extend(helper for _, helper in _helpers(function))
            code = function.__code__
            yield from ((code.co_filename, line) for *_, line in code.co_lines() if line)


def pytest_sessionfinish() -> None:
    COVERAGE.stop()
    data = COVERAGE.get_data()
    reached: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for file in data.measured_files():
        for line, tests in data.contexts_by_lineno(file).items():
            for test in tests:
                reached[test][file].add(line)
    for test, rules in RULES.items():
        for rule in rules:
            for file, line in lines_of(rule):
                reached[test][file].add(line)

    def relative(lines: dict[str, set[int]]) -> dict[str, list[int]]:
        inside = {Path(file): found for file, found in lines.items() if str(ROOT) in file}
        return {path.relative_to(ROOT).as_posix(): sorted(inside[path]) for path in sorted(inside)}

    files = sorted({file for lines in reached.values() for file in relative(lines)})
    record = {
        "tests": {
            test: {"seconds": round(seconds, 3), "lines": relative(reached[test])}
            for test, seconds in SECONDS.items()
            if test not in FAILED
        },
        "failed": sorted(FAILED),
        "stamps": {file: digest(ROOT / file) for file in files},
    }
    Path(os.environ["MUTANTS_RECORD"]).write_text(json.dumps(record))
