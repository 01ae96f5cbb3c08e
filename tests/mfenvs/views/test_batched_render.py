"""`BatchedEnv.render`: the picture of a row is that of the PettingZoo view playing the same."""

import numpy as np
import pytest

from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0


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
