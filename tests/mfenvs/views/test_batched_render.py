"""`BatchedEnv.render`: the picture of a row is that of the PettingZoo view playing the same."""

import numpy as np
import pytest

import mfq
from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfenvs.render.canvas import Canvas


@pytest.mark.parametrize("game", [battle_v0, gaussian_squeeze_v0, ising_v0])
def test_a_row_is_drawn_as_the_parallel_env_draws_it(game):
    options = {"map_size": 16} if game is battle_v0 else {}
    options["max_cycles"] = 2  # the last step is marked
    batch = game.batched_env(num_envs=3, **options)
    alone = game.parallel_env(render_mode="rgb_array", **options)
    second = game.batched_env(num_envs=1, **options)
    batch.reset(seed=6)
    alone.reset(seed=6)
    second.reset(seed=batch.row_seeds[1:2])
    coin = np.random.default_rng(0)
    for _ in range(3):
        assert np.array_equal(batch.render(0), alone.render())
        assert np.array_equal(batch.render(1), second.render())
        actions = coin.integers(batch.single_action_space.n, size=(3, batch.num_agents))
        batch.step(actions)
        alone.step(dict(zip(alone.agents, actions[0].tolist(), strict=True)))
        second.step(actions[1:2])
        if not alone.agents:
            break
    assert np.array_equal(batch.render(0), alone.render())
    assert not np.array_equal(batch.render(0), batch.render(1))
    batch.close()


def test_a_row_that_there_is_not_is_named():
    env = ising_v0.batched_env(num_envs=2)
    with pytest.raises(RuntimeError, match="render"):
        env.render()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="row=2; allowed: 0 to 1"):
        env.render(2)


@pytest.mark.parametrize("game", [battle_v0, gaussian_squeeze_v0, ising_v0])
def test_a_canvas_of_the_caller_s_shows_its_selected_agent(game):
    env = game.batched_env(num_envs=2, **({"map_size": 16} if game is battle_v0 else {}))
    canvas = Canvas("rgb_array", "test", fps=1)
    with pytest.raises(RuntimeError, match="draw"):
        env.draw(canvas)
    env.reset(seed=0)
    env.step(np.ones((2, env.num_agents), int))
    env.draw(canvas, 1)
    assert np.array_equal(canvas.present(), env.render(1))
    canvas.selected = 2
    env.draw(canvas, 1)
    assert not np.array_equal(canvas.present(), env.render(1))
    with pytest.raises(ValueError, match="row=2; allowed: 0 to 1"):
        env.draw(canvas, 2)


def test_a_view_draws_its_first_row():
    env = ising_v0.batched_env(num_envs=2)
    view = mfq.wrap(env)
    view.reset(seed=0)
    canvas, moved = (Canvas("rgb_array", "test", fps=1) for _ in range(2))
    view.draw(canvas)
    assert np.array_equal(canvas.present(), env.render(0))
    mfq.OnDevice(view, "cpu").draw(moved)
    assert np.array_equal(moved.present(), env.render(0))
    with pytest.raises(ValueError, match="draws on no canvas; allowed: games of mfenvs"):
        mfq.wrap(ising_v0.parallel_env()).draw(canvas)
