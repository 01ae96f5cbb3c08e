"""One mutant on trial: a copy of the tree with one edit, and the tests that run the line."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.mutation.covering import Covering
from tests.mutation.operators import Mutant
from tests.mutation.trees import digest, environment, linked_copy

SLACK = 180.0  # seconds to start, import and compile
FACTOR = 6.0  # times the unmutated time


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant.

    Attributes:
        name, where, edit: see `Mutant`.
        fate: "killed", "timeout" (a hang, which counts as killed), "survived", or "no test".
        by: the test that failed, or "".
        tests: how many tests were to run, and `of` how many that run the line.
        stamp: of what decides: the mutated file and the killer's, or, of a survivor, all files and
            for how many seconds it was tested.
    """

    name: str
    where: str
    edit: str
    fate: str
    by: str
    tests: int
    of: int
    stamp: str

    @property
    def lives(self) -> bool:
        return self.fate in ("survived", "no test")

    def row(self) -> dict[str, Any]:
        return asdict(self)


def stamp_of(tree: Path, seconds: float, mutant: str = "", killer: str = "") -> str:
    """See `Verdict.stamp`."""
    if killer:
        path = tree / mutant.partition(":")[0]
        return digest(path, tree / killer.partition("::")[0])
    files = [file for top in ("mfq", "mfenvs", "tests") for file in (tree / top).rglob("*.py")]
    files = sorted(file for file in files if file.parent != tree / "tests/mutation")
    return f"{digest(*files)} {seconds:g}"


def choose(tests: list[str], covering: Covering, seconds: float) -> list[str]:
    """The fastest tests that together take no longer than this (0: all of them), and at least one."""
    chosen, total = tests[:1], sum(covering.seconds[test] for test in tests[:1])
    for test in tests[1:]:
        total += covering.seconds[test]
        if seconds and total > seconds:
            break
        chosen.append(test)
    return chosen


def judge(mutant: Mutant, tree: Path, place: Path, covering: Covering, seconds: float) -> Verdict:
    """Runs the tests of a mutant in a copy of the tree made at `place`."""
    tests = covering.of(mutant)
    chosen = choose(tests, covering, seconds)
    fate, by = "no test", ""
    source = (tree / mutant.path).read_bytes()
    if chosen:
        expected = sum(covering.seconds[test] for test in chosen)
        linked_copy(tree, place)
        path = place / mutant.path
        path.unlink()  # the link, not what others share
        path.write_bytes(mutant.apply(source))
        for stale in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            stale.unlink()  # dated by the second alone
        try:
            fate, by = run(place, chosen, SLACK + FACTOR * expected)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    stamp = stamp_of(tree, seconds, mutant.name, by)
    about = (mutant.name, mutant.where, mutant.edit(source))
    return Verdict(*about, fate, by, len(chosen), len(tests), stamp)


def run(tree: Path, tests: list[str], timeout: float) -> tuple[str, str]:
    """How the tests end in a tree, and the first that fails."""
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "--tb=no", "-rfE"]
    with subprocess.Popen(
        [*command, *tests],
        cwd=tree,
        env=environment(tree),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that what a test starts ends with it
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            return "timeout", ""
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode == 0:
        return "survived", ""
    if process.returncode < 0:  # out of memory, say: nothing that a test found
        raise RuntimeError(
            f"pytest was ended by signal {-process.returncode}; the same command goes on"
        )
    failed = re.search(r"^(?:FAILED|ERROR) (\S+?)(?:\[|\s|$)", output, re.MULTILINE)
    return "killed", failed[1] if failed else "tests/conftest.py"
