"""Players by name: scripts, checkpoints, runs."""

import pytest
import torch

import mfq
from mfenvs import battle_v0
from mfq.common import checkpoint
from mfq.matches.players import Scripted, load_player, options_of
from mfq.training.runner import Runner
from tests.fakes.duel import Always, Pupil
from tests.fakes.options import merged

OPTIONS = {"map_size": 14, "max_cycles": 20, "copied_start": False}
CONFIG = {
    "env": "battle_v0",
    "steps": 12,
    "num_envs": 2,
    "evaluation": {"every": 0},
    "checkpoints": {"every": 0},
    "quiet": True,
    "env_options": OPTIONS,
    "agent": {
        "replay": {"learning_starts": 20},
        "optimizer": {"batch_size": 8},
        "network": {"hidden": [8]},
    },
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders of runs, one of each algorithm in them, and their runners."""
    folder = tmp_path_factory.mktemp("runs")
    runners = {}
    for algo in ("mfq", "iql", "mfac", "ac"):
        is_critic = algo in ("mfac", "ac")
        more = {"network": {"mean_hidden": [8]}} if is_critic else {"exploration": {"steps": 5}}
        config = {**CONFIG, "algo": algo, "out": str(folder / algo)}
        runners[algo] = Runner(config=merged(config, {"agent": more}))
        runners[algo].train()
    return folder, runners


def view_of(**options):
    return mfq.wrap(battle_v0.batched_env(**{"num_envs": 3, **OPTIONS, **options}))


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["mfq", "iql", "mfac", "ac"])
@pytest.mark.parametrize("explore", [False, True])
def test_a_run_plays_as_it_was_trained(runs, algo, explore):
    folder, runners = runs
    view, agent = view_of(), runners[algo].agent.player()
    player = load_player(folder / algo, view)
    player.generator.manual_seed(5)
    agent.generator.manual_seed(5)
    step = view.reset(seed=0)
    for _ in range(25):
        living = step.alive
        actions = player.act(step, explore)
        assert torch.equal(actions[living], agent.act(step, explore)[living])
        step = view.step(torch.where(living, actions, -1))


def test_what_a_source_may_be(runs):
    folder, view = runs[0], view_of()
    assert isinstance(load_player("focus", view), Scripted)
    last, best = folder / "mfq" / "last.safetensors", folder / "mfq" / "best.safetensors"
    expected = load_player(last, view).state_dict()
    state = checkpoint.load(last)
    state["agent"]["time"] = 123
    for name, weights in state["agent"]["module"].items():
        state["agent"]["module"][name] = weights + 1
    del state["agent"]["replay"]
    best.unlink(missing_ok=True)
    assert load_player(str(folder / "mfq"), view).time == expected["time"]
    checkpoint.save(state, best)
    assert load_player(folder / "mfq", view).time == 123, "the best, if there is one"
    assert load_player(last, view).time == expected["time"]
    best.unlink()


def test_the_game_of_a_run(runs):
    folder = runs[0]
    sources = ["rush", folder / "iql", str(folder / "mfq")]
    assert options_of(sources, "battle_v0", ("rush",)) == OPTIONS
    assert options_of(["rush"], "battle_v0", ("rush",)) is None
    state = checkpoint.load(folder / "mfq" / "last.safetensors")
    state["config"]["env_options"] = {"map_size": 99}
    other = checkpoint.save(state, folder / "other.safetensors")
    for pair, size in (([other, folder / "mfq"], 99), ([folder / "mfq", other], 14)):
        assert options_of(pair, "battle_v0")["map_size"] == size, "the first one's"
    with pytest.raises(ValueError, match="is of a run on battle_v0; allowed: ising_v0"):
        options_of(sources, "ising_v0", ("rush",))
    with pytest.raises(FileNotFoundError, match="rush is no player"):
        options_of(sources, "battle_v0")


def test_sources_that_do_not_fit_are_named(runs, tmp_path):
    folder, view = runs[0], view_of()
    with pytest.raises(FileNotFoundError, match="brave is no player; allowed: random, hold, rush"):
        load_player("brave", view)
    with pytest.raises(FileNotFoundError, match="is no player"):
        load_player(tmp_path, view)
    with pytest.raises(ValueError, match=r"(?s)last.safetensors does not fit: .*size mismatch"):
        load_player(folder / "mfq", view_of(minimap_mode=True))
    (tmp_path / "torn.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="damaged"):
        load_player(tmp_path / "torn.safetensors", view)
    checkpoint.save({"weights": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="does not fit"):
        load_player(tmp_path / "other.safetensors", view)
    with pytest.raises(ValueError, match="is no checkpoint of a run"):
        options_of([tmp_path / "other.safetensors"], "battle_v0")
    state = checkpoint.load(folder / "mfq" / "last.safetensors")
    checkpoint.save({**state, "own_algo": False}, tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match="is of an algorithm of its user's own"):
        load_player(tmp_path / "own.safetensors", view)


def test_the_state_of_a_player():
    player, other = Pupil(1).player(), Pupil(2).player()
    player.time = 7
    torch.rand(3, generator=player.generator)
    other.load_state_dict(player.state_dict())
    assert (other.weight, other.time) == (1, 7)
    assert torch.equal(other.generator.get_state(), player.generator.get_state())
    scripted = Always(0)
    assert scripted.state_dict() == {"generators": [], "time": 0}
    scripted.load_state_dict(scripted.state_dict())


def test_older_states_of_players_load():
    """Those of copies have one generator, those of scripts nothing."""
    player, state = Pupil(2).player(), Pupil(1).player().state_dict()
    (generator,) = state.pop("generators")
    player.load_state_dict({**state, "generator": generator, "time": 7})
    assert (player.weight, player.time) == (1, 7)
    assert torch.equal(player.generator.get_state(), generator)
    Always(0).load_state_dict({})
