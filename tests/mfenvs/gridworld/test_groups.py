"""Grid worlds of several groups, unit types and bodies, step by step beside the naive one."""

from dataclasses import replace

import numpy as np
import pytest

from mfenvs.check import CHECKS, check
from mfenvs.engine.backend import get_backend
from mfenvs.gridworld import attack, board
from mfenvs.gridworld.placement import explicit, listed
from mfenvs.gridworld.units import AttackReward, Group, UnitType, World
from mfenvs.render.canvas import Canvas
from tests.fakes.battle_field import PlainBackend, assert_same
from tests.fakes.toy_grid import SCOUT, SPEAR, TOY_CELLS, UNITS, ToyGrid, ToyGridConfig
from tests.reference.gridworld import NaiveGrid

RESULT = {"nothing": attack.NOTHING, "miss": attack.MISS, "hit": attack.HIT, "kill": attack.KILL}
STATUS = {"gone": board.GONE, "alive": board.ALIVE, "dying": board.DYING}
EVERYTHING = {"minimap_mode": True, "extra_features": True}


def assert_same_row(game, state, out, naive, what):
    """All that the rules and the observations say of row 0 is what the naive world says."""
    agents = naive.agents
    for name in ("hp", "reward", "last_reward"):
        assert_same(getattr(state, name)[0], [getattr(a, name) for a in agents], (what, name))
    assert state.status[0].tolist() == [STATUS[a.status] for a in agents], what
    assert state.attack_result[0].tolist() == [RESULT[a.result] for a in agents], what
    cells = list(zip(state.x[0].tolist(), state.y[0].tolist(), strict=True))
    assert cells == [a.cell for a in agents], what
    assert state.random[0] == naive.generator, what
    assert state.living[0].tolist() == [len(naive.living(g)) for g in range(3)], what
    assert out.terminated[0].tolist() == [a.terminated for a in agents], what
    assert out.acting[0].tolist() == [a.counted for a in agents], what
    assert (out.truncated[0], out.over[0]) == (naive.truncated, naive.over), what
    room = game.allocate_observation(state.x.shape)
    game.observe(state, room)
    for agent in agents:
        assert_same(room["view"][0, agent.index], naive.view(agent), (what, agent))
        assert_same(room["features"][0, agent.index], naive.features(agent), (what, agent))


def played(backend, options, seed, steps, compare=None):
    """Plays both; returns how often what happened."""
    game = ToyGrid(ToyGridConfig(**options), backend)
    state, last, out = game.allocate(1), game.allocate_step(1), game.allocate_step(1)
    game.reset(state, out, np.array([seed]))
    naive = NaiveGrid(game.world, list(TOY_CELLS.values()), game.config, seed or 1)
    coin, seen = np.random.default_rng(seed), []
    for time in range(steps):
        rush = game.script("rush" if time % 3 else "focus", state)
        drawn = coin.integers(-1, 13, rush.shape)
        actions = np.where(coin.random(rush.shape) < 0.6, rush, drawn)
        last, out = out, last
        game.step(state, actions, last, out)
        if naive.over:
            naive.start()
            assert out.reset[0]
        else:
            naive.step(actions[0].tolist())
            seen += [(a.group, a.result, a.victim and a.victim.group) for a in naive.agents]
            seen += [(a.group, a.status) for a in naive.agents]
        assert_same_row(game, state, out, naive, (options, seed, time))
        snapshot, room = game.snapshot(state), game.allocate_observation((1, game.num_agents))
        game.observe(snapshot, room)
        for agent in naive.agents:
            assert_same(room["view"][0, agent.index], naive.view(agent), ("snapshot", time))
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("units", list(UNITS))
def test_as_compiled_code_it_equals_the_naive_world(units):
    seen = []
    for seed in range(1, 5):
        options = {"units": units, **EVERYTHING, "copied_start": seed == 2}
        seen += played(get_backend(), options, seed, 60)
    # Each reward between groups was paid, scouts hit scouts, and agents of all groups died.
    for event in ((0, "hit", 2), (2, "hit", 0), (1, "hit", 1), (2, "kill", 1)):
        assert event in seen, event
    assert {(g, "dying") for g in range(3)} <= set(seen)


@pytest.mark.parametrize("units", ["cells", "wide"])
def test_as_plain_python_it_equals_the_naive_world(units):
    played(PlainBackend(), {"units": units}, 3, 15)


