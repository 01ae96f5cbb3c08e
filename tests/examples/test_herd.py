"""examples/herd.py: a grid world of one's own, registered, batched, drawn and learned."""

from pathlib import Path

import numpy as np
import pytest

import mfenvs
import mfq
from mfenvs.check import CHECKS, check
from mfenvs.engine.backend import get_backend
from mfenvs.registry import GAMES
from mfenvs.render.canvas import Canvas
from tests.fakes.ptx_backend import PtxBackend, why_not

SMALL = {"map_size": 14, "counts": {"cow": 3, "walls": 2}}


@pytest.fixture
def herd():
    """The module, registered for the time of a test alone."""
    from examples import herd

    GAMES["herd_v0"] = "examples.herd:Herd"
    yield herd
    del GAMES["herd_v0"]


def test_it_takes_at_most_sixty_lines(herd):
    game, _, _ = Path(herd.__file__).read_text().partition("if __name__")
    assert len(game.strip().splitlines()) <= 60


@pytest.mark.slow
def test_it_keeps_the_contract(herd):
    assert check(herd.Herd, steps=20, **SMALL).passed == tuple(CHECKS)


def test_hunters_of_different_reach_hunt(herd):
    env = mfenvs.make_batched("herd_v0", num_envs=4)
    obs, _ = env.reset(seed=0)
    assert {name: tuple(part.shape[1:]) for name, part in obs.items()} == {
        "archer": (4, 11, 11, 7),
        "spear": (4, 7, 7, 7),
        "cow": (8, 6, 6, 7),
    }
    for _ in range(60):
        info = env.step(env.scripted("rush"))[-1]
    assert int(info["archer_kills"].sum()) > 0
    assert int(info["spear_kills"].sum()) > 0


def test_it_is_learned_by_name(herd):
    config = {"steps": 6, "out": None, "evaluation": {"every": 0}, "env_options": SMALL}
    runner = mfq.Runner("herd_v0", "mfq", config)
    runner.train()
    assert runner.view.type_names == ("archer", "spear", "cow")


def test_it_is_drawn(herd):
    game = herd.Herd(herd.HerdConfig(), get_backend())
    state, out = game.allocate(1), game.allocate_step(1)
    game.reset(state, out, np.array([1]))
    canvas = Canvas("rgb_array", "test", fps=10)
    game.draw(state, out, 0, canvas)
    image = canvas.present()
    for color in (canvas.theme.red, canvas.theme.amber, canvas.theme.green):
        assert (image == color).all(axis=-1).any()


@pytest.mark.slow
def test_its_rules_compile_for_a_gpu(herd):
    if (reason := why_not()) is not None:
        pytest.skip(f"rules cannot be compiled for GPUs here: {reason}")
    backend = PtxBackend()
    game = herd.Herd(herd.HerdConfig(**SMALL), backend)
    state, last, out = game.allocate(2), game.allocate_step(2), game.allocate_step(2)
    game.reset(state, last, np.array([1, 2]))
    game.step(state, game.script("rush", state), last, out)
    game.observe(state, game.allocate_observation((2, game.num_agents)))
    codes = [code for by_types in backend.ptx.values() for code in by_types.values()]
    assert len(codes) >= 3
    assert not any("fma." in code for code in codes)
