"""Small games that MAAC, IPPO and MF-PPO learn over several seeds, and that broken ones do not."""

from dataclasses import replace

import pytest
import torch

import mfq
from mfq.agents.ac_config import ACConfig
from mfq.agents.actor_critic import ActorCritic
from mfq.agents.maac import MAAC
from mfq.agents.ppo import PPO
from mfq.agents.ppo_config import PPOConfig
from tests.mfq.agents.test_actor_critic_learns import investments, noisy_neighbours
from tests.reference.matrix_game import MatrixGame
from tests.reference.stage_game import StageGame

pytestmark = pytest.mark.slow

SMALL = {"hidden": (32,), "mean_hidden": (32,)}

# -- MAAC: learning from a few random plays of eight agents ---------------------------------------------

PLAYS, SEEDS, UPDATES = 60, 3, 250
CRITIC = ACConfig(
    gamma=0.0,
    network=SMALL,
    replay={"learning_starts": 8 * PLAYS},
    optimizer={"batch_size": 64, "actor_learning_rate": 3e-3, "critic_learning_rate": 1e-2},
)
RIGHT = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])


def crowd(actions):
    """Each agent earns 1/6 for its right action, 1 for that of each other agent; else as much less."""
    signs = 2.0 * (actions == RIGHT) - 1
    return signs.sum(1, keepdim=True) - signs * 5 / 6


def share_of_right_actions(agent, seed):
    """Of greedy actions, after learning from random plays alone."""
    coin = torch.Generator().manual_seed(seed)
    step = agent.view.reset()
    for _ in range(PLAYS):
        actions = torch.randint(0, 2, (1, 8), generator=coin)
        following = agent.view.step(actions)
        agent.observe(step, actions, following)
        step = following
    for _ in range(UPDATES):
        agent.learn()
    assert agent.updates == UPDATES
    return float((agent.act(step, explore=False) == RIGHT).float().mean())


def shares(make):
    """For some seeds, of the agents that ``make(view, seed)`` returns."""
    agents = [make(mfq.wrap(StageGame(crowd, 8, 2)), seed) for seed in range(SEEDS)]
    return [share_of_right_actions(agent, seed) for seed, agent in enumerate(agents)]


def test_a_joint_critic_tells_an_agents_part_from_the_others():
    assert min(shares(lambda view, seed: MAAC(view, CRITIC, seed))) == 1.0
    alone = shares(lambda view, seed: ActorCritic(view, False, CRITIC, seed))
    assert sum(alone) / SEEDS <= 0.8


@pytest.mark.parametrize("broken", ["no other's action", "the actions of other rows"])
def test_a_broken_joint_critic_does_not(broken):
    def make(view, seed):
        agent = MAAC(view, CRITIC, seed)
        sample = agent.replay.sample

        def wrong(size):
            batch = sample(size)
            actions = batch["all_action"]
            is_none = broken == "no other's action"
            batch["all_action"] = actions * 0 - 1 if is_none else actions.roll(1, 0)
            return batch

        agent.replay.sample = wrong
        return agent

    assert sum(shares(make)) / SEEDS <= 0.8


# -- PPO ------------------------------------------------------------------------------------------------

PPO_CONFIG = PPOConfig(
    gamma=0.9,
    network=SMALL,
    rollout={"steps": 10, "epochs": 4, "minibatches": 2},
    optimizer={"actor_learning_rate": 1e-2, "critic_learning_rate": 2e-2},
)


class Reversed(PPO):
    """Makes bad actions likelier."""

    def _gain(self, log_pi, value, batch):
        return -super()._gain(log_pi, value, batch)


class Unaligned(PPO):
    """Takes the advantages of other samples."""

    def _take_step(self, batch):
        return super()._take_step(batch | {"advantage": batch["advantage"].roll(7)})


class Myopic(PPO):
    """Forgets what follows a reward."""

    def _finished(self, trace=None):
        finish = self.rollout.finish
        self.rollout.finish = lambda last, expected, value, gamma, trace: finish(
            last, expected, value, 0.0, trace
        )
        batch = super()._finished(trace)
        self.rollout.finish = finish
        return batch


def earned_in_the_end(kind, mean_field, config, seed):
    """Each player's reward after ten greedy steps: 1 for what pays later, .3 for what pays now."""
    view = mfq.wrap(MatrixGame(*investments(), num_envs=16, max_cycles=10))
    agent = kind(view, mean_field, config, seed)
    mfq.train(view, agent, 150)
    game = mfq.wrap(MatrixGame(*investments()))
    step = game.reset()
    for _ in range(10):
        step = game.step(agent.act(step, explore=False))
    return step.reward[0].tolist()


@pytest.mark.parametrize("mean_field", [True, False])
def test_it_learns_what_pays_later(mean_field):
    for seed in range(3):
        assert earned_in_the_end(PPO, mean_field, PPO_CONFIG, seed) == [1.0, 1.0]


@pytest.mark.parametrize("kind", [Reversed, Unaligned, Myopic])
def test_broken_ones_do_not(kind):
    ends = [earned_in_the_end(kind, False, PPO_CONFIG, seed) for seed in range(3)]
    assert ends != [[1.0, 1.0]] * 3


def test_the_critic_of_mf_ppo_explains_what_the_others_do():
    # The other's action moves a reward by 10 (a variance of 25), the agent's by .1.
    losses = {}
    for mean_field in (True, False):
        view = mfq.wrap(MatrixGame(noisy_neighbours(), num_envs=16))
        config = replace(
            PPO_CONFIG, gamma=0.0, entropy=0.5, pairing="current" if mean_field else "previous"
        )
        agent = PPO(view, mean_field, config)
        for transition in mfq.agents.loop.learn(view, agent, view.reset()):
            losses[mean_field] = transition.metrics.get("loss", losses.get(mean_field))
            if agent.time == 200:
                break
    assert losses[True] < 1.0
    assert losses[False] > 15.0
