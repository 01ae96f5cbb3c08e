"""`CudaBackend` over Numba's simulator and torch's CPU memory. Set NUMBA_ENABLE_CUDASIM=1 before numba
is imported, which is why it runs in a process of its own: `python -m tests.mfenvs.simulated_backend`."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import torch
from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray
from torch import Tensor

from mfenvs import batched
from mfenvs.backend import CudaBackend
from mfenvs.batched import BatchedEnv
from mfenvs.compile import cuda_library
from mfenvs.registry import game_class

# Few cells a view, since the simulator has a thread of Python for each.
GAMES = {
    "ising_v0": {"side": 4, "update": "checkerboard", "max_cycles": 3},
    "gaussian_squeeze_v0": {"num_agents": 7, "max_cycles": 3},
    "battle_v0": {
        "map_size": 12,
        "view_radius": 1.5,
        "minimap_mode": True,
        "extra_features": True,
        "max_cycles": 3,
        "placement": {"red": [(4, 5), (4, 6)], "blue": [(5, 5), (5, 6), (6, 6)]},
    },
}


class SimulatedBackend(CudaBackend):
    """Everything of CudaBackend's but the device."""

    def __init__(self) -> None:
        self._torch, self._cuda = torch, cuda_library()
        self._place, self.device = torch.device("cpu"), "cpu"
        self._kept, self._launches = {}, {}

        self._wrap = FakeCUDAArray
        torch.cuda.device = contextlib.nullcontext
        torch.cuda.current_stream = lambda: SimpleNamespace(cuda_stream=0)

    def repeat(self, name, play):
        play()  # the simulator records nothing

    def _seen_by_numba(self, argument):
        if isinstance(argument, Tensor):
            # As a device's array: the simulator would copy any other in and out again.
            return self._wrap(argument.numpy())
        return super()._seen_by_numba(argument)


def trace(env: BatchedEnv, steps: int) -> list[Tensor]:
    """All that an environment returns over a few steps, some of whose actions do not exist: copies, on
    the CPU, where the actions are drawn."""
    coin = torch.Generator().manual_seed(1)
    obs, info = env.reset(seed=3)
    found = [part.cpu().clone() for part in (*flat(obs), *flat(info))]
    for _ in range(steps):
        most = int(env.single_action_space.n)
        actions = torch.randint(-1, most, (env.num_envs, env.num_agents), generator=coin)
        obs, *rest, info = env.step(actions.to(env.device))
        snapshot = env.snapshot()
        again = env.observe(snapshot, [0, env.num_envs - 1], [0, env.num_agents - 1])
        parts = (*flat(obs), *rest, *flat(info), *flat(again))
        scripted = (env.scripted(name) for name in env.game.scripts)
        found += [part.cpu().clone() for part in parts]
        found += [part.cpu().clone() for part in scripted]
    return found


def flat(parts) -> list[Tensor]:
    return list(parts.values()) if isinstance(parts, dict) else [parts]


def main() -> None:
    plain = [trace(BatchedEnv(game_class(id), 2, **GAMES[id]), 5) for id in GAMES]
    batched.get_backend = lambda device: SimulatedBackend()
    for id, expected in zip(GAMES, plain, strict=True):
        found = trace(BatchedEnv(game_class(id), 2, **GAMES[id]), 5)
        assert len(found) == len(expected)
        assert all(map(torch.equal, found, expected)), id
        print(id, len(found))


if __name__ == "__main__":
    main()
