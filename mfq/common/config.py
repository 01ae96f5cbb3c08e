"""Frozen dataclasses as configurations: read from YAML, written as resolved JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import yaml

from mfenvs.validate import did_you_mean, plain_fields
from mfq.common.files import write_atomically

Config = TypeVar("Config")
Alias = str | tuple[str, Callable[[Any], Any]]
"""The new name of a field, such as "network.hidden"; optionally with a function that converts values."""


class Nested:
    """Base of frozen dataclasses with fields that are dataclasses, which may be given as dicts.

    Attributes:
        ALIASES: former name of a field -> its new name. `build` accepts both.
    """

    ALIASES: ClassVar[dict[str, Alias]] = {}

    def __post_init__(self) -> None:
        plain_fields(self)
        for part in fields(self):  # type: ignore[arg-type]
            make, value = part.default_factory, getattr(self, part.name)
            if not (isinstance(make, type) and is_dataclass(make)) or isinstance(value, make):
                continue
            if not isinstance(value, dict):
                raise TypeError(
                    f"{part.name}={value!r}; allowed: a {make.__name__}, or a dict of its fields"
                )
            object.__setattr__(self, part.name, build(make, value))


def read_yaml(path: str | Path | Traversable) -> dict[str, Any]:
    """Returns the mapping in a YAML file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not valid YAML, or not a mapping.
    """
    file = Path(path) if isinstance(path, str) else path
    if not file.is_file():
        raise FileNotFoundError(f"config={str(path)!r} is no file; allowed: a YAML file of options")
    try:
        options = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML: {error}") from None
    if not isinstance(options, dict):
        raise ValueError(f"{path} holds a {type(options).__name__}; allowed: a mapping of fields")
    return options


def from_yaml(config_type: type[Config], path: str | Path, default: Config | None = None) -> Config:
    """Returns a configuration from a YAML file of its fields; see `build`.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not valid YAML, not a mapping, or has an unknown field.
        TypeError, ValueError: for values that the configuration does not allow.
    """
    options = read_yaml(path)
    try:
        return build(config_type, options, default)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def build(
    config_type: type[Config], options: Mapping[str, Any], default: Config | None = None
) -> Config:
    """Returns a configuration from a dict of its fields; a field that is a dataclass may be a dict, too.

    Former names of fields (`Nested.ALIASES`) are accepted. Missing fields are those of ``default``, or
    the dataclass's defaults.

    Args:
        config_type: the dataclass.
        options: its fields.
        default: an instance of it, or None.

    Raises:
        ValueError: for an unknown field.
        TypeError, ValueError: for values that the configuration does not allow.
    """
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise TypeError(f"{config_type.__name__}: {options!r}; allowed: a mapping of field names")
    known = {field.name: field for field in fields(config_type)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, value in _renamed(config_type, options).items():
        if name not in known:
            meant = did_you_mean(name, known)
            raise ValueError(
                f"{config_type.__name__} has no field {name!r}; {meant}allowed: {', '.join(known)}"
            )
        make = known[name].default_factory
        if isinstance(value, Mapping) and isinstance(make, type) and is_dataclass(make):
            value = build(make, value, getattr(default, name, None))
        # YAML and JSON have lists where frozen dataclasses have tuples.
        values[name] = tuple(value) if isinstance(value, list) else value
    return config_type(**values) if default is None else replace(default, **values)  # type: ignore[type-var]


def _renamed(config_type: type[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options with former names replaced, those of a nested field in a dict."""
    aliases: dict[str, Alias] = getattr(config_type, "ALIASES", {})
    known = {field.name for field in fields(config_type)}
    renamed: dict[str, Any] = {}

    def put(place: str, value: Any, name: str) -> None:
        parent, _, leaf = place.partition(".")
        if not leaf and not isinstance(value, Mapping):
            if place in renamed:
                raise ValueError(f"{name} and {place} are both given; allowed: one of them")
            renamed[place] = value
            return
        parts = {leaf: value} if leaf else value
        present = renamed.setdefault(parent, {})
        if not isinstance(present, Mapping):
            raise ValueError(f"{name} beside {parent}={present!r}; allowed: {parent} as a dict")
        for part in parts:
            if part in present:
                raise ValueError(f"{name} and {parent}.{part} are both given; allowed: one of them")
        renamed[parent] = {**present, **parts}

    for name, value in options.items():
        alias = aliases.get(name)
        # A former name may be the name of a nested field now, with a dict as its value.
        if alias is None or (name in known and not isinstance(value, str | int | float)):
            put(name, value, name)
        elif isinstance(alias, str):
            put(alias, value, name)
        else:
            place, convert = alias
            try:
                put(place, convert(value), name)
            except TypeError:
                raise TypeError(f"{name}={value!r}; allowed: a number") from None
    return renamed


def to_json(config: Any, path: str | Path) -> Path:
    """Writes all fields of a configuration as JSON, defaults included; returns the path."""
    text = json.dumps(asdict(config), indent=2, default=np.generic.item) + "\n"
    return write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
