"""torch's default device has no effect on learners, whose tensors are on their view's device."""

import pytest
import torch

import mfq
from mfenvs import ising_v0


@pytest.fixture
def elsewhere():
    """No tensor that is made without a device has data."""
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


def trained(algo, make):
    replay = {"replay": {"learning_starts": 16}, "optimizer": {"batch_size": 8}}
    config = {"agent": replay if algo == "mfq" else {}, "steps": 30, "quiet": True}
    runner = mfq.Runner(mfq.wrap(make(side=4, max_cycles=6)), algo=algo, config=config)
    runner.train()
    scores = runner.evaluate(episodes=1, seed=3)
    runner.finish()
    return scores


@pytest.mark.parametrize("make", [ising_v0.batched_env, ising_v0.parallel_env])
@pytest.mark.parametrize("algo", ["mfq", "mfac"])
def test_a_run_is_the_same_under_another_default_device(algo, make, elsewhere):
    actual = trained(algo, make)
    torch.set_default_device(None)
    assert actual == trained(algo, make)