@pytest.mark.slow
def test_it_keeps_the_contract():
    report = check(ToyGrid, steps=40, units="squares", **EVERYTHING)
    assert report.passed == tuple(CHECKS)


# -- the order of rules, by hand ----------------------------------------------------------------


def duel(red, blue, cells, rewards=(), actions=(), seed=1):
    """One step of agents of two unit types at these cells; the state after it."""

    class Duel(ToyGrid):
        @staticmethod
        def world_of(config):
            groups = (Group("red", red), Group("blue", blue, color="blue"))
            return World(groups, listed(cells), rewards)

    game = Duel(ToyGridConfig(), get_backend())
    state, last, out = game.allocate(1), game.allocate_step(1), game.allocate_step(1)
    game.reset(state, last, np.array([seed]))
    game.step(state, np.array([actions]), last, out)
    return game, state, out


def f(*parts):
    """The sum of numbers in single precision, from the left."""
    total = np.float32(parts[0])
    for part in parts[1:]:
        total = total + np.float32(part)
    return total


FIGHTER = UnitType(hp=1.0, damage=2.0, attack_radius=1.0, kill_reward=3.0, dead_penalty=-1.0)
STAY, RIGHT, LEFT = 2, 7, 6  # moves 0 to 4; attacks 5 to 8: up, left, right, down


def test_a_reward_of_the_table_outlives_its_receiver_and_a_unit_type_s_does_not():
    """a kills b and is killed by c in the same step: dead_penalty, then the table's reward."""
    cells = [[(5, 5), (9, 9)], [(6, 5), (4, 5), (9, 2)]]
    rewards = (AttackReward("red", "kill", "blue", 0.5),)
    orders = set()
    for seed in range(1, 30):
        _, state, _ = duel(FIGHTER, FIGHTER, cells, rewards, (RIGHT, STAY, STAY, RIGHT, STAY), seed)
        first = bool(state.attack_result[0, 0] == attack.KILL)
        orders.add(first)
        # Either way red_0 is dead; it has killed if its turn came first.
        assert state.status[0, 0] == board.DYING
        assert state.reward[0, 0] == (f(-1.0, 0.5) if first else f(-1.0))
        assert state.reward[0, 3] == f(0.0, 3.0)
    assert orders == {True, False}


def test_rewards_of_victims_are_added_once_for_each_attack():
    cells = [[(5, 5), (7, 5)], [(6, 5), (9, 9)]]
    tough = replace(FIGHTER, hp=50.0)
    rewards = (AttackReward("red", "hit", "blue", 0.25, -0.1),)
    _, state, _ = duel(tough, tough, cells, rewards, (RIGHT, LEFT, STAY, STAY))
    assert state.reward[0].tolist() == [0.25, 0.25, float(f(0.0, -0.1, -0.1)), 0.0]


def test_a_kill_feeds_before_hunger_is_felt():
    """Of two starving agents the one that kills lives; the meal is capped by its hp."""
    wolf = replace(FIGHTER, hp=2.0, recover=-3.0)
    deer = replace(FIGHTER, hp=1.0, kill_supply=9.0)
    cells = [[(5, 5), (9, 9)], [(6, 5), (2, 2)]]
    _, state, out = duel(wolf, deer, cells, (), (RIGHT, STAY, STAY, STAY))
    assert state.status[0].tolist() == [board.DYING, board.DYING, board.DYING, board.ALIVE]
    wolf = replace(wolf, recover=-2.0)
    game, state, out = duel(wolf, deer, cells, (), (RIGHT, STAY, STAY, STAY))
    assert state.status[0].tolist() == [board.ALIVE, board.ALIVE, board.DYING, board.ALIVE]
    assert state.hp[0, :2].tolist() == [0.0, 0.0], "hp 0 is not below 0"
    assert not out.over[0]
    # The next step starves both, which ends the episode for the deer too.
    state_before, last = out, game.allocate_step(1)
    game.step(state, np.array([[STAY] * 4]), state_before, last)
    assert state.status[0].tolist() == [board.DYING, board.DYING, board.GONE, board.ALIVE]
    assert state.reward[0, :2].tolist() == [-1.0, -1.0]
    assert last.over[0]
    assert last.terminated[0].tolist() == [True, True, False, True]


