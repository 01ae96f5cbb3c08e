"""In which precision networks compute: what bfloat16 may change, and what it may not."""

import pytest
import torch
from gymnasium.spaces import Box
from torch import nn

import mfq
from mfenvs import battle_v0
from mfq.agents.actor_critic import ACConfig, ActorCritic
from mfq.agents.q_agent import QAgent
from mfq.agents.q_config import QConfig
from mfq.networks import precision
from mfq.networks.networks import QNetwork
from mfq.networks.precision import LARGE, Output, Precision
from mfq.replay.base import observation
from tests.fakes.tables import FIELDS

CPU = torch.device("cpu")
BATTLE = battle_v0.batched_env(map_size=20, minimap_mode=True)
SPACE, FIELD = BATTLE.single_observation_space, mfq.MeanAction(mfq.wrap(BATTLE))


def a_network():
    return QNetwork(SPACE, 24, 21, FIELD, (32,), 0, torch.Generator().manual_seed(0))


def some_inputs(size=64):
    coin = torch.Generator().manual_seed(1)
    obs = {name: torch.rand(size, *part.shape, generator=coin) for name, part in SPACE.items()}
    return obs, torch.rand(size, 21, generator=coin), torch.zeros(size, dtype=torch.int64)


def learned_from_random_play(make_agent, steps=6):
    """An agent that has stored some steps of battle and learned from them once."""
    view = mfq.wrap(battle_v0.batched_env(2, map_size=20, minimap_mode=True))
    agent = make_agent(view)
    step = view.reset(seed=0)
    for _ in range(steps):
        actions = agent.act(step)
        later = view.step(actions)
        agent.observe(step, actions, later)
        step = later
    agent.learn()
    return agent


def test_auto_is_bfloat16_for_a_large_network_on_a_device_that_gains_by_it(monkeypatch):
    small, large = nn.Linear(8, 8), nn.Linear(512, LARGE // 512)
    for has, network, expected in (
        (True, large, "bfloat16"),
        (True, small, "float32"),
        (False, large, "float32"),
    ):
        monkeypatch.setattr(precision, "_has_bfloat16", lambda kind, has=has: has)
        assert Precision("auto", network, CPU).name == expected
    assert Precision("bfloat16", small, CPU).name == "bfloat16"


def test_auto_is_float32_for_few_samples_where_conversions_cost_more(monkeypatch):
    monkeypatch.setattr(precision, "_has_bfloat16", lambda kind: True)
    monkeypatch.setattr(precision, "MIN_SAMPLES", {"cpu": 48, "cuda": 2**14})
    monkeypatch.setattr(precision, "LARGE", 1)
    assert Precision("auto", nn.Linear(1, 1), torch.device("cuda")).least == 2**14
    network = a_network()
    with torch.no_grad():
        for size in (47, 48):
            exact = Precision("float32", network, CPU)(network, *some_inputs(size))
            found = Precision("auto", network, CPU)(network, *some_inputs(size))
            assert torch.equal(found, exact) == (size < 48)
            always = Precision("bfloat16", network, CPU)(network, *some_inputs(size))
            assert not torch.equal(always, exact)


@pytest.mark.parametrize(("flags", "has"), [("fma avx2", False), ("avx2 avx512_bf16 fma", True)])
def test_a_processor_says_whether_it_multiplies_bfloat16(monkeypatch, tmp_path, flags, has):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"model name: any\nflags : {flags}\n", encoding="utf-8")
    monkeypatch.setattr(precision, "Path", lambda name: cpuinfo)
    assert precision._has_bfloat16.__wrapped__("cpu") is has
    cpuinfo.unlink()
    assert not precision._has_bfloat16.__wrapped__("cpu")


def test_bfloat16_gives_nearly_the_values_of_float32_and_does_not_round_them():
    network = a_network()
    with torch.no_grad():
        exact = Precision("float32", network, CPU)(network, *some_inputs())
        found = Precision("bfloat16", network, CPU)(network, *some_inputs())
    assert found.dtype == torch.float32
    assert 0 < float((found - exact).abs().max()) < 0.03 * float(exact.abs().max())
    rounded = (found == found.bfloat16().float()).float().mean()
    assert rounded < 0.1


def test_values_that_differ_by_less_than_bfloat16_knows_still_differ():
    layer = Output(1, 2)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor([4.0, 4.005]))
    with torch.autocast("cpu", torch.bfloat16):
        values = layer(torch.ones(1, 1, dtype=torch.bfloat16))
    assert values.tolist() == [pytest.approx([4.0, 4.005], abs=1e-6)]
    assert len(torch.tensor([4.0, 4.005]).bfloat16().unique()) == 1


