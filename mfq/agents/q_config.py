"""Options of the Q-learners."""

from __future__ import annotations

from dataclasses import dataclass

from mfq.common.config import number, one_of, positive, whole, widths
from mfq.networks.precision import PRECISIONS
from mfq.policy import Boltzmann, EpsilonGreedy, Linear, Policy
from mfq.values import OPERATORS

POLICIES = ("boltzmann", "epsilon_greedy")
VALUES = tuple(OPERATORS)
PAIRINGS = ("current", "previous")
PLAYS = ("greedy", "sample")
REPLAYS = ("auto", "ring", "compact")


@dataclass(frozen=True)
class QConfig:
    """Options of a `QAgent`.

    Attributes:
        policy: "boltzmann" or "epsilon_greedy"; how to explore.
        explore_start, explore_end, explore_steps: its temperature (above 0) or epsilon (0 to 1), linear
            over environment steps, then constant.
        explore_rounds: if above 0, linear over so many episodes of all rows instead.
        coherent_start, coherent_steps: coherent exploration. The probability that a whole row draws
            from one random mixture of actions in a step falls from coherent_start to 0 over
            coherent_steps.
        coherent_concentration: of that mixture, a symmetric Dirichlet distribution; above 0. At 1 it is
            uniform on the simplex, and with many actions close to equal shares; the smaller it is, the
            fewer actions share the row.
        reconsider: the probability that an agent chooses anew in a step, exploring or not; else it
            repeats what it did (inertia). 1: always.
        target_temperature: if above 0, pi in v^MF is Boltzmann at this temperature, however the agents
            explore. 0: pi is the policy that they act by now, which includes inertia (the last action at
            s' is the transition's own) and coherent exploration (in expectation uniform over the
            allowed actions).
        value: how s' is valued: "mean_field" (Eq. 10), "double" (the authors' code) or "max".
        pairing: "current" fits Q(s_t, a_t, abar_t), the paper's; "previous" fits
            Q(s_t, a_t, abar_{t-1}), the authors' code's.
        iterations: rounds of Eqs. 6 and 11 before acting.
        play: how to act without exploration: "greedy", or "sample": drawn from the policy as it is at
            the schedule's end (of epsilon-greedy, its greedy part).
        gamma: discount, 0 to 1. At 0 nothing of s' is stored.
        filters: of each of the two convolutions of a picture; the paper's network has 32. 0: none, a
            picture is numbers in a row to 256.
        stride: of the second of them; the paper's network has 1. 2 halves what it costs.
        hidden: widths of the joint layers.
        agent_embedding: size of the embedding of who an agent is; 0 for none.
        learning_rate: Adam's.
        learning_rate_steps, learning_rate_end: if learning_rate_steps is above 0, the rate falls
            linearly to learning_rate_end over so many environment steps (episodes of all rows, with
            explore_rounds).
        batch_size: transitions of a gradient step.
        replay_size: transitions kept.
        replay: "ring" keeps observations; "compact" keeps what they are drawn from, and draws them when
            sampled (environments with snapshots and a fixed graph); "auto" is compact where that can
            be done and observations are large.
        learning_starts: transitions before the first gradient step.
        updates_per_step: gradient steps per environment step.
        samples_per_insert: if above 0, instead as many gradient steps as draw each transition so
            often, on average: the number of steps then follows the number of transitions stored.
        polyak: how far the target network moves to the online one per gradient step, 0 to 1.
        hard_update: if above 0, the target network is copied every so many gradient steps instead.
        clip_gradient: largest norm of the gradient; 0 for no clipping.
        precision: of the network's arithmetic: "float32", "bfloat16", or "auto": bfloat16 where the
            device has instructions for it and the network is large, but float32 for play without
            exploration; see `Precision`.
    """

    policy: str = "boltzmann"
    explore_start: float = 1.0
    explore_end: float = 0.1
    explore_steps: int = 2000
    explore_rounds: int = 0
    coherent_start: float = 0.0
    coherent_steps: int = 2000
    coherent_concentration: float = 0.1
    reconsider: float = 1.0
    target_temperature: float = 0.0
    value: str = "mean_field"
    pairing: str = "current"
    iterations: int = 0
    play: str = "greedy"
    gamma: float = 0.95
    filters: int = 32
    stride: int = 1
    hidden: tuple[int, ...] = (64, 64)
    agent_embedding: int = 8
    learning_rate: float = 1e-3
    learning_rate_steps: int = 0
    learning_rate_end: float = 0.0
    batch_size: int = 256
    replay_size: int = 200_000
    replay: str = "auto"
    learning_starts: int = 1000
    updates_per_step: int = 1
    samples_per_insert: float = 0.0
    polyak: float = 0.005
    hard_update: int = 0
    clip_gradient: float = 10.0
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("policy", POLICIES),
            ("value", VALUES),
            ("pairing", PAIRINGS),
            ("play", PLAYS),
            ("replay", REPLAYS),
            ("precision", PRECISIONS),
        ):
            one_of(name, getattr(self, name), allowed)
        for name in ("coherent_start", "reconsider", "gamma", "polyak"):
            number(name, getattr(self, name), 0.0, 1.0)
        for name in ("clip_gradient", "samples_per_insert", "target_temperature"):
            number(name, getattr(self, name))
        for name in ("learning_rate", "coherent_concentration"):
            positive(name, getattr(self, name))
        number("learning_rate_end", self.learning_rate_end)
        for name in (
            "batch_size",
            "replay_size",
            "learning_starts",
            "explore_steps",
            "coherent_steps",
            "stride",
        ):
            whole(name, getattr(self, name), 1)
        for name in (
            "explore_rounds",
            "iterations",
            "agent_embedding",
            "updates_per_step",
            "hard_update",
            "filters",
            "learning_rate_steps",
        ):
            whole(name, getattr(self, name), 0)
        widths("hidden", self.hidden)
        if self.pairing == "previous" and self.iterations:
            raise ValueError(
                f"iterations={self.iterations!r} with pairing='previous'; allowed: 0, since the "
                "iterated mean action is drawn anew each time"
            )
        if self.replay == "compact" and self.iterations:
            raise ValueError(
                f"iterations={self.iterations!r} with replay='compact'; allowed: 0, since the iterated "
                "mean action could not be told again"
            )
        # A bad end of the schedule should not wait for the step that reaches it.
        for name in ("explore_start", "explore_end"):
            number(name, end := getattr(self, name))
            Boltzmann(end) if self.policy == "boltzmann" else EpsilonGreedy(end)

    def schedule(self) -> Linear:
        """Of the temperature or epsilon, over steps acted or over rounds."""
        length = self.explore_rounds or self.explore_steps
        return Linear(self.explore_start, self.explore_end, length)

    def rate(self, clock: int) -> float:
        """The learning rate at a time of the same clock."""
        if not self.learning_rate_steps:
            return self.learning_rate
        return Linear(self.learning_rate, self.learning_rate_end, self.learning_rate_steps)(clock)

    def make_policy(self) -> Policy:
        """The exploring policy."""
        schedule = self.schedule()
        return Boltzmann(schedule) if self.policy == "boltzmann" else EpsilonGreedy(schedule)

    def make_target_policy(self) -> Policy:
        """pi in v^MF, but for inertia and coherent exploration."""
        return Boltzmann(self.target_temperature) if self.target_temperature else self.make_policy()
