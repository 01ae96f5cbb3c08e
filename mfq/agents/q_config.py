"""Options of the Q-learners."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mfenvs.validate import number, of_kind, one_of, plain_fields, positive, whole, widths
from mfq.common.config import Alias, Nested
from mfq.mean_field import PAIRINGS
from mfq.networks.encoders import CHANNELS
from mfq.networks.precision import PRECISIONS
from mfq.policy import Boltzmann, EpsilonGreedy, Linear, Policy
from mfq.values import OPERATORS

POLICIES = ("boltzmann", "epsilon_greedy")
VALUES = tuple(OPERATORS)
PLAYS = ("greedy", "sample")
Q_PICTURES = ("auto", "conv", "large")
REWARD_SCALES = ("none", "auto")
REPLAYS = ("auto", "ring", "compact")


@dataclass(frozen=True)
class ExplorationConfig:
    """How a `QAgent` explores.

    Attributes:
        policy: "boltzmann" or "epsilon_greedy".
        start: the temperature (above 0) or epsilon (0 to 1) at the beginning.
        end: the temperature or epsilon after the schedule.
        steps: environment steps of the linear schedule.
        episodes: if above 0, episodes of all rows that the schedule runs over, instead of steps.
        stickiness: the probability that an agent repeats its last action in a step (inertia), with and
            without exploration.
        coherent_start: the initial probability that all agents of a row draw their actions in a step
            from one random mixture.
        coherent_steps: environment steps over which that probability falls to 0.
        coherent_concentration: concentration of the mixture's symmetric Dirichlet distribution; above 0.
            1 is uniform on the simplex; a smaller value concentrates a mixture on fewer actions.
    """

    policy: str = "boltzmann"
    start: float = 1.0
    end: float = 0.1
    steps: int = 2000
    episodes: int = 0
    stickiness: float = 0.0
    coherent_start: float = 0.0
    coherent_steps: int = 2000
    coherent_concentration: float = 0.1

    def __post_init__(self) -> None:
        plain_fields(self)
        one_of("policy", self.policy, POLICIES)
        for name in ("stickiness", "coherent_start"):
            number(name, getattr(self, name), 0.0, 1.0)
        positive("coherent_concentration", self.coherent_concentration)
        for name, least in (("steps", 1), ("coherent_steps", 1), ("episodes", 0)):
            whole(name, getattr(self, name), least)
        # Checks both ends of the schedule now, instead of in the step that reaches them.
        for name in ("start", "end"):
            number(name, value := getattr(self, name), 0.0)
            Boltzmann(value) if self.policy == "boltzmann" else EpsilonGreedy(value)

    def schedule(self) -> Linear:
        """Returns the temperature or epsilon, over steps acted or over episodes."""
        return Linear(self.start, self.end, self.episodes or self.steps)

    def make_policy(self) -> Policy:
        """Returns the exploring policy."""
        schedule = self.schedule()
        return Boltzmann(schedule) if self.policy == "boltzmann" else EpsilonGreedy(schedule)


@dataclass(frozen=True)
class QNetworkConfig:
    """The network of a `QAgent`.

    Attributes:
        filters: filters of each of the two convolutions of "conv"; 32 in the paper. 0: no convolutions,
            but a layer of 256, unless ``pictures`` is "large".
        stride: stride of the second convolution of "conv"; 1 in the paper. 2 halves the cost.
        hidden: widths of the joint layers.
        agent_embedding: size of the embedding of the agent's index; 0 for none.
        pictures: the encoder of pictures: "conv" for the paper's two convolutions; "large" for the three
            strided ones of Mnih et al. (2015), for pictures of at least 36 x 36; "auto" for "large"
            where pictures are that large, else "conv".
        channels: where pictures have their channels: "first", "last", or "auto" to decide by shape and
            dtype; see `mfq.networks.encoders.channels_first`.
        normalize: if True, observations are normalized by running means and deviations, and clipped to
            10 deviations; those of dtype uint8 are divided by 255 instead. The statistics are part of
            the network, and change only when it learns.
    """

    filters: int = 32
    stride: int = 1
    hidden: tuple[int, ...] = (64, 64)
    agent_embedding: int = 8
    pictures: str = "auto"
    channels: str = "auto"
    normalize: bool = False

    def __post_init__(self) -> None:
        plain_fields(self)
        one_of("pictures", self.pictures, Q_PICTURES)
        one_of("channels", self.channels, CHANNELS)
        of_kind("normalize", self.normalize, bool, "True or False")
        for name, least in (("filters", 0), ("stride", 1), ("agent_embedding", 0)):
            whole(name, getattr(self, name), least)
        widths("hidden", self.hidden)


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam's options, and the batches of a `QAgent`.

    Attributes:
        learning_rate: the initial learning rate.
        learning_rate_steps: if above 0, the number of environment steps over which the rate falls
            linearly to learning_rate_end (with ``exploration.episodes``, of episodes of all rows).
        learning_rate_end: the final learning rate.
        batch_size: transitions of a gradient step.
        clip_gradient: largest norm of the gradient; 0 for no clipping.
    """

    learning_rate: float = 1e-3
    learning_rate_steps: int = 0
    learning_rate_end: float = 0.0
    batch_size: int = 256
    clip_gradient: float = 10.0

    def __post_init__(self) -> None:
        plain_fields(self)
        positive("learning_rate", self.learning_rate)
        for name in ("learning_rate_end", "clip_gradient"):
            number(name, getattr(self, name), 0.0)
        whole("learning_rate_steps", self.learning_rate_steps, 0)
        whole("batch_size", self.batch_size, 1)

    def rate(self, clock: int) -> float:
        """Returns the learning rate at a time."""
        if not self.learning_rate_steps:
            return self.learning_rate
        return Linear(self.learning_rate, self.learning_rate_end, self.learning_rate_steps)(clock)


