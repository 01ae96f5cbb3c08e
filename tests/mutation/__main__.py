"""Small mutations of mfq/ and the rules, and whether a test fails: `python -m tests.mutation`.

What it does and how to read it is said in docs/mutants.md.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue

from tests.mutation.covering import Covering, record, test_files
from tests.mutation.operators import Mutant, is_change, mutants_of
from tests.mutation.report import explained, report
from tests.mutation.trees import copy_sources, linked_copy
from tests.mutation.trial import SLACK, Verdict, judge, run, stamp_of

FILES = ("mfq/**/*.py", "mfenvs/engine/actions.py", "mfenvs/rng.py")
RULES = (
    *("rules", "moves", "observe", "board", "compact", "scripted"),
    *("start", "orders", "attack", "move", "reward"),
)


def main(argv: Sequence[str] | None = None) -> None:
    options = parser().parse_args(argv)
    root, work = Path(options.root).resolve(), Path(options.work).resolve()
    tree, records, verdicts = work / "tree", work / "records", work / "verdicts.jsonl"
    records.mkdir(parents=True, exist_ok=True)
    copy_sources(root, tree)
    check(tree, options.mutants, options.files, options.n)  # before the tests are recorded
    with ThreadPoolExecutor(options.processes) as pool:
        tests = test_files(tree) if options.tests is None else options.tests
        for said in pool.map(lambda file: record(tree, file, records), tests):
            print(said, flush=True)
        covering = Covering(tree, records)
        mutants = list(pick(tree, options.mutants, options.files, options.n, options.seed))
        known = {} if options.mutants else still_valid(verdicts, tree, options.seconds)
        if not sound(tree, work / "mutated-0", covering):
            sys.exit("a test fails without any mutation: nothing can be said")
        print(f"{len(mutants)} mutants, {sum(m.name in known for m in mutants)} known", flush=True)

        places: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.processes):
            places.put(work / f"mutated-{number}")

        def on_trial(mutant: Mutant) -> Verdict:
            place = places.get()
            try:
                return judge(mutant, tree, place, covering, options.seconds)
            finally:
                places.put(place)

        try:
            waiting = [pool.submit(on_trial, m) for m in mutants if m.name not in known]
            with verdicts.open("a") as out:
                for future in as_completed(waiting):
                    verdict = future.result()
                    known[verdict.name] = verdict
                    print(line_of(verdict), flush=True)
                    print(json.dumps(verdict.row()), file=out, flush=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            sys.exit("stopped; the same command goes on")
    report([known[mutant.name] for mutant in mutants], work, explained(root / "docs/mutants.md"))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    add = parser.add_argument
    add("mutants", nargs="*", help="FILE:LINE:COLUMN:OPERATOR, to see these again")
    add("--n", type=int, default=120, help="how many, if none is named")
    add("--seed", type=int, default=0, help="of the sample")
    add("--files", nargs="*", help="to mutate (globs); default: mfq/ and the rules")
    add("--tests", nargs="*", help="test files to record first; default: all")
    add("--seconds", type=float, default=60, help="of tests for a mutant; 0: all that run it")
    add("--processes", type=int, default=2)
    add("--root", default=".", help=argparse.SUPPRESS)
    add("--work", default="build/mutants", help="folder of copies and results")
    return parser


def paths(tree: Path, files: Sequence[str] | None) -> list[str]:
    """The files to mutate."""
    globs = files or [*FILES, *(f"mfenvs/*/{name}.py" for name in RULES)]
    return sorted({p.relative_to(tree).as_posix() for glob in globs for p in tree.glob(glob)})


def check(tree: Path, names: Sequence[str], files: Sequence[str] | None, n: int) -> None:
    """Raises a ValueError unless the files to mutate are there, and within the tree: a path that leads
    out of it leads out of its copies as well, to a file of the user's."""
    for path in [name.partition(":")[0] for name in names] + list(files or ()):
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise ValueError(f"path={path!r}; allowed: paths from the root of the repository")
    for name in names:
        if not (tree / name.partition(":")[0]).is_file():
            raise ValueError(
                f"mutant={name!r}; allowed: FILE:LINE:COLUMN:OPERATOR of a file there is"
            )
    if not names and not paths(tree, files):
        raise ValueError(f"files={files!r}; allowed: globs that match a file")
    if n < 1:
        raise ValueError(f"n={n!r}; allowed: 1 or more")


def pick(
    tree: Path, names: Sequence[str], files: Sequence[str] | None, n: int, seed: int
) -> Iterator[Mutant]:
    """The mutants that are named, or a sample in which each file has its share.

    Raises:
        ValueError: for a name that is no mutant of the sources as they are, or for no file at all.
    """
    check(tree, names, files, n)
    chosen = [name.partition(":")[0] for name in names] or paths(tree, files)
    sources = {path: (tree / path).read_bytes() for path in chosen}
    found = {path: mutants_of(path, source) for path, source in sources.items()}
    if names:
        by_name = {mutant.name: mutant for mutants in found.values() for mutant in mutants}
        for name in names:
            if name not in by_name:
                raise ValueError(f"mutant={name!r}; allowed: one of {sorted(by_name)[:9]} ...")
            yield by_name[name]
        return
    draw = random.Random(seed)
    ordered: list[Mutant] = []
    for mutants in found.values():
        draw.shuffle(mutants)
        ordered += mutants
    pace = max(1.0, len(ordered) / n)
    offset = draw.random()
    sample = [ordered[int((k + offset) * pace)] for k in range(min(n, len(ordered)))]
    draw.shuffle(sample)  # so that a run that is stopped early is a sample, too
    yield from (mutant for mutant in sample if is_change(mutant, sources[mutant.path]))


def still_valid(verdicts: Path, tree: Path, seconds: float) -> dict[str, Verdict]:
    """Verdicts of earlier runs that a run would give again."""
    if not verdicts.exists():
        return {}
    rows = [Verdict(**json.loads(line)) for line in verdicts.read_text().splitlines()]
    whole = stamp_of(tree, seconds)
    return {
        row.name: row
        for row in rows
        if row.stamp == (stamp_of(tree, seconds, row.name, row.by) if row.by else whole)
    }


def sound(tree: Path, place: Path, covering: Covering) -> bool:
    """Whether the fastest tests pass where nothing is mutated."""
    fastest = sorted(covering.seconds, key=lambda test: covering.seconds[test])[:9]
    linked_copy(tree, place)
    return bool(fastest) and run(place, fastest, SLACK) == ("survived", "")


def line_of(verdict: Verdict) -> str:
    by = f" by {verdict.by}" if verdict.by else f" ({verdict.tests} of {verdict.of} tests)"
    return f"{verdict.fate:9} {verdict.name} {verdict.where}: {verdict.edit}{by}"


if __name__ == "__main__":
    main()
