"""The games on a GPU: `make test-gpu`. Elsewhere all of it is skipped, and says so."""

import contextlib
import warnings

import pytest
import torch

from mfenvs.engine.backend import PLAIN_CALLS
from mfenvs.registry import game_class
from mfenvs.views.batched import BatchedEnv
from tests.fakes.simulated_backend import trace
from tests.mfenvs.engine.test_cuda import GAMES as COMPILED

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")

GAMES = {
    **COMPILED,
    "battle, large": ("battle_v0", {"map_size": 256, "speed": 7, "placement": "paper"}),
}
# Float arithmetic contracts to fma on the device; exponentials differ in their last digits.
ULPS = {"gaussian_squeeze_v0": 64, "ising_v0": 4}


@contextlib.contextmanager
def waiting_is_an_error():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this mode is a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", list(GAMES))
def test_a_gpu_plays_what_a_cpu_plays(name):
    id, options = GAMES[name]
    cpu = trace(BatchedEnv(game_class(id), 33, **options), 30)
    gpu = trace(BatchedEnv(game_class(id), 33, device="cuda", **options), 30)
    assert len(cpu) == len(gpu)
    for one, other in zip(cpu, gpu, strict=True):
        assert one.dtype == other.dtype
        if one.is_floating_point() and id in ULPS:
            eps = torch.finfo(one.dtype).eps
            assert torch.allclose(one, other, rtol=ULPS[id] * eps, atol=ULPS[id] * eps)
        else:
            assert torch.equal(one, other)


def test_half_precision_observations_are_the_rounded_ones():
    id, options = GAMES["battle, all"]
    full, half = (
        BatchedEnv(game_class(id), 5, device="cuda", dtype=dtype, **options)
        for dtype in ("float32", "float16")
    )
    pairs = zip(full.reset(seed=0)[0].items(), half.reset(seed=0)[0].values(), strict=True)
    for (key, one), other in pairs:
        assert other.dtype == torch.float16
        assert torch.equal(one.half(), other), key


def test_a_step_waits_for_nothing_and_copies_nothing_to_the_host():
    id, options = GAMES["battle, all"]
    env = BatchedEnv(game_class(id), 64, device="cuda", **options)
    env.reset(seed=0)
    actions = torch.zeros((64, env.num_agents), dtype=torch.int64, device="cuda")
    for _ in range(2 * PLAIN_CALLS + 2):  # the last of which are recorded
        env.step(actions)
    with waiting_is_an_error():
        for _ in range(5):
            env.step(actions)


def test_it_runs_on_the_current_stream():
    id, options = GAMES["ising"]
    env = BatchedEnv(game_class(id), 2048, device="cuda", **options)
    env.reset(seed=0)
    side = torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(side):
        torch.cuda._sleep(50_000_000)
        actions = torch.ones((2048, 16), dtype=torch.int64, device="cuda")
        obs, *_ = env.step(actions)
        total = obs[..., 0].sum()
    side.synchronize()
    assert float(total) == 2048 * 16
