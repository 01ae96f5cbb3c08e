"""Mean-field actor-critic: the base class of its algorithms.

`mfq.agents.ac_replay` has the paper's algorithm (Yang et al. 2018, Algorithm 2), `mfq.agents.ac_rollout`
that of the authors' code. Both implement MF-AC and AC (independent actor-critic). MAAC
(`mfq.agents.maac`) and PPO (`mfq.agents.ppo`) are built on them.

Legend: B rows, N agents, A actions, M transitions of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from gymnasium import spaces
from torch import Tensor, nn

from mfenvs.validate import of_kind
from mfq.agents.ac_config import ACConfig, ACNetworkConfig
from mfq.agents.ac_player import ACPlayer
from mfq.agents.base import ActionValues, Agent
from mfq.agents.hearing import Hearing, MakeMeanField, make_mean_field
from mfq.common import distributed
from mfq.common.generators import load_generator_state, seeded
from mfq.envs.step import Step
from mfq.envs.view import View, check_view
from mfq.mean_field import MeanField
from mfq.networks.encoders import Encoding, encoding_of
from mfq.networks.modes import TrainingMode
from mfq.networks.networks import Actor, Critic, SeparateActors, Trunk
from mfq.networks.normalize import RewardScale
from mfq.networks.optimizer import adam, load_adam
from mfq.networks.precision import Precision

ACTOR = "actor."  # prefix of the actor's weights in a state_dict

Networks = Callable[[View, torch.Generator], tuple[nn.Module, nn.Module]]


class ActorCritic(Agent):
    """A policy and a critic, shared by all agents that it plays.

    `ActorCritic` makes a `ReplayActorCritic` if ``config.critic`` is "q", and a `RolloutActorCritic` if
    it is "v".

    Args:
        view: the view to play; gives spaces and sizes.
        mean_field: True is MF-AC, with the mean field of the config; False is AC. Or a `MeanField`
            class of your own.
        config: see `ACConfig`.
        seed: seed of weights, exploration and replay. Global generators are not used.
        network: None, or a function of (view, generator) that returns an actor and a critic, modules
            with the signatures of `Actor.forward` and `Critic.forward`.

    Attributes:
        module: the actor. Actor and critic are in evaluation mode but for gradient steps.
        precision: the precision of actor and critic.
        time: steps acted while exploring.
        reward_scale: the scale of rewards; None if they are not scaled.
        updates: gradient steps made.
    """

    Config: ClassVar[type[Any]] = ACConfig
    """The dataclass of the options."""
    critic: ClassVar[str]
    """The value of `ACConfig.critic` that a subclass implements."""
    _classes: ClassVar[dict[str, type[ActorCritic]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        ActorCritic._classes.setdefault(cls.critic, cls)

    def __new__(
        cls,
        view: View | None = None,
        mean_field: bool | MakeMeanField = True,
        config: ACConfig | None = None,
        seed: int = 0,
        network: Networks | None = None,
    ) -> ActorCritic:
        if cls is ActorCritic and (config is None or isinstance(config, ACConfig)):
            cls = ActorCritic._classes[(config or ACConfig()).critic]
        return super().__new__(cls)

    def __init__(
        self,
        view: View,
        mean_field: bool | MakeMeanField = True,
        config: ACConfig | None = None,
        seed: int = 0,
        network: Networks | None = None,
    ) -> None:
        check_view(view)
        self.view = view
        self.config = config = config if config is not None else self.Config()
        name = self.Config.__name__
        of_kind("config", config, self.Config, f"{'an' if name[0] == 'A' else 'a'} {name}")
        self.hearing = Hearing(make_mean_field(view, mean_field, config.mean_field, config.pairing))
        build = network if network is not None else self._default_networks
        actor, critic = build(view, seeded(seed))
        self.online = nn.ModuleDict({"actor": actor, "critic": critic}).to(view.device)
        self._training_mode = TrainingMode(self.online)
        self.optimizer = adam(self._parameters(), view.device)
        self.generator = seeded(seed + 2, view.device)
        greedy = config.play == "greedy"
        self.precision = Precision(config.precision, self.online, view.device)
        self._player = ACPlayer(actor, config.temperature, greedy, self.generator, self.precision)
        self.reward_scale = RewardScale(view.device) if config.reward_scale == "auto" else None
        self.time = self.updates = 0

    @property
    def mean_field(self) -> MeanField:
        """The mean field, which the critic hears."""
        return self.hearing.field

    @property
    def module(self) -> nn.Module:  # type: ignore[override]
        """The actor."""
        return self.online["actor"]

    @property
    def generators(self) -> Sequence[torch.Generator]:
        return (self.generator,)

    def player(self) -> ACPlayer:
        """Returns a frozen copy of the actor that plays as this agent does now."""
        return self._player.player()

    @property
    def last_values(self) -> ActionValues | None:
        """The policy in the last `act`."""
        return self._player.last_values

    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Returns actions int64 [B, N]; -1 for dead agents and those that it does not play.

        With exploration they are drawn from the policy; without, ``config.play`` decides."""
        self.time += explore
        return self._player.act(step, explore)

    def learn(self) -> dict[str, float]:
        """Makes the gradient steps that are due; returns metrics of the last one, or {}."""
        self._set_rates()
        return self._improve()

    # Not abstract, so that type checkers let `ActorCritic` be called.

    def observe(self, step: Step, actions: Tensor, next_step: Step) -> None:
        raise NotImplementedError

    def _improve(self) -> dict[str, float]:
        """Makes the gradient steps that are due."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Returns the complete state, replay or unfinished rollout included."""
        return {
            "online": self.online.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "time": self.time,
            "updates": self.updates,
            **({"reward_scale": self.reward_scale.state_dict()} if self.reward_scale else {}),
            **({"hearing": hearing} if (hearing := self.hearing.state_dict()) else {}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict`."""
        self.online.load_state_dict(state["online"])
        load_adam(self.optimizer, state["optimizer"])
        self.hearing.load_state_dict(state.get("hearing", {}), is_current=True)
        load_generator_state(self.generator, state["generator"])
        self.time, self.updates = state["time"], state["updates"]
        self._set_rates()  # of the config, which may differ from the saved one
        if self.reward_scale is not None and "reward_scale" in state:
            self.reward_scale.load_state_dict(state["reward_scale"])

    # -- shared by both algorithms ---------------------------------------------------------------

    def log_policy(self, logits: Tensor, mask: Tensor | None) -> Tensor:
        """Returns log pi(. | s) [M, A]; for masked actions a finite number with an exp of 0."""
        logits = logits / self.config.temperature
        if mask is not None:
            logits = logits.masked_fill(mask == 0, torch.finfo(logits.dtype).min)
        return torch.log_softmax(logits, -1)

    def _fitted(self, step: Step, next_step: Step) -> Tensor:
        """Returns what the critic is fitted to, float32 [B, N, D]."""
        self.hearing(step)  # in the order of time, also right after `load_state_dict`
        return self.mean_field.fitted(
            before=lambda: self.hearing(step), after=lambda: self.hearing(next_step)
        )

    def _descend(self) -> None:
        distributed.average_gradients(self.online.parameters())
        if self.config.optimizer.clip_gradient:
            for group in self.optimizer.param_groups:
                nn.utils.clip_grad_norm_(group["params"], self.config.optimizer.clip_gradient)
        self.optimizer.step()
        self.updates += 1

    def _parameters(self) -> list[dict[str, Any]]:
        """Returns the actor's parameters, and those of the critic that it does not share."""
        actors = list(self.online["actor"].parameters())
        shared = set(actors)
        critics = [part for part in self.online["critic"].parameters() if part not in shared]
        return [{"params": actors}, {"params": critics}]

    def _set_rates(self) -> None:
        rates = self.config.optimizer.rates(self.time)
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def _default_networks(
        self, view: View, generator: torch.Generator
    ) -> tuple[nn.Module, nn.Module]:
        space, field = view.observation_space, self.mean_field
        return networks_of(self.config, space, view, field, generator, self.critic)


def ac_player(
    view: View,
    observation_space: spaces.Space[Any],
    config: Any,
    state: dict[str, Any],
    seed: int,
) -> ACPlayer:
    """Returns a player from an `ActorCritic`'s ``state_dict``.

    Args:
        view: the view to play.
        observation_space: the observation space of the actor.
        config: the options of the agent.
        state: its state.
        seed: seed of draws.
    """
    actor = actor_of(config.network, observation_space, view, seeded(seed))
    actor.load_state_dict(
        {
            name.removeprefix(ACTOR): part
            for name, part in state["online"].items()
            if name.startswith(ACTOR)
        }
    )
    actor.to(view.device).requires_grad_(False)
    precision = Precision(config.precision, actor, view.device)
    generator = seeded(seed + 2, view.device)
    return ACPlayer(actor, config.temperature, config.play == "greedy", generator, precision)


def actor_of(
    network: ACNetworkConfig, space: spaces.Space[Any], view: View, generator: torch.Generator
) -> Actor | SeparateActors:
    """Returns the actor of a config, for agents of a view with an observation space."""
    if network.separate_actors:
        sizes = view.num_agents, view.num_actions, hidden_of(network, space)
        return SeparateActors(space, *sizes, encoding_from(network), generator)
    return Actor(trunk_of(network, space, view, generator), view.num_actions, generator)


def networks_of(
    config: Any,
    observation_space: spaces.Space[Any],
    view: View,
    mean_field: MeanField,
    generator: torch.Generator,
    critic: str = "q",
) -> tuple[nn.Module, nn.Module]:
    """Returns the actor and the critic of a config, for agents of a view with ``observation_space``.

    ``critic`` is "q" for Q(s, ., abar), "v" for V(s, abar).
    """
    network, num_outputs = config.network, view.num_actions if critic == "q" else 1
    actor = actor_of(network, observation_space, view, generator)
    if network.shared_trunk and isinstance(actor, Actor):
        trunk = actor.trunk
    else:
        trunk = trunk_of(network, observation_space, view, generator)
    return actor, Critic(trunk, num_outputs, mean_field, network.mean_hidden, generator)


def trunk_of(
    network: ACNetworkConfig, space: spaces.Space[Any], view: View, generator: torch.Generator
) -> Trunk:
    """Returns the layers between an observation and the outputs."""
    hidden, embedding = hidden_of(network, space), network.agent_embedding
    return Trunk(space, view.num_agents, hidden, embedding, encoding_from(network), generator)


def hidden_of(network: ACNetworkConfig, space: spaces.Space[Any]) -> tuple[int, ...]:
    """Returns the widths of the layers after the encoders."""
    return network.hidden or ((512,) if _has_pictures(space) else (64, 64))


def encoding_from(network: ACNetworkConfig) -> Encoding:
    """Returns the encoders of a config."""
    return encoding_of(network.pictures, network.channels, network.normalize, default="flat")


def _has_pictures(space: spaces.Space[Any]) -> bool:
    if isinstance(space, spaces.Dict):
        return any(_has_pictures(part) for part in space.spaces.values())
    return isinstance(space, spaces.Box) and len(space.shape) == 3
