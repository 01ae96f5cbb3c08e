"""Stable-Baselines3's PPO on battle, through SuperSuit: both armies share one policy.

    python examples/sb3_battle.py --out examples/results/sb3_battle.csv

A vector needs as many entries at all times, so SuperSuit's `black_death` shows the dead black pictures,
and they go on choosing without effect. It sees the end of an episode a step late, and tells a time
limit as a termination (tests/test_supersuit.py). The score is how often the red army under the policy
beats a blue one that plays at random: more of it lives at the end.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import numpy as np
import supersuit
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.utils import set_random_seed

from mfenvs import battle_v0
from mfq.common.files import write_csv
from mfq.matches.intervals import rate_of_runs

CYCLES = 100  # a battle, at most


class Battle(NamedTuple):
    """A battle against random play: who lived at the end."""

    policy: str
    seed: int
    battle: int
    red: int
    blue: int


def make(map_size: int) -> Any:
    """Battle as a PettingZoo ParallelEnv of flat observations. Blows are cheap and kill soon, so that
    there is something to learn in minutes."""
    options = {"max_cycles": CYCLES, "damage": 5.0, "attack_penalty": -0.01}
    return supersuit.flatten_v0(battle_v0.parallel_env(map_size=map_size, **options))


def train(map_size: int, copies: int, steps: int, seed: int, verbose: int = 0) -> tuple[PPO, PPO]:
    """PPO on ``copies`` battles, ``steps`` of each; returns an untrained one, and the trained."""
    vector = supersuit.pettingzoo_env_to_vec_env_v1(supersuit.black_death_v3(make(map_size)))
    vector = supersuit.concat_vec_envs_v1(vector, copies, base_class="stable_baselines3")
    vector.venv.reset(
        seed=seed
    )  # SuperSuit's vector for SB3 takes no seed itself, nor does PPO then
    set_random_seed(seed)
    options = {
        "n_steps": 64,
        "batch_size": 1024,
        "n_epochs": 4,
        "gamma": 0.95,
        "ent_coef": 0.01,
        "learning_rate": 1e-3,
    }
    untrained, trained = (
        PPO("MlpPolicy", vector, device="cpu", verbose=verbose, **options) for _ in range(2)
    )
    return untrained, trained.learn(steps * vector.num_envs)


def play(model: PPO, name: str, map_size: int, seed: int, battle: int) -> Battle:
    """The policy as red against random play as blue."""
    env, coin = make(map_size), np.random.default_rng(battle)
    obs, _ = env.reset(seed=20_000 + battle)
    while env.agents:
        chosen, _ = model.predict(np.stack([obs[agent] for agent in env.agents]))
        random = coin.integers(0, 21, len(env.agents))
        actions = {
            agent: int(mine if agent.startswith("red") else theirs)
            for agent, mine, theirs in zip(env.agents, chosen, random, strict=True)
        }
        obs, *_ = env.step(actions)
    alive = env.unwrapped.measures
    return Battle(name, seed, battle, int(alive["red_alive"]), int(alive["blue_alive"]))


def table(battles: list[Battle]) -> str:
    """Win rates with 95% intervals over seeds (of a single one, over its battles); a draw is half a
    win."""
    seeds = len({battle.seed for battle in battles})
    lines = [f"{'policy':<10}  {'win rate':<22}  red and blue alive"]
    for name in dict.fromkeys(battle.policy for battle in battles):
        mine = [battle for battle in battles if battle.policy == name]
        wins = np.array([0.5 + 0.5 * np.sign(battle.red - battle.blue) for battle in mine])
        low, high = rate_of_runs(wins.reshape(seeds, -1).mean(1), episodes=len(wins))
        red, blue = (np.mean(army) for army in zip(*((b.red, b.blue) for b in mine), strict=True))
        rate = f"{wins.mean():.3f} [{low:.3f}, {high:.3f}]"
        lines.append(f"{name:<10}  {rate:<22}  {red:.2f} {blue:.2f}")
    return "\n".join(lines)


def main(args: list[str] | None = None) -> list[Battle]:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--map-size", type=int, default=16)
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--battles", type=int, default=50)
    parser.add_argument("--out", default=None, help="a CSV file; nothing is written without one")
    options = parser.parse_args(args)
    torch.set_num_threads(1)
    battles = []
    for seed in range(options.seeds):
        models = train(options.map_size, options.copies, options.steps, seed, verbose=1)
        for name, model in zip(("untrained", "trained"), models, strict=True):
            battles += [
                play(model, name, options.map_size, seed, battle)
                for battle in range(options.battles)
            ]
    print(table(battles))
    if options.out:
        write_csv(options.out, battles)
    return battles


if __name__ == "__main__":
    main()
