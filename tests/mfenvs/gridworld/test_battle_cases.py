"""Battle's rules on fights of a few agents, worked out by hand."""

import numpy as np
import pytest

from mfenvs import battle_v0
from tests.fakes.battle_field import (
    AROUND,
    DOWN,
    HIT,
    HIT_DOWN,
    HIT_LEFT,
    HIT_RIGHT,
    HIT_UP,
    LEFT,
    LEFT2,
    RIGHT,
    RIGHT2,
    STAY,
    UP,
    UP2,
    cell,
    f32,
    fight,
    hp,
    in_effect,
    play,
)

STEP, MISSED, STRUCK, KILLED, DEAD = (f32(x) for x in (-0.005, -0.105, 0.095, 4.895, -0.1))
ONE_BLOW = {"damage": 20.0}


def near(rewards):
    """Rounded: sums in float32 differ from the numbers of the datasheet in the ninth digit."""
    return {agent: pytest.approx(value, abs=1e-6) for agent, value in rewards.items()}


def ring(count, **options):
    """A blue agent at (8, 8) and ``count`` red ones around it, and how each of them hits it."""
    env = fight([(8 + dx, 8 + dy) for dx, dy in AROUND[:count]], [(8, 8)], **options)
    return env, {f"red_{k}": HIT[-dx, -dy] for k, (dx, dy) in enumerate(AROUND[:count])}


# -- attacks ------------------------------------------------------------------------------------


def test_five_hits_leave_nothing_and_yet_a_life():
    env, blows = ring(5)
    rewards = play(env, **blows)
    assert rewards == near(dict.fromkeys(blows, STRUCK) | {"blue_0": STEP})
    # 10 - 5 * 2 = 0 is not below 0; then it recovers, as everybody does.
    assert hp(env, "blue_0") == np.float32(0.1)
    assert "blue_0" in env.agents


def test_the_sixth_hit_kills():
    env, blows = ring(6)
    obs, rewards, terminations, truncations, _ = env.step({**blows, "blue_0": STAY})
    assert sorted(rewards[agent] for agent in blows) == pytest.approx([STRUCK] * 5 + [KILLED])
    assert rewards["blue_0"] == DEAD
    assert all(terminations.values()), "it was blue's last"
    assert not any(truncations.values())
    assert env.agents == []
    assert not obs["blue_0"][6, 6, 1:].any(), "it no longer stands there"


def test_blows_at_one_already_killed_miss():
    env, blows = ring(8)
    rewards = play(env, **blows)
    found = sorted(rewards[agent] for agent in blows)
    assert found == pytest.approx([MISSED] * 2 + [STRUCK] * 5 + [KILLED])


def test_all_attackers_of_one_target_are_paid():
    env = fight([(7, 8), (9, 8)], [(8, 8), (1, 1)])
    rewards = play(env, red_0=HIT_RIGHT, red_1=HIT_LEFT)
    assert rewards == near({"red_0": STRUCK, "red_1": STRUCK, "blue_0": STEP, "blue_1": STEP})
    assert hp(env, "blue_0") == np.float32(np.float32(6) + np.float32(0.1))


def test_a_kill_pays_5_less_the_two_costs_and_no_bounty_for_the_hit():
    env = fight([(7, 8)], [(8, 8), (1, 1)], **ONE_BLOW)
    rewards = play(env, red_0=HIT_RIGHT)
    assert rewards["red_0"] == float(np.float32(-0.005) + np.float32(4.9))
    assert rewards == near({"red_0": KILLED, "blue_0": DEAD, "blue_1": STEP})


def test_whoever_is_killed_after_its_own_hit_keeps_the_bounty():
    found = set()
    for seed in range(40):
        env, blows = ring(6, seed=seed, recover=0.0)
        rewards = play(env, **blows, blue_0=HIT[AROUND[0]])
        struck = hp(env, "red_0") == 8
        expected = np.float32(-0.1) + np.float32(0.2) if struck else np.float32(-0.1)
        assert rewards["blue_0"] == float(expected)
        found.add(bool(struck))
    assert found == {True, False}


def test_whoever_is_killed_after_its_own_kill_loses_the_prize():
    found = set()
    for seed in range(1, 30):
        env = fight([(7, 8), (9, 8)], [(8, 8), (1, 1)], seed=seed, **ONE_BLOW)
        rewards = play(env, red_1=HIT_LEFT, blue_0=HIT_LEFT)
        assert rewards["blue_0"] == DEAD
        assert rewards["red_1"] == pytest.approx(KILLED)
        killed = rewards["red_0"] == DEAD
        assert killed == ("red_0" not in env.agents)
        found.add(killed)
    assert found == {True, False}


