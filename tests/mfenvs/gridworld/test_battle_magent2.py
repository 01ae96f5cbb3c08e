"""Bit for bit MAgent2's battle_v4, through the PettingZoo API of both."""

from dataclasses import dataclass

import numpy as np
import pytest

from mfenvs import battle_v0
from mfenvs.gridworld import board

magent2 = pytest.importorskip("magent2", reason="no magent2 to compare with")
from magent2 import gridworld  # noqa: E402
from magent2.environments import battle_v4  # noqa: E402
from magent2.environments.battle import battle  # noqa: E402

pytestmark = pytest.mark.third_party

CUSTOM = {
    "step_reward": 0.013,
    "dead_penalty": -1.7,
    "attack_penalty": -0.33,
    "attack_opponent_reward": 0.71,
}
UPSIDE_DOWN = {
    "step_reward": -0.1,
    "dead_penalty": 0.3,
    "attack_penalty": 0.07,
    "attack_opponent_reward": -0.9,
}
FREE = dict.fromkeys(CUSTOM, 0.0)


@dataclass
class Tally:
    """What a run of episodes contained."""

    episodes: int = 0
    steps: int = 0
    kills: int = 0
    wipe_outs: int = 0
    truncations: int = 0


@dataclass
class Players:
    """Of those who say something, a share rushes and the others play at random."""

    rushing: float = 0.9
    silent: float = 0.05
    dead_speak: bool = True
    seed: int = 0

    def __post_init__(self):
        self.coin = np.random.default_rng(self.seed)

    def act(self, env):
        """In any order; with ``dead_speak`` also for those who have no say any more."""
        rush, coin = env.scripted("rush"), self.coin
        names = env.possible_agents if self.dead_speak else env.agents
        draws = coin.random((2, len(names)))
        chosen = coin.integers(0, 21, len(names))
        found = {}
        for k in coin.permutation(len(names)):
            name = names[k]
            if draws[0, k] >= self.silent:
                rushes = name in rush and draws[1, k] < self.rushing
                found[name] = rush[name] if rushes else int(chosen[k])
        return found


def assert_same_arrays(found, expected, what):
    assert found.shape == expected.shape, what
    assert found.dtype == expected.dtype, what
    if found.tobytes() != expected.tobytes():
        where = np.argwhere(found != expected)[:5].tolist()
        raise AssertionError(f"{what}: differs at {where}")


def assert_same_observations(found, expected, what):
    assert list(found) == list(expected), what
    for agent in expected:
        assert_same_arrays(found[agent], expected[agent], (what, agent))


def assert_same_states(ours, theirs, what):
    """MAgent2 has none where an army is wiped out; with minimaps it reads beyond its memory then."""
    state = ours.state()
    if state[..., 1].any() and state[..., 3].any():
        assert_same_arrays(state, theirs.state(), (what, "state"))
    elif not ours.game.config.minimap_mode:
        with pytest.raises(ValueError, match="unpack"):
            theirs.state()


def assert_same_forms(ours, theirs):
    assert ours.possible_agents == theirs.possible_agents
    assert ours.state_space == theirs.state_space
    for agent in theirs.possible_agents:
        assert ours.observation_space(agent) == theirs.observation_space(agent)
        assert ours.action_space(agent) == theirs.action_space(agent)


def compare(options, seeds, players, tally, steps=60):
    """Plays an episode for each seed (None: go on with the stream), by both games."""
    ours, theirs = battle_v0.parallel_env(**options), battle_v4.parallel_env(**options)
    assert_same_forms(ours, theirs)
    for episode, seed in enumerate(seeds):
        found, expected = ours.reset(seed=seed)[0], theirs.reset(seed=seed)[0]
        assert_same_observations(found, expected, (episode, "reset"))
        tally.episodes += 1
        for time in range(steps):
            what = options, episode, time
            assert ours.agents == theirs.agents, what
            if not ours.agents:
                break
            assert_same_states(ours, theirs, what)
            living = len(ours.agents)
            actions = players.act(ours)
            found, expected = ours.step(actions), theirs.step(actions)
            assert_same_observations(found[0], expected[0], what)
            for part, other, kind in zip(
                found[1:4], expected[1:4], (float, bool, bool), strict=True
            ):
                assert list(part.items()) == list(other.items()), what
                assert {type(value) for value in part.values()} == {kind}
            assert list(found[4]) == list(expected[4]), what
            tally.steps += 1
            tally.kills += living - int(ours._step.alive.sum())
            wiped_out = 0 in ours._state.living[0]
            tally.wipe_outs += bool(wiped_out)
            tally.truncations += all(expected[3].values()) and not wiped_out
        assert_same_states(ours, theirs, (options, episode, "end"))


