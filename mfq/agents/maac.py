"""MAAC: an actor-critic whose critic sees the actions of all agents (Lowe et al. 2017, Eq. 4).

It is the baseline that Yang et al. (2018) call MAAC, MADDPG with discrete actions. The multi-actor
attention critic of Iqbal & Sha (2019) is another algorithm of this name.

Legend: B rows, N agents, A actions, M transitions of a batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mfq.agents.ac_config import ACConfig
from mfq.agents.ac_replay import ReplayActorCritic
from mfq.agents.actor_critic import Networks, actor_of, encoding_from, trunk_of
from mfq.envs.view import TypeView, View
from mfq.networks.encoders import encoder
from mfq.networks.networks import JointCritic, flat_agents
from mfq.policy import draw
from mfq.replay.base import observation
from mfq.replay.joint import JointReplay
from mfq.values import mean_field_value


class MAAC(ReplayActorCritic):
    """A policy pi(a | o_j) and a critic Q_j(x, a_1, ..., a_N), both shared by all agents it plays.

    x are the observations of all agents. With b for the actions of the agents other than j,

        y = r_j + gamma sum_a pi_target(a | o'_j) Q_target(x', a, b'), with b' drawn from pi_target,

        the critic minimises (y - Q_j(x, a_j, b))^2,

        the actor ascends E_{a ~ pi}[grad log pi(a | o_j) Q_j(x, a, b)] + entropy grad H(pi).

    Both expectations over the action of agent j are whole sums over A actions. In the actor's gradient b
    are the actions of the replayed transition. At x' the target policy stands for all agents, those that
    other players play included. With several types of agents, x and b are those of one type.

    Args:
        view, config, seed: see `ActorCritic`. The config's ``mean_field``, ``pairing``, ``rollout`` and
            ``network.shared_trunk`` are not used; ``network.mean_hidden`` are the widths of the critic's
            layers after the trunk.
        network: None, or a function of (view, generator) that returns an actor and a critic, modules
            with the signatures of `Actor.forward` and `JointCritic.forward`.

    Raises:
        ValueError: if ``config.critic`` is not "q", or ``network.mean_hidden`` is empty.
    """

    def __init__(
        self,
        view: View,
        config: ACConfig | None = None,
        seed: int = 0,
        network: Networks | None = None,
    ) -> None:
        config = config if config is not None else ACConfig()
        super().__init__(view, False, config, seed, network)
        if config.critic != "q":
            raise ValueError(f"critic={config.critic!r} with MAAC; allowed: 'q'")

    def _make_replay(self, seed: int) -> JointReplay:
        view, config = self.view, self.config
        agents = torch.ones(view.num_agents, dtype=torch.bool, device=view.device)
        if isinstance(view, TypeView):
            agents = view.types == view.k
        return JointReplay(config.replay.size, agents, seed, config.gamma > 0)

    def _critic_values(self, batch: dict[str, Tensor]) -> Tensor:
        """Returns Q_j(x, ., b) [M, A] of the online critic."""
        inputs = observation("obs", batch), observation("all_obs", batch)
        return self.precision(self.online["critic"], *inputs, batch["all_action"], batch["agent"])

    def _next_value(self, batch: dict[str, Tensor]) -> Tensor:
        """Returns sum_a pi_target(a | o'_j) Q_target(x', a, b') [M], with drawn b'."""
        agent, acts = batch["agent"], batch["acts_next"]
        all_obs, mask = observation("all_next_obs", batch), batch.get("all_next_mask")
        agents = torch.arange(acts.shape[1], device=acts.device).expand_as(acts).flatten()
        logits = self.precision(self.target["actor"], flat_agents(all_obs), agents)
        mask = None if mask is None else mask.flatten(0, 1)
        pi = self.log_policy(logits, mask).exp().view(*acts.shape, -1)
        action = draw(pi, self.replay.generator).where(acts, -1)
        index = torch.arange(len(agent), device=agent.device), agent
        obs = (
            {name: part[index] for name, part in all_obs.items()}
            if isinstance(all_obs, dict)
            else all_obs[index]
        )
        q = self.precision(self.target["critic"], obs, all_obs, action, agent)
        return mean_field_value(q, pi[index])

    def _default_networks(
        self, view: View, generator: torch.Generator
    ) -> tuple[nn.Module, nn.Module]:
        network, space = self.config.network, view.observation_space
        if not network.mean_hidden:
            raise ValueError("network.mean_hidden=() with MAAC; allowed: one width or more")
        actor = actor_of(network, space, view, generator)
        trunk = trunk_of(network, space, view, generator)
        encode = encoder(space, generator, encoding_from(network))
        sizes = view.num_agents, view.num_actions, network.mean_hidden
        return actor, JointCritic(trunk, encode, *sizes, generator)
