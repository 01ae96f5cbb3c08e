"""What a newcomer types wrong, or half right: short names, and messages that say what to do."""

import json
import re

import pytest

import mfenvs
import mfq
from mfenvs import battle_v0
from mfenvs.registry import full_id, suggestion
from mfq.cli import main
from mfq.common import checkpoint
from mfq.training.config import preset, run_config
from mfq.training.runner import Runner
from tests.fakes.meadow import Meadow

LITTLE = {"map_size": 14, "max_cycles": 3}
TINY = ["--steps", "2", "--quiet", "--set", "side=4", "max_cycles=3"]


# -- names of games -----------------------------------------------------------------------------


def test_games_have_short_names():
    assert [full_id(name) for name in ("battle", "mfenvs/battle", "battle_v0")] == ["battle_v0"] * 3
    assert full_id("battl") is full_id("battle_v9") is full_id("") is None
    assert mfenvs.make_batched("ising", side=4).game.id == "ising_v0"
    assert type(mfq.load_pretrained("battle", "iql")) is type(
        mfq.load_pretrained("battle_v0", "iql")
    )


def test_a_short_name_of_two_versions_is_none(monkeypatch):
    monkeypatch.setitem(mfenvs.registry.GAMES, "battle_v1", "elsewhere:Game")
    assert full_id("battle") is None
    assert full_id("battle_v0") == "battle_v0"


def test_a_run_by_a_short_name_is_the_games(tmp_path):
    words = ["train", "--env", "ising", *TINY]
    assert main([*words, "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "config.json").read_text())["env"] == "ising_v0"
    assert checkpoint.load(tmp_path / "last.safetensors")["config"]["env"] == "ising_v0"


def test_its_folder_has_the_full_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--env", "ising", *TINY]) == 0
    assert (tmp_path / "runs/ising_v0-mfq-0/last.safetensors").exists()


@pytest.mark.parametrize("name", ["batle", "batle_v0", "mfenvs/battle_v1"])
def test_a_misspelt_name_is_answered_with_the_right_one(name, capsys):
    assert suggestion(name) == "did you mean battle_v0? "
    assert suggestion("chess") == ""
    assert main(["train", "--env", name, "--out", "none"]) == 2
    assert "did you mean battle_v0? allowed: " in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"did you mean battle_v0\? allowed: "):
        mfenvs.make_batched(name)


# -- messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["train", "--env", "ising", "--opponents", "rush", "1"],
            "opponents=['rush'] and a game with 1 group of agents (lattice); allowed: no opponents",
        ),
        (
            ["train", "--preset", "small", "--num-envs", "4"],
            "num_envs=4; allowed: at least 6, a row for each opponent and side that the learner plays "
            "(rush 2, lagged 2, random 2), or fewer opponents",
        ),
        (
            ["play", "battle", "--red", "nope"],
            "red='nope': nope is no player; allowed: random, hold, rush, focus (scripts), ",
        ),
        (
            ["train", "--config", "none.yaml"],
            "config='none.yaml' is no file; allowed: a YAML file of options",
        ),
        (["compare", "ising", "--config", "none.yaml"], "config='none.yaml' is no file"),
    ],
)
def test_messages_say_what_to_do(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_a_class_is_no_environment():
    with pytest.raises(TypeError, match=r"env is the class Meadow; allowed: .* such as Meadow\(\)"):
        mfq.wrap(Meadow)
    with pytest.raises(TypeError, match="env is the class Rows"):
        mfq.wrap(type("Rows", (), {"num_envs": 2, "neighbor_graph": None}))


def test_a_player_of_another_game_is_answered_with_the_options(tmp_path):
    agent = {"network": {"hidden": [4]}}  # with an embedding of each agent
    options = {"steps": 2, "quiet": True, "agent": agent, "env_options": LITTLE}
    Runner("battle_v0", config={**options, "out": str(tmp_path)}).train()
    larger = mfq.wrap(battle_v0.batched_env(map_size=20, max_cycles=3))
    with pytest.raises(ValueError, match=r"(?s)in another game: map_size 14, here 20; .*mismatch"):
        mfq.load_player(tmp_path, larger)
    squeeze = Runner("gaussian_squeeze_v0", config={}).view
    with pytest.raises(ValueError, match=r"another game: battle_v0, here gaussian_squeeze_v0; "):
        mfq.load_player(tmp_path, squeeze)


def test_all_names_that_are_not_trusted_are_named_at_once(tmp_path):
    path = Runner(Meadow, config={"quiet": True}).save(tmp_path / "run.safetensors")
    state = checkpoint.load(path)
    state["own_env"] = True
    state["config"] |= {"env": "their:make", "graph": "their:ring", "algo": "other:Mine"}
    state["config"]["agent"]["mean_field"] = "their:Mean"
    checkpoint.save(state, path)
    with pytest.raises(ValueError, match="imports nothing that it names") as error:
        Runner.load(path)
    names = ["their:ring", "their:make", "other:Mine", "their:Mean"]
    assert f"allowed: trust={names}, on the command line" in str(error.value)
    assert str(error.value).endswith(" ".join(f"--trust {name}" for name in names))
    with pytest.raises(ValueError, match=re.escape(f"trust={names[:1] + names[3:]}")):
        Runner.load(path, env=Meadow, algo=mfq.QAgent)


# -- steps beside a preset's episodes -----------------------------------------------------------


@pytest.mark.parametrize("words", [["--steps", "3000"], ["--steps=3000"], ["--steps", "7"]])
def test_steps_that_are_asked_for_count_also_the_default_number(words, monkeypatch):
    made = []
    monkeypatch.setattr("mfq.cli.train.finish", lambda runner: made.append(runner.config) or 0)
    little = ["--num-envs", "6", "--set", "map_size=14", "--out", "none"]
    assert preset("fast").episodes > 0
    assert main(["train", "--preset", "fast", *words, *little]) == 0
    assert main(["train", "--preset", "fast", *words, "--episodes", "9", *little]) == 0
    assert main(["train", "--preset", "fast", *little]) == 0
    assert [config.episodes for config in made] == [0, 9, preset("fast").episodes]
    assert made[0].steps == int(words[-1].rpartition("=")[2])


def test_it_is_the_rule_of_options_too():
    assert run_config({"steps": 3000}, preset("fast")).episodes == 0
    assert run_config({"steps": 3000, "rounds": 5}, preset("fast")).episodes == 5