@pytest.mark.parametrize("minimap_mode", [False, True])
@pytest.mark.parametrize("extra_features", [False, True])
def test_small_maps(minimap_mode, extra_features):
    tally = Tally()
    shown = {"minimap_mode": minimap_mode, "extra_features": extra_features}
    for size in (12, 13, 14, 16, 17, 19, 20):
        players = Players(rushing=0.95, silent=0.03, seed=size)
        for max_cycles in (14, 60):
            options = {"map_size": size, "max_cycles": max_cycles, **shown}
            compare(options, [size, None, 2, None, None, 3], players, tally)
    assert tally.episodes == 84
    assert tally.kills > 500
    assert tally.wipe_outs > 40
    assert tally.truncations > 10


@pytest.mark.parametrize("rewards", [CUSTOM, UPSIDE_DOWN, FREE], ids=["custom", "negated", "free"])
def test_rewards(rewards):
    tally = Tally()
    for size in (14, 18):
        for name in (None, *rewards):
            given = rewards if name is None else {name: rewards[name]}
            options = {"map_size": size, "extra_features": True, "max_cycles": 17, **given}
            compare(options, [3, None, None], Players(seed=1), tally)
    assert tally.episodes == 30
    assert tally.kills > 150
    assert tally.wipe_outs > 5
    assert tally.truncations > 5


def test_constructor_seeds():
    tally = Tally()
    for seed in (None, 0, 1, 7, 2**31 - 1, 2**31, 2**32 - 2, 2**45 + 3):
        options = {"map_size": 16, "max_cycles": 35}
        if seed is not None:
            options["seed"] = seed
        compare(options, [None, None, 5, None], Players(seed=2), tally)
    assert tally.episodes == 32
    assert tally.kills > 100


def test_seeds_wrap():
    seeds = [0, 1, 2**31 - 2, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1, 2**32, 2**62 - 1]
    tally = Tally()
    options = {"map_size": 15, "max_cycles": 40, "minimap_mode": True}
    compare(options, seeds + [10**9 * k + 2**33 for k in range(1, 12)], Players(), tally)
    assert tally.episodes == 20
    assert tally.kills > 80


@pytest.mark.parametrize(
    ("players", "least_kills"),
    [
        (Players(rushing=0.0, silent=0.0), 0),
        (Players(rushing=0.0, silent=0.3), 0),
        (Players(rushing=1.0, silent=0.0, dead_speak=False), 60),
        (Players(rushing=0.6, silent=0.4), 30),
        (Players(rushing=0.5, silent=0.0), 30),
        (Players(silent=1.0), 0),
    ],
    ids=str,
)
def test_players(players, least_kills):
    tally = Tally()
    options = {"map_size": 18, "extra_features": True, "minimap_mode": True, "max_cycles": 60}
    compare(options, [9, None, 4, None, 2**31, None, None, None], players, tally)
    assert tally.episodes == 8
    assert tally.steps > 80
    assert tally.kills >= least_kills


@pytest.mark.parametrize(
    ("map_size", "episodes", "steps"),
    [(26, 6, 40), (30, 6, 40), (33, 4, 30), (40, 4, 30), (45, 3, 30), (60, 2, 25)],
)
def test_large_maps(map_size, episodes, steps):
    tally = Tally()
    features = {"minimap_mode": map_size % 2 == 0, "extra_features": map_size <= 40}
    options = {"map_size": map_size, **features, "max_cycles": steps}
    compare(options, [map_size, *[None] * (episodes - 1)], Players(), tally)
    assert tally.episodes == episodes
    assert tally.kills > 20 * episodes
    assert tally.truncations + tally.wipe_outs == episodes


def test_defaults():
    tally = Tally()
    compare({}, [None], Players(rushing=0.2, silent=0.0), tally)
    compare({"map_size": 12}, [0], Players(rushing=0.0), tally, steps=1001)
    assert (tally.steps, tally.truncations) == (1060, 1), "a thousand steps, by default"


@pytest.mark.parametrize("map_size", [99, 100, 107])
def test_many_agents_on_bands(map_size):
    tally = Tally()
    compare({"map_size": map_size, "max_cycles": 20}, [2], Players(rushing=0.7), tally)
    assert (tally.episodes, tally.truncations) == (1, 1)
    assert tally.kills > 100


# -- what battle_v4 does not offer, on its engine -----------------------------------------------