def test_the_dead_do_not_attack():
    found = set()
    for seed in range(1, 30):
        env = fight([(7, 8), (1, 1)], [(8, 8), (14, 14)], seed=seed, **ONE_BLOW)
        rewards = play(env, red_0=HIT_RIGHT, blue_0=HIT_LEFT)
        pair = rewards["red_0"], rewards["blue_0"]
        assert sorted(pair) == [DEAD, pytest.approx(KILLED)]
        found.add(pair.index(DEAD))
    assert found == {0, 1}


@pytest.mark.parametrize("action", [HIT_UP, HIT_LEFT, HIT_RIGHT, HIT_DOWN])
def test_a_miss_costs_the_same_wherever_it_falls(action):
    # Above red_0 is a wall, to its right a comrade; to its left and below nobody.
    env = fight([(5, 1), (6, 1)], [(14, 14)])
    rewards = play(env, red_0=action)
    assert rewards["red_0"] == float(np.float32(-0.005) + np.float32(-0.1))
    assert hp(env, "red_1") == 10


def test_attacks_off_the_map_miss():
    env = fight([(1, 1)], [(14, 14)], attack_radius=2.0)
    assert env.action_space("red_0").n == 13 + 12
    rewards = play(env, red_0=13, blue_0=24)  # (0, -2), (0, 2): lines -1 and 16
    assert rewards == near({"red_0": MISSED, "blue_0": MISSED})


def test_recovery_stops_at_the_most():
    env = fight([(7, 8)], [(8, 8)])
    play(env, red_0=HIT_RIGHT)
    expected = np.float32(10) - np.float32(2)
    for _ in range(30):
        expected = min(np.float32(10), expected + np.float32(0.1))
        assert hp(env, "blue_0") == expected
        play(env)
    assert expected == 10


# -- moves --------------------------------------------------------------------------------------


def test_red_moves_first():
    env = fight([(5, 5)], [(7, 5)])
    play(env, red_0=RIGHT, blue_0=LEFT)
    assert (cell(env, "red_0"), cell(env, "blue_0")) == ((6, 5), (7, 5))


def test_within_an_army_the_first_moves_first():
    env = fight([(5, 5), (7, 5)], [(14, 14)])
    play(env, red_0=RIGHT, red_1=LEFT)
    assert (cell(env, "red_0"), cell(env, "red_1")) == ((6, 5), (7, 5))


def test_agents_jump_over_others():
    env = fight([(5, 5), (6, 5)], [(7, 6), (7, 7)])
    play(env, red_0=RIGHT2, blue_0=STAY, blue_1=UP2)
    assert cell(env, "red_0") == (7, 5)
    assert cell(env, "blue_1") == (7, 7), "red_0 was there first"


def test_a_cell_vacated_earlier_in_the_step_is_free():
    env = fight([(5, 5), (4, 5), (9, 5), (10, 5)], [(3, 5)])
    play(env, red_0=RIGHT, red_1=RIGHT, red_2=RIGHT, red_3=RIGHT, blue_0=RIGHT)
    # red_0, red_1 and blue_0 follow each other; red_2 asks before red_3 has gone.
    found = [cell(env, agent) for agent in env.agents]
    assert found == [(6, 5), (5, 5), (9, 5), (11, 5), (4, 5)]


def test_the_cell_of_one_killed_in_the_step_is_free():
    env = fight([(7, 8), (8, 9)], [(8, 8), (1, 1)], **ONE_BLOW)
    play(env, red_0=HIT_RIGHT, red_1=UP)
    assert cell(env, "red_1") == (8, 8)


def test_attacks_strike_where_agents_stood_before_they_moved():
    env = fight([(7, 8)], [(8, 8)], recover=0.0)
    play(env, red_0=HIT_RIGHT, blue_0=RIGHT2)
    assert cell(env, "blue_0") == (10, 8)
    assert hp(env, "blue_0") == 8
    assert play(env, red_0=HIT_RIGHT)["red_0"] == pytest.approx(MISSED)


def test_walls_and_what_is_beyond_stop_moves():
    env = fight([(1, 1)], [(14, 14)])
    for actions in ({"red_0": LEFT, "blue_0": RIGHT2}, {"red_0": UP2, "blue_0": DOWN}):
        rewards = play(env, **actions)
        assert (cell(env, "red_0"), cell(env, "blue_0")) == ((1, 1), (14, 14))
        assert rewards == {"red_0": STEP, "blue_0": STEP}


