"""Checks of arguments. Each error names the argument, its value and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """An integer from ``least`` to ``most``.

    Raises:
        TypeError: if it is none (a bool is none).
        ValueError: if it is out of range.
    """
    allowed = f"an integer of at least {least}" + ("" if most is None else f", at most {most}")
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}; allowed: {allowed}")
    if value < least or (most is not None and value > most):
        raise ValueError(f"{name}={value!r} is out of range; allowed: {allowed}")
    return int(value)


def numbers(name: str, value: Any) -> np.ndarray:
    """Finite numbers of any shape, as float64.

    Raises:
        TypeError: if they are no numbers.
        ValueError: if one is infinite or NaN.
    """
    try:
        array = np.asarray(value)
    except ValueError:
        raise TypeError(f"{name}={value!r}; allowed: numbers") from None
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name}={value!r}; allowed: finite numbers")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}={value!r}; allowed: finite numbers")
    return array.astype(np.float64)


def number(name: str, value: Any) -> float:
    """One finite number; errors as `numbers`."""
    array = numbers(name, value)
    if array.ndim:
        raise TypeError(f"{name} has shape {array.shape}; allowed: one number")
    return float(array)


def positive(name: str, value: Any) -> float:
    """One finite number above 0; errors as `numbers`."""
    found = number(name, value)
    if found <= 0:
        raise ValueError(f"{name}={value!r}; allowed: a number above 0")
    return found


def member(name: str, value: Any, allowed: Iterable[Any]) -> None:
    """Raises ValueError unless ``value`` is one of ``allowed``."""
    options = list(allowed)
    if not any(type(value) is type(option) and value == option for option in options):
        raise ValueError(f"{name}={value!r}; allowed: {', '.join(map(repr, options))}")


def flag(name: str, value: Any) -> None:
    """Raises TypeError unless ``value`` is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}; allowed: True or False")
