"""examples/custom: parts of your own, each in a short file that docs/your_parts.md has."""

import math
import re
from pathlib import Path

import pytest
import torch

import mfq
from examples.custom import algorithm, graph, network, policy, value
from mfenvs import battle_v0, gaussian_squeeze_v0
from mfq.common import checkpoint
from mfq.values import NextStateValues

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "examples" / "custom").glob("[a-z]*.py"))
PAGE = (ROOT / "docs" / "your_parts.md").read_text()


def test_there_is_one_of_each():
    assert [path.stem for path in FILES] == [
        "algorithm",
        "graph",
        "mean_field",
        "metric",
        "network",
        "picture",
        "player",
        "policy",
        "value",
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_is_short_and_on_its_page(path):
    code = path.read_text()
    assert len(code.splitlines()) <= (110 if path.stem == "algorithm" else 40)
    assert f"[examples/custom/{path.name}](../examples/custom/{path.name})" in PAGE


@pytest.mark.slow
@pytest.mark.parametrize("example", [network, policy, value])
def test_it_learns_the_squeeze(example):
    """Uniform play scores .05 here on average; these reach .9 and more in most runs."""
    assert example.main() > 0.6


def test_a_value_operator_by_hand():
    q = torch.tensor([[0.0, 1.0, 3.0]])
    mask = torch.tensor([[1, 1, 0]])
    after = NextStateValues(q, None, ask_online=lambda: q, ask_policy=lambda: q)
    found = float(value.mellowmax(2.0)(after))
    expected = ((1 + torch.tensor([2.0, 6.0]).exp().sum()) / 3).log() / 2
    assert found == pytest.approx(float(expected))
    masked = NextStateValues(q, mask, ask_online=lambda: q, ask_policy=lambda: q)
    expected = ((1 + torch.tensor(2.0).exp()) / 2).log() / 2
    assert float(value.mellowmax(2.0)(masked)) == pytest.approx(float(expected))


def test_the_operator_of_an_agent_is_the_one_it_was_given():
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=4))
    config = mfq.QConfig(replay={"learning_starts": 1}, optimizer={"batch_size": 8}, gamma=0.5)
    agent = mfq.QAgent(view, config=config, value=lambda after: after.q[:, 0] * 0 + 10.0)
    mfq.train(view, agent, 4)
    batch = agent.replay.sample(8)
    bootstrap = 5.0 * (~batch["terminated"])
    assert torch.allclose(agent.td_target(batch), batch["reward"] + bootstrap)


def test_a_policy_keeps_to_its_best_actions_and_to_the_mask():
    pi = policy.TopK(2, 1.0).probabilities
    q = torch.tensor([[1.0, 3.0, 2.0, 0.0]])
    found = pi(q, 0)
    assert found[0, [0, 3]].tolist() == [0, 0]
    assert found[0, 1] / found[0, 2] == pytest.approx(torch.tensor(1.0).exp())
    masked = pi(q, 0, torch.tensor([[1, 0, 0, 1]]))[0].tolist()
    assert masked == pytest.approx([1 / (1 + math.exp(-1)), 0, 0, 1 / (1 + math.e)])


def test_an_agent_of_its_own_policy_tells_its_entropy_and_no_temperature():
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=4))
    agent = mfq.QAgent(view, policy=policy.TopK(1, 1.0))
    agent.act(view.reset(seed=0))
    assert agent.metrics() == {"entropy": 0.0}


def test_the_graph_is_who_stands_near():
    env = battle_v0.batched_env(map_size=16, max_cycles=50)
    view = mfq.wrap(env, graph=graph.near)
    view.reset(seed=0)
    now = env.snapshot()
    for agent in range(view.num_agents):
        near = [
            other
            for other in range(view.num_agents)
            if other != agent
            and abs(int(now.x[0, other]) - int(now.x[0, agent])) <= graph.REACH
            and abs(int(now.y[0, other]) - int(now.y[0, agent])) <= graph.REACH
        ]
        assert view.graph.neighbors(agent).tolist() == near
    assert graph.main(30) > 2


@pytest.mark.slow
def test_an_algorithm_of_ones_own_runs_saves_and_loads(tmp_path):
    game = {"num_agents": 20, "mu": 50.0, "sigma": 20.0, "max_cycles": 50}
    options = {"steps": 1500, "env_options": game, "quiet": True, "evaluation": {"every": 0}}
    runner = mfq.Runner("gaussian_squeeze_v0", algorithm.HuberQ, options)
    assert runner.run()["final_performance"] > 0.6
    path = runner.save(tmp_path / "huber.safetensors")
    again = mfq.Runner.load(path, algo=algorithm.HuberQ)
    pairs = zip(again.agent.module.parameters(), runner.agent.module.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
    # Older checkpoints have no name for the class.
    state = {**checkpoint.load(path), "own_algo": False}
    older = checkpoint.save(state, tmp_path / "older.safetensors")
    assert mfq.Runner.load(older, algo=algorithm.HuberQ).done == 1500
    with pytest.raises(
        ValueError, match="an algorithm of its user's own; allowed: giving it, algo="
    ):
        mfq.Runner.load(older)


def test_the_page_names_protocols_that_exist():
    names = re.findall(r"`(mfq(?:\.\w+)+)`", PAGE)
    assert names
    for name in names:
        found = mfq
        for part in name.split(".")[1:]:
            found = getattr(found, part)
