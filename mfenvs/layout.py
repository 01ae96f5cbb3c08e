"""Where a game's agents are on a board, for displays that draw the game themselves.

Legend: N agents, M other things on the board (such as food), A actions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

NOTHING = np.zeros(0, np.int64)
NO_WALLS = np.zeros((0, 2), np.int64)


class Abilities(NamedTuple):
    """What agents of a type do and see.

    Attributes:
        action_names: A names.
        aims: int64 [A, 2]; how far right of the agent's position and below it (dx, dy) the cell lies
            that an action is about; zeros for actions that are about no cell.
        is_attack: bool [A].
        sight: int64 [K, 2]; the cells that an agent sees, as in ``aims``; K = 0 if it sees no cells.
    """

    action_names: tuple[str, ...]
    aims: np.ndarray
    is_attack: np.ndarray
    sight: np.ndarray


class Layout(NamedTuple):
    """What a display needs to know of a game in one configuration.

    Attributes:
        width, height: of the board, in cells.
        bodies: float32 [N + M, 2]; width and height of each agent, and of each other thing, in cells.
        value_name: the name of the number in `Places.value`.
        value_range: the least and the largest value.
        abilities: of each type of agents.
        types: int64 [N]; the type of each agent, as an index into ``abilities``.
        most: float32 [N + M]; the largest value of each; None where that is the end of the range.
        things: names of the other things, each once.
        thing: int64 [M]; which of them each is.
        colors: "red", "blue", "green" or "amber" by name of a group or a thing; others have any color.
    """

    width: int
    height: int
    bodies: np.ndarray
    value_name: str
    value_range: tuple[float, float]
    abilities: tuple[Abilities, ...]
    types: np.ndarray
    most: np.ndarray | None = None
    things: tuple[str, ...] = ()
    thing: np.ndarray = NOTHING
    colors: dict[str, str] = {}  # noqa: RUF012

    def abilities_of(self, agent: int) -> Abilities:
        """Returns what an agent does and sees."""
        return self.abilities[self.types[agent]]


class Places(NamedTuple):
    """The agents and the other things of one row at one time.

    Attributes:
        x, y: float32 [N + M]; the upper left corner of each body, in cells from that of the board.
        is_shown: bool [N + M]; whether it is on the board.
        value: float32 [N + M]; the number that gives it its shade.
        walls: int64 [W, 2]; the cells (x, y) of walls, the same throughout an episode.
    """

    x: np.ndarray
    y: np.ndarray
    is_shown: np.ndarray
    value: np.ndarray
    walls: np.ndarray = NO_WALLS


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
        abilities=(
            Abilities(
                action_names=action_names,
                aims=np.zeros((len(action_names), 2), np.int64),
                is_attack=np.zeros(len(action_names), np.bool_),
                sight=np.zeros((0, 2), np.int64),
            ),
        ),
        types=np.zeros(num_agents, np.int64),
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
