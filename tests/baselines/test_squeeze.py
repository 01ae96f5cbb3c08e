"""MFQ learns the squeeze, over seeds and with a margin that a broken learner does not reach."""

import csv
from dataclasses import replace

import pytest

from baselines import squeeze
from baselines.squeeze import Result, SqueezeStudy, compare, run, run_config, table

# Uniform play scores .05 here and the best constant action .90.
STUDY = SqueezeStudy(seeds=3, steps=1500, out=None)
GOOD = 0.95


def scores(study=STUDY, method="mfq"):
    """Greedy G / G* of each seed after learning."""
    found = []
    for seed in range(study.seeds):
        runner = squeeze.Runner(config=run_config(study, 100, method, seed))
        runner.train()
        found.append(runner.evaluate()["final_performance"])
    return found


def test_mfq_gets_past_every_constant_action():
    found = scores()
    assert sum(score >= GOOD for score in found) >= 2, found


@pytest.mark.parametrize("fault", ["deaf", "blind", "lazy"])
def test_a_broken_learner_does_not(fault, monkeypatch):
    study = replace(STUDY, seeds=2)
    if fault == "deaf":  # hears no mean action
        found = scores(study, "iql")
    elif fault == "blind":  # its rewards are lost
        import mfq.q_agent

        monkeypatch.setattr(
            mfq.q_agent.QAgent, "td_target", lambda self, batch: 0 * batch["reward"]
        )
        found = scores(study)
    else:  # everybody answers at once
        found = scores(replace(study, reconsider=1.0))
    assert max(found) < GOOD, found


def test_the_study_writes_what_it_prints(tmp_path, capsys):
    study = SqueezeStudy(num_agents=(5, 7), seeds=2, steps=30, out=str(tmp_path))
    results = run(study)
    with (tmp_path / "squeeze.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(int(r["num_agents"]), r["method"], int(r["seed"])) for r in rows] == [
        (n, method, seed) for n in (5, 7) for method in ("mfq", "iql") for seed in (0, 1)
    ]
    assert [float(row["trained"]) for row in rows] == [result.trained for result in results]
    printed = capsys.readouterr().out
    assert max(map(len, printed.split("written:")[0].splitlines())) <= 80


def test_the_table_counts_good_seeds():
    results = [
        Result(100, 250.0, 100.0, "mfq", k, 0.1, score) for k, score in enumerate((0.99, 0.92, 0.1))
    ]
    line = table(results).splitlines()[1]
    assert line.split()[:6] == ["100", "mfq", "0.100", "1/3", "2/3", "0.990"]


def test_same_seed_same_results():
    study = SqueezeStudy(num_agents=(6,), seeds=1, steps=40, out=None)
    assert compare(study) == compare(study)


@pytest.mark.parametrize("options", [{"seeds": 0}, {"num_agents": ()}])
def test_bad_options_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        SqueezeStudy(**options)