def test_bands_of_large_maps_change_the_order():
    # On a map of 104 bands are 13 wide. Column 39 starts one, so whoever leaves it waits; 35 is the
    # last one inside another.
    reds, blues = [(39, 5), (35, 5)], [(37, 6)]
    cells = {}
    for size in (99, 104):
        env = fight(reds, blues, map_size=size)
        play(env, red_0=LEFT2, red_1=RIGHT2)
        cells[size] = cell(env, "red_0"), cell(env, "red_1")
    assert cells == {99: ((37, 5), (35, 5)), 104: ((39, 5), (37, 5))}


def test_near_the_edges_of_bands_the_order_stays():
    # Columns 36 to 42 all wait: the last three of a band, the first four of the next.
    for reds in ([(39, 5), (37, 5)], [(42, 5), (40, 5)]):
        env = fight(reds, [(60, 60)], map_size=104)
        play(env, red_0=LEFT, red_1=RIGHT)
        assert cell(env, "red_0") == (reds[0][0] - 1, 5)
        assert cell(env, "red_1") == reds[1]


# -- what is seen -------------------------------------------------------------------------------


def test_the_minimap_counts_the_dying_and_oneself_twice():
    reds, blues = [(7, 8), (1, 1), (2, 1), (13, 14)], [(8, 8), (14, 14)]
    env = fight(reds, blues, minimap_mode=True, **ONE_BLOW)  # two cells a minimap's cell
    obs, *_ = env.step(dict.fromkeys(env.agents, STAY) | {"red_0": HIT_RIGHT})
    own, other = obs["red_0"][..., 3], obs["red_0"][..., 6]
    assert own[0, 0] == own[0, 1] == own[7, 6] == 0.25
    assert own[4, 3] == 1.25
    assert other[4, 4] == other[7, 7] == 0.5, "blue_0 died, and counts to the end of the step"
    assert other[4, 3] == 1
    assert obs["blue_0"][4, 4, 3] == 1.5
    assert obs["blue_0"][4, 4, 6] == 1
    obs, *_ = env.step(dict.fromkeys(env.agents, STAY))
    assert (obs["red_0"][4, 4, 6], obs["red_0"][7, 7, 6]) == (0, 1)


def test_the_view_is_a_circle_and_ends_with_the_map():
    env = fight([(3, 3)], [(9, 3), (3, 9), (8, 7), (9, 4)], hp=8.0)
    view = env.reset(seed=0)[0]["red_0"]
    # Walls: column 0 and line 0, from the corner (3 up, 3 left) to the circle's edge.
    walls = np.zeros((13, 13))
    walls[3, 3:12] = walls[3:12, 3] = 1
    assert np.array_equal(view[..., 0], walls)
    assert not view[:3].any()
    assert not view[:, :3].any()
    assert view[6, 6].tolist() == [0, 1, 1, 0, 0]
    # (9, 4) is too far: 6^2 + 1 > 36; (8, 7) is too: 5^2 + 4^2 = 41.
    assert np.argwhere(view[..., 3]).tolist() == [[6, 12], [12, 6]]
    assert view[6, 12, 4] == 1


def test_hp_is_shown_as_a_share():
    env = fight([(7, 8)], [(8, 8)], hp=4.0, recover=0.0)
    obs, *_ = env.step({"red_0": HIT_RIGHT})
    assert obs["red_0"][6, 7, 4] == 0.5
    assert env.state()[8, 8].tolist() == [0, 0, 0, 1, 0.5]
    assert env.state()[7, 8].tolist() == [0, 1, 1, 0, 0]


def test_observed_rewards_lag_and_those_of_the_state_do_not():
    env = fight([(7, 8)], [(8, 8)], extra_features=True)
    told = []
    for action in (HIT_RIGHT, STAY, STAY):
        obs, *_ = env.step({"red_0": action, "blue_0": STAY})
        told.append((float(obs["red_0"][0, 0, -1]), float(env.state()[7, 8, -1])))
    struck = float(np.float32(-0.005) + np.float32(-0.1) + np.float32(0.2))
    assert told == [(0, struck), (struck, STEP), (STEP, STEP)]


