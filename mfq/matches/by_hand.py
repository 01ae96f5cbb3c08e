"""A player whose agents follow a person's orders.

Legend: N agents, A actions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mfenvs.layout import Layout, Places
from mfq.agents.base import Player
from mfq.envs.step import Step
from mfq.envs.view import View

FAR = 1000  # cells; an order to move aims at a cell that far away


class Order(NamedTuple):
    """An order, which stays in effect until the next one.

    Attributes:
        key: the key that gives it, see `mfenvs.render.canvas.Canvas.pressed`.
        words: what agents do.
        way: (right, down), the direction to move in; None for the other orders.
        action: the action to choose; None for the other orders.
    """

    key: str
    words: str
    way: tuple[int, int] | None = None
    action: int | None = None


ORDERS = (
    Order("left", "move left", way=(-1, 0)),
    Order("right", "move right", way=(1, 0)),
    Order("up", "move up", way=(0, -1)),
    Order("down", "move down", way=(0, 1)),
    Order("a", "attack the nearest enemy, and walk there"),
    Order("x", "stay; without a board, repeat the last action"),
    *(Order(str(digit), f"choose action {digit}", action=digit) for digit in range(10)),
)
BY_KEY = {order.key: order for order in ORDERS}
ATTACK, STAY = BY_KEY["a"], BY_KEY["x"]


class Human(Player):
    """Plays by orders, at first to stay.

    Args:
        view: a view of one row with a `layout`.

    Attributes:
        order: the order to all agents.
        orders: agent -> an order to it alone; agents by their index.
    """

    def __init__(self, view: View) -> None:
        layout = view.layout
        if layout is None or view.num_envs != 1:
            raise ValueError(
                f"the view has {view.num_envs} rows and {'no' if layout is None else 'a'} layout; "
                "allowed: one row of a game of mfenvs"
            )
        self._view, self._layout = view, layout
        self._groups = view.groups.cpu().numpy()
        self.order = STAY
        self.orders: dict[int, Order] = {}

    def give(self, order: Order, agent: int | None = None) -> None:
        """Gives an order to an agent, or to all of them."""
        if agent is None:
            self.order, self.orders = order, {}
        else:
            self.orders[agent] = order

    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Returns actions int64 [1, N]; -1 for dead agents and those that it does not play."""
        places, last = self._view.places(), step.actions[0].tolist()
        board = _board(self._layout, places)
        chosen = [
            self._action(agent, places, board, last[agent]) for agent in step.active_index.tolist()
        ]
        actions = torch.tensor(chosen, dtype=torch.int64, device=step.actions.device)
        if (mask := step.mask_at(step.active_index)) is not None and len(actions):
            allowed = mask.gather(1, actions[:, None])[:, 0] != 0
            actions = actions.where(allowed, mask.long().argmax(1))
        return step.scatter_actions(actions, step.active_index)

    def _action(self, agent: int, places: Places, board: np.ndarray, last: int) -> int:
        """Returns the action by which an agent follows its order."""
        its, order = self._layout.abilities_of(agent), self.orders.get(agent, self.order)
        if order.action is not None and order.action < len(its.aims):
            return order.action
        if not its.aims.any():  # nobody moves
            return max(last, 0)
        if order.way is not None:
            return self._toward(agent, FAR * np.array(order.way), places, board)
        if order is ATTACK and (offset := self._nearest_enemy(agent, places)) is not None:
            hits = np.flatnonzero(its.is_attack & (its.aims == offset).all(1))
            return int(hits[0]) if len(hits) else self._toward(agent, offset, places, board)
        return self._toward(agent, np.zeros(2), places, board)

    def _nearest_enemy(self, agent: int, places: Places) -> np.ndarray | None:
        """Returns how far right of an agent and below it the nearest cell of an enemy lies; None if
        there is no enemy."""
        is_shown = places.is_shown[: len(self._groups)]  # without food
        others = np.flatnonzero(is_shown & (self._groups != self._groups[agent]))
        if not len(others):
            return None
        corners = np.stack([places.x, places.y], axis=1)
        offsets = (corners[others] - corners[agent]).astype(np.int64)
        # Of a body of several cells the one that lies nearest.
        sizes = self._layout.bodies[others].astype(np.int64)
        offsets = np.clip(0, offsets, offsets + sizes - 1)
        return offsets[int((offsets**2).sum(1).argmin())]

    def _toward(self, agent: int, offset: np.ndarray, places: Places, board: np.ndarray) -> int:
        """Returns the move that ends nearest to an offset among those into free cells."""
        its = self._layout.abilities_of(agent)
        moves = np.flatnonzero(~its.is_attack)
        gaps = np.hypot(*(its.aims[moves] - offset).T)
        width, height = self._layout.bodies[agent].astype(int).tolist()
        for move in moves[np.argsort(gaps, kind="stable")].tolist():
            dx, dy = its.aims[move].tolist()
            left, top = int(places.x[agent]) + dx, int(places.y[agent]) + dy
            body = board[max(top, 0) : top + height, max(left, 0) : left + width]
            # To stay is always possible. Cells outside of the board are missing in ``body``.
            if body.size == width * height and np.isin(body, (-1, agent)).all():
                return int(move)
        return int(moves[gaps.argmin()])


def _board(layout: Layout, places: Places) -> np.ndarray:
    """Returns the agent or thing in each cell, int64 [height, width]; -1 for none, -2 for a wall."""
    board = np.full((layout.height, layout.width), -1)
    board[places.walls[:, 1], places.walls[:, 0]] = -2
    for agent in np.flatnonzero(places.is_shown).tolist():
        width, height = layout.bodies[agent].astype(int).tolist()
        x, y = int(places.x[agent]), int(places.y[agent])
        board[y : y + height, x : x + width] = agent
    return board
