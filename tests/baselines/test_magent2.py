"""Players of ours on MAgent2's own battle."""

import csv

import pytest
import torch

import mfq
from baselines import magent2
from baselines.magent2 import MAgent2Study
from mfq.team import Teams

GAME = {"map_size": 14, "max_cycles": 60, "minimap_mode": True, "extra_features": True}


class Strikes:
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


class Stays:
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
        "evaluate_every": 0,
        "quiet": True,
        "env_options": GAME,
        "out": str(tmp_path / "run"),
        "agent": {"hidden": [8], "agent_embedding": 0, "filters": 0, "learn_after": 10**6},
    }
    mfq.Runner("battle_v0", config=config).train()
    found = magent2.run(MAgent2Study((str(tmp_path / "run"),), 2, out=str(tmp_path / "out")))
    assert [(s.side, s.episodes) for s in found] == [("red", 1), ("blue", 1)]
    assert all(s.wins == (s.kills > s.losses) for s in found)
    assert capsys.readouterr().out.count(" of 1 ") == 2
    with (tmp_path / "out" / "magent2.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2


def test_bad_options_are_named():
    with pytest.raises(ValueError, match="episodes=1"):
        MAgent2Study(episodes=1)
