"""Options of the actor-critics."""

from __future__ import annotations

from dataclasses import dataclass

from mfq.common.config import number, of_kind, one_of, positive, whole, widths
from mfq.networks.precision import PRECISIONS
from mfq.policy import Linear


@dataclass(frozen=True)
class ACConfig:
    """Options of an `ActorCritic`. `AUTHORS` has those of the authors' code.

    Attributes:
        critic: "q", the paper's: Q(s, a, abar), from replay, with target networks; or "v", the authors'
            code's: V(s, abar), from the returns of whole rounds of play.
        pairing: "current" fits the critic to abar_t, the paper's; "previous" to abar_{t-1}, the authors'
            code's.
        play: "greedy" or "sample", what to do when not exploring.
        gamma: discount, 0 to 1. With a "q" critic at 0, nothing of s' is stored.
        temperature: pi = softmax(logits / temperature).
        entropy: weight of the entropy bonus; 0 for none.
        actor_learning_rate, critic_learning_rate: Adam's.
        learning_rate_steps, learning_rate_left: if learning_rate_steps is above 0, both rates fall
            linearly over so many environment steps, to this share of what they were.
        clip_gradient: largest norm of either network's gradient; 0 for no clipping.
        pictures: "flat" or "conv", how pictures are encoded.
        hidden: widths of the layers that join the parts of the observation; None takes 512 where there
            are pictures, else 64 and 64.
        mean_hidden: widths of the critic's layers after the mean action has joined.
        agent_embedding: size of the embedding of who an agent is; 0 for none.
        shared_trunk: whether the critic's head stands on the actor's layers.
        batch_size, replay_size, learning_starts, updates_per_step, samples_per_insert: with a "q"
            critic, as in `QConfig`.
        polyak: how far the target networks move per gradient step, 0 to 1.
        round_steps: with a "v" critic, a round of play lasts until every row has ended an episode, but
            at most so many steps; what it leaves unfinished is cut there and bootstraps.
        updates_per_round: gradient steps on it, each over the whole round.
        value_weight: weight of the critic's loss beside the actor's.
        precision: as in `QConfig`.
    """

    critic: str = "q"
    pairing: str = "current"
    play: str = "greedy"
    gamma: float = 0.95
    temperature: float = 1.0
    entropy: float = 0.0
    actor_learning_rate: float = 3e-4
    critic_learning_rate: float = 1e-3
    learning_rate_steps: int = 0
    learning_rate_left: float = 0.0
    clip_gradient: float = 10.0
    pictures: str = "flat"
    hidden: tuple[int, ...] | None = None
    mean_hidden: tuple[int, ...] = (256,)
    agent_embedding: int = 8
    shared_trunk: bool = False
    batch_size: int = 256
    replay_size: int = 200_000
    learning_starts: int = 1000
    updates_per_step: int = 1
    samples_per_insert: float = 0.0
    polyak: float = 0.01
    round_steps: int = 400
    updates_per_round: int = 1
    value_weight: float = 0.1
    precision: str = "auto"

    def __post_init__(self) -> None:
        one_of("critic", self.critic, ("q", "v"))
        one_of("pairing", self.pairing, ("current", "previous"))
        one_of("play", self.play, ("greedy", "sample"))
        one_of("pictures", self.pictures, ("flat", "conv"))
        one_of("precision", self.precision, PRECISIONS)
        for name in ("gamma", "polyak", "learning_rate_left"):
            number(name, getattr(self, name), 0.0, 1.0)
        for name in ("entropy", "clip_gradient", "value_weight", "samples_per_insert"):
            number(name, getattr(self, name))
        for name in ("temperature", "actor_learning_rate", "critic_learning_rate"):
            positive(name, getattr(self, name))
        for name in ("batch_size", "replay_size", "learning_starts", "round_steps"):
            whole(name, getattr(self, name), 1)
        for name in (
            "agent_embedding",
            "learning_rate_steps",
            "updates_per_step",
            "updates_per_round",
        ):
            whole(name, getattr(self, name), 0)
        if self.hidden is not None and not self.hidden:
            raise ValueError(f"hidden={self.hidden!r}; allowed: one width or more, or None")
        for name in ("hidden", "mean_hidden"):
            widths(name, getattr(self, name) or ())
        of_kind("shared_trunk", self.shared_trunk, bool, "True or False")

    def rates(self, time: int) -> tuple[float, float]:
        """The learning rates of actor and critic after so many environment steps."""
        share = 1.0
        if self.learning_rate_steps:
            share = Linear(1.0, self.learning_rate_left, self.learning_rate_steps)(time)
        return share * self.actor_learning_rate, share * self.critic_learning_rate


AUTHORS = ACConfig(
    critic="v",
    pairing="previous",
    play="sample",
    temperature=0.1,
    entropy=0.08,
    actor_learning_rate=1e-4,
    critic_learning_rate=1e-4,
    clip_gradient=0.0,
    agent_embedding=0,
    shared_trunk=True,
)
"""What the authors' code has for battle (docs/actor_critic.md)."""
