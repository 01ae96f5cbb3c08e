"""A game of MAgent2 and one that should equal it, step by step through PettingZoo's parallel API.

Players act on MAgent2's observations alone, so that the other side may be anything with that API.
"""

import sys
from dataclasses import dataclass, field, replace
from importlib import import_module

import numpy as np
import pytest

from mfenvs.registry import GAMES as REGISTERED
from tests.reference.magent2_games import NaiveParallel

VERSIONS = {
    "adversarial_pursuit": "v4",
    "battlefield": "v5",
    "combined_arms": "v6",
    "gather": "v5",
    "tiger_deer": "v4",
}
# The naive model of each game, and ours where there is one.
SIDES = [(game, "model") for game in VERSIONS]
SIDES += [(game, "mfenvs") for game in VERSIONS if f"{game}_v0" in REGISTERED]
# Without an action, the first agent of gather's list makes MAgent2 write before its buffer.
NEVER_SILENT = {"gather": 20}

# Of each game: map sizes, steps of an episode, steps between two looks at everything, least deaths.
PLANS = {
    "adversarial_pursuit": ((9, 12, 17, 24, 31), 25, 2, 0),
    "battlefield": ((46, 50, 57, 83, 90), 60, 5, 15),
    "combined_arms": ((16, 17, 20, 23, 30), 25, 2, 100),
    "gather": ((None,), 7, 3, 100),
    "tiger_deer": ((10, 14, 19, 24, 30), 40, 3, 50),
}
REWARDS = {
    "adversarial_pursuit": {"tag_penalty": 0.37},
    "battlefield": {
        "step_reward": 0.013,
        "dead_penalty": -1.7,
        "attack_penalty": -0.33,
        "attack_opponent_reward": 0.71,
    },
    "gather": {
        "step_reward": 0.02,
        "attack_penalty": 0.07,
        "dead_penalty": 0.3,
        "attack_food_reward": -0.9,
    },
    "tiger_deer": {"tiger_step_recover": -0.7, "deer_attacked": 0.33},
}
REWARDS["combined_arms"] = REWARDS["battlefield"]


def options_of(size, **others):
    return {**({} if size is None else {"map_size": size}), **others}


def magent2_env(game, **options):
    module = import_module(f"magent2.environments.{game}_{VERSIONS[game]}")
    return module.parallel_env(**options)


def other_env(game, side, **options):
    """The game to compare: the naive "model" or that of "mfenvs"."""
    if side == "model":
        return NaiveParallel(game, **options)
    return import_module(f"mfenvs.{game}_v0").parallel_env(**options)


@dataclass
class Tally:
    """What a run of episodes contained."""

    episodes: int = 0
    steps: int = 0
    deaths: int = 0  # food counts
    wipe_outs: int = 0
    truncations: int = 0
    rewards: set = field(default_factory=set)


@dataclass
class Players:
    """Who acts how: shares of agents that say nothing, or attack and approach who is near.

    Those who see nobody go on in one direction for a while; the rest plays at random. "foes" are agents
    of other groups; a ``brawl`` is against everybody.
    """

    rushing: float = 0.8
    silent: float = 0.05
    brawl: float = 0.1
    dead_speak: bool = True
    seed: int = 0

    def __post_init__(self):
        self.coin = np.random.default_rng(self.seed)
        self.headings = {}

    def act(self, env, bodies, observations, spared):
        """Actions in any order; with ``dead_speak`` also for agents that have none any more."""
        names = env.possible_agents if self.dead_speak else env.agents
        draws = self.coin.random((3, len(names)))
        kept = set(env.agents[:spared])
        result = {}
        for k in self.coin.permutation(len(names)):
            name = names[k]
            body = bodies[name.rpartition("_")[0]]
            if draws[0, k] < self.silent and name not in kept:
                continue
            result[name] = int(self.coin.integers(body.num_actions))
            if draws[1, k] < self.rushing and name in observations:
                if name not in self.headings or self.coin.random() < 0.1:
                    self.headings[name] = int(self.coin.integers(len(body.moves)))
                brawls, heading = draws[2, k] < self.brawl, self.headings[name]
                result[name] = body.rush(observations[name], brawls, heading)
        return result


