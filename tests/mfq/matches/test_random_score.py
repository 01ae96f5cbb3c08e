"""Random play's score stands beside every score: the same episodes, a random player in the place."""

import pytest

import mfq
from mfenvs import battle_v0, gaussian_squeeze_v0
from mfq.common import checkpoint
from mfq.matches.evaluate import (
    of_player,
    of_random_play,
    random_score,
    scores_of,
    selection_score,
)
from mfq.training.runner import Runner
from tests.fakes.duel import Always, Duel, Fight
from tests.mfq.training.test_runner import SMALL, losses

GAME = {"num_agents": 4, "mu": 10.0, "sigma": 5.0, "max_cycles": 3}


def test_it_is_a_random_player_in_the_same_episodes():
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=2, **GAME))
    scores = random_score(view, episodes=4, seed=7)
    expected = mfq.evaluate(view, mfq.Random(), episodes=4, seed=7)
    assert scores == {f"random_play_{name}": value for name, value in expected.items()}
    assert scores != random_score(view, episodes=4, seed=8)


def test_it_takes_the_players_place_against_each_opponent():
    view = mfq.wrap(battle_v0.batched_env(num_envs=2, map_size=14, max_cycles=20, hp=1.0))
    opponents = {"rush": "rush", "random": "random"}
    scores = random_score(view, opponents, episodes=4, seed=3)
    for name in opponents:
        played = mfq.head_to_head(view, mfq.Random(), name, 4, 3)
        assert scores[f"random_play_{name}_kills"] == played["both"]["kills"]
        for side in ("red", "blue"):
            rate = played[side]["win_rate"]
            assert scores[f"random_play_{name}_win_rate_as_{side}"] == rate
    assert scores["random_play_rush_kills"] < scores["random_play_random_kills"]
    assert not [name for name in scores if name.endswith(("_low", "_high", "_episodes"))]


def test_scores_are_split_and_random_plays_select_nothing():
    scores = {"a_win_rate_as_red": 0.5, "random_play_a_win_rate_as_red": 0.1}
    assert of_player(scores) == {"a_win_rate_as_red": 0.5}
    assert of_random_play(scores) == {"a_win_rate_as_red": 0.1}
    assert selection_score(scores) == 0.5
    assert selection_score({"return": 2.0, "random_play_return": 9.0}) == 2.0


def test_scores_of_a_player_are_those_of_evaluate_or_of_matches():
    view = Duel([Fight(2, (1, 3), (3, 1))])
    assert scores_of(view, Always(0), episodes=2) == mfq.evaluate(view, Always(0), episodes=2)
    scores = scores_of(view, Always(0), {"x": Always(1)}, episodes=4)
    assert (scores["x_episodes"], scores["x_win_rate_as_red"], scores["x_kills"]) == (4, 1, 2)


def test_a_run_has_it_beside_every_score_and_plays_it_once(tmp_path, monkeypatch):
    played = []

    def counted(view, opponents, episodes, seed):
        played.append((episodes, seed))
        return random_score(view, opponents, episodes, seed)

    monkeypatch.setattr("mfq.training.runner.random_score", counted)
    config = {**SMALL, "steps": 200, "evaluation": {"every": 50}, "out": str(tmp_path)}
    runner = Runner(config=config)
    runner.train()
    assert played == [(1, 0)]
    scores = runner.evaluate()
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(**SMALL["env_options"]))
    assert of_random_play(scores) == mfq.evaluate(view, mfq.Random())
    assert of_random_play(scores).keys() == of_player(scores).keys()
    runner.evaluate(episodes=3)
    runner.evaluate(seed=5)
    assert played == [(1, 0), (3, 0), (1, 5)]
    head = (tmp_path / "log.csv").read_text().splitlines()[0].split(",")
    assert {f"eval_random_play_{name}" for name in of_player(scores)} <= set(head)
    assert losses(tmp_path)


def test_it_changes_nothing_in_the_learner_or_its_opponents(tmp_path):
    options = {
        "env_options": {"map_size": 14, "max_cycles": 9},
        "num_envs": 4,
        "opponents": {"lagged": 1.0},
        "evaluation": {"against": ("rush",), "episodes": 2},
        "quiet": True,
        "steps": 5,
        "agent": {"network": {"hidden": [4], "agent_embedding": 0}},
    }
    runner = Runner("battle_v0", config=options)
    runner.train()
    before = runner.save(tmp_path / "before").read_bytes()
    runner.evaluate(seed=9)
    assert runner.save(tmp_path / "after").read_bytes() == before
    assert checkpoint.load(tmp_path / "after")["done"] == 5


@pytest.mark.parametrize(("asked", "against"), [(4, ()), (7, ()), (4, ("rush",)), (5, ("rush",))])
def test_an_evaluation_plays_exactly_as_many_episodes(asked, against, monkeypatch):
    config = {
        "env_options": {"map_size": 14, "max_cycles": 3},
        "evaluation": {"against": against, "episodes": asked, "num_envs": 20},
        "agent": {"network": {"hidden": [4], "agent_embedding": 0}},
    }
    runner = Runner("battle_v0", config=config)
    rows, make = [], runner._make_view
    monkeypatch.setattr(runner, "_make_view", lambda count: rows.append(count) or make(count))
    scores = runner.evaluate()
    if against:
        assert scores["rush_episodes"] == asked + asked % 2
    assert rows == [(asked + 1) // 2 if against else asked]
