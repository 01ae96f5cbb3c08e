"""Steps a second of batched battles beside MAgent2's raw engine.

Both play on a map of 40, 64 against 64, with views of 13 x 13 x 5 in float32: the same game, row 0 of
ours and the engine alone, with the same actions, recorded before; in the end as many must live in both.
The phases are those of `benchmarks.battle`. MAgent2's engine runs on one thread, driven without its
PettingZoo layer: actions set, a step, rewards and who lives; then observations where they are asked for.

Tiers: "step" is the rules alone (our `Game.step`); "views" adds observations (ours through `BatchedEnv`,
with its checks and infos); "network" adds acting greedily with the paper's convolutions on the view
(`mfq.networks.networks.QNetwork`, float32 weights drawn at random), whose choices are played.

"floor" is what bandwidth allows: the bytes that the tier must read and write once (actions in; rewards,
deaths, who lives and acted, actions in effect, and views out), over the bandwidth of a large copy.
"""

from __future__ import annotations

import statistics
import time
from typing import Any, NamedTuple

import numpy as np
import torch
from magent2.environments import battle_v4
from torch import Tensor

import mfq
from benchmarks.battle import MAP, MOVES, PHASES, SEED
from benchmarks.stage_games import copy_bandwidth
from benchmarks.timing import REPETITIONS, machine
from mfenvs import battle_v0
from mfenvs.views.batched import BatchedEnv
from mfq.mean_field import NoMeanField
from mfq.networks.networks import QNetwork

TIERS = ("step", "views", "network")
# (phase, tier, B). The network takes a hundred times as long as all else, so it plays few steps.
SIZES = [("start", tier, rows) for tier in TIERS[:2] for rows in (1, 16, 64, 256)]
SIZES += [("fight", tier, 64) for tier in TIERS[:2]] + [("start", "network", 64)]
LEAST_STEPS = 300  # of one row, timed in one repetition
NETWORK_STEPS = 2
NOTHING = torch.zeros(0)  # for inputs that this network does not have

Network = Any


class Row(NamedTuple):
    """One line of the table; rates are steps of one row a second."""

    device: str
    tier: str
    phase: str
    num_envs: int
    agents: float
    magent2: float
    ours: float
    floor: float


def network(device: str) -> Network:
    """Q-values [M, A] of views [M, 13, 13, 5]."""
    env = battle_v0.batched_env(map_size=MAP)
    spaces: Any = env.single_observation_space
    made = QNetwork(
        spaces["view"],
        env.num_agents,
        int(env.single_action_space.n),
        mean_field=NoMeanField(mfq.wrap(env)),
        hidden=(64, 64),
        agent_embedding=0,
        generator=torch.Generator().manual_seed(0),
    )
    return made.eval().to(device)


@torch.no_grad()
def greedy(net: Network, views: Tensor) -> Tensor:
    """The best action of each view [..., 13, 13, 5]."""
    return net(views.flatten(0, -4), NOTHING, NOTHING).argmax(-1).reshape(views.shape[:-3])


class Ours:
    """B rows of ours, played through a phase."""

    def __init__(self, tier: str, num_envs: int, device: str, net: Network) -> None:
        self.tier, self.net = tier, net
        self.env: BatchedEnv = battle_v0.batched_env(
            num_envs=num_envs, device=device, map_size=MAP, copied_start=False
        )

    def record(self, player: str, steps: int) -> Tensor:
        """The joint actions [steps, B, N] of an episode; those of the random player are moves alone."""
        self.env.reset(seed=SEED)
        found = []
        for _ in range(steps):
            joint = self.env.scripted(player)
            found.append(joint % MOVES if player == "random" else joint)
            self.env.step(found[-1])
        return torch.stack(found)

    def seconds(self, actions: Tensor, first: int, last: int) -> float:
        """Time of the steps from ``first`` to ``last``; those before are played untimed."""
        env: Any = self.env  # its parts, too
        obs, _ = env.reset(seed=SEED)
        for joint in actions[:first]:
            obs = env.step(joint)[0]
        chosen = [env._joint_action(joint) for joint in actions[first:last]]
        self._wait()
        begin = time.perf_counter()
        for joint, checked in zip(actions[first:last], chosen, strict=True):
            if self.tier == "step":
                last_step = env._sides[0][0]
                env.game.step(env._state, checked, last_step, env._turn()[0])
            elif self.tier == "views":
                env.step(joint)
            else:
                obs = env.step(greedy(self.net, obs["view"]))[0]
        self._wait()
        return time.perf_counter() - begin

    def living(self) -> list[int]:
        """How many of each army live in row 0."""
        alive = self.env.alive[0]
        return [int(alive[self.env.groups == group].sum()) for group in (0, 1)]

    def _wait(self) -> None:
        if self.env.device.type == "cuda":
            torch.cuda.synchronize()

    def bytes_per_step(self) -> float:
        """What one row's step must read and write once."""
        step, obs = self.env._sides[0]
        parts = [step.actions, *step]  # actions in, and what becomes of them
        parts += obs.values() if self.tier != "step" else []
        return sum(part.nbytes for part in parts) / self.env.num_envs