class Body:
    """What an agent of a group can do, by its view."""

    def __init__(self, model, group, depth):
        name, kind = model.table.groups[group]
        agent = next(unit for unit in model.grid.agents if unit.group == group)
        grid = model.grid
        self.moves = np.array(grid.moves(agent))
        self.attacks = np.array(grid.attacks(agent)).reshape(-1, 2)
        self.num_actions = len(self.moves) + len(self.attacks)
        self.middle = int(kind.view_radius)
        others = range(1, len(model.table.groups))
        color = name[: 3 if name.startswith("red") else 4]
        groups = [n for n, _ in model.table.groups]
        self.everybody = [1 + depth * k for k in (0, *others)]
        self.foes = [
            1 + depth * k for k in others if not groups[(group + k) % len(groups)].startswith(color)
        ]
        # The body's cells, from its center.
        corner = -(kind.width // 2), -(kind.length // 2)
        self.cells = [
            (self.middle + corner[1] + j, self.middle + corner[0] + i)
            for i in range(kind.width)
            for j in range(kind.length)
        ]

    def rush(self, observation, brawl, heading):
        """An attack on a target in reach, or the move that ends nearest to the nearest one."""
        seen = observation[..., self.everybody if brawl else self.foes].any(-1)
        for cell in self.cells:
            seen[cell] = False
        rows, columns = np.nonzero(seen)
        if not len(rows):
            return heading
        targets = np.stack([columns, rows], -1) - self.middle
        if len(self.attacks):
            reach = (self.attacks[:, None] == targets[None]).all(-1).any(-1)
            if reach.any():
                choices = np.flatnonzero(reach)
                return len(self.moves) + int(choices[heading % len(choices)])
        nearest = targets[(targets**2).sum(-1).argmin()]
        return int(((self.moves - nearest) ** 2).sum(-1).argmin())


def assert_same_arrays(result, expected, what):
    assert result.shape == expected.shape, what
    assert result.dtype == expected.dtype, what
    if result.tobytes() != expected.tobytes():
        where = np.argwhere(result != expected)[:5].tolist()
        raise AssertionError(f"{what}: differs at {where}")


def assert_same_observations(result, expected, what):
    assert list(result) == list(expected), what
    for agent in expected:
        assert_same_arrays(result[agent], expected[agent], (*what, agent))


def assert_same_values(result, expected, kind, what):
    """Two dicts of agents, of the same numbers in the same order."""
    assert list(result) == list(expected), what
    assert {type(value) for value in result.values()} <= {kind}, what
    if list(result.values()) != list(expected.values()):
        agent = next(a for a in expected if result[a] != expected[a])
        raise AssertionError(f"{what}: {agent} has {result[agent]}, not {expected[agent]}")


def assert_same_states(side, ours, theirs, what):
    """MAgent2 has none once a group is empty; with minimaps it reads beyond its memory then."""
    if all(theirs.env.get_num(handle) for handle in theirs.env.get_handles()):
        assert_same_arrays(ours.state(), theirs.state(), (*what, "state"))
    elif side == "model":
        with pytest.raises(ValueError, match="lives"):
            ours.state()


def assert_same_forms(ours, theirs):
    assert ours.possible_agents == theirs.possible_agents
    assert ours.state_space == theirs.state_space
    spaces = {}
    for agent in theirs.possible_agents:
        group = agent.rpartition("_")[0]
        if group not in spaces:  # a comparison of two boxes takes its time
            assert ours.observation_space(agent) == theirs.observation_space(agent), agent
            spaces[group] = theirs.observation_space(agent)
        assert ours.observation_space(agent).shape == spaces[group].shape, agent
        assert ours.action_space(agent) == theirs.action_space(agent), agent


def compare(game, side, options, seeds, players, tally, steps=40, every=1, reset=True, changed=()):
    """Plays an episode for each seed (None: go on with the generator), by both games.

    Args:
        options: of both.
        every: the steps between two comparisons of observations and of states.
        reset: False to play the first episode from construction, without a reset.
        changed: options of the other side alone.
    """
    theirs = magent2_env(game, **options)
    ours = other_env(game, side, **{**options, **dict(changed)})
    assert_same_forms(ours, theirs)
    model = NaiveParallel(game, **options)
    depth = 3 if options.get("minimap_mode") else 2
    bodies = {
        name: Body(model, group, depth)
        for group, (name, _) in enumerate(model.table.groups)
        if any(unit.group == group for unit in model.grid.agents)
    }
    for episode, seed in enumerate(seeds):
        seen = {}
        if reset or episode:
            seen = theirs.reset(seed=seed)[0]
            assert_same_observations(ours.reset(seed=seed)[0], seen, (episode, "reset"))
        tally.episodes += 1
        for time in range(steps):
            what = game, options, seeds[: episode + 1], players, time
            assert ours.agents == theirs.agents, what
            if not ours.agents:
                break
            looks = time % every == 0
            if looks:
                assert_same_states(side, ours, theirs, what)
            living = sum(theirs.env.get_num(h) for h in theirs.env.get_handles())
            actions = players.act(theirs, bodies, seen, NEVER_SILENT.get(game, 0))
            if side == "model":
                ours.blind = not looks
            result, expected = ours.step(actions), theirs.step(actions)
            seen = expected[0]
            if looks:
                assert_same_observations(result[0], seen, what)
            for part, other, kind in zip(
                result[1:4], expected[1:4], (float, bool, bool), strict=True
            ):
                assert_same_values(part, other, kind, what)
            assert list(result[4]) == list(expected[4]), what
            left = [theirs.env.get_num(h) for h in theirs.env.get_handles()]
            tally.steps += 1
            tally.deaths += living - sum(left)
            tally.wipe_outs += 0 in left
            tally.truncations += all(expected[3].values()) and 0 not in left
            tally.rewards |= set(expected[1].values())
        assert ours.agents == theirs.agents, "in the end"
        assert_same_states(side, ours, theirs, (game, options, episode, "end"))


def anything(game, side, seed):
    """Three episodes with options and players drawn at random."""
    coin = np.random.default_rng(seed)
    sizes, steps, *_ = PLANS[game]
    options = {name: bool(coin.integers(2)) for name in ("minimap_mode", "extra_features")}
    options["max_cycles"] = int(coin.integers(steps // 2, 3 * steps))
    if sizes[0] is not None:
        options["map_size"] = int(coin.integers(sizes[0], sizes[-1]))
        if (game, options["map_size"]) == ("battlefield", 51):
            return Tally()
    for name, value in REWARDS[game].items():
        if coin.random() < 0.2:
            options[name] = value
    if coin.random() < 0.5:
        options["seed"] = int(coin.integers(2**40))
    seeds = [None if coin.random() < 0.5 else int(coin.integers(2**40)) for _ in range(3)]
    players = Players(*coin.random(3) ** [0.5, 3, 2], bool(coin.integers(2)), seed)
    tally, every = Tally(), int(coin.integers(1, 6))
    compare(game, side, options, seeds, players, tally, options["max_cycles"], every)
    return tally


def main():
    """`python -m tests.mfenvs.gridworld.lockstep gather mfenvs 0 20`: three episodes for each seed."""
    game, side, first, last = sys.argv[1:]
    for seed in range(int(first), int(last)):
        print(game, side, seed, replace(anything(game, side, seed), rewards=set()), flush=True)


if __name__ == "__main__":
    main()
