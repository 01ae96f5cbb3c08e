"""Mean field Q-learning (MFQ) on battle, in one file that needs only mfenvs and torch.

    python examples/plain_mfq.py --seed 0

Two armies of 12 learn by self-play: one network plays both, and the experience of every agent trains
it. Before and after training it plays 100 battles against random, 50 on each side. Equation numbers
are those of Yang et al., "Mean Field Multi-Agent Reinforcement Learning", arXiv 1802.05438v5.

Legend: B battles at once, N agents of both armies, D numbers in an observation, A actions, M samples.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mfenvs import battle_v0
from mfenvs.graph import NeighborGraph
from mfenvs.views.batched import BatchedEnv

# -- Options --------------------------------------------------------------------------------------


@dataclass
class Options:
    seed: int = 0
    steps: int = 1500  # of all B battles; each is followed by one gradient step
    num_envs: int = 8  # B
    hidden: int = 128
    gamma: float = 0.95
    learning_rate: float = 1e-3
    batch_size: int = 256
    replay_size: int = 60_000  # samples: one per agent and step
    learning_starts: int = 5_000  # samples in the replay before the first gradient step
    polyak: float = 0.01  # share of the network that goes into the target network at each step
    first_temperature: float = 0.1  # of the Boltzmann policy; it falls exponentially to ...
    last_temperature: float = 0.02  # ... this one during the first half of training


def make_env(num_envs: int) -> BatchedEnv:
    """Battles of 12 against 12 from random starts, of at most 200 steps."""
    return battle_v0.batched_env(
        num_envs=num_envs,
        map_size=20,
        minimap_mode=True,
        extra_features=True,
        max_cycles=200,
        placement="random",
        copied_start=False,
    )


def flat(obs: dict[str, Tensor]) -> Tensor:
    """The view around each agent [B, N, 13, 13, 7] and its features [B, N, 34] as one [B, N, D]."""
    numbers = torch.cat([obs["view"].flatten(2), obs["features"]], -1)
    return numbers.half()  # saves memory in the replay


# -- The Q-function, the mean action and the policy -----------------------------------------------


class QNetwork(nn.Module):
    """Q(o, a, abar) of all actions a, for observation o and mean action abar. All agents share it."""

    def __init__(self, obs_size: int, num_actions: int, hidden: int) -> None:
        super().__init__()
        self.obs = nn.Linear(obs_size, hidden)
        self.mean = nn.Linear(num_actions, 64)
        self.hidden = nn.Linear(hidden + 64, hidden)
        self.values = nn.Linear(hidden, num_actions)

    def forward(self, obs: Tensor, mean: Tensor) -> Tensor:
        """Returns [..., A] for obs [..., D] and mean [..., A]."""
        features = torch.cat([self.obs(obs.float()), self.mean(mean)], -1).relu()
        return self.values(self.hidden(features).relu())


def mean_action(graph: NeighborGraph, actions: Tensor, num_actions: int) -> Tensor:
    """abar_j = 1/N_j sum_k a_k, over the one-hot actions of the N_j neighbors k of agent j (Eq. 6).

    The neighbors are the other agents of the same army. Action -1 means none (dead agents, and all
    agents before the first step) and does not count; abar is zero if all neighbors have none.
    Returns [B, N, A] for actions [B, N].
    """
    one_hot = F.one_hot(actions.clamp(min=0), num_actions).float()
    return graph.mean(one_hot, actions >= 0)


def boltzmann(q: Tensor, temperature: float) -> Tensor:
    """pi(a | o, abar), proportional to exp(Q(o, a, abar) / temperature) (Eq. 12)."""
    return (q / temperature).softmax(-1)


@torch.no_grad()
def act(q: nn.Module, obs: Tensor, mean: Tensor, temperature: float) -> Tensor:
    """Draws each agent's action from its policy: int64 [B, N]."""
    policy = boltzmann(q(obs, mean), temperature)
    return policy.flatten(0, 1).multinomial(1).view(mean.shape[:2])


# -- Replay and loss ------------------------------------------------------------------------------


class Replay:
    """The latest samples (o, a, abar, r, o', terminated)."""

    def __init__(self, size: int) -> None:
        self.size, self.added = size, 0
        self.data: dict[str, Tensor] = {}

    def add(self, **samples: Tensor) -> None:
        """Replaces the oldest samples by new ones, [M, ...] each."""
        count = len(samples["action"])
        index = torch.arange(self.added, self.added + count) % self.size
        for name, values in samples.items():
            if name not in self.data:
                self.data[name] = values.new_zeros(self.size, *values.shape[1:])
            self.data[name][index] = values
        self.added += count

    def sample(self, count: int) -> dict[str, Tensor]:
        """Returns samples drawn uniformly, [count, ...] each."""
        index = torch.randint(min(self.added, self.size), (count,))
        return {name: values[index] for name, values in self.data.items()}


