"""Turns a rule into machine code: a loop over its index space on the CPU, a kernel on CUDA.

A *rule* is a plain Python function of one point of its index space. Its leading parameters name
that space, one of SPACES: ``(row, ...)``, ``(row, agent, ...)`` and so on. What follows are
arrays indexed ``[row, ...]``, named tuples of arrays, and numbers. A rule returns nothing, allocates
nothing and touches no Python object, so that one source runs as ordinary Python (the tests'
references do), as machine code, and on CUDA.

Helpers that a rule calls must be plain functions reachable as globals of its module
(``from mfenvs.rng import uniform``, not ``rng.uniform``).
"""

from __future__ import annotations

import dis
import hashlib
import inspect
import types
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.caching import FunctionCache

Rule = Callable[..., None]

SPACES = (
    ("row",),
    ("row", "agent"),
    ("row", "cell"),
    ("row", "lane"),
    ("row", "agent", "lane"),
    ("row", "line"),
    ("row", "line", "column"),
)


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


# -- CPU ----------------------------------------------------------------------------------------


@cache
def compiled_loop(rule: Rule) -> Callable[..., None]:
    """The compiled loop ``loop(first_row, last_row, [agents, ...] *arguments)`` of a rule.

    Machine code is kept on disk and found again by other processes; see ``RuleCache``.
    """
    space, arguments = _parameters(rule)
    extents = [f"num_{name}s" for name in space[1:]]
    lines = [f"def loop({', '.join(['first_row', 'last_row', *extents, *arguments])}):"]
    for level, name in enumerate(space):
        bounds = "first_row, last_row" if level == 0 else f"num_{name}s"
        lines.append("    " * (level + 1) + f"for {name} in range({bounds}):")
    lines.append("    " * (len(space) + 1) + f"rule({', '.join([*space, *arguments])})")
    loop = _generated("loop", lines, rule, {"rule": _cpu_twin(rule)})
    dispatcher = _jit(loop)
    dispatcher._cache = RuleCache(loop, source_digest(rule))
    return dispatcher


@cache
def _cpu_twin(function: Callable[..., Any]) -> Callable[..., Any]:
    """A compiled copy of a function whose helpers are compiled copies too."""
    # Nobody calls it from Python: without that wrapper it compiles in a third of the time.
    clone = _with_helpers(function, _cpu_twin)
    return _jit(clone, forceinline=True, no_cpython_wrapper=True)


def _jit(function: Callable[..., Any], **options: Any) -> Any:
    # Rules allocate nothing, so the run-time's reference counts are off: they would cost some
    # 100 ns a point, an atomic increment and decrement for each array taken from a named tuple.
    options |= {"nogil": True, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
    return numba.njit(**options)(function)


# -- CUDA ---------------------------------------------------------------------------------------


def cuda_library() -> Any:
    """numba.cuda, of the package numba-cuda.

    Raises:
        ImportError: if it is not installed.
    """
    try:
        import numba_cuda  # noqa: F401
        from numba import cuda
    except ImportError:
        raise ImportError(
            "device='cuda' needs numba-cuda: pip install 'mfenvs[cuda]', or device='cpu'"
        ) from None
    return cuda


@cache
def kernel_source(rule: Rule) -> Callable[..., None]:
    """The kernel ``kernel(rows, [agents, ...] *arguments)`` of a rule, yet to be compiled.

    Threads walk along the last axis, so that neighbours in memory are written by neighbours; blocks
    share out what is before it, counted in 32 bits, since to divide 64 takes longer than many a rule.
    A kernel has the rule's own parameters: those of variable arity pass in Numba's simulator and fail
    to compile.
    """
    space, arguments = _parameters(rule)
    *leading, last = space
    lines = [
        f"def kernel({', '.join([*(f'num_{name}s' for name in space), *arguments])}):",
        "    lead = np.uint32(cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y)",
        "    first = np.uint32(cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x)",
        "    stride = cuda.gridDim.y * cuda.blockDim.x",
    ]
    for name in reversed(leading[1:]):
        lines.append(f"    {name} = np.int64(lead % np.uint32(num_{name}s))")
        lines.append(f"    lead //= np.uint32(num_{name}s)")
    lines.append(f"    if lead < {f'num_{leading[0]}s' if leading else '1'}:")
    if leading:
        lines.append(f"        {leading[0]} = np.int64(lead)")
    lines.append(f"        {last} = np.int64(first)")
    lines.append(f"        while {last} < num_{last}s:")
    lines.append(f"            rule({', '.join([*space, *arguments])})")
    lines.append(f"            {last} += stride")
    names = {"rule": _cuda_twin(rule), "cuda": cuda_library(), "np": np}
    return _generated("kernel", lines, rule, names)


@cache
def compiled_kernel(rule: Rule) -> Any:
    """The kernel of a rule, compiled on its first launch."""
    return cuda_library().jit(kernel_source(rule))


@cache
def _cuda_twin(function: Callable[..., Any]) -> Callable[..., Any]:
    return cuda_library().jit(_with_helpers(function, _cuda_twin), device=True)


THREADS = 128  # of a block
POINTS = 4  # along the last axis that a thread takes in turn
BUSY = 4096  # blocks with which the largest devices have enough to do
MOST_BLOCKS = 65535  # along y, by CUDA's limits


def kernel_shape(extent: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The grid and the block of a launch over an extent.

    Returns:
        ((blocks before the last axis, blocks along it), (threads along it, threads before it)).
    """
    last, leads = extent[-1], 1
    for size in extent[:-1]:
        leads *= size
    along = 32
    while along < min(last, THREADS):
        along *= 2
    before = max(1, min(THREADS // along, leads))
    # A thread takes a few points in turn where there are blocks enough without more of them.
    points = POINTS if leads >= BUSY else 1
    blocks = min(max(1, -(-last // (along * points))), MOST_BLOCKS)
    return (-(-leads // before), blocks), (along, before)


# -- shared -------------------------------------------------------------------------------------


def _parameters(rule: Rule) -> tuple[tuple[str, ...], list[str]]:
    """The index names of a rule, and its other parameters."""
    space = index_space(rule)
    return space, list(inspect.signature(rule).parameters)[len(space) :]


def _generated(
    name: str, lines: list[str], rule: Rule, names: dict[str, Any]
) -> Callable[..., None]:
    """A function from its source, which sees ``names``.

    It pretends to live in the rule's module, beside whose file Numba puts its cache.
    """
    scope: dict[str, Any] = {"__name__": rule.__module__, **names}
    exec(compile("\n".join(lines), inspect.getfile(rule), "exec"), scope)
    function = scope[name]
    function.__qualname__ = function.__name__ = f"{name}_{rule.__name__}"
    return function


def _with_helpers(
    function: Callable[..., Any], twin: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Callable[..., Any]:
    """A copy of a function that calls the twins of its helpers."""
    helpers = {name: twin(helper) for name, helper in _helpers(function)}
    clone = types.FunctionType(function.__code__, {**function.__globals__, **helpers})
    clone.__qualname__, clone.__module__ = function.__qualname__, function.__module__
    return clone


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
