"""The CUDA half of the backend, as far as it goes without a GPU; tests/gpu has what needs one."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mfenvs import ising_v0
from mfenvs.engine.backend import PLAIN_CALLS, CudaBackend, get_backend
from mfenvs.engine.compile import THREADS, compiled_kernel, kernel_shape
from mfenvs.gridworld.game import CONSTRUCTED
from mfenvs.gridworld.games.adversarial_pursuit import PursuitConfig, PursuitGame
from mfenvs.gridworld.start import construct
from mfenvs.registry import game_class
from mfenvs.views import batched
from mfenvs.views.batched import BatchedEnv
from tests.fakes.fake_graphs import FakeTorch
from tests.fakes.ptx_backend import PtxBackend, why_not
from tests.fakes.simulated_backend import GAMES as SIMULATED
from tests.fakes.simulated_backend import trace

pytestmark = pytest.mark.slow

MOST_PARAMETERS = 32_764  # bytes of a kernel's, from sm_70 on
GAMES = {
    "ising": ("ising_v0", {"side": 4}),
    "ising, checkerboard": ("ising_v0", {"side": 4, "update": "checkerboard", "max_cycles": 3}),
    "ising, neighbours": ("ising_v0", {"side": 3, "update": "random", "observe_neighbors": True}),
    "squeeze": ("gaussian_squeeze_v0", {"num_agents": 9, "max_cycles": 3}),
    "battle": ("battle_v0", {"map_size": 14, "max_cycles": 3}),
    "battle, all": ("battle_v0", {"map_size": 14, "minimap_mode": True, "extra_features": True}),
    # 16 bits, for larger maps or more actions, would take as long to compile as all others;
    # they are in tests/gpu.
    "battle, bands": ("battle_v0", {"map_size": 100, "speed": 4, "placement": "paper"}),
    "battle, random": ("battle_v0", {"map_size": 14, "placement": "random", "max_cycles": 2}),
    "pursuit": (
        "adversarial_pursuit_v0",
        {"map_size": 12, "minimap_mode": True, "extra_features": True, "max_cycles": 3},
    ),
    "tiger_deer": ("tiger_deer_v0", {"map_size": 12, "counts": {"tiger": 5}, "max_cycles": 3}),
    "arms": ("combined_arms_v0", {"map_size": 16, "minimap_mode": True, "max_cycles": 3}),
    "gather": (
        "gather_v0",
        {
            "map_size": 14,
            "placement": "random",
            "counts": {"omnivore": 9, "food": 12, "walls": 3},
            "minimap_mode": True,
            "extra_features": True,
        },
    ),
    "battle, near": ("battle_v0", {"map_size": 14, "neighbor_radius": 3.0, "neighbors": "all"}),
}


@pytest.fixture(scope="module")
def toolchain():
    if (reason := why_not()) is not None:
        pytest.skip(f"rules cannot be compiled for GPUs here: {reason}")


def played_on(backend, monkeypatch, name, **options):
    """All that a game returns over a few steps on a backend."""
    monkeypatch.setattr(batched, "get_backend", lambda device: backend)
    id, settings = GAMES[name]
    env = BatchedEnv(game_class(id), 2, **settings, **options)
    found = trace(env, 4)
    return [*found, *map(torch.as_tensor, env.neighbor_graph.edge_index())]


@pytest.mark.parametrize("name", list(GAMES))
def test_every_rule_compiles_for_a_gpu(toolchain, monkeypatch, name):
    backend = PtxBackend(narrow=("view", "features"))
    found = played_on(backend, monkeypatch, name)
    # What a GPU is given to do, done on the CPU, is what the CPU does.
    expected = played_on(get_backend(), monkeypatch, name)
    assert all(map(torch.equal, found, expected))
    assert len(backend.ptx) >= 7
    for kinds in backend.ptx.values():
        for code in kinds.values():
            assert ".target sm_90" in code
            assert code.count(".param .u64") * 8 < MOST_PARAMETERS
            if GAMES[name][0] not in ("ising_v0", "gaussian_squeeze_v0"):
                # Of grid worlds, so that their bits are those of the CPU.
                assert "fma." not in code


def test_what_a_first_reset_draws_compiles_too(toolchain):
    """Where positions are drawn, MAgent2's constructor has drawn once before."""
    backend = PtxBackend()
    game = PursuitGame(PursuitConfig(map_size=12), backend)
    state = game.allocate(2)
    game.seed_rows(state, np.array([3, 4 | CONSTRUCTED]))
    (code,) = backend.ptx[construct].values()
    assert "fma." not in code
    assert not state.walls[0].any()
    assert state.walls[1].all()


