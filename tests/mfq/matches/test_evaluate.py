"""Scores of episodes written down in advance: unbiased over rows, wins, draws, intervals, both sides."""

import numpy as np
import pytest
import torch

import mfq
from mfenvs import battle_v0
from mfq.matches.evaluate import evaluate, head_to_head, match, play, record_of
from mfq.matches.intervals import wilson
from tests.fakes.duel import Always, Duel, Fight
from tests.mfq.envs.test_view import Mortal

NOBODY = {"red": Always(0), "blue": Always(0)}


def test_short_episodes_count_no_more_than_long_ones():
    # Ten of the short ones end while the long one lasts.
    view = Duel([Fight(1, (1, 0), (2, 0))], [Fight(20, (0, 1), (0, 1))])
    scores = evaluate(view, NOBODY, episodes=4)
    assert scores["red"]["episodes"] == scores["blue"]["episodes"] == 4
    assert scores["red"]["win_rate"] == scores["blue"]["win_rate"] == 0.5
    assert scores["red"]["draw_rate"] == 0
    assert scores["red"]["kills"] == 1
    assert scores["blue"]["kills_difference"] == -0.5
    assert (scores["red"]["return"], scores["blue"]["return"]) == (0.5, 10)
    assert evaluate(view, Always(0), episodes=4) == {
        "return": 5.25,
        "return_red": 0.5,
        "return_blue": 10,
        "length": 10.5,
        "final_red_kills": 1,
        "final_blue_kills": 0.5,
        "final_red_alive": 2,
        "final_blue_alive": 2,
    }


def test_the_first_episodes_of_a_row_count():
    view = Duel([Fight(2), Fight(3), Fight(50)], [Fight(7), Fight(1), Fight(50)])
    found = play(view, NOBODY, 4, seed=0)
    assert found.length.tolist() == [2, 3, 7, 1]
    assert play(view, NOBODY, 3, seed=0).length.tolist() == [2, 3, 7]
    assert play(view, NOBODY, 1, seed=0).length.tolist() == [2]


def test_exactly_the_episodes_that_were_asked_for_count():
    view = Duel([Fight(1, (1, 0), (2, 0))], [Fight(20, (0, 1), (0, 1))])
    scores = evaluate(view, Always(0), episodes=3)  # two of the first row, one of the second
    assert scores["length"] == pytest.approx((1 + 1 + 20) / 3)
    assert scores["return"] == pytest.approx((0.5 + 0.5 + 10) / 3)
    for episodes in (1, 2, 3, 5, 8):
        assert evaluate(view, NOBODY, episodes)["red"]["episodes"] == episodes
        both = head_to_head(view, "random", Always(0), episodes + 1)["both"]
        assert both["episodes"] == (episodes + 2) // 2 * 2


def test_draws_are_no_wins_and_the_dead_are_not_alive():
    fights = [Fight(2, kills=kills, dead=(3,)) for kills in [(1, 1), (2, 1), (0, 0), (0, 3)]]
    found = evaluate(Duel(fights), NOBODY, episodes=4)
    for name, alive in (("red", 2), ("blue", 1)):
        scores = found[name]
        assert (scores["win_rate"], scores["draw_rate"]) == (0.25, 0.5)
        assert scores["alive"] == alive
        low, high = wilson(1, 4)
        assert (scores["win_rate_low"], scores["win_rate_high"]) == (low, high)
    assert found["red"]["kills_difference"] == -0.5 == -found["blue"]["kills_difference"]
    assert found["red"]["kills_difference_low"] == -found["blue"]["kills_difference_high"]


def test_rewards_of_a_reset_and_of_the_dead_count_for_nothing():
    # blue_1 dies in the first of three steps, with a reward for that step.
    found = play(Duel([Fight(3, (1, 2), dead=(3,))]), NOBODY, 2, seed=0)
    assert found.earned.tolist() == [[6, 8]] * 2
    assert found.sizes.tolist() == [2, 2]


def test_without_kills_returns_decide():
    found = evaluate(Duel([Fight(2, (1, 3)), Fight(2, (1, 1))], counted=False), NOBODY, episodes=2)
    assert (found["blue"]["win_rate"], found["blue"]["draw_rate"]) == (0.5, 0.5)
    assert found["red"]["win_rate"] == 0
    assert set(found["red"]) == {
        *("episodes", "win_rate", "win_rate_low", "win_rate_high", "draw_rate"),
        *("return", "return_low", "return_high"),
    }


