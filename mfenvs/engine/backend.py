"""Owns memory and runs rules over their index spaces, on the CPU or on CUDA.

What a rule is, and how it becomes machine code, is said in mfenvs/engine/compile.py.
"""

from __future__ import annotations

import math
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from mfenvs.engine.compile import (
    Rule,
    compiled_kernel,
    compiled_loop,
    cuda_library,
    index_space,
    kernel_shape,
)

# Below this much work (in ns, roughly) a hand-over to another thread costs more than it saves.
MIN_WORK_PER_THREAD = 200_000
PLAIN_CALLS = 2  # of what is repeated, before a CUDA backend records it
MOST_LAUNCHES = 1000  # that a CUDA backend remembers
NamedTupleT = TypeVar("NamedTupleT", bound=tuple[Any, ...])


def get_backend(device: Any = "cpu") -> Backend:
    """The backend of a device: "cpu", "cuda" or "cuda:1" and so on, or a torch.device.

    Raises:
        ValueError: for another device, or one that is not there.
        ImportError: for CUDA without numba-cuda.
    """
    kind, _, index = str(device).partition(":")
    if kind == "cpu" and not index:
        return CpuBackend()
    if kind == "cuda" and (not index or index.isdecimal()):
        return CudaBackend(str(device))
    raise ValueError(f"device={device!r} is not supported; allowed: 'cpu', 'cuda', 'cuda:0' ...")