class Engine:
    """MAgent2's, played through a phase alone."""

    def __init__(self, tier: str, net: Network) -> None:
        self.tier, self.net = tier, net
        self.outer = battle_v4.parallel_env(map_size=MAP)
        self.world, self.handles = self.outer.env, self.outer.handles

    def seconds(self, actions: Tensor, first: int, last: int) -> float:
        """Like `Ours.seconds`, with the actions [steps, 1, N] of row 0 there."""
        world, handles = self.world, self.handles
        world.set_seed(SEED)
        world.reset()
        self.outer.generate_map()
        # Who is dead has no action (-1), and no place in the engine's arrays.
        armies = [row[0].cpu().numpy().astype(np.int32).reshape(2, -1) for row in actions]
        orders = [[army[army >= 0] for army in row] for row in armies]
        self._play(orders[:first])
        begin = time.perf_counter()
        if self.tier == "network":
            for _ in orders[first:last]:
                views = [world.get_observation(handle)[0] for handle in handles]
                chosen = greedy(self.net, torch.from_numpy(np.concatenate(views))).numpy()
                sizes = np.cumsum([len(view) for view in views])[:-1]
                self._play([np.split(chosen.astype(np.int32), sizes)])
        else:
            self._play(orders[first:last], views=self.tier == "views")
        return time.perf_counter() - begin

    def _play(self, orders: list[Any], views: bool = False) -> None:
        world, handles = self.world, self.handles
        for armies in orders:
            for handle, army in zip(handles, armies, strict=True):
                world.set_action(handle, army)
            world.step()
            for handle in handles:
                world.get_reward(handle)
                world.get_alive(handle)
            world.clear_dead()
            if views:
                for handle in handles:
                    world.get_observation(handle)

    def living(self) -> list[int]:
        """How many of each army live."""
        return [self.world.get_num(handle) for handle in self.handles]


def measure(phase: str, tier: str, num_envs: int, device: str, bandwidth: float) -> Row:
    """Times one line, the two taking turns."""
    player, first, last = PHASES[phase]
    last = min(last, first + NETWORK_STEPS) if tier == "network" else last
    ours = Ours(tier, num_envs, device, network(device))
    engine = Engine(tier, network("cpu"))
    actions = ours.record(player, last)
    agents = float((actions[first:last] >= 0).sum()) / (last - first) / num_envs
    times: dict[str, list[float]] = {"magent2": [], "ours": []}
    for repetition in range(REPETITIONS + 1):
        for name, side, rows in (("magent2", engine, 1), ("ours", ours, num_envs)):
            episodes = 1 if tier == "network" else -(-LEAST_STEPS // (rows * (last - first)))
            spent = sum(side.seconds(actions[:, :rows], first, last) for _ in range(episodes))
            if repetition:  # the first one warms up
                times[name].append(spent / episodes / rows / (last - first))
        if ours.living() != engine.living():
            raise RuntimeError(f"{ours.living()} live in ours, {engine.living()} in MAgent2's")
    rates = {name: 1 / statistics.median(found) for name, found in times.items()}
    floor = bandwidth / ours.bytes_per_step()
    return Row(device, tier, phase, num_envs, agents, rates["magent2"], rates["ours"], floor)


def table(rows: list[Row]) -> str:
    """Steps of a row a second, agents' steps a second, ratios."""
    names = ["agents", "magent2", "ours", "x magent2", "agent-steps", "floor"]
    lines = [f"{'':<5} {'tier':<8} {'phase':<6}{'B':>5}" + "".join(f"{n:>12}" for n in names)]
    for row in rows:
        lines.append(
            f"{row.device:<5} {row.tier:<8} {row.phase:<6}{row.num_envs:>5}{row.agents:>12.0f}"
            f"{row.magent2:>12,.0f}{row.ours:>12,.0f}{row.ours / row.magent2:>12.1f}"
            f"{row.ours * row.agents:>12,.0f}{row.floor:>12,.0f}"
        )
    return "\n".join(lines)


def main() -> None:
    """`python -m benchmarks.batched`."""
    bandwidth = copy_bandwidth()
    print(f"{machine()}; copy {bandwidth / 1e9:.1f} GB/s on one thread")
    print(f"map {MAP}, float32, autoreset NEXT_STEP (no row restarts in the steps timed)")
    print("steps of one row a second\n")
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    print(table([measure(*size, device, bandwidth) for device in devices for size in SIZES]))
    if "cuda" not in devices:
        print("cuda  not measured: no such device here")


if __name__ == "__main__":
    main()
