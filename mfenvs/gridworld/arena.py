"""Draws the map of a grid world: agents, attacks, and what the selected agent sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mfenvs.gridworld import attack, board
from mfenvs.gridworld.looks import SMALL_CELL, Look, looks_of, stamp_agents
from mfenvs.gridworld.state import State, from_grid
from mfenvs.gridworld.tables import NUM_ACTIONS, NUM_MOVES, WINDOW
from mfenvs.render.chart import mixed
from mfenvs.render.geometry import Area, Color, Point

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas

ATTACK_CELL = 3  # cells of fewer pixels have no room for attacks
MOST_LINKS = 300  # of the neighbour graph; with more, links cannot be followed


class Field(NamedTuple):
    """One row of a grid world, and where its map lies on a canvas.

    Attributes:
        game: a grid world's `Game`.
        state: of this row alone.
        corner: the map's left and top, pixels.
        length: of an edge of the map, pixels.
        cell: pixels along a cell; 1 also where some cells share theirs.
        x, y: int64 [N].
        share: float32 [N]; hp over its most.
        status, attack_result, action: [N].
    """

    game: Any
    state: State
    canvas: Canvas
    corner: int
    length: int
    cell: int
    x: np.ndarray
    y: np.ndarray
    share: np.ndarray
    status: np.ndarray
    attack_result: np.ndarray
    action: np.ndarray

    @property
    def looks(self) -> list[Look]:
        """How the agents of each group look."""
        return looks_of(self.game.world, self.canvas.theme)

    @property
    def alive(self) -> np.ndarray:
        return self.status == board.ALIVE

    @property
    def shown(self) -> int | None:
        """The selected agent, if it is alive."""
        agent = self.canvas.selected
        return agent if agent is not None and self.alive[agent] else None

    def at(self, place: np.ndarray) -> np.ndarray:
        """The pixels at which columns, or lines, of the map begin."""
        return self.corner + place * self.length // self.game.params.size

    def bodies(self, agents: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The widths and lengths of agents, int64 [n, 2]."""
        units = self.game.world.unit_types
        return np.array([(unit.width, unit.length) for unit in units])[self.game.unit_types[agents]]

    def center_cell(self, agent: int) -> tuple[int, int]:
        """The cell from which an agent sees."""
        ((width, length),) = self.bodies(np.array([agent])).tolist()
        return int(self.x[agent]) + width // 2, int(self.y[agent]) + length // 2

    def centers(self, agents: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The pixels in the middle of agents, float64 [n, 2]."""
        half = (self.cell - 1 - (self.cell >= SMALL_CELL)) / 2
        corners = self.at(np.stack([self.x[agents], self.y[agents]], axis=1))
        return corners + half + (self.bodies(agents) - 1) * self.cell / 2

    def block(self, left: int, top: int, right: int, bottom: int) -> Area:
        """The cells from (left, top) to (right, bottom), as far as they are within the walls."""
        ends = np.array((max(left, 1), max(top, 1), right + 1, bottom + 1))
        x, y, right, bottom = self.at(np.minimum(ends, self.game.params.size - 1)).tolist()
        return x, y, max(right - x, 0), max(bottom - y, 0)


def lay_out(game: Any, state: State, row: int, canvas: Canvas, corner: int, extent: int) -> Field:
    """A row, with its map in a square of ``extent`` pixels at (corner, corner)."""
    # Cells of equal size, unless whole pixels would leave much of the space empty.
    cell = extent // game.params.size
    length = cell * game.params.size if cell > 1 else extent
    alone = type(state)(*(np.asarray(array[row : row + 1]) for array in state))
    return Field(
        game=game,
        state=alone,
        canvas=canvas,
        corner=corner + (extent - length) // 2,
        length=length,
        cell=max(cell, 1),
        x=alone.x[0].astype(np.int64),
        y=alone.y[0].astype(np.int64),
        share=np.clip(alone.hp[0] / game.full_hp, 0, 1),
        status=alone.status[0],
        attack_result=alone.attack_result[0],
        action=alone.last_action[0],
    )


def take_click(field: Field) -> None:
    """Selects the living agent that was clicked on; nobody, after a click elsewhere on the map."""
    canvas = field.canvas
    clicked, canvas.clicked = canvas.clicked, None
    if clicked is None or not all(0 <= at - field.corner < field.length for at in clicked):
        return
    gap = np.hypot(*(field.centers() - clicked).T)
    gap[~field.alive] = np.inf
    gap[field.game.num_agents :] = np.inf  # passive units
    nearest = int(gap.argmin())
    canvas.selected = nearest if gap[nearest] <= max(0.7 * field.cell, 6) else None


def offsets(field: Field, agents: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """How far right of and below agents the cells lie that their actions aim at: int64 [n, 2]."""
    params = field.game.params
    return from_grid(params, np.asarray(params.reach)[field.game.unit_types[agents], actions])


def attacks_of(field: Field, agent: int) -> np.ndarray:
    """`offsets` of all attacks of an agent."""
    params, unit = field.game.params, field.game.unit_types[agent]
    actions = np.arange(int(params.units[unit, NUM_MOVES]), int(params.units[unit, NUM_ACTIONS]))
    return offsets(field, np.full(len(actions), agent), actions)


def sight_of(field: Field, agent: int) -> list[tuple[int, int, int]]:
    """The rows that an agent sees: the row, the first and the last column."""
    params, unit = field.game.params, field.game.unit_types[agent]
    window = int(params.units[unit, WINDOW])
    x, y = field.center_cell(agent)
    even = 1 - window % 2  # a window of even size reaches one cell further to the left
    rows = enumerate(params.sight[unit, :window].tolist(), y - window // 2)
    return [(row, x - side - even, x + side) for row, side in rows]


def links(field: Field) -> np.ndarray | None:
    """Links to live neighbours, of the selected agent or of all: int64 [2, E]; None if too many."""
    graph, alive = field.game.graph(field.state), field.alive
    everybody = np.flatnonzero(alive[: field.game.num_agents]).tolist()
    if field.canvas.selected is not None:
        everybody = [agent for agent in everybody if agent == field.shown]
    pairs: list[tuple[int, int]] = []
    for agent in everybody:
        near = graph.neighbors(agent)
        pairs += [(agent, other) for other in near[alive[near]].tolist()]
        if len(pairs) > 2 * MOST_LINKS:  # each may be there in both directions
            return None
    if len({frozenset(link) for link in pairs}) > MOST_LINKS:
        return None
    return np.array(pairs, np.int64).reshape(-1, 2).T


# -- colours ------------------------------------------------------------------------------------


def group_colors(field: Field) -> list[Color]:
    """The colours of the groups."""
    return [look.color for look in field.looks]


def ground_colors(canvas: Canvas) -> tuple[Color, Color]:
    """The colours of floor and walls."""
    return mixed(canvas.theme.rule, canvas.theme.paper, 0.5), mixed(
        canvas.theme.faint, canvas.theme.paper, 0.35
    )


def sight_colors(canvas: Canvas) -> tuple[Color, Color]:
    """The floor that the selected agent sees, and that it can attack."""
    floor = ground_colors(canvas)[0]
    seen, reached = (mixed(floor, canvas.theme.green, share) for share in (0.16, 0.4))
    return seen, reached


# -- map ----------------------------------------------------------------------------------------


def draw_ground(field: Field) -> None:
    """Floor and walls; what the selected agent sees and reaches is tinted."""
    canvas, params = field.canvas, field.game.params
    floor, wall = ground_colors(canvas)
    canvas.box((field.corner, field.corner, field.length, field.length), wall)
    left, top, width, _ = inside = field.block(1, 1, params.size, params.size)
    canvas.box(inside, floor)
    if (agent := field.shown) is not None:
        x, y = int(field.x[agent]), int(field.y[agent])
        seen, reached = sight_colors(canvas)
        for line, first, last in sight_of(field, agent):
            canvas.box(field.block(first, line, last, line), seen)
        for dx, dy in attacks_of(field, agent).tolist():
            canvas.box(field.block(x + dx, y + dy, x + dx, y + dy), reached)
    if field.cell >= SMALL_CELL:
        ground = canvas.pixels[top : top + width, left : left + width]
        ground[field.cell - 1 :: field.cell] = canvas.theme.paper
        ground[:, field.cell - 1 :: field.cell] = canvas.theme.paper
    for y, x in walls_of(field).tolist():
        canvas.box(field.block(x, y, x, y), wall)


def walls_of(field: Field) -> np.ndarray:
    """The walls within the map, as rows (y, x)."""
    params = field.game.params
    grid = field.state.grid[0].reshape(params.stride, params.stride)
    inside = slice(params.rim + 1, params.rim + params.size - 1)
    return np.argwhere(grid[inside, inside] == board.WALL) + 1


def draw_agents(field: Field) -> None:
    """The living; the selected agent's neighbours have a dark rim."""
    canvas, near = field.canvas, np.zeros(len(field.x), np.bool_)
    if (agent := field.shown) is not None:
        near[field.game.graph(field.state).neighbors(agent)] = True
    for group, look in enumerate(field.looks):
        for marked in (False, True) if near.any() else (False,):
            who = np.flatnonzero(field.alive & (field.game.unit_groups == group) & (near == marked))
            if not len(who):
                continue
            corners = np.stack([field.x[who], field.y[who]], axis=1)
            stamp_agents(canvas, field.at(corners), field.share[who], look, field.cell, marked)


def draw_attacks(field: Field) -> None:
    """The attacks of the last step, and the agents that died in it."""
    canvas, cell = field.canvas, field.cell
    if cell < ATTACK_CELL:
        return
    # The rules clear the results of agents that are gone, so these are all of the last step.
    for result in (attack.MISS, attack.HIT, attack.KILL):
        who = np.flatnonzero(field.attack_result == result)
        aims = offsets(field, who, field.action[who]) - (field.bodies(who) - 1) / 2
        for start, aim in zip(field.centers(who).tolist(), aims.tolist(), strict=True):
            draw_attack(canvas, start, aim, cell, result == attack.MISS)
    victims = np.flatnonzero(field.status == board.DYING)
    for agent, center in zip(victims, field.centers(victims).tolist(), strict=True):
        draw_cross(canvas, center, cell, group_colors(field)[field.game.unit_groups[agent]])


def draw_attack(canvas: Canvas, start: Point, aim: Point, cell: int, miss: bool) -> None:
    """A spike from an attacker into the cell that it aimed at, or a thin line for a miss.

    It lies a little to the attacker's right: two who attack each other do so side by side.
    """
    theme, distance = canvas.theme, float(np.hypot(*aim))
    across, down = aim[0] / distance, aim[1] / distance
    base, length = 0.17 * cell, cell * (distance - 0.2)
    x, y = start[0] - base * down, start[1] + base * across
    tip = (x + length * across, y + length * down)
    if miss:
        edge = 0.45 * cell * max(abs(across), abs(down))
        canvas.line([(x + edge * across, y + edge * down), tip], theme.faint)
    elif cell < SMALL_CELL:
        canvas.line([(x, y), tip], theme.ink)
    else:
        sides = [(x - base * down * s, y + base * across * s) for s in (1, -1)]
        canvas.polygon([*sides, tip], theme.amber, mixed(theme.ink, theme.amber, 0.3))


def draw_cross(canvas: Canvas, at: Point, cell: int, color: Color) -> None:
    """Where an agent of that colour was killed."""
    arm, width = max(0.28 * cell, 1.5), max(1, round(cell / 6))
    strokes = [[(at[0] - arm, at[1] - arm * s), (at[0] + arm, at[1] + arm * s)] for s in (1, -1)]
    for stroke in strokes if cell >= SMALL_CELL else ():
        canvas.line(stroke, canvas.theme.paper, width + 3)
    for stroke in strokes:
        canvas.line(stroke, color, width)


def draw_selection(field: Field) -> None:
    """The border of what the selected agent sees, and a ring around it."""
    if (agent := field.shown) is None:
        return
    canvas, params, cell = field.canvas, field.game.params, field.cell
    right: list[tuple[int, int]] = []
    left: list[tuple[int, int]] = []
    for line, first, last in sight_of(field, agent):
        right += [(last + 1, line), (last + 1, line + 1)]
        left += [(first, line), (first, line + 1)]
    border = field.at(np.clip(np.array(right + left[::-1] + right[:1]), 0, params.size)) - 1
    canvas.line(border.tolist(), canvas.theme.green, 3 if cell >= SMALL_CELL else 1)
    (center,) = field.centers(np.array([agent])).tolist()
    radius = max(0.72 * cell, 6)
    canvas.circle(center, radius + 1, canvas.theme.paper, 4)
    canvas.circle(center, radius, canvas.theme.ink, 2)
