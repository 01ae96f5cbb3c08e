"""The test bed's games: their rules by hand, and their best scores by search and simulation."""

import itertools

import numpy as np
import pytest
import torch

import mfq
from mfenvs.graph import CompleteGraph, LatticeGraph
from mfq.mean_field import neighbors_mean_action
from tests.fakes.test_bed import GAMES
from tests.fakes.test_bed.base import ring
from tests.fakes.test_bed.crowd import Minority, PublicGood
from tests.fakes.test_bed.cues import Alternation
from tests.fakes.test_bed.fireflies import Fireflies
from tests.fakes.test_bed.matching import Matching, Wishes


class Plays(mfq.Player):
    """Plays the actions [B, N] that a function of the step returns."""

    def __init__(self, choose):
        self.choose = choose

    def act(self, step, explore=True):
        return self.choose(step).where(step.alive, -1)


def score(game, choose, episodes=400):
    return mfq.evaluate(game, Plays(choose), episodes, seed=7)["return"]


def independent(probability, seed=0):
    """Plays 1 independently with a probability."""
    generator = torch.Generator().manual_seed(seed)
    return lambda step: (torch.rand(step.actions.shape, generator=generator) < probability).long()


@pytest.mark.parametrize("name", GAMES)
def test_a_game_is_a_view_whose_mean_action_is_that_of_the_neighbours(name):
    view = GAMES[name](3)
    generator = torch.Generator().manual_seed(0)
    step = view.reset(seed=1)
    assert step.reset.all()
    assert step.alive.all()
    assert (step.actions >= 0).all()
    ended = 0
    for _ in range(150):
        assert step.obs.shape == (3, view.num_agents, *view.observation_space.shape)
        assert step.obs.dtype == step.reward.dtype == torch.float32
        assert view.observation_space.contains(step.obs[0, 0].numpy())
        assert torch.equal(step.mean_action, neighbors_mean_action(step))
        for agent in (0, view.num_agents - 1):  # by hand
            near = step.actions[1, view.graph.neighbors(agent)]
            counts = torch.bincount(near[near >= 0], minlength=view.num_actions).float()
            expected = counts / counts.sum().clamp(min=1)
            assert torch.allclose(step.mean_action[1, agent], expected)
        ended += int(step.ended.sum())
        actions = torch.randint(view.num_actions, step.actions.shape, generator=generator)
        after = view.step(actions.where(step.alive, -1))
        assert torch.equal(after.reset, step.ended)
        chose = step.alive & ~after.reset[:, None]
        assert torch.equal(after.acting, chose)
        assert (after.actions[chose] == actions[chose]).all()
        assert not after.reward[~chose].any()
        step = after
    assert ended >= 3


@pytest.mark.parametrize("name", GAMES)
def test_a_seed_decides_an_episode(name):
    view = GAMES[name](2)
    first, other, again = (view.reset(seed) for seed in (1, 2, 1))
    assert torch.equal(first.actions, again.actions)
    assert torch.equal(first.obs, again.obs)
    assert not torch.equal(first.actions, other.actions)


def totals(game):
    """The summed reward of one step for every joint action of a small game."""
    number = game.num_agents
    actions = torch.tensor(list(itertools.product((0, 1), repeat=number)))
    game.alive = torch.ones(actions.shape, dtype=torch.bool)
    return actions, game.play(actions).sum(1)


def small(game, graph):
    """The game on another graph."""
    game._graph, game.num_agents = graph, graph.num_agents
    return game


def test_best_matching_by_search():
    """On smaller graphs of the same structure, where all joint actions can be tried."""
    graphs = {"ring": ring(12), "torus": LatticeGraph(4), "all": CompleteGraph(12)}
    for shape, graph in graphs.items():
        for same in (True, False):
            game = small(Matching(shape, same), graph)
            _, total = totals(game)
            best = float(total.max()) / graph.num_agents * game.num_steps
            assert best == pytest.approx(game.best())


def test_best_wishes_by_search():
    game = Wishes()
    game.differs = game.differs[:12]
    actions, total = totals(small(game, ring(12)))
    assert float(total.max()) / 12 * game.num_steps == pytest.approx(game.best())
    played = torch.tensor([0, 0, 0, 1] * 3)
    place = int((actions == played).all(1).nonzero())
    assert float(total[place]) == pytest.approx(float(total.max()))


@pytest.mark.parametrize("make", [PublicGood, Minority])
def test_best_crowds_by_play(make):
    """``earned`` is what the rewards of k agents that play 1 sum to."""
    game = make(26)
    actions = (torch.arange(25) < torch.arange(26)[:, None]).long()
    game.alive = torch.ones(26, 25, dtype=torch.bool)
    total = game.play(actions).mean(1)
    assert total.tolist() == pytest.approx([game.earned(k) for k in range(26)])
    assert float(total.max()) * game.num_steps == pytest.approx(game.best())


# The probability of 1 that the best shared policy plays, as derived.
UNCOORDINATED = {
    "coordination-ring": 1.0,
    "coordination-torus": 1.0,
    "coordination-all": 1.0,
    "anti-coordination-ring": 0.5,
    "anti-coordination-torus": 0.5,
    "anti-coordination-all": 0.5,
    "minority": 0.5,
}


