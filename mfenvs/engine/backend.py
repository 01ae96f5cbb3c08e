"""Backends allocate memory and run rules over their index spaces, on the CPU or on CUDA.

mfenvs/engine/compile.py defines what a rule is and compiles it.
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
    is_plain,
    kernel_shape,
)
from mfenvs.validate import did_you_mean

# With less work than this (about this many ns) for a thread, starting it takes longer than it saves.
MIN_WORK_PER_THREAD = 200_000
PLAIN_CALLS = 2  # of a repeated function, before a CUDA backend records it
MAX_LAUNCHES = 1000  # configured launches that a CUDA backend stores
NamedTupleT = TypeVar("NamedTupleT", bound=tuple[Any, ...])


def get_backend(device: Any = "cpu") -> Backend:
    """Returns the backend of a device.

    Args:
        device: "cpu", "cuda", "cuda:1" and so on, or a torch.device.

    Raises:
        ValueError: for another device, or one that this machine does not have.
        ImportError: for CUDA if numba-cuda is not installed.
    """
    device_type, _, index = str(device).partition(":")
    if device_type == "cpu" and not index:
        return CpuBackend()
    if device_type == "cuda" and (not index or index.isdecimal()):
        return CudaBackend(str(device))
    meant = did_you_mean(str(device), ("cpu", "cuda"))
    raise ValueError(
        f"device={device!r} is not supported; {meant}allowed: 'cpu', 'cuda', 'cuda:0' ..."
    )


class Backend(ABC):
    """Allocates memory on a device and runs rules there.

    Attributes:
        device: its name in torch.
        massively_parallel: whether many points of little work run faster than few points of much.
    """

    device: str
    massively_parallel: ClassVar[bool]

    @abstractmethod
    def zeros(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> Any:
        """Returns an array of zeros."""

    @abstractmethod
    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> Any:
        """Returns an uninitialized array."""

    @abstractmethod
    def asarray(self, values: Any, dtype: DTypeLike) -> Any:
        """Returns a contiguous array on the device; copies only if necessary."""

    def pin(self, arguments: NamedTupleT) -> NamedTupleT:
        """Prepares a named tuple for many calls of `run`, which take less time then.

        The backend holds a reference to it for as long as the backend lives.
        """
        return arguments

    def convert(self, arguments: NamedTupleT) -> NamedTupleT:
        """Returns a named tuple in the form in which a few calls of `run` take the least time."""
        return arguments

    def repeat(self, name: str, play: Callable[[], None]) -> None:
        """Calls a function, or replays the rules that it ran before.

        Args:
            name: identifies the function.
            play: runs the same rules on the same memory at each call under this name. Later calls may
                replay the rules alone, without calling it.
        """
        play()

    @abstractmethod
    def run(self, rule: Rule, extent: Sequence[int], *arguments: Any, work: int = 5) -> None:
        """Calls a rule at every point of its index space, in any order and in parallel.

        Args:
            rule: see mfenvs/engine/compile.py.
            extent: the size of each axis of the index space: (rows,), (rows, agents) and so on.
            arguments: the rule's arguments after the indices.
            work: about how many nanoseconds a point takes; determines the number of CPU threads.

        Raises:
            ValueError: if ``extent`` has another number of axes than the index space.
        """


def _check_extent(rule: Rule, extent: Sequence[int]) -> None:
    if len(extent) != len(index_space(rule)):
        raise ValueError(
            f"extent={tuple(extent)!r} has {len(extent)} axes; "
            f"rule {rule.__name__!r} declares {index_space(rule)}"
        )


class CpuBackend(Backend):
    """Numpy arrays; loops compiled by Numba, with rows split over threads and the GIL released."""

    device = "cpu"
    massively_parallel = False

    def __init__(self) -> None:
        # Numba's dispatcher determines the types of all arguments in each call, which takes longer than
        # many rules. So compiled loops are stored under keys that take less time: see `_type_key`.
        self._loops: dict[tuple[Any, ...], Callable[..., None]] = {}
        self._pinned: dict[int, tuple[Any, ...]] = {}

    def zeros(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        return np.zeros(shape, dtype)

    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        return np.empty(shape, dtype)

    def pin(self, arguments: NamedTupleT) -> NamedTupleT:
        self._pinned[id(arguments)] = arguments
        return arguments

    def asarray(self, values: Any, dtype: DTypeLike) -> np.ndarray:
        # Writable, since Numba compiles each rule again for a read-only array.
        return np.require(values, dtype, ["C", "W"])

    def run(self, rule: Rule, extent: Sequence[int], *arguments: Any, work: int = 5) -> None:
        key = (rule, len(extent), *map(self._type_key, arguments))
        loop = self._loops.get(key) or self._compile(key, rule, extent, arguments)
        rows, *inner = extent
        workers = work * math.prod(extent) // MIN_WORK_PER_THREAD
        if workers > 1:
            workers = min(workers, rows, num_cores())
        if workers <= 1:
            loop(0, rows, *inner, *arguments)
            return
        bounds = [rows * k // workers for k in range(workers + 1)]
        pending: list[Future[None]] = [
            thread_pool().submit(loop, first, last, *inner, *arguments)
            for first, last in pairwise(bounds[1:])
        ]
        loop(0, bounds[1], *inner, *arguments)
        for future in pending:
            future.result()

    def _compile(
        self, key: tuple[Any, ...], rule: Rule, extent: Sequence[int], arguments: tuple[Any, ...]
    ) -> Callable[..., None]:
        """Compiles the loop of a rule for arguments of these types and stores it under the key."""
        _check_extent(rule, extent)
        dispatcher: Any = compiled_loop(rule)
        if is_plain():
            # As in machine code, dividing by zero or overflowing says nothing.
            self._loops[key] = np.errstate(all="ignore")(dispatcher)
            return self._loops[key]
        indices = (0,) * (len(extent) + 1)
        types = tuple(dispatcher.typeof_pyval(value) for value in (*indices, *arguments))
        self._loops[key] = dispatcher.compile(types)
        return self._loops[key]

    def _type_key(self, argument: Any) -> Any:
        """Returns a key for the type of an argument: equal keys imply equal types in Numba."""
        if isinstance(argument, tuple):
            identity = id(argument)
            if identity in self._pinned:
                return identity
            return (type(argument), *map(self._type_key, argument))
        if type(argument) is np.ndarray:
            flags = argument.flags
            return (argument.dtype.num, argument.ndim, flags.num)
        return type(argument)


@cache
def num_cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def thread_pool() -> ThreadPoolExecutor:
    """Returns the threads that CPU backends share."""
    return ThreadPoolExecutor(max_workers=num_cores(), thread_name_prefix="mfenvs")


# A forked child inherits the pool object without its threads. Windows has no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=thread_pool.cache_clear)


class CudaBackend(Backend):
    """Torch tensors; kernels compiled by numba-cuda, launched on torch's current stream.

    `run` launches a kernel and returns: it neither copies to the host nor synchronises. `repeat` records
    a CUDA graph, since launching kernels one by one (0.2 ms each) may take longer than they run. The
    call that records is the only one that synchronises.
    """

    massively_parallel = True

    def __init__(self, device: str) -> None:
        import torch

        self._torch, self._cuda = torch, cuda_library()
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        torch_device = torch.device(device)
        if (torch_device.index or 0) >= count:
            raise ValueError(f"device={device!r}; torch has {count} CUDA devices; allowed: 'cpu'")
        if torch_device.index is None:
            torch_device = torch.device("cuda", torch.cuda.current_device())
        self._device, self.device = torch_device, str(torch_device)
        self._pinned: dict[int, tuple[tuple[Any, ...], Any]] = {}
        self._launches: dict[tuple[Rule, tuple[int, ...], int], Any] = {}
        self._calls: dict[str, int] = {}
        self._graphs: dict[str, Any] = {}

    def repeat(self, name: str, play: Callable[[], None]) -> None:
        cuda = self._torch.cuda
        with cuda.device(self._device):
            if cuda.is_current_stream_capturing():  # a graph cannot be launched within another's
                play()
                return
            if name in self._graphs:
                self._graphs[name].replay()
                return
            self._calls[name] = self._calls.get(name, 0) + 1
            if self._calls[name] <= PLAIN_CALLS:  # these compile the kernels
                play()
                return
            graph = cuda.CUDAGraph()
            with cuda.graph(graph, capture_error_mode="thread_local"):
                play()
            self._graphs[name] = graph
            graph.replay()

    def zeros(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> Any:
        return self._torch.zeros(shape, dtype=self._dtype(dtype), device=self._device)

    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> Any:
        return self._torch.empty(shape, dtype=self._dtype(dtype), device=self._device)

    def asarray(self, values: Any, dtype: DTypeLike) -> Any:
        if not isinstance(values, self._torch.Tensor):
            values = self._torch.from_numpy(np.require(values, dtype, ["C", "W"]))
        return values.to(self._device, self._dtype(dtype)).contiguous()

    def pin(self, arguments: NamedTupleT) -> NamedTupleT:
        self._pinned[id(arguments)] = (arguments, self._numba_argument(arguments))
        return arguments

    def convert(self, arguments: NamedTupleT) -> NamedTupleT:
        return self._numba_argument(arguments)

    def run(self, rule: Rule, extent: Sequence[int], *arguments: Any, work: int = 5) -> None:
        _check_extent(rule, extent)
        if not math.prod(extent):
            return
        converted = map(self._numba_argument, arguments)
        with self._torch.cuda.device(self._device):
            stream = self._torch.cuda.current_stream().cuda_stream
            key = (rule, tuple(extent), stream)
            launch = self._launches.get(key) or self._configure(key)
            launch(*extent, *converted)

    def _configure(self, key: tuple[Rule, tuple[int, ...], int]) -> Any:
        """Configures the launch of a rule over an extent on a stream and stores it under the key."""
        rule, extent, handle = key
        if len(self._launches) >= MAX_LAUNCHES:
            self._launches.clear()
        # A handle of 0 is the default stream, for which external_stream(0) does not stand.
        cuda = self._cuda
        stream = cuda.external_stream(handle) if handle else cuda.default_stream()
        with warnings.catch_warnings():  # about a game of few rows that does not fill the device
            warnings.simplefilter("ignore")
            self._launches[key] = compiled_kernel(rule)[(*kernel_shape(extent), stream)]
        return self._launches[key]

    def _numba_argument(self, argument: Any) -> Any:
        """Returns a tensor as numba-cuda's array over the same memory, also within named tuples."""
        if isinstance(argument, tuple):
            pinned = self._pinned.get(id(argument))
            if pinned is not None:
                return pinned[1]
            return type(argument)(*map(self._numba_argument, argument))
        if isinstance(argument, self._torch.Tensor):
            return self._cuda.as_cuda_array(argument, sync=False)
        return argument

    def _dtype(self, dtype: DTypeLike) -> Any:
        return self._torch.from_numpy(np.empty(0, dtype)).dtype
