"""Where runs are kept: the default folder, no overwriting, checks before any work, nothing half-done."""

import json
import os
import tempfile

import pytest

import mfq
from mfq.cli import main
from mfq.common.files import check_writable
from mfq.matches.players import load_player
from mfq.training import export
from mfq.training.runner import Runner
from tests.fakes.meadow import Meadow

SMALL = {
    "env": "gaussian_squeeze_v0",
    "steps": 4,
    "quiet": True,
    "env_options": {"num_agents": 4, "max_cycles": 3},
    "agent": {"network": {"hidden": [4]}},
}
FLAGS = [
    "--env",
    "gaussian_squeeze_v0",
    "--steps",
    "4",
    "--quiet",
    "--set",
    "num_agents=4",
    "max_cycles=3",
]
LOUD = [flag for flag in FLAGS if flag != "--quiet"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# -- where --------------------------------------------------------------------------------------


def test_a_run_without_out_is_kept_and_said_at_both_ends(here, capsys):
    assert main(["train", *LOUD, "--seed", "3"]) == 0
    out = "runs/gaussian_squeeze_v0-mfq-3"
    assert json.loads((here / out / "config.json").read_text())["out"] == out
    assert (here / out / "last.safetensors").exists()
    lines = capsys.readouterr().err.splitlines()
    assert lines.count(f"mfq: the run is kept in {out}") == 2  # before and after the training
    assert lines.index(f"mfq: the run is kept in {out}") < 3
    assert f"mfq: next: mfq evaluate {out} --checkpoint best" in lines
    assert f"mfq: next: mfq play gaussian_squeeze --player {out}" in lines
    assert main(["evaluate", out, "--checkpoint", "best"]) == 0


def test_the_folders_name_is_of_game_algorithm_and_seed(here):
    words = ["train", "--env", "tests.fakes.meadow:make", "--algo", "iql", "--steps", "2"]
    assert main([*words, "--quiet"]) == 0
    assert os.listdir(here / "runs") == ["tests.fakes.meadow-make-iql-0"]


@pytest.mark.parametrize("none", ["none", "None", ""])
def test_out_none_writes_nothing(none, here, capsys):
    assert main(["train", *LOUD, "--out", none]) == 0
    assert os.listdir(here) == []
    assert "mfq: the run is not kept (--out none)" in capsys.readouterr().err


def test_a_file_of_options_may_say_that_nothing_is_written(here):
    (here / "mine.yaml").write_text("env: gaussian_squeeze_v0\nout: null\nsteps: 2\nquiet: true\n")
    assert main(["train", "--config", "mine.yaml"]) == 0
    assert os.listdir(here) == ["mine.yaml"]


def test_from_python_nothing_is_written_without_out(here):
    Runner(config=SMALL).train()
    assert os.listdir(here) == []


# -- no overwriting -----------------------------------------------------------------------------


def test_a_run_is_not_overwritten(here, capsys):
    assert main(["train", *FLAGS]) == 0
    out = here / "runs/gaussian_squeeze_v0-mfq-0"
    before = contents(out)
    for words in ([], ["--out", str(out)], ["--out", f"{out}/"]):
        assert main(["train", *FLAGS, *words]) == 2
        error = capsys.readouterr().err
        for part in (out.name, "holds results already", "--overwrite", f"{out.name} (Runner.load)"):
            assert part in error
    assert contents(out) == before
    assert main(["train", *FLAGS, "--steps", "5", "--overwrite"]) == 0
    assert contents(out) != before
    config = json.loads((out / "config.json").read_text())
    assert (config["steps"], config["overwrite"]) == (5, False)
    assert Runner.load(out / "best.safetensors").config.overwrite is False


@pytest.mark.parametrize("name", ["config.json", "log.csv", "best.safetensors"])
def test_each_file_of_a_run_is_kept(name, tmp_path):
    (tmp_path / name).write_text("mine")
    (tmp_path / "notes.txt").write_text("mine, too")
    with pytest.raises(
        ValueError, match=rf"holds results already \({name}\); allowed: --overwrite"
    ):
        Runner(config={**SMALL, "out": str(tmp_path)})
    assert (tmp_path / name).read_text() == "mine"
    (tmp_path / name).unlink()
    Runner(config={**SMALL, "out": str(tmp_path)}).train()  # other files are in nobody's way


def test_a_run_that_was_written_in_the_meantime_is_not_overwritten(tmp_path):
    first, second = (Runner(config={**SMALL, "out": str(tmp_path)}) for _ in range(2))
    first.train()
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="holds results already"):
        second.train()
    assert contents(tmp_path) == before
    first.train()  # the same run