def test_groups_of_a_pettingzoo_environment():
    # wolf_i dies at step i + 1; a step's reward is its number.
    view = mfq.wrap(Mortal(wolves=2, sheep=3))
    assert view.group_names == ("wolf", "sheep")
    found = evaluate(view, {"wolf": Always(0), "sheep": Always(1)}, episodes=2)
    assert found["wolf"]["return"] == (1 + 1 + 2) / 2
    assert found["sheep"]["return"] == 1 + 2 + 3 + 4
    assert (found["sheep"]["win_rate"], found["sheep"]["episodes"]) == (1, 2)
    alike = evaluate(view, Always(1))
    assert (alike["return_wolf"], alike["return_sheep"], alike["return"]) == (2, 10, 34 / 5)


def test_an_episode_ends_once():
    view = Duel([Fight(2)], [Fight(3, dead=(0, 1, 2, 3))])
    step = view.reset()
    ended = []
    for _ in range(5):
        step = view.step(torch.zeros(2, 4, dtype=torch.int64))
        ended.append(step.ended.tolist())
    # The second row's dead end it; here the row then starts anew after its third step.
    assert [row[0] for row in ended] == [False, True, False, False, True]
    assert ended[0][1]
    assert not ended[3][1], "the step in which it starts anew"


def test_the_best_of_three_wins():
    names = ("a", "b", "c")
    kills = [(3, 2, 1), (2, 2, 1), (0, 1, 4)]
    view = Duel([Fight(1, (0, 0, 0), k) for k in kills], names=names)
    found = evaluate(view, dict.fromkeys(names, Always(0)), episodes=3)
    rates = {name: (s["win_rate"], s["draw_rate"]) for name, s in found.items()}
    assert rates == {"a": (1 / 3, 1 / 3), "b": (0, 1 / 3), "c": (1 / 3, 0)}


def test_each_group_has_its_player():
    view, red = Duel([Fight(2)], script=3), Always(2)
    evaluate(view, {"blue": "script", "red": red}, seed=5)
    assert view.seeds == [5]
    assert [actions.tolist() for actions in view.sent] == [[[2, 2, 3, 3]]] * 2
    assert not any(red.explored)
    evaluate(view, {"blue": "script", "red": red}, explore=True)
    assert red.explored[-1]


class Coin(Always):
    """Plays at random, from its own generator, which runs with its time."""

    def __init__(self):
        super().__init__(0)
        self.generator, self.time = torch.Generator().manual_seed(7), 11

    @property
    def generators(self):
        return (self.generator,)

    def act(self, step, explore=True):
        self.time += 1
        return torch.randint(5, step.actions.shape, generator=self.generator)


def test_the_same_seed_gives_the_same_games_and_disturbs_nobody():
    view, coin = Duel([Fight(5)]), Coin()
    before = coin.generator.get_state()
    for seed in (1, 1, 2):
        evaluate(view, {"red": coin, "blue": coin}, seed=seed)
    assert torch.equal(coin.generator.get_state(), before)
    assert coin.time == 11
    first, again, other = (torch.stack(view.sent[k : k + 5]) for k in (0, 5, 10))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("kind", [mfq.QAgent, mfq.ActorCritic])
def test_exploring_evaluation_stores_nothing(kind):
    """A compact replay notes moments as its learner acts; those of evaluations are none of its own."""

    def small(rows):
        return mfq.wrap(battle_v0.batched_env(num_envs=rows, map_size=14, max_cycles=9))

    config = {mfq.QAgent: mfq.QConfig, mfq.ActorCritic: mfq.ACConfig}[kind](
        network={"hidden": (8,)},
        optimizer={"batch_size": 16},
        replay={"learning_starts": 20, "kind": "compact"},
    )
    view = small(3)
    agent = kind(view, config=config)
    mfq.train(view, agent, 12, view.reset(seed=2))
    kept, coin = len(agent.replay), agent.replay.generator.get_state()
    for other in (view, small(3), small(2)):
        evaluate(other, agent, episodes=12, explore=True)
    assert len(agent.replay) == kept > 100
    assert torch.equal(agent.replay.generator.get_state(), coin)
    assert agent.learn()


# -- matches ------------------------------------------------------------------------------------


