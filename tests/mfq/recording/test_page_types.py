"""Replay pages of games with several types of agents, walls, and food."""

import numpy as np
import pytest

import mfq
from mfenvs import adversarial_pursuit_v0, gather_v0, tiger_deer_v0
from mfq.cli import main
from mfq.recording.page import LEVELS
from mfq.recording.record import record
from tests.mfq.recording.test_page import read

SMALL = {"network": {"hidden": (8,), "filters": 0}}


def pursuit():
    counts = {"predator": 3, "prey": 4, "walls": 6}
    return adversarial_pursuit_v0.batched_env(
        1, map_size=12, max_cycles=5, counts=counts, copied_start=False
    )


def test_types_bodies_and_the_walls_of_each_episode_are_on_the_page(tmp_path):
    env = pursuit()
    players = {"predator": "hunt", "prey": "flee"}
    header, arrays = read(record(mfq.wrap(env), players, tmp_path / "a.html", episodes=2, seed=4))
    assert header["type"] == [0] * 3 + [1] * 4
    assert [len(each["actions"]) for each in header["types"]] == [13, 9]
    assert [sum(each["attacks"]) for each in header["types"]] == [8, 0]
    assert [len(each["sight"]) for each in header["types"]] == [80, 49]
    assert header["types"][0]["aims"][5:7] == [[0, -1], [1, -1]]
    assert header["bodies"] == [[2, 2]] * 3 + [[1, 1]] * 4
    assert header["colors"] == {"predator": "red", "prey": "blue"}
    env.reset(seed=4)
    for start, walls in zip(header["starts"], header["walls"], strict=True):
        places = env.places()
        assert walls == places.walls.tolist()
        assert len(walls) == 6
        for frame in range(start, start + 6):
            places = env.places()
            assert np.array_equal(arrays["x"][:, frame], places.x)
            assert np.array_equal(arrays["y"][:, frame], places.y)
            env.step(arrays["action"][None, :, frame].astype(np.int64))
    assert header["walls"][0] != header["walls"][1]


def test_the_values_of_each_type_are_kept(tmp_path):
    view = mfq.wrap(pursuit())
    agent = mfq.ByType(view, lambda its, seed: mfq.QAgent(its, config=mfq.QConfig(**SMALL)))
    header, arrays = read(record(view, agent, tmp_path / "a.html"))
    assert header["values"] == "Q"
    known = ~np.isnan(arrays["low"])
    assert known[:, :5].all()
    assert not known[:, 5].any()
    level = arrays["level"][..., :5]
    # The least and the largest value of each agent are among its actions.
    for first, last, count in ((0, 3, 13), (3, 7, 9)):
        levels = level[first:last, :count]
        assert (levels.min(1) == 0).all()
        assert (levels.max(1) == LEVELS).all()
        assert (arrays["action"][first:last, :5] < count).all()


def test_food_is_on_the_page_until_it_is_eaten(tmp_path):
    cells = {"omnivore": [(5, 5), (5, 7)], "food": [(5, 6), (12, 12)], "walls": [(3, 3)]}
    env = gather_v0.batched_env(1, map_size=16, max_cycles=5, placement=cells)
    header, arrays = read(record(mfq.wrap(env), "forage", tmp_path / "a.html"))
    assert (header["things"], header["thing"]) == (["food"], [0, 0])
    assert header["most"] == [3, 3, 25, 25]
    assert header["colors"]["food"] == "green"
    assert header["walls"] == [[[3, 3]]]
    assert arrays["shown"][2].tolist() == [1, 1, 1, 0, 0, 0]
    assert arrays["value"][2, :3].tolist() == [25, 13, 1]
    assert arrays["shown"][3].all()
    assert arrays["action"].shape == (2, 6)


def test_players_by_group_on_the_command_line(tmp_path, capsys):
    out = str(tmp_path / "a.html")
    words = ["record", "tiger_deer", "--out", out, "--overwrite", "--set", "map_size=12"]
    words += ["max_cycles=3"]
    assert main([*words, "--player", "tiger=hunt,deer=flee"]) == 0
    assert read(tmp_path / "a.html")[0]["title"] == "deer: flee, tiger: hunt"
    assert main([*words, "--player", "tiger=hunt"]) == 0
    assert read(tmp_path / "a.html")[0]["title"] == "deer: random, tiger: hunt"
    assert main([*words, "--player", "lion=hunt"]) == 2
    allowed = "--player deer=PLAYER,tiger=PLAYER"
    assert (
        f"lion='hunt' where the groups are deer, tiger; allowed: --player PLAYER, or {allowed}"
        in (capsys.readouterr().err)
    )


@pytest.mark.parametrize("script", ["hunt", "flee", "rush"])
def test_scripts_are_reachable_by_name(script):
    view = mfq.wrap(tiger_deer_v0.batched_env(1, map_size=12, max_cycles=3))
    assert script in view.scripts
    scores = mfq.evaluate(view, {"tiger": script, "deer": mfq.load_player(script, view)})
    assert set(scores) == {"deer", "tiger"}
