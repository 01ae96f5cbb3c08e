"""Options of FMQ and Recursive FMQ."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from mfenvs.validate import number, one_of, positive, whole
from mfq.agents.fmq_statistics import RecursiveStatistics, Statistics
from mfq.agents.q_config import OptimizerConfig, QConfig, QNetworkConfig, ReplayConfig
from mfq.common.config import Nested
from mfq.policy import Boltzmann, EpsilonGreedy, Linear, Policy

FMQ_VALUES = ("table", "network")


@dataclass(frozen=True)
class FrequencyConfig(Nested):
    """The options that `FMQConfig` and `RecFMQConfig` share.

    Attributes:
        values: "table" for a table of values of each agent; "network" for one network of all agents,
            which learns from replay as that of a `QAgent` without a mean field does, with a discount of
            0. Statistics of rewards are in tables in both cases.
        learning_rate: alpha of a table: Q <- Q + alpha (r - Q); above 0, at most 1.
        tolerance: rewards that differ by at most this number are equal. 0: rewards are equal if they
            are the same float32.
        network: see `QNetworkConfig`; with "network" only.
        optimizer: see `OptimizerConfig`; with "network" only.
        replay: see `ReplayConfig`; with "network" only.
    """

    values: str = "table"
    learning_rate: float = 0.5
    tolerance: float = 0.0
    network: QNetworkConfig = field(default_factory=QNetworkConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("values", self.values, FMQ_VALUES)
        share("learning_rate", self.learning_rate)
        number("tolerance", self.tolerance, 0.0)

    def q_config(self) -> QConfig:
        """Returns the options of the Q-learner: without a mean field and without bootstrapping."""
        return QConfig(
            gamma=0.0,
            value="max",
            play="greedy",
            network=self.network,
            optimizer=self.optimizer,
            replay=self.replay,
        )

    def make_policy(self) -> Policy:
        """Returns the policy while exploring, on the values of `Statistics.evaluate`."""
        raise NotImplementedError

    def make_statistics(self, rows: int, num_actions: int) -> Statistics:
        """Returns the statistics of rewards, with ``rows`` entries for each action."""
        raise NotImplementedError


@dataclass(frozen=True)
class FMQConfig(FrequencyConfig):
    """Options of FMQ (docs/algorithms.md). Its parts may be given as dicts.

    Attributes:
        values, learning_rate, tolerance, network, optimizer, replay: see `FrequencyConfig`.
        weight: c, the weight of the frequency of the highest reward.
        max_temperature: the temperature falls from this number, plus ``min_temperature``.
        min_temperature: the temperature in the end; above 0. It is in units of rewards.
        decay: s in T(t) = max_temperature exp(-s t) + min_temperature, with t in environment steps.
    """

    weight: float = 5.0
    max_temperature: float = 1000.0
    min_temperature: float = 1.0
    decay: float = 0.006

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("weight", "max_temperature", "decay"):
            number(name, getattr(self, name), 0.0)
        positive("min_temperature", self.min_temperature)

    def temperature(self, time: int) -> float:
        """Returns T(t) after so many environment steps."""
        return self.max_temperature * math.exp(-self.decay * time) + self.min_temperature

    def make_policy(self) -> Policy:
        return Boltzmann(self.temperature)

    def make_statistics(self, rows: int, num_actions: int) -> Statistics:
        return Statistics(rows, num_actions, self.weight, self.tolerance)


@dataclass(frozen=True)
class RecFMQConfig(FrequencyConfig):
    """Options of Recursive FMQ (docs/algorithms.md). Its parts may be given as dicts.

    Attributes:
        values, learning_rate, tolerance, network, optimizer, replay: see `FrequencyConfig`.
        frequency_rate: alpha_f, the rate of the frequency of the highest reward; above 0, at most 1.
        start: epsilon at the beginning, 0 to 1.
        end: epsilon after the schedule.
        steps: environment steps of the linear schedule.
    """

    learning_rate: float = 0.1
    frequency_rate: float = 0.01
    start: float = 0.5
    end: float = 0.01
    steps: int = 2000

    def __post_init__(self) -> None:
        super().__post_init__()
        share("frequency_rate", self.frequency_rate)
        for name in ("start", "end"):
            number(name, getattr(self, name), 0.0, 1.0)
        whole("steps", self.steps, 1)

    def make_policy(self) -> Policy:
        return EpsilonGreedy(Linear(self.start, self.end, self.steps))

    def make_statistics(self, rows: int, num_actions: int) -> Statistics:
        return RecursiveStatistics(rows, num_actions, self.frequency_rate, self.tolerance)


def share(name: str, value: float) -> None:
    """Raises ValueError or TypeError unless a value is above 0 and at most 1."""
    positive(name, number(name, value, 0.0, 1.0))