@dataclass(frozen=True)
class ReplayConfig:
    """The replay memory, and how often it is sampled.

    Attributes:
        kind: "ring" stores observations; "compact" stores snapshots and computes observations from them
            when sampled (for environments with snapshots and a fixed graph); "auto" is compact if that
            is possible and observations are large.
        size: the number of transitions.
        learning_starts: transitions before the first gradient step.
        updates_per_step: gradient steps per environment step.
        samples_per_insert: if above 0, the number of times that a transition is sampled, on average;
            replaces ``updates_per_step``.
    """

    kind: str = "auto"
    size: int = 200_000
    learning_starts: int = 1000
    updates_per_step: int = 1
    samples_per_insert: float = 0.0

    def __post_init__(self) -> None:
        plain_fields(self)
        one_of("kind", self.kind, REPLAYS)
        for name, least in (("size", 1), ("learning_starts", 1), ("updates_per_step", 0)):
            whole(name, getattr(self, name), least)
        number("samples_per_insert", self.samples_per_insert, 0.0)


REPLAY_ALIASES: dict[str, Alias] = {
    "replay_size": "replay.size",
    "learn_after": "replay.learning_starts",
    "samples_per_transition": "replay.samples_per_insert",
    "learning_starts": "replay.learning_starts",
    "updates_per_step": "replay.updates_per_step",
    "samples_per_insert": "replay.samples_per_insert",
}
"""The former names of a `ReplayConfig`'s fields in the configs that contain one."""


