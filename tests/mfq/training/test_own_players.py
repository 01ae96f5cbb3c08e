"""Runs with players and environments of one's own: what they record, and what loads."""

import functools
import json

import numpy as np
import pytest
import torch

import mfq
from mfenvs import battle_v0, gaussian_squeeze_v0
from mfq.agents.registry import without_replay
from mfq.cli import main
from mfq.common import checkpoint
from mfq.matches.evaluate import selection_score
from mfq.training.summary import headline
from tests.fakes.meadow import Meadow
from tests.fakes.own_players import Constant, Favours

GAME = {"map_size": 12, "max_cycles": 4}
IDLE = {
    "network": {"hidden": [8], "filters": 0},
    "replay": {"learning_starts": 10**6},
}
RUN = {
    "steps": 6,
    "num_envs": 4,
    "quiet": True,
    "evaluation": {"every": 0},
    "checkpoints": {"every": 0},
    "env_options": GAME,
    "agent": IDLE,
}


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


# -- players as opponents -----------------------------------------------------------------------


def test_players_as_opponents_are_kept_and_given_again(tmp_path):
    net = mfq.ModulePlayer(Favours())
    opponents = {"random": 0.5, Constant(6): 0.25, net: 0.25}
    options = {**RUN, "num_envs": 8, "opponents": opponents, "out": str(tmp_path)}
    runner = mfq.Runner("battle_v0", config=options)
    assert runner.train()
    assert config_of(tmp_path)["opponents"] == {"random": 0.5, "player_1": 0.25, "player_2": 0.25}
    with torch.no_grad():
        net.module.bias.fill_(9.0)  # the checkpoint has the player's weights
    with pytest.raises(ValueError, match=r"players that have no names \(player_1, player_2\)"):
        mfq.Runner.load(tmp_path)
    again = mfq.Runner.load(tmp_path, opponents=opponents, steps=7)
    assert float(net.module.bias.detach().max()) < 2
    assert again.teams.players["player_2"] is net
    assert again.train()
    assert mfq.Runner.load(tmp_path, opponents={}).evaluate()["return"] < 0
    assert main(["evaluate", str(tmp_path)]) == 0


# -- environments of one's own ------------------------------------------------------------------


def make_meadow(length=6):
    return Meadow()


@pytest.mark.parametrize(
    ("env", "name"),
    [
        (make_meadow, "tests.mfq.training.test_own_players:make_meadow"),
        (
            functools.partial(make_meadow, length=3),
            "tests.mfq.training.test_own_players:make_meadow",
        ),
        (Meadow, "tests.fakes.meadow:Meadow"),
        (Meadow(), "tests.fakes.meadow:Meadow"),
        ([Meadow(), Meadow()], "tests.fakes.meadow:Meadow"),
        (mfq.wrap(Meadow()), "tests.fakes.meadow:Meadow"),
    ],
    ids=["function", "partial", "class", "object", "list", "view"],
)
def test_a_run_records_which_environment_it_was_given(env, name, tmp_path):
    options = {**RUN, "num_envs": 1, "env_options": {}, "out": str(tmp_path)}
    runner = mfq.Runner(env, config=options)
    runner.train()
    assert config_of(tmp_path)["env"] == name
    state = checkpoint.load(tmp_path / "last.safetensors")
    assert state["config"]["env"] == name
    assert state["own_env"] is False
    with pytest.raises(ValueError, match="that was given as an object; allowed"):
        mfq.Runner.load(tmp_path)
    assert mfq.Runner.load(tmp_path, env=make_meadow).config.env.endswith(":make_meadow")
    assert isinstance(mfq.load_player(tmp_path, mfq.wrap(Meadow())), mfq.Player)


def test_numbers_of_numpy_are_numbers(tmp_path):
    options = {
        **RUN,
        "seed": np.int64(3),
        "steps": np.int32(6),
        "num_envs": np.int64(2),
        "out": str(tmp_path),
        "evaluation": {"episodes": np.int64(2), "every": np.uint8(0)},
        "agent": {
            "network": {"hidden": (np.int64(8),), "agent_embedding": np.int64(4), "filters": 0},
            "optimizer": {"batch_size": np.int64(16), "learning_rate": np.float32(0.001)},
            "replay": {"size": np.int64(500), "learning_starts": np.int16(20)},
        },
    }
    runner = mfq.Runner("battle_v0", config=options)
    assert runner.train()
    kept = config_of(tmp_path)
    assert (kept["seed"], kept["agent"]["network"]["hidden"]) == (3, [8])
    network = runner.config.agent.network
    assert {type(n) for n in (runner.config.seed, network.agent_embedding, *network.hidden)} == {
        int
    }
    view = runner.view
    assert mfq.evaluate(view, "random", np.int64(2), np.int64(1)) == mfq.evaluate(
        view, "random", 2, 1
    )
    mfq.head_to_head(view, "random", "rush", np.int64(2), np.int64(1))


