"""`mfq compare dilemma`: what striking would earn."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import mfq
from mfenvs import battle_v0
from mfq.cli import main
from mfq.matches.players import Scripted
from mfq.studies.dilemma import Contrast, DilemmaStudy, compare
from mfq.studies.dilemma.config import CHOICES
from mfq.studies.dilemma.payoffs import Striking, payoff
from tests.fakes.duel import Always, Duel, Fight

GAME = {"map_size": 12, "max_cycles": 15, "copied_start": False}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dilemma") / "run"
    config = {
        "steps": 4,
        "evaluation": {"every": 0},
        "quiet": True,
        "env_options": GAME,
        "out": str(folder),
        "agent": {
            "network": {"hidden": [8], "agent_embedding": 0, "filters": 4},
            "replay": {"learning_starts": 10**6},
        },
    }
    mfq.Runner("battle_v0", config=config).train()
    return folder


def game(rows):
    return mfq.wrap(battle_v0.batched_env(num_envs=rows, **GAME))


def test_strikers_act_as_hold_does_where_it_strikes():
    view = game(4)
    who = torch.arange(4 * view.num_agents).reshape(4, -1) % 3 == 0
    rush, hold = Scripted(view, "rush"), Scripted(view, "hold")
    step, strikes = view.reset(seed=0), 0
    # The player itself never strikes.
    player = Striking(view, Stays(), who)
    for _ in range(12):
        actions = player.act(step)
        blows = hold.act(step)
        expected = torch.where(who & (blows >= 13), blows, Stays().act(step))
        assert torch.equal(actions, expected)
        strikes += int((actions >= 13).sum())
        step = view.step(rush.act(step).where(view.groups == 0, actions))
    assert strikes > 10


class Stays(mfq.Player):
    def act(self, step, explore=True):
        return torch.full_like(step.actions, 6).where(step.alive, -1)


def test_payoffs_by_hand():
    """An army that stays earns a step's reward until it dies; one that strikes earns its blows."""
    view = game(6)
    still = payoff(view, Stays(), Stays(), 1, "learned", "learned", 0)
    assert np.allclose(still[0], 15 * -0.005)
    assert np.allclose(still[1], 15 * -0.005)
    assert not still[2].any()
    rush = Scripted(view, "rush")
    earned = {
        (others, agent): payoff(view, Stays(), rush, 1, others, agent, 0)
        for others in ("learned", "strikes")
        for agent in ("learned", "strikes")
    }
    # An agent that never strikes never earns, for both choices of the others.
    for others in ("learned", "strikes"):
        assert (earned[others, "learned"][0] <= 0).all()
        assert earned[others, "strikes"][0].max() > 0.1
    assert (earned["learned", "learned"][1] <= 0).all()
    assert (earned["strikes", "strikes"][1] > earned["learned", "learned"][1]).all()
    margin = earned["strikes", "strikes"][2] - earned["learned", "learned"][2]
    assert (margin >= 0).all()
    assert margin.max() > 0


def planned(*plan):
    """A fight from a plan, in which the script "hold" never strikes."""
    view = Duel(*plan, script=0)
    view.env = SimpleNamespace(
        game=SimpleNamespace(params=SimpleNamespace(units=np.zeros((1, 7), int)))
    )
    return view


def test_both_payoffs_of_a_contrast_are_of_the_same_seeds():
    view = planned(*[[Fight(2, (1, 3), (1, 0))]] * 2)
    seeds, reset = [], view.reset
    view.reset = lambda seed: seeds.append(seed) or reset(seed=seed)
    for agent in CHOICES:
        payoff(view, Always(0), Always(0), 0, "learned", agent, 7)
    assert seeds == [7, 7]


def test_payoffs_end_with_the_episode():
    # Row 0 ends after 2 of 5 steps, and plays on with other rewards and kills. red_1, the agent of
    # row 1, dies in its first step; so does blue_0, which is not the agent.
    short = [Fight(2, (1, 3), (1, 0)), Fight(2, (100, 50), (7, 9))]
    view = planned(short, [Fight(5, (2, 4), (0, 2), dead=(1, 2))])
    still = Always(0)
    one, army, kills = payoff(view, still, still, 0, "learned", "learned", 0)
    assert one.tolist() == [2 * 1, 2]
    assert army.tolist() == [2 * 1, (5 * 2 + 2) / 2]
    assert kills.tolist() == [1, -2]
    one, army, kills = payoff(view, still, still, 1, "learned", "learned", 0)
    assert one.tolist() == [2 * 3, 5 * 4]
    assert army.tolist() == [2 * 3, (5 * 4 + 4) / 2]
    assert kills.tolist() == [-1, 2]


@pytest.mark.slow
def test_a_table_and_a_file(run, tmp_path, capsys):
    words = ["--runs", f"a={run},{run}", "--episodes", "4", "--out", str(tmp_path)]
    assert main(["compare", "dilemma", *words]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("a ") for line in printed) == 8 + 4  # payoffs, contrasts
    view = game(4)
    for side, army in enumerate(("red", "blue")):
        choices = mfq.Random(), Scripted(view, "rush"), side, "learned", "learned"
        mean = payoff(view, *choices, 1000)[1].mean()
        assert f"random play as {army} in the place of a: army by agent {mean:5.2f}" in printed
    with (tmp_path / "dilemma.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["side"], r["others"], r["agent"]) for r in rows[:4]] == [
        ("red", "learned", "learned"),
        ("red", "learned", "strikes"),
        ("red", "strikes", "learned"),
        ("red", "strikes", "strikes"),
    ]
    assert {(r["runs"], r["episodes"]) for r in rows} == {("2", "4")}
    assert all(
        float(r["earned_low"]) <= float(r["earned"]) <= float(r["earned_high"]) for r in rows
    )
    single = compare(DilemmaStudy((str(run),), episodes=4))
    assert [p.earned for p in single.payoffs] == [pytest.approx(float(r["earned"])) for r in rows]

    assert "for 4 contrasts (Bonferroni)" in " ".join(printed)
    assert printed[-1] == str(tmp_path / "dilemma_contrasts.csv")
    with (tmp_path / "dilemma_contrasts.csv").open(newline="") as file:
        header, *contrasts = csv.reader(file)
    assert tuple(header) == Contrast._fields
    assert [row[:5] for row in contrasts] == [
        ["a", side, others, "2", "4"] for side in ("red", "blue") for others in CHOICES
    ]
    # A gain is the difference of the two payoffs beside it.
    earned = [float(row["earned"]) for row in rows]
    gains = [strikes - learned for learned, strikes in zip(earned[::2], earned[1::2], strict=True)]
    assert [float(row[5]) for row in contrasts] == pytest.approx(gains)
    assert any(gains)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "runs is empty"),
        (["--runs", "a=no/such/run"], "no/such/run is no player"),
        (["--runs", "a", "--episodes", "0"], "episodes=0; allowed: 1 or more"),
    ],
)
def test_nonsense(words, error, capsys):
    try:
        status = main(["compare", "dilemma", *words, "--out", "None"])
    except SystemExit as leaving:  # tyro's, where the options themselves are wrong
        status = leaving.code
    assert status == 2
    assert error in " ".join(capsys.readouterr().err.split())
