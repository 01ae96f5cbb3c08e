"""What docs/studies/ising.md and the README say of the Ising study is what baselines/results has."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from mfenvs.ising import exact
from mfq.studies.ising import Result
from mfq.studies.ising.learners import METHODS, WARM_UP

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "baselines/results"
NAMES = [method.name for method in METHODS]


def read(name):
    """The rows of a study's CSV by (tau, method)."""
    with (RESULTS / f"{name}.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == Result._fields
    results = [
        Result(float(row[0]), row[1], *(float(cell or "nan") for cell in row[2:]))
        for row in rows[1:]
    ]
    return {(result.tau, result.method): result for result in results}


@pytest.fixture(scope="module")
def page():
    return (ROOT / "docs/studies/ising.md").read_text()


@pytest.fixture(scope="module")
def prose(page):
    """The page as one line, so that sentences may be wrapped anywhere."""
    return " ".join(page.split())


@pytest.fixture(scope="module")
def results():
    return read("ising")


def table(page, first):
    """The page's table whose header begins with a word: its header and its rows, as cells."""
    lines = re.search(rf"^\| {first} \|.*\n\|[-|]+\n(?:\|.*\n)+", page, re.M)[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return cells[0], cells[2:]


def numbers(pattern, text):
    """The numbers in the one place of a text that a pattern finds."""
    places = re.findall(pattern, text)
    assert len(places) == 1, (pattern, places)
    found = places[0] if isinstance(places[0], tuple) else places
    return [float(number.replace(",", "")) for number in found]


def test_every_cell_of_the_table_is_the_results(page, results):
    header, rows = table(page, "tau")
    assert header == ["tau", "Onsager", "Monte Carlo", *NAMES, "Weiss"]
    taus = sorted({tau for tau, _ in results})
    assert len(rows) == len(taus)
    for tau, row in zip(taus, rows, strict=True):
        first = results[tau, "mfq"]
        expected = [f"{tau:g}", f"{first.exact:.3f}"]
        for name in ["monte_carlo", *NAMES]:
            result = results[tau, name]
            half = (result.high - result.low) / 2
            expected.append(f"{result.order_parameter:.3f} +- {half:.3f}")
        expected.append(f"{first.weiss:.3f}")
        assert row == expected


def test_the_page_has_every_learner(page):
    _, rows = table(page, "name")
    assert [row[0] for row in rows] == [f"`{name}`" for name in NAMES]
    for row, method in zip(rows, METHODS, strict=True):
        assert row[2] == method.update


def test_the_studies_are_what_the_page_says(prose):
    study = json.loads((RESULTS / "ising.json").read_text())
    said = numbers(
        r"side ([\d,]+), ([\d,]+) seeds of ([\d,]+) sweeps after ([\d,]+) of burn-in", prose
    )
    assert said == [study[name] for name in ("side", "seeds", "sweeps", "burn_in")]
    other = json.loads((RESULTS / "ising-coupling-0.7.json").read_text())
    said = numbers(r"coupling ([\d.]+)[^(]*\((\d) seeds, (\d) temperatures", prose)
    assert said == [other["coupling"], other["seeds"], len(other["taus"])]
    for file, name in ((study, "ising"), (other, "ising-coupling-0.7")):
        rows = read(name)
        assert sorted({tau for tau, _ in rows}) == sorted(file["taus"])
        assert {rows[tau, "mfq"].seeds for tau in file["taus"]} == {file["seeds"]}
        assert len(rows) == len(file["taus"]) * (len(NAMES) + 1)


def test_the_errors_of_the_tables_are_the_results(prose, results):
    said = numbers(
        r"at most ([\de.-]+) for `mfq` and `iql-observing`, and ([\d.]+) to ([\d.]+) for the others",
        prose,
    )
    errors = {name: [results[key].q_mse for key in results if key[1] == name] for name in NAMES}
    others = errors["iql"] + errors["mfq-previous"]
    exactly = errors["mfq"] + errors["iql-observing"]
    assert said == [float(f"{max(exactly):.1e}"), round(min(others), 1), round(max(others), 1)]


@pytest.mark.parametrize("name", ["ising", "ising-coupling-0.7"])
def test_the_observing_iql_has_the_numbers_of_mfq(name):
    rows = read(name)
    for tau, method in rows:
        if method == "mfq":
            assert rows[tau, "iql-observing"] == rows[tau, "mfq"]._replace(method="iql-observing")


@pytest.mark.parametrize("name", ["ising", "ising-coupling-0.7"])
def test_who_hears_follows_monte_carlo_and_who_does_not_weiss(name):
    coupling = json.loads((RESULTS / f"{name}.json").read_text())["coupling"]
    rows = read(name)
    for tau in {tau for tau, _ in rows}:
        chain = rows[tau, "monte_carlo"]
        for method in ("mfq", "iql-observing"):
            result = rows[tau, method]
            allowed = (result.high - result.low) / 2 + (chain.high - chain.low) / 2
            assert abs(result.order_parameter - chain.order_parameter) < allowed
        if tau < 1.9 * coupling:  # at 2 is Weiss's critical point
            for method in ("iql", "mfq-previous"):
                assert rows[tau, method].order_parameter == pytest.approx(chain.weiss, abs=0.01)


def test_the_theory_on_the_page_is_computed(prose):
    assert numbers(r"\(1 \+ sqrt 2\) = ([\d.]+) lambda", prose) == [
        round(exact.critical_temperature(1.0), 4)
    ]
    assert numbers(r"with tau_c = (\d) lambda", prose) == [exact.weiss_critical_temperature(1.0)]
    tau = np.array([0.8, 0.9, 1.0])
    chain = exact.monte_carlo(64, tau, method="wolff", sweeps=1500, burn_in=200, chains=2)
    measured, known = r"(\.\d+)\((\d+)\)", r"(\.\d+)"
    said = numbers(", ".join([measured] * 3) + " .* against " + ", ".join([known] * 3), prose)
    for mean, error in zip(chain.order_parameter, chain.order_parameter_error, strict=True):
        assert [said.pop(0), said.pop(0)] == [round(mean, 5), round(1e5 * error)]
    assert said == [round(x, 5) for x in exact.onsager_magnetisation(tau).tolist()]


def test_the_warm_up_is_what_the_page_says(prose):
    said = numbers(r"for ([\d,]+) sweeps all agents .* rises from (\.\d+) to (\.\d+)", prose)
    assert said == [WARM_UP.steps, WARM_UP(0), WARM_UP(WARM_UP.steps)]
    # The rarest cells: nobody around is up and one is up oneself, or the reverse.
    expected = sum((1 - WARM_UP(sweep)) ** 4 * WARM_UP(sweep) for sweep in range(WARM_UP.steps))
    assert numbers(r"visited some (\d+) times", prose) == pytest.approx([expected], rel=0.15)


def test_the_readme_says_what_the_figure_shows():
    readme = (ROOT / "README.md").read_text()
    section = " ".join(readme.partition("## Install")[0].split())
    side = json.loads((RESULTS / "ising.json").read_text())["side"]
    assert side**2 == 400
    assert "our hundred agents" in section
    before, picture, after = section.partition("(docs/studies/ising.png)")
    assert picture
    assert "What an agent observes of its neighbours decides" in before
    assert "IQL that observes" in after
