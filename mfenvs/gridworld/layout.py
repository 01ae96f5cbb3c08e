"""A grid world's board, for displays that draw the game themselves; see `mfenvs.layout`."""

from __future__ import annotations

from typing import Any

import numpy as np

from mfenvs.gridworld import board
from mfenvs.gridworld.state import State, from_grid, offsets
from mfenvs.gridworld.tables import NUM_MOVES
from mfenvs.layout import Layout, Places

WAYS = (("left", "right"), ("up", "down"))


def layout_of(game: Any) -> Layout | None:
    """Returns the layout of a game of one type of agents on a map without inner walls; else None.

    All unit types have the aims of the first one.
    """
    params, units, placement = game.params, game.world.unit_types, game.world.placement
    if game.has_types or params.num_acting < params.num_agents:
        return None
    if placement.walls or placement.num_walls:
        return None
    num_moves = int(params.units[0, NUM_MOVES])
    aims = from_grid(params, np.asarray(params.reach)[0])
    names = [
        f"{'move' if action < num_moves else 'attack'} {way(aim)}" if any(aim) else "stay"
        for action, aim in enumerate(aims.tolist())
    ]
    bodies = np.array([(unit.width, unit.length) for unit in units], np.float32)[game.unit_types]
    # With several types, shares of the full hp would hide that one type has more.
    return Layout(
        width=params.size,
        height=params.size,
        bodies=bodies,
        value_name="hp",
        value_range=(0.0, float(game.full_hp.max())),
        action_names=tuple(names),
        aims=aims,
        is_attack=np.arange(len(names)) >= num_moves,
        sight=offsets(units[0].view_radius, units[0].width),
    )


def places_of(state: State, row: int) -> Places:
    """Returns the places of the agents of a row."""
    return Places(
        x=np.asarray(state.x[row], np.float32),
        y=np.asarray(state.y[row], np.float32),
        is_shown=np.asarray(state.status[row]) == board.ALIVE,
        value=np.asarray(state.hp[row], np.float32),
    )


def way(aim: list[int]) -> str:
    """Returns a distance in words, such as "1 left, 2 up"."""
    return ", ".join(f"{abs(n)} {names[n > 0]}" for n, names in zip(aim, WAYS, strict=True) if n)
