"""The replay page in a real browser: `make test-browser`."""

import time

import numpy as np
import pytest

import mfq
from mfenvs import battle_v0, ising_v0
from mfq.recording.page import LEVELS
from mfq.recording.record import record
from tests.mfq.recording.test_page import read, shown_mean

SMALL = mfq.QConfig(network={"hidden": (16,), "filters": 0})
TICKS = """
const done = arguments[0], start = performance.now();
let count = 0;
const draw = CanvasRenderingContext2D.prototype.clearRect;
CanvasRenderingContext2D.prototype.clearRect = function (...box) {
  if (this.canvas.id === "board") count += 1;
  return draw.apply(this, box);
};
setTimeout(() => done(1000 * count / (performance.now() - start)), 2000);
"""


@pytest.fixture(scope="module")
def battle(tmp_path_factory):
    """The path, the header and the arrays of a battle."""
    path = tmp_path_factory.mktemp("replay") / "battle.html"
    view = mfq.wrap(battle_v0.batched_env(1, map_size=40, max_cycles=60))
    agent = mfq.QAgent(view, config=SMALL, seed=1)
    record(view, {"red": agent, "blue": "rush"}, path, title="red & <blue>")
    return path, *read(path)


def find(browser, name):
    return browser.find_element("id", name)


def text(browser, name):
    return find(browser, name).text


def load(browser, path):
    browser.get(path.as_uri())
    wait(browser, lambda: find(browser, "main").is_displayed())


def wait(browser, condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def frame(browser):
    return int(find(browser, "main").get_attribute("data-frame"))


def press(browser, *keys, shift=False):
    """Sends keys to the page, by their names in JavaScript."""
    for key in keys:
        browser.execute_script(
            "window.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0], shiftKey:"
            " arguments[1]}))",
            key,
            shift,
        )
    settle(browser)


def settle(browser):
    browser.execute_async_script(
        "const done = arguments[0];"
        " requestAnimationFrame(() => requestAnimationFrame(() => done()))"
    )


def point_at(browser, header, arrays, agent, frame, click=False):
    """Moves the pointer to the centre of an agent."""
    from selenium.webdriver import ActionChains

    board = find(browser, "board")
    size, cells = board.size, header["board"]
    x, y = (float(arrays[name][agent, frame]) + 0.5 for name in ("x", "y"))
    actions = ActionChains(browser)
    actions.move_to_element_with_offset(
        board,
        round((x / cells[0] - 0.5) * size["width"]),
        round((y / cells[1] - 0.5) * size["height"]),
    )
    if click:
        actions.click()
    actions.perform()
    settle(browser)


def facts(browser):
    terms, values = (browser.find_elements("css selector", f"#facts {tag}") for tag in ("dt", "dd"))
    return {term.text: value.text for term, value in zip(terms, values, strict=True)}


def numbers(browser, name):
    script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)"
    return np.array(
        [float(n) for n in browser.execute_script(script, f"#{name} .bar > span:last-child")]
    )


def test_it_shows_the_first_frame(browser, battle):
    path, header, arrays = battle
    load(browser, path)
    assert browser.title == text(browser, "title") == "red & <blue>"
    assert frame(browser) == 0
    assert text(browser, "clock") == "step 0"
    living = [int(arrays["shown"][np.array(header["group"]) == k, 0].sum()) for k in (0, 1)]
    assert text(browser, "counts").split() == ["red", str(living[0]), "blue", str(living[1])]
    # The board is not blank: its pixels have more than one colour.
    script = """
    const board = document.getElementById("board"), context = board.getContext("2d");
    const pixels = new Uint32Array(context.getImageData(0, 0, board.width, board.height).data.buffer);
    return new Set(pixels).size;
    """
    assert browser.execute_script(script) > 10


def test_keys_move_in_time(browser, battle):
    path, header, _ = battle
    load(browser, path)
    last = header["frames"] - 1
    press(browser, "ArrowRight", "ArrowRight")
    assert frame(browser) == 2
    press(browser, "ArrowLeft")
    assert frame(browser) == 1
    press(browser, "ArrowRight", shift=True)
    assert frame(browser) == 11
    press(browser, "End")
    assert frame(browser) == last
    press(browser, "ArrowRight")
    assert frame(browser) == last
    press(browser, "Home")
    assert frame(browser) == 0
    press(browser, "+", "+", "-")
    assert find(browser, "speed").get_attribute("value") == "3"
    press(browser, "?")
    assert find(browser, "keys").is_displayed()


def test_it_plays_pauses_and_ends(browser, battle):
    path, header, _ = battle
    load(browser, path)
    press(browser, " ")
    wait(browser, lambda: frame(browser) > 2)
    assert find(browser, "play").get_attribute("aria-label") == "Pause"
    press(browser, " ")
    paused = frame(browser)
    time.sleep(0.5)
    assert frame(browser) == paused < header["frames"] - 1
    press(browser, "+", "+", "+")
    find(browser, "play").click()
    wait(browser, lambda: frame(browser) == header["frames"] - 1)
    wait(browser, lambda: find(browser, "play").get_attribute("aria-label") == "Play")
    find(browser, "play").click()  # from the start again
    wait(browser, lambda: 0 < frame(browser) < header["frames"] - 1)


