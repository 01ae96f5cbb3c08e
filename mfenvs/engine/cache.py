"""Stores the machine code of rules on disk, for other processes.

The store is an optimisation. Where no folder can be written, rules are compiled in each process, and
one warning says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache

SLOW = 1.0  # seconds of compiling after which a line says that rules are being compiled
logger = logging.getLogger("mfenvs")


# -- keys ---------------------------------------------------------------------------------------


class Digest:
    """A digest of code and of values, which is the same in other processes."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, name: str, value: Any) -> None:
        """Adds a named number, text, array, code object, or tuple or set of such."""
        for part in _parts(value):
            self._hash.update(name.encode() + b"=" + part + b"\n")

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    if isinstance(value, types.CodeType):
        # Not `marshal`, which writes file names and line numbers too.
        yield value.co_code
        yield from _parts((value.co_argcount, value.co_flags, value.co_names, value.co_varnames))
        yield from _parts(value.co_consts)
    elif isinstance(value, tuple):
        yield f"{type(value).__name__} of {len(value)}".encode()
        for item in value:
            yield from _parts(item)
    elif isinstance(value, frozenset):
        yield repr(sorted(map(repr, value))).encode()
    elif isinstance(value, np.ndarray):  # whose repr omits the middle
        yield f"{value.dtype} {value.shape}".encode()
        yield value.tobytes()
    else:
        yield repr(value).encode()


# -- folders ------------------------------------------------------------------------------------


# Numba's classes that look for a folder, in its order. Some versions write their names with "_".
_NUMBAS: dict[str, Any] = {
    locator.__name__.lstrip("_"): locator for locator in CompileResultCacheImpl._locator_classes
}
_UserWide: Any = _NUMBAS["UserWideCacheLocator"]
_UserProvided: Any = _NUMBAS["UserProvidedCacheLocator"]
_InTree: Any = _NUMBAS["InTreeCacheLocator"]


class _AbsoluteUserWide(_UserWide):
    """The user's cache folder. Without a home directory Numba would make one named "~" here."""

    def ensure_cache_path(self) -> None:
        if not os.path.isabs(self.get_cache_path()):
            raise FileNotFoundError("there is no home directory")
        super().ensure_cache_path()


class _Readable:
    """A folder that exists, though it cannot be written: the build of an image may have filled it."""

    def ensure_cache_path(self: Any) -> None:
        if not os.path.isdir(self.get_cache_path()):
            raise FileNotFoundError(self.get_cache_path())


class _ReadableUserProvided(_Readable, _UserProvided):
    pass


class _ReadableInTree(_Readable, _InTree):
    pass


class _RuleCacheImpl(CompileResultCacheImpl):
    # Numba takes the first that it can use.
    _locator_classes = [  # noqa: RUF012
        *{**_NUMBAS, "UserWideCacheLocator": _AbsoluteUserWide}.values(),
        _ReadableUserProvided,
        _ReadableInTree,
    ]


# -- caches -------------------------------------------------------------------------------------


def rule_cache(loop: Callable[..., None], digest: str) -> RuleCache | MemoryCache:
    """Returns the cache of a rule: on disk if there is a folder for it, otherwise none.

    Args:
        loop: the function to compile. Its file name says where Numba looks for a folder first.
        digest: identifies all that the machine code depends on.
    """
    try:
        return RuleCache(loop, digest)
    except RuntimeError:  # from Numba
        return MemoryCache(loop, "no folder for them can be written")
    except (OSError, KeyError) as error:  # of a zip archive that has moved or changed
        return MemoryCache(loop, repr(error))


class RuleCache(FunctionCache):
    """Numba's cache on disk, keyed by a digest instead of the bytecode of the rule's loop alone.

    Numba's key contains the identity of the objects in a closure, and a time stamp of one file. With it
    a generated loop would never load in another process, and would load after an edit of a helper in
    another file.
    """

    _impl_class = _RuleCacheImpl

    def __init__(self, loop: Callable[..., None], digest: str) -> None:
        super().__init__(loop)
        self._cache_file._source_stamp = digest
        self._digest = digest
        self._module = loop.__module__

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Returns stored machine code, or None. Entries that cannot be read are deleted."""
        try:
            stored = super().load_overload(sig, target_context)
        except Exception:
            # Pickle raises many types of error: for a type that has moved, a truncated file, ...
            stored = None
            self._delete()
        if stored is None:
            _clock.start(self._module, f"later processes load them from {self.cache_path}")
        return stored

    def save_overload(self, sig: Any, data: Any) -> None:
        """Stores machine code, or warns once if it cannot be written."""
        _clock.stop()
        try:
            super().save_overload(sig, data)
        except Exception as error:  # a full disk; a broken index that cannot be deleted, as above
            _warn_once(str(error) or repr(error))

    def _delete(self) -> None:
        with contextlib.suppress(OSError):  # if it fails then storing does too, which warns
            self.flush()

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (sig, codegen.magic_tuple(), self._digest)


class MemoryCache(NullCache):
    """Stores nothing on disk, and warns once when a rule is compiled."""

    def __init__(self, loop: Callable[..., None], reason: str) -> None:
        self._module, self._reason = loop.__module__, reason

    def load_overload(self, sig: Any, target_context: Any) -> None:
        """Returns None."""
        _warn_once(self._reason)
        _clock.start(self._module, "they cannot be stored")

    def save_overload(self, sig: Any, data: Any) -> None:
        _clock.stop()


# -- messages -----------------------------------------------------------------------------------


class _Clock:
    """Measures the time that rules take to compile, and logs one line when it is long."""

    def __init__(self) -> None:
        self.seconds, self.since, self.logged = 0.0, 0.0, False

    def start(self, module: str, later: str) -> None:
        self.since = time.perf_counter()
        if self.seconds > SLOW and not self.logged:
            self.logged = True
            name = _game or ".".join(module.split(".")[:2])
            logger.warning("compiling %s for this machine, once; %s", name, later)

    def stop(self) -> None:
        self.seconds += time.perf_counter() - self.since


_clock = _Clock()
_warned = False
_game = ""


def compiling_for(game: str) -> None:
    """Names the game that rules are compiled for from now on, for the line that says so."""
    global _game
    _game = game


def _warn_once(reason: str) -> None:
    global _warned
    if _warned:
        return
    _warned = True
    warnings.warn(
        "compiled rules cannot be stored, so each process compiles them again: "
        f"{reason}. Set NUMBA_CACHE_DIR to a folder that can be written",
        RuntimeWarning,
        stacklevel=2,
    )
