"""Environments by name: MODULE:FACTORY, PettingZoo's ids and Gymnasium's."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import pettingzoo

from mfq.envs.graphs import NAMES, GraphLike
from mfq.envs.view import View
from mfq.envs.workers import Workers
from mfq.envs.wrap import wrap

KINDS = (
    "MODULE:FACTORY, a PettingZoo id such as sisl/pursuit-v5, a Gymnasium id such as CartPole-v1"
)


def find(name: str) -> Any:
    """What "MODULE:NAME" means; modules in the current folder are found, too.

    Raises:
        ValueError: if there is no such module, or nothing of that name in it.
    """
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # the `mfq` command does not look there by itself
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module and not module.startswith(f"{error.name}."):
            raise  # it is there, and lacks something itself
        raise ValueError(f"{name}: there is no module {module!r} in {here} or installed") from None
    if not hasattr(found, attribute):
        raise ValueError(f"{name}: {module} has no {attribute!r}")
    return getattr(found, attribute)


def maker(name: str, options: Mapping[str, Any] | None = None) -> Callable[[], Any] | None:
    """A function without arguments that makes the environment of a name; None for an unknown name.

    Args:
        name: one of `KINDS`.
        options: its keyword arguments.

    Raises:
        ValueError: for a module or factory that there is not; TypeError for one that is no function.
    """
    options = dict(options or {})
    if name in getattr(pettingzoo, "parallel_registry", ()):
        return partial(pettingzoo.make, "parallel", name, **options)
    if ":" in name and "-v" not in name:
        factory = find(name)
        if not callable(factory):
            raise TypeError(f"{name} is a {type(factory).__name__}; allowed: a function")
        return partial(factory, **options)
    try:
        gymnasium.spec(name)
    except (gymnasium.error.Error, ModuleNotFoundError):
        return None
    return partial(gymnasium.make, name, **options)


def graph_of(name: str | None) -> GraphLike:
    """The graph of a name: "all", "type", "team", or MODULE:NAME for one of one's own.

    Raises:
        ValueError: for another name.
    """
    if name is None or name in NAMES:
        return name
    if ":" not in name:
        raise ValueError(f"graph={name!r}; allowed: {', '.join(NAMES)}, MODULE:NAME")
    return find(name)


def rows(make: Callable[[], Any], num_envs: int, workers: int, graph: GraphLike) -> View:
    """A view of so many copies, in so many processes (0: this one)."""
    if workers:
        return Workers(make, num_envs, min(workers, num_envs), graph)
    if num_envs == 1:
        return wrap(make(), graph)
    return wrap([make() for _ in range(num_envs)], graph)
