"""`mfq list` shows the runs in runs/, with their scores."""

import mfq
from mfq.cli import main
from mfq.training.runs import described, runs_in

TINY = ["--steps", "4", "--quiet", "--set", "side=4", "max_cycles=3", "--evaluation.every", "2"]


def test_runs_are_listed_with_their_scores(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["list"]) == 0
    assert "\nruns" not in capsys.readouterr().out
    assert main(["train", "--env", "ising", *TINY]) == 0
    assert main(["train", "--env", "ising", "--algo", "ac", "--seed", "3", *TINY]) == 0
    capsys.readouterr()
    ac, first = runs_in("runs")
    assert (first.env, first.algo, first.seed, first.step) == ("ising_v0", "mfq", 0, 4)
    assert (ac.algo, ac.seed) == ("ac", 3)
    # The score of the last evaluation, which `mfq evaluate` plays again.
    runner = mfq.Runner.load("runs/ising_v0-mfq-0")
    scores = runner.evaluate()
    assert first.score == {"return": scores["return"], "random play": scores["random_play_return"]}
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert f"runs {described(ac)} {described(first)} mfq list NAME" in " ".join(printed.split())
    assert described(first).startswith(
        "runs/ising_v0-mfq-0: ising_v0, mfq, seed 0, step 4, return "
    )


def test_other_folders_are_passed_over(tmp_path):
    for name, config, log in (
        ("study", '{"side": 20}', "step\n1\n"),
        ("broken", "{", "step\n"),
        ("list", "[]", "step\n"),
        ("empty", '{"env": "ising_v0", "algo": "mfq", "seed": 0, "sides": "both"}', None),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(config)
        if log is not None:
            (tmp_path / name / "log.csv").write_text(log)
    right = '{"env": "ising_v0", "algo": "mfq", "seed": 0, "sides": "both"}'
    for name, config, log in (
        ("endless", right, "step\ninf\n"),
        ("long", right, f"step\n{'9' * 200_000}\n"),
        ("nested", "[" * 100_000, "step\n1\n"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(config)
        (tmp_path / name / "log.csv").write_text(log)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "config.json").write_text(
        '{"env": "ising_v0", "algo": "mfq", "seed": 1, "sides": "both"}'
    )
    (tmp_path / "new" / "log.csv").write_text("step,reward\n")
    (run,) = runs_in(tmp_path)
    assert (run.folder.name, run.step, run.score) == ("new", 0, {})
    assert list(runs_in(tmp_path / "nowhere")) == []


def test_cells_without_a_column_are_passed_over(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.json").write_text(
        '{"env": "ising_v0", "algo": "mfq", "seed": 1, "sides": "both"}'
    )
    (tmp_path / "a" / "log.csv").write_text("step,eval_return\n3,1.5,9,9\n")
    (run,) = runs_in(tmp_path)
    assert (run.step, run.score) == (3, {"return": 1.5})


def test_names_send_no_control_characters_to_a_terminal(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.json").write_text(
        '{"env": "\\u001b[31mé\\n", "algo": "mfq", "seed": 1, "sides": "both"}'
    )
    (tmp_path / "a" / "log.csv").write_text("step\n")
    (run,) = runs_in(tmp_path)
    assert described(run) == f"{tmp_path / 'a'}: ?[31mé?, mfq, seed 1, step 0"
