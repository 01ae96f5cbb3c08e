"""What a replay shows: the frames of one or more episodes, as arrays.

Legend: T frames, N agents, A actions, E directed edges.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from torch import Tensor

from mfenvs.graph import CompleteGraph, NeighborGraph
from mfenvs.layout import Layout, Places
from mfq.agents.base import Player
from mfq.agents.loop import Transition
from mfq.envs.step import Step
from mfq.envs.view import View


class Frame(NamedTuple):
    """One frame: a moment before actions, the actions chosen in it, and what they earned.

    The last frame of an episode has no actions (-1) and no rewards.

    Attributes:
        places: where the agents are.
        actions: int64 [N]; the actions in effect in the following step, -1 for none.
        rewards: float32 [N]; of the following step.
        values: float32 [N, A]; what the players compared, NaN where unknown.
        measures: of the environment at this moment, by name.
        edges: int64 [2, E]; the neighbour graph, if it moves; else None.
    """

    places: Places
    actions: np.ndarray
    rewards: np.ndarray
    values: np.ndarray
    measures: dict[str, float]
    edges: np.ndarray | None


class Recording(NamedTuple):
    """Episodes to replay.

    Attributes:
        title: what is played, for people.
        agents: N names.
        group_names: the names of the groups.
        groups: int64 [N]; the group of each agent.
        layout: the board.
        graph: the neighbour graph, if it is fixed; else None, and each frame has edges.
        value_name: what the values of actions are, "Q" or "probability"; "" if no player has any.
        frames: the frames.
        starts: the index of the first frame of each episode.
        initial: int64 [episodes, N]; the actions in effect at the start of each, -1 for none.
        walls: int64 [W, 2]; the cells of walls in each episode.
    """

    title: str
    agents: list[str]
    group_names: tuple[str, ...]
    groups: np.ndarray
    layout: Layout
    graph: NeighborGraph | None
    value_name: str
    frames: list[Frame]
    starts: list[int]
    initial: np.ndarray
    walls: list[np.ndarray]


class Recorder:
    """Collects the frames of the first row of a view.

    Args:
        view: a view with a `layout`.
        players: the players whose values of actions are recorded.

    Raises:
        ValueError: if the view has no layout.
    """

    def __init__(self, view: View, players: Iterable[Player]) -> None:
        layout = view.layout
        if layout is None:
            raise ValueError(
                "the environment has no layout, which a replay page draws; allowed: games of mfenvs, "
                "or a .gif or an .mp4 of an environment that renders"
            )
        self._view, self._layout = view, layout
        self._num_actions = max(len(each.action_names) for each in layout.abilities)
        self._players = [part for player in players for part in player.parts]
        self._frames: list[Frame] = []
        self._starts: list[int] = []
        self._initial: list[np.ndarray] = []
        self._walls: list[np.ndarray] = []
        self._names: list[str] = []
        self._places: Places | None = None  # at the end of the last step
        self._fixed = view.graph if view.graph.fixed else None

    def start(self, step: Step) -> None:
        """Begins an episode with the step of its reset, right after the reset."""
        self._starts.append(len(self._frames))
        self._initial.append(_copied(step.actions))
        self._places = self._view.places()
        self._walls.append(self._places.walls)

    def add(self, transition: Transition) -> None:
        """Adds the frame before a step; call it right after the step."""
        assert self._places is not None
        self._frames.append(
            self._frame(
                transition.step,
                self._places,
                _copied(transition.next_step.actions),
                _copied(transition.next_step.reward),
                self._values(),
            )
        )
        self._places = self._view.places()

    def end(self, transition: Transition) -> None:
        """Adds the last frame of an episode, after its last step."""
        assert self._places is not None
        count = self._view.num_agents
        nothing = np.full((count, self._num_actions), np.nan, np.float32)
        actions, rewards = np.full(count, -1), np.zeros(count, np.float32)
        step = transition.next_step
        self._frames.append(self._frame(step, self._places, actions, rewards, nothing))

    def recording(self, title: str) -> Recording:
        """Returns what was recorded."""
        view = self._view
        return Recording(
            title=title,
            agents=list(view.agents),
            group_names=view.group_names,
            groups=view.groups.cpu().numpy(),
            layout=self._layout,
            graph=self._fixed,
            value_name=", ".join(self._names),
            frames=self._frames,
            starts=self._starts,
            initial=np.stack(self._initial),
            walls=self._walls,
        )

    def _frame(
        self,
        step: Step,
        places: Places,
        actions: np.ndarray,
        rewards: np.ndarray,
        values: np.ndarray,
    ) -> Frame:
        return Frame(
            places=places,
            actions=actions,
            rewards=rewards,
            values=values,
            measures={name: float(each[0]) for name, each in sorted(step.measures.items())},
            edges=None if self._fixed is not None else step.graph.edge_index(),
        )

    def _values(self) -> np.ndarray:
        """Returns the values that the players compared: float32 [N, A], NaN where unknown."""
        values = np.full((self._view.num_agents, self._num_actions), np.nan, np.float32)
        for player in self._players:
            if (last := player.last_values) is None:
                continue
            index = last.agents.cpu().numpy()
            of_row = index < self._view.num_agents
            compared = last.values.float().cpu().numpy()[of_row]
            values[index[of_row], : compared.shape[1]] = compared  # of types with fewer actions
            if last.name not in self._names:
                self._names.append(last.name)
        return values


def _copied(values: Tensor) -> np.ndarray:
    """Returns the first row in new memory: a step's tensors are written again after the next one."""
    return values[0].cpu().numpy().copy()


def complete_groups(graph: NeighborGraph | None) -> np.ndarray | None:
    """Returns the group of each agent, int64 [N], if the neighbours of an agent are the others of its
    group, so that a page needs no list of edges; else None."""
    if not isinstance(graph, CompleteGraph) or graph.include_self:
        return None
    return graph.groups
