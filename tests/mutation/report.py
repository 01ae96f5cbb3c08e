"""What a run found: counts by file, and the survivors, which docs/mutants.md explains one by one."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from tests.mutation.trial import Verdict

FATES = ("killed", "timeout", "survived", "no test")


def key(verdict: Verdict) -> tuple[str, str, str]:
    """A mutant whatever its line: (file, function, edit)."""
    return verdict.name.partition(":")[0], verdict.where, verdict.edit


def table_row(verdict: Verdict) -> str:
    """A survivor as a row of docs/mutants.md, its explanation still to be written."""
    path, where, edit = (cell.replace("|", r"\|") for cell in key(verdict))
    return f"| {path} | {where} | `{edit}` | {verdict.tests} of {verdict.of} | |"


def explained(page: Path) -> set[tuple[str, str, str]]:
    """The survivors that a page explains: rows of its tables whose last cell says something."""
    found = set()
    for line in page.read_text().splitlines() if page.exists() else []:
        cells = [c.strip() for c in line.replace(r"\|", "\0").strip("|").split("|")]
        if len(cells) == 5 and cells[-1]:
            path, where, edit = (cell.replace("\0", "|") for cell in cells[:3])
            found.add((path, where, edit.strip("`")))
    return found


def report(
    verdicts: Sequence[Verdict], work: Path, explanations: set[tuple[str, str, str]]
) -> None:
    """Prints counts by file and in all; writes survivors.csv and survivors.md (rows for the page)."""
    by_file: dict[str, Counter[str]] = defaultdict(Counter)
    for verdict in verdicts:
        by_file[verdict.name.partition(":")[0]][verdict.fate] += 1
    print(f"\n{'':32}" + "".join(f"{fate:>10}" for fate in FATES))
    total: Counter[str] = Counter()
    for path in sorted(by_file):
        total += by_file[path]
        print(f"{path:32}" + "".join(f"{by_file[path][fate]:10}" for fate in FATES))
    print(f"{'all':32}" + "".join(f"{total[fate]:10}" for fate in FATES))

    lives = [verdict for verdict in verdicts if verdict.lives]
    unexplained = [verdict for verdict in lives if key(verdict) not in explanations]
    share = len(unexplained) / max(len(verdicts), 1)
    print(f"{len(lives)} of {len(verdicts)} live; docs/mutants.md explains all but", end=" ")
    print(f"{len(unexplained)} ({share:.0%} of the sample)")
    with (work / "survivors.csv").open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["mutant", "function", "edit", "tests", "of", "explained"])
        for verdict in lives:
            about = (verdict.name, verdict.where, verdict.edit)
            rows.writerow([*about, verdict.tests, verdict.of, key(verdict) in explanations])
    (work / "survivors.md").write_text("".join(table_row(v) + "\n" for v in unexplained))