def loss(
    q: nn.Module, target: nn.Module, batch: dict[str, Tensor], temperature: float, gamma: float
) -> Tensor:
    """The mean of (y - Q(o, a, abar))^2 over a batch, with y = r + gamma v^MF(o') (Eq. 9)."""
    chosen = q(batch["obs"], batch["mean"]).gather(1, batch["action"][:, None])[:, 0]
    with torch.no_grad():
        # An agent at o' acts on the mean action of the step before: on the abar of this sample.
        next_q = target(batch["next_obs"], batch["mean"])
        # v^MF(o') = sum_a pi(a | o', abar) Q(o', a, abar)  (Eq. 10)
        v = (boltzmann(next_q, temperature) * next_q).sum(-1)
        # Death and victory do not bootstrap. The time limit does: it only cuts the battle short.
        y = batch["reward"] + gamma * v * ~batch["terminated"]
    return F.mse_loss(chosen, y)


# -- Training by self-play ------------------------------------------------------------------------


def train(options: Options) -> tuple[QNetwork, QNetwork]:
    """Returns the network before and after training."""
    torch.manual_seed(options.seed)
    env = make_env(options.num_envs)
    num_actions = int(env.single_action_space.n)
    obs, info = env.reset(seed=options.seed)
    obs = flat(obs)
    mean = mean_action(env.neighbor_graph, info["actions"], num_actions)

    q = QNetwork(obs.shape[-1], num_actions, options.hidden)
    untrained, target = copy.deepcopy(q), copy.deepcopy(q)
    optimizer = torch.optim.Adam(q.parameters(), lr=options.learning_rate)
    replay = Replay(options.replay_size)
    rewards: list[Tensor] = []

    for step in range(1, options.steps + 1):
        cooling = options.last_temperature / options.first_temperature
        temperature = options.first_temperature * cooling ** min(1.0, 2 * step / options.steps)

        # All agents choose at once, so each acts on the mean action of the step before.
        actions = act(q, obs, mean, temperature)
        next_obs, reward, terminated, _, info = env.step(actions)
        next_obs = flat(next_obs)
        next_mean = mean_action(env.neighbor_graph, info["actions"], num_actions)

        # A sample for each agent that acted: the dead do not, nor does anybody in the step that
        # starts a new battle. Its mean action is that of the actions taken together with its action.
        acted = info["acting"]
        replay.add(
            obs=obs[acted],
            action=actions[acted],
            mean=next_mean[acted],
            reward=reward[acted],
            next_obs=next_obs[acted],
            terminated=terminated[acted],
        )
        obs, mean = next_obs, next_mean

        if replay.added >= options.learning_starts:
            batch = replay.sample(options.batch_size)
            optimizer.zero_grad()
            loss(q, target, batch, temperature, options.gamma).backward()
            nn.utils.clip_grad_norm_(q.parameters(), 10.0)
            optimizer.step()
            with torch.no_grad():
                for slow, fast in zip(target.parameters(), q.parameters(), strict=True):
                    slow.lerp_(fast, options.polyak)

        rewards.append(reward[acted])
        if step % 100 == 0:
            print(f"step {step}  mean reward {torch.cat(rewards[-100:]).mean():.3f}")
    return untrained, q


# -- Evaluation against random --------------------------------------------------------------------


def evaluate(q: nn.Module, temperature: float, battles: int = 100, seed: int = 10**6) -> float:
    """Returns the share of battles that the network wins: more of its army is alive at the end.

    It plays half of them as red and half as blue, from seeds that training does not use.
    """
    env = make_env(battles // 2)
    num_actions = int(env.single_action_space.n)
    wins = 0
    for army, enemy in (("red", "blue"), ("blue", "red")):
        ours = torch.tensor([name.startswith(army) for name in env.agents])
        obs, info = env.reset(seed=seed)
        ended = torch.zeros(env.num_envs, dtype=torch.bool)
        while not ended.all():
            mean = mean_action(env.neighbor_graph, info["actions"], num_actions)
            actions = act(q, flat(obs), mean, temperature)
            random = torch.randint(num_actions, actions.shape)
            obs, _, _, truncated, info = env.step(actions.where(ours, random))
            alive, enemies = info[f"{army}_alive"], info[f"{enemy}_alive"]
            over = truncated | (alive == 0) | (enemies == 0)
            wins += int((alive > enemies)[over & ~ended].sum())
            ended |= over  # the next battles of these rows do not count
    return wins / (2 * env.num_envs)


def main(args: list[str] | None = None) -> tuple[float, float]:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=Options.seed)
    parser.add_argument("--steps", type=int, default=Options.steps)
    options = Options(**vars(parser.parse_args(args)))
    torch.set_num_threads(1)  # the tensors are small
    untrained, trained = train(options)
    before = evaluate(untrained, options.first_temperature)
    after = evaluate(trained, options.last_temperature)
    print(f"win rate against random: {before:.2f} before training, {after:.2f} after")
    return before, after


if __name__ == "__main__":
    main()
