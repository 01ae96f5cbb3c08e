"""Data parallel: two processes learn what one with both their batches learns."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mfq
from mfenvs import gaussian_squeeze_v0
from mfq.agents import registry
from mfq.agents.actor_critic import ACConfig, ActorCritic
from mfq.agents.ppo import PPO
from mfq.agents.ppo_config import PPOConfig
from mfq.agents.q_agent import QAgent
from mfq.agents.q_config import QConfig
from mfq.common import distributed
from mfq.replay.ring import RingReplay

pytestmark = pytest.mark.slow

PROCESSES = 2
WORKER = """
    import atexit, sys
    from tests.mfq.common.test_distributed import learn_all, look_for_threads
    atexit.register(look_for_threads)
    learn_all(sys.argv[1])
"""
ALGORITHMS = ("mfq", "mfac", "the authors' mfac", "mf_ppo")
UPDATES = {"mfq": 30, "mfac": 30, "the authors' mfac": 10, "mf_ppo": 20}


class LatestReplay(RingReplay):
    """Gives back what was added last, all of it, in place of random transitions."""

    def sample(self, size):
        count = self.capacity
        places = torch.arange(self.added - count, self.added) % self.capacity
        fields = self.state_dict()["fields"]
        return {name: values[places] for name, values in fields.items()}


def make_agent(view, algo):
    """An agent that learns from the latest transitions of all rows, or from rounds of three steps."""
    if algo == "the authors' mfac":
        config = ACConfig(
            critic="v",
            rollout={"steps": 3},
            optimizer={"critic_learning_rate": 1e-2, "clip_gradient": 0.5},
        )
        return ActorCritic(view, config=config, seed=1)
    if algo == "mf_ppo":  # two steps on each round, as minibatches would be drawn apart
        rollout = {"steps": 3, "epochs": 2, "minibatches": 1}
        optimizer = {"actor_learning_rate": 1e-2, "clip_gradient": 0.5}
        return PPO(view, config=PPOConfig(rollout=rollout, optimizer=optimizer), seed=1)
    shared = {"replay": {"learning_starts": 4 * 6}, "gamma": 0.5}
    if algo == "mfac":
        optimizer = {"critic_learning_rate": 1e-2, "clip_gradient": 0.5}
        agent = ActorCritic(view, config=ACConfig(optimizer=optimizer, **shared), seed=1)
    else:
        greedy = {"policy": "epsilon_greedy", "start": 0.0, "end": 0.0}
        optimizer = {"learning_rate": 1e-2, "clip_gradient": 0.5}
        config = QConfig(exploration=greedy, optimizer=optimizer, **shared)
        agent = QAgent(view, config=config, seed=1)
    agent.replay = LatestReplay(view.num_envs * 6, view.device, 0)
    return agent


def weights_of(agent):
    return torch.cat([part.flatten() for part in agent.module.parameters()]).detach()


def look_for_threads():
    """Fails, at the exit, if threads of gloo's outlive the group: they may abort a process that ends."""
    tasks = Path("/proc/self/task")
    names = [(task / "comm").read_text() for task in tasks.iterdir()] if tasks.exists() else []
    if any("gloo" in name for name in names):
        print(names, file=sys.stderr, flush=True)
        os._exit(1)


def learn_all(path):
    """Trains with each algorithm and writes the weights; one start of processes serves all."""
    torch.set_num_threads(1)
    distributed.join("cpu")
    weights = {algo: learn(algo) for algo in ALGORITHMS}
    if distributed.rank() == 0:
        torch.save(weights, path)


def learn(algo):
    """Trains greedily for a while (no coin is thrown) and returns the weights."""
    rows = 4 // distributed.world()
    env = gaussian_squeeze_v0.batched_env(num_envs=rows, num_agents=6, mu=15.0, sigma=8.0)
    view = mfq.wrap(env)
    agent = make_agent(view, algo)
    first = rows * distributed.rank()

    # Rows differ by what is done in them, so that a process sees another part than the other does.
    def act(step, explore=True):
        chosen = type(agent).act(agent, step, explore=False)
        shift = torch.arange(first, first + rows)[:, None] + torch.arange(6)
        return (chosen + shift) % 10

    agent.act = act
    mfq.train(view, agent, 30)
    assert agent.updates == UPDATES[algo]
    return weights_of(agent)


def run(path, *launcher):
    code = "\n".join(line.strip() for line in WORKER.strip().splitlines())
    script = path.with_suffix(".py")
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, *launcher, str(script), str(path)],
        capture_output=True,
        text=True,
        timeout=150,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return torch.load(path, weights_only=True)


def test_two_processes_learn_what_one_with_twice_the_rows_does(tmp_path):
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={PROCESSES}"]
    one, two = run(tmp_path / "one"), run(tmp_path / "two", *launcher)
    env = gaussian_squeeze_v0.batched_env(num_envs=4, num_agents=6)
    for algo in ALGORITHMS:
        assert torch.allclose(one[algo], two[algo], rtol=1e-3, atol=1e-4), algo
        untrained = weights_of(make_agent(mfq.wrap(env), algo))
        assert not torch.allclose(one[algo], untrained, rtol=1e-2, atol=2e-3), algo


@pytest.mark.parametrize("algo", ["mfq", "mfac"])
def test_processes_have_the_same_weights_and_throw_other_coins(monkeypatch, algo):
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=2, num_agents=6))
    first = registry.make_agent(view, algo, seed=4)
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    second = registry.make_agent(view, algo, seed=4)
    assert torch.equal(weights_of(first), weights_of(second))
    for one, other in ((first, second), (first.replay, second.replay)):
        assert not torch.equal(one.generator.get_state(), other.generator.get_state())


def test_alone_nothing_is_asked_of_anybody():
    distributed.join("cpu")
    assert (distributed.rank(), distributed.world(), distributed.total(3)) == (0, 1, 3)
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([1.0, 2.0])
    distributed.average_gradients([weight])
    assert weight.grad.tolist() == [1.0, 2.0]