@dataclass(frozen=True)
class QConfig(Nested):
    """Options of a `QAgent`. Its parts may be given as dicts: ``QConfig(network={"hidden": (128,)})``.

    Attributes:
        pairing: "previous" fits Q(s_t, a_t, abar_{t-1}), as in the authors' code, to the mean action
            that acting uses; "current" fits Q(s_t, a_t, abar_t), as in the paper. Acting at t only knows
            abar_{t-1}. With "current" agents respond to it as if it were abar_t; they all change their
            actions at once, and can earn less than random play. Damped iterations help against it if
            agents have few neighbours (docs/studies/test_bed.md).
        mean_field: the mean field: "mean_action", or MODULE:CLASS of an `mfq.MeanField`.
        iterations: iterations of Eqs. 6 and 11 before acting.
        damping: the share d of the mean action that an iteration keeps, 0 to 1:
            abar <- d abar + (1 - d) abar', with the mean action abar' of the responses to abar.
        value: the value of s': "mean_field" (Eq. 10), "double" (the authors' code) or "max".
        target_temperature: if above 0, pi in v^MF is Boltzmann at this temperature. 0: pi is the
            current exploration policy, including stickiness (with the transition's action as the last
            one at s') and coherent exploration (with a mean that is uniform over the allowed actions).
        play: how to act without exploration: "sample" from the policy at the end of the schedule
            (epsilon-greedy: greedy), or "greedy". Agents that observe the same act the same in greedy
            play, which is worse than random play where agents must differ
            (docs/studies/test_bed.md). Where values are close, compared with ``exploration.end``,
            sampled play is near to random.
        gamma: discount, 0 to 1. With 0 the fields of s' are not stored.
        reward_scale: "none", or "auto": the learner divides rewards by their root mean square over all
            transitions so far, so that values, and temperatures beside them, do not depend on the unit
            of rewards. Scores and logged returns are not divided.
        polyak: the step of the target network towards the online one per gradient step, 0 to 1.
        hard_update: if above 0, copies the target network after every so many gradient steps instead.
        precision: precision of the network's arithmetic: "float32", "bfloat16", or "auto": bfloat16 if
            the device supports it and the network is large, except without exploration; see
            `Precision`.
        exploration: see `ExplorationConfig`.
        network: see `QNetworkConfig`.
        optimizer: see `OptimizerConfig`.
        replay: see `ReplayConfig`.
    """

    pairing: str = "previous"
    mean_field: str = "mean_action"
    iterations: int = 0
    damping: float = 0.0
    value: str = "mean_field"
    target_temperature: float = 0.0
    play: str = "sample"
    gamma: float = 0.95
    reward_scale: str = "none"
    polyak: float = 0.005
    hard_update: int = 0
    precision: str = "auto"
    exploration: ExplorationConfig = field(default_factory=ExplorationConfig)
    network: QNetworkConfig = field(default_factory=QNetworkConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)

    ALIASES: ClassVar[dict[str, Alias]] = {
        "policy": "exploration.policy",
        "explore_start": "exploration.start",
        "explore_end": "exploration.end",
        "explore_steps": "exploration.steps",
        "explore_rounds": "exploration.episodes",
        "reconsider": ("exploration.stickiness", lambda probability: 1 - probability),
        **{
            name: f"exploration.{name}"
            for name in ("coherent_start", "coherent_steps", "coherent_concentration")
        },
        **{name: f"network.{name}" for name in ("filters", "stride", "hidden", "agent_embedding")},
        **{
            name: f"optimizer.{name}"
            for name in (
                "learning_rate",
                "learning_rate_steps",
                "learning_rate_end",
                "batch_size",
                "clip_gradient",
            )
        },
        "replay": "replay.kind",
        **REPLAY_ALIASES,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, allowed in (
            ("value", VALUES),
            ("pairing", PAIRINGS),
            ("play", PLAYS),
            ("precision", PRECISIONS),
            ("reward_scale", REWARD_SCALES),
        ):
            one_of(name, getattr(self, name), allowed)
        of_kind("mean_field", self.mean_field, str, "a name, or MODULE:CLASS")
        for name in ("gamma", "polyak", "damping"):
            number(name, getattr(self, name), 0.0, 1.0)
        number("target_temperature", self.target_temperature, 0.0)
        for name in ("iterations", "hard_update"):
            whole(name, getattr(self, name), 0)
        if self.damping and not self.iterations:
            raise ValueError(
                f"damping={self.damping!r} with iterations=0; allowed: 0, since it damps iterations"
            )
        if self.replay.kind == "compact" and self.iterations:
            raise ValueError(
                f"iterations={self.iterations!r} with replay.kind='compact'; allowed: 0, since the "
                "iterated mean action could not be redrawn"
            )

    def make_target_policy(self) -> Policy:
        """Returns pi in v^MF, without stickiness and coherent exploration."""
        if self.target_temperature:
            return Boltzmann(self.target_temperature)
        return self.exploration.make_policy()
