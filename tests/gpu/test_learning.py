"""Learning on a GPU: `make test-gpu`. Elsewhere all of it is skipped, and says so."""

import pytest
import torch

import mfenvs
import mfq
from mfq.agents.ac_config import AUTHORS
from mfq.agents.actor_critic import ActorCritic
from mfq.agents.q_agent import QAgent
from mfq.agents.q_config import QConfig
from mfq.common.config import build
from mfq.matches.players import load_player
from mfq.replay.compact import CompactReplay
from mfq.training.config import preset
from mfq.training.runner import Runner
from tests.gpu.test_games import waiting_is_an_error

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")

BATTLE = {"map_size": 14, "max_cycles": 40, "minimap_mode": True, "extra_features": True}
SMALL = {
    "preset": "small",
    "device": "cuda",
    "steps": 60,
    "num_envs": 8,
    "env_options": {"max_cycles": 40},
    "evaluation": {"every": 30, "num_envs": 2, "episodes": 4},
    "checkpoints": {"every": 30},
    "quiet": True,
}


STORING = QConfig(
    precision="float32",
    network={"agent_embedding": 0},
    replay={"learning_starts": 10**9},
)


def battle(device, rows=8):
    return mfq.wrap(mfenvs.make_batched("battle_v0", num_envs=rows, device=device, **BATTLE))


def played(device, steps=25, **options):
    """An agent that has stored what all armies did by actions drawn on the CPU, and learned nothing."""
    view = battle(device)
    agent = QAgent(view, config=build(QConfig, options, STORING))
    coin = torch.Generator().manual_seed(5)
    step = view.reset(seed=3)
    for _ in range(steps):
        agent.act(step)
        drawn = torch.randint(view.num_actions, step.alive.shape, generator=coin)
        actions = drawn.to(view.device).where(step.alive, -1)
        after = view.step(actions)
        agent.observe(step, actions, after)
        step = after
    return agent


@pytest.mark.parametrize("filters", [0, 32])
def test_a_gradient_step_there_is_a_cpus(filters):
    cpu, gpu = (played(device, network={"filters": filters}) for device in ("cpu", "cuda"))
    assert cpu.replay.added == gpu.replay.added > 0
    batch = cpu.replay.sample(200)
    moved = {name: part.cuda() for name, part in batch.items()}
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        torch.testing.assert_close(
            gpu.td_target(moved).cpu(), cpu.td_target(batch), rtol=1e-4, atol=1e-5
        )
        found = [agent._improve(given) for agent, given in ((cpu, batch), (gpu, moved))]
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other.cpu(), one, rtol=1e-4, atol=1e-5)
    gradients = ([w.grad.cpu() for w in agent.module.parameters()] for agent in (cpu, gpu))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-3 * float(one.abs().max()))


@pytest.mark.parametrize("pairing", ["current", "previous"])
def test_observations_drawn_again_there_are_those_that_were(pairing):
    compact, ring = (
        played("cuda", replay={"kind": kind}, pairing=pairing).replay.sample(300)
        for kind in ("compact", "ring")
    )
    assert compact.keys() == ring.keys()
    for name, values in compact.items():
        assert torch.equal(values, ring[name]), name


def test_a_gradient_step_waits_for_nothing():
    agent = played("cuda")
    assert isinstance(agent.replay, CompactReplay)
    agent._improve(agent.replay.sample(64))
    with waiting_is_an_error():
        for _ in range(3):
            agent._improve(agent.replay.sample(64))


@pytest.mark.parametrize("algo", ["mfq", "iql", "mfac", "ac"])
def test_a_run_there_learns_evaluates_and_plays_on_a_cpu(algo, tmp_path):
    runner = Runner(None, algo, {**SMALL, "out": str(tmp_path)})
    assert runner.train()
    assert runner.agent.updates > 20
    assert all(part.isfinite().all() for part in runner.agent.module.parameters())
    assert (tmp_path / "best.safetensors").exists()
    for device in ("cpu", "cuda"):
        options = {**preset("small").env_options, **SMALL["env_options"]}
        view = mfq.wrap(mfenvs.make_batched("battle_v0", num_envs=4, device=device, **options))
        scores = mfq.head_to_head(view, load_player(tmp_path, view), "rush", 8)
        assert scores["both"]["episodes"] == 8


@pytest.mark.parametrize("algo", ["mfq", "mfac", "authors-mfac"])
def test_a_run_there_goes_on_exactly(algo, tmp_path):
    # The network without convolutions adds in one order. (Of cuDNN's not every algorithm does.)
    config = {**SMALL, "evaluation": {"every": 0}}
    if algo == "authors-mfac":
        algo, config["agent"] = "mfac", AUTHORS
    whole = Runner(None, algo, config)
    assert whole.train()
    Runner(None, algo, {**config, "steps": 37, "out": str(tmp_path)}).train()
    halves = Runner.load(tmp_path, steps=60)
    assert halves.train()
    assert halves.agent.updates == whole.agent.updates
    pairs = zip(whole.agent.module.parameters(), halves.agent.module.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_a_run_goes_on_on_the_other_device(tmp_path):
    Runner(None, "mfq", {**SMALL, "steps": 20, "out": str(tmp_path)}).train()
    for device, steps in (("cpu", 30), ("cuda", 40)):
        with pytest.warns(UserWarning, match="and resumes on"):
            runner = Runner.load(tmp_path, device=device, steps=steps)
        assert runner.train()
        assert runner.done == steps


@pytest.mark.parametrize("name", ["mfq", "iql"])
def test_pretrained_players_choose_there_as_on_a_cpu(name):
    options = {"map_size": 40, "max_cycles": 40, "minimap_mode": True, "extra_features": True}
    chosen = []
    for device in ("cpu", "cuda"):
        env = mfenvs.make_batched("battle_v0", num_envs=2, device=device, **options)
        view = mfq.wrap(env)
        player = load_player(name, view)
        step = view.reset(seed=0)
        for _ in range(10):
            step = view.step(view.scripted("rush"))
        chosen.append(player.act(step, explore=False).cpu())
    assert (chosen[0] != chosen[1]).float().mean() < 0.005


def test_an_actor_critic_takes_bfloat16_for_a_large_network():
    agent = ActorCritic(battle("cuda"))
    assert agent.precision.name == "bfloat16"
