"""Batched rows of MAgent2's other games, stage by stage beside the naive model; needs no MAgent2."""

from importlib import import_module

import numpy as np
import pytest
import torch

from mfenvs.gridworld import attack, board
from tests.mfenvs.gridworld.lockstep import SIDES, Body, Players
from tests.reference.magent2_games import NaiveParallel

OURS = [game for game, side in SIDES if side == "mfenvs"]
RESULT = {"nothing": attack.NOTHING, "miss": attack.MISS, "hit": attack.HIT, "kill": attack.KILL}
STATUS = {"gone": board.GONE, "alive": board.ALIVE, "dying": board.DYING}
SHOWN = {"minimap_mode": True, "extra_features": True}
# Options, rows and steps; an episode ends, and another begins, in these steps.
RUNS = {
    "adversarial_pursuit": ({"map_size": 13, "max_cycles": 13}, 3, 40),
    "battlefield": ({"map_size": 46, "max_cycles": 40}, 2, 60),
    "combined_arms": ({"map_size": 17, "max_cycles": 18}, 3, 60),
    "gather": ({"max_cycles": 7}, 2, 12),
    "tiger_deer": ({"map_size": 16, "max_cycles": 30}, 3, 60),
}


def assert_same_row(env, row, model, what):
    """All that the rules keep of a row is what the naive model keeps."""
    state, units = env._state, model.grid.agents
    for name in ("hp", "reward", "last_reward"):
        expected = np.array([getattr(unit, name) for unit in units], np.float32)
        assert getattr(state, name)[row].tobytes() == expected.tobytes(), (what, name)
    assert state.status[row].tolist() == [STATUS[unit.status] for unit in units], what
    assert state.attack_result[row].tolist() == [RESULT[unit.result] for unit in units], what
    cells = list(zip(state.x[row].tolist(), state.y[row].tolist(), strict=True))
    assert cells == [unit.cell for unit in units], what
    assert state.random[row] == model.grid.generator, what
    assert state.time[row] == model.grid.time, what
    for k, group in enumerate(env.game.world.groups):
        living = model.grid.living(model.grid.names.index(group.name))
        assert state.living[row, k] == len(living), (what, group.name)


def assert_same_observations(env, obs, row, model, what):
    """Views and features of the units that are not gone; the others observe zeros."""
    by_type = [obs] if "view" in obs else list(obs.values())
    place = [0] * len(by_type)
    for unit, kind in zip(model.grid.agents, env.types.tolist(), strict=False):
        seen = {name: part[row, place[kind]] for name, part in by_type[kind].items()}
        place[kind] += 1
        overwritten = model.grid.overwritten(model.grid.listed(unit.group))
        expected = model.grid.view(unit), model.grid.features(unit, overwritten)
        assert seen["view"].numpy().tobytes() == expected[0].tobytes(), (what, unit.index)
        assert seen["features"].numpy().tobytes() == expected[1].tobytes(), (what, unit.index)


@pytest.mark.slow
@pytest.mark.parametrize("game", OURS)
def test_rows_equal_the_model(game):
    options, rows, steps = RUNS[game]
    module, played = import_module(f"mfenvs.{game}_v0"), []
    env = module.batched_env(num_envs=rows, **options, **SHOWN)
    models = [NaiveParallel(game, **options, **SHOWN) for _ in range(rows)]
    bodies = {
        name: Body(models[0], group, 3) for group, (name, _) in enumerate(models[0].table.groups)
    }
    env.reset(seed=5)
    seen = [model.reset(seed=5 + row)[0] for row, model in enumerate(models)]
    players = Players(rushing=0.8, silent=0.0, dead_speak=False)
    for time in range(steps):
        actions = torch.zeros(rows, env.num_agents, dtype=torch.int64)
        for row, model in enumerate(models):
            chosen = players.act(model, bodies, seen[row], 0)
            for agent, action in chosen.items():
                actions[row, model.index[agent]] = action
        over = [model.grid.over for model in models]
        obs, reward, terminated, truncated, info = env.step(actions)
        for row, model in enumerate(models):
            what = game, time, row
            assert bool(info["reset"][row]) == over[row], what
            if over[row]:
                seen[row] = model.reset()[0]
            else:
                given = [int(action) for action in actions[row]]
                given = dict(zip(env.agents, given, strict=True))
                seen[row] = model.step(given)[0]
                units = model.grid.agents[: env.num_agents]
                rewards = np.array([unit.reward for unit in units], np.float32)
                assert reward[row].numpy().tobytes() == rewards.tobytes(), what
                assert terminated[row].tolist() == [unit.terminated for unit in units], what
                assert truncated[row].all() == model.grid.truncated, what
                assert info["acting"][row].tolist() == [unit.counted for unit in units], what
                played += [unit.result for unit in units]
            assert_same_row(env, row, model, what)
            if time % 4 == 0 or game != "gather":
                assert_same_observations(env, obs, row, model, what)
    assert {"nothing", "miss", "hit"} <= set(played)
