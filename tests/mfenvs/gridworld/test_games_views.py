"""MAgent2's five other games in all views, and games of several types in each."""

import warnings
from importlib import import_module

import numpy as np
import pytest
import torch

from mfenvs import combined_arms_v0
from mfenvs.check import CHECKS, check
from mfenvs.engine.actions import sanitize_actions
from mfenvs.registry import game_class
from mfenvs.views.vector import AgentVectorEnv
from tests.mfenvs.gridworld.test_games_options import SMALL, every_game

TYPED = ("adversarial_pursuit", "combined_arms", "tiger_deer")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pettingzoo.test import api_test, parallel_api_test

SHOWN = {"minimap_mode": True, "extra_features": True}
FEW = {
    "battlefield": {"placement": "random", "counts": {"red": 4, "blue": 5}},
    "tiger_deer": {"counts": {"tiger": 4, "deer": 9}},
}
typed_games = pytest.mark.parametrize("game", TYPED)


def batched(game, rows=2, **options):
    return import_module(f"mfenvs.{game}_v0").batched_env(rows, **{**SMALL[game], **options})


@pytest.mark.slow
@pytest.mark.parametrize("shown", [{}, SHOWN], ids=["views", "all"])
@every_game
def test_they_keep_the_contract(game, shown):
    options = {**SMALL[game], **FEW.get(game, {}), **shown}
    report = check(game_class(f"{game}_v0"), steps=24, **options)
    assert report.passed == tuple(CHECKS)


@every_game
def test_pettingzoo_s_suites(game):
    module = import_module(f"mfenvs.{game}_v0")
    options = {**SMALL[game], **FEW.get(game, {}), "max_cycles": 20}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parallel_api_test(module.parallel_env(**options), num_cycles=60)
        api_test(module.env(**options), num_cycles=60)


@pytest.mark.parametrize(
    ("game", "options", "shapes"),
    [
        ("adversarial_pursuit", {}, {"predator": (2, 25, 10, 10, 5), "prey": (2, 50, 9, 9, 5)}),
        ("tiger_deer", {}, {"deer": (2, 101, 3, 3, 5), "tiger": (2, 20, 9, 9, 5)}),
        ("combined_arms", {}, {"melee": (2, 90, 13, 13, 9), "ranged": (2, 72, 13, 13, 9)}),
    ],
)
def test_observations_are_those_of_the_issue(game, options, shapes):
    env = import_module(f"mfenvs.{game}_v0").batched_env(2, **options)
    obs, _ = env.reset(seed=0)
    assert {name: tuple(part.shape) for name, part in obs.items()} == shapes
    assert list(obs) == list(env.type_names) == list(env.single_observation_space)
    assert env.types.bincount().tolist() == [shape[1] for shape in shapes.values()]
    for name, space in env.single_observation_space.items():
        assert space.contains(obs[name][0, 0].numpy())


@typed_games
def test_features_stand_beside_the_view(game):
    env = batched(game, **SHOWN)
    obs, _ = env.reset(seed=0)
    counts = [int(space.n) for space in env.single_action_space.values()]
    for part, count in zip(obs.values(), counts, strict=True):
        assert list(part) == ["view", "features"]
        assert part["features"].shape[2] == 10 + count + 1 + 2


@typed_games
def test_an_action_of_another_type_is_refused(game):
    env = batched(game)
    env.reset(seed=0)
    fewest = int(env.game.action_counts.argmin())
    actions = np.zeros((2, env.num_agents), np.int64)
    actions[1, fewest] = env.game.action_counts.max() - 1
    before = env.state_dict()["state"]["random"].clone()
    with pytest.raises(ValueError, match=rf"actions\[1, {fewest}\]=\d+ of .*; allowed: 0 to"):
        env.step(actions)
    assert torch.equal(env.state_dict()["state"]["random"], before)

    view = import_module(f"mfenvs.{game}_v0").parallel_env(**SMALL[game])
    view.reset(seed=0)
    agent, most = view.agents[fewest], int(actions.max())
    with pytest.raises(
        ValueError, match=rf"actions\['{agent}'\]={most} is out of range; allowed: 0"
    ):
        view.step({agent: most})


def test_on_a_gpu_an_action_of_another_type_is_none():
    """There it cannot be refused without waiting for the device."""
    counts, out = np.array([9, 13]), np.zeros((1, 2), np.int64)
    for given, expected in (([8, 12], [8, 12]), ([9, 9], [-1, 9]), ([-2, 13], [-1, -1])):
        for agent in range(2):
            sanitize_actions(0, agent, counts, np.array([given]), out)
        assert out.tolist() == [expected]


@typed_games
def test_a_snapshot_shows_single_agents_of_a_type(game):
    env = batched(game, **SHOWN)
    obs, _ = env.reset(seed=0)
    snapshot = env.snapshot()
    k = 1
    name, members = env.type_names[k], env.game.members[k]
    others = env.game.members[0]
    rows, agents = torch.tensor([0, 1, 1]), torch.tensor([members[0], members[-1], others[0]])
    shown = env.observe(snapshot, rows, agents, of_type=name)
    for part, values in shown.items():
        expected = torch.stack([obs[name][part][0, 0], obs[name][part][1, -1]])
        assert torch.equal(values[:2], expected)
        assert not values[2].any(), "an agent of another type"
    whole = env.observe(snapshot, of_type=name)
    assert torch.equal(whole["view"], obs[name]["view"])
    with pytest.raises(ValueError, match="of_type='wolf'; allowed"):
        env.observe(snapshot, of_type="wolf")


