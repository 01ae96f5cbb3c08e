"""An algorithm of your own, with its own loss and options: online mean-field Q-learning, Huber loss.

From the command line, where its options are flags, too:

    mfq train --env gaussian_squeeze_v0 --algo examples.custom.algorithm:HuberQ --agent.delta 0.5
"""

import copy
from dataclasses import dataclass

import torch
from torch.nn.functional import huber_loss

import mfq
from mfq.mean_field import MeanAction
from mfq.networks.networks import QNetwork
from mfq.policy import EpsilonGreedy, Greedy
from mfq.values import max_value, td_target


@dataclass(frozen=True)
class HuberConfig:
    """Options of `HuberQ`.

    Attributes:
        learning_rate: Adam's.
        gamma: discount, 0 to 1.
        delta: the error from which on the loss grows linearly.
        epsilon: of the exploration.
    """

    learning_rate: float = 3e-3
    gamma: float = 0.0
    delta: float = 1.0
    epsilon: float = 0.1


class HuberQ(mfq.Agent):
    """Fits Q(o, a, abar_{t-1}) to r + gamma max_a Q, each step on what all agents just did."""

    Config = HuberConfig

    def __init__(self, view, config, seed):
        self.view, self.config = view, config
        self.generator = torch.Generator(view.device).manual_seed(seed)
        self.module = QNetwork(
            view.observation_space,
            view.num_agents,
            view.num_actions,
            MeanAction(view),
            hidden=(64,),
            agent_embedding=8,
            generator=torch.Generator().manual_seed(seed),
        ).to(view.device)
        self.optimizer = torch.optim.Adam(self.module.parameters(), config.learning_rate)
        self.transition = None

    @property
    def generators(self):  # what an evaluation seeds, and restores
        return [self.generator]

    def values(self, step, index):
        """Q [S, A] of the agents at places b N + j: int64 [S]."""
        mean = step.mean_action.flatten(0, 1)[index]
        return self.module(step.obs_at(index), mean, index % self.view.num_agents)

    def act(self, step, explore=True):
        policy = EpsilonGreedy(self.config.epsilon) if explore else Greedy()
        index = step.active_index
        with torch.no_grad():
            chosen = policy.sample(self.values(step, index), 0, self.generator, step.mask_at(index))
        return step.scatter_actions(chosen, index)

    def observe(self, step, actions, next_step):
        self.transition = step, actions, next_step

    def learn(self):
        step, actions, next_step = self.transition
        index = step.learners(next_step).flatten().nonzero()[:, 0]
        reward, died = (x.flatten()[index] for x in (next_step.reward, next_step.terminated))
        following = max_value(self.values(next_step, index), next_step.mask_at(index))
        target = td_target(reward, following, died, self.config.gamma)
        with torch.enable_grad():
            q = self.values(step, index).gather(1, actions.flatten()[index, None])[:, 0]
            loss = huber_loss(q, target, delta=self.config.delta)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": float(loss.detach())}

    def player(self):  # for self-play
        twin = copy.copy(self)
        twin.module = copy.deepcopy(self.module)
        twin.generator = torch.Generator(self.view.device)
        twin.generator.set_state(self.generator.get_state())
        return twin

    def state_dict(self):
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state):
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
