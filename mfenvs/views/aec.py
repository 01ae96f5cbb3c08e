"""The AEC form of the PettingZoo view."""

from __future__ import annotations

import copy
from typing import Any

from pettingzoo.utils import wrappers
from pettingzoo.utils.conversions import parallel_to_aec_wrapper

from mfenvs.graph import NeighborGraph
from mfenvs.views.lifetime import Lifetime
from mfenvs.views.parallel import ParallelEnv

# Attributes of PettingZoo's conversion that describe the current cycle. Some exist only at times.
CYCLE = (
    "agents",
    "agent_selection",
    "terminations",
    "truncations",
    "rewards",
    "infos",
    "new_agents",
    "new_values",
    "_actions",
    "_agent_selector",
    "_cumulative_rewards",
    "_live_agents",
    "_observations",
    "_skip_agent_selection",
)


class Extras(Lifetime):
    """What a `ParallelEnv` has beyond PettingZoo, for an AEC environment around it.

    PettingZoo's wrappers pass on what is read and keep what is set. These attributes are passed on when
    they are set too.
    """

    unwrapped: Any

    @property
    def selected(self) -> str | None:
        """The agent whose view `render` shows, see `ParallelEnv.selected`."""
        return self.unwrapped.selected

    @selected.setter
    def selected(self, agent: str | None) -> None:
        self.unwrapped.selected = agent

    @property
    def max_cycles(self) -> int | None:
        """The time limit, see `ParallelEnv.max_cycles`."""
        return self.unwrapped.max_cycles

    @max_cycles.setter
    def max_cycles(self, value: int | None) -> None:
        self.unwrapped.max_cycles = value

    @property
    def show_graph(self) -> bool:
        """Whether `render` draws the neighbour graph over the game."""
        return self.unwrapped.show_graph

    @show_graph.setter
    def show_graph(self, value: bool) -> None:
        self.unwrapped.show_graph = value

    @property
    def neighbor_graph(self) -> NeighborGraph:
        """The current neighbour graph, see `ParallelEnv.neighbor_graph`."""
        return self.unwrapped.neighbor_graph

    @property
    def measures(self) -> dict[str, float]:
        """Quantities of the state, see `ParallelEnv.measures`."""
        return self.unwrapped.measures

    @property
    def team_sizes(self) -> list[int]:
        """The number of live agents in each group, see `ParallelEnv.team_sizes`."""
        return self.unwrapped.team_sizes

    def neighbors(self, agent: str) -> list[str]:
        """Returns the live neighbours of an agent, see `ParallelEnv.neighbors`."""
        return self.unwrapped.neighbors(agent)

    def scripted(self, name: str) -> dict[str, int]:
        """Returns the actions of a scripted player, see `ParallelEnv.scripted`."""
        return self.unwrapped.scripted(name)

    def seed(self, seed: int | None = None) -> None:
        """Restarts the random stream, see `ParallelEnv.seed`."""
        self.unwrapped.seed(seed)


class AecEnv(Extras, parallel_to_aec_wrapper):
    """A `ParallelEnv` as a PettingZoo AECEnv: PettingZoo's conversion, and `Extras`.

    Agents act in the order of ``agents``; the game plays a step once all of them have acted.
    """

    env: ParallelEnv

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.env!r})"

    def state_dict(self) -> dict[str, Any]:
        """Returns the state of the episode, from which to continue exactly, also amid a cycle.

        Returns:
            The parts of `ParallelEnv.state_dict`, and "cycle": who has acted, with which action, and the
            last results. All are copies.
        """
        cycle = {name: getattr(self, name) for name in CYCLE if name in self.__dict__}
        return {**self.env.state_dict(), "cycle": copy.deepcopy(cycle)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict` of an AEC environment with the same options.

        Raises:
            ValueError: as `ParallelEnv.load_state_dict`, or if there is no part "cycle"; nothing changes
                then.
        """
        if "cycle" not in state:
            raise ValueError(
                "state['cycle'] is missing; allowed: the state_dict of an AEC environment"
            )
        self.env.load_state_dict(state)
        for name in CYCLE:
            self.__dict__.pop(name, None)
        self.__dict__.update(copy.deepcopy(state["cycle"]))


class CheckedAecEnv(Extras, wrappers.OrderEnforcingWrapper):
    """An `AecEnv` with PettingZoo's checks of bounds and of the order of calls."""

    def __init__(self, env: AecEnv) -> None:
        super().__init__(wrappers.AssertOutOfBoundsWrapper(env))

    def __str__(self) -> str:
        return str(self.env)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.unwrapped!r})"

    def state_dict(self) -> dict[str, Any]:
        """Returns the state of the episode, see `AecEnv.state_dict`."""
        return self.env.env.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a state, see `AecEnv.load_state_dict`."""
        self.env.env.load_state_dict(state)
        self._has_reset = self._has_updated = True
