"""MFQ learns the squeeze, over seeds and with a margin that a broken learner does not reach."""

from dataclasses import replace

import pytest

from mfq.studies import squeeze
from mfq.studies.squeeze import Result, SqueezeStudy, compare, run, run_config, table

pytestmark = pytest.mark.slow

# Uniform play scores .05 here and the best constant action .90.
STUDY = SqueezeStudy(seeds=3, steps=1500, out=None)
GOOD = 0.95


def scores(study=STUDY, method="mfq"):
    """Greedy G / G* of each seed after learning."""
    performances = []
    for seed in range(study.seeds):
        runner = squeeze.Runner(config=run_config(study, 100, method, seed))
        runner.train()
        performances.append(runner.evaluate()["final_performance"])
    return performances


def test_mfq_gets_past_every_constant_action():
    trained = scores()
    assert sum(score >= GOOD for score in trained) >= 2, trained


@pytest.mark.parametrize("fault", ["no mean action", "no rewards", "no inertia"])
def test_a_broken_learner_does_not(fault, monkeypatch):
    study = replace(STUDY, seeds=2)
    if fault == "no mean action":
        trained = scores(study, "iql")
    elif fault == "no rewards":
        import mfq.agents.q_agent

        monkeypatch.setattr(
            mfq.agents.q_agent.QAgent, "td_target", lambda self, batch: 0 * batch["reward"]
        )
        trained = scores(study)
    else:  # all agents choose at once
        trained = scores(replace(study, stickiness=0.0))
    assert max(trained) < GOOD, trained


class FakeRunner:
    """Scores .125 until it is trained, then .5, .75 and so on by seed."""

    def __init__(self, config):
        self.seed, self.score = config.seed, 0.125

    def train(self):
        self.score = 0.5 + 0.25 * self.seed
        return True

    def evaluate(self):
        return {"final_performance": self.score}


def test_the_study_writes_and_prints_what_runs_scored(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(squeeze, "Runner", FakeRunner)
    run(SqueezeStudy(num_agents=(5, 7), mu=30.0, seeds=2, out=str(tmp_path)))
    header, *rows = (tmp_path / "squeeze.csv").read_text().splitlines()
    assert header == "num_agents,mu,sigma,method,seed,untrained,trained"
    assert rows == [
        f"{n},30.0,100.0,{method},{seed},0.125,{trained}"
        for n in (5, 7)
        for method in ("mfq", "iql")
        for seed, trained in ((0, 0.5), (1, 0.75))
    ]
    printed = capsys.readouterr().out.split("written:")[0].splitlines()
    assert "mu 30, sigma 100" in printed[0]
    assert printed[3].split() == ["5", "mfq", "0.125", "0/2", "0/2", "0.500", "0.750"]
    assert max(map(len, printed)) <= 80
    random = [line.split()[0] for line in printed if "random play, 2 episodes: 0." in line]
    assert random == ["5", "7"]


def test_untrained_is_before_and_trained_is_after_training():
    study = SqueezeStudy(num_agents=(20,), mu=60.0, sigma=20.0, seeds=1, steps=80, out=None)
    for result in compare(study):
        runner = squeeze.Runner(config=run_config(study, 20, result.method, result.seed))
        assert result.untrained == runner.evaluate()["final_performance"]
        runner.train()
        assert result.trained == runner.evaluate()["final_performance"] != result.untrained


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
