"""What rules skip: passive units that only attacks change, and blank cells of sparse worlds."""

import numpy as np
import pytest

from mfenvs import battle_v0, gather_v0
from mfenvs.gridworld import board

STAY, RIGHT = 14, 31  # actions of an omnivore: none of its moves, and an attack to the right


def beside_food(**options):
    """One omnivore with food to its right, and food further away, so that the game goes on."""
    placement = {"omnivore": [(5, 5)], "food": [(6, 5), (12, 12)]}
    env = gather_v0.parallel_env(
        map_size=16, placement=placement, copied_start=False, max_cycles=None, **options
    )
    env.reset(seed=1)
    return env


def shown_after(env, action):
    """The hp of the food beside that the omnivore sees after an action."""
    channel = env.game.channel_names("omnivore").index("food_hp")
    return env.step({"omnivore_0": action})[0]["omnivore_0"][7, 8, channel]


@pytest.mark.parametrize("options", [{}, {"minimap_mode": True}])
def test_bitten_food_shows_its_hp_and_is_removed(options):
    env = beside_food(**options)
    assert env.game.params.num_changing == 1
    for hp in (19, 13, 7, 1):
        assert shown_after(env, RIGHT) == np.float32(hp / 25)
        assert shown_after(env, STAY) == np.float32(hp / 25)
    assert shown_after(env, RIGHT) == 0, "eaten"
    assert env._state.status[0].tolist() == [board.ALIVE, board.DYING, board.ALIVE]
    assert shown_after(env, STAY) == 0
    state = env._state
    assert state.status[0].tolist() == [board.ALIVE, board.GONE, board.ALIVE]
    assert state.hp[0, 1] == state.look[0, board.FIRST + 1, 1] == 0
    if options:  # one of two pieces of food is left: its share of the minimap is all
        assert state.share[0, 1].max() == 1


def test_food_that_recovers_changes_without_an_attack():
    env = beside_food(units={"food": {"recover": 0.5}})
    assert env.game.params.num_changing == 3
    assert shown_after(env, RIGHT) == np.float32(19.5 / 25)
    assert shown_after(env, STAY) == np.float32(20 / 25)


def test_food_with_a_reward_for_each_step_gets_it():
    env = beside_food(units={"food": {"step_reward": 0.25}})
    assert env.game.params.num_changing == 3
    shown_after(env, STAY)
    assert env._state.reward[0, 1:].tolist() == [0.25, 0.25]


@pytest.mark.parametrize(
    ("module", "options", "is_sparse"),
    [(gather_v0, {}, True), (battle_v0, {"map_size": 20}, False)],
)
def test_a_map_observed_as_sparse_or_not_looks_the_same(module, options, is_sparse):
    env = module.parallel_env(**options)
    env.reset(seed=1)
    for _ in range(3):
        env.step(env.scripted("random"))
    game = env.game
    assert game.params.is_sparse == is_sparse
    first = {agent: view.copy() for agent, view in env.observations().items()}
    game.params = game.backend.pin(game.params._replace(is_sparse=not is_sparse))
    second = env.observations()
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[agent], second[agent]) for agent in first)
