"""MODULE:NAME as a player wherever players are named."""

import csv
import json

import pytest
import torch

import mfq
from mfenvs import battle_v0
from mfq.agents.by_type import PlayerByType
from mfq.cli import main
from mfq.common import checkpoint
from mfq.matches.players import options_of
from mfq.matches.sources import label, labelled, sources_by_name
from tests.fakes import own_players
from tests.fakes.meadow import Meadow
from tests.fakes.own_players import Constant, Favours, OfView

CODE = "tests.fakes.own_players"
GAME = {"map_size": 12, "max_cycles": 4}
SMALL = ["--set", "map_size=12", "max_cycles=4"]


@pytest.fixture(scope="module")
def view():
    return mfq.wrap(battle_v0.batched_env(num_envs=2, **GAME))


@pytest.mark.parametrize(
    ("name", "plays"),
    [
        ("instance", 6),
        ("Constant", 0),
        ("OfView", 20),
        ("of_view", 20),
        ("optional_view", 20),
        ("seeded", 6),
        ("module", 4),
        ("makes_module", 5),
    ],
)
def test_what_a_name_may_stand_for(name, plays, view):
    player = mfq.load_player(f"{CODE}:{name}", view)
    step = view.reset(seed=0)
    assert (player.act(step, explore=False) == plays).all()
    if name == "instance":
        assert player is own_players.instance
    assert isinstance(player, {4: mfq.ModulePlayer, 20: OfView}.get(plays, mfq.Player))
    if isinstance(player, OfView):
        assert player.view is view


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("number", TypeError, "own_players:number is a int; allowed: an mfq.Player"),
        ("makes_nothing", TypeError, "makes_nothing returned a NoneType; allowed: an mfq.Player"),
        ("takes_two", TypeError, r"takes \(view, other\); allowed: the view, or no argument"),
        ("Favours", TypeError, r"is a class of torch modules.*from_file\(path, Favours\)"),
        (
            "Constnat",
            ValueError,
            "has no 'Constnat'; did you mean tests.fakes.own_players:Constant",
        ),
    ],
)
def test_names_of_anything_else_are_refused(name, error, says, view):
    with pytest.raises(error, match=says):
        mfq.load_player(f"{CODE}:{name}", view)


def test_a_file_of_such_a_name_is_a_file(tmp_path, monkeypatch, view):
    monkeypatch.chdir(tmp_path)
    assert options_of([f"{CODE}:instance"], "battle_v0") is None
    (tmp_path / f"{CODE}:instance").write_text("nonsense")
    with pytest.raises(ValueError, match="damaged"):
        mfq.load_player(f"{CODE}:instance", view)


def test_labels():
    assert label(f"{CODE}:instance") == "instance"
    assert label("runs/mfq") == "mfq"
    assert labelled(["runs/a", "b:a", "rush"]) == {"runs/a": "runs/a", "b:a": "b:a", "rush": "rush"}
    assert sources_by_name("players", [f"{CODE}:OfView", f"x={CODE}:Constant"]) == {
        "OfView": (f"{CODE}:OfView",),
        "x": (f"{CODE}:Constant",),
    }


def test_evaluation_takes_names(view):
    scores = mfq.evaluate(view, {"red": f"{CODE}:instance", "blue": "random"}, 2)
    assert scores == mfq.evaluate(view, {"red": Constant(6), "blue": "random"}, 2)
    match = mfq.head_to_head(view, f"{CODE}:module", "random", 4)
    assert match == mfq.head_to_head(view, mfq.ModulePlayer(Favours()), "random", 4)
    scripted = mfq.evaluate(view, mfq.load_player("random", view), 2, seed=3)
    assert mfq.evaluate(view, "random", 2, seed=3) == scripted
    with pytest.raises(ValueError, match="script 'brave' is unknown"):
        mfq.evaluate(view, "brave")
    with pytest.raises(TypeError, match=r"players is a int; allowed: an mfq\.Player"):
        mfq.evaluate(view, 3)


def test_compare_takes_names(tmp_path, capsys):
    words = ["--players", f"{CODE}:instance", f"net={CODE}:module", "random", "--episodes", "2"]
    words += ["--placement", "fixed", "--out", str(tmp_path), *SMALL]
    assert main(["compare", "battle", *words]) == 0
    assert "instance v net" in capsys.readouterr().out
    with (tmp_path / "battle.csv").open() as file:
        assert {row["player"] for row in csv.DictReader(file)} == {"instance", "net", "random"}


