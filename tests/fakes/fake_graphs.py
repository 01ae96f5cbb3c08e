"""CUDA graphs without a device: what is launched while one is recorded runs only when it is replayed."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class FakeGraph:
    """The launches that were recorded, with the very arguments of then."""

    def __init__(self):
        self.launches, self.replays = [], 0

    def replay(self):
        self.replays += 1
        for function, arguments in self.launches:
            function(*arguments)


class NothingElse(TorchDispatchMode):
    """A device would record torch's operations, too; the fake would not, and so refuses them."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if operation.is_view:  # which does nothing on a device
            return operation(*args, **(kwargs or {}))
        raise NotImplementedError(f"{operation} while a graph is recorded")


class FakeCuda:
    """The part of torch.cuda that `CudaBackend` uses to run and to repeat.

    Attributes:
        graphs: all that were recorded.
    """

    device = contextlib.nullcontext

    def __init__(self):
        self.graphs, self.recording = [], None

    def CUDAGraph(self):
        return FakeGraph()

    @contextlib.contextmanager
    def graph(self, graph, capture_error_mode="global"):
        assert self.recording is None, "a graph is being recorded already"
        self.recording = graph
        self.graphs.append(graph)
        try:
            with NothingElse():
                yield
        finally:
            self.recording = None

    def is_current_stream_capturing(self):
        return self.recording is not None

    def current_stream(self):
        return SimpleNamespace(cuda_stream=0)

    def launch(self, function, *arguments):
        """Runs a kernel, or records it."""
        if self.recording is None:
            function(*arguments)
        else:
            self.recording.launches.append((function, arguments))


class FakeTorch:
    """torch, with `FakeCuda` for its ``cuda``."""

    def __init__(self):
        self.cuda = FakeCuda()

    def __getattr__(self, name):
        return getattr(torch, name)
