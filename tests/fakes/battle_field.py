"""What the tests of battle share: a backend of plain Python, small fights, comparisons bit by bit."""

import numpy as np

from mfenvs import battle_v0
from mfenvs.engine.backend import CpuBackend
from mfenvs.gridworld import attack, board
from mfenvs.gridworld.games.battle import BattleConfig, BattleGame
from mfenvs.infos import ACTING, ACTION
from tests.reference import battle as naive_rules
from tests.reference.battle import NaiveBattle

STATUS = {"gone": board.GONE, "alive": board.ALIVE, "dying": board.DYING}
RESULT = {"nothing": attack.NOTHING, "miss": attack.MISS, "hit": attack.HIT, "kill": attack.KILL}
# Moves by the name of where they lead, attacks by that of whom they hit.
STAY, UP, LEFT, RIGHT, DOWN = 6, 2, 5, 7, 10
UP2, LEFT2, RIGHT2, DOWN2 = 0, 4, 8, 12
HIT_UP, HIT_LEFT, HIT_RIGHT, HIT_DOWN = 14, 16, 17, 19
AROUND = [(-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1)]
HIT = {offset: 13 + k for k, offset in enumerate(AROUND)}


class PlainBackend(CpuBackend):
    """Runs rules as the ordinary Python functions that they are."""

    def run(self, rule, extent, *arguments, work=5):
        for point in np.ndindex(*extent):
            rule(*point, *arguments)


def plain_game(**options):
    return BattleGame(BattleConfig(**options), PlainBackend())


def fight(red, blue, seed=0, **options):
    """A parallel environment, reset, with armies at these cells."""
    placement = {"red": red, "blue": blue}
    options = {"map_size": 16, "copied_start": False, "placement": placement, **options}
    env = battle_v0.parallel_env(**options)
    env.reset(seed=seed)
    return env


def f32(value):
    """The float32 nearest to a number, as the float that the PettingZoo view returns."""
    return float(np.float32(value))


def play(env, **actions):
    """A step in which whoever is not named stays; returns the rewards."""
    return env.step({agent: actions.get(agent, STAY) for agent in env.agents})[1]


def cell(env, agent):
    i = env.possible_agents.index(agent)
    return int(env._state.x[0, i]), int(env._state.y[0, i])


def hp(env, agent):
    return env._state.hp[0, env.possible_agents.index(agent)]


def assert_same(found, expected, what):
    """The same shape, and the same bits of float32."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, what
    if np.float32 in (found.dtype, expected.dtype):
        assert found.dtype == expected.dtype, what
        found, expected = found.copy().view(np.uint32), expected.copy().view(np.uint32)
    different = np.argwhere(found != expected)
    assert not len(different), (what, different[:5].tolist())


def column(agents, name):
    return [getattr(agent, name) for agent in agents]


def assert_same_state(state, row, params, naive, what):
    """All that the rules keep about a row is what the naive game says."""
    agents = naive.agents
    for name in ("hp", "reward", "last_reward"):
        assert_same(getattr(state, name)[row], column(agents, name), (what, name))
    assert state.status[row].tolist() == [STATUS[agent.status] for agent in agents], what
    assert state.attack_result[row].tolist() == [RESULT[agent.attack_result] for agent in agents], (
        what
    )
    fresh = naive.num_actions
    actions = [fresh if agent.action is None else agent.action for agent in agents]
    assert state.last_action[row].tolist() == actions, what
    for agent in agents:
        place = state.x[row, agent.index], state.y[row, agent.index]
        assert place == agent.cell, (what, agent)
    assert state.living[row].tolist() == [len(naive.living(blue)) for blue in (False, True)], what
    losses = [naive.size[blue] - len(naive.living(blue)) for blue in (1, 0)]
    assert state.kills[row].tolist() == losses, what
    for name, deeds in (("attacks", ("miss", "hit", "kill")), ("hits", ("hit", "kill"))):
        counts = [
            sum(naive.deeds[blue, attack_result] for attack_result in deeds)
            for blue in (False, True)
        ]
        assert getattr(state, name)[row].tolist() == counts, (what, name)
    assert state.random[row] == naive.generator, what
    assert state.time[row] == naive.time, what
    assert state.swapped[row] == naive.swapped, what
    cells = {agent.index: agent.cell for agent in naive.living()}
    assert_same(state.grid[row], grid_of(naive.map_size, params.rim, cells), (what, "grid"))


def grid_of(size, rim, cells):
    """The map as the rules store it; ``cells`` by agent."""
    grid = np.full((size + 2 * rim, size + 2 * rim), board.OFF)
    grid[rim : rim + size, rim : rim + size] = board.WALL
    grid[rim + 1 : rim + size - 1, rim + 1 : rim + size - 1] = board.BLANK
    for agent, (x, y) in cells.items():
        grid[rim + y, rim + x] = board.FIRST + agent
    return grid.ravel()


def assert_same_step(step, row, naive, what):
    """What the step wrote is what the naive game did."""
    agents = naive.agents
    assert_same(step.reward[row], column(agents, "reward"), (what, "reward"))
    assert step.terminated[row].tolist() == column(agents, "terminated"), what
    assert step.alive[row].tolist() == [agent.status == "alive" for agent in agents], what
    assert step.acting[row].tolist() == column(agents, "counted"), what
    actions = [
        -1 if agent.action is None or agent.status == "gone" else agent.action for agent in agents
    ]
    assert step.actions[row].tolist() == actions, what
    assert step.truncated[row] == naive.truncated, what
    assert step.over[row] == naive.over, what


def in_effect(infos, actions, agent):
    """What the PettingZoo view says of an agent: its action, and whether its choice counted.

    It says so where the action is not the one given, and where a choice did not count.
    """
    given = actions.get(agent, -1)
    return infos[agent].get(ACTION, given), infos[agent].get(ACTING, given >= 0)


def mixed(naive, coin, aim=0.7, miss=0.1):
    """Actions by index: some rush, some play at random, some say nothing."""
    actions = [int(action) for action in coin.integers(0, naive.num_actions, len(naive.agents))]
    for agent in naive.living():
        draw = coin.random()
        if draw < miss:
            actions[agent.index] = -1
        elif draw < miss + (1 - miss) * aim:
            actions[agent.index] = naive_rules.rush(naive, agent)
    return actions


def naive_of(seed, **options):
    """A naive game, seeded and started as the compiled one is."""
    naive = NaiveBattle(**options)
    naive.seed(seed)
    return naive
