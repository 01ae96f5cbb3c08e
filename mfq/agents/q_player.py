"""The acting half of a `QAgent`, without replay and target network.

Legend: B rows, N agents, A actions, S agents that choose next.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from gymnasium import spaces
from torch import Tensor, nn

from mfenvs.validate import of_kind
from mfq.agents.base import ActionValues, Player
from mfq.agents.hearing import Hearing, MakeMeanField, make_mean_field
from mfq.agents.q_config import QConfig
from mfq.common.generators import load_generator_state, seeded
from mfq.envs.step import Step
from mfq.envs.view import View, check_view
from mfq.mean_field import MeanField, iterate
from mfq.networks.encoders import encoding_of
from mfq.networks.modes import TrainingMode, check_outputs, in_eval_mode
from mfq.networks.networks import QNetwork
from mfq.networks.precision import Precision
from mfq.policy import Boltzmann, Greedy, Linear, Policy, draw

Kind = TypeVar("Kind", bound="QPlayer")
MakeNetwork = Callable[[View, torch.Generator], nn.Module]


class QPlayer(Player):
    """Plays by action values Q(o_j, a, abar_j) of one network for all its agents.

    Args:
        view: the view to play; gives spaces and sizes.
        mean_field: True is MFQ, with the mean field of the config; False is IQL. Or a `MeanField`
            class of your own.
        config: see `QConfig`.
        seed: seed of weights and draws. Global generators are not used.
        network: None, or a function of (view, generator) that returns a module with the signature of
            `QNetwork.forward`.
        policy: the policy for exploration and in v^MF; None takes the config's.

    Attributes:
        module: the network, in evaluation mode but for gradient steps.
        precision: the precision of the network.
        time: steps acted while exploring.
        episodes: episodes that have ended, over all rows.
    """

    module: nn.Module

    def __init__(
        self,
        view: View,
        mean_field: bool | MakeMeanField = True,
        config: QConfig | None = None,
        seed: int = 0,
        network: MakeNetwork | None = None,
        policy: Policy | None = None,
    ) -> None:
        check_view(view)
        self.view = view
        self.config = config = config if config is not None else QConfig()
        of_kind("config", config, QConfig, "a QConfig")
        self.hearing = Hearing(make_mean_field(view, mean_field, config.mean_field, config.pairing))
        if config.iterations and self.mean_field.width and not self.mean_field.iterates:
            raise ValueError(
                f"iterations={config.iterations!r} with agents of several types, or a mean field that "
                "is no distribution over actions; allowed: 0, since agents cannot respond to it"
            )
        self.policy = config.exploration.make_policy() if policy is None else policy
        self._has_user_policy = policy is not None
        build = network if network is not None else self._default_network
        self.module = build(view, seeded(seed)).to(view.device)
        self._training_mode = TrainingMode(self.module)
        self.precision = Precision(config.precision, self.module, view.device)
        self.generator = seeded(seed + 2, view.device)
        self.time = self.episodes = 0
        # Of the last act: the agents, their values and their mask.
        self._last: tuple[Tensor, Tensor, Tensor | None] | None = None
        self._acted_on: tuple[int, Tensor] | None = None  # a step's number and its expected mean

    @property
    def mean_field(self) -> MeanField:
        """The mean field."""
        return self.hearing.field

    @property
    def clock(self) -> int:
        """The time of the policy's schedule: steps, or episodes."""
        return self.episodes if self.config.exploration.episodes else self.time

    @property
    def generators(self) -> Sequence[torch.Generator]:
        return (self.generator,)

    def player(self) -> QPlayer:
        """Returns a frozen copy that plays as this one does now."""
        return self._player_of(QPlayer)

    def _player_of(self, kind: type[Kind]) -> Kind:
        """Returns `player`'s result, of a class of players."""
        player = kind.__new__(kind)  # without drawing new weights, which takes time
        shared = ("view", "config", "policy", "_has_user_policy", "precision", "time", "episodes")
        for name in shared:
            setattr(player, name, getattr(self, name))
        player._last = player._acted_on = None
        player.hearing = self.hearing.copy()
        player.module = copy.deepcopy(self.module).requires_grad_(False)
        player.generator = torch.Generator(self.view.device)
        player.generator.set_state(self.generator.get_state())
        return player

    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Returns actions int64 [B, N]; -1 for dead agents and those that it does not play.

        With exploration they are drawn from the policy; without, ``config.play`` decides.
        """
        index = step.active_index
        modes = in_eval_mode(self.module)
        with torch.no_grad(), self.precision.exactly(not explore), modes:
            mean = self.expected_mean(step)
            q = self.values(step, mean, index)
            mask = step.mask_at(index)
            self._last = index, q, mask
            chosen = self._policy(explore).sample(q, self.clock, self.generator, mask)
            actions = step.scatter_actions(chosen, index)
            actions = self._stick(step, actions)
            if explore:
                actions = self._explore_together(step, actions)
                self._acted_on = step.number, mean
        self.time += explore
        return actions

    def values(self, step: Step, mean: Tensor, index: Tensor) -> Tensor:
        """Returns Q(o, abar, .) at the indices b N + j: float32 [S, A]; ``mean`` is [B, N, D].

        Raises:
            ValueError: if the network does not return [S, A].
        """
        agents = index % self.view.num_agents
        inputs = step.obs_at(index), mean.flatten(0, 1)[index], agents
        values = self.precision(self.module, *inputs)
        num_actions = self.view.num_actions
        check_outputs(self.module, values, len(index), num_actions, "action values [S, A]")
        return values

    def expected_mean(self, step: Step) -> Tensor:
        """Returns the abar that acting in this step uses: float32 [B, N, D], D = 0 for IQL."""
        heard = self.hearing(step)
        if not self.mean_field.width:
            return heard
        return iterate(
            heard,
            self.config.iterations,
            step.graph,
            lambda mean: self._respond(step, mean),
            self.config.damping,
        )

    @property
    def last_values(self) -> ActionValues | None:
        """The action values of the last `act`."""
        if self._last is None:
            return None
        index, q, _ = self._last
        return ActionValues("Q", index, q)

    def metrics(self) -> dict[str, float]:
        """Returns the temperature or epsilon of the config's policy, and the mean entropy (nats) of the
        policies of the last `act`."""
        config, metrics = self.config, dict[str, float]()
        if not self._has_user_policy:
            name = "temperature" if config.exploration.policy == "boltzmann" else "epsilon"
            metrics[name] = config.exploration.schedule()(self.clock)
        if self._last is not None and len(self._last[0]):
            _, values, mask = self._last
            pi = self.policy.probabilities(values, self.clock, mask)
            metrics["entropy"] = float(torch.special.entr(pi).sum(-1).mean())
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Returns the complete state of acting."""
        return {
            "module": self.module.state_dict(),
            "generator": self.generator.get_state(),
            "time": self.time,
            "episodes": self.episodes,
            **({"hearing": hearing} if (hearing := self.hearing.state_dict()) else {}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict`."""
        self.module.load_state_dict(state["module"])
        load_generator_state(self.generator, state["generator"])
        # Older checkpoints call them "rounds", and those of opponents lack them.
        self.time = state["time"]
        self.episodes = state.get("episodes", state.get("rounds", self.episodes))
        self.hearing.load_state_dict(state.get("hearing", {}), is_current=False)

    def acting_state(self) -> dict[str, Any]:
        return {**super().acting_state(), "hearing": self.hearing.copy()}

    def load_acting_state(self, state: dict[str, Any]) -> None:
        super().load_acting_state(state)
        self.hearing = state["hearing"]

    # -- implementation -------------------------------------------------------------------------

    def _policy(self, explore: bool) -> Policy:
        if explore:
            return self.policy
        if self.config.play == "sample" and self._has_user_policy:
            return self.policy
        if self.config.play == "sample" and isinstance(self.policy, Boltzmann):
            return Boltzmann(self.config.exploration.end)
        return Greedy()

    def _respond(self, step: Step, mean: Tensor) -> Tensor:
        """Draws the actions of all living agents from the policy, given a mean action."""
        all_agents = step.for_player(step.alive)
        index = all_agents.active_index
        q = self.values(step, mean, index)
        chosen = self.policy.sample(q, self.clock, self.generator, step.mask_at(index))
        return step.scatter_actions(chosen, index)

    def _explore_together(self, step: Step, actions: Tensor) -> Tensor:
        """Coherent exploration: with some probability, a row draws all its actions from one mixture."""
        chance = self._coherence()
        if chance <= 0:
            return actions
        generator, num_actions = self.generator, self.view.num_actions
        together = (
            torch.rand((len(actions), 1), generator=generator, device=actions.device) < chance
        )
        concentration = self.config.exploration.coherent_concentration
        shares = log_gamma_shares((len(actions), 1, num_actions), concentration, generator)
        # Normalised over each agent's allowed actions, even if their shares in the row are tiny.
        shares = shares.expand(-1, self.view.num_agents, -1)
        mixture = Boltzmann(1.0).probabilities(shares, self.clock, step.action_mask)
        return draw(mixture, generator).where(together & (actions >= 0), actions)

    def _coherence(self) -> float:
        """Returns the probability that a row explores coherently in this step."""
        config = self.config.exploration
        if config.coherent_start <= 0:
            return 0.0
        return Linear(config.coherent_start, 0.0, config.coherent_steps)(self.time)

    def _stick(self, step: Step, actions: Tensor) -> Tensor:
        """Stickiness: with some probability an agent repeats its last action, if that is allowed."""
        if self.config.exploration.stickiness <= 0:
            return actions
        coin = torch.rand(actions.shape, generator=self.generator, device=actions.device)
        repeats = coin >= 1 - self.config.exploration.stickiness
        repeats &= (step.actions >= 0) & (actions >= 0)
        if step.action_mask is not None:
            last = step.actions.clamp(min=0)[..., None]
            repeats &= step.action_mask.gather(-1, last)[..., 0] != 0
        return step.actions.where(repeats, actions)

    def _default_network(self, view: View, generator: torch.Generator) -> nn.Module:
        return network_of(self.config, view.observation_space, view, self.mean_field, generator)


def log_gamma_shares(
    shape: tuple[int, ...], concentration: float, generator: torch.Generator
) -> Tensor:
    """Returns logarithms of gamma variables, float64. Their softmax along the last axis has a symmetric
    Dirichlet distribution.

    Gamma(c) is distributed as Gamma(c + 1) U^(1 / c) (Marsaglia & Tsang 2000). The logarithm of the
    latter is finite even if the variable underflows to 0 for all actions.

    Args:
        shape: shape of the result.
        concentration: c, above 0.
        generator: makes the draws, on its device.
    """
    c = max(concentration, 1e-300)  # so that 1 / c is finite
    rates = torch.full(shape, c, dtype=torch.float64, device=generator.device)
    # torch.distributions would draw from the global generator.
    boosted = torch._standard_gamma(rates + 1, generator=generator)
    minus_log_u = torch.empty_like(rates).exponential_(generator=generator)
    return boosted.log() - minus_log_u / c


def q_player(
    view: View,
    observation_space: spaces.Space[Any],
    config: QConfig,
    state: dict[str, Any],
    seed: int,
    mean_field: bool,
) -> QPlayer:
    """Returns a player from a `QAgent`'s ``state_dict``.

    Args:
        view: the view to play.
        observation_space: the observation space of the network.
        config: the options of the agent.
        state: its state.
        seed: seed of draws that the state does not have.
        mean_field: True for MFQ, False for IQL.
    """

    def make(view: View, generator: torch.Generator) -> nn.Module:
        field = make_mean_field(view, mean_field, config.mean_field, config.pairing)
        return network_of(config, observation_space, view, field, generator)

    player = QPlayer(view, mean_field, config, seed, make)
    player.load_state_dict(state)
    return player


def network_of(
    config: QConfig,
    observation_space: spaces.Space[Any],
    view: View,
    mean_field: MeanField,
    generator: torch.Generator,
) -> QNetwork:
    """Returns the network of a config, for agents of a view with ``observation_space``."""
    network = config.network
    has_filters = network.filters or network.pictures == "large"
    encoding = encoding_of(
        network.pictures if has_filters else "flat",
        network.channels,
        network.normalize,
        filters=network.filters,
        stride=network.stride,
    )
    return QNetwork(
        observation_space,
        view.num_agents,
        view.num_actions,
        mean_field,
        network.hidden,
        network.agent_embedding,
        generator,
        encoding,
    )
