"""Nobody throws another's coins: players of a match, learners of types, opponents."""

import torch

import mfq
from mfq.matches.evaluate import evaluate
from mfq.matches.players import load_player
from mfq.matches.self_play import Lagged, Pool
from mfq.matches.teams import make_teams
from tests.fakes.duel import Duel, Fight, Pupil
from tests.fakes.meadow import Meadow


class Dicer(Pupil):
    """Throws a die a step, and keeps what it threw. All begin with the same seed."""

    def __init__(self):
        super().__init__(0)
        self.generator, self.thrown = torch.Generator().manual_seed(7), []

    @property
    def generators(self):
        return (self.generator,)

    def act(self, step, explore=True):
        self.thrown.append(int(torch.randint(10**6, (1,), generator=self.generator)))
        return torch.zeros_like(step.actions)


def seeds_of(*players):
    """The seeds of the generators of players."""
    parts = [part for player in players for part in player.parts]
    return [coin.initial_seed() for part in parts for coin in part.generators]


def assert_differ(seeds):
    assert len(set(seeds)) == len(seeds), seeds


def test_players_of_a_match_throw_different_dice():
    red, blue = Dicer(), Dicer()
    for seed in (0, 4):
        evaluate(Duel([Fight(5)]), {"red": red, "blue": blue}, seed=seed)
    assert len(red.thrown) == len(blue.thrown) == 10
    assert len({*red.thrown, *blue.thrown}) == 20
    for one, other in zip(red.thrown, blue.thrown, strict=True):
        assert one != other


def test_types_of_an_evaluated_player_throw_different_dice():
    view = mfq.wrap(Meadow())
    player = mfq.ByType(view, lambda its, seed: Dicer())
    evaluate(view, player, episodes=1, seed=2)
    wolves, sheep = (part.thrown for part in player.parts)
    assert len(wolves) == len(sheep) == 6
    assert not set(wolves) & set(sheep)


def test_learners_of_types_have_seeds_of_their_own():
    view = mfq.wrap(Meadow())
    given = []
    mfq.ByType(view, lambda its, seed: given.append(seed) or Dicer(), seed=5)
    assert given[0] == 5
    assert_differ(given)
    for kind in (mfq.QAgent, mfq.ActorCritic):
        agent = mfq.ByType(view, lambda its, seed, kind=kind: kind(its, seed=seed), seed=5)
        replays = [part.replay.generator.initial_seed() for part in agent.parts]
        assert_differ([*seeds_of(agent), *replays])


def test_copies_of_learners_of_types_have_seeds_of_their_own():
    view = mfq.wrap(Meadow())
    for kind in (mfq.QAgent, mfq.ActorCritic):
        agent = mfq.ByType(view, lambda its, seed, kind=kind: kind(its, seed=seed), seed=5)
        pool = Pool(agent, size=3, every=1, seed=2000)
        for _ in range(2):
            pool.on_episodes_end(1, 0)
        lagged = Lagged(agent, seed=1000)
        assert len(pool.members) == 3
        assert len(pool.generators) == 1 + 3 * 2
        assert_differ(seeds_of(agent, lagged, pool))


def test_opponents_have_seeds_of_their_own():
    view = Duel(*[[Fight(9)]] * 6)
    found = []
    for seed in (5, 6):
        teams = make_teams(
            view, mfq.QAgent(view), {"random": 1, "lagged": 1, "pool": 1}, seed=seed
        ).players
        pool = teams["pool"]
        own = seeds_of(teams["random"], teams["lagged"], pool)
        assert len(own) == 3 + len(pool.members) == 4
        assert_differ([seed, *own])
        found.append(own)
    assert all(one != other for one, other in zip(*found, strict=True))


def test_a_saved_run_of_types_is_played_with_seeds_of_their_own(tmp_path):
    for algo in ("mfq", "mfac"):
        small = {"replay": {"learning_starts": 10**6}, "network": {"hidden": [4]}}
        config = {"env": "tests.fakes.meadow:make", "algo": algo, "steps": 2, "quiet": True}
        config |= {"agent": small, "out": str(tmp_path / algo)}
        mfq.Runner(config=config).train()
        player = load_player(tmp_path / algo, mfq.wrap(Meadow()))
        assert_differ(seeds_of(player))
