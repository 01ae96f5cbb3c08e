"""Compiles a rule: to a loop over its index space on the CPU, to a kernel on CUDA.

A *rule* is a plain Python function of one point of its index space. Its leading parameters name
that space, one of SPACES: ``(row, ...)``, ``(row, agent, ...)`` and so on. The other parameters are
arrays indexed ``[row, ...]``, named tuples of arrays, and numbers. A rule returns nothing, allocates
nothing and uses no other Python objects, so that one source runs as ordinary Python (in the tests'
references), as machine code on the CPU, and on CUDA.

Helpers that a rule calls must be plain functions among the globals of its module
(``from mfenvs.rng import uniform``, not ``rng.uniform``).
"""

from __future__ import annotations

import dis
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numba
import numpy as np
from numba.core import config

from mfenvs.engine.cache import Digest, rule_cache

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
    """Returns the index names among a rule's leading parameters.

    Raises:
        TypeError: if the first parameter is not ``row``.
    """
    names = tuple(inspect.signature(rule).parameters)
    spaces = [space for space in SPACES if names[: len(space)] == space]
    if not spaces:
        raise TypeError(f"rule {rule.__name__!r} takes {names}; allowed first: one of {SPACES}")
    return max(spaces, key=len)


# -- CPU ----------------------------------------------------------------------------------------


@cache
def compiled_loop(rule: Rule) -> Callable[..., None]:
    """Returns the compiled loop ``loop(first_row, last_row, [agents, ...] *arguments)`` of a rule.

    Machine code is stored on disk and used by other processes too; see mfenvs/engine/cache.py. With
    NUMBA_DISABLE_JIT=1 it is the plain Python function.
    """
    space, arguments = _parameters(rule)
    extents = [f"num_{name}s" for name in space[1:]]
    lines = [f"def loop({', '.join(['first_row', 'last_row', *extents, *arguments])}):"]
    for level, name in enumerate(space):
        bounds = "first_row, last_row" if level == 0 else f"num_{name}s"
        lines.append("    " * (level + 1) + f"for {name} in range({bounds}):")
    lines.append("    " * (len(space) + 1) + f"rule({', '.join([*space, *arguments])})")
    loop = _generated("loop", lines, rule, {"rule": _cpu_helper(rule)})
    dispatcher = _jit(loop)
    if not is_plain():
        dispatcher._cache = rule_cache(loop, rule_digest(rule, loop))
    return dispatcher


def is_plain() -> bool:
    """Returns whether rules run as plain Python, which the variable NUMBA_DISABLE_JIT=1 asks for."""
    return bool(config.DISABLE_JIT)  # type: ignore[attr-defined]