def test_the_scrubber_and_the_chart_seek(browser, battle):
    path, header, _ = battle
    load(browser, path)
    browser.execute_script(
        "const time = arguments[0]; time.value = 17; time.dispatchEvent(new Event('input'))",
        find(browser, "time"),
    )
    settle(browser)
    assert frame(browser) == 17
    from selenium.webdriver import ActionChains

    chart = find(browser, "chart")
    browser.execute_script("arguments[0].scrollIntoView()", chart)
    ActionChains(browser).move_to_element(chart).click().perform()
    settle(browser)
    assert frame(browser) == pytest.approx((header["frames"] - 1) / 2, abs=1)


def test_the_numbers_under_the_pointer_are_the_recorded_ones(browser, battle):
    path, header, arrays = battle
    load(browser, path)
    now = 8
    press(browser, *["ArrowRight"] * now)
    living = np.flatnonzero(arrays["shown"][:, now])
    for agent in (living[0], living[len(living) // 3], living[-1]):
        point_at(browser, header, arrays, agent, now)
        assert text(browser, "name") == header["agents"][agent]
        shown = facts(browser)
        assert float(shown["hp"]) == pytest.approx(arrays["value"][agent, now], rel=5e-3)
        assert float(shown["reward"]) == pytest.approx(arrays["reward"][agent, now], rel=5e-3)
        assert shown["action"] == header["types"][0]["actions"][arrays["action"][agent, now]]
        same = (np.array(header["group"]) == header["group"][agent]) & arrays["shown"][:, now]
        assert int(shown["neighbours"]) == same.sum() - 1
        mean = shown_mean(header, arrays, agent, now)
        assert numbers(browser, "mean") == pytest.approx(mean, rel=5e-3)
        low, high = arrays["low"][agent, now], arrays["high"][agent, now]
        assert find(browser, "values").is_displayed() == (not np.isnan(low))
        if not np.isnan(low):
            q = low + arrays["level"][agent, :, now] / LEVELS * (high - low)
            assert numbers(browser, "values") == pytest.approx(q, rel=5e-3, abs=1e-5)
    assert {np.isnan(arrays["low"][agent, now]) for agent in living} == {False, True}


def test_a_click_keeps_an_agent(browser, battle):
    path, header, arrays = battle
    load(browser, path)
    point_at(browser, header, arrays, 3, 0, click=True)
    press(browser, "ArrowRight")
    from selenium.webdriver import ActionChains

    ActionChains(browser).move_to_element(find(browser, "clock")).perform()
    settle(browser)
    assert text(browser, "name") == header["agents"][3]
    press(browser, "]")
    assert text(browser, "name") == header["agents"][4]
    press(browser, "[", "[")
    assert text(browser, "name") == header["agents"][2]
    press(browser, "Escape")
    assert not find(browser, "agent").is_displayed()
    assert find(browser, "hint").is_displayed()


def test_a_narrow_screen(browser, battle):
    load(browser, battle[0])
    browser.set_window_size(500, 900)  # the narrowest that Chromium takes
    browser.execute_script(
        "document.body.style.width = '360px'; dispatchEvent(new Event('resize'))"
    )
    settle(browser)
    press(browser, "]")
    wide = browser.execute_script("return document.querySelector('main').scrollWidth")
    assert wide <= 360
    board, panel = find(browser, "board").rect, find(browser, "panel").rect
    assert panel["y"] > board["y"] + board["height"]  # below, not beside
    assert find(browser, "play").size["height"] >= 36  # for fingers


def test_malformed_files_say_so(browser, battle, tmp_path):
    html = battle[0].read_text(encoding="utf-8")
    begin = html.index('<script id="data" type="text/plain">') + 36
    damaged = {
        "cut": html[: begin + 2000] + html[html.index("</script>", begin) :],
        "version": html.replace('"version":1', '"version":7'),
        "letters": html[:begin] + "?" + html[begin:],
        "header": html.replace('{"version":1,', '{"version":1,,'),
    }
    for name, content in damaged.items():
        path = tmp_path / f"{name}.html"
        path.write_text(content, encoding="utf-8")
        browser.get(path.as_uri())
        wait(browser, lambda: find(browser, "error").is_displayed())
        assert text(browser, "error").startswith("This file cannot be played: "), name
        assert not find(browser, "main").is_displayed()


def test_agents_that_stand_still(browser, tmp_path):
    path = tmp_path / "ising.html"
    view = mfq.wrap(ising_v0.batched_env(1, side=5, max_cycles=6))
    record(view, mfq.QAgent(view, config=SMALL), path, episodes=2)
    header, arrays = read(path)
    load(browser, path)
    press(browser, *["ArrowRight"] * 3)
    point_at(browser, header, arrays, 7, 3)
    assert text(browser, "name") == "site_7"
    assert facts(browser)["neighbours"] == "4"
    assert numbers(browser, "mean") == pytest.approx(shown_mean(header, arrays, 7, 3), abs=5e-3)
    assert "order parameter" in text(browser, "counts")
    press(browser, "End")
    assert text(browser, "clock") == "step 6, episode 2"


@pytest.mark.parametrize(("size", "least"), [(40, 50), (150, 10)])
def test_frames_a_second(browser, tmp_path, size, least):
    """128 agents at the rate of the screen, which is 60 here; thousands are usable."""
    path = tmp_path / "many.html"
    view = mfq.wrap(battle_v0.batched_env(1, map_size=size, max_cycles=40))
    agent = mfq.QAgent(view, config=SMALL) if size == 40 else mfq.Random()
    record(view, agent, path)
    load(browser, path)
    press(browser, "]", "-", "-", " ")
    browser.set_script_timeout(20)
    rate = browser.execute_async_script(TICKS)
    print(f"{view.num_agents} agents: {rate:.1f} frames a second")
    assert rate > least
