"""The figures of docs: text that can be read there, random play, and no picture of an older style."""

import json
import struct
from functools import cache
from pathlib import Path

import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from baselines import recompute, third_party
from benchmarks import scale
from mfq.common.files import read_csv
from mfq.studies import curves, style
from mfq.studies.battle import Result, figure
from mfq.studies.curves import Point

ROOT = Path(__file__).parents[2]
PICTURE = 736  # pixels, the width of the column of a page of the site; a README has 830
SCORES = ("battle-small-curves", "battle-small-four-curves", "ising", "third_party")


@cache
def drawn(name):
    """A figure as `python -m baselines.recompute` draws it."""
    if name == "scale":
        setup = json.loads((ROOT / "docs/scale.json").read_text())
        points = read_csv(ROOT / "docs/scale.csv", scale.Point)
        return scale.draw(points, 1e9 * setup["copy_gb_per_s"])
    if name == "third_party":
        points = recompute.read("third_party_curves", third_party.Point)
        return third_party.figure_of(points, recompute.summaries())
    if name.endswith("-curves"):
        points = recompute.read(name, Point)
        return curves.draw(points, recompute.random_play())
    if name == "ising":
        results = recompute.read(name, recompute.IsingResult)
        return recompute.ising_figure.draw(recompute.ising_study(), results)
    return figure.draw(recompute.read(name, Result))


@pytest.mark.parametrize("name", [*SCORES, "scale", "battle-small-four", "battle-h100"])
def test_text_has_nine_pixels_on_a_page(name):
    picture = drawn(name)
    picture.draw_without_rendering()
    sizes = [
        text.get_fontsize() * PICTURE / (72 * picture.get_figwidth())
        for text in picture.findobj(Text)
        if text.get_visible() and text.get_text()
    ]
    assert len(sizes) > 10
    assert min(sizes) >= 9


@pytest.mark.parametrize("name", SCORES)
def test_random_play_is_a_line_in_every_panel(name):
    for axes in drawn(name).axes:
        dashed = [
            line
            for line in axes.lines
            if to_hex(line.get_color()) == style.RANDOM_PLAY.lower()
            and line.get_linestyle() == "--"
        ]
        assert len(dashed) == 1


def test_random_play_of_the_small_setting():
    rates = recompute.random_play()
    assert rates["eval_rush_win_rate_as_red"] == 0.0
    assert 0 < rates["eval_random_win_rate"] < 0.1  # most battles are drawn


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs/studies").glob("*.png")), ids=lambda p: p.stem
)
def test_the_pictures_are_those_of_the_style(path):
    """Width and height of the committed file are those of the figure that its CSV gives."""
    width, height = struct.unpack(">II", path.read_bytes()[16:24])
    size = drawn(path.stem).get_size_inches()
    assert (width, height) == tuple(int(200 * edge) for edge in size)


def test_every_figure_of_the_studies_is_recomputed():
    names = {path.stem for path in (ROOT / "docs/studies").glob("*.png")}
    computed = {*recompute.BATTLES, *recompute.MATRICES, "ising"}
    assert names == computed | {f"{name}-curves" for name in recompute.CURVES}