def test_the_simulator_runs_the_launches():
    """Grids, blocks, named tuples, memory, what is recorded: everything but compiler and device."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.fakes.simulated_backend"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(SIMULATED)


@pytest.fixture
def recorder():
    """A backend that only repeats, over fake graphs."""
    backend = CudaBackend.__new__(CudaBackend)
    backend._torch, backend._device = FakeTorch(), torch.device("cpu")
    backend._calls, backend._graphs = {}, {}
    return backend


def test_what_repeats_is_recorded_once_and_replayed_from_then_on(recorder):
    cuda, given, sums, played = recorder._torch.cuda, [0], {"a": 0, "b": 0}, []

    def add(name):
        sums[name] += given[0]

    def play(name):
        played.append(name)
        cuda.launch(add, name)

    expected = {"a": 0, "b": 0}
    for number in range(1, 3 * PLAIN_CALLS):
        for name in ("a", "b"):
            given[0] = 10**number
            expected[name] += given[0]
            recorder.repeat(name, lambda name=name: play(name))
            assert sums == expected, "each call counts once, with what is given now"
    assert played == ["a", "b"] * (PLAIN_CALLS + 1)
    assert [graph.replays for graph in cuda.graphs] == [2 * PLAIN_CALLS - 1] * 2


def test_within_anothers_recording_it_is_part_of_that(recorder):
    cuda, calls = recorder._torch.cuda, []
    play = lambda: cuda.launch(calls.append, 1)  # noqa: E731
    for _ in range(PLAIN_CALLS + 2):
        recorder.repeat("a", play)
    outer = cuda.CUDAGraph()
    with cuda.graph(outer):
        recorder.repeat("a", play)
        recorder.repeat("new", play)
    assert len(calls) == PLAIN_CALLS + 2
    outer.replay()
    assert len(calls) == PLAIN_CALLS + 4
    assert len(cuda.graphs) == 2


@given(
    st.lists(st.integers(1, 5), max_size=2),
    st.one_of(st.integers(1, 40), st.integers(1, 1500)),
)
@settings(deadline=None)
def test_a_launch_covers_every_point_once(leading, last):
    extent = (*leading, last)
    (blocks, along_blocks), (along, before) = kernel_shape(extent)
    assert along * before <= THREADS
    seen = np.zeros(extent, np.int64).reshape(-1, last)
    for lead in range(blocks * before):  # block times threads, plus thread
        if lead < len(seen):
            for first in range(along_blocks * along):
                seen[lead, first :: along_blocks * along] += 1
    assert (seen == 1).all()


def test_many_points_are_shared_out_over_threads_that_neighbour_in_memory():
    assert kernel_shape((1, 1_000_000)) == ((1, 7813), (128, 1))
    assert kernel_shape((1_000_000,)) == ((1, 7813), (128, 1))
    assert kernel_shape((4096, 128, 846)) == ((4096 * 128, 2), (128, 1))
    assert kernel_shape((64, 20, 20)) == ((320, 1), (32, 4))


def test_a_device_that_is_not_there_is_named():
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ValueError, match="device='cuda'; torch has 0 CUDA devices"):
        ising_v0.batched_env(device="cuda")
    for wrong in ("cuda:x", "gpu", "cpu:1", torch.device("meta")):
        with pytest.raises(ValueError, match="allowed: 'cpu', 'cuda'"):
            ising_v0.batched_env(device=wrong)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba_cuda", None)
    with pytest.raises(ImportError, match=r"pip install 'mfenvs\[cuda\]'"):
        compiled_kernel.__wrapped__(lambda row: None)


def test_half_precision_is_for_gpus():
    with pytest.raises(ValueError, match=r"dtype='float16'; .*allowed: 'float32'"):
        ising_v0.batched_env(dtype="float16")


def test_on_a_device_an_action_that_does_not_exist_is_none(monkeypatch):
    backend = PtxBackend()
    backend.run = get_backend().run
    monkeypatch.setattr(batched, "get_backend", lambda device: backend)
    env = BatchedEnv(game_class("gaussian_squeeze_v0"), 1, num_agents=4)
    env.reset()
    *_, info = env.step(torch.tensor([[3, 10, -7, 9]]))
    assert info["actions"].tolist() == [[3, -1, -1, 9]]
    assert info["acting"].tolist() == [[True, False, False, True]]
    with pytest.raises(TypeError, match=r"actions is torch\.float32"):
        env.step(torch.zeros(1, 4))
    with pytest.raises(TypeError, match="actions is list"):
        env.step([[1, 2, 3, 4]])
    with pytest.raises(ValueError, match=r"actions has shape \(4, 1\)"):
        env.step(torch.zeros(4, 1, dtype=torch.int64))
