"""Past selves as opponents: the lagged rule by hand, a pool's draws, what players learn of episodes."""

import numpy as np
import pytest
import torch

import mfq
from mfq.matches.self_play import Lagged, Pool
from mfq.matches.teams import Teams
from tests.fakes.duel import Always, Duel, Fight, Pupil, run
from tests.fakes.meadow import Meadow

LONG = [Fight(10**6)]


class Listener(Lagged):
    """Keeps what it learns of episodes, in place of moving."""

    def __init__(self, learner, **options):
        super().__init__(learner, **options)
        self.heard = []

    def on_episodes_end(self, ended, beaten):
        self.heard.append((ended, beaten))


# -- the lagged self ----------------------------------------------------------------------------


def test_the_lagged_self_moves_after_lost_episodes_only():
    pupil = Pupil(1)
    lagged = Lagged(pupil, rate=0.25)
    pupil.set(5.0)
    pupil.module.count += 7
    lagged.on_episodes_end(0, 0)
    lagged.on_episodes_end(3, 0)
    assert lagged.player.weight == 1
    lagged.on_episodes_end(1, 1)
    assert lagged.player.weight == 0.75 * 1 + 0.25 * 5
    assert float(lagged.player.module.bias.detach()) == -2
    assert int(lagged.player.module.count) == 7
    lagged.on_episodes_end(4, 2)  # twice 2 -> .75 * 2 + 1.25 -> ...
    assert lagged.player.weight == pytest.approx(0.75 * (0.75 * 2 + 1.25) + 1.25)
    assert float(pupil.module.weight.detach()) == 5
    authors = Lagged(pupil)
    pupil.set(105.0)
    authors.on_episodes_end(1, 1)
    assert authors.player.weight == pytest.approx(0.01 * 5 + 0.99 * 105)


def test_the_lagged_self_may_be_copied_at_intervals():
    pupil = Pupil(1)
    lagged = Lagged(pupil, every=5)
    found = []
    for weight, ended in enumerate((4, 0, 1, 4, 7, 5), start=2):
        pupil.set(weight)
        lagged.on_episodes_end(ended, ended)
        found.append(lagged.player.weight)
    assert found == [1, 1, 4, 4, 6, 7]


def test_a_copy_goes_on_with_its_own_coins_and_the_learners_schedule():
    pupil = Pupil(1)
    lagged = Lagged(pupil, seed=3)
    coins = lagged.player.generator
    assert coins.initial_seed() == 3
    torch.rand(5, generator=coins)
    expected = coins.get_state()
    pupil.time = 40
    lagged.on_episodes_end(1, 0)
    assert lagged.player.time == 40
    assert torch.equal(lagged.player.generator.get_state(), expected)


def test_players_learn_who_earned_more():
    # The pupil is red, blue, red; in the last row it does not meet its lagged self.
    win, loss, draw = Fight(2, (3, 1)), Fight(3, (-1, 0)), Fight(1, (2, 2))
    view = Duel([win, loss, draw], [win, loss, draw], [draw, win, draw], [win])
    pupil, lagged = Pupil(0), Listener(Pupil(0), rate=0.5)
    heard = lagged.heard
    assignment = torch.tensor([[0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], [2, 2, 0, 0]])
    teams = Teams(view, {"me": pupil, "lagged": lagged, "foe": Always(4)}, assignment, ["me"])
    run(view, teams, 9)
    # Steps:  1   2   3   4   5   6   7   8   9
    # row 0:  .  win  r   .   .  loss r  draw r
    # row 1:  likewise, seen from blue
    # row 2: draw r   .  win  r  draw r  draw r   (draw, win, draw, draw again)
    # row 3:  .  win  r   .  win  r   .  win  r
    expected = {1: (1, 0), 2: (2, 1), 4: (1, 1), 5: (0, 0), 6: (3, 1), 8: (3, 0)}
    assert heard == list(expected.values())


def test_rewards_do_not_carry_over_to_the_next_episode():
    view = Duel([Fight(1, (9, 0)), Fight(1, (0, 1))])
    lagged = Listener(Pupil(0))
    heard = lagged.heard
    teams = Teams(view, {"me": Pupil(), "lagged": lagged}, torch.tensor([[0, 0, 1, 1]]), ["me"])
    run(view, teams, 3)
    assert heard == [(1, 1), (1, 0)]


LEARNERS = {
    "mfq": mfq.QAgent,
    "mfac": mfq.ActorCritic,
    "mfq by type": lambda view: mfq.ByType(view, lambda its, seed: mfq.QAgent(its, seed=seed)),
    "mfac by type": lambda view: mfq.ByType(
        view, lambda its, seed: mfq.ActorCritic(its, seed=seed)
    ),
}


