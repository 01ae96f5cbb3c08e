"""How agents look in pictures: a colour and a shape by group, filled as high as their share of hp."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfenvs.gridworld.units import World
from mfenvs.render.chart import mixed
from mfenvs.render.geometry import Color

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas, Theme

SMALL_CELL = 8  # cells of fewer pixels have no gaps, and agents no shape
LEVELS = 40  # of hp that look different
SHAPES = ("disc", "square", "diamond")
DARKER = 0.45  # of the second group of a colour, a share of ink


class Look(NamedTuple):
    """How the agents of a group look.

    Attributes:
        color: (red, green, blue).
        shape: one of `SHAPES`.
        width, length: cells of the body.
    """

    color: Color
    shape: str
    width: int = 1
    length: int = 1


def looks_of(world: World, theme: Theme) -> list[Look]:
    """Returns the looks of the groups.

    Groups next to each other differ in shape; where groups share a colour, the shape says the unit type,
    and the second of a colour is darker. Passive units are diamonds.
    """
    names = [group.color for group in world.groups]
    shares_colors = len(set(names)) < len(names)
    types = list(dict.fromkeys(group.unit.name for group in world.groups))
    looks = []
    for k, group in enumerate(world.groups):
        place = types.index(group.unit.name) if shares_colors else k
        shape = "diamond" if group.passive else SHAPES[place % 2]
        color = getattr(theme, group.color)
        for _ in range(names[:k].count(group.color)):
            color = mixed(color, theme.ink, DARKER)
        looks.append(Look(color, shape, group.unit.width, group.unit.length))
    return looks


def strengths(share: np.ndarray, color: Color, canvas: Canvas) -> np.ndarray:
    """The colour of agents without a shape: the paler, the less hp; float32 [..., 3]."""
    pale = np.array(mixed(color, canvas.theme.paper, 0.75), np.float32)
    return pale + np.sqrt(share)[..., None] * (np.array(color, np.float32) - pale)


def stamp_agents(
    canvas: Canvas,
    corners: np.ndarray,
    share: np.ndarray,
    look: Look,
    cell: int,
    marked: bool,
) -> None:
    """Agents of one look, with their top-left corners at these pixels."""
    width, length = look.width * cell, look.length * cell
    if cell >= SMALL_CELL:
        level = np.ceil(share * LEVELS).astype(int)
        pictures = vessels(width, length, cell, look.shape, look.color, canvas.theme, marked)
        canvas.stamp(pictures[level], corners)
        return
    pictures = np.ones((len(share), max(length, 2), max(width, 2), 4), np.float32)
    pictures[..., :3] = strengths(share, look.color, canvas)[:, None, None]
    canvas.stamp(pictures, corners)


@lru_cache(maxsize=64)
def vessels(
    width: int, length: int, cell: int, shape: str, color: Color, theme: Theme, marked: bool
) -> np.ndarray:
    """Pictures of an agent, from empty to full.

    Args:
        width, length: pixels of the body.
        cell: pixels along a cell.
        shape: one of `SHAPES`; a disc fills a body of unequal sides with round ends.

    Returns:
        float32 [LEVELS + 1, length, width, 4]; the last line and column are a gap.
    """
    margin = max(1, cell // 12) + (0.12 * cell if shape == "square" else 0)
    half_x, half_y = (width - 1 - margin) / 2, (length - 1 - margin) / 2
    across, down = (
        np.abs(np.arange(width) - (width - 2) / 2),
        np.abs(np.arange(length) - (length - 2) / 2),
    )
    if shape == "diamond":
        right, low = np.meshgrid(across / half_x, down / half_y)
        gap = (right + low - 1) * min(half_x, half_y) / np.sqrt(2)
    else:
        radius = 0.2 * cell if shape == "square" else min(half_x, half_y)
        right, low = np.meshgrid(across - (half_x - radius), down - (half_y - radius))
        outside = np.hypot(np.maximum(right, 0), np.maximum(low, 0)) - radius
        gap = outside + np.minimum(np.maximum(right, low), 0)
    # ``gap`` is the distance from the border; negative inside.
    whole, inner = (np.clip(0.5 - gap - rim, 0, 1) for rim in (0.0, max(1.3, cell / 12)))

    height = np.linspace(0, length - 1, LEVELS + 1)[:, None] - np.arange(length - 2, -2, -1)
    pictures = np.empty((LEVELS + 1, length, width, 4), np.float32)
    pale, strong = np.array(mixed(color, theme.paper, 0.7)), np.array(color)
    inside = pale + np.clip(height, 0, 1)[:, :, None, None] * (strong - pale)
    rim = np.array(theme.ink if marked else color)
    pictures[..., :3] = rim + inner[:, :, None] * (inside - rim)
    pictures[..., 3] = whole
    return pictures
