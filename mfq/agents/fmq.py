"""FMQ and Recursive FMQ: independent Q-learning with the frequency of the highest reward.

Both are for stage games, in which an action has no consequences after its reward. They add statistics of
rewards (`mfq.agents.fmq_statistics`) to Q-learning without a mean field.

Legend: B rows, N agents, A actions, S states, M samples.
"""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from mfenvs.validate import of_kind
from mfq.agents.base import Agent
from mfq.agents.fmq_config import FMQConfig, FrequencyConfig
from mfq.agents.fmq_statistics import Statistics
from mfq.agents.q_agent import QAgent
from mfq.agents.q_player import QPlayer, network_of
from mfq.common import distributed
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.mean_field import NoMeanField
from mfq.policy import Boltzmann, EpsilonGreedy, value_at
from mfq.replay.base import named


class Table(nn.Module):
    """Values of actions, zero at first: float32 [R, A].

    Args:
        rows: R, the number of agents, times the number of their observations.
        num_actions: A.
    """

    def __init__(self, rows: int, num_actions: int) -> None:
        super().__init__()
        zeros = torch.zeros((rows, num_actions), device="cpu")
        self.values = nn.Parameter(zeros, requires_grad=False)

    def update(self, place: Tensor, action: Tensor, reward: Tensor, rate: float) -> None:
        """Moves Q(a) by ``rate`` of the way to the reward, at rows ``place`` [M], each at most once."""
        at = place, action
        self.values[at] += rate * (reward - self.values[at])


class FrequencyModule(nn.Module):
    """The values Q of a table or a network, and the statistics of rewards beside them.

    Args:
        values: a `Table`, or a module with the signature of `QNetwork.forward`.
        statistics: with a row for each agent and state, at agent S + state.
        space: the observation space. Discrete observations are the states; else there is one state.
    """

    def __init__(self, values: nn.Module, statistics: Statistics, space: spaces.Space[Any]) -> None:
        super().__init__()
        self.values, self.statistics = values, statistics
        self.states = num_states(space)
        self.start = int(space.start) if isinstance(space, spaces.Discrete) else None

    def place(self, obs: Any, agent: Tensor) -> Tensor:
        """Returns the rows of the tables, int64 [M], of agents int64 [M] and their observations."""
        place = agent * self.states
        return place if self.start is None else place + obs.long() - self.start

    def forward(self, obs: Any, mean: Tensor, agent: Tensor) -> Tensor:
        """Returns Q: float32 [M, A]."""
        if isinstance(self.values, Table):
            return self.values.values[self.place(obs, agent)]
        return self.values(obs, mean, agent)


class FMQPlayer(QPlayer):
    """Plays by the values Q and by statistics of rewards, which make up EV of FMQ or E of Recursive FMQ.

    Args:
        view: the view to play.
        config: an `FMQConfig`, or a `RecFMQConfig`.
        seed: seed of weights and draws.
        space: the observation space of the module; None for that of the view.

    Attributes:
        module: a `FrequencyModule`.
    """

    module: FrequencyModule

    def __init__(
        self,
        view: View,
        config: FrequencyConfig | None = None,
        seed: int = 0,
        space: spaces.Space[Any] | None = None,
    ) -> None:
        options = config if config is not None else FMQConfig()
        of_kind("config", options, FrequencyConfig, "an FMQConfig or a RecFMQConfig")
        self.options = options

        def make(view: View, generator: torch.Generator) -> nn.Module:
            observed = view.observation_space if space is None else space
            return module_of(options, observed, view, generator)

        super().__init__(view, False, options.q_config(), seed, make, options.make_policy())

    def values(self, step: Step, mean: Tensor, index: Tensor) -> Tensor:
        """Returns EV or E at the indices b N + j: float32 [S, A]."""
        q = super().values(step, mean, index)
        place = self.module.place(step.obs_at(index), index % self.view.num_agents)
        return self.module.statistics.evaluate(q, place)

    def player(self) -> FMQPlayer:
        return self._player_of(FMQPlayer)

    def metrics(self) -> dict[str, float]:
        """Returns the temperature or epsilon, and the mean entropy (nats) of the last policies."""
        metrics, policy = super().metrics(), self.policy
        if isinstance(policy, Boltzmann):
            metrics["temperature"] = float(value_at(policy.temperature, self.clock))
        if isinstance(policy, EpsilonGreedy):
            metrics["epsilon"] = float(value_at(policy.epsilon, self.clock))
        return metrics


