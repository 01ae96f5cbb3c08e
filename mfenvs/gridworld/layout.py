"""A grid world's board, for displays that draw the game themselves; see `mfenvs.layout`."""

from __future__ import annotations

from typing import Any

import numpy as np

from mfenvs.gridworld import board
from mfenvs.gridworld.state import State, from_grid, offsets
from mfenvs.gridworld.tables import NUM_ACTIONS, NUM_MOVES
from mfenvs.layout import Abilities, Layout, Places

WAYS = (("left", "right"), ("up", "down"))


def layout_of(game: Any) -> Layout:
    """Returns the layout of a game; its types are the unit types that act."""
    params, world, units = game.params, game.world, game.world.unit_types
    passive = [group for group in world.groups if group.passive]
    sizes = world.placement.group_sizes[len(world.acting) :]
    bodies = np.array([(unit.width, unit.length) for unit in units], np.float32)[game.unit_types]
    colors = {group.side: group.color for group in reversed(world.acting)}
    return Layout(
        width=params.size,
        height=params.size,
        bodies=bodies,
        value_name="hp",
        value_range=(0.0, float(game.full_hp.max())),
        abilities=tuple(abilities_of(game, k) for k in range(params.num_views)),
        types=game.unit_types[: game.num_agents],
        most=game.full_hp,
        things=tuple(group.name for group in passive),
        thing=np.repeat(np.arange(len(passive)), sizes),
        colors=colors | {group.name: group.color for group in passive},
    )


def abilities_of(game: Any, unit: int) -> Abilities:
    """Returns what the agents of a unit type do and see."""
    params, unit_type = game.params, game.world.unit_types[unit]
    num_moves, num_actions = params.units[unit, NUM_MOVES], params.units[unit, NUM_ACTIONS]
    aims = from_grid(params, np.asarray(params.reach)[unit, : int(num_actions)])
    names = [
        f"{'move' if action < num_moves else 'attack'} {way(aim)}" if any(aim) else "stay"
        for action, aim in enumerate(aims.tolist())
    ]
    return Abilities(
        action_names=tuple(names),
        aims=aims,
        is_attack=np.arange(len(names)) >= int(num_moves),
        sight=offsets(unit_type.view_radius, unit_type.width),
    )


def places_of(game: Any, state: State, row: int) -> Places:
    """Returns the places of the units of a row, and its walls without the border."""
    size, placement = game.params.size, game.world.placement
    drawn = np.asarray(state.walls[row], np.int64)
    walls = np.array(placement.walls, np.int64).reshape(-1, 2)
    return Places(
        x=np.asarray(state.x[row], np.float32),
        y=np.asarray(state.y[row], np.float32),
        is_shown=np.asarray(state.status[row]) == board.ALIVE,
        value=np.array(state.hp[row], np.float32),  # not a view: the rules write hp again
        walls=np.concatenate([walls, np.stack([drawn % size, drawn // size], axis=1)]),
    )


def way(aim: list[int]) -> str:
    """Returns a distance in words, such as "1 left, 2 up"."""
    return ", ".join(f"{abs(n)} {names[n > 0]}" for n, names in zip(aim, WAYS, strict=True) if n)