@cache
def _cpu_helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a compiled copy of a function, which calls compiled copies of its helpers."""
    # Python never calls it. Without the wrapper for that it compiles in a third of the time.
    clone = _with_helpers(function, _cpu_helper)
    return _jit(clone, **HELPER_OPTIONS)


# Rules allocate nothing, so reference counting is off. It would take about 100 ns a point: an atomic
# increment and decrement for each array that is read from a named tuple.
OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "_nrt": False,
    "no_cfunc_wrapper": True,
}
HELPER_OPTIONS: dict[str, Any] = {"forceinline": True, "no_cpython_wrapper": True}


def _jit(function: Callable[..., Any], **options: Any) -> Any:
    return numba.njit(**OPTIONS, **options)(function)


# -- CUDA ---------------------------------------------------------------------------------------


def cuda_library() -> Any:
    """Returns the module numba.cuda of the package numba-cuda.

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
    """Returns the kernel ``kernel(rows, [agents, ...] *arguments)`` of a rule, not yet compiled.

    Consecutive threads take consecutive points along the last axis, so that their writes are contiguous.
    Blocks divide the axes before it; their index has 32 bits, since a 64-bit division takes longer than
    many rules. A kernel has a fixed number of parameters: one with ``*arguments`` runs in Numba's
    simulator but does not compile.
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
    names = {"rule": _cuda_helper(rule), "cuda": cuda_library(), "np": np}
    return _generated("kernel", lines, rule, names)


@cache
def compiled_kernel(rule: Rule) -> Any:
    """Returns the kernel of a rule, which compiles at its first launch."""
    return cuda_library().jit(kernel_source(rule))


@cache
def _cuda_helper(function: Callable[..., Any]) -> Callable[..., Any]:
    return cuda_library().jit(_with_helpers(function, _cuda_helper), device=True)


THREADS = 128  # of a block
POINTS = 4  # along the last axis for each thread, where there are enough blocks
ENOUGH_BLOCKS = 4096  # to occupy the largest devices
MAX_BLOCKS = 65535  # along y, CUDA's limit


def kernel_shape(extent: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns the grid and the block of a launch over an extent.

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
    points = POINTS if leads >= ENOUGH_BLOCKS else 1
    blocks = min(max(1, -(-last // (along * points))), MAX_BLOCKS)
    return (-(-leads // before), blocks), (along, before)


# -- shared -------------------------------------------------------------------------------------


def _parameters(rule: Rule) -> tuple[tuple[str, ...], list[str]]:
    """Returns the index names of a rule, and its other parameters."""
    space = index_space(rule)
    return space, list(inspect.signature(rule).parameters)[len(space) :]


def _generated(
    name: str, lines: list[str], rule: Rule, names: dict[str, Any]
) -> Callable[..., None]:
    """Compiles a function from lines of source, with ``names`` as its globals.

    It takes the rule's module and file, since Numba writes its cache beside that file. The module knows
    the file better than the code of the rule does, which may have been compiled elsewhere.
    """
    scope: dict[str, Any] = {"__name__": rule.__module__, **names}
    file = getattr(sys.modules.get(rule.__module__), "__file__", None) or inspect.getfile(rule)
    exec(compile("\n".join(lines), file, "exec"), scope)
    function = scope[name]
    function.__qualname__ = function.__name__ = f"{name}_{rule.__name__}"
    return function


def _with_helpers(
    function: Callable[..., Any], convert: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Callable[..., Any]:
    """Returns a copy of a function that calls converted helpers."""
    helpers = {name: convert(helper) for name, helper in _helpers(function)}
    clone = types.FunctionType(function.__code__, {**function.__globals__, **helpers})
    clone.__qualname__, clone.__module__ = function.__qualname__, function.__module__
    return clone


def _referenced(function: Any) -> Iterator[tuple[str, Any]]:
    """Yields the globals that a function's code reads, sorted by name."""
    loads = (part for part in dis.get_instructions(function) if part.opname == "LOAD_GLOBAL")
    for name in sorted({part.argval for part in loads}):  # co_names has attributes too
        if name in function.__globals__:
            yield name, function.__globals__[name]


def _helpers(function: Any) -> Iterator[tuple[str, Any]]:
    for name, value in _referenced(function):
        if isinstance(value, types.FunctionType):
            yield name, value


def rule_digest(rule: Rule, loop: Callable[..., None]) -> str:
    """Returns a digest of all that the machine code of a rule's loop depends on.

    These are Numba's options, the bytecode of the loop, of the rule and of its helpers, directly and
    indirectly, and the values of the constants that they read, which other files may define. No source
    file is read, since an installation may have none.
    """
    digest = Digest()
    digest.add("options", tuple(sorted({**OPTIONS, **HELPER_OPTIONS}.items())))
    digest.add("loop", loop.__code__)
    visited: set[Any] = set()
    waiting: list[Any] = [rule]
    while waiting:
        function = waiting.pop()
        if function in visited:
            continue
        visited.add(function)
        digest.add(f"{function.__module__}.{function.__qualname__}", function.__code__)
        digest.add("defaults", function.__defaults__)
        for name, value in _referenced(function):
            if isinstance(value, types.FunctionType):
                waiting.append(value)
            elif isinstance(value, bool | int | float | str | tuple | np.generic | np.ndarray):
                digest.add(name, value)
    return digest.hexdigest()