class Backend(ABC):
    """Memory of a device, and how it runs a rule.

    Attributes:
        device: its name, as torch has it.
        massively_parallel: whether many small points run faster than few large ones.
    """

    device: str
    massively_parallel: ClassVar[bool]

    @abstractmethod
    def zeros(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> Any:
        """Memory filled with zeros."""

    @abstractmethod
    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> Any:
        """Memory that a rule is going to write in full."""

    @abstractmethod
    def asarray(self, values: Any, dtype: DTypeLike) -> Any:
        """A contiguous array of this backend's memory, in this dtype; copies only if it must."""

    def pin(self, arguments: NamedTupleT) -> NamedTupleT:
        """Says that a named tuple is going to be an argument of many a `run`, which is faster then.

        It is kept as long as this backend, so that no other takes over its identity.
        """
        return arguments

    def convert(self, arguments: NamedTupleT) -> NamedTupleT:
        """A named tuple for a few runs to come, in the form in which it is fastest as an argument."""
        return arguments

    def repeat(self, name: str, play: Callable[[], None]) -> None:
        """Calls a function that does the same whenever it is called under this name: the same rules on
        the same memory. What else it does may be left out in later calls."""
        play()

    @abstractmethod
    def run(self, rule: Rule, extent: Sequence[int], *arguments: Any, work: int = 5) -> None:
        """Calls ``rule`` at every point of ``extent``: (rows,), (rows, agents) ...

        Points may run in any order and at once; a rule that needs an order loops over it itself.

        Args:
            rule: see mfenvs/engine/compile.py.
            extent: the size of each axis that the rule declares.
            arguments: what follows the indices.
            work: about how many nanoseconds a point takes; decides on how many threads of a CPU.

        Raises:
            ValueError: if ``extent`` has another number of axes than the rule declares.
        """


def _check_extent(rule: Rule, extent: Sequence[int]) -> None:
    if len(extent) != len(index_space(rule)):
        raise ValueError(
            f"extent={tuple(extent)!r} has {len(extent)} axes; "
            f"rule {rule.__name__!r} declares {index_space(rule)}"
        )


class CpuBackend(Backend):
    """Numpy memory; loops compiled by Numba, rows split over threads with the GIL released."""

    device = "cpu"
    massively_parallel = False

    def __init__(self) -> None:
        # Numba finds out the types of all arguments on every call, which takes longer than many a
        # rule. So machine code is remembered by what tells the types sooner: see `_token`.
        self._known: dict[tuple[Any, ...], Callable[..., None]] = {}
        self._kept: dict[int, tuple[Any, ...]] = {}

    def zeros(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        return np.zeros(shape, dtype)

    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        return np.empty(shape, dtype)

    def pin(self, arguments: NamedTupleT) -> NamedTupleT:
        self._kept[id(arguments)] = arguments
        return arguments

    def asarray(self, values: Any, dtype: DTypeLike) -> np.ndarray:
        # Writable, too: Numba compiles every rule anew for a read-only array.
        return np.require(values, dtype, ["C", "W"])

    def run(self, rule: Rule, extent: Sequence[int], *arguments: Any, work: int = 5) -> None:
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
        _check_extent(rule, extent)
        dispatcher: Any = compiled_loop(rule)
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


class CudaBackend(Backend):
    """Torch's CUDA memory; kernels compiled by numba-cuda, run on torch's current stream.

    A call only puts a kernel into the stream: nothing is copied to the host or waited for. But for the
    one call in which a repeated function is recorded as a CUDA graph, since to launch its kernels one by
    one (0.2 ms each) may take longer than they do.
    """

    massively_parallel = True

    def __init__(self, device: str) -> None:
        import torch

        self._torch, self._cuda = torch, cuda_library()
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        place = torch.device(device)
        if (place.index or 0) >= found:
            raise ValueError(f"device={device!r}; torch sees {found} CUDA devices; allowed: 'cpu'")
        if place.index is None:
            place = torch.device("cuda", torch.cuda.current_device())
        self._place, self.device = place, str(place)
        self._kept: dict[int, tuple[tuple[Any, ...], Any]] = {}
        self._launches: dict[tuple[Rule, tuple[int, ...], int], Any] = {}
        self._calls: dict[str, int] = {}
        self._graphs: dict[str, Any] = {}

    def repeat(self, name: str, play: Callable[[], None]) -> None:
        cuda = self._torch.cuda
        with cuda.device(self._place):
            if cuda.is_current_stream_capturing():  # a graph cannot be launched into another
                play()
                return
            if name in self._graphs:
                self._graphs[name].replay()
                return
            self._calls[name] = self._calls.get(name, 0) + 1
            if self._calls[name] <= PLAIN_CALLS:  # which compile
                play()
                return
            graph = cuda.CUDAGraph()
            with cuda.graph(graph, capture_error_mode="thread_local"):
                play()
            self._graphs[name] = graph
            graph.replay()

    def zeros(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> Any:
        return self._torch.zeros(shape, dtype=self._dtype(dtype), device=self._place)

    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> Any:
        return self._torch.empty(shape, dtype=self._dtype(dtype), device=self._place)

    def asarray(self, values: Any, dtype: DTypeLike) -> Any:
        if not isinstance(values, self._torch.Tensor):
            values = self._torch.from_numpy(np.require(values, dtype, ["C", "W"]))
        return values.to(self._place, self._dtype(dtype)).contiguous()

    def pin(self, arguments: NamedTupleT) -> NamedTupleT:
        self._kept[id(arguments)] = (arguments, self._seen_by_numba(arguments))
        return arguments

    def convert(self, arguments: NamedTupleT) -> NamedTupleT:
        return self._seen_by_numba(arguments)

    def run(self, rule: Rule, extent: Sequence[int], *arguments: Any, work: int = 5) -> None:
        _check_extent(rule, extent)
        if not math.prod(extent):
            return
        seen = map(self._seen_by_numba, arguments)
        with self._torch.cuda.device(self._place):
            stream = self._torch.cuda.current_stream().cuda_stream
            key = (rule, tuple(extent), stream)
            launch = self._launches.get(key) or self._configure(key)
            launch(*extent, *seen)

    def _configure(self, key: tuple[Rule, tuple[int, ...], int]) -> Any:
        """The launch of a rule over an extent on a stream; kept under the key."""
        rule, extent, handle = key
        if len(self._launches) >= MOST_LAUNCHES:
            self._launches.clear()
        # 0 is the default stream, which a wrapped null pointer would not be.
        cuda = self._cuda
        stream = cuda.external_stream(handle) if handle else cuda.default_stream()
        with warnings.catch_warnings():  # that a game of a few rows does not fill the device
            warnings.simplefilter("ignore")
            self._launches[key] = compiled_kernel(rule)[(*kernel_shape(extent), stream)]
        return self._launches[key]

    def _seen_by_numba(self, argument: Any) -> Any:
        """A tensor as numba-cuda's array over the same memory, also within named tuples."""
        if isinstance(argument, tuple):
            kept = self._kept.get(id(argument))
            if kept is not None:
                return kept[1]
            return type(argument)(*map(self._seen_by_numba, argument))
        if isinstance(argument, self._torch.Tensor):
            return self._cuda.as_cuda_array(argument, sync=False)
        return argument

    def _dtype(self, dtype: DTypeLike) -> Any:
        return self._torch.from_numpy(np.empty(0, dtype)).dtype
