"""examples/plain_mfq.py: MFQ in one short file, by the equations, which learns to beat random."""

import ast
import math
import sys
from pathlib import Path

import pytest
import torch
from gymnasium import spaces
from torch import nn
from torch.nn.functional import one_hot

from examples import plain_mfq
from examples.plain_mfq import Options, Replay, evaluate, loss, mean_action, train
from mfenvs import battle_v0
from mfenvs.graph import CompleteGraph

FILE = Path(plain_mfq.__file__)


# -- The file -------------------------------------------------------------------------------------


def test_the_file_is_short():
    assert len(FILE.read_text().splitlines()) <= 250


def test_the_file_needs_only_mfenvs_numpy_and_torch():
    packages = set()
    for node in ast.walk(ast.parse(FILE.read_text())):
        if isinstance(node, ast.Import):
            packages |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            packages.add(node.module.partition(".")[0])
    assert {"mfenvs", "torch"} <= packages
    assert packages <= {"mfenvs", "numpy", "torch"} | sys.stdlib_module_names


# -- The equations --------------------------------------------------------------------------------


class Affine(nn.Module):
    """Q(o, a, abar) = scale * (o[a] + 2 abar[a]), for observations of one number per action."""

    def __init__(self, scale):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, obs, mean):
        return self.scale * (obs + 2 * mean)


def test_the_loss_is_that_of_the_equations():
    gamma, temperature = 0.9, 0.5
    obs = [[0.3, -0.2], [1.0, 0.4], [-0.5, 0.7]]
    mean = [[0.25, 0.75], [1.0, 0.0], [0.0, 0.5]]
    next_obs = [[0.1, 0.6], [-0.3, 0.2], [0.8, 0.9]]
    action, reward, terminated = [1, 0, 0], [0.2, -0.1, 5.0], [False, True, False]

    expected, slope = 0.0, 0.0  # of the network's scale, 2
    for m in range(3):
        after = [3.0 * (next_obs[m][a] + 2 * mean[m][a]) for a in range(2)]
        weights = [math.exp(value / temperature) for value in after]
        v = sum(weight * value for weight, value in zip(weights, after, strict=True)) / sum(weights)
        y = reward[m] + (0.0 if terminated[m] else gamma * v)
        basis = obs[m][action[m]] + 2 * mean[m][action[m]]
        expected += (y - 2.0 * basis) ** 2 / 3
        slope += -2 * (y - 2.0 * basis) * basis / 3

    batch = {
        "obs": torch.tensor(obs),
        "action": torch.tensor(action),
        "mean": torch.tensor(mean),
        "reward": torch.tensor(reward),
        "next_obs": torch.tensor(next_obs),
        "terminated": torch.tensor(terminated),
    }
    q, target = Affine(2.0), Affine(3.0)
    value = loss(q, target, batch, temperature, gamma)
    value.backward()
    assert value.item() == pytest.approx(expected, rel=1e-5)
    assert q.scale.grad.item() == pytest.approx(slope, rel=1e-5)
    assert target.scale.grad is None


def test_the_mean_action_is_that_of_the_other_living_agents_of_the_army():
    graph = CompleteGraph(5, [0, 0, 0, 1, 1])
    mean = mean_action(graph, torch.tensor([[2, 0, -1, 1, -1]]), 3)
    expected = [[1, 0, 0], [0, 0, 1], [0.5, 0, 0.5], [0, 0, 0], [0, 1, 0]]
    assert mean.tolist() == [expected]


def test_the_policy_prefers_the_better_action():
    policy = plain_mfq.boltzmann(torch.tensor([0.0, 0.1]), temperature=0.1)
    assert policy.tolist() == pytest.approx([1 / (1 + math.e), math.e / (1 + math.e)])


# -- Samples --------------------------------------------------------------------------------------


def test_the_replay_keeps_the_latest_samples():
    replay = Replay(5)
    for first, last in ((0, 3), (3, 7), (7, 8)):
        values = torch.arange(first, last)
        replay.add(action=values, obs=values[:, None] + 0.5)
    assert sorted(replay.data["action"].tolist()) == [3, 4, 5, 6, 7]
    batch = replay.sample(100)
    assert set(batch["action"].tolist()) == {3, 4, 5, 6, 7}
    assert torch.equal(batch["obs"][:, 0], batch["action"] + 0.5)


