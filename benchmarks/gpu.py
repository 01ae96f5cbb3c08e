"""Throughput on one GPU: `make bench-gpu`. It needs torch, numba-cuda and no peer.

Tiers as in `benchmarks.batched`: "step" the rules, "views" with observations, infos and rewards written,
"network" with acting greedily by the paper's convolutions in bfloat16. "floor" is the bytes that a step
must read and write once over the bandwidth of a large copy, measured in the same run. No row restarts in
the steps timed (NEXT_STEP).

"Learning" is MFQ of the preset `fast`, with its own network and with the paper's: what a sample from
compact replay takes, and a gradient step on it with its target. Its floor is the arithmetic, `MFLOP` a
sample, at the rate of a large product in bfloat16.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

import mfq
from benchmarks.timing import REPETITIONS
from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfq.agents.q_agent import QAgent
from mfq.agents.q_config import QConfig
from mfq.agents.q_player import QPlayer
from mfq.common.config import build
from mfq.training.config import preset

SECONDS = 0.5
MFLOP = 13.0  # of the paper's network: its values, their gradients, the target's values
STEP_BYTES = 8 + 4 + 8 + 1 + 1  # action in; reward, action in effect, acting and alive out


def seconds_per_call(call: Callable[[], object]) -> float:
    """Median of several runs of calls, each waited for at its end."""
    call()
    torch.cuda.synchronize()
    begin = time.perf_counter()
    call()
    torch.cuda.synchronize()
    count = max(1, int(SECONDS / REPETITIONS / max(time.perf_counter() - begin, 1e-6)))
    found = []
    for _ in range(REPETITIONS):
        begin = time.perf_counter()
        for _ in range(count):
            call()
        torch.cuda.synchronize()
        found.append((time.perf_counter() - begin) / count)
    return statistics.median(found)


def copy_bandwidth() -> float:
    """Bytes read and written a second by a copy of 2 GiB."""
    source = torch.ones(2**29, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.nbytes / seconds_per_call(lambda: target.copy_(source))


def obs_bytes(obs: Any) -> int:
    parts = obs.values() if isinstance(obs, dict) else [obs]
    return sum(part.nbytes for part in parts)


def line(name: str, env: Any, seconds: float, floor: float, bandwidth: float) -> str:
    agents = env.num_envs * env.num_agents
    return (
        f"{name:<34}{env.num_envs:>7}{env.num_agents:>9}{env.num_envs / seconds:>14,.0f}"
        f"{agents / seconds / 1e6:>12,.1f}{agents * bandwidth / floor / 1e6:>12,.1f}"
    )


def drawn(env: Any) -> Tensor:
    coin = torch.Generator("cuda").manual_seed(0)
    shape = (env.num_envs, env.num_agents)
    most = min(int(env.single_action_space.n), 13)  # in a battle, moves: all live on
    return torch.randint(0, most, shape, generator=coin, device="cuda")


def tiers(name: str, env: Any, bandwidth: float) -> list[str]:
    """The lines of one environment."""
    obs, _ = env.reset(seed=0)
    actions, agents = drawn(env), env.num_envs * env.num_agents
    game, state, sides = env.game, env._state, [side[0] for side in env._sides]
    step = seconds_per_call(lambda: game.step(state, actions, *sides))
    views = seconds_per_call(lambda: env.step(actions))
    least = agents * STEP_BYTES
    return [
        line(f"{name}, step", env, step, least, bandwidth),
        line(f"{name}, views", env, views, least + obs_bytes(obs), bandwidth),
    ]


def network(rows: int, bandwidth: float) -> str:
    """Battle with acting."""
    env = battle_v0.batched_env(rows, device="cuda", map_size=40, max_cycles=None)
    view = mfq.wrap(env)
    player = QPlayer(view, config=QConfig(precision="bfloat16"))
    step = view.reset(seed=0)
    seconds = seconds_per_call(lambda: view.step(player.act(step, explore=False)))
    floor = env.num_envs * env.num_agents * STEP_BYTES + obs_bytes(step.obs)
    return line("battle 13x13x5 float32, network", env, seconds, floor, bandwidth)


def product_rate() -> float:
    """Operations a second of a product of 8192 x 8192 bfloat16 matrices."""
    one = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    return 2 * 8192**3 / seconds_per_call(lambda: one @ one)


def learner(filters: int, precision: str) -> QAgent:
    """MFQ of the preset `fast`, having played for some steps."""
    view = mfq.wrap(battle_v0.batched_env(64, "cuda", **preset("fast").env_options))
    options = build(
        QConfig,
        {
            "network": {"filters": filters},
            "precision": precision,
            "replay": {"learning_starts": 10**9},
        },
        preset("fast").agent,
    )
    agent = QAgent(view, config=options)
    mfq.train(view, agent, 20)
    return agent


def learning(filters: int, precision: str, rate: float) -> list[str]:
    """The lines of what gradient steps of a network take."""
    agent, lines = learner(filters, precision), []
    name = f"paper's network, {precision}" if filters else f"no convolutions, {precision}"
    for size in (64, 512, 4096, 8192, 32768):
        batch = agent.replay.sample(size)
        draws = seconds_per_call(partial(agent.replay.sample, size))
        steps = seconds_per_call(partial(agent._improve, batch))
        floor = f"{1e3 * size * MFLOP * 1e6 / rate:.3f}" if filters else ""
        each = size / (draws + steps)
        lines.append(
            f"{name:<34}{size:>7}{1e3 * draws:>12.2f}{1e3 * steps:>12.2f}{floor:>12}{each:>14,.0f}"
        )
    return lines


def main() -> None:
    """`python -m benchmarks.gpu`."""
    if not torch.cuda.is_available():
        print("not measured: torch sees no CUDA device here")
        return
    bandwidth = copy_bandwidth()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    rate = product_rate()
    print(f"copy {bandwidth / 1e12:.2f} TB/s, product {rate / 1e12:.0f} TFLOP/s\n")
    print(f"{'':<34}{'B':>7}{'N':>9}{'env-steps/s':>14}{'M agent/s':>12}{'M floor':>12}")
    for rows in (256, 4096, 16384):
        for dtype in ("float32", "float16"):
            env = battle_v0.batched_env(rows, "cuda", dtype, map_size=40, max_cycles=None)
            print(*tiers(f"battle 13x13x5 {dtype}", env, bandwidth), sep="\n", flush=True)
    print(network(4096, bandwidth), flush=True)
    for rows in (4096, 65536):
        env = ising_v0.batched_env(rows, "cuda", side=20, max_cycles=None)
        print(*tiers("Ising", env, bandwidth), sep="\n", flush=True)
    env = gaussian_squeeze_v0.batched_env(4096, "cuda", num_agents=1000, max_cycles=None)
    print(*tiers("squeeze", env, bandwidth), sep="\n", flush=True)
    print(f"\n{'learning':<34}{'batch':>7}{'sample, ms':>12}{'step, ms':>12}", end="")
    print(f"{'floor, ms':>12}{'samples/s':>14}")
    for filters, precision in ((0, "float32"), (32, "float32"), (32, "bfloat16")):
        print(*learning(filters, precision, rate), sep="\n", flush=True)


if __name__ == "__main__":
    main()