class FMQ(FMQPlayer, Agent):
    """FMQ, or with a `RecFMQConfig` Recursive FMQ, with a table of values for each agent.

    Rows of a view share the tables. Those of a step are learned from one after another, in order.

    Agents act without memory, so that the game must be one in which each agent observes the same in
    every step, as in the Gaussian squeeze; or in which observations are Discrete, each of which has its
    rows of the tables. Rewards are not bootstrapped.

    It takes the arguments of `FMQPlayer`. ``config.values`` decides between it and `NetworkFMQ`; see
    `fmq_agent`.

    Raises:
        ValueError: when an agent observes something else than before; or in a group of several
            processes, whose tables would differ.
    """

    def __init__(
        self,
        view: View,
        config: FrequencyConfig | None = None,
        seed: int = 0,
        space: spaces.Space[Any] | None = None,
    ) -> None:
        if distributed.world() > 1:
            raise ValueError(f"FMQ in {distributed.world()} processes; allowed: one process")
        super().__init__(view, config, seed, space)
        self._constant: dict[str, Tensor] = {}  # what each agent observes, by name

    def observe(self, step: Step, actions: Tensor, next_step: Step) -> None:
        """Learns from a step."""
        self._check_observations(step)
        learns = step.learners(next_step)
        for row in range(len(actions)):
            agent = learns[row].nonzero()[:, 0]
            index = row * self.view.num_agents + agent
            obs, reward = step.obs_at(index), next_step.reward[row, agent]
            self._learn_from(obs, agent, actions[row, agent], reward)

    def learn(self) -> dict[str, float]:
        """Does nothing, since `observe` learns; returns {}."""
        return {}

    def _learn_from(self, obs: Any, agent: Tensor, action: Tensor, reward: Tensor) -> None:
        """Updates values and statistics with one sample of each of M agents."""
        place = self.module.place(obs, agent)
        table, statistics = self.module.values, self.module.statistics
        assert isinstance(table, Table)
        table.update(place, action, reward, self.options.learning_rate)
        statistics.update(place, action, reward)
        statistics.choose(table.values[place], place, self.generator)

    def _check_observations(self, step: Step) -> None:
        """Raises ValueError if an agent observes something else than before."""
        if self.module.start is not None:
            return
        parts = named("obs", step.obs)
        if not self._constant:
            self._constant = {name: part[0].clone() for name, part in parts.items()}
        living = step.alive if step.mine is None else step.alive & step.mine
        for name, part in parts.items():
            differs = (part != self._constant[name]).flatten(2).any(-1) & living
            if bool(differs.any()):
                agent = self.view.agents[int(differs.any(0).nonzero()[0])]
                raise ValueError(
                    f"{agent!r} observes something else than in the first step; allowed for FMQ: games "
                    "in which agents always observe the same, or Discrete observations"
                )


class NetworkFMQ(FMQ, QAgent):
    """FMQ whose values are those of one network of all agents, as in Yang et al. (2018).

    The network learns as that of a `QAgent` without a mean field does. The statistics are in tables, as
    in `FMQ`, and are updated in each step.
    """

    def observe(self, step: Step, actions: Tensor, next_step: Step) -> None:
        """Updates the statistics, and stores the transitions of its agents that chose an action."""
        FMQ.observe(self, step, actions, next_step)
        QAgent.observe(self, step, actions, next_step)

    def learn(self) -> dict[str, float]:
        return QAgent.learn(self)

    def _learn_from(self, obs: Any, agent: Tensor, action: Tensor, reward: Tensor) -> None:
        place, statistics = self.module.place(obs, agent), self.module.statistics
        statistics.update(place, action, reward)
        nothing = torch.zeros((len(agent), 0), device=agent.device)
        q = self.precision(self.module, obs, nothing, agent)
        statistics.choose(q, place, self.generator)


def fmq_agent(view: View, config: FrequencyConfig, seed: int = 0) -> FMQ:
    """Returns the agent of a config: `FMQ`, or `NetworkFMQ` if ``config.values`` is "network"."""
    kind = NetworkFMQ if config.values == "network" else FMQ
    return kind(view, config, seed)


def fmq_player(
    view: View,
    observation_space: spaces.Space[Any],
    config: FrequencyConfig,
    state: dict[str, Any],
    seed: int,
) -> FMQPlayer:
    """Returns a player from an `FMQ`'s ``state_dict``; see `Algorithm.load`."""
    player = FMQPlayer(view, config, seed, observation_space)
    player.load_state_dict(state)
    return player


def module_of(
    config: FrequencyConfig, space: spaces.Space[Any], view: View, generator: torch.Generator
) -> FrequencyModule:
    """Returns the module of a config, for agents of a view with an observation space."""
    rows = view.num_agents * num_states(space)
    values: nn.Module = Table(rows, view.num_actions)
    if config.values == "network":
        values = network_of(config.q_config(), space, view, NoMeanField(view), generator)
    return FrequencyModule(values, config.make_statistics(rows, view.num_actions), space)


def num_states(space: spaces.Space[Any]) -> int:
    """Returns S: the number of observations of a Discrete space, else 1."""
    return int(space.n) if isinstance(space, spaces.Discrete) else 1
