"""Networks on a GPU with environments on the CPU: `make test-gpu`. Elsewhere it is skipped."""

import pytest
import torch

import mfq
from mfenvs import battle_v0
from tests.mfq.envs.test_device import VIEWS, tensors

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("algo", ["mfq", "mfac"])
def test_a_run_learns_there(name, algo):
    options = {"replay": {"learning_starts": 10}, "optimizer": {"batch_size": 8}}
    config = {"agent": options, "steps": 30, "device": "cuda", "quiet": True}
    runner = mfq.Runner(VIEWS[name](), algo, config)
    assert runner.view.device.type == "cuda"
    runner.train()
    assert runner.evaluate(2)["length"] > 0
    for part in runner.agent.parts:
        assert part.updates
        weights = list(part.module.parameters())
        assert all(each.is_cuda and each.isfinite().all() for each in weights)
        assert all(leaf.is_cuda for leaf in tensors(part.replay.sample(4)))


def test_a_run_by_name_with_workers_is_saved_there_and_goes_on_on_a_cpu(tmp_path):
    config = {
        "steps": 30,
        "num_envs": 2,
        "workers": 2,
        "device": "cuda",
        "quiet": True,
        "out": str(tmp_path),
        "agent": {
            "network": {"normalize": True},
            "reward_scale": "auto",
            "replay": {"learning_starts": 10},
            "optimizer": {"batch_size": 8},
        },
    }
    runner = mfq.Runner("tests.fakes.meadow:make", config=config)
    runner.run()
    runner.finish()
    with pytest.warns(UserWarning, match="and resumes on"):
        again = mfq.Runner.load(tmp_path, device="cpu", steps=40)
    assert again.train()
    again.finish()


def test_steps_there_are_those_of_a_cpu():
    def play(device):
        env = battle_v0.parallel_env(map_size=12, max_cycles=8)
        view = mfq.OnDevice(mfq.wrap(env), device)
        player, step = mfq.Random(0), view.reset(seed=0)
        played = [step]
        for _ in range(12):
            step = view.step(player.act(step))
            played.append(step)
        return played

    for one, other in zip(play("cpu"), play("cuda"), strict=True):
        for name in ("obs", "reward", "alive", "actions", "mean_action", "terminated", "reset"):
            here, there = getattr(one, name), getattr(other, name)
            assert there.is_cuda
            assert torch.equal(here, there.cpu()), name