@pytest.mark.parametrize("algo", list(LEARNERS))
@pytest.mark.parametrize("opponent", ["lagged", "pool"])
def test_opponents_stay_behind_what_the_learner_learns(algo, opponent):
    """With weights of their own, as the learner's are changed in place by its optimizer."""
    learner = LEARNERS[algo](mfq.wrap(Meadow()) if "type" in algo else Duel(LONG))

    def weights(player):
        parts = [part.module for part in player.parts]
        return torch.cat([w.detach().flatten() for part in parts for w in part.parameters()])

    def learn(amount):
        with torch.no_grad():
            for part in learner.parts:
                for values in part.module.parameters():
                    values.add_(amount)

    start = weights(learner).clone()
    other = Lagged(learner, rate=0.25) if opponent == "lagged" else Pool(learner, size=2, every=2)
    follower = (lambda: other.player) if opponent == "lagged" else (lambda: other.members[-1])
    learn(4.0)
    assert torch.equal(weights(follower()), start)
    other.on_episodes_end(1, 0)  # it was not beaten, and the pool waits for two episodes
    assert torch.equal(weights(follower()), start)
    other.on_episodes_end(1, 1)
    moved = start + (1.0 if opponent == "lagged" else 4.0)
    assert torch.allclose(weights(follower()), moved, atol=1e-5)
    assert torch.allclose(weights(learner), start + 4, atol=1e-5)
    learn(-4.0)
    assert torch.allclose(weights(follower()), moved, atol=1e-5)
    if opponent == "pool":
        assert torch.equal(weights(other.members[0]), start)


# -- the pool -----------------------------------------------------------------------------------


def test_a_pool_keeps_the_last_selves():
    pupil = Pupil(0)
    pool = Pool(pupil, size=3, every=10)
    held = []
    for weight, ended in enumerate((9, 1, 10, 25, 4, 1), start=1):
        pupil.set(weight)
        pool.on_episodes_end(ended, 0)
        held.append([member.weight for member in pool.members])
    assert held == [[0], [0, 2], [0, 2, 3], [4, 2, 3], [4, 2, 3], [4, 6, 3]]
    seeds = [member.generator.initial_seed() for member in pool.members]
    assert len({*seeds, pool.generator.initial_seed()}) == 4


@pytest.mark.slow
def test_rows_meet_another_self_with_each_episode():
    lengths = [3, 5, 1, 4] * 10
    view = Duel(*[[Fight(length)] for length in lengths])
    pupil = Pupil(0)
    pool = Pool(pupil, size=4, every=1, seed=1)
    for weight in (1, 2, 3):
        pupil.set(weight)
        pool.on_episodes_end(1, 0)
    pool.every = 10**9
    assignment = view.groups.expand(40, -1)
    teams = Teams(view, {"me": Always(4), "pool": pool}, assignment)
    step, met = view.reset(), []
    changes = np.zeros(4)
    for _ in range(300):
        actions = teams.act(step)
        assert (actions[:, :2] == 4).all()
        assert torch.equal(actions[:, 2], actions[:, 3])
        now = actions[:, 2]
        if met:
            assert torch.equal(now[~step.reset], met[-1][~step.reset]), "one self an episode"
        changes += np.bincount(now[step.reset].numpy(), minlength=4)
        met.append(now)
        step = view.step(actions)
        teams.observe(step, actions, step)
    assert changes.sum() == sum(-(-300 // (length + 1)) for length in lengths)
    # All alike, within 5 standard errors.
    assert (abs(changes / changes.sum() - 0.25) < 5 * (0.1875 / changes.sum()) ** 0.5).all()


def test_the_agents_of_a_pool_are_its_members():
    view, pupil = Duel(LONG, LONG, [Fight(10**6, dead=(2,))]), Pupil(0)
    pool = Pool(pupil, size=2, every=1)
    pool.on_episodes_end(1, 0)
    pool.members = [Always(0), Always(1)]
    view.reset()
    step = view.step(torch.full((3, 4), 0))
    pool.against = torch.tensor([1, 0, 1])
    mine = (view.groups == 1).expand(3, -1)
    actions = pool.act(step.for_player(mine))
    assert actions[:, 2:].tolist() == [[1, 1], [0, 0], [1, 1]]
    assert [member.given[0].active_index.tolist() for member in pool.members] == [
        [6, 7],
        [2, 3, 11],
    ]
    assert pool.act(step)[:, 0].tolist() == [1, 0, 1], "without mine, everybody is"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Lagged(Pupil(), rate=0.0), ValueError, r"rate=0\.0"),
        (lambda: Lagged(Pupil(), rate=1.5), ValueError, r"rate=1\.5"),
        (lambda: Lagged(Pupil(), every=-1), ValueError, "every=-1"),
        (lambda: Pool(Pupil(), size=0), ValueError, "size=0"),
        (lambda: Pool(Pupil(), every=0), ValueError, "every=0"),
        (lambda: Lagged(Always(0)), TypeError, "learner is a Always"),
    ],
)
def test_bad_opponents_are_named(make, error, words):
    with pytest.raises(error, match=words):
        make()
