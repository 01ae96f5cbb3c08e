"""The search for recipes: what is drawn, which runs go on, and what is written."""

import csv

import pytest

from baselines import tuning
from baselines.tuning import METRICS, TuningStudy, config_of, name_of, recipes, score
from mfq.training.config import run_config

COLUMNS = ["step", *(f"eval_{name}" for name in METRICS)]


def log(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])


def test_recipes_differ_and_follow_from_the_seed():
    drawn = recipes(33, 0)
    assert len({name_of("iql", recipe) for recipe in drawn}) == 33
    assert drawn == recipes(33, 0) != recipes(33, 1)
    assert {recipe["policy"] for recipe in drawn} == {"epsilon_greedy", "boltzmann"}


def test_a_run_is_preset_small_but_for_its_recipe(tmp_path):
    recipe = recipes(1, 3)[0] | {"policy": "boltzmann", "falls": True, "rush": 0.5, "gamma": 0.7}
    config = config_of(TuningStudy(rungs=(50, 90)), recipe, 50, tmp_path)
    assert (config.algo, config.steps, config.seed) == ("iql", 50, 0)
    assert config.env_options["map_size"] == 20
    assert config.opponents == pytest.approx({"rush": 0.5, "lagged": 0.35, "random": 0.15})
    agent = config.agent
    assert (agent.gamma, agent.exploration.start, agent.exploration.end) == (0.7, 0.1, 0.02)
    assert (agent.optimizer.learning_rate_steps, agent.optimizer.learning_rate_end) == (90, 1e-5)


def test_a_run_is_as_good_as_its_weaker_side_in_its_best_evaluation(tmp_path):
    rows = [
        [500, 1, 0.5, 1.0, 0.0, 9.0],
        [1000, 1, 0.3, 0.2, 0.4, -1.0],
        [1500, "", "", "", "", ""],
    ]
    log(tmp_path, rows)
    assert score(tmp_path) == (0.2, -1.0)


def test_a_third_goes_on_at_each_rung(tmp_path, monkeypatch, capsys):
    study = TuningStudy(trials=7, rungs=(10, 20, 30), out=str(tmp_path))
    rank = {name_of("iql", recipe): k for k, recipe in enumerate(recipes(7, 0))}
    trained = []

    def train(study, recipe, steps):
        folder = tmp_path / name_of(study.algo, recipe)
        trained.append((steps, rank[folder.name]))
        rate = rank[folder.name] / 10  # later recipes are better
        log(folder, [[step, 1, rate, rate, rate, 0.0] for step in range(10, steps + 1, 10)])
        return folder

    monkeypatch.setattr(tuning, "train", train)
    best = tuning.run(study)[0]
    assert rank[best.name] == 6
    assert [k for steps, k in trained if steps == 10] == [0, 1, 2, 3, 4, 5, 6]
    assert [k for steps, k in trained if steps == 20] == [6, 5, 4]
    assert [k for steps, k in trained if steps == 30] == [6]
    with (tmp_path / "tuning.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["step"]) for row in rows if row["run"] == best.name] == [
        (best.name, "10"),
        (best.name, "20"),
        (best.name, "30"),
    ]
    assert len(rows) == 4 * 1 + 2 * 2 + 3
    assert capsys.readouterr().out.startswith("0.60")


def test_a_recipe_trains_evaluates_and_goes_on(tmp_path, monkeypatch):
    tiny = {
        "num_envs": 6,
        "evaluation": {"num_envs": 2, "episodes": 2, "every": 2},
        "env_options": {"map_size": 12, "max_cycles": 5},
    }
    monkeypatch.setattr(tuning, "config_of", lambda *given: run_config(tiny, config_of(*given)))
    study = TuningStudy(trials=1, rungs=(2, 4), out=str(tmp_path))
    recipe = recipes(1, 0)[0]
    folder = tuning.train(study, recipe, 2)
    assert [row["step"] for row in tuning.evaluations(folder)] == [2]
    assert tuning.train(study, recipe, 4) == folder
    assert [row["step"] for row in tuning.evaluations(folder)] == [2, 4]
    before = (folder / "log.csv").read_text()
    tuning.train(study, recipe, 4)  # done already
    assert (folder / "log.csv").read_text() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algo": "mfac"}, "algo='mfac'; allowed: 'mfq', 'iql'"),
        ({"trials": 0}, "trials=0; allowed: 1 or more"),
        ({"rungs": (20, 10)}, r"rungs=\(20, 10\); allowed: steps that grow"),
        ({"rungs": ()}, r"rungs=\(\); allowed: steps that grow"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        TuningStudy(**options)
    for rungs in ((1.5, 3), 5, "ab"):
        with pytest.raises(TypeError, match=r"rungs=.*; allowed: "):
            TuningStudy(rungs=rungs)
