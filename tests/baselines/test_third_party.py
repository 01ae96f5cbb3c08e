"""The study of other people's environments, in small: files, going on after a break, the sides."""

import csv

import pytest

import mfq
from baselines import third_party
from baselines.third_party import GAMES, Game, Result, ThirdPartyStudy
from tests.fakes.meadow import Meadow

pytestmark = pytest.mark.third_party

SMALL = {"envs": ("simple_spread_v3",), "seeds": 2, "steps": 60, "episodes": 4, "points": 2}


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_study_writes_its_files_and_goes_on_where_it_was(tmp_path, capsys, monkeypatch):
    first = ThirdPartyStudy(**{**SMALL, "seeds": 1}, out=str(tmp_path))
    third_party.run(first)
    before = rows(tmp_path / "third_party.csv")
    assert [r["method"] for r in before] == ["random"] * 4 + ["mfq"] * 4
    assert {r["steps"] for r in before} == {"0", "480"}  # 60 steps of 8 copies
    made = []
    train_one = third_party.train_one
    monkeypatch.setattr(
        third_party, "train_one", lambda *words: made.append(words[1:]) or train_one(*words)
    )
    summaries = third_party.run(ThirdPartyStudy(**SMALL, out=str(tmp_path)))
    assert made == [("simple_spread_v3", "mfq", 1)]
    found = rows(tmp_path / "third_party.csv")
    assert len(found) == 16
    assert [r for r in found if r["seed"] == "0"] == before
    curves = rows(tmp_path / "third_party_curves.csv")
    assert [(r["seed"], r["steps"]) for r in curves] == [
        (seed, steps) for seed in "01" for steps in ("240", "480")
    ]
    for summary in summaries:
        own = [float(r["score"]) for r in found if r["method"] == summary.method]
        assert summary.score == pytest.approx(sum(own) / len(own))
        assert summary.low <= summary.score <= summary.high
        assert (summary.runs, summary.episodes) == (2, 4)
    assert "simple_spread_v3" in capsys.readouterr().out
    assert len(rows(tmp_path / "third_party_summary.csv")) == 2
    assert (tmp_path / "third_party.png").stat().st_size > 5000


def test_minutes_end_a_run(tmp_path):
    study = ThirdPartyStudy(**{**SMALL, "steps": 10**6}, minutes=1e-3, out=str(tmp_path))
    results, curve = third_party.train_one(study, "simple_spread_v3", "mfq", 0)
    assert 0 < results[0].steps < 10**5
    assert len(curve) == 1


def test_where_sides_fight_one_learns_and_the_score_is_its_own():
    game = GAMES["combined_arms_v6"]
    view = mfq.wrap(game.make(), game.graph)
    assert set(game.learners) < set(view.group_names)

    class Idle(mfq.Player):
        def act(self, step, explore=True):
            return step.scatter_actions(step.active_index * 0, step.active_index)

    idle = third_party.scores(game, Idle(), 1, 0)
    assert len(idle) == 1
    found = mfq.evaluate(
        view, {name: Idle() if "red" in name else mfq.Random(0) for name in view.group_names}
    )
    sizes = {name: view.group_names.index(name) for name in game.learners}
    counts = [int((view.groups == group).sum()) for group in sizes.values()]
    mean = sum(found[name]["return"] * n for name, n in zip(sizes, counts, strict=True)) / sum(
        counts
    )
    assert idle[0] == pytest.approx(mean)


def test_a_run_is_scored_on_other_episodes_than_its_curve(tmp_path, monkeypatch):
    made = []

    def make():
        made.append(Meadow())
        return made[-1]

    agent = {"network": {"hidden": (8,)}, "replay": {"learning_starts": 10**6}}
    monkeypatch.setitem(GAMES, "meadow", Game(make, num_envs=1, agent=agent))
    study = ThirdPartyStudy(("meadow",), seeds=2, seed=4, steps=12, points=2, out=str(tmp_path))
    third_party.run(study)
    seeds = [[seed for seed in env.seeds if seed is not None] for env in made]
    random = [[30_004], [30_005]]
    runs = [[[10_000 + k], [20_000 + k], [20_000 + k], [30_000 + k]] for k in (4, 5)]
    assert seeds == [*random, *runs[0], *runs[1]], "training, two points of the curve, the score"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"envs": ("chess",)}, "envs='chess'"),
        ({"methods": ("dqn",)}, "methods='dqn'"),
        ({"seeds": 0}, "seeds=0"),
        ({"minutes": -1.0}, "minutes=-1.0"),
    ],
)
def test_bad_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        ThirdPartyStudy(**options)


def test_a_result_is_read_back_as_written(tmp_path):
    result, file = Result("CartPole-v1", "mfq", 3, 100, 0.5, 7, 1.25), tmp_path / "x.csv"
    third_party.write_csv(file, [result])
    assert file.read_text().splitlines() == [
        "env,method,seed,steps,minutes,episode,score",
        "CartPole-v1,mfq,3,100,0.5,7,1.25",
    ]
    assert third_party._read(file, Result) == [result]
