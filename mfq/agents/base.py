"""The interfaces of players and of learning agents: `Player` and `Agent`.

Legend: B rows, N agents.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mfq.common.generators import load_generator_state
from mfq.envs.step import Step
from mfq.networks.modes import in_eval_mode

SEED_STRIDE = 100_003
"""Distance between the seeds of a player's generators, larger than that between players' seeds."""


class ActionValues(NamedTuple):
    """What a player compared when it chose actions.

    Attributes:
        name: what the values are: "Q" or "probability".
        agents: int64 [S]; as indices b N + j.
        values: float32 [S, A].
    """

    name: str
    agents: Tensor
    values: Tensor


class Player(ABC):
    """Chooses actions. A subclass must define `act`; the rest has defaults.

    Attributes:
        module: the network that it plays with; None for a player without weights.
        time: steps acted while exploring, the time of schedules.
    """

    module: nn.Module | None = None
    time: int = 0

    @abstractmethod
    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Returns actions int64 [B, N]; only those of living agents in ``step.mine`` count.

        Args:
            step: the latest step.
            explore: whether to act as in training.
        """

    @property
    def parts(self) -> Sequence[Player]:
        """The players that it consists of; by default only itself."""
        return (self,)

    @property
    def generators(self) -> Sequence[torch.Generator]:
        """The generators that `act` draws from; by default none."""
        return ()

    def reseed(self, seed: int) -> None:
        """Seeds the generators, each with a different seed."""
        for k, generator in enumerate(self.generators):
            generator.manual_seed(int(seed) + SEED_STRIDE * k)

    @property
    def last_values(self) -> ActionValues | None:
        """The values of actions in the last `act`, for displays; by default None."""
        return None

    def on_episodes_end(self, ended: int, beaten: int) -> None:
        """Called when episodes have ended; by default does nothing.

        Args:
            ended: the number of them that it played in, at least 0.
            beaten: the number of these in which the other agents' summed reward was higher than its.
        """
        return

    def acting_state(self) -> dict[str, Any]:
        """Returns the state that `act` changes: by default generators and time."""
        return {"generators": [g.get_state() for g in self.generators], "time": self.time}

    def load_acting_state(self, state: dict[str, Any]) -> None:
        """Loads an `acting_state`."""
        for generator, saved in zip(self.generators, state["generators"], strict=True):
            load_generator_state(generator, saved)
        self.time = state["time"]

    def state_dict(self) -> dict[str, Any]:
        """Returns the complete state; by default weights, generators and time."""
        state = self.acting_state()
        return state if self.module is None else {**state, "module": self.module.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict`."""
        if self.module is not None:
            self.module.load_state_dict(state["module"])
        # Older checkpoints of players without weights have one generator, or none.
        generators = [state["generator"]] if "generator" in state else []
        self.load_acting_state({"generators": generators, "time": self.time, **state})


class Agent(Player):
    """A player that learns. In each step `act`, `observe` and `learn` are called."""

    @abstractmethod
    def observe(self, step: Step, actions: Tensor, next_step: Step) -> None:
        """Records the transition from a step to the next."""

    @abstractmethod
    def learn(self) -> dict[str, float]:
        """Makes the updates that are due; returns metrics, or {}.

        It is called with gradients off: put ``with torch.enable_grad():`` around a loss.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Returns the complete state, as tensors and plain values."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict`."""

    def metrics(self) -> dict[str, float]:
        """Returns metrics of acting for the log, such as the temperature; by default none."""
        return {}

    def player(self) -> Player:
        """Returns a frozen copy that plays as this agent does now, for self-play.

        Raises:
            TypeError: unless a subclass overrides it.
        """
        raise TypeError(
            f"learner is a {type(self).__name__}, which has no player(); allowed: an agent that "
            "overrides it, so that past selves can be its opponents"
        )

    def offset_seeds(self, offset: int) -> None:
        """Reseeds all generators with their initial seeds plus an offset."""
        for generator in self.generators:
            generator.manual_seed(generator.initial_seed() + offset)


def check_player(name: str, player: Any) -> None:
    """Raises TypeError unless ``player`` is a `Player`."""
    if not isinstance(player, Player):
        raise TypeError(
            f"{name} is a {type(player).__name__}; allowed: an mfq.Player (a subclass with act)"
        )


def check_agent(name: str, agent: Any) -> None:
    """Raises TypeError unless ``agent`` is an `Agent`."""
    if not isinstance(agent, Agent):
        raise TypeError(
            f"{name} is a {type(agent).__name__}; allowed: an mfq.Agent (a subclass with act, observe, "
            "learn, state_dict and load_state_dict)"
        )


@contextmanager
def preserved(players: Sequence[Player], seed: int) -> Iterator[None]:
    """Returns a context with freshly seeded generators of players, and their modules in evaluation mode.
    On exit it restores their states and modes.

    Args:
        players: the players. Their parts get the seeds ``seed``, ``seed + 1`` and so on.
        seed: the seed of the first part.
    """
    parts = [part for player in players for part in player.parts]
    states = [part.acting_state() for part in parts]
    for k, part in enumerate(parts):
        part.reseed(seed + k)
    try:
        modules = [part.module for part in parts if part.module is not None]
        with in_eval_mode(*modules, every_part=True):
            yield
    finally:
        for part, state in zip(parts, states, strict=True):
            part.load_acting_state(state)
