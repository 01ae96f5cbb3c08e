"""Matches in games of several types, of unlike sides, and of more than two groups."""

import numpy as np
import pytest

import mfq
from mfenvs import combined_arms_v0, gather_v0, tiger_deer_v0
from mfq.matches.evaluate import evaluate, head_to_head, match
from tests.fakes.duel import Duel, Fight
from tests.mfq.matches.test_evaluate import Always


def test_unlike_sides_are_decided_by_pairs_of_episodes():
    view = mfq.wrap(tiger_deer_v0.batched_env(num_envs=4, map_size=14, max_cycles=60))
    scores = head_to_head(view, "hunt", "random", episodes=8, seed=1)
    assert {side: each["episodes"] for side, each in scores.items()} == {
        "deer": 4,
        "tiger": 4,
        "both": 4,
    }
    # Random tigers kill no deer, so that as deer nobody is ahead; over both sides one is.
    assert scores["deer"]["kills_difference"] == 0
    assert scores["tiger"]["kills_difference"] > 1
    assert scores["both"]["kills_difference"] == scores["tiger"]["kills_difference"] / 2
    assert [scores[side]["win_rate"] for side in scores] == [1, 1, 1]
    ours, theirs = match(view, "hunt", "random", episodes=8, seed=1)
    for side in ("deer", "tiger", "both"):
        assert ours[side].won.all()
        assert not theirs[side].won.any() | theirs[side].drawn.any()
    assert np.array_equal(ours["both"].returns, (ours["deer"].returns + ours["tiger"].returns) / 2)


def test_a_player_against_itself_draws_on_unlike_sides():
    view = mfq.wrap(tiger_deer_v0.batched_env(num_envs=2, map_size=14, max_cycles=40))
    scores = head_to_head(view, "hunt", "hunt", episodes=4)
    assert [each["draw_rate"] for each in scores.values()] == [1, 1, 1]


def test_armies_of_two_types_play_both_sides():
    view = mfq.wrap(combined_arms_v0.batched_env(num_envs=4, map_size=20, max_cycles=60))
    scores = head_to_head(view, "focus", "random", episodes=8, seed=1)
    assert {side: each["episodes"] for side, each in scores.items()} == {
        "red": 4,
        "blue": 4,
        "both": 8,
    }
    assert scores["both"]["win_rate"] == 1
    alive = evaluate(view, {"red": "focus", "blue": "random"}, episodes=4, seed=1)
    assert alive["red"]["alive"] > alive["blue"]["alive"]
    # A random player of all types, and a mapping of players, take the actions of each type.
    assert evaluate(view, mfq.Random(1), episodes=4)["length"] > 1


def test_in_three_groups_a_player_meets_the_other_in_the_rest():
    view = Duel([Fight(2, (1, 0, 5), (3, 1, 3))], names=("red", "blue", "green"))
    scores = head_to_head(view, Always(1), Always(2), episodes=6, seed=4)
    assert view.seeds == [4, 4, 4]
    assert [actions[0].tolist() for actions in view.sent[::6]] == [
        [1, 1, 2, 2, 2, 2],
        [2, 2, 1, 1, 2, 2],
        [2, 2, 2, 2, 1, 1],
    ]
    assert {side: each["episodes"] for side, each in scores.items()} == {
        "red": 2,
        "blue": 2,
        "green": 2,
        "both": 6,
    }
    assert [each["win_rate"] for each in scores.values()] == [0, 0, 0, 0]
    assert [each["draw_rate"] for each in scores.values()] == pytest.approx([1, 0, 1, 2 / 3])
    assert [each["return"] for each in scores.values()] == [2, 0, 10, 4]


def test_a_game_of_one_group_has_scores_and_no_match():
    options = {"map_size": 14, "placement": "random", "counts": {"omnivore": 4, "food": 6}}
    view = mfq.wrap(gather_v0.batched_env(num_envs=4, max_cycles=40, **options))
    eaten = [
        evaluate(view, {"omnivore": name}, episodes=4)["omnivore"]["eaten"]
        for name in ("forage", "random")
    ]
    assert eaten[0] > eaten[1] + 3
    with pytest.raises(ValueError, match=r"the view has groups \('omnivore',\); allowed: two"):
        head_to_head(view, "forage", "random")
