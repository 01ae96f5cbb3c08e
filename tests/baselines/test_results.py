"""Results over several seeds: what docs/studies/armies.md quotes, and what they must reach."""

import csv
from pathlib import Path

import numpy as np
import pytest

from mfq.studies.battle import Single
from mfq.studies.battle.tables import table_of_runs

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/studies/armies.md").read_text()


def read(study):
    with (ROOT / f"baselines/results/{study}_runs.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    # These were played before there were several starts.
    assert (*rows[0], "placement") == Single._fields
    return [Single(*row[:4], int(row[4]), *map(float, row[5:])) for row in rows[1:]]


@pytest.mark.parametrize("study", ["battle-small", "battle-h100"])
def test_the_page_quotes_the_results(study):
    block = "".join(f"    {line}\n" for line in table_of_runs(read(study)).splitlines())
    assert f"\n\n{block}\n" in PAGE


@pytest.mark.parametrize("player", ["mfq", "iql"])
def test_the_median_of_five_seeds_beats_random_and_rush(player):
    singles = read("battle-small")
    for opponent, least in (("random", 0.95), ("rush", 0.6)):
        for side in ("red", "blue"):
            rates = [
                single.win_rate
                for single in singles
                if (single.player, single.opponent, single.side) == (player, opponent, side)
            ]
            assert len(rates) == 5
            assert np.median(rates) >= least
