"""Frozen dataclasses as configurations: read from YAML, written as resolved JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from mfq.common.files import write_atomically

Config = TypeVar("Config")

RENAMED = {"learn_after": "learning_starts", "samples_per_transition": "samples_per_insert"}
"""Fields by their former names, which older checkpoints and YAML files have."""


def from_yaml(kind: type[Config], path: str | Path, default: Config | None = None) -> Config:
    """A configuration from a YAML file of its fields; fields left out are those of ``default``.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is no YAML, no mapping, or names a field that the configuration lacks.
        TypeError, ValueError: from the configuration itself.
    """
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds a {type(found).__name__}; allowed: a mapping of fields")
    try:
        return build(kind, found, default)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def build(kind: type[Config], options: dict[str, Any], default: Config | None = None) -> Config:
    """A configuration from a dict of its fields; a field that is a configuration may be a dict too.

    Fields left out are those of ``default``, or the kind's own defaults.

    Raises:
        ValueError: for a field that does not exist.
        TypeError, ValueError: from the configuration itself.
    """
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    values = {}
    for name, value in options.items():
        name = RENAMED.get(name, name)
        if name not in known:
            raise ValueError(f"{kind.__name__} has no field {name!r}; allowed: {', '.join(known)}")
        make = known[name].default_factory
        if isinstance(value, dict) and isinstance(make, type) and is_dataclass(make):
            value = build(make, value, getattr(default, name, None))
        # YAML and JSON have lists where frozen dataclasses have tuples.
        values[name] = tuple(value) if isinstance(value, list) else value
    return kind(**values) if default is None else replace(default, **values)  # type: ignore[type-var]


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raises ValueError unless the value is among those allowed."""
    if value not in allowed:
        raise ValueError(f"{name}={value!r}; allowed: {allowed}")


def of_kind(name: str, value: Any, kinds: type | tuple[type, ...], allowed: str) -> None:
    """Raises TypeError, which says what is allowed, unless the value is of one of the kinds."""
    if not isinstance(value, kinds):
        raise TypeError(f"{name}={value!r}; allowed: {allowed}")


def whole(name: str, value: Any, least: int, most: float = math.inf) -> None:
    """Raises TypeError unless the value is an integer, ValueError if it is too small or too large."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}={value!r}; allowed: an integer of at least {least}")
    if not least <= value <= most:
        allowed = f"{least} or more" if most == math.inf else f"{least} to {most}"
        raise ValueError(f"{name}={value!r}; allowed: {allowed}")


def widths(name: str, value: Any) -> None:
    """Raises TypeError unless the value is a tuple or list of integers, ValueError if one is below 1."""
    of_kind(name, value, (tuple, list), "widths, such as (64, 64)")
    for width in value:
        whole(name, width, 1)


def number(name: str, value: Any, least: float = 0.0, most: float = math.inf) -> None:
    """Raises TypeError unless the value is a number, ValueError if it is out of range or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}={value!r}; allowed: a number")
    if not (least <= value <= most and math.isfinite(value)):
        raise ValueError(f"{name}={value!r}; allowed: {least:g} to {most:g}, finite")


def positive(name: str, value: Any) -> None:
    """Raises TypeError unless the value is a number, ValueError unless it is finite and above 0."""
    number(name, value)
    if value == 0:
        raise ValueError(f"{name}={value!r}; allowed: finite, above 0")


def to_json(config: Any, path: str | Path) -> Path:
    """Writes every field of a configuration, defaults included."""
    text = json.dumps(asdict(config), indent=2) + "\n"
    return write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