def test_seeds_of_numpy_seed_agents_and_players():
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=4))
    step = view.reset(seed=np.int64(0))
    for make in (
        lambda seed: mfq.QAgent(view, seed=seed),
        lambda seed: mfq.ActorCritic(view, seed=seed),
        lambda seed: mfq.TabularQ(view, seed=seed),
        mfq.Random,
    ):
        assert torch.equal(make(np.int64(3)).act(step), make(3).act(step))


# -- another number of agents -------------------------------------------------------------------


@pytest.mark.parametrize("algo", ["mfq", "mfac"])
def test_another_number_of_agents_needs_a_run_without_embeddings(algo, tmp_path, capsys):
    for size in (4, 0):
        agent = {"network": {"hidden": [8], "agent_embedding": size}}
        game = {"num_agents": 5, "max_cycles": 6}
        out = str(tmp_path / str(size))
        options = {**RUN, "steps": 20, "num_envs": 1, "env_options": game, "out": out}
        mfq.Runner("gaussian_squeeze_v0", algo, {**options, "agent": agent}).train()
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=9, max_cycles=6))
    says = "trained with 5 agents, here 9; allowed: as many, or a training with .*agent_embedding=0"
    with pytest.raises(ValueError, match=says):
        mfq.load_player(tmp_path / "4", view)
    with pytest.raises(ValueError, match=says):
        mfq.Runner.load(tmp_path / "4", env_options={"num_agents": 9})
    assert main(["evaluate", str(tmp_path / "4"), "--set", "num_agents=9"]) == 2
    assert "trained with 5 agents" in capsys.readouterr().err
    scores = mfq.evaluate(view, mfq.load_player(tmp_path / "0", view), 2)
    assert scores["length"] == 6
    assert main(["evaluate", str(tmp_path / "0"), "--set", "num_agents=9"]) == 0
    assert "length                       6" in capsys.readouterr().out


# -- mfq evaluate in another environment --------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    agent = {"network": {"hidden": [8], "agent_embedding": 0}}
    options = {**RUN, "num_envs": 1, "env_options": {"num_agents": 5, "max_cycles": 6}}
    mfq.Runner(
        "gaussian_squeeze_v0", config={**options, "agent": agent, "out": str(folder)}
    ).train()
    return folder