def test_the_body_of_the_dead_is_gone_from_all_its_cells():
    """A blow on any cell hits the body; after its death the others' blows on it miss."""
    big = UnitType(width=3, length=3, hp=1.0, speed=1.0, view_radius=0.0)
    cells = [[(4, 5), (8, 6), (1, 1)], [(5, 5), (10, 10)]]
    actions = (RIGHT, LEFT, STAY, 2, 2)
    fighter = replace(FIGHTER, speed=1.0)
    # As many actions as fighters have: five moves and the four cells beyond the body's edges.
    big = replace(big, attack_radius=2.0)
    _, state, _ = duel(fighter, big, cells, (), actions)
    assert sorted(state.attack_result[0, :2].tolist()) == [attack.MISS, attack.KILL]
    assert (state.grid[0] == board.FIRST + 3).sum() == 0
    assert (state.grid[0] == board.FIRST + 4).sum() == 9


def test_a_body_moves_as_a_whole_or_not_at_all():
    big = UnitType(width=2, length=2, hp=1.0, speed=1.0, view_radius=1.0, attack_radius=2.0)
    cells = [[(5, 5), (1, 1)], [(7, 6), (12, 12)]]
    # red_0 is blocked by blue_0's corner; red_1 may step onto cells that it covers itself.
    _, state, _ = duel(big, big, cells, (), (3, 4, 2, 4))
    positions = list(zip(state.x[0].tolist(), state.y[0].tolist(), strict=True))
    assert positions == [(5, 5), (1, 2), (7, 6), (12, 12)], "the wall stops blue_1"


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "name"), [({"view_radius": 4.0}, "view"), ({"speed": 2.0}, "number of actions")]
)
def test_several_layouts_of_observations_or_actions_are_refused(change, name):
    with pytest.raises(NotImplementedError, match=f"another {name} than.*allowed"):
        duel(SPEAR, replace(SPEAR, **change), [[(2, 2)], [(5, 5)]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width=0"),
        ({"hp": 0.0}, "hp=0.0"),
        ({"damage": -1.0}, "damage=-1.0"),
        ({"width": 2, "view_radius": 0.5}, "view_radius=0.5"),
        ({"kill_supply": 1e39}, "kill_supply"),
    ],
    ids=str,
)
def test_bad_unit_types_are_named(change, message):
    with pytest.raises(ValueError, match=f"{message}.*allowed"):
        replace(SCOUT, **change)


def test_bad_worlds_are_named():
    red, blue = Group("red", SPEAR), Group("blue", SPEAR)
    start = listed([[(2, 2)], [(5, 5)]])
    reward = AttackReward("red", "hit", "blue", 1.0)
    with pytest.raises(ValueError, match=r"groups\[1\].name='red' is taken"):
        World((red, red), start)
    with pytest.raises(ValueError, match=r"rewards\[0\].victim='green'"):
        World((red, blue), start, (AttackReward("red", "hit", "green"),))
    with pytest.raises(ValueError, match=r"rewards\[1\] is a second one"):
        World((red, blue), start, (reward, reward))
    with pytest.raises(ValueError, match="placement has 2 groups; allowed: 1"):
        World((red,), start)
    with pytest.raises(ValueError, match="op='bite'"):
        AttackReward("red", "bite", "blue")
    with pytest.raises(ValueError, match="color='pink'"):
        Group("red", SPEAR, color="pink")
    with pytest.raises(ValueError, match=r"\['b'\]\[0\]=\(3, 3\) is taken"):
        explicit({"a": [(2, 2)], "b": [(3, 3)]}, 9, ("a", "b"), bodies=[(2, 2), (1, 1)])
    with pytest.raises(ValueError, match=r"\['a'\]\[0\]\[0\]=7"):
        explicit({"a": [(7, 2)], "b": [(3, 3)]}, 9, ("a", "b"), bodies=[(2, 2), (1, 1)])


@pytest.mark.slow
@pytest.mark.parametrize("units", list(UNITS))
def test_pictures_of_several_groups(units):
    game = ToyGrid(ToyGridConfig(units=units, minimap_mode=True), get_backend())
    state, out = game.allocate(1), game.allocate_step(1)
    game.reset(state, out, np.array([1]))
    canvas = Canvas("rgb_array", "test", fps=10)
    canvas.selected, canvas.show_graph = 4, True
    game.draw(state, out, 0, canvas)
    image = canvas.present()
    for color in (canvas.theme.red, canvas.theme.green, canvas.theme.blue):
        assert (image == color).all(axis=-1).any()
