"""RLlib's ParallelPettingZooEnv over battle: PPO with a policy for each army.

    pip install -e ".[rllib]"     # in a virtual environment of its own: it pins gymnasium 1.2.2
    python examples/rllib_battle.py --iterations 10 --out examples/results/rllib_battle.csv

`battle_v0` goes in as it is, deaths included. RLlib has no default network for pictures of 13 x 13, so
its convolutions are given.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import ray
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
from ray.tune.registry import register_env

from mfenvs import battle_v0
from mfq.common.files import write_csv


class Iteration(NamedTuple):
    """What an iteration of PPO tells; returns are sums over an army's agents, means over battles."""

    iteration: int
    steps: int
    length: float
    red: float
    blue: float


def make(options: dict[str, Any]) -> ParallelPettingZooEnv:
    """Battle as RLlib has it. Blows are cheap and kill soon, so that there is something to learn."""
    return ParallelPettingZooEnv(
        battle_v0.parallel_env(max_cycles=100, damage=5.0, attack_penalty=-0.01, **options)
    )


def config(map_size: int, batch: int, seed: int) -> PPOConfig:
    """PPO of ``batch`` battle steps an iteration."""
    register_env("battle_v0", make)
    return (
        PPOConfig()
        .environment("battle_v0", env_config={"map_size": map_size})
        .env_runners(num_env_runners=0)
        .multi_agent(
            policies={"red", "blue"},
            policy_mapping_fn=lambda agent, *_, **__: agent.partition("_")[0],
        )
        .rl_module(model_config=DefaultModelConfig(conv_filters=[[16, 3, 2], [32, 3, 2]]))
        .training(train_batch_size=batch, minibatch_size=256, num_epochs=4, lr=1e-3, gamma=0.95)
        .debugging(seed=seed, log_level="ERROR")
    )


def train(map_size: int, batch: int, iterations: int, seed: int) -> list[Iteration]:
    """Trains both armies against each other."""
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        algorithm = config(map_size, batch, seed).build_algo()
        found = []
        for iteration in range(1, iterations + 1):
            told = algorithm.train()["env_runners"]
            returns = told["module_episode_returns_mean"]
            length, steps = told["episode_len_mean"], told["num_env_steps_sampled_lifetime"]
            found.append(Iteration(iteration, int(steps), length, returns["red"], returns["blue"]))
            print(*(f"{name} {value:g}" for name, value in found[-1]._asdict().items()), sep="  ")
        algorithm.stop()
    finally:
        ray.shutdown()
    return found


def main(args: list[str] | None = None) -> list[Iteration]:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--map-size", type=int, default=16)
    parser.add_argument("--batch", type=int, default=2000)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=None, help="a CSV file; nothing is written without one")
    options = parser.parse_args(args)
    found = train(options.map_size, options.batch, options.iterations, options.seed)
    if options.out:
        write_csv(options.out, found)
    return found


if __name__ == "__main__":
    main()