def engine(map_size, minimap_mode, armies, **options):
    """MAgent2's engine with the armies at these cells and these options of the agents' type."""
    config = battle.get_config(map_size, minimap_mode, 3, **battle.default_reward_args)
    kind = config.agent_type_dict["small"]
    for name, value in options.items():
        if name in ("view_radius", "attack_radius"):
            name, value = name.replace("radius", "range"), gridworld.CircleRange(value)
        name = name.replace("recover", "step_recover")
        assert name in kind
        kind[name] = value
    world = magent2.GridWorld(config, map_size=map_size)
    world.reset()
    for handle, cells in zip(world.get_handles(), armies, strict=True):
        world.add_agents(handle, method="custom", pos=[[x, y, 0] for x, y in cells])
    return world


def of_both(world, get):
    """What the engine says of red and blue, in one array."""
    return np.concatenate([np.array(get(handle)) for handle in world.get_handles()])


def compare_to_engine(map_size, first, rushing, minimap_mode=False, **options):
    """Armies in a crowd from column ``first`` on; returns kills, and who took five hits in a step."""
    coin = np.random.default_rng(map_size)
    cells = [(x, y) for x in range(first, first + 16) for y in range(3, 9)]
    cells = [cells[k] for k in coin.permutation(len(cells))[:60]]
    armies = cells[:25], cells[25:]
    world = engine(map_size, minimap_mode, armies, **options)
    env = battle_v0.parallel_env(
        map_size=map_size,
        minimap_mode=minimap_mode,
        extra_features=True,
        placement=dict(zip(("red", "blue"), armies, strict=True)),
        copied_start=False,
        **options,
    )
    env.reset(seed=3)
    state, kills, spared = env._state, 0, 0
    for time in range(25):
        rush, most = env.scripted("rush"), env.game.num_actions
        actions = {
            agent: rush[agent] if coin.random() < rushing else int(coin.integers(most))
            for agent in env.agents
        }
        for team, handle in zip(("red", "blue"), world.get_handles(), strict=True):
            told = [actions[agent] for agent in env.agents if agent.startswith(team)]
            world.set_action(handle, np.array(told, np.int32))
        present = np.flatnonzero(state.status[0] == board.ALIVE)
        env.step(actions)
        world.step()
        positions, alive = of_both(world, world.get_pos), of_both(world, world.get_alive)
        assert state.x[0, present].tolist() == positions[:, 0].tolist(), time
        assert state.y[0, present].tolist() == positions[:, 1].tolist(), time
        assert (state.status[0, present] == board.ALIVE).tolist() == alive.tolist(), time
        assert_same_arrays(state.reward[0, present], of_both(world, world.get_reward), time)
        room = env.game.allocate_observation((len(present),))
        env.game.observe(state, room, np.zeros_like(present), present)
        for k, name in enumerate(("view", "features")):
            seen = of_both(world, lambda handle, k=k: world.get_observation(handle)[k])
            assert_same_arrays(room[name], seen, (time, name))
        kills += int((~alive).sum())
        spared += int((state.hp[0, present][alive] == np.float32(0.1)).sum())
        world.clear_dead()
        if not env.agents:
            break
    return kills, spared


def test_five_hits_at_once():
    kills, spared = compare_to_engine(20, 2, rushing=1.0)
    assert kills > 20
    assert spared > 0


@pytest.mark.parametrize("map_size", [99, 100, 104, 113, 999, 1001])
def test_crowds_across_the_edge_of_two_bands(map_size):
    width = -(-map_size // (8 if map_size <= 1000 else 16))
    edge = map_size // 2 // width * width
    kills, _ = compare_to_engine(map_size, edge - 8, rushing=0.4)
    assert kills > 10


@pytest.mark.parametrize(
    "options",
    [
        {"hp": 3.3, "damage": 1.7, "recover": 0.35, "kill_reward": 0.7},
        {"speed": 1.0, "attack_radius": 1.0, "view_radius": 1.0},
        {"speed": 3.0, "attack_radius": 2.5, "view_radius": 3.7, "hp": 7.0},
        {"speed": 2.3, "attack_radius": 3.0, "view_radius": 9.0, "minimap_mode": True},
        {"view_radius": 2.0, "damage": 0.9, "recover": 0.0, "minimap_mode": True},
        {"speed": 4.5, "attack_radius": 4.0, "view_radius": 5.5, "damage": 11.0},
    ],
    ids=str,
)
def test_options_of_the_agents(options):
    kills, _ = compare_to_engine(20, 2, rushing=0.6, **options)
    assert kills > 10
