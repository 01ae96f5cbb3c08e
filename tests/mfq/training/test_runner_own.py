"""Runs on environments of one's own: by module and factory, by id, as a function, as an object."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pettingzoo
import pytest
import torch

import mfq
from mfq.cli import main
from mfq.envs.lookup import find, maker
from mfq.matches.evaluate import of_player
from tests.fakes.meadow import Meadow, make, ring
from tests.fakes.options import agents_scores

MEADOW = "tests.fakes.meadow:make"
SMALL = {
    "steps": 60,
    "log": {"every": 20},
    "evaluation": {"every": 30},
    "checkpoints": {"every": 20},
    "quiet": True,
    "agent": {
        "replay": {"learning_starts": 20},
        "optimizer": {"batch_size": 16},
        "network": {"hidden": [16]},
        "gamma": 0.0,
    },
}


@pytest.mark.slow
def test_run_benchmark_save_load_finish(tmp_path):
    """What XuanCe's users know: a runner is made, run, scored, saved, loaded, finished."""
    config = {**SMALL, "out": str(tmp_path), "steps": 300, "num_envs": 2}
    runner = mfq.Runner(MEADOW, algo="mfq", config=config)
    scores = runner.run()
    assert runner.done == 300
    assert scores["return"] == 6.0  # everybody chooses well in each of the 6 steps
    assert of_player(runner.benchmark()) == of_player(scores)
    file = runner.save(tmp_path / "mine.safetensors")
    again = mfq.Runner.load(file)
    assert again.evaluate() == scores
    assert again.done == 300
    for each in (runner, again):
        each.finish()
        assert all(
            view.env.closed for row_group in each.view.row_groups for view in row_group.views
        )


def test_a_battle_runs_and_is_scored(tmp_path):
    options = {"map_size": 12, "max_cycles": 10}
    config = {**SMALL, "steps": 12, "env_options": options, "out": str(tmp_path)}
    runner = mfq.Runner("battle_v0", algo="mfq", config=config)
    assert {"return", "length"} <= runner.run().keys()
    assert runner.benchmark()["length"] <= 10
    file = runner.save(tmp_path / "mine.safetensors")
    assert mfq.Runner.load(file).evaluate() == runner.evaluate()
    runner.finish()


def test_going_on_starts_a_new_episode_and_says_so(tmp_path, capsys):
    runner = mfq.Runner(MEADOW, config={**SMALL, "out": str(tmp_path)})
    runner.train()
    assert not runner.starts_anew
    again = mfq.Runner.load(tmp_path, steps=80)
    assert again.starts_anew
    assert again.train()
    assert again.done == 80
    seeds = [env.seeds[0] for env in (runner.view.env, again.view.env)]
    assert seeds == [0, 60]  # not the episodes that it began with
    assert main(["train", "--resume", str(tmp_path), "--steps", "90"]) == 0
    assert "a new episode starts" in capsys.readouterr().err


def test_the_command_takes_a_module_a_file_and_a_graph(tmp_path, capsys):
    out, file = tmp_path / "run", tmp_path / "mine.yaml"
    lines = {**SMALL, "env": MEADOW, "graph": "tests.fakes.meadow:ring", "out": str(out)}
    lines["agent"] = {**SMALL["agent"], "play": "greedy"}  # the same from all seeds
    file.write_text(json.dumps(lines))  # JSON is YAML
    assert main(["train", "--config", str(file), "--set", "length=4"]) == 0
    printed = capsys.readouterr().out
    assert "length                       4" in printed
    assert json.loads((out / "config.json").read_text())["env_options"] == {"length": 4}
    assert main(["evaluate", str(out)]) == 0
    assert agents_scores(capsys.readouterr().out) == agents_scores(printed)
    assert main(["evaluate", str(out), "--checkpoint", "best", "--episodes", "2"]) == 0