def test_a_match_plays_both_sides():
    # Red always wins, so that each wins its half as red.
    view, a, b = Duel([Fight(2, (1, 0), (3, 1))]), Always(1), Always(2)
    scores = head_to_head(view, a, b, episodes=6, seed=4)
    assert view.seeds == [4, 4]
    assert [actions[0].tolist() for actions in view.sent[::8]] == [[1, 1, 2, 2], [2, 2, 1, 1]]
    assert {side: s["episodes"] for side, s in scores.items()} == {"red": 3, "blue": 3, "both": 6}
    assert [scores[side]["win_rate"] for side in ("red", "blue", "both")] == [1, 0, 0.5]
    assert [scores[side]["kills"] for side in ("red", "blue", "both")] == [3, 1, 2]
    assert [scores[side]["return"] for side in ("red", "blue", "both")] == [2, 0, 1]


def test_a_match_is_the_other_ones_loss():
    view = mfq.wrap(battle_v0.batched_env(num_envs=3, map_size=14, max_cycles=40))
    ours, theirs = match(view, "rush", "random", episodes=6, seed=1)
    assert ours["both"].won.sum() >= 5
    for mine, its in (("red", "blue"), ("blue", "red")):
        assert np.array_equal(ours[mine].won, ~theirs[its].won & ~theirs[its].drawn)
        margins = (side.measures["kills_difference"] for side in (ours[mine], theirs[its]))
        assert np.array_equal(next(margins), -next(margins))
    scores = head_to_head(view, "rush", "random", episodes=6, seed=1)
    assert scores["both"]["win_rate"] == ours["both"].won.mean()
    assert scores == head_to_head(view, "rush", "random", episodes=6, seed=1)
    # As the other way round, in the other order.
    swapped, _ = match(view, "random", "rush", episodes=6, seed=1)
    mine, its = (record._asdict() for record in (swapped["both"], theirs["both"]))
    mine, its = ({**record.pop("measures"), **record} for record in (mine, its))
    assert mine.keys() == its.keys() >= {"won", "kills", "alive", "kills_difference"}
    for name, values in mine.items():
        assert np.array_equal(np.sort(values), np.sort(its[name]))


def test_kills_are_those_of_the_game():
    view = mfq.wrap(battle_v0.batched_env(num_envs=2, map_size=14, max_cycles=60))
    found = play(view, {"red": "rush", "blue": "rush"}, 4, seed=3)
    record = record_of(found, "red")
    size = int((view.groups == 0).sum())
    blue = record_of(found, "blue")
    assert np.array_equal(record.measures["alive"], size - blue.measures["kills"])
    assert record.measures["kills"].max() > 0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda v: evaluate(v, NOBODY, episodes=0), ValueError, "episodes=0"),
        (
            lambda v: evaluate(v, NOBODY, episodes=1.5),
            TypeError,
            "episodes=1.5; allowed: an integer",
        ),
        (lambda v: evaluate(v, NOBODY, seed=-1), ValueError, "seed=-1; allowed: 0 or more"),
        (lambda v: evaluate(v, NOBODY, seed=0.5), TypeError, "seed=0.5; allowed: an integer"),
        (lambda v: head_to_head(3, Always(0), Always(0)), TypeError, "view=3"),
        (lambda v: evaluate(3, Always(0)), TypeError, "view=3"),
        (lambda v: evaluate(3, NOBODY), TypeError, r"view=3; allowed: a View, as mfq.wrap\(env\)"),
        (
            lambda v: evaluate(v, {"red": Always(0)}),
            ValueError,
            "allowed: one for each of 'red', 'b",
        ),
        (lambda v: evaluate(v, {**NOBODY, "green": Always(0)}), ValueError, "'green'"),
        (
            lambda v: evaluate(v, {**NOBODY, "red": "rush"}),
            ValueError,
            "script 'rush' is unknown in this view; allowed: random",
        ),
        (lambda v: evaluate(v, {**NOBODY, "red": 3}), TypeError, r"players\['red'\] is a int"),
        (lambda v: evaluate(v, None), TypeError, "is a NoneType"),
        (lambda v: head_to_head(v, Always(0), Always(0), 1), ValueError, "episodes=1"),
    ],
)
def test_nonsense_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(Duel([Fight(1)]))


def test_a_match_takes_two_groups():
    with pytest.raises(ValueError, match="'only'"):
        head_to_head(Duel([Fight(1)], names=("only",)), Always(0), Always(0))