def test_play_takes_names(capsys):
    words = ["--red", f"{CODE}:makes_module", "--blue", f"{CODE}:OfView", "--no-window", *SMALL]
    assert main(["play", "battle", *words]) == 0
    assert "episode 0: 4 steps" in capsys.readouterr().out


# -- training -----------------------------------------------------------------------------------

FAST = ["--steps", "8", "--evaluation.every", "0", "--checkpoints.every", "0", "--quiet"]
FAST += ["--agent.replay.learning-starts", "100000", "--agent.network.hidden", "8"]


def test_training_plays_against_names_and_is_evaluated_against_them(tmp_path, capsys):
    out = tmp_path / "run"
    words = ["train", "--env", "battle_v0", *SMALL, "--num-envs", "4", "--out", str(out), *FAST]
    words += ["--opponents", f"{CODE}:instance", "0.5", "random", "0.5"]
    words += ["--evaluation.against", f"{CODE}:OfView"]
    assert main(words) == 0
    assert "OfView_win_rate" in capsys.readouterr().out
    config = json.loads((out / "config.json").read_text())
    assert config["opponents"] == {f"{CODE}:instance": 0.5, "random": 0.5}
    runner = mfq.Runner.load(out)
    assert runner.teams.players[f"{CODE}:instance"] is own_players.instance
    assert main(["train", "--resume", str(out), "--steps", "9"]) == 0
    assert main(["evaluate", str(out)]) == 0
    assert "OfView_win_rate" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["opponents", "against", "evaluate_against"])
def test_a_file_names_no_player_that_is_not_trusted(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = f"evil_{place}"
    (tmp_path / f"{module}.py").write_text("raise SystemError('imported')")
    name = f"{module}:player"
    options = {"env_options": GAME, "num_envs": 4, "opponents": {"random": 1.0}, "quiet": True}
    path = mfq.Runner("battle_v0", config=options).save(tmp_path / "run.safetensors")
    state = checkpoint.load(path)
    if place == "opponents":
        state["config"]["opponents"] = {name: 1.0}
    elif place == "against":
        state["config"]["evaluation"]["against"] = [name]
    else:
        del state["config"]["evaluation"]
        state["config"]["evaluate_against"] = [name]
    checkpoint.save(state, path)
    with pytest.raises(ValueError, match=rf"trust=\['{name}'\]"):
        mfq.Runner.load(path)
    with pytest.raises(SystemError, match="imported"):
        mfq.Runner.load(path, trust=[name])
    # What is given in its place is not looked for in the file.
    others = {"opponents": {"opponents": {}}, "against": {"evaluation": {"against": ("random",)}}}
    mfq.Runner.load(path, **others.get(place, {"evaluate_against": ("random",)}))


def test_entries_that_are_no_names_are_refused():
    with pytest.raises(TypeError, match=r"against: its entry=.*Constant.*; allowed: a name"):
        mfq.RunConfig(evaluation={"against": (Constant(),)})
    with pytest.raises(
        TypeError, match=r"opponents: its key=3; allowed: a name, or an mfq\.Player"
    ):
        mfq.RunConfig(opponents={3: 1.0})


@pytest.mark.parametrize("returned", ["numpy", "list", "None", "high", "low"])
def test_what_a_player_returns_is_checked(returned):
    class Odd(mfq.Player):
        def act(self, step, explore=True):
            actions = torch.full_like(step.actions, {"high": 21, "low": -2}.get(returned, 3))
            converted = {"numpy": actions.numpy(), "list": actions.tolist(), "None": None}
            return converted.get(returned, actions)

    view = mfq.wrap(battle_v0.parallel_env(**GAME))
    for play in (
        lambda: mfq.evaluate(view, Odd()),
        lambda: mfq.evaluate(view, {"red": "random", "blue": Odd()}),
    ):
        with pytest.raises((TypeError, ValueError), match=r"Odd.act returned .*; allowed: "):
            play()


def test_what_a_player_of_one_type_returns_is_checked():
    class Odd(mfq.Player):
        def act(self, step, explore=True):
            return [0]

    view = mfq.wrap(Meadow())
    players = PlayerByType(view.type_names, [mfq.Random(), Odd()])
    with pytest.raises(TypeError, match=r"Odd\.act returned a list; allowed: a tensor int64"):
        mfq.evaluate(view, players)
