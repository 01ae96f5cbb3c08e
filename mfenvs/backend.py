"""Owns memory and runs a rule over its index space.

A *rule* is a plain Python function of one point of its index space. Its leading parameters name
that space, one of SPACES: ``(row, ...)``, ``(row, agent, ...)`` and so on. What follows are
arrays indexed ``[row, ...]``, named tuples of arrays, and numbers. A rule returns nothing, allocates
nothing and touches no Python object, so that one source runs as ordinary Python (the tests'
references do), as machine code here, and on CUDA.

This file turns the rule into a compiled loop. Helpers that a rule calls must be plain functions
reachable as globals of its module (``from mfenvs.rng import uniform``, not ``rng.uniform``).
"""

from __future__ import annotations

import dis
import hashlib
import inspect
import math
import os
import types
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core.caching import FunctionCache
from numpy.typing import DTypeLike

Rule = Callable[..., None]

SPACES = (
    ("row",),
    ("row", "agent"),
    ("row", "agent", "cell"),
    ("row", "line"),
    ("row", "line", "column"),
)
# Below this much work (in ns, roughly) a hand-over to another thread costs more than it saves.
MIN_WORK_PER_THREAD = 200_000
NamedTupleT = TypeVar("NamedTupleT", bound=tuple[Any, ...])


def get_backend(device: str = "cpu") -> CpuBackend:
    """The backend of a device.

    Raises:
        ValueError: for a device other than ``"cpu"``.
    """
    if str(device) != "cpu":
        raise ValueError(f"device={device!r} is not supported; allowed: 'cpu'")
    return CpuBackend()