def printed(capsys, *words):
    assert main(["evaluate", *map(str, words)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    return {line[0]: float(line[1]) for line in lines if len(line) > 1 and line[0] != "agent"}


def test_evaluate_with_other_options(run, capsys):
    before = sorted(path.name for path in run.iterdir()), config_of(run)
    assert printed(capsys, run)["length"] == 6
    assert printed(capsys, run, "--set", "max_cycles=3")["length"] == 3
    assert (sorted(path.name for path in run.iterdir()), config_of(run)) == before
    assert main(["evaluate", str(run), "--set", "max_cycle=3"]) == 2
    assert "max_cycle" in capsys.readouterr().err


def elsewhere(max_cycles=9, num_agents=3):
    return gaussian_squeeze_v0.parallel_env(num_agents=num_agents, max_cycles=max_cycles)


def test_evaluate_in_another_environment(run, capsys):
    name = "tests.mfq.training.test_own_players:elsewhere"
    assert printed(capsys, run, "--env", name)["length"] == 9, "not with the run's options"
    assert printed(capsys, run, "--env", name, "--set", "max_cycles=2")["length"] == 2
    same = printed(capsys, run, "--env", "gaussian_squeeze_v0", "--set", "max_cycles=4")
    assert same["length"] == 4
    assert main(["evaluate", str(run), "--env", "battle_v0", "--set", "map_size=12"]) == 2
    assert "does not fit" in capsys.readouterr().err


def alone(env):
    return np.zeros((2, 0), np.int64)


def test_evaluate_on_another_graph(run, monkeypatch):
    graphs = []
    scores = mfq.Runner.evaluate

    def spied(self, *arguments):
        graphs.append(self.view.graph)
        return scores(self, *arguments)

    monkeypatch.setattr(mfq.Runner, "evaluate", spied)
    for words in ([], ["--graph", "tests.mfq.training.test_own_players:alone"]):
        assert main(["evaluate", str(run), *words]) == 0
    alive = torch.ones((1, 5), dtype=torch.bool)
    assert [float(graph.degree(alive).sum()) for graph in graphs] == [20.0, 0.0]


def test_a_file_of_another_graph_needs_no_trust(run, tmp_path):
    state = checkpoint.load(run / "last.safetensors")
    state["config"]["graph"] = "evil:graph"
    path = checkpoint.save(state, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="evil:graph"):
        mfq.Runner.load(path)
    assert mfq.Runner.load(path, graph="all").config.graph == "all"


def test_another_environment_leaves_the_saved_name_alone(run, tmp_path, monkeypatch):
    (tmp_path / "evil_env.py").write_text("raise SystemError('imported')")
    monkeypatch.chdir(tmp_path)
    state = checkpoint.load(run / "last.safetensors")
    state["config"]["env"] = "evil_env:make"
    path = checkpoint.save(state, tmp_path / "other.safetensors")
    options = {"num_agents": 5, "max_cycles": 6}
    runner = mfq.Runner.load(path, "gaussian_squeeze_v0", env_options=options)
    assert runner.evaluate()["length"] == 6
    assert runner.starts_anew, "an episode of another environment does not go on"


def test_a_replay_may_be_left_behind(run):
    state = {"module": 1, "replay": 2, "types": {"a": {"replay": 3, "time": 4}}}
    assert without_replay(state) == {"module": 1, "types": {"a": {"time": 4}}}
    kept = mfq.Runner.load(run / "last.safetensors")
    left = mfq.Runner.load(run / "last.safetensors", checkpoints={"replay": False})
    assert kept.agent.replay.added > left.agent.replay.added == 0


def test_checkpoints_without_replays_have_none_of_any_type(tmp_path):
    options = {"steps": 3, "quiet": True, "agent": IDLE, "checkpoints": {"replay": False}}
    runner = mfq.Runner(make_meadow, config=options)
    runner.train()
    state = checkpoint.load(runner.save(tmp_path / "run.safetensors"))
    assert [set(part) & {"module", "replay"} for part in state["agent"]["types"].values()] == [
        {"module"}
    ] * 2


def test_opponents_are_not_given_to_a_run_without_any(tmp_path):
    options = {**RUN, "steps": 1, "num_envs": 2, "out": str(tmp_path)}
    mfq.Runner("battle_v0", config=options).train()
    with pytest.raises(ValueError, match=r"a run without opponents; allowed: opponents=\{\}"):
        mfq.Runner.load(tmp_path, opponents={"rush": 1.0})
    state = checkpoint.load(tmp_path / "last.safetensors")
    state["config"]["evaluation"] = [1]
    path = checkpoint.save(state, tmp_path / "odd.safetensors")
    with pytest.raises(ValueError, match=r"odd\.safetensors does not fit: "):
        mfq.Runner.load(path)


# -- the side that learns -----------------------------------------------------------------------

RATES = {"rush_win_rate": 0.5, "rush_win_rate_as_red": 0.9, "rush_win_rate_as_blue": 0.1}


def test_with_one_learning_side_that_side_alone_counts(tmp_path, monkeypatch):
    others = {"random_win_rate": 0.6, "random_win_rate_as_red": 0.7, "random_win_rate_as_blue": 0.5}
    scores = {**RATES, **others, "random_play_rush_win_rate_as_red": 0.0}
    assert selection_score(scores, "red") == pytest.approx((0.9 + 0.7) / 2)
    assert selection_score(scores, "blue") == pytest.approx((0.1 + 0.5) / 2)
    assert selection_score(scores) == pytest.approx((0.1 + 0.5) / 2)
    assert headline(scores, "red") == {"random_win_rate_as_red": 0.7}
    coming = [(0.3, 0.9), (0.8, 0.0), (0.5, 0.6)]  # as red, as blue; the second is red's best

    def match(view, agent, rival, episodes, seed):
        if isinstance(agent, mfq.Random):
            return {side: {"win_rate": 0.0} for side in ("red", "blue", "both")}
        red, blue = coming.pop(0)
        rates = {"red": red, "blue": blue, "both": (red + blue) / 2}
        return {side: {"win_rate": rate} for side, rate in rates.items()}

    shown = []

    def spied(scores, side=None):
        shown.append(headline(scores, side))
        return shown[-1]

    monkeypatch.setattr("mfq.training.callbacks.headline", spied)
    monkeypatch.setattr("mfq.matches.evaluate.head_to_head", match)
    options = {
        **RUN,
        "num_envs": 1,
        "steps": 6,
        "opponents": {"random": 1.0},
        "sides": "red",
        "evaluation": {"every": 2, "against": ("rush",)},
        "out": str(tmp_path),
    }
    runner = mfq.Runner("battle_v0", config=options)
    assert (runner.teams.assignment[0, runner.view.groups == 0] == 0).all()
    runner.train()
    assert runner.best == 0.8
    assert [each["rush_win_rate_as_red"] for each in shown] == [0.3, 0.8, 0.5]
    assert checkpoint.load(tmp_path / "best.safetensors")["done"] == 4


# -- options that nobody has --------------------------------------------------------------------


def test_a_wrong_option_is_named_before_results_that_are_in_the_way(run, tmp_path, capsys):
    words = ["train", "--env", "gaussian_squeeze_v0", "--out", str(run), "--quiet"]
    assert main([*words, "--set", "max_cycle=3"]) == 2
    said = capsys.readouterr().err
    assert "max_cycle" in said
    assert "holds results" not in said
    assert main(words) == 2
    assert "holds results already" in capsys.readouterr().err
    name = "tests.mfq.training.test_own_players:elsewhere"
    assert main(["train", "--env", name, "--out", "none", "--set", "max_cycle=3"]) == 2
    said = capsys.readouterr().err
    assert f"{name} has no parameter 'max_cycle'; allowed: max_cycles, num_agents" in said


def test_a_module_is_no_opponent_without_its_adapter():
    view = mfq.wrap(battle_v0.batched_env(num_envs=4, **GAME))
    with pytest.raises(TypeError, match=r"shares has a Favours; allowed: a name or an mfq\.Player"):
        mfq.make_teams(view, mfq.QAgent(view), {Favours(): 1.0})