@pytest.mark.slow
def test_the_command_finds_modules_where_it_is_called(tmp_path):
    code = """
        import gymnasium

        def make():
            return gymnasium.make("CartPole-v1", max_episode_steps=5)
    """
    (tmp_path / "mine.py").write_text(textwrap.dedent(code))
    root = str(mfq.__path__[0]).removesuffix("/mfq")
    script = f"import sys; sys.path[0] = {root!r}; from mfq.cli import main; sys.exit(main())"
    words = ["train", "--env", "mine:make", "--steps", "12", "--out", "run", "--quiet"]
    words += ["--num-envs", "3", "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "length                       5" in done.stdout
    assert (tmp_path / "run" / "last.safetensors").exists()


@pytest.mark.parametrize("name", ["broken_factory", "mfq_factory"])
def test_an_error_in_ones_own_code_tells_its_place(name, tmp_path, monkeypatch, capsys):
    file = tmp_path / f"{name}.py"
    file.write_text("def make():\n    return int('no number')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["train", "--env", f"{name}:make"]) == 2
    assert f"'no number' ({file}:2)" in capsys.readouterr().err


def test_the_tutorials_environment_from_the_command_line(tmp_path, monkeypatch, capsys):
    text = (Path(__file__).parents[3] / "docs/your_env.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    assert len(code.splitlines()) <= 60
    (tmp_path / "convention.py").write_text(code.split("view = mfq.wrap")[0])
    yaml = text.split("may hold any option")[1].split("\n\n")[1]
    config = textwrap.dedent(yaml).replace("steps: 600", "steps: 40")
    (tmp_path / "mine.yaml").write_text(config.replace("num_envs: 8", "num_envs: 2"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["train", "--config", "mine.yaml", "--quiet"]) == 0
    resolved = json.loads((tmp_path / "runs/mine/config.json").read_text())
    assert resolved["env_options"] == {"num_agents": 30}
    words = ["--env", "convention:Convention", "--graph", "convention:ring", "--steps", "20"]
    assert main(["train", *words, "--set", "num_agents=5", "rounds=7", "--quiet"]) == 0
    assert "length                       7" in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(pettingzoo, "register"), reason="this PettingZoo has no registry")
def test_ids_of_gymnasium_and_pettingzoo():
    runner = mfq.Runner("CartPole-v1", config={**SMALL, "num_envs": 3, "steps": 40})
    assert (runner.view.num_envs, runner.view.num_agents) == (3, 1)
    scores = runner.run()
    assert scores["return"] == scores["length"]
    assert maker("sisl/pursuit-v5", {"max_cycles": 3})().possible_agents[0] == "pursuer_0"
    assert maker("chess") is None


@pytest.mark.skipif(not hasattr(pettingzoo, "register"), reason="this PettingZoo has no registry")
def test_an_id_of_ones_own():
    name = "mine/meadow-v0"
    pettingzoo.register("parallel", name, entry_point="tests.fakes.meadow:Meadow")
    try:
        runner = mfq.Runner(name, config={**SMALL, "env_options": {"length": 3}})
        assert runner.run()["length"] == 3
    finally:
        pettingzoo.parallel_registry.pop(name)


def test_a_function_makes_copies_and_an_object_is_reset(tmp_path):
    config = {**SMALL, "num_envs": 2, "graph": "all", "out": str(tmp_path)}
    runner = mfq.Runner(Meadow, config=config)
    assert runner.train()
    assert runner.view.graph.neighbors(0).tolist() == [1, 2]
    with pytest.raises(ValueError, match="an environment that was given as an object"):
        mfq.Runner.load(tmp_path)
    assert mfq.Runner.load(tmp_path, env=make).evaluate() == runner.evaluate()
    own = mfq.Runner(Meadow(), config={**SMALL, "graph": "tests.fakes.meadow:ring"})
    assert own.view.graph.neighbors(2).tolist() == [0]
    own.train()
    assert own.evaluate()["length"] == 6
    assert own.starts_anew


def test_learners_of_each_type_play_from_a_checkpoint(tmp_path):
    runner = mfq.Runner(MEADOW, config={**SMALL, "steps": 200, "out": str(tmp_path)})
    runner.train()
    view = mfq.wrap(Meadow())
    player = mfq.load_player(tmp_path, view)
    assert player.act(view.reset(), explore=False).tolist() == [[2, 1, 2]]
    other = mfq.wrap([Meadow()], ring)
    assert mfq.evaluate(other, player)["return"] == 6.0
    alike = mfq.wrap(mfq.envs.lookup.maker("CartPole-v1")())
    with pytest.raises(ValueError, match="does not fit"):
        mfq.load_player(tmp_path, alike)


@pytest.mark.parametrize("algo", ["mfq", "iql", "mfac", "ac"])
def test_every_algorithm_runs_on_several_types(algo):
    assert mfq.Runner(MEADOW, algo=algo, config=SMALL).run()["length"] == 6


def test_an_algorithm_of_ones_own_gets_a_learner_a_type():
    made = []

    class Mine(mfq.QAgent):
        def __init__(self, view, config, seed):
            made.append((view.num_actions, seed))
            super().__init__(view, True, config, seed)

    mfq.Runner(MEADOW, algo=Mine, config={**SMALL, "seed": 4}).train()
    assert made == [(3, 4), (2, 1004)]


@pytest.mark.slow
def test_opponents_of_several_types_follow_the_learner():
    view = mfq.wrap([Meadow(), Meadow()])
    config = mfq.QConfig(
        replay={"learning_starts": 20},
        optimizer={"batch_size": 16},
        network={"hidden": (16,)},
        gamma=0.0,
    )

    def agent_of(its, seed):
        return mfq.QAgent(its, True, config, seed)

    agent = mfq.ByType(view, agent_of)
    teams = mfq.make_teams(view, agent, {"lagged": 0.5, "random": 0.5}, sides="wolf")
    assert torch.equal(teams.assignment, torch.tensor([[0, 1, 0], [0, 2, 0]]))
    mfq.train(view, teams, 400)
    assert agent.act(view.reset(), explore=False)[:, 0].tolist() == [2, 2]
    state = teams.state_dict()
    twin = mfq.make_teams(view, mfq.ByType(view, agent_of), {"lagged": 0.5, "random": 0.5}, "wolf")
    twin.load_state_dict(state)
    for old, new in zip(*(t.players["lagged"].player.parts for t in (teams, twin)), strict=True):
        for one, other in zip(old.module.parameters(), new.module.parameters(), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"env": "chess_v6"},
            r"env='chess_v6' is unknown; (did you mean classic/chess-v6\? )?allowed: .*MODULE:.*CartPol",
        ),
        ({"env": "no.such:make"}, "no.such:make: there is no module"),
        ({"env": "tests.fakes.meadow:no"}, "has no 'no'"),
        ({"env": "tests.fakes.meadow:NOT_A_FUNCTION"}, "is a int; allowed: a function"),
        ({"env": MEADOW, "graph": "friends"}, "graph='friends'; allowed: all, type, team"),
        ({"env": MEADOW, "device": "tpu"}, "device='tpu'"),
        ({"env": "ising_v0", "workers": 2}, "workers=2 for ising_v0; allowed: 0"),
        ({"workers": -1}, "workers=-1"),
    ],
)
def test_what_cannot_be_run_is_named(options, words):
    with pytest.raises((ValueError, TypeError), match=words):
        mfq.Runner(config=options)


def test_copies_and_options_are_for_what_can_be_made():
    with pytest.raises(ValueError, match="num_envs and workers"):
        mfq.Runner(Meadow(), config={"num_envs": 2})
    with pytest.raises(ValueError, match="env_options"):
        mfq.Runner(Meadow, config={"env_options": {"length": 3}})


def test_a_module_that_lacks_something_itself_says_what(tmp_path, monkeypatch):
    (tmp_path / "broken_one.py").write_text("import no_such_thing_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_thing_at_all"):
        find("broken_one:make")
