"""Tianshou's multi-agent DQN on the Gaussian squeeze: a learner for each agent.

    pip install -e ".[tianshou]"     # without constraints.txt, whose filelock is too new for it
    python examples/tianshou_squeeze.py --seeds 0 1 2 --out examples/results/tianshou_squeeze.csv

Tianshou's PettingZooEnv takes the AEC form, where agents move one after the other and all are paid when
the last has moved. A transition ends with the next agent's move, so that an agent's own reward comes up
to N transitions later: hence returns of N steps (``n_step_return_horizon``). An episode ends for
Tianshou when the agent whose turn it is has ended, and so battle, whose agents die, is no game for it.
And (2.0.1) `eps_training` does nothing here, since the policies of single agents are not told that they
train.
"""

from __future__ import annotations

import argparse
import logging
from typing import NamedTuple

import numpy as np
import torch
from tianshou.algorithm import DQN, MultiAgentOffPolicyAlgorithm
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.env.pettingzoo_env import PettingZooEnv
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net

from mfenvs import gaussian_squeeze_v0
from mfq.common.files import write_csv

AGENTS, CYCLES, EXPLORE = 4, 5, 0.3


class Run(NamedTuple):
    """What a run scored, greedily: G / G*, at most 1."""

    seed: int
    moves: int
    before: float
    after: float


def make() -> PettingZooEnv:
    """Four agents choose from 0 to 4; the best sum, 10, pays 1 to each."""
    return PettingZooEnv(
        gaussian_squeeze_v0.env(
            num_agents=AGENTS,
            num_actions=5,
            mu=10.0,
            sigma=3.0,
            max_cycles=CYCLES,
            reward="optimum",
        )
    )


def learner(env: PettingZooEnv) -> DQN:
    """One agent's DQN."""
    model = Net(
        state_shape=env.observation_space.shape, action_shape=env.action_space.n, hidden_sizes=[32]
    )
    policy = DiscreteQLearningPolicy(
        model=model,
        action_space=env.action_space,
        observation_space=env.observation_space,
        eps_inference=EXPLORE,  # not eps_training: see above
    )
    return DQN(
        policy=policy,
        optim=AdamOptimizerFactory(lr=3e-3),
        gamma=0.9,
        n_step_return_horizon=AGENTS,
        target_update_freq=100,
    )


def play(algorithm: MultiAgentOffPolicyAlgorithm) -> float:
    """The mean reward of a greedy episode's steps: G / G*, at most 1."""
    explore(algorithm, 0.0)
    collector = Collector(algorithm, DummyVectorEnv([make]))
    collector.reset()
    found = float(np.mean(collector.collect(n_episode=1).returns)) / CYCLES
    explore(algorithm, EXPLORE)
    return found


def explore(algorithm: MultiAgentOffPolicyAlgorithm, share: float) -> None:
    """Sets how often agents choose at random."""
    for policy in algorithm.policy.policies.values():
        policy.set_eps_inference(share)


def train(epochs: int, seed: int) -> tuple[float, float]:
    """Trains for ``epochs`` of 1000 moves; returns the greedy score before and after."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (Tianshou's own exploration draws from it)
    env = make()
    algorithm = MultiAgentOffPolicyAlgorithm(
        algorithms=[learner(env) for _ in range(AGENTS)], env=env
    )
    before = play(algorithm)
    collector = Collector(
        algorithm,
        DummyVectorEnv([make] * 4),
        VectorReplayBuffer(20_000, 4),
        exploration_noise=True,
    )
    algorithm.run_training(
        OffPolicyTrainerParams(
            training_collector=collector,
            max_epochs=epochs,
            epoch_num_steps=1000,
            collection_step_num_env_steps=4 * AGENTS,
            batch_size=128,
            update_step_num_gradient_steps_per_sample=0.1,
            multi_agent_return_reduction=lambda returns: returns.mean(-1),
            verbose=False,
            show_progress=False,
        )
    )
    return before, play(algorithm)


def main(args: list[str] | None = None) -> list[Run]:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=5, help="of 1000 moves")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="a run for each")
    parser.add_argument("--out", default=None, help="a CSV file; nothing is written without one")
    options = parser.parse_args(args)
    logging.disable(logging.WARNING)  # it wonders about returns of more than one agent
    runs = []
    for seed in options.seeds:
        runs.append(Run(seed, 1000 * options.epochs, *train(options.epochs, seed)))
        print(
            f"seed {seed}: greedy G / G* {runs[-1].before:.3f} before, {runs[-1].after:.3f} after"
        )
    if options.out:
        write_csv(options.out, runs)
    return runs


if __name__ == "__main__":
    main()
