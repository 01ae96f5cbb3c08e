"""Every figure in the tables of docs/studies/squeeze.md is the results', to the digits printed."""

import csv
import re
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "baselines/results"
PAGE = (ROOT / "docs/studies/squeeze.md").read_text()
LINK = re.compile(r"\]\(\.\./\.\./baselines/results/(squeeze-[\w.-]+\.csv)\)")


def printed(value):
    """0.9843 as .984, and 1 as 1.000."""
    return f"{value:.3f}".removeprefix("0")


def tables(page):
    """(the CSV that is linked last before it, its cells by row and name) of each table."""
    found, source, lines = [], None, []
    for line in [*page.splitlines(), ""]:
        source = (LINK.findall(line) or [source])[-1]
        if line.startswith("|"):
            lines.append([cell.strip() for cell in line.strip("| \n").split(" | ")])
        elif lines:
            head, _, *rows = lines
            found.append((source, [dict(zip(head, row, strict=True)) for row in rows]))
            lines = []
    return found


def read(name):
    with (RESULTS / name).open(newline="") as file:
        return list(csv.DictReader(file))


def expected(name):
    """What a table of a CSV must show: a row per number of agents and method."""
    groups = {}
    for row in read(name):
        groups.setdefault((row["num_agents"], row["method"].upper()), []).append(row)
    found = []
    for (number, method), rows in groups.items():
        assert [int(row["seed"]) for row in rows] == list(range(len(rows)))
        scores = [float(row["trained"]) for row in rows]
        untrained = sum(float(row["untrained"]) for row in rows) / len(rows)
        found.append(
            {
                "N": number,
                "learner": method,
                "untrained": printed(untrained),
                "seeds >= .95": f"{sum(score >= 0.95 for score in scores)}/{len(scores)}",
                "the seeds": " ".join(map(printed, scores)),
            }
        )
    return found


def of_the_preset(name):
    """What the table of the preset's runs must show: a row per algorithm."""
    found = []
    for algo, learner in (("mfq", "MFQ"), ("iql", "IQL, without inertia")):
        rows = [row for row in read(name) if row["algo"] == algo]
        returns = [float(row["return"]) for row in rows]
        above = sum(
            score > float(row["random_play_return"])
            for score, row in zip(returns, rows, strict=True)
        )
        found.append(
            {
                "learner": learner,
                "least": f"{min(returns):.2f}",
                "median": f"{median(returns):.2f}",
                "largest": f"{max(returns):.2f}",
                "above random play": f"{above}/{len(rows)}",
            }
        )
    return found


def differences(page):
    """Cells that are not the CSVs'."""
    wrong = []
    for source, rows in tables(page):
        if "draws" in read(source)[0]:
            want = [
                {
                    "concentration": f"{float(row['concentration']):g}",
                    "N": row["num_agents"],
                    "probability": f"{int(row['reached']) / int(row['draws']):.2g}",
                }
                for row in read(source)
            ]
        elif "random_play_return" in read(source)[0]:
            want = of_the_preset(source)
        else:
            want = expected(source)
        if len(rows) != len(want):
            wrong.append((source, "rows"))
        for row, right in zip(rows, want, strict=False):
            wrong += [(source, name, cell) for name, cell in row.items() if right[name] != cell]
    return wrong


def test_the_tables_are_the_results():
    assert differences(PAGE) == []


def test_every_result_has_a_table():
    assert {source for source, _ in tables(PAGE)} == {
        path.name for path in RESULTS.glob("squeeze-*")
    }


def test_a_changed_digit_is_noticed():
    """Every digit of every cell of every table."""
    lines = PAGE.splitlines(keepends=True)
    changed = 0
    for k, line in enumerate(lines):
        if not line.startswith("|") or set(line) <= set("|- \n"):
            continue
        if any(head in line for head in ("seeds >=", "probability", "median")):
            continue  # the head
        for match in re.finditer(r"\d", line):
            other = str((int(match[0]) + 1) % 10)
            mutant = line[: match.start()] + other + line[match.end() :]
            page = "".join([*lines[:k], mutant, *lines[k + 1 :]])
            assert differences(page), mutant
            changed += 1
    assert changed > 100


@pytest.mark.parametrize(("value", "text"), [(0.98377, ".984"), (0.9997, "1.000"), (1e-9, ".000")])
def test_figures_are_printed_to_three_places(value, text):
    assert printed(value) == text
