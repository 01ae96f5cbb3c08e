"""Players of ours on MAgent2's own battle."""

import csv

import pytest
import torch

import mfq
from baselines import magent2
from baselines.magent2 import MAgent2Study
from mfq.matches.teams import Teams

pytestmark = pytest.mark.third_party

GAME = {"map_size": 14, "max_cycles": 60, "minimap_mode": True, "extra_features": True}


class Strikes(mfq.Player):
    """Moves up to the enemy's side and strikes there: enough to kill who does nothing."""

    def __init__(self, right):
        self.right = right

    def act(self, step, explore=True):
        view = step.obs[..., :7]
        near = view[0, :, 5:8, 5:8, 4].flatten(1)
        near = torch.cat([near[:, :4], near[:, 5:]], 1)
        strike = 13 + near.argmax(1)
        walk = 7 if self.right else 5
        actions = strike.where(near.sum(1) > 0, walk)
        return actions[None].where(step.alive, -1)


class Stays(mfq.Player):
    def act(self, step, explore=True):
        return torch.full_like(step.actions, 6).where(step.alive, -1)


@pytest.mark.parametrize("side", [0, 1])
def test_kills_and_losses_are_counted_to_the_last(side):
    view = mfq.wrap(magent2.make(GAME))
    sizes = torch.bincount(view.groups).tolist()
    armies = [Strikes(right=side == 0), Stays()]
    teams = Teams(view, {"red": armies[side], "blue": armies[1 - side]}, view.groups[None])
    kills, losses = magent2.episode(view, teams, side, seed=1)
    assert losses == 0
    assert 0 < kills <= sizes[1 - side]
    # Seen from the other side.
    assert magent2.episode(view, teams, 1 - side, seed=1) == (losses, kills)


def test_a_run_against_random(tmp_path, capsys):
    config = {
        "steps": 4,
        "evaluation": {"every": 0},
        "quiet": True,
        "env_options": GAME,
        "out": str(tmp_path / "run"),
        "agent": {
            "network": {"hidden": [8], "agent_embedding": 0, "filters": 0},
            "replay": {"learning_starts": 10**6},
        },
    }
    mfq.Runner("battle_v0", config=config).train()
    found = magent2.run(MAgent2Study((str(tmp_path / "run"),), 2, out=str(tmp_path / "out")))
    assert [(s.side, s.episodes) for s in found] == [("red", 1), ("blue", 1)]
    with pytest.raises(ValueError, match="holds results already"):
        magent2.run(MAgent2Study(("random",), 2, out=str(tmp_path / "out")))
    assert all(s.wins == (s.kills > s.losses) for s in found)
    assert capsys.readouterr().out.count(" of 1 ") == 2
    with (tmp_path / "out" / "magent2.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2


def test_a_tie_is_no_win(tmp_path, monkeypatch, capsys):
    ends = [(2, 2), (3, 1), (0, 0), (1, 4)]  # kills and losses, as red and then as blue
    monkeypatch.setattr(magent2, "episode", lambda *words: ends[words[-1] - 5])
    monkeypatch.setattr(magent2, "options_of", lambda *words: GAME)
    found = magent2.run(MAgent2Study(("random",), episodes=8, seed=5, out=str(tmp_path)))
    assert [(s.side, s.episodes, s.wins, s.win_rate) for s in found] == [
        ("red", 4, 1, 0.25),
        ("blue", 4, 1, 0.25),
    ]
    assert {(s.kills, s.losses) for s in found} == {(6 / 4, 7 / 4)}
    # Wilson's interval of 1 in 4.
    assert (found[0].low, found[0].high) == pytest.approx((0.0456, 0.6994), abs=5e-5)
    assert "random     as red   1 of 4 (0.05 to 0.70), kills 1.5" in capsys.readouterr().out
    with (tmp_path / "magent2.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["player"], row["side"], row["wins"], row["kills"]) for row in rows] == [
        ("random", "red", "1", "1.5"),
        ("random", "blue", "1", "1.5"),
    ]


def test_bad_options_are_named():
    with pytest.raises(ValueError, match="episodes=1"):
        MAgent2Study(episodes=1)
