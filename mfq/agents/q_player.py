"""How a Q-learner acts: the half of `QAgent` that plays, without memory or targets.

Legend: B rows, N agents, A actions, S agents that have to choose.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from mfq.agents.q_config import QConfig
from mfq.common.config import of_kind
from mfq.common.generators import load_generator_state
from mfq.envs.step import Step
from mfq.envs.view import View, check_view
from mfq.mean_field import iterate
from mfq.networks.encoders import Conv
from mfq.networks.networks import QNetwork
from mfq.networks.precision import Precision
from mfq.policy import Boltzmann, Greedy, Linear, Policy, draw

MakeNetwork = Callable[[View, torch.Generator], nn.Module]


class QPlayer:
    """Plays by action values Q(o_j, a, abar_j) of one network that all its agents share.

    Args:
        view: what to play; gives spaces and sizes.
        mean_field: True is MFQ, False is IQL.
        config: see `QConfig`.
        seed: of weights and draws; no global generator is touched.
        network: None, or a function of (view, generator) that returns a module with the signature of
            `QNetwork.forward`, to be used in its place.
        policy: explores, and is part of pi in v^MF, instead of the config's.

    Attributes:
        module: the network.
        precision: which it computes in.
        time: steps acted while exploring.
        rounds: episodes that ended in its rows.
    """

    def __init__(
        self,
        view: View,
        mean_field: bool = True,
        config: QConfig | None = None,
        seed: int = 0,
        network: MakeNetwork | None = None,
        policy: Policy | None = None,
    ) -> None:
        check_view(view)
        self.view, self.mean_field = view, mean_field
        self.config = config = config if config is not None else QConfig()
        of_kind("config", config, QConfig, "a QConfig")
        if config.iterations and view.mean_action_dim != view.num_actions:
            raise ValueError(
                f"iterations={config.iterations!r} with agents of several types; allowed: 0, since one "
                "type's learner cannot tell what the others would do"
            )
        self.policy = config.make_policy() if policy is None else policy
        self._own_policy = policy is not None
        build = network if network is not None else self._default_network
        self.module = build(view, torch.Generator().manual_seed(seed)).to(view.device)
        self.precision = Precision(config.precision, self.module, view.device)
        self.generator = torch.Generator(view.device).manual_seed(seed + 2)
        self.time = self.rounds = 0
        self._asked: tuple[Tensor, Tensor | None] | None = None  # values and mask of the last act

    @property
    def clock(self) -> int:
        """What the policy's schedule runs on."""
        return self.rounds if self.config.explore_rounds else self.time

    def player(self) -> QPlayer:
        """A copy that plays as this one does now, with weights and draws of its own."""
        twin = QPlayer.__new__(QPlayer)  # no use in drawing weights that are not kept
        shared = ("view", "mean_field", "config", "policy", "_own_policy", "precision")
        for name in (*shared, "time", "rounds"):
            setattr(twin, name, getattr(self, name))
        twin._asked = None
        twin.module = copy.deepcopy(self.module).requires_grad_(False)
        twin.generator = torch.Generator(self.view.device)
        twin.generator.set_state(self.generator.get_state())
        return twin

    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Actions int64 [B, N], -1 for those that it does not play or that are dead.

        With exploration they are drawn from the policy; without, as ``config.play`` says.
        """
        index = step.active_index
        with torch.no_grad(), self.precision.exactly(not explore):
            q = self.values(step, self.expected_mean(step), index)
            mask = step.mask_at(index)
            self._asked = q, mask
            chosen = self._policy(explore).sample(q, self.clock, self.generator, mask)
            actions = step.scatter_actions(chosen, index)
            actions = self._keep_habits(step, actions)
            if explore:
                actions = self._explore_together(step, actions)
        self.time += explore
        return actions

    def values(self, step: Step, mean: Tensor, index: Tensor) -> Tensor:
        """Q(o, abar, .) at places b N + j: float32 [S, A]; ``mean`` is [B, N, A]."""
        agents = index % self.view.num_agents
        inputs = step.obs_at(index), mean.flatten(0, 1)[index], agents
        return self.precision(self.module, *inputs)

    def expected_mean(self, step: Step) -> Tensor:
        """The mean action that acting in this step reckons with: float32 [B, N, A]; of no width for
        IQL."""
        if not self.mean_field:
            return torch.zeros((*step.actions.shape, 0), device=self.view.device)
        return iterate(
            step.mean_action,
            self.config.iterations,
            step.graph,
            lambda mean: self._respond(step, mean),
        )

    def metrics(self) -> dict[str, float]:
        """How it explores: the temperature or epsilon of the config's policy, and the entropy (nats) of
        its last policies."""
        config, found = self.config, dict[str, float]()
        if not self._own_policy:
            name = "temperature" if config.policy == "boltzmann" else "epsilon"
            found[name] = config.schedule()(self.clock)
        if self._asked is not None and len(self._asked[0]):
            pi = self.policy.probabilities(self._asked[0], self.clock, self._asked[1])
            found["entropy"] = float(torch.special.entr(pi).sum(-1).mean())
        return found

    def state_dict(self) -> dict[str, Any]:
        """Everything that acting depends on."""
        return {
            "module": self.module.state_dict(),
            "generator": self.generator.get_state(),
            "time": self.time,
            "rounds": self.rounds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a `state_dict`."""
        self.module.load_state_dict(state["module"])
        load_generator_state(self.generator, state["generator"])
        self.time, self.rounds = state["time"], state["rounds"]

    # -- its parts ------------------------------------------------------------------------------

    def _policy(self, explore: bool) -> Policy:
        if explore:
            return self.policy
        if self.config.play == "sample" and self._own_policy:
            return self.policy
        if self.config.play == "sample" and isinstance(self.policy, Boltzmann):
            return Boltzmann(self.config.explore_end)
        return Greedy()

    def _respond(self, step: Step, mean: Tensor) -> Tensor:
        """What all the living would do: draws from the policy, given a mean action."""
        everybody = step.for_player(step.alive)
        index = everybody.active_index
        q = self.values(step, mean, index)
        chosen = self.policy.sample(q, self.clock, self.generator, step.mask_at(index))
        return step.scatter_actions(chosen, index)

    def _explore_together(self, step: Step, actions: Tensor) -> Tensor:
        """Coherent exploration: by chance a row draws all its actions from a mixture of its own."""
        chance = self._coherence()
        if chance <= 0:
            return actions
        coin, num_actions = self.generator, self.view.num_actions
        together = torch.rand((len(actions), 1), generator=coin, device=actions.device) < chance
        shares = log_gamma_shares(
            (len(actions), 1, num_actions), self.config.coherent_concentration, coin
        )
        # Normalised over what each agent may do, however small the row's shares of that are.
        shares = shares.expand(-1, self.view.num_agents, -1)
        mixture = Boltzmann(1.0).probabilities(shares, self.clock, step.action_mask)
        return draw(mixture, coin).where(together & (actions >= 0), actions)

    def _coherence(self) -> float:
        """The probability that a row explores coherently in a step now."""
        config = self.config
        if config.coherent_start <= 0:
            return 0.0
        return Linear(config.coherent_start, 0.0, config.coherent_steps)(self.time)

    def _keep_habits(self, step: Step, actions: Tensor) -> Tensor:
        """Agents that do not reconsider repeat their action, if they have one that is still allowed."""
        if self.config.reconsider >= 1:
            return actions
        coin = torch.rand(actions.shape, generator=self.generator, device=actions.device)
        keeps = (coin >= self.config.reconsider) & (step.actions >= 0) & (actions >= 0)
        if step.action_mask is not None:
            habit = step.actions.clamp(min=0)[..., None]
            keeps &= step.action_mask.gather(-1, habit)[..., 0] != 0
        return step.actions.where(keeps, actions)

    def _default_network(self, view: View, generator: torch.Generator) -> nn.Module:
        return network_of(self.config, view.observation_space, view, self.mean_field, generator)


