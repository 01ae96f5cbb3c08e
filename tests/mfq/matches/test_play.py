"""`mfq play`: what it prints is the game that the players saw."""

import re

import numpy as np
import pytest

import mfq
from mfenvs import battle_v0, gaussian_squeeze_v0
from mfq.matches.evaluate import play as episodes_of
from mfq.matches.window import PlayConfig, play

OPTIONS = {"map_size": 16, "max_cycles": 60, "placement": "paper"}


def test_the_window_shows_the_game_that_the_players_see(capsys):
    options = {"red": "focus", "blue": "random", "env_options": OPTIONS}
    play("battle", PlayConfig(**options, episodes=4, seed=3, window=False))
    lines = capsys.readouterr().out.splitlines()
    view = mfq.wrap(battle_v0.batched_env(**OPTIONS))
    found = episodes_of(view, {"red": "focus", "blue": "random"}, 4, seed=3)
    names = ("red_alive", "red_kills", "blue_alive", "blue_kills")
    expected = zip(found.length, *(found.measures[name] for name in names), strict=True)
    numbers = [[int(number) for number in re.findall(r"\d+", line)] for line in lines]
    assert numbers == [[k, *map(int, row)] for k, row in enumerate(expected)]
    assert len({tuple(row[1:]) for row in numbers}) > 1


def test_the_players_have_the_seeds_of_evaluations(capsys):
    options = {"num_agents": 10, "mu": 25.0, "sigma": 10.0, "max_cycles": 5}
    play("gaussian_squeeze", PlayConfig(episodes=2, seed=3, window=False, env_options=options))
    printed = re.findall(r"return ([\d.e-]+),", capsys.readouterr().out)
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(**options))
    expected = mfq.evaluate(view, "random", 2, seed=3)["return"]
    assert np.mean([float(number) for number in printed]) == pytest.approx(expected, rel=1e-3)
