"""Rows that are written to a CSV file and read again."""

import math
from typing import NamedTuple

from mfq.common.files import read_csv, write_csv


class Row(NamedTuple):
    name: str
    seed: int
    score: float


def test_rows_are_read_as_they_were_written(tmp_path):
    rows = [Row("a, b", 3, 0.1), Row("", -1, math.nan), Row("c", 2**40, 1e-300)]
    again = read_csv(write_csv(tmp_path / "sub" / "rows.csv", rows), Row)
    assert again[::2] == rows[::2]
    assert again[1][:2] == ("", -1)
    assert math.isnan(again[1].score)