def test_a_resumed_run_goes_on_in_its_folder_only(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for out in (one, other):
        Runner(config={**SMALL, "out": str(out)}).train()
    assert Runner.load(one, steps=6).train()
    assert Runner.load(one / "last.safetensors", steps=8, out=str(one)).train()
    with pytest.raises(ValueError, match="holds results already"):
        Runner.load(one, out=str(other))
    assert Runner.load(one, steps=9, out=str(tmp_path / "third")).train()
    assert Runner.load(one).done == 8


def test_a_study_is_not_overwritten(tmp_path, capsys):
    log = tmp_path / "log.csv"
    log.write_text("step,eval_return,eval_random_play_return\n1,2.0,0.5\n2,3.0,0.5\n")
    words = ["compare", "curves", "--runs", f"a={log}", "--metrics", "eval_return"]
    words += ["--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert (
        "a          eval_return                  of random play: 0.500" in capsys.readouterr().out
    )
    before = contents(tmp_path / "out")
    assert main(words) == 2
    assert "holds results already (config.json, curves.csv, curves.png)" in capsys.readouterr().err
    assert contents(tmp_path / "out") == before
    assert main([*words, "--overwrite"]) == 0
    assert json.loads((tmp_path / "out/config.json").read_text())["overwrite"] is False
    assert main([*words[:-1], "none"]) == 0


@pytest.mark.parametrize("study", ["ising", "squeeze", "battle", "dilemma"])
def test_every_study_looks_before_it_computes(study, tmp_path, capsys):
    (tmp_path / f"{study}.csv").write_text("mine")
    assert main(["compare", study, "--out", str(tmp_path)]) == 2
    assert f"holds results already ({study}.csv)" in capsys.readouterr().err


def test_exports_replace_nothing(tmp_path):
    run = tmp_path / "run"
    Runner(config={**SMALL, "out": str(run)}).train()
    before = contents(run)
    with pytest.raises(ValueError, match="exists; allowed: overwrite=True"):
        export.export(run, run / "best.safetensors")
    with pytest.raises(ValueError, match="holds results already"):
        export.export_training(run, run)
    assert contents(run) == before
    path = export.export_training(run, tmp_path / "small")
    assert export.export_training(run, tmp_path / "small", overwrite=True) == path
    file = export.export(run, tmp_path / "player.safetensors")
    assert export.export(run, file, overwrite=True) == file
    load_player(file, Runner(config=SMALL).view)


# -- before any work ----------------------------------------------------------------------------


def made():
    raise AssertionError("the environment was made")


def test_a_folder_that_cannot_be_written_is_named_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file/run"):
        with pytest.raises(OSError, match=rf"out='{out}' cannot be written: .*is a file; allowed"):
            Runner(made, config={"out": str(out)})

    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(PermissionError, match="new/run' cannot be written: Permission denied"):
        Runner(made, config={"out": str(tmp_path / "new/run")})
    assert os.listdir(tmp_path) == ["file"]


def test_a_run_in_a_folder_that_can_only_be_read_is_evaluated_and_not_resumed(
    tmp_path, monkeypatch
):
    Runner(config={**SMALL, "out": str(tmp_path)}).train()

    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    before = contents(tmp_path)
    runner = Runner.load(tmp_path, steps=6)
    assert runner.evaluate()["length"] == 3
    with pytest.raises(PermissionError, match="cannot be written"):
        runner.train()
    assert runner.done == 4
    assert contents(tmp_path) == before


def test_a_checkpoint_of_a_run_that_has_not_begun_goes_on_in_its_folder(tmp_path):
    Runner(config=SMALL).save(tmp_path / "last.safetensors")
    assert Runner.load(tmp_path).train()
    assert Runner.load(tmp_path).done == 4


def test_looking_leaves_nothing(here):
    check_writable("a/b")
    check_writable(here)
    assert os.listdir(here) == []


def test_a_run_that_cannot_be_made_leaves_no_folder(here, capsys):
    assert main(["train", *FLAGS, "--set", "num_agents=0"]) == 2
    assert main(["train", "--env", "tests.fakes.meadow:make", "--set", "colour=3"]) == 2
    assert os.listdir(here) == []


class Fails(mfq.Callback):
    def __init__(self, step):
        self.step = step

    def on_step(self, runner, transition, is_last):
        if runner.done == self.step:
            raise ZeroDivisionError


def test_a_run_that_fails_at_first_leaves_nothing(here):
    config = {**SMALL, "out": "new/run", "log": {"every": 2}, "checkpoints": {"every": 3}}
    for step, left in ((1, False), (3, True)):
        with pytest.raises(ZeroDivisionError):
            Runner(config=config, callbacks=[Fails(step)]).train()
        assert (here / "new").exists() == left
    assert (here / "new/run/log.csv").exists(), "it has a row"


def test_an_older_run_survives_an_environment_that_does_not_start(tmp_path):
    class Broken(Meadow):
        def reset(self, seed=None, options=None):
            raise ZeroDivisionError

    config = {"steps": 2, "quiet": True, "out": str(tmp_path)}
    Runner(Meadow, config=config).train()
    before = contents(tmp_path)
    with pytest.raises(ZeroDivisionError):
        Runner(Broken, config={**config, "overwrite": True}).train()
    assert contents(tmp_path) == before


def test_a_run_without_a_checkpoint_is_not_offered_for_resuming(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"overwrite=True\) to replace them, or another folder"):
        Runner(config={**SMALL, "out": str(tmp_path)})
    (tmp_path / "last.safetensors").write_text("")
    with pytest.raises(ValueError, match="--resume"):
        Runner(config={**SMALL, "out": str(tmp_path)})