def test_features_are_the_id_s_bits_and_the_last_action():
    reds = [(x, y) for x in range(1, 5) for y in range(1, 8)]  # 28 of them
    env = fight(reds, [(12, 12), (14, 14)], extra_features=True)
    obs, _ = env.reset(seed=0)
    for number, agent in enumerate(env.possible_agents):
        bits = obs[agent][3, 4, 5:15]
        assert sum(int(bit) << k for k, bit in enumerate(bits)) == number
        assert not obs[agent][3, 4, 15:].any()
    obs, *_ = env.step({"red_3": 20, "blue_1": UP2})
    assert np.flatnonzero(obs["red_3"][0, 0, 15:36]).tolist() == [20]
    assert np.flatnonzero(obs["blue_1"][0, 0, 15:36]).tolist() == [UP2]
    # No action at all marks the last bit of the id.
    assert np.flatnonzero(obs["red_2"][0, 0, 5:36]).tolist() == [1, 9]
    assert np.flatnonzero(env.state()[1, 3, 5:]).tolist() == [1, 9, 31]


def test_positions_are_shares_of_the_map():
    env = fight([(7, 8)], [(14, 1)], minimap_mode=True)
    obs, _ = env.reset(seed=0)
    assert obs["red_0"][0, 0, 7:].tolist() == [7 / 16, 8 / 16]
    assert (obs["blue_0"][..., 7:] == np.array([14 / 16, 1 / 16])).all()


# -- the first step, and the last ---------------------------------------------------------------


@pytest.mark.parametrize("copied", [True, False])
def test_in_the_first_step_blue_does_what_red_was_told(copied):
    env = fight([(3, 3), (3, 6)], [(10, 3), (10, 6)], copied_start=copied)
    actions = {"red_0": DOWN, "red_1": RIGHT, "blue_0": LEFT, "blue_1": RIGHT}
    for _ in range(2):
        *_, infos = env.step(actions)
        assert cell(env, "blue_0") == ((10, 4) if copied else (9, 3))
        assert cell(env, "blue_1") == (11, 6)
        assert in_effect(infos, actions, "blue_0") == ((DOWN, False) if copied else (LEFT, True))
        assert in_effect(infos, actions, "blue_1") == (RIGHT, True), "the same anyway"
        *_, infos = env.step(actions)
        assert cell(env, "blue_0") == ((9, 4) if copied else (8, 3))
        assert in_effect(infos, actions, "blue_0") == (LEFT, True)
        env.reset()


def test_the_first_step_copies_silence_too():
    env = fight([(3, 3)], [(10, 3)], copied_start=True)
    *_, infos = env.step({"blue_0": LEFT})
    assert cell(env, "blue_0") == (10, 3)
    assert in_effect(infos, {"blue_0": LEFT}, "blue_0") == (-1, False)


def test_blue_copies_on_from_its_own_orders_where_it_is_the_larger_army():
    # The list of orders goes on with blue's own: blue_1 hears the second, which is blue_0's.
    env = fight([(3, 3)], [(10, 3), (10, 6)], copied_start=True)
    play(env, red_0=DOWN, blue_0=LEFT, blue_1=RIGHT)
    assert cell(env, "blue_0") == (10, 4)
    assert cell(env, "blue_1") == (9, 6)


def test_a_wiped_out_army_ends_it_for_all():
    env = fight([(7, 8), (2, 2)], [(8, 8)], max_cycles=1, **ONE_BLOW)
    _, _, terminations, truncations, _ = env.step({"red_0": HIT_RIGHT})
    assert terminations == dict.fromkeys(("red_0", "red_1", "blue_0"), True)
    assert truncations == dict.fromkeys(terminations, True), "the time was up as well"
    assert env.agents == []
    state = env.state()
    assert np.argwhere(state[..., 1]).tolist() == [[2, 2], [7, 8]]
    assert not state[..., 3:].any()
    assert env.step({}) == ({}, {}, {}, {}, {})


def test_at_the_limit_the_dying_are_truncated_too():
    env = fight([(7, 8)], [(8, 8), (1, 1)], max_cycles=1, **ONE_BLOW)
    _, _, terminations, truncations, _ = env.step({"red_0": HIT_RIGHT})
    assert terminations == {"red_0": False, "blue_0": True, "blue_1": False}
    assert set(truncations.values()) == {True}
    assert env.agents == []


def test_the_dead_have_no_say():
    env = fight([(7, 8)], [(8, 8), (1, 1)], **ONE_BLOW)
    play(env, red_0=HIT_RIGHT)
    obs, rewards, *_ = env.step({"red_0": STAY, "blue_0": HIT_LEFT, "blue_1": STAY})
    assert list(obs) == list(rewards) == ["red_0", "blue_1"]
    assert hp(env, "red_0") == 10


def test_the_paper_s_settings():
    env = battle_v0.parallel_env(**battle_v0.PAPER)
    env.reset(seed=0)
    assert len(env.possible_agents) == 128
    assert env.observation_space("red_0").shape == (13, 13, 41)
    assert env.max_cycles == 400
    assert not env.game.config.copied_start
