"""Which tests run a line: recorded once a test file, and again only when what it runs has changed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.mutation.operators import Mutant
from tests.mutation.trees import digest, environment

SHUT_OUT = ("tests/gpu/", "tests/mutation/")


def test_files(root: Path) -> list[str]:
    """All test files but those for GPUs and this tool's own."""
    found = sorted(path.relative_to(root).as_posix() for path in root.glob("tests/**/test_*.py"))
    return [path for path in found if not path.startswith(SHUT_OUT)]


def record(tree: Path, test_file: str, records: Path) -> str:
    """Runs a test file in a tree and keeps which lines its tests ran; what there is to say of it."""
    kept = records / f"{test_file.replace('/', '.')}.json"
    if kept.exists() and is_valid(json.loads(kept.read_text()), tree):
        return f"{test_file}: known"
    kept.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-p", "tests.mutation.recorder", "-p"]
    command += ["no:cacheprovider", "-o", "timeout=1200", test_file]
    env = environment(tree) | {"MUTANTS_RECORD": str(kept)}
    with kept.with_suffix(".log").open("w") as log:
        subprocess.run(command, cwd=tree, env=env, stdout=log, stderr=subprocess.STDOUT)
    if not kept.exists():
        return f"{test_file}: could not be recorded (see its log in {records}); kills nothing"
    failed = json.loads(kept.read_text())["failed"]
    return f"{test_file}: recorded" + (f"; failed or skipped: {', '.join(failed)}" * bool(failed))


def is_valid(kept: dict[str, Any], tree: Path) -> bool:
    """Whether all the files that a test file ran are as they were."""
    files = {tree / file: stamp for file, stamp in kept["stamps"].items()}
    return all(file.exists() and digest(file) == stamp for file, stamp in files.items())


class Covering:
    """The tests that run a line, and how long they take.

    Args:
        tree: the unmutated sources.
        records: the folder of what `record` kept.
    """

    def __init__(self, tree: Path, records: Path) -> None:
        self.tree = tree
        self.seconds: dict[str, float] = {}
        self.tests: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        for kept in sorted(records.glob("*.json")):
            for test, run in json.loads(kept.read_text())["tests"].items():
                self.seconds[test] = run["seconds"]
                for file, lines in run["lines"].items():
                    for line in lines:
                        self.tests[file][line].add(test)

    def of(self, mutant: Mutant) -> list[str]:
        """The tests that may kill a mutant, fastest first.

        Those that run its statement. What runs on import is seen by those that run a line which names
        what is assigned there, or, where nothing is, any line of its file. A statement that none is seen
        to run may run in a process that a test starts: then those of the test file of that name.
        """
        first, last = mutant.lines
        found = self._reaching(mutant.path, range(first, last + 1))
        if mutant.owner == "module":
            found = self._naming(mutant) or self._reaching(mutant.path, self.tests[mutant.path])
        if not found:
            mirror = f"/test_{Path(mutant.path).stem}.py::"
            found = {test for test in self.seconds if mirror in test}
        return sorted(found, key=lambda test: (self.seconds[test], test))

    def _reaching(self, file: str, lines: Iterable[int]) -> set[str]:
        reached = self.tests.get(file, {})
        return {test for line in lines for test in reached.get(line, ())}

    def _naming(self, mutant: Mutant) -> set[str]:
        text = (self.tree / mutant.path).read_text().splitlines()[mutant.lines[0] - 1]
        name = re.match(r"\s*(\w+)\s*(:|=)", text)
        if not name:
            return set()
        word, found = re.compile(rf"\b{name[1]}\b"), set[str]()
        for file in [file for file in self.tests if file.startswith(("mfq/", "mfenvs/"))]:
            lines = (self.tree / file).read_text().splitlines()
            found |= self._reaching(
                file, [k for k, line in enumerate(lines, 1) if word.search(line)]
            )
        return found