class CpuBackend:
    """Numpy memory; loops compiled by Numba, rows split over threads with the GIL released."""

    device = "cpu"

    def __init__(self) -> None:
        # Numba finds out the types of all arguments on every call, which takes longer than many a
        # rule. So machine code is remembered by what tells the types sooner: see `_token`.
        self._known: dict[tuple[Any, ...], Callable[..., None]] = {}
        self._kept: dict[int, tuple[Any, ...]] = {}

    def zeros(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        return np.zeros(shape, dtype)

    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        """Memory that a rule is going to write in full."""
        return np.empty(shape, dtype)

    def keep(self, arguments: NamedTupleT) -> NamedTupleT:
        """Says that a named tuple is going to be an argument of many a `run`, which is faster then.

        It is kept as long as this backend, so that no other takes over its identity.
        """
        self._kept[id(arguments)] = arguments
        return arguments

    def asarray(self, values: Any, dtype: DTypeLike) -> np.ndarray:
        """A contiguous array of this backend's memory, in this dtype; copies only if it must."""
        # Writable, too: Numba compiles every rule anew for a read-only array.
        return np.require(values, dtype, ["C", "W"])

    def run(self, rule: Rule, extent: Sequence[int], *arguments: Any, work: int = 5) -> None:
        """Calls ``rule`` at every point of ``extent``: (rows,), (rows, agents) ...

        Points may run in any order and at once; a rule that needs an order loops over it itself.

        Args:
            rule: see the top of this file.
            extent: the size of each axis that the rule declares.
            arguments: what follows the indices.
            work: about how many nanoseconds a point takes; decides on how many threads.

        Raises:
            ValueError: if ``extent`` has another number of axes than the rule declares.
        """
        key = (rule, len(extent), *map(self._token, arguments))
        loop = self._known.get(key) or self._learn(key, rule, extent, arguments)
        rows, *inner = extent
        workers = work * math.prod(extent) // MIN_WORK_PER_THREAD
        if workers > 1:
            workers = min(workers, rows, _cores())
        if workers <= 1:
            loop(0, rows, *inner, *arguments)
            return
        bounds = [rows * k // workers for k in range(workers + 1)]
        pending: list[Future[None]] = [
            _pool().submit(loop, first, last, *inner, *arguments)
            for first, last in pairwise(bounds[1:])
        ]
        loop(0, bounds[1], *inner, *arguments)
        for future in pending:
            future.result()

    def _learn(
        self, key: tuple[Any, ...], rule: Rule, extent: Sequence[int], arguments: tuple[Any, ...]
    ) -> Callable[..., None]:
        """The machine code of a rule for arguments of these types; kept under the key."""
        if len(extent) != len(index_space(rule)):
            raise ValueError(
                f"extent={tuple(extent)!r} has {len(extent)} axes; "
                f"rule {rule.__name__!r} declares {index_space(rule)}"
            )
        dispatcher: Any = compiled(rule)
        indices = (0,) * (len(extent) + 1)
        kinds = tuple(dispatcher.typeof_pyval(value) for value in (*indices, *arguments))
        self._known[key] = dispatcher.compile(kinds)
        return self._known[key]

    def _token(self, argument: Any) -> Any:
        """What tells the type of a rule's argument: with equal tokens the types are equal."""
        if isinstance(argument, tuple):
            identity = id(argument)
            if identity in self._kept:
                return identity
            return (type(argument), *map(self._token, argument))
        if type(argument) is np.ndarray:
            flags = argument.flags
            return (argument.dtype.num, argument.ndim, flags.num)
        return type(argument)


@cache
def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=_cores(), thread_name_prefix="mfenvs")


# A forked child inherits the pool object without its threads.
os.register_at_fork(after_in_child=_pool.cache_clear)


@cache
def index_space(rule: Rule) -> tuple[str, ...]:
    """The index names that a rule declares by its leading parameters.

    Raises:
        TypeError: if the first parameter is not ``row``.
    """
    names = tuple(inspect.signature(rule).parameters)
    found = [space for space in SPACES if names[: len(space)] == space]
    if not found:
        raise TypeError(f"rule {rule.__name__!r} takes {names}; allowed first: one of {SPACES}")
    return max(found, key=len)


@cache
def compiled(rule: Rule) -> Callable[..., None]:
    """The compiled loop ``loop(first_row, last_row, [agents, [cells,]] *arguments)`` of a rule.

    The loop has the rule's own parameters, since kernels of variable arity do not compile on CUDA.
    Machine code is kept on disk and found again by other processes; see ``RuleCache``.
    """
    space = index_space(rule)
    arguments = ", ".join(list(inspect.signature(rule).parameters)[len(space) :])
    extents = [f"num_{name}s" for name in space[1:]]
    lines = [f"def loop({', '.join(['first_row', 'last_row', *extents, arguments])}):"]
    for level, name in enumerate(space):
        bounds = "first_row, last_row" if level == 0 else f"num_{name}s"
        lines.append("    " * (level + 1) + f"for {name} in range({bounds}):")
    lines.append("    " * (len(space) + 1) + f"rule({', '.join([*space, arguments])})")

    # The loop pretends to live in the rule's module, so that Numba puts its cache beside that file.
    scope: dict[str, Any] = {"__name__": rule.__module__, "rule": _twin(rule)}
    exec(compile("\n".join(lines), inspect.getfile(rule), "exec"), scope)
    loop = scope["loop"]
    loop.__qualname__ = loop.__name__ = f"loop_{rule.__name__}"
    dispatcher = _jit(loop)
    dispatcher._cache = RuleCache(loop, source_digest(rule))
    return dispatcher


@cache
def _twin(function: Callable[..., Any]) -> Callable[..., Any]:
    """A compiled copy of a function whose helpers are compiled copies too."""
    helpers = {name: _twin(helper) for name, helper in _helpers(function)}
    clone = types.FunctionType(function.__code__, {**function.__globals__, **helpers})
    clone.__qualname__, clone.__module__ = function.__qualname__, function.__module__
    # Nobody calls it from Python: without that wrapper it compiles in a third of the time.
    return _jit(clone, forceinline=True, no_cpython_wrapper=True)


def _jit(function: Callable[..., Any], **options: Any) -> Any:
    # Rules allocate nothing, so the run-time's reference counts are off: they would cost some
    # 100 ns a point, an atomic increment and decrement for each array taken from a named tuple.
    options |= {"nogil": True, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
    return numba.njit(**options)(function)


def _referenced(function: Any) -> Iterator[tuple[str, Any]]:
    """The globals that a function's code reads, in the order of the names."""
    loads = (part for part in dis.get_instructions(function) if part.opname == "LOAD_GLOBAL")
    for name in sorted({part.argval for part in loads}):  # not co_names: attributes are there too
        if name in function.__globals__:
            yield name, function.__globals__[name]


def _helpers(function: Any) -> Iterator[tuple[str, Any]]:
    for name, value in _referenced(function):
        if isinstance(value, types.FunctionType):
            yield name, value


def source_digest(rule: Rule) -> str:
    """Digest of all that a rule's machine code depends on.

    That is the source files of the rule and, transitively, of its helpers, and the values of the
    constants that they name (which other files may define).
    """
    digest = hashlib.sha256()
    seen: set[Any] = set()
    waiting: list[Any] = [rule]
    while waiting:
        function = waiting.pop()
        if function in seen:
            continue
        seen.add(function)
        digest.update(f"{function.__module__}.{function.__qualname__}\n".encode())
        digest.update(Path(inspect.getfile(function)).read_bytes())
        for name, value in _referenced(function):
            if isinstance(value, types.FunctionType):
                waiting.append(value)
            elif isinstance(value, bool | int | float | str | tuple | np.generic | np.ndarray):
                digest.update(f"{name}={value!r}\n".encode())
    return digest.hexdigest()


class RuleCache(FunctionCache):
    """Numba's on-disk cache, keyed by the rule's sources instead of the loop's bytecode.

    Numba stamps an entry with one file and keys it by the identity of what a closure holds; a
    generated loop over cloned helpers then never hits in another process, and would miss an edit
    to a helper in another file.
    """

    def __init__(self, loop: Callable[..., None], digest: str) -> None:
        super().__init__(loop)
        self._cache_file._source_stamp = digest
        self._digest = digest

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The machine code kept, or None; what cannot be read (any more) is thrown away."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:
            # A type that has moved or gone since, a file cut short: whatever pickle finds.
            self.flush()
            return None

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (sig, codegen.magic_tuple(), self._digest)