def log_gamma_shares(
    shape: tuple[int, ...], concentration: float, generator: torch.Generator
) -> Tensor:
    """Logarithms of gamma variables, float64: their softmax along the last axis is drawn from the
    symmetric Dirichlet distribution.

    Gamma(c) is distributed as Gamma(c + 1) U^(1 / c) (Marsaglia & Tsang 2000), of which the logarithm
    is finite where the variable itself would be 0 for all actions.

    Args:
        shape: of the result.
        concentration: c, above 0.
        generator: of the draws, and of the device they are made on.
    """
    c = max(concentration, 1e-300)  # which 1 can be divided by
    rates = torch.full(shape, c, dtype=torch.float64, device=generator.device)
    # torch.distributions would draw from the global generator.
    boosted = torch._standard_gamma(rates + 1, generator=generator)
    minus_log_u = torch.empty_like(rates).exponential_(generator=generator)
    return boosted.log() - minus_log_u / c


def network_of(
    config: QConfig,
    observation_space: spaces.Space[Any],
    view: View,
    mean_field: bool,
    generator: torch.Generator,
) -> QNetwork:
    """The network that a config asks for, of agents that observe this and otherwise are a view's."""
    return QNetwork(
        observation_space,
        view.num_agents,
        view.num_actions,
        mean_field,
        config.hidden,
        config.agent_embedding,
        generator,
        view.mean_action_dim,
        Conv(config.filters, config.stride) if config.filters else None,
    )
