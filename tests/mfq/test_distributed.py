"""Data parallel: two processes learn what one with both their batches learns."""

import os
import subprocess
import sys

import torch

import mfq
from mfenvs import gaussian_squeeze_v0
from mfq import distributed
from mfq.q_agent import QAgent
from mfq.q_config import QConfig
from mfq.replay import Replay

PROCESSES = 2
WORKER = """
    import sys
    from tests.mfq.test_distributed import learn
    learn(sys.argv[1])
"""


class LatestReplay(Replay):
    """Gives back what was added last, all of it, in place of random transitions."""

    def sample(self, size):
        count = self.capacity
        places = torch.arange(self.added - count, self.added) % self.capacity
        return {name: values[places] for name, values in self._fields.items()}


def learn(path):
    """Trains greedily for a while (no coin is thrown) and writes the weights."""
    torch.set_num_threads(1)
    distributed.join("cpu")
    rows = 4 // distributed.world()
    env = gaussian_squeeze_v0.batched_env(num_envs=rows, num_agents=6, mu=15.0, sigma=8.0)
    view = mfq.wrap(env)
    config = QConfig(
        policy="epsilon_greedy",
        explore_start=0.0,
        explore_end=0.0,
        learn_after=4 * 6,
        learning_rate=1e-2,
        clip_gradient=0.5,
        gamma=0.5,
    )
    agent = QAgent(view, config=config, seed=1)
    agent.replay = LatestReplay(rows * 6, view.device, 0)
    first = rows * distributed.rank()

    # Rows differ by what is done in them, so that a process sees another part than the other does.
    def act(step, explore=True):
        chosen = QAgent.act(agent, step, explore)
        shift = torch.arange(first, first + rows)[:, None] + torch.arange(6)
        return (chosen + shift) % 10

    agent.act = act
    mfq.train(view, agent, 30)
    assert agent.updates == 30
    if distributed.rank() == 0:
        weights = torch.cat([part.flatten() for part in agent.module.parameters()])
        torch.save(weights, path)


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
    one = run(tmp_path / "one")
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={PROCESSES}"]
    two = run(tmp_path / "two", *launcher)
    assert torch.allclose(one, two, rtol=1e-3, atol=1e-4)
    untrained = torch.cat([part.flatten() for part in untrained_network().parameters()])
    assert not torch.allclose(one, untrained, rtol=0.1, atol=0.05)


def untrained_network():
    env = gaussian_squeeze_v0.batched_env(num_envs=4, num_agents=6)
    return QAgent(mfq.wrap(env), seed=1).module


def test_alone_nothing_is_asked_of_anybody():
    distributed.join("cpu")
    assert (distributed.rank(), distributed.world(), distributed.total(3)) == (0, 1, 3)
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([1.0, 2.0])
    distributed.average_gradients([weight])
    assert weight.grad.tolist() == [1.0, 2.0]
