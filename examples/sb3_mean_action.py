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
from mfq.common.files import write_csv
from mfq.matches.intervals import rate_of_runs, student_of_runs

CYCLES = 50  # an episode
METHODS = ("without", "with")


class Episode(NamedTuple):
    """A greedy episode of a trained learner."""

    method: str
    seed: int
    episode: int
    reward: float
    order: float


class Study(NamedTuple):
    """What is compared: lattices of side x side, ``copies`` of them at once, ``steps`` of each in
    training. A coupling above 0 rewards agreement instead."""

    side: int = 10
    coupling: float = -1.0
    copies: int = 4
    steps: int = 300
    seeds: int = 8
    episodes: int = 10


def make(study: Study, method: str) -> Any:
    """The game, with or without the mean action, as a PettingZoo ParallelEnv."""
    options = {"side": study.side, "coupling": study.coupling, "max_cycles": CYCLES}
    env = ising_v0.parallel_env(update="checkerboard", **options)
    return MeanActionObservation(env) if method == "with" else env


def train(study: Study, method: str, seed: int) -> DQN:
    """DQN, each agent of each lattice an environment."""
    vector = supersuit.pettingzoo_env_to_vec_env_v1(make(study, method))
    vector = supersuit.concat_vec_envs_v1(vector, study.copies, base_class="stable_baselines3")
    # SuperSuit's vector for SB3 takes no seed itself, nor does DQN then.
    vector.venv.reset(seed=seed)
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
    return model.learn(study.steps * vector.num_envs)


def play(study: Study, model: DQN, method: str, seed: int, episode: int) -> Episode:
    """A greedy episode, the same start for either method."""
    env = make(study, method)
    obs, _ = env.reset(seed=10_000 + episode)
    earned = []
    while env.agents:
        actions, _ = model.predict(np.stack(list(obs.values())), deterministic=True)
        obs, rewards, *_ = env.step(dict(zip(env.agents, actions.tolist(), strict=True)))
        earned += rewards.values()
    order = "staggered_magnetisation" if study.coupling < 0 else "magnetisation"
    measured = abs(env.unwrapped.measures[order])
    return Episode(method, seed, episode, float(np.mean(earned)), measured)


def compare(study: Study) -> list[Episode]:
    """Trains either method with every seed, and plays."""
    found = []
    for method in METHODS:
        for seed in range(study.seeds):
            model = train(study, method, seed)
            found += [
                play(study, model, method, seed, episode) for episode in range(study.episodes)
            ]
    return found


def table(episodes: list[Episode]) -> str:
    """Means with Student's 95% intervals over seeds and over starts, which all seeds share."""
    seeds = len({episode.seed for episode in episodes})
    lines = [f"{'mean action':<12}  {'reward':<22}  order"]
    for method in METHODS:
        mine = [episode for episode in episodes if episode.method == method]
        shown = []
        for column, interval in (
            ([episode.reward for episode in mine], student_of_runs),
            ([episode.order for episode in mine], rate_of_runs),  # from 0 to 1
        ):
            values = np.array(column).reshape(seeds, -1)
            low, high = interval(values.mean(1), values.mean(0))
            shown.append(f"{values.mean():6.3f} [{low:.3f}, {high:.3f}]")
        lines.append(f"{method:<12}  {shown[0]:<22}  {shown[1]}")
    return "\n".join(lines)


def main(args: list[str] | None = None) -> list[Episode]:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, value in Study()._asdict().items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    parser.add_argument("--out", default=None, help="a CSV file; nothing is written without one")
    options = vars(parser.parse_args(args))
    out = options.pop("out")
    torch.set_num_threads(1)  # the tensors are small
    episodes = compare(Study(**options))
    print(table(episodes))
    if out:
        write_csv(out, episodes)
    return episodes


if __name__ == "__main__":
    main()
