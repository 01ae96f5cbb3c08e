"""`mfq record` from the command line, and recordings of a run's evaluations."""

import json

import pytest

import mfq
from mfq.cli import main
from mfq.training.config import run_config
from tests.mfq.recording.test_page import read

SMALL = {
    "env": "ising_v0",
    "env_options": {"side": 4, "max_cycles": 4},
    "steps": 6,
    "quiet": True,
    "evaluation": {"every": 3, "record": "html"},
}
LITTLE = ["--set", "side=4", "max_cycles=4"]


def test_a_game_is_recorded(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["record", "ising", *LITTLE]) == 0
    header, _ = read(tmp_path / "ising_v0.html")
    assert (header["title"], header["frames"]) == ("ising_v0, random", 5)
    assert "ising_v0.html (0.0 MB)" in capsys.readouterr().err
    assert main(["record", "ising", *LITTLE]) == 2
    assert "ising_v0.html exists; allowed: another name, or overwrite" in capsys.readouterr().err


def test_armies_by_flags_and_without(tmp_path):
    small = ["--set", "map_size=12", "max_cycles=2"]
    out = tmp_path / "a.html"
    words = ["record", "battle", "--red", "rush", "--out", str(out), "--overwrite"]
    assert main([*words, *small]) == 0
    assert read(out)[0]["title"] == "red: rush, blue: random"
    assert main([*words, "--player", "focus", *small]) == 0
    assert read(out)[0]["title"] == "red: rush, blue: focus"
    words = ["record", "battle", "--out", str(out), "--overwrite", "--max-frames", "3"]
    assert main(words) == 0
    header, arrays = read(out)
    assert header["title"] == "red: mfq, blue: iql"
    assert header["values"] == "Q"
    assert len(arrays["x"]) == 128  # on the map of their training


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["record", "ising", "--red", "random"], "red='random' where the groups are lattice"),
        (["record", "ising", "--out", "a.avi"], "allowed: a name that ends in .html, .gif, .mp4"),
        (["record", "ising", "--player", "nobody"], "nobody is no player"),
        (["record", "battle", "--set", "sides=3"], "has no option 'sides'"),
    ],
)
def test_what_is_refused(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_run_records_its_evaluations(tmp_path):
    out = tmp_path / "run"
    mfq.Runner(config={**SMALL, "out": str(out)}).run()
    pages = sorted(path.name for path in out.glob("episode-*"))
    assert pages == ["episode-0000003.html", "episode-0000006.html"]
    assert read(out / pages[0])[0]["title"] == "ising_v0, mfq, step 3"
    again = mfq.Runner.load(out)
    path = again.record(tmp_path / "later.gif", seed=4)
    assert path.stat().st_size > 1000
    assert json.loads((out / "config.json").read_text())["evaluation"]["record"] == "html"


@pytest.mark.parametrize(
    ("steps", "every", "recorded"), [(12, 2, (6, 12)), (12, 3, (9, 12)), (7, 9, (7,))]
)
def test_one_of_several_evaluations_is_recorded_and_the_last(steps, every, recorded, tmp_path):
    evaluation = {"every": 3, "record": "html", "record_every": every}
    config = {**SMALL, "steps": steps, "evaluation": evaluation, "out": str(tmp_path / "run")}
    mfq.Runner(config=config).run()
    pages = sorted((tmp_path / "run").glob("episode-*"))
    assert [path.name for path in pages] == [f"episode-{step:07d}.html" for step in recorded]
    with pytest.raises(ValueError, match="record_every=0"):
        run_config({"evaluation": {"record_every": 0}})


def test_the_last_opponent_is_played(tmp_path):
    config = {
        **SMALL,
        "env": "battle_v0",
        "env_options": {"map_size": 12, "max_cycles": 3},
        "opponents": {"random": 1.0},
        "sides": "blue",
        "steps": 2,
        "evaluation": {"against": ("random", "rush"), "every": 0, "record": "html"},
        "agent": {"network": {"hidden": (8,), "filters": 0}},
    }
    mfq.Runner(config={**config, "out": str(tmp_path)}).run()
    header, arrays = read(tmp_path / "episode-0000002.html")
    assert header["title"] == "battle_v0, mfq, step 2, blue against rush"
    blue = [group == 1 for group in header["group"]]
    known = arrays["low"][:, 0] == arrays["low"][:, 0]
    assert known.tolist() == blue


def test_a_runner_of_an_environment_cannot_record_a_copy(tmp_path):
    from mfenvs import ising_v0

    view = mfq.wrap(ising_v0.batched_env(1, side=3, max_cycles=2))
    with pytest.raises(ValueError, match="the Runner was given an environment or a view"):
        mfq.Runner(view, config={"quiet": True}).record(tmp_path / "a.html")


def test_records_are_checked():
    with pytest.raises(ValueError, match=r"record='avi'; allowed: 'none', 'html', 'gif', 'mp4'"):
        run_config({"evaluation": {"record": "avi"}})
