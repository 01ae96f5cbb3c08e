"""What the views' state dicts share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mfenvs.game import Game

Parts = Mapping[str, Mapping[str, Any]]


def matched(game: Game, parts: Parts, state: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """Pairs the arrays of an environment with the values of a state dict that are to replace them.

    Args:
        game: the game of the environment.
        parts: the arrays by part and name.
        state: the state dict. Former names of the game's fields are accepted; the part "rules", which
            older state dicts lack, is compared with the game.

    Raises:
        ValueError: for a state of another game or other options, or a value that is missing, has
            another shape, holds no data, or is of another kind (floats for integers).
    """
    if "rules" in state:
        game.check_rules(state["rules"])
    state = {**state, "state": game.present_fields(state.get("state", {}))}
    pairs = []
    for name, part in parts.items():
        for key, array in part.items():
            value = state.get(name, {}).get(key)
            shape = "missing" if value is None else tuple(value.shape)
            if getattr(value, "is_meta", False):
                shape = "on the device 'meta', which has no data"
            if shape != tuple(array.shape):
                allowed = tuple(array.shape)
                raise ValueError(f"state[{name!r}][{key!r}] is {shape}; allowed: {allowed}")
            if _is_float(value) != _is_float(array):
                raise ValueError(
                    f"state[{name!r}][{key!r}] is {value.dtype}; allowed: {array.dtype}"
                )
            pairs.append((array, value))
    return pairs


def _is_float(values: Any) -> bool:
    """Returns whether an array or a tensor holds floats; copying them to integers would truncate."""
    if isinstance(values, np.ndarray):
        return not np.can_cast(values.dtype, np.int64, "same_kind")
    return bool(values.is_floating_point())
