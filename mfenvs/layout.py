"""Where a game's agents are on a board, for displays that draw the game themselves.

Legend: N agents, A actions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Layout(NamedTuple):
    """What a display needs to know of a game in one configuration.

    Attributes:
        width, height: of the board, in cells.
        bodies: float32 [N, 2]; width and height of each agent, in cells.
        value_name: the name of the number in `Places.value`.
        value_range: the least and the largest value.
        action_names: A names.
        aims: int64 [A, 2]; how far right of the agent's position and below it (dx, dy) the cell lies
            that an action is about; zeros for actions that are about no cell.
        is_attack: bool [A].
        sight: int64 [K, 2]; the cells that an agent sees, as in ``aims``; K = 0 if it sees no cells.
    """

    width: int
    height: int
    bodies: np.ndarray
    value_name: str
    value_range: tuple[float, float]
    action_names: tuple[str, ...]
    aims: np.ndarray
    is_attack: np.ndarray
    sight: np.ndarray


class Places(NamedTuple):
    """The agents of one row at one time.

    Attributes:
        x, y: float32 [N]; the upper left corner of each body, in cells from that of the board.
        is_shown: bool [N]; whether the agent is on the board.
        value: float32 [N]; the number that gives an agent its shade.
    """

    x: np.ndarray
    y: np.ndarray
    is_shown: np.ndarray
    value: np.ndarray


def in_lines(
    num_agents: int,
    per_line: int,
    value_name: str,
    value_range: tuple[float, float],
    action_names: tuple[str, ...],
) -> Layout:
    """Returns the layout of agents that stand line by line and aim at no cells."""
    return Layout(
        width=per_line,
        height=-(-num_agents // per_line),
        bodies=np.ones((num_agents, 2), np.float32),
        value_name=value_name,
        value_range=value_range,
        action_names=action_names,
        aims=np.zeros((len(action_names), 2), np.int64),
        is_attack=np.zeros(len(action_names), np.bool_),
        sight=np.zeros((0, 2), np.int64),
    )


def places_in_lines(value: Any, per_line: int) -> Places:
    """Returns the places of agents that stand line by line.

    Args:
        value: [N].
        per_line: the number of agents in a line.
    """
    y, x = np.divmod(np.arange(len(value)), per_line)
    return Places(
        x=x.astype(np.float32),
        y=y.astype(np.float32),
        is_shown=np.ones(len(value), np.bool_),
        value=np.asarray(value, np.float32),
    )