@every_game
def test_a_saved_state_plays_on_alike(game):
    env, again = batched(game, **SHOWN), batched(game, **SHOWN)
    env.reset(seed=3)
    again.reset(seed=9)
    for _ in range(3):
        env.step(env.scripted("random"))
    again.load_state_dict(env.state_dict())
    for _ in range(4):
        actions = env.scripted("rush")
        assert torch.equal(actions, again.scripted("rush"))
        one, other = env.step(actions), again.step(actions)
        assert torch.equal(one[1], other[1])
        assert leaves(one[0]).keys() == leaves(other[0]).keys()
        for path, values in leaves(one[0]).items():
            assert torch.equal(values, leaves(other[0])[path]), path


def leaves(obs, path=""):
    if not isinstance(obs, dict):
        return {path: obs}
    return {k: v for name, part in obs.items() for k, v in leaves(part, f"{path}.{name}").items()}


def test_seeds_that_a_batch_reports_replay_its_rows():
    """Also those of a first reset without a seed, which follow MAgent2's constructor."""
    env, again = batched("tiger_deer", 3), batched("tiger_deer", 3)
    first, _ = env.reset()
    second, _ = again.reset(seed=env.row_seeds.tolist())
    given, _ = batched("tiger_deer", 3).reset(seed=0)
    assert torch.equal(first["tiger"], second["tiger"])
    assert torch.equal(first["deer"], second["deer"])
    assert not torch.equal(first["deer"], given["deer"])


@pytest.mark.parametrize("shown", [{}, SHOWN], ids=["views", "all"])
def test_a_vector_env_where_nobody_dies(shown):
    options = {**SMALL["adversarial_pursuit"], "map_size": 20, "max_cycles": 6, **shown}
    vector = AgentVectorEnv(game_class("adversarial_pursuit_v0"), 2, **options)
    env = batched("adversarial_pursuit", **options)
    obs, infos = vector.reset(seed=1)
    expected, _ = env.reset(seed=1)
    num, predators = env.num_agents, len(env.game.members[0])
    assert vector.num_envs == 2 * num
    mask = infos["action_mask"].reshape(2, num, -1)
    assert mask.sum(-1)[0].tolist() == [13] * predators + [9] * (num - predators)
    for _ in range(8):
        for k, name in enumerate(env.type_names):
            for path, part in leaves(expected[name]).items():
                padded = obs[path[1:]] if path else obs
                padded = padded.reshape(2, num, *padded.shape[1:])[:, env.game.members[k]]
                inside = tuple(slice(size) for size in part.shape[2:])
                assert np.array_equal(padded[(slice(None), slice(None), *inside)], part.numpy())
                assert padded.sum() == pytest.approx(float(part.sum()), rel=1e-4), "zeros elsewhere"
        actions = vector.action_space.sample()
        obs, reward, _, _, infos = vector.step(actions)
        played = actions.reshape(2, num)
        legal = np.where(played < env.game.action_counts, played, -1)  # else no action
        expected, theirs, *_ = env.step(legal)
        assert np.array_equal(reward.reshape(2, num), theirs.numpy())
    with pytest.raises(ValueError, match="agents that die"):
        AgentVectorEnv(game_class("tiger_deer_v0"), 2)


def test_displays_get_types_bodies_walls_and_food():
    arms, food, field = (batched(name) for name in ("combined_arms", "gather", "battlefield"))
    assert [len(each.action_names) for each in arms.layout().abilities] == [9, 25]
    assert (arms.layout().types == arms.game.types).all()
    layout = food.layout()
    assert layout.things == ("food",)
    assert len(layout.bodies) == food.game.num_agents + len(layout.thing)
    field.reset(seed=1)
    walls = field.places().walls
    assert sorted(map(tuple, walls.tolist())) == sorted(field.game.world.placement.walls)


@every_game
def test_pictures(game):
    env = import_module(f"mfenvs.{game}_v0").parallel_env(
        **SMALL[game], minimap_mode=True, render_mode="rgb_array", show_graph=True
    )
    env.reset(seed=1)
    env.step(env.scripted("rush"))
    plain = env.render()
    for agent in (env.agents[0], env.agents[-1]):
        env.selected = agent
        assert not np.array_equal(env.render(), plain)


def test_observations_are_those_of_the_agents_of_a_loaded_state():
    env = combined_arms_v0.parallel_env(map_size=24, copied_start=False)
    env.reset(seed=1)
    states = []
    while len(states) < 2:  # in which different agents live
        before = len(env.agents)
        env.step(env.scripted("rush"))
        assert env.agents
        if len(env.agents) < before:
            env.step({})
            seen = {agent: view.copy() for agent, view in env.observations().items()}
            states.append((env.state_dict(), seen))
    for state, seen in states:
        env.load_state_dict(state)
        again = env.observations()
        assert list(again) == list(seen)
        assert all(np.array_equal(again[agent], seen[agent]) for agent in seen)
