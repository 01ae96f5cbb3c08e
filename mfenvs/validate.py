"""Checks of arguments. Every error reads "name=value; allowed: ...".

Both packages use these functions, in the constructors of their configurations and elsewhere.
"""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import numpy as np

MAX_SEED = 2**62 - 1
"""The largest seed of a game."""


def whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """Returns an integer from ``least`` to ``most``; without ``most`` there is no upper bound.

    Raises:
        TypeError: if the value is not an integer. A bool is not one; an integer of numpy or torch is.
        ValueError: if it is out of range.
    """
    allowed = f"{least} or more" if most is None else f"{least} to {most}"
    is_bool = isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool")
    try:
        integer = None if is_bool else operator.index(value)
    except TypeError:
        integer = None
    if integer is None:
        raise TypeError(f"{name}={value!r}; allowed: an integer, {allowed}")
    if integer < least or (most is not None and integer > most):
        raise ValueError(f"{name}={value!r}; allowed: {allowed}")
    return integer


def numbers(name: str, value: Any) -> np.ndarray:
    """Returns finite numbers of any shape as float64.

    Raises:
        TypeError: if the value is not a number or an array of numbers. A bool is not one.
        ValueError: if a number is infinite or NaN.
    """
    try:
        array = np.asarray(value)
    except ValueError:  # nested lists of unequal lengths
        raise TypeError(f"{name}={value!r}; allowed: finite numbers") from None
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name}={value!r}; allowed: finite numbers")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}={value!r}; allowed: finite numbers")
    return array.astype(np.float64)


def number(name: str, value: Any, least: float = -math.inf, most: float = math.inf) -> float:
    """Returns one finite number from ``least`` to ``most``.

    Raises:
        TypeError: if the value is not a single number.
        ValueError: if it is out of range, infinite or NaN.
    """
    array = numbers(name, value)
    if array.ndim:
        raise TypeError(f"{name} has shape {array.shape}; allowed: one number")
    if not least <= array <= most:
        allowed = f"{least:g} or more" if most == math.inf else f"{least:g} to {most:g}"
        raise ValueError(f"{name}={value!r}; allowed: {allowed}")
    return float(array)


def positive(name: str, value: Any) -> float:
    """Returns one finite number above 0.

    Raises:
        TypeError: if the value is not a single number.
        ValueError: if it is 0 or less, infinite or NaN.
    """
    checked = number(name, value)
    if checked <= 0:
        raise ValueError(f"{name}={value!r}; allowed: a number above 0")
    return checked


def widths(name: str, value: Any) -> None:
    """Checks the widths of a network's layers.

    Raises:
        TypeError: if the value is not a tuple or list of integers.
        ValueError: if a width is below 1.
    """
    of_kind(name, value, (tuple, list), "widths, such as (64, 64)")
    for width in value:
        whole(name, width, 1)


def one_of(name: str, value: Any, allowed: Iterable[Any]) -> None:
    """Raises ValueError unless the value equals one of ``allowed`` and has its type."""
    options = list(allowed)
    if not any(type(value) is type(option) and value == option for option in options):
        meant = did_you_mean(value, options)
        raise ValueError(f"{name}={value!r}; {meant}allowed: {', '.join(map(repr, options))}")


def did_you_mean(value: Any, allowed: Iterable[Any], likeness: float = 0.6) -> str:
    """Returns "did you mean NAME? " for the most similar of the names, "" if none is similar.

    Args:
        value: what was given; a value that is not a string is similar to none.
        allowed: the names; others than strings are left out.
        likeness: from 0 to 1, how similar a name must be (`difflib.SequenceMatcher.ratio`).
    """
    if not isinstance(value, str):
        return ""
    names = {name.lower(): name for name in allowed if isinstance(name, str)}
    near = difflib.get_close_matches(value.lower(), names, n=1, cutoff=likeness)
    return f"did you mean {names[near[0]]}? " if near else ""


def of_kind(name: str, value: Any, types: type | tuple[type, ...], allowed: str) -> None:
    """Raises TypeError unless the value is an instance of ``types``, which ``allowed`` describes."""
    if not isinstance(value, types):
        raise TypeError(f"{name}={value!r}; allowed: {allowed}")


def flag(name: str, value: Any) -> None:
    """Raises TypeError unless the value is True or False."""
    of_kind(name, value, (bool, np.bool_), "True or False")


def plain(value: Any) -> Any:
    """Returns a numpy scalar, or an array without axes, as a Python number; other values as they are.

    Options are kept in this form, since json writes no numpy numbers.
    """
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    return value


def plain_fields(config: Any) -> None:
    """Replaces the fields of a frozen dataclass by `plain` ones, items of tuples included."""
    for field in fields(config):
        value = getattr(config, field.name)
        value = tuple(map(plain, value)) if type(value) is tuple else plain(value)
        object.__setattr__(config, field.name, value)
