"""Stable-Baselines3's DQN with and without the mean action in its observation, on a coordination game.

    python examples/sb3_mean_action.py --out examples/results/sb3_mean_action.csv

Spins of an antiferromagnet earn by differing from their neighbours, whom they do not see; one colour of
the checkerboard chooses while the other holds. `MeanActionObservation` tells what the neighbours did
last, and so what to do. Without it a choice can depend on one's own spin alone, which in a random start
says nothing of the neighbours: no policy that all share can then earn more than 0 in the mean. A score
is the mean reward of an agent and step (at most 2) and the staggered magnetisation at the end (at most
1), in greedy episodes that begin in random states.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import numpy as np
import supersuit
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.utils import set_random_seed

from mfenvs import ising_v0
from mfq import MeanActionObservation
from mfq.files import write_csv
from mfq.intervals import bootstrap

CYCLES = 50  # an episode
METHODS = ("without", "with")


class Episode(NamedTuple):
    """A greedy episode of a trained learner."""

    method: str
    seed: int
    episode: int
    reward: float
    order: float


def make(method: str, side: int) -> Any:
    """The game, with or without the mean action, as a PettingZoo ParallelEnv."""
    env = ising_v0.parallel_env(side=side, coupling=-1.0, update="checkerboard", max_cycles=CYCLES)
    return MeanActionObservation(env) if method == "with" else env


def train(method: str, side: int, copies: int, steps: int, seed: int) -> DQN:
    """DQN on ``copies`` lattices, each agent of each an environment; ``steps`` of each lattice."""
    vector = supersuit.pettingzoo_env_to_vec_env_v1(make(method, side))
    vector = supersuit.concat_vec_envs_v1(vector, copies, base_class="stable_baselines3")
    vector.venv.reset(
        seed=seed
    )  # SuperSuit's vector for SB3 takes no seed itself, nor does DQN then
    set_random_seed(seed)
    model = DQN(
        "MlpPolicy",
        vector,
        gamma=0.0,  # a stage game: nothing follows from a step
        learning_rate=1e-3,
        buffer_size=50 * vector.num_envs,
        learning_starts=5 * vector.num_envs,
        batch_size=128,
        train_freq=1,
        exploration_fraction=0.5,
        device="cpu",
    )
    model.action_space.seed(seed)
    return model.learn(steps * vector.num_envs)


def play(model: DQN, method: str, side: int, seed: int, episode: int) -> Episode:
    """A greedy episode, the same start for either method."""
    env = make(method, side)
    obs, _ = env.reset(seed=10_000 + episode)
    earned = []
    while env.agents:
        actions, _ = model.predict(np.stack(list(obs.values())), deterministic=True)
        obs, rewards, *_ = env.step(dict(zip(env.agents, actions.tolist(), strict=True)))
        earned += rewards.values()
    order = abs(env.unwrapped.measures["staggered_magnetisation"])
    return Episode(method, seed, episode, float(np.mean(earned)), order)


def compare(side: int, copies: int, steps: int, seeds: int, episodes: int) -> list[Episode]:
    """Trains either method with every seed, and plays."""
    found = []
    for method in METHODS:
        for seed in range(seeds):
            model = train(method, side, copies, steps, seed)
            found += [play(model, method, side, seed, episode) for episode in range(episodes)]
    return found


def table(episodes: list[Episode], seeds: int) -> str:
    """Means with 95% intervals (bootstrap over seeds, and over episodes within them)."""
    lines = [f"{'mean action':<12}  {'reward':<22}  staggered magnetisation"]
    for method in METHODS:
        mine = [episode for episode in episodes if episode.method == method]
        columns = [[episode.reward for episode in mine], [episode.order for episode in mine]]
        shown = []
        for column in columns:
            values = np.array(column).reshape(seeds, 1, -1)
            low, high = bootstrap(values)
            shown.append(f"{values.mean():6.3f} [{low:.3f}, {high:.3f}]")
        lines.append(f"{method:<12}  {shown[0]:<22}  {shown[1]}")
    return "\n".join(lines)


def main(args: list[str] | None = None) -> list[Episode]:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--side", type=int, default=10)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--out", default=None, help="a CSV file; nothing is written without one")
    options = parser.parse_args(args)
    torch.set_num_threads(1)  # the tensors are small
    episodes = compare(options.side, options.copies, options.steps, options.seeds, options.episodes)
    print(table(episodes, options.seeds))
    if options.out:
        write_csv(options.out, episodes)
    return episodes


if __name__ == "__main__":
    main()