@pytest.mark.parametrize("name", UNCOORDINATED)
def test_no_probability_is_better_than_the_best_uncoordinated(name):
    game, tried = GAMES[name](40), {}
    for p in (0.0, 0.25, 0.5, 0.75, 1.0):
        tried[p] = score(game, independent(p), 80)
    best = game.best_uncoordinated()
    assert tried[UNCOORDINATED[name]] == pytest.approx(best, abs=0.15)
    assert max(tried.values()) < best + 0.15


def test_the_best_uncoordinated_public_good():
    game = PublicGood(40)
    tried = {p: score(game, independent(p), 120) for p in np.linspace(0, 1, 11)}
    assert max(tried.values()) == pytest.approx(game.best_uncoordinated(), abs=0.3)
    assert tried[0.0] == 0
    assert tried[1.0] == pytest.approx(0.9 * 20, rel=1e-5)


def test_the_best_uncoordinated_wishes():
    game = Wishes(40)
    generator = torch.Generator().manual_seed(0)

    def types(step):
        coins = torch.randint(2, step.actions.shape, generator=generator)
        return coins.where(game.differs, 0)

    assert score(game, types) == pytest.approx(game.best_uncoordinated(), abs=0.1)
    best = torch.tensor([0, 0, 0, 1] * 6)
    assert score(game, lambda step: best.expand_as(step.actions)) == pytest.approx(game.best())


def test_cues_and_states_are_followed():
    game = GAMES["cue"](5)
    assert score(game, lambda step: step.obs.argmax(-1), 5) == pytest.approx(game.best())
    shifted = score(game, lambda step: step.obs.argmax(-1).roll(1, 1), 40)
    assert shifted == pytest.approx(game.best() / 4, abs=0.4)

    game = Alternation(40)
    state = Plays(lambda step: game.state[:, None].expand_as(step.actions).clone())
    assert mfq.evaluate(game, state, 40)["return"] == pytest.approx(game.best())

    generator = torch.Generator().manual_seed(0)

    def informed(step):
        coins = torch.randint(2, step.actions.shape, generator=generator)
        return step.obs[..., 1].long().where(step.obs[..., 0] == 1, coins)

    assert score(game, informed) == pytest.approx(game.best_uncoordinated(), abs=0.1)
    assert score(game, follow(opposite=True)) == pytest.approx(20 - 1 / 3, abs=0.3)
    assert score(game, follow(opposite=False)) < game.best_uncoordinated()


def follow(opposite):
    """Informed agents follow the state; others do what those did before, or the opposite."""

    def choose(step):
        last = step.actions[:, :1].expand_as(step.actions)  # agent 0 is informed
        return step.obs[..., 1].long().where(step.obs[..., 0] == 1, 1 - last if opposite else last)

    return choose


def test_fireflies_by_hand():
    game = Fireflies(1)
    step = game.reset(seed=0)
    assert step.obs[0, :, 0].tolist() == [1.0] * 30
    flash = torch.zeros(1, 30, dtype=torch.int64)
    flash[0, :3] = 1
    step = game.step(flash)
    assert step.reward[0, :4].tolist() == pytest.approx([0.7, 1.7, 0.7, 0.0])
    assert step.obs[0, :4, 0].tolist() == pytest.approx([0.8, 0.8, 0.8, 1.0])
    assert step.obs[0, :4, 1].tolist() == [1, 1, 1, 0]
    assert step.obs[0, 0, 2] == pytest.approx(1 / 3)
    for _ in range(3):
        step = game.step(flash)
    assert step.obs[0, 1].tolist() == pytest.approx([0.2, 1.0, 0.0])
    step = game.step(flash)  # the fifth flash
    assert step.terminated[0].tolist() == [True] * 3 + [False] * 27
    assert step.reward[0, :3].tolist() == pytest.approx([-1.3, -0.3, -1.3])
    rest = torch.zeros_like(flash)
    for late in range(1, 6):
        assert not step.alive[0, :3].any()
        assert (step.obs[0, :3] == 0).all()
        step = game.step(rest.where(step.alive, -1))
        assert not step.terminated.any()
        assert bool(step.alive[0, :3].all()) == (late == 5)
    assert step.obs[0, :3, 0].tolist() == [1.0] * 3
    assert not step.acting[0, :3].any()


def test_dead_neighbours_do_not_flash():
    game = Fireflies(1)
    game.reset(seed=0)
    game.alive[0, 1] = False
    step = game.step(torch.ones(1, 30, dtype=torch.int64))
    assert step.reward[0, 0] == pytest.approx(0.7)
    assert step.actions[0, 1] == -1


def test_the_best_fireflies():
    game = Fireflies(4)
    above_one = score(game, lambda step: (step.obs[..., 0] > 0.25).long(), 4)
    assert above_one == pytest.approx(game.best_uncoordinated())
    assert game.best_uncoordinated() < game.best()
    assert score(game, lambda step: torch.ones_like(step.actions), 4) == pytest.approx(5 * 1.7 - 2)
