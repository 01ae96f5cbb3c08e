"""Options of the actor-critics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mfenvs.validate import number, of_kind, one_of, plain_fields, positive, whole, widths
from mfq.agents.q_config import REPLAY_ALIASES, REWARD_SCALES, ReplayConfig
from mfq.common.config import Alias, Nested
from mfq.mean_field import PAIRINGS
from mfq.networks.encoders import CHANNELS, PICTURES
from mfq.networks.precision import PRECISIONS
from mfq.policy import Linear


@dataclass(frozen=True)
class ACNetworkConfig:
    """The networks of an `ActorCritic`.

    Attributes:
        pictures: the encoder of pictures: "flat" for a layer of 256; "conv" for the two convolutions of
            the paper's Q-network; "large" for the three strided ones of Mnih et al. (2015), for pictures
            of at least 36 x 36; "auto" for "large" where pictures are that large, else "flat".
        hidden: widths of the layers after the encoders; None takes 512 for observations with pictures,
            else 64 and 64.
        mean_hidden: widths of the critic's layers after the mean action is concatenated.
        agent_embedding: size of the embedding of the agent's index; 0 for none.
        shared_trunk: whether the critic shares all layers but the last ones with the actor.
        channels, normalize: see `QNetworkConfig`.
        separate_actors: if True, each agent has an actor with separate weights, as MAAC and MF-AC in
            the paper's Gaussian squeeze; for observations without pictures. Critics stay shared.
    """

    pictures: str = "auto"
    hidden: tuple[int, ...] | None = None
    mean_hidden: tuple[int, ...] = (256,)
    agent_embedding: int = 8
    shared_trunk: bool = False
    channels: str = "auto"
    normalize: bool = False
    separate_actors: bool = False

    def __post_init__(self) -> None:
        plain_fields(self)
        one_of("pictures", self.pictures, PICTURES)
        one_of("channels", self.channels, CHANNELS)
        of_kind("normalize", self.normalize, bool, "True or False")
        whole("agent_embedding", self.agent_embedding, 0)
        if self.hidden is not None and not self.hidden:
            raise ValueError(f"hidden={self.hidden!r}; allowed: one width or more, or None")
        for name in ("hidden", "mean_hidden"):
            widths(name, getattr(self, name) or ())
        for name in ("shared_trunk", "separate_actors"):
            of_kind(name, getattr(self, name), bool, "True or False")
        if self.shared_trunk and self.separate_actors:
            raise ValueError(
                "separate_actors=True with shared_trunk=True; allowed: one of them, since the critic "
                "cannot share the trunks of several actors"
            )


@dataclass(frozen=True)
class ACOptimizerConfig:
    """Adam's options, and the batches of an `ActorCritic`.

    Attributes:
        actor_learning_rate: the initial learning rate of the actor.
        critic_learning_rate: the initial learning rate of the critic.
        learning_rate_steps: if above 0, both rates fall linearly over this number of environment steps.
        learning_rate_left: the share of the initial rates that remains then.
        batch_size: transitions of a gradient step of a "q" critic.
        clip_gradient: largest norm of either network's gradient; 0 for no clipping.
    """

    actor_learning_rate: float = 3e-4
    critic_learning_rate: float = 1e-3
    learning_rate_steps: int = 0
    learning_rate_left: float = 0.0
    batch_size: int = 256
    clip_gradient: float = 10.0

    def __post_init__(self) -> None:
        plain_fields(self)
        for name in ("actor_learning_rate", "critic_learning_rate"):
            positive(name, getattr(self, name))
        number("learning_rate_left", self.learning_rate_left, 0.0, 1.0)
        number("clip_gradient", self.clip_gradient, 0.0)
        whole("learning_rate_steps", self.learning_rate_steps, 0)
        whole("batch_size", self.batch_size, 1)

    def rates(self, time: int) -> tuple[float, float]:
        """Returns the learning rates of actor and critic after so many environment steps."""
        share = 1.0
        if self.learning_rate_steps:
            share = Linear(1.0, self.learning_rate_left, self.learning_rate_steps)(time)
        return share * self.actor_learning_rate, share * self.critic_learning_rate


@dataclass(frozen=True)
class RolloutConfig:
    """The rollouts of a "v" critic.

    Attributes:
        steps: the maximum length of a rollout, which ends when every row has ended an episode. Episodes
            that are unfinished then are cut and bootstrapped.
        updates: gradient steps on a rollout, each over all of it.
        value_weight: weight of the critic's loss relative to the actor's.
    """

    steps: int = 400
    updates: int = 1
    value_weight: float = 0.1

    def __post_init__(self) -> None:
        plain_fields(self)
        whole("steps", self.steps, 1)
        whole("updates", self.updates, 0)
        number("value_weight", self.value_weight, 0.0)


@dataclass(frozen=True)
class ACConfig(Nested):
    """Options of an `ActorCritic`. Its parts may be given as dicts. `AUTHORS` has those of the authors'
    code.

    Attributes:
        critic: "q", as in the paper: Q(s, a, abar), from replay, with target networks; or "v", as in
            the authors' code: V(s, abar), from the returns of whole rollouts.
        pairing: "current" fits the critic to abar_t, as in the paper; "previous" to abar_{t-1}, as in
            the authors' code. Acting does not use the critic, so that "current" does not make agents
            respond to a mean action of the past as it does in a `QConfig` (docs/studies/test_bed.md).
        mean_field: the mean field of the critic; see `QConfig`.
        play: how to act without exploration: "greedy" or "sample".
        gamma: discount, 0 to 1. With 0 and a "q" critic, the fields of s' are not stored.
        reward_scale: see `QConfig`.
        temperature: pi = softmax(logits / temperature).
        entropy: weight of the entropy bonus; 0 for none.
        polyak: the step of the target networks towards the online ones, 0 to 1; "q" critic only.
        precision: see `QConfig`.
        network: see `ACNetworkConfig`.
        optimizer: see `ACOptimizerConfig`.
        replay: see `ReplayConfig`; "q" critic only.
        rollout: see `RolloutConfig`; "v" critic only.
    """

    critic: str = "q"
    pairing: str = "current"
    mean_field: str = "mean_action"
    play: str = "greedy"
    gamma: float = 0.95
    reward_scale: str = "none"
    temperature: float = 1.0
    entropy: float = 0.0
    polyak: float = 0.01
    precision: str = "auto"
    network: ACNetworkConfig = field(default_factory=ACNetworkConfig)
    optimizer: ACOptimizerConfig = field(default_factory=ACOptimizerConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)

    ALIASES: ClassVar[dict[str, Alias]] = {
        **{
            name: f"network.{name}"
            for name in ("pictures", "hidden", "mean_hidden", "agent_embedding", "shared_trunk")
        },
        **{
            name: f"optimizer.{name}"
            for name in (
                "actor_learning_rate",
                "critic_learning_rate",
                "learning_rate_steps",
                "learning_rate_left",
                "batch_size",
                "clip_gradient",
            )
        },
        **REPLAY_ALIASES,
        "round_steps": "rollout.steps",
        "updates_per_round": "rollout.updates",
        "value_weight": "rollout.value_weight",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, allowed in (
            ("critic", ("q", "v")),
            ("pairing", PAIRINGS),
            ("play", ("greedy", "sample")),
            ("precision", PRECISIONS),
            ("reward_scale", REWARD_SCALES),
        ):
            one_of(name, getattr(self, name), allowed)
        of_kind("mean_field", self.mean_field, str, "a name, or MODULE:CLASS")
        for name in ("gamma", "polyak"):
            number(name, getattr(self, name), 0.0, 1.0)
        number("entropy", self.entropy, 0.0)
        positive("temperature", self.temperature)


AUTHORS = ACConfig(
    critic="v",
    pairing="previous",
    play="sample",
    temperature=0.1,
    entropy=0.08,
    network=ACNetworkConfig(pictures="flat", agent_embedding=0, shared_trunk=True),
    optimizer=ACOptimizerConfig(
        actor_learning_rate=1e-4, critic_learning_rate=1e-4, clip_gradient=0.0
    ),
)
"""The options of the authors' code for battle (docs/actor_critic.md)."""
