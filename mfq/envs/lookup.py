"""Environments by name: MODULE:FACTORY, PettingZoo's ids and Gymnasium's."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import pettingzoo

from mfq.envs.graphs import NAMES, GraphLike
from mfq.envs.view import View
from mfq.envs.workers import Workers
from mfq.envs.wrap import wrap

ENV_NAMES = (
    "MODULE:FACTORY, a PettingZoo id such as sisl/pursuit-v5, a Gymnasium id such as CartPole-v1, or "
    "such an id after the module that registers it, as minigrid:MiniGrid-Empty-5x5-v0"
)


_NAME = re.compile(r"[^\W\d][\w.]*:[\w./-]+")
_trusted: set[str] = set()


def trust(names: Iterable[str]) -> None:
    """Allows files that this process loads to name these MODULE:NAMEs.

    Names that `find` has imported are trusted already.
    """
    if isinstance(names, str):
        raise TypeError(f"trust={names!r}; allowed: a list of names, such as [{names!r}]")
    names = list(names)
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"trust has {name!r}; allowed: MODULE:NAME")
    _trusted.update(names)


def check_trusted(names: Mapping[str, Any], source: Any) -> None:
    """Raises ValueError if a file names code that is not trusted: loading would import and call it.
    The message has all such names.

    Args:
        names: by option, the name that the file has for it.
        source: the file, for error messages.
    """
    missing = {
        option: name
        for option, name in names.items()
        if isinstance(name, str) and ":" in name and name not in _trusted
    }
    if missing:
        needed = list(dict.fromkeys(missing.values()))
        has = ", ".join(f"{option}={name!r}" for option, name in missing.items())
        flags = " ".join(f"--trust {name}" for name in needed)
        raise ValueError(
            f"{source} has {has}; loading a file imports nothing that it names unless that is trusted; "
            f"allowed: trust={needed!r}, on the command line {flags}"
        )


def is_code(name: Any) -> bool:
    """Returns whether a name is MODULE:NAME, and not that of a file or folder."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name)) and not Path(name).exists()


def _is_factory(name: str) -> bool:
    """Returns whether an environment's name is MODULE:FACTORY. Gymnasium takes MODULE:ID-vN."""
    return ":" in name and not re.search(r"-v\d+$", name)


def find(name: str) -> Any:
    """Imports MODULE:NAME, trusts it, and returns it. The current folder is searched, too.

    Raises:
        ValueError: if the module does not exist, or has no such attribute.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of code; allowed: MODULE:NAME")
    module, _, attribute = name.partition(":")
    imported = _imported(name, module)
    if not hasattr(imported, attribute):
        close = difflib.get_close_matches(attribute, [n for n in vars(imported) if n[0] != "_"], 1)
        meant = f"; did you mean {module}:{close[0]}?" if close else ""
        raise ValueError(f"{name}: {module} has no {attribute!r}{meant}")
    _trusted.add(name)
    return getattr(imported, attribute)


def _imported(name: str, module: str) -> Any:
    """Imports the module of a name, from the current folder, too."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)  # a console script does not search the current folder
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module and not module.startswith(f"{error.name}."):
            raise  # the module exists; one that it imports does not
        raise ValueError(
            f"{name}: there is no module {module!r} in {folder} or installed"
        ) from None


def maker(name: str, options: Mapping[str, Any] | None = None) -> Callable[[], Any] | None:
    """Returns a function without arguments that makes a named environment; None for an unknown name.

    Args:
        name: a name of one of the forms in `ENV_NAMES`. MODULE:ID imports the module, which registers
            the id, as in `gymnasium.make`.
        options: keyword arguments of the environment; for a Gymnasium id also those of
            `gymnasium.make`, such as ``max_episode_steps``.

    Raises:
        ValueError: if the module or the factory does not exist, a module does not register the id, or
            the id is of a version that Gymnasium has replaced; the message names the newer one.
        TypeError: if the factory is not callable.
    """
    options = dict(options or {})
    module, _, id = name.rpartition(":")
    if not module and name.startswith(":"):
        raise ValueError(f"{name!r} has no module before the colon; allowed: {ENV_NAMES}")
    if module and not _is_factory(name):
        _imported(name, module)
        _trusted.add(name)
    # Of an AEC environment `wrap` says whether it can be played.
    apis = () if _is_factory(name) else ("parallel", "aec")
    for api in apis:
        if id in getattr(pettingzoo, f"{api}_registry", ()):
            return partial(_make_pettingzoo, module, api, id, options)
    if _is_factory(name):
        factory = find(name)
        if not callable(factory):
            raise TypeError(f"{name} is a {type(factory).__name__}; allowed: a function")
        _check_arguments(name, factory, options)
        return partial(factory, **options)
    try:
        gymnasium.spec(id)
    except gymnasium.error.DeprecatedEnv as error:
        raise ValueError(f"{name}: {error}") from None
    except (gymnasium.error.Error, ModuleNotFoundError) as error:
        if module:
            raise ValueError(f"{name}: {module} registers no such id. {error}") from None
        return None
    _trusted.add(name)
    return partial(gymnasium.make, name, **options)


def _check_arguments(name: str, factory: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Raises TypeError for options that are no parameters of a factory."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError:  # some functions of C have no signature
        return
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    for option in options:
        if option not in named:
            raise TypeError(
                f"{name} has no parameter {option!r}; allowed: {', '.join(named) or 'no options'}"
            )


def _make_pettingzoo(module: str, api: Any, id: str, options: dict[str, Any]) -> Any:
    """Makes an environment by its id in PettingZoo, also in a process that has not imported the module
    that registers it."""
    if module:
        importlib.import_module(module)
    return pettingzoo.make(api, id, **options)


def hint(name: str) -> str:
    """Returns what may be meant by an unknown name: "did you mean CartPole-v1? ", or why Gymnasium does
    not know it; "" if nothing is similar."""
    registries = (
        gymnasium.registry,
        getattr(pettingzoo, "parallel_registry", ()),
        getattr(pettingzoo, "aec_registry", ()),
    )
    ids = [id for registry in registries for id in registry]
    ids.sort(key=lambda id: "/" in id, reverse=True)  # those without a namespace replace others
    # "pursuit" is near to sisl/pursuit-v5, too.
    known = {re.sub(r"^.*/|-v\d+$", "", id).lower(): id for id in ids}
    known |= {id.lower(): id for id in ids}
    if near := difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.75):
        return f"did you mean {known[near[0]]}? "
    try:
        gymnasium.spec(name)
    except gymnasium.error.NamespaceNotFound as error:
        return f"{error} "
    except gymnasium.error.Error:
        pass
    return ""


def graph_of(name: str | None) -> GraphLike:
    """Returns the graph that a name stands for: "all", "type" or "team", or what MODULE:NAME is.

    Raises:
        ValueError: for any other name.
    """
    if name is None or name in NAMES:
        return name
    if ":" not in name:
        raise ValueError(f"graph={name!r}; allowed: {', '.join(NAMES)}, MODULE:NAME")
    return find(name)


def rows(make: Callable[[], Any], num_envs: int, workers: int, graph: GraphLike) -> View:
    """Returns a view of ``num_envs`` copies in ``workers`` processes; 0 means in this one."""
    if workers:
        return Workers(make, num_envs, min(workers, num_envs), graph)
    if num_envs == 1:
        return wrap(make(), graph)
    return wrap([make() for _ in range(num_envs)], graph)
