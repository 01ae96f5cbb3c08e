"""examples/hunt.py: a grid world of one's own, from a table."""

import re
from pathlib import Path

import numpy as np
import pytest

import mfenvs
import mfq
from examples import hunt
from mfenvs.check import CHECKS, check
from mfenvs.game import Game
from mfenvs.views.parallel import ParallelEnv
from mfq.recording.record import record

ROOT = Path(__file__).parents[2]
CODE = (ROOT / "examples" / "hunt.py").read_text()
PAGE = (ROOT / "docs" / "guides" / "own_grid_world.md").read_text()


def test_it_is_short_and_its_page_shows_it():
    assert len(CODE.splitlines()) <= 60
    shown = re.findall(r"^    (.*)$", PAGE, re.M)
    assert len(shown) >= 20
    for line in (line for line in shown if line):
        assert line in CODE, line
    for line in re.search(r"SPEAR = .*?\n```", PAGE, re.S)[0].splitlines()[:-1]:
        assert line in CODE


@pytest.mark.slow
def test_it_keeps_the_contract():
    assert check(hunt.HuntGame, steps=30, map_size=20).passed == tuple(CHECKS)


def test_hunters_share_a_side_and_differ_in_reach():
    env = mfenvs.make_batched("hunt_v0", num_envs=2)
    obs, _ = env.reset(seed=1)
    shapes = {name: tuple(part.shape) for name, part in obs.items()}
    assert shapes["spear"] == (2, 6, 11, 11, 7)
    assert shapes["bow"] == (2, 6, 13, 13, 7)
    assert shapes["bison"] == (2, 10, 8, 8, 7)
    assert env.game.group_names == ("hunters", "bison")
    assert [env.game.action_space_of(k).n for k in range(3)] == [13 + 8, 5 + 48, 9]


def test_bows_hit_from_afar_and_hunters_are_paid():
    cells = {"spear": [(2, 2)], "bow": [(4, 8)], "bison": [(8, 8)]}
    env = ParallelEnv(hunt.HuntGame, map_size=14, placement=cells)
    env.reset(seed=1)
    actions = env.scripted("hunt")
    _, rewards, *_ = env.step({"bow_0": actions["bow_0"]})
    assert rewards == pytest.approx({"spear_0": 0, "bow_0": 0.1, "bison_0": -0.1})
    assert env.measures["hunters_hits"] == 1


def test_hunters_that_hunt_kill_the_herd():
    view = mfq.wrap(mfenvs.make_batched("hunt_v0", num_envs=10))
    kills = [
        mfq.evaluate(view, {"hunters": script, "bison": "flee"}, episodes=20)["hunters"]["kills"]
        for script in ("hunt", "random")
    ]
    assert kills[0] > 9
    assert kills[1] < 1


def test_it_is_drawn_and_recorded(tmp_path):
    env = mfenvs.make_batched("hunt_v0", num_envs=1, max_cycles=3)
    view = mfq.wrap(env)
    path = record(view, "hunt", tmp_path / "a.html")
    assert path.stat().st_size > 1000
    env.reset(seed=1)
    picture = env.render(0)
    for color in ("red", "amber", "green"):
        assert (picture == np.array(getattr(env._canvases[0].theme, color))).all(-1).any()


@pytest.mark.slow
def test_it_trains():
    scores = hunt.main(steps=12)
    assert scores["hunters"]["episodes"] == 8


def test_games_are_registered():
    assert mfenvs.game_class("hunt_v0") is hunt.HuntGame
    assert mfenvs.game_class("hunt") is hunt.HuntGame
    with pytest.raises(ValueError, match="did you mean hunt_v0"):
        mfenvs.game_class("hant_v0")
    with pytest.raises(TypeError, match="allowed: a subclass of"):
        mfenvs.register("hunt_v1")
    for id in ("battle_v0", "hunt", "hunt-v0", None):
        with pytest.raises(ValueError, match=r"allowed: NAME_vNUMBER, such as 'hunt_v0', but not"):
            mfenvs.register(type("Own", (Game,), {"id": id}))
