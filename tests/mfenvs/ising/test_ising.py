"""Ising's rules against the naive game, step by step."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mfenvs import ising_v0
from mfenvs.engine.backend import get_backend
from mfenvs.infos import ACTING, ACTION
from mfenvs.ising import rules
from mfenvs.ising.config import IsingConfig
from mfenvs.ising.game import IsingGame
from tests.reference.ising import NaiveIsing

MEASURES = ("order_parameter", "magnetisation", "staggered_magnetisation", "energy")

options = st.fixed_dictionaries(
    {
        "side": st.sampled_from([3, 4, 5, 6]),
        "coupling": st.sampled_from([1.0, 0.7, -0.5, 0.0]),
        "field": st.sampled_from([0.0, 0.25, "per site"]),
        "update": st.sampled_from(["synchronous", "checkerboard", "random"]),
        "fraction": st.sampled_from([0.2, 1.0]),
        "initial": st.sampled_from(["random", "up", "down"]),
        "max_cycles": st.sampled_from([None, 1, 4]),
    }
).filter(lambda o: o["update"] != "checkerboard" or o["side"] % 2 == 0)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(options=options, seed=st.integers(0, 2**62 - 1))
def test_every_step_equals_the_naive_game(options, seed):
    coin = np.random.default_rng(seed)
    sites = options["side"] ** 2
    if options["field"] == "per site":
        options = {**options, "field": tuple(coin.normal(size=sites).tolist())}
    field = np.broadcast_to(options["field"], sites).tolist()
    env = ising_v0.batched_env(num_envs=1, observe_neighbors=True, **options)
    naive = NaiveIsing(**{**options, "field": field})
    obs, info = env.reset(seed=[seed])
    naive.reset(seed)
    for _ in range(9):
        expected = [naive.observation(site) for site in range(sites)]
        assert np.allclose(obs[0].numpy(), expected, atol=1e-6)
        assert info["actions"][0].tolist() == [(spin + 1) // 2 for spin in naive.spin]
        assert info["acting"][0].tolist() == naive.acting
        for name in MEASURES:
            assert float(info[name][0]) == pytest.approx(naive.measures()[name], abs=1e-5)
        if options["update"] != "synchronous":
            masks = [naive.mask(site) for site in range(sites)]
            assert info["action_mask"][0].tolist() == masks
        actions = coin.integers(-1, 2, sites)
        obs, reward, terminated, truncated, info = env.step(torch.tensor(actions[None]))
        anew = naive.step(actions.tolist())
        assert info["reset"].item() == anew
        assert np.allclose(reward[0].numpy(), naive.reward, atol=1e-5)
        assert truncated.item() == naive.over
        assert not terminated.any()


@pytest.mark.parametrize("update", ["synchronous", "checkerboard", "random"])
def test_compiled_rules_equal_the_same_rules_as_plain_python(update):
    # Stage by stage: the undecorated functions, called over the index space in Python.
    config = IsingConfig(side=4, update=update, field=0.3, observe_neighbors=True, max_cycles=5)
    game = IsingGame(config, get_backend())
    rows, sites = 2, 16
    fast, slow = game.allocate(rows), game.allocate(rows)
    out, plain = game.allocate_step(rows), game.allocate_step(rows)
    room, plain_room = (game.allocate_observation((rows, sites)) for _ in range(2))
    game.reset(fast, out, np.array([3, 4]))
    game.reset(slow, plain, np.array([3, 4]))
    coin = np.random.default_rng(0)
    for _ in range(7):
        actions = coin.integers(-1, 2, (rows, sites))
        game.step(fast, actions, out, out)
        game.observe(fast, room)
        for row in range(rows):
            rules.begin(row, slow, plain, plain)
        for row, line in np.ndindex(rows, 4):
            rules.initialize(row, line, game.params, slow, plain)
        for row, site in np.ndindex(rows, sites):
            rules.choose(row, site, slow, actions, plain)
        for row, line in np.ndindex(rows, 4):
            rules.reward(row, line, game.params, slow, plain)
        if update != "synchronous":
            for row, line, column in np.ndindex(rows, 4, 4):
                rules.activate(row, line, column, game.params, slow, plain)
        for row in range(rows):
            rules.measure(row, game.params, slow, plain)
        for row, site in np.ndindex(rows, sites):
            rules.observe_self(row, site, game.params, slow.spin, plain_room)
            rules.observe_neighbors(row, *divmod(site, 4), game.params, slow.spin, plain_room)
        for name in fast._fields:
            assert np.array_equal(getattr(fast, name), getattr(slow, name)), name
        for name in out._fields:
            assert np.array_equal(getattr(out, name), getattr(plain, name)), name
        assert np.array_equal(room, plain_room)


@pytest.mark.parametrize("field", [0.0, -0.3, "per site"])
@pytest.mark.parametrize("side", [5, 20])
def test_energy_is_the_sum_over_sites_in_their_order_bit_for_bit(side, field):
    # Where the field is the same everywhere, the rule multiplies instead, which is exact.
    coin = np.random.default_rng(side)
    sites, coupling = side * side, np.float64(np.float32(0.35))
    if field == "per site":
        field = tuple(coin.normal(size=sites).tolist())
    env = ising_v0.batched_env(num_envs=40, side=side, coupling=0.7, field=field)
    obs, info = env.reset(seed=3)
    for row in range(40):
        sign, strength = obs[row].double().numpy().T
        pull, spin = float(np.cumsum(sign * strength)[-1]), sign.reshape(side, side)
        bonds = int(sum((spin * np.roll(spin, 1, axis)).sum() for axis in (0, 1)))
        expected = np.float32(-(pull + 2.0 * coupling * bonds) / sites)
        assert float(info["energy"][row]) == expected


def test_reward_is_equation_33():
    # One spin down among ups, field 0.5, coupling 0.7: r = -0.5 - 0.35 * 4.
    env = ising_v0.parallel_env(side=4, coupling=0.7, field=0.5, initial="up")
    env.reset(seed=0)
    actions = {agent: int(agent != "site_5") for agent in env.agents}
    _, rewards, *_ = env.step(actions)
    assert rewards["site_5"] == pytest.approx(-0.5 - 0.35 * 4)
    assert rewards["site_6"] == pytest.approx(0.5 + 0.35 * 2)
    assert rewards["site_15"] == pytest.approx(0.5 + 0.35 * 4)


def test_state_carries_spins_and_measures():
    env = ising_v0.parallel_env(side=4, initial="up")
    env.reset(seed=0)
    env.step({agent: int(agent != "site_5") for agent in env.agents})
    state = env.state()
    assert state[:16].tolist() == [1.0] * 5 + [-1.0] + [1.0] * 10
    # 14/16 up less down; site 5 = (1, 1) has colour 0; 24 of 32 bonds agree more than 8 disagree... E.
    assert state[16:].tolist() == pytest.approx([14 / 16, 14 / 16, -2 / 16, -(32 - 8) / 16])


def test_a_missing_action_holds_the_spin():
    env = ising_v0.parallel_env(side=4, initial="up")
    env.reset(seed=0)
    _, _, _, _, infos = env.step({"site_0": 0})
    assert [infos[agent] for agent in env.agents] == [{}] + [{ACTION: 1}] * 15
    env = ising_v0.parallel_env(side=4, update="checkerboard", initial="up")
    env.reset(seed=0)
    *_, infos = env.step(dict.fromkeys(env.agents, 0))
    told = [{key: infos[a][key] for key in infos[a] if key != "action_mask"} for a in env.agents]
    idle = {ACTION: 1, ACTING: False}
    assert told == [{} if (i // 4 + i) % 2 == 0 else idle for i in range(16)]


def test_checkerboard_colours_take_turns():
    env = ising_v0.batched_env(side=4, update="checkerboard", initial="up")
    _, info = env.reset(seed=0)
    first = info["action_mask"][0].all(-1)
    info = env.step(torch.zeros(1, 16, dtype=torch.int64))[-1]
    assert torch.equal(info["acting"][0], first)
    assert torch.equal(info["action_mask"][0].all(-1), ~first)


def test_random_update_activates_its_fraction():
    env = ising_v0.batched_env(num_envs=64, side=20, update="random", fraction=0.3)
    env.reset(seed=0)
    info = env.step(torch.ones(64, 400, dtype=torch.int64))[-1]
    assert info["acting"].float().mean() == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"side": 2}, ValueError, "side=2"),
        ({"side": 4.0}, TypeError, "side=4.0"),
        ({"side": 5, "update": "checkerboard"}, ValueError, "even"),
        ({"coupling": float("nan")}, ValueError, "coupling"),
        ({"coupling": "strong"}, TypeError, "coupling"),
        ({"field": float("inf")}, ValueError, "field"),
        ({"field": [1.0, 2.0]}, ValueError, "field"),
        ({"field": "north"}, TypeError, "field"),
        ({"update": "glauber"}, ValueError, "'checkerboard'"),
        ({"initial": "left"}, ValueError, "'random'"),
        ({"fraction": 0.0}, ValueError, "fraction"),
        ({"observe_neighbors": 1}, TypeError, "observe_neighbors"),
        ({"max_cycles": 0}, ValueError, "max_cycles"),
        ({"temperature": 1.0}, TypeError, "no option 'temperature'"),
        ({"render_mode": "ascii"}, ValueError, "render_mode"),
    ],
)
def test_bad_options_are_named(options, error, words):
    with pytest.raises(error, match=words):
        ising_v0.parallel_env(**options)
