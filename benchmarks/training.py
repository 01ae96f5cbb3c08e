"""Transitions learned a second on the paper's battle, beside a plain loop as the authors' is written.

The plain loop plays one game on MAgent2's engine (map 40, 64 against 64, minimaps and features), keeps
what each agent saw in a Python list of its own, and after a round takes two samples of 64 for each 64
new transitions (double Q, Adam, Polyak .005), as the authors' code does. It is timed with a plain
network of the same layers, and with ours (`QNetwork`), so that it can be told what the loop gains and
what the network. Ours is the `Runner`'s: acting, playing, storing and learning, with the presets
"authors" (one row, batch 64) and "fast" (16 rows, batch 512), the latter with the paper's network and
with its own, which has no convolutions; the opponent is a lagged copy in all.

A transition is one agent's of the army that learns; each is drawn twice on average in all. Rounds
are cut after `STEPS` steps, in which next to nobody dies. Threads and precision are torch's and ours by
default (bfloat16 where the processor multiplies it faster; the paper's network is then timed in float32,
too). Each has a process of its own, as it would have elsewhere: what the Runner asks of its process
(`mfq.common.memory`) is its own merit. They take turns.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np
import torch
from magent2.environments import battle_v4
from torch import Tensor, nn

import mfq
from benchmarks.timing import machine
from mfenvs import battle_v0
from mfq.agents.loop import Transition
from mfq.mean_field import MeanAction
from mfq.networks.networks import QNetwork
from mfq.networks.optimizer import adam
from mfq.networks.precision import Precision
from mfq.training.callbacks import Run
from mfq.training.config import run_config
from mfq.training.runner import Runner

STEPS, REPETITIONS = 12, 9
BATCH, GAMMA, POLYAK, RATE = 64, 0.95, 0.005, 1e-4
MAP: dict[str, Any] = {"map_size": 40, "minimap_mode": True, "extra_features": True}


class Row(NamedTuple):
    """One line of the table."""

    name: str
    transitions: float  # a second
    act: float  # shares of the time
    env: float
    learn: float


class PlainNetwork(nn.Module):
    """The paper's network as one would write it first; `QNetwork` has the same layers."""

    def __init__(self) -> None:
        super().__init__()
        self.view = nn.Sequential(
            nn.Conv2d(7, 32, 3),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 9 * 9, 256),
            nn.ReLU(),
        )
        self.features = nn.Sequential(nn.Linear(34, 32), nn.ReLU())
        self.mean = nn.Sequential(nn.Linear(21, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        self.joint = nn.Sequential(
            nn.Linear(256 + 32 + 32, 128),
            nn.ReLU(),
            nn.Linear(128, 64),
            nn.ReLU(),
            nn.Linear(64, 21),
        )

    def forward(self, obs: dict[str, Tensor], mean: Tensor, agent: Tensor) -> Tensor:
        view = self.view(obs["view"].permute(0, 3, 1, 2))
        return self.joint(torch.cat([view, self.features(obs["features"]), self.mean(mean)], -1))


def our_network() -> QNetwork:
    """Ours, of the paper's layers."""
    view = mfq.wrap(battle_v0.batched_env(**MAP))
    field, weights = MeanAction(view), torch.Generator().manual_seed(0)
    return QNetwork(view.observation_space, 128, 21, field, (128, 64), 0, weights)


class PlainLoop:
    """MFQ as one would write it first."""

    def __init__(self, make_network: Callable[[], nn.Module]) -> None:
        self.outer = battle_v4.parallel_env(**MAP)
        self.world, self.handles = self.outer.env, self.outer.handles
        self.net = make_network()
        self.target, self.rival = copy.deepcopy(self.net), copy.deepcopy(self.net)
        self.optimizer = torch.optim.Adam(self.net.parameters(), RATE)
        self.coin = np.random.default_rng(0)
        self.seconds: dict[str, float] = defaultdict(float)

    def round(self) -> int:
        """Plays a round and learns from it; how many transitions it had."""
        self.seconds.clear()
        self.world.set_seed(1)
        self.world.reset()
        self.outer.generate_map()
        memory: dict[int, list[Any]] = defaultdict(list)
        means = [np.zeros(21, np.float32), np.zeros(21, np.float32)]
        for _ in range(STEPS):
            self.play_step(memory, means)
        begin = time.perf_counter()
        count = self.learn(memory)
        self.seconds["learn"] += time.perf_counter() - begin
        return count

    def play_step(self, memory: dict[int, list[Any]], means: list[np.ndarray]) -> None:
        """One step of both armies; the first one's transitions go into its agents' lists."""
        begin = time.perf_counter()
        seen = []
        for k, handle in enumerate(self.handles):
            view, feature = self.world.get_observation(handle)
            ids = self.world.get_agent_id(handle)
            with torch.no_grad():
                net = self.net if k == 0 else self.rival
                obs = {"view": torch.from_numpy(view), "features": torch.from_numpy(feature)}
                mean = torch.from_numpy(means[k]).expand(len(ids), -1)
                actions = net(obs, mean, torch.zeros(0)).argmax(-1).numpy().astype(np.int32)
            self.world.set_action(handle, actions)
            seen.append((view, feature, ids, actions))
        self.seconds["act"] += time.perf_counter() - begin
        begin = time.perf_counter()
        self.world.step()
        rewards = self.world.get_reward(self.handles[0])
        alive = self.world.get_alive(self.handles[0])
        self.seconds["env"] += time.perf_counter() - begin
        view, feature, ids, actions = seen[0]
        for i, agent in enumerate(ids):
            memory[agent].append(
                (view[i], feature[i], actions[i], rewards[i], bool(alive[i]), means[0])
            )
        for k in (0, 1):
            means[k] = np.eye(21, dtype=np.float32)[seen[k][3]].mean(0)
        self.world.clear_dead()

    def learn(self, memory: dict[int, list[Any]]) -> int:
        """Two samples a transition."""
        rows = [pair for own in memory.values() for pair in pairwise(own)]
        for _ in range(2 * len(rows) // BATCH):
            chosen = [rows[i] for i in self.coin.integers(0, len(rows), BATCH)]
            now, later = (tensors([pair[k] for pair in chosen]) for k in (0, 1))
            with torch.no_grad():
                best = self.net(later["obs"], later["mean"], torch.zeros(0)).argmax(-1, True)
                after = self.target(later["obs"], later["mean"], torch.zeros(0)).gather(-1, best)
                goal = now["reward"] + GAMMA * after[:, 0] * now["alive"]
            q = self.net(now["obs"], now["mean"], torch.zeros(0))
            loss = (goal - q.gather(-1, now["action"][:, None])[:, 0]).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            with torch.no_grad():
                pairs = zip(self.target.parameters(), self.net.parameters(), strict=True)
                for slow, fast in pairs:
                    slow.lerp_(fast, POLYAK)
        return len(rows)


def tensors(rows: list[Any]) -> dict[str, Any]:
    """A minibatch from a list of transitions."""
    view, feature, action, reward, alive, mean = zip(*rows, strict=True)
    return {
        "obs": {
            "view": torch.from_numpy(np.stack(view)),
            "features": torch.from_numpy(np.stack(feature)),
        },
        "action": torch.from_numpy(np.array(action, np.int64)),
        "reward": torch.from_numpy(np.array(reward, np.float32)),
        "alive": torch.from_numpy(np.array(alive, np.float32)),
        "mean": torch.from_numpy(np.stack(mean)),
    }


class Clock(mfq.Callback):
    """Sums the seconds of acting, of the environment and of learning."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def on_start(self, runner: Run) -> None:
        self.seconds = dict.fromkeys(("act", "env", "learn"), 0.0)

    def on_step(self, runner: Run, transition: Transition, is_last: bool) -> None:
        for name, spent in transition.seconds.items():
            self.seconds[name] += spent


class Ours:
    """The Runner on a preset.

    Args:
        name: of the preset.
        filters: of its convolutions; None for the preset's.
        precision: of the network's arithmetic.
    """

    def __init__(self, name: str, filters: int | None = None, precision: str = "auto") -> None:
        agent: dict[str, Any] = {"replay": {"learning_starts": 1}, "precision": precision}
        if filters is not None:
            agent["network"] = {"filters": filters}
        options = {
            "preset": name,
            "episodes": 0,
            "steps": 1,
            "opponents": {"lagged": 1.0},
            "evaluation": {"against": (), "every": 0},
            "agent": agent,
            "log": {"every": 0},
            "checkpoints": {"every": 0},
            "quiet": True,
        }
        self.clock = Clock()
        self.runner = Runner(config=options, callbacks=[self.clock])

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of the last round, by part."""
        return self.clock.seconds

    def round(self) -> int:
        """Trains for some steps; how many transitions they had."""
        runner: Any = self.runner
        before = runner.agent.replay.added
        runner._step = None
        runner.config = run_config({"steps": runner.done + STEPS}, runner.config)
        runner.train()
        return runner.agent.replay.added - before


SIDES: dict[str, Callable[[], PlainLoop | Ours]] = {
    "plain loop": partial(PlainLoop, PlainNetwork),
    "plain loop, our network": partial(PlainLoop, our_network),
    "ours, authors": partial(Ours, "authors"),
    "ours, fast, paper's net, float32": partial(Ours, "fast", filters=32, precision="float32"),
    "ours, fast, paper's net, bfloat16": partial(Ours, "fast", filters=32, precision="bfloat16"),
    "ours, fast": partial(Ours, "fast"),
}


def sides() -> list[str]:
    """Those that this processor can show: bfloat16 that it emulates would take minutes."""
    fast = Precision("auto", our_network(), torch.device("cpu")).name
    return [name for name in SIDES if fast == "bfloat16" or "bfloat16" not in name]


def serve(name: str, threads: int, pipe: Connection) -> None:
    """Plays a round of a side whenever it is asked to: (transitions a second, seconds by part)."""
    torch.set_num_threads(threads)
    side = SIDES[name]()
    with suppress(EOFError):  # there is nobody who asks any more
        while pipe.recv():
            begin = time.perf_counter()
            count = side.round()
            pipe.send((count / (time.perf_counter() - begin), dict(side.seconds)))


@contextmanager
def process(name: str) -> Iterator[Connection]:
    """A side in a process of its own, which ends with the context."""
    here, there = get_context("spawn").Pipe()
    # Importing MAgent2 halves the threads of processes that are started later (its c_lib.py).
    arguments = name, torch.get_num_threads(), there
    other = get_context("spawn").Process(target=serve, args=arguments, daemon=True)
    other.start()
    there.close()  # so that its end is noticed, should it fail
    try:
        yield here
    finally:
        here.close()
        other.join()


def measure() -> list[Row]:
    """All, taking turns."""
    rates: dict[str, list[float]] = defaultdict(list)
    seconds: dict[str, dict[str, float]] = {}
    with ExitStack() as stack:
        pipes = {name: stack.enter_context(process(name)) for name in sides()}
        for repetition in range(REPETITIONS + 1):
            for name, pipe in pipes.items():
                pipe.send(True)
                rate, seconds[name] = pipe.recv()
                if repetition:  # the first one compiles
                    rates[name].append(rate)
    rows = []
    for name, parts in seconds.items():
        shares = (parts.get(what, 0.0) / sum(parts.values()) for what in ("act", "env", "learn"))
        rows.append(Row(name, statistics.median(rates[name]), *shares))
    return rows


def table(rows: list[Row]) -> str:
    """Transitions a second, ratios, and where the time goes."""
    lines = [f"{'':<34}{'transitions/s':>14}{'x plain':>9}{'act':>7}{'env':>7}{'learn':>7}"]
    for row in rows:
        lines.append(
            f"{row.name:<34}{row.transitions:>14,.0f}{row.transitions / rows[0].transitions:>9.1f}"
            f"{row.act:>7.0%}{row.env:>7.0%}{row.learn:>7.0%}"
        )
    return "\n".join(lines)


def samples_per_second(size: int, precision: str) -> float:
    """The network's own speed: gradient steps on a batch that stays, targets included."""
    spaces: Any = battle_v0.batched_env(**MAP).single_observation_space
    net = our_network()
    obs = {name: torch.rand(size, *part.shape) for name, part in spaces.items()}
    mean, agent = torch.rand(size, 21), torch.zeros(0)
    optimizer = adam(net.parameters(), torch.device("cpu"), RATE)
    ask = Precision(precision, net, torch.device("cpu"))
    times = []
    for _ in range(6):
        begin = time.perf_counter()
        with torch.no_grad():
            goal = ask(net, obs, mean, agent).amax(-1)
        loss = (ask(net, obs, mean, agent)[:, 0] - goal).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - begin)
    return size / statistics.median(times[1:])


def main() -> None:
    """`python -m benchmarks.training`."""
    print(f"{machine()}, {torch.get_num_threads()} torch threads\n")
    print(table(measure()))
    speeds = {
        f"{precision}, batch {size}": samples_per_second(size, precision)
        for precision in ("float32", "bfloat16")
        for size in (BATCH, 512)
    }
    print("\nthe network alone, samples/s: ", end="")
    print("; ".join(f"{name}: {speed:,.0f}" for name, speed in speeds.items()))


if __name__ == "__main__":
    main()
