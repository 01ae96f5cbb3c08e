"""`CudaBackend` over Numba's simulator and torch's CPU memory. Set NUMBA_ENABLE_CUDASIM=1 before numba
is imported, which is why it runs in a process of its own: `python -m tests.fakes.simulated_backend`."""

from __future__ import annotations

import torch
from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray
from torch import Tensor

from mfenvs.engine.backend import PLAIN_CALLS, CudaBackend
from mfenvs.engine.compile import cuda_library
from mfenvs.registry import game_class
from mfenvs.views import batched
from mfenvs.views.batched import BatchedEnv
from tests.fakes.fake_graphs import FakeTorch

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
    "adversarial_pursuit_v0": {
        "map_size": 7,
        "counts": {"predator": 1, "prey": 2, "walls": 1},
        "units": {"predator": {"view_radius": 2}, "prey": {"view_radius": 1}},
        "minimap_mode": True,
        "max_cycles": 3,
    },
    "tiger_deer_v0": {
        "map_size": 10,
        "counts": {"deer": 3, "tiger": 3, "walls": 2},
        "units": {"tiger": {"view_radius": 1}},
        "extra_features": True,
        "max_cycles": 3,
    },
    "gather_v0": {
        "map_size": 7,
        "placement": {"omnivore": [(2, 2), (3, 2)], "food": [(2, 3), (3, 3), (4, 2)]},
        "units": {"omnivore": {"view_radius": 1, "speed": 1}},
        "minimap_mode": True,
        "max_cycles": 3,
    },
}


STEPS = 2 * PLAIN_CALLS + 5  # so that each of the two sets of buffers is recorded, then replayed


class SimulatedBackend(CudaBackend):
    """Everything of CudaBackend's but the device: launches are the simulator's, graphs are fakes."""

    def __init__(self) -> None:
        self._torch, self._cuda = FakeTorch(), cuda_library()
        self._device, self.device = torch.device("cpu"), "cpu"
        self._pinned, self._launches = {}, {}
        self._calls, self._graphs = {}, {}

    @property
    def graphs(self):
        return self._torch.cuda.graphs

    def _configure(self, key):
        launch, cuda = super()._configure(key), self._torch.cuda
        self._launches[key] = lambda *arguments: cuda.launch(launch, *arguments)
        return self._launches[key]

    def _numba_argument(self, argument):
        if isinstance(argument, Tensor):
            # As a device's array: the simulator would copy any other in and out again.
            return FakeCUDAArray(argument.numpy())
        return super()._numba_argument(argument)


def trace(env: BatchedEnv, steps: int) -> list[Tensor]:
    """All that an environment returns over a few steps, some of whose actions do not exist: copies, on
    the CPU, where the actions are drawn."""
    coin = torch.Generator().manual_seed(1)
    obs, info = env.reset(seed=3)
    found = [part.cpu().clone() for part in (*flat(obs), *flat(info))]
    for _ in range(steps):
        most = env.game.num_actions
        actions = torch.randint(-1, most, (env.num_envs, env.num_agents), generator=coin)
        if env.game.has_types:  # some have fewer
            actions = actions.minimum(torch.from_numpy(env.game.action_counts) - 1)
        obs, *rest, info = env.step(actions.to(env.device))
        snapshot = env.snapshot()
        again = env.observe(snapshot, [0, env.num_envs - 1], [0, env.num_agents - 1])
        parts = (*flat(obs), *rest, *flat(info), *flat(again))
        scripted = (env.scripted(name) for name in env.game.scripts)
        found += [part.cpu().clone() for part in parts]
        found += [part.cpu().clone() for part in scripted]
    return found


def flat(parts) -> list[Tensor]:
    if not isinstance(parts, dict):
        return [parts]
    return [tensor for part in parts.values() for tensor in flat(part)]


def main() -> None:
    plain = [trace(BatchedEnv(game_class(id), 2, **GAMES[id]), STEPS) for id in GAMES]
    backends: list[SimulatedBackend] = []
    batched.get_backend = lambda device: backends.append(SimulatedBackend()) or backends[-1]
    for id, expected in zip(GAMES, plain, strict=True):
        found = trace(BatchedEnv(game_class(id), 2, **GAMES[id]), STEPS)
        assert len(found) == len(expected)
        assert all(map(torch.equal, found, expected)), id
        # All but the plain calls were replays, turn and turn about.
        replays = [graph.replays for graph in backends[-1].graphs]
        assert replays == [(STEPS + 1) // 2 - PLAIN_CALLS, STEPS // 2 - PLAIN_CALLS], (id, replays)
        assert all(len(graph.launches) >= 2 for graph in backends[-1].graphs), id
        print(id, len(found))


if __name__ == "__main__":
    main()
