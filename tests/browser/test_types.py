"""The replay page of games with several types, walls and food in a real browser: `make test-browser`."""

import pytest

import mfq
from mfenvs import gather_v0, tiger_deer_v0
from mfq.recording.record import record
from tests.browser.test_replay import facts, find, load, numbers, point_at, press, text, wait
from tests.mfq.recording.test_page import read

PIXEL = """
const board = document.getElementById("board"), copy = document.createElement("canvas");
[copy.width, copy.height] = [board.width, board.height];
const context = copy.getContext("2d", { willReadFrequently: true });
context.drawImage(board, 0, 0);
const at = [0, 1].map((k) => Math.round((arguments[k] + 0.5) * board.width / arguments[2]));
return [...context.getImageData(...at, 1, 1).data].slice(0, 3);
"""
SMALL = mfq.QConfig(network={"hidden": (16,), "filters": 0})


def pixel(browser, x, y, cells):
    """The color in the middle of a cell."""
    return browser.execute_script(PIXEL, x, y, cells)


def test_each_type_has_its_actions_and_walls_are_drawn(browser, tmp_path):
    counts = {"deer": 3, "tiger": 2, "walls": 8}
    view = mfq.wrap(tiger_deer_v0.batched_env(1, map_size=14, max_cycles=8, counts=counts))
    agent = mfq.ByType(view, lambda its, seed: mfq.QAgent(its, config=SMALL, seed=seed))
    path = record(view, agent, tmp_path / "a.html")
    header, arrays = read(path)
    load(browser, path)
    for number, actions in ((0, 5), (4, 9), (1, 5)):
        point_at(browser, header, arrays, number, 0)
        assert text(browser, "name") == header["agents"][number]
        assert len(numbers(browser, "mean")) == len(numbers(browser, "values")) == actions
        abilities = header["types"][header["type"][number]]
        assert facts(browser)["action"] == abilities["actions"][arrays["action"][number, 0]]
        assert text(browser, "mean-title") == "Mean action of its neighbours of its type"
    wall = pixel(browser, *header["walls"][0][0], 14)
    assert wall == pytest.approx(pixel(browser, *header["walls"][0][1], 14), abs=20)
    assert max(wall) - min(wall) < 20, "gray"
    deer, tiger = (
        pixel(browser, float(arrays["x"][k, 0]), float(arrays["y"][k, 0]), 14) for k in (2, 3)
    )
    assert deer[1] > deer[0], "green"
    assert tiger[0] > tiger[2] + 50, "amber"
    press(browser, " ")
    wait(browser, lambda: text(browser, "clock") == "step 8")


def test_food_is_drawn_until_it_is_eaten(browser, tmp_path):
    cells = {"omnivore": [(5, 5), (5, 7)], "food": [(5, 6), (10, 10)]}
    env = gather_v0.batched_env(1, map_size=14, max_cycles=5, placement=cells)
    path = record(mfq.wrap(env), "forage", tmp_path / "a.html")
    load(browser, path)
    assert text(browser, "counts").split() == ["omnivore", "2", "food", "2"]
    before = pixel(browser, 5, 6, 14)
    assert before[1] > before[0], "green"
    press(browser, "ArrowRight", "ArrowRight", "ArrowRight")
    assert text(browser, "counts").split() == ["omnivore", "2", "food", "1"]
    assert pixel(browser, 5, 6, 14) != before
    assert "food on the board" in text(browser, "legend")
    assert find(browser, "agent").is_displayed() is False


@pytest.mark.parametrize("key", ["[", "]"])
def test_food_is_not_selected(browser, tmp_path, key):
    cells = {"omnivore": [(5, 5)], "food": [(8, 8), (10, 10)]}
    env = gather_v0.batched_env(1, map_size=14, max_cycles=2, placement=cells)
    load(browser, record(mfq.wrap(env), "forage", tmp_path / "a.html"))
    for _ in range(2):
        press(browser, key)
        assert text(browser, "name") == "omnivore_0"
