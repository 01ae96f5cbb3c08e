"""Which evaluation is the best, by hand-made rates; and the episodes that score a run are others."""

import csv

import pytest

import mfq
from mfenvs import ising_v0
from mfq.cli import main
from mfq.common import checkpoint
from mfq.matches.evaluate import of_player, selection_score
from mfq.training.runner import Runner
from tests.fakes.duel import Duel, Fight, Pupil
from tests.fakes.meadow import Meadow

# Learns nothing: what an evaluation comes to is written down below, or does not depend on it.
IDLE = {
    "network": {"hidden": [8], "agent_embedding": 0, "filters": 0},
    "replay": {"learning_starts": 10**6},
}


def rows_of(folder):
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


# -- which is the best --------------------------------------------------------------------------


def test_an_evaluation_is_as_good_as_its_worse_side():
    scores = {"rush_win_rate": 0.5, "rush_win_rate_as_red": 0.9, "rush_win_rate_as_blue": 0.1}
    assert selection_score(scores) == pytest.approx(0.1)
    swapped = {"rush_win_rate": 0.5, "rush_win_rate_as_red": 0.1, "rush_win_rate_as_blue": 0.9}
    assert selection_score(swapped) == pytest.approx(0.1)
    others = {"random_win_rate_as_red": 0.8, "random_win_rate_as_blue": 1.0, "rush_return": 99.0}
    assert selection_score({**scores, **others}) == pytest.approx((0.1 + 0.8) / 2)
    assert selection_score({"return": -3.5, "return_red": 7.0, "length": 9.0}) == -3.5


# Evaluations of a run, by opponent: the win rate as red, as blue. By the worse side the second is the
# best, (.5 + .1) / 2; by the better side or by both together the first, by the worst of all the third.
RATES = (
    {"random": (1.0, 0.1), "hold": (0.9, 0.2)},
    {"random": (0.5, 0.6), "hold": (0.1, 0.4)},
    {"random": (0.7, 0.2), "hold": (0.2, 0.3)},
)


def test_a_run_keeps_the_checkpoint_whose_worse_side_is_best(tmp_path, monkeypatch):
    coming = [(name, rates) for evaluation in RATES for name, rates in evaluation.items()]

    def match(view, agent, rival, episodes, seed):
        if isinstance(agent, mfq.Random):  # beside them: neither better nor worse for it
            return {side: {"win_rate": 1.0} for side in ("red", "blue", "both")}
        name, (red, blue) = coming.pop(0)
        assert getattr(rival, "name", None) == name
        found = {"red": red, "blue": blue, "both": (red + blue) / 2}
        return {side: {"win_rate": rate} for side, rate in found.items()}

    monkeypatch.setattr("mfq.matches.evaluate.head_to_head", match)
    config = {
        "steps": 15,
        "env_options": {"map_size": 12, "max_cycles": 5},
        "evaluation": {"against": ("random", "hold"), "every": 5},
        "checkpoints": {"every": 0},
        "quiet": True,
        "out": str(tmp_path),
        "agent": IDLE,
    }
    runner = Runner("battle_v0", config=config)
    runner.train()
    assert not coming
    assert runner.best == pytest.approx(0.3)
    assert checkpoint.load(tmp_path / "best.safetensors")["done"] == 10
    assert checkpoint.load(tmp_path / "best.safetensors")["best"] == pytest.approx(0.3)
    # The log has each side's rate, which is not that of both.
    logged = [row for row in rows_of(tmp_path) if row["eval_random_win_rate"]]
    rates = [
        {
            name: tuple(float(row[f"eval_{name}_win_rate_as_{side}"]) for side in ("red", "blue"))
            for name in ("random", "hold")
        }
        for row in logged
    ]
    assert rates == list(RATES)
    both = [float(row["eval_hold_win_rate"]) for row in logged]
    assert both == pytest.approx([0.55, 0.25, 0.25])


class Lazy(Pupil):
    """Plays 0."""

    def __init__(self, view, config, seed):
        super().__init__(0)


@pytest.mark.parametrize(("kills", "red", "blue"), [((2, 1), 1.0, 0.0), ((0, 3), 0.0, 1.0)])
def test_rates_of_the_sides_are_those_of_the_sides(kills, red, blue):
    """Where one army always wins, a player wins all of its battles as that one, and half of both."""
    view = Duel([Fight(2, (0, 0), kills)])
    runner = Runner(view, Lazy, {"evaluation": {"against": ("random",), "episodes": 4}})
    scores = runner.evaluate()
    assert scores["random_episodes"] == 4
    assert scores["random_win_rate"] == 0.5
    assert scores["random_win_rate_as_red"] == red
    assert scores["random_win_rate_as_blue"] == blue


# -- the episodes that score it -----------------------------------------------------------------


def test_a_benchmark_is_played_on_other_episodes_than_chose_the_best(tmp_path):
    made = []

    def make():
        made.append(Meadow())
        return made[-1]

    config = {
        "seed": 3,
        "steps": 40,
        "evaluation": {"every": 20, "episodes": 3},
        "quiet": True,
        "out": str(tmp_path),
        "agent": IDLE,
    }
    runner = Runner(make, config=config)
    runner.benchmark()
    runner.finish()
    seeds = [[seed for seed in env.seeds if seed is not None] for env in made if env.seeds]
    # Training, two evaluations, and the score; random play beside the first of the same episodes.
    assert seeds == [[3], [3, 3], [3], [1_000_003, 1_000_003]]


# Spins start at random and nobody ever changes its action: an evaluation tells its episode's start.
FROZEN = {
    "env": "ising_v0",
    "steps": 4,
    "seed": 3,
    "evaluation": {"every": 2, "episodes": 2},
    "quiet": True,
    "env_options": {"side": 6, "initial": "random", "max_cycles": 3},
    "agent": {**IDLE, "exploration": {"stickiness": 1.0}},
}


def test_the_score_is_of_the_episodes_from_a_million_on(tmp_path, capsys):
    out = str(tmp_path)
    runner = Runner(config={**FROZEN, "out": out})
    scored = runner.benchmark()
    assert scored == runner.evaluate(seed=1_000_003)
    assert scored["return"] != runner.evaluate()["return"]
    assert runner.evaluate() == runner.evaluate(seed=3)
    view = mfq.wrap(ising_v0.batched_env(**FROZEN["env_options"]))
    assert of_player(scored) == mfq.evaluate(view, runner.agent, episodes=2, seed=1_000_003)
    printed = {}
    for words in ((), ("--seed", "1000003"), ("--seed", "3")):
        assert main(["evaluate", out, *words]) == 0
        printed[words[1:]] = capsys.readouterr().out
    assert printed[()] == printed["1000003",] != printed["3",]