def test_the_samples_are_of_those_who_acted(monkeypatch):
    steps = []
    lines = {army: [(x, y) for y in range(4, 16)] for army, x in (("red", 9), ("blue", 10))}
    deadly = {"map_size": 20, "max_cycles": 5, "damage": 20.0, "placement": lines}
    deadly |= {"extra_features": True, "minimap_mode": True, "copied_start": False}
    monkeypatch.setattr(plain_mfq, "make_env", lambda b: battle_v0.batched_env(b, **deadly))
    monkeypatch.setattr(Replay, "add", lambda self, **samples: steps.append(samples))
    train(Options(num_envs=2, steps=7))
    counts = [len(samples["action"]) for samples in steps]
    deaths = [int(samples["terminated"].sum()) for samples in steps]
    # At first all act: 12 of each army in 2 battles.
    actions = one_hot(steps[0]["action"].view(2, 2, 12), 21).float()
    others = (actions.sum(2, keepdim=True) - actions) / 11
    assert torch.allclose(steps[0]["mean"].view(2, 2, 12, 21), others)
    survivors = ~steps[0]["terminated"]
    assert torch.equal(steps[0]["next_obs"][survivors], steps[1]["obs"])
    # The step of a death is among the samples, and is the last one of that agent.
    assert sum(deaths[:4]) > 0
    assert counts[:5] == [48 - sum(deaths[:t]) for t in range(5)]
    rewards = torch.cat([samples["reward"][samples["terminated"]] for samples in steps])
    assert rewards.min() == pytest.approx(-0.1)
    # The time limit is no death: it ends step 5. Step 6 starts the next battles.
    assert deaths[4] < counts[4]
    assert counts[5:] == [0, 48]


# -- Playing --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_evaluation_counts_the_victories_of_the_network(monkeypatch):
    env = battle_v0.batched_env(4, map_size=20, max_cycles=60, copied_start=False)
    monkeypatch.setattr(plain_mfq, "make_env", lambda num_envs: env)
    monkeypatch.setattr(plain_mfq, "act", lambda *_: env.scripted("rush").clamp(min=0))
    assert evaluate(None, 1.0, battles=8) == 1.0


class TwoBattles:
    """Two battles of one against one, with scripted ends: red wins the first one after a step,
    and its next one after two more; the second one ends undecided after four steps."""

    num_envs, agents, single_action_space = 2, ["red_0", "blue_0"], spaces.Discrete(6)
    neighbor_graph = CompleteGraph(2, [0, 1])
    ALIVE = (([1, 1], [0, 1]), ([1, 1], [1, 1]), ([1, 1], [0, 1]), ([1, 1], [1, 1]))

    def __init__(self):
        self.actions = []

    def reset(self, seed):
        self.time = 0
        return self.observe(([1, 1], [1, 1]))

    def observe(self, alive):
        obs = {"view": torch.zeros(2, 2, 1, 1, 1), "features": torch.zeros(2, 2, 1)}
        red, blue = map(torch.tensor, alive)
        actions = torch.zeros(2, 2, dtype=torch.int64)
        return obs, {"actions": actions, "red_alive": red, "blue_alive": blue}

    def step(self, actions):
        self.actions.append(actions)
        obs, info = self.observe(self.ALIVE[self.time])
        self.time += 1
        return obs, None, None, torch.tensor([False, self.time == 4]), info


def test_the_evaluation_plays_each_battle_once_from_both_sides(monkeypatch):
    env = TwoBattles()
    monkeypatch.setattr(plain_mfq, "make_env", lambda num_envs: env)
    monkeypatch.setattr(plain_mfq, "act", lambda *_: torch.full((2, 2), 7))  # random has 0 to 5
    assert evaluate(None, 1.0, battles=4) == 1 / 4  # a draw is no victory
    sides = [(actions == 7).tolist() for actions in env.actions]
    assert sides == [[[True, False]] * 2] * 4 + [[[False, True]] * 2] * 4


def test_the_command_prints_the_win_rates(monkeypatch, capsys):
    asked = []

    def rate(q, temperature):
        asked.append((q, temperature))
        return 0.25 * len(asked)

    monkeypatch.setattr(plain_mfq, "evaluate", rate)
    monkeypatch.setattr(plain_mfq, "train", lambda options: (options, "trained"))
    assert plain_mfq.main(["--seed", "3", "--steps", "7"]) == (0.25, 0.5)
    options = Options(seed=3, steps=7)
    assert asked == [(options, options.first_temperature), ("trained", options.last_temperature)]
    assert "0.25 before training, 0.50 after" in capsys.readouterr().out


@pytest.mark.slow
def test_a_short_training_beats_random():
    options = Options(steps=700)
    _, trained = train(options)
    assert evaluate(trained, options.last_temperature, battles=40) >= 0.8