def test_gradients_of_bfloat16_are_float32_and_point_where_those_of_float32_do():
    directions = {}
    for name in ("float32", "bfloat16"):
        network = a_network()
        Precision(name, network, CPU)(network, *some_inputs()).square().mean().backward()
        gradients = [weights.grad for weights in network.parameters()]
        assert all(part.dtype == torch.float32 for part in gradients)
        directions[name] = torch.cat([part.flatten() for part in gradients])
    error = directions["bfloat16"] - directions["float32"]
    assert 0 < float(error.norm()) < 0.03 * float(directions["float32"].norm())


@pytest.mark.parametrize("algo", ["mfq", "mfac", "authors' mfac"])
def test_agents_compute_in_the_precision_that_they_are_told(algo):
    options = {"replay": {"learning_starts": 32}, "optimizer": {"batch_size": 32}}

    def make(name):
        if algo == "mfq":
            return lambda view: QAgent(view, config=QConfig(precision=name, **options))
        critic = {"critic": "v", "rollout": {"steps": 5}} if algo != "mfac" else options
        return lambda view: ActorCritic(view, config=ACConfig(precision=name, **critic))

    agents = {name: learned_from_random_play(make(name)) for name in ("float32", "bfloat16")}
    weights = {}
    for name, agent in agents.items():
        assert agent.updates
        assert agent.precision.name == name
        assert agent.player().precision.name == name
        weights[name] = torch.cat([part.flatten() for part in agent.module.parameters()])
        assert weights[name].dtype == torch.float32
    assert not weights["float32"].equal(weights["bfloat16"])


def test_targets_are_those_of_float32_up_to_the_rounding():
    config = QConfig(replay={"learning_starts": 32}, optimizer={"batch_size": 32}, gamma=0.5)
    agent = learned_from_random_play(lambda view: QAgent(view, config=config))
    batch = agent.replay.sample(64)
    agent.precision = Precision("float32", agent.module, CPU)
    exact = agent.td_target(batch)
    agent.precision = Precision("bfloat16", agent.module, CPU)
    found = agent.td_target(batch)
    assert found.dtype == torch.float32
    assert not found.equal(exact)
    torch.testing.assert_close(found, exact, rtol=0.02, atol=0.02)
    q = agent.precision(agent.module, observation("obs", batch), batch["mean"], batch["agent"])
    assert q.shape == (64, 21)


def test_a_network_of_ones_own_may_answer_in_bfloat16():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, obs):
            return self.layer(obs)

    found = Precision("bfloat16", own := Own(), CPU)(own, torch.ones(2, 4))
    assert found.dtype == torch.float32
    assert found.equal(found.bfloat16().float())


@pytest.mark.parametrize("config", [QConfig, ACConfig])
def test_another_precision_is_refused(config):
    with pytest.raises(ValueError, match=r"precision='float16'; .*allowed: .*'?auto"):
        config(precision="float16")


def test_a_space_without_pictures_has_an_output_in_float32_too():
    network = QNetwork(
        Box(-1, 1, (3,)), 2, 2, FIELDS[False], (), 0, torch.Generator().manual_seed(0)
    )
    obs, rest = torch.rand(5, 3), (torch.zeros(5, 0), torch.zeros(5, dtype=torch.int64))
    found = [Precision(name, network, CPU)(network, obs, *rest) for name in ("float32", "bfloat16")]
    assert found[0].equal(found[1])


@pytest.mark.parametrize("algo", ["mfq", "mfac"])
def test_without_exploration_auto_plays_in_float32(monkeypatch, algo):
    monkeypatch.setattr(precision, "_has_bfloat16", lambda kind: True)
    monkeypatch.setattr(precision, "LARGE", 1)
    view = mfq.wrap(battle_v0.batched_env(8, map_size=20, minimap_mode=True))
    step, ask = view.reset(seed=0), Precision.__call__

    def answers(name, explore):
        """The outputs of an agent's networks when it acts."""
        if algo == "mfq":
            agent = QAgent(view, config=QConfig(precision=name, iterations=1))
        else:
            agent = ActorCritic(view, config=ACConfig(precision=name))
        found = []
        with monkeypatch.context() as patch:
            patch.setattr(
                Precision, "__call__", lambda *given: found.append(ask(*given)) or found[-1]
            )
            agent.act(step, explore)
        return found

    exact, rounded = answers("float32", False), answers("bfloat16", False)
    assert len(exact) == (2 if algo == "mfq" else 1)
    assert not torch.equal(rounded[0], exact[0])
    assert all(map(torch.equal, answers("auto", False), exact))
    assert torch.equal(answers("auto", True)[0], rounded[0])
