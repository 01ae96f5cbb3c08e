"""Copies of a slow environment in worker processes.

Legend: B rows, N agents.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import traceback
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle
import numpy as np
import torch
from torch import Tensor

from mfenvs.graph import NeighborGraph
from mfenvs.validate import whole
from mfq.envs.copies import Copies, env_spec, play
from mfq.envs.graphs import GraphLike
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.envs.wrap import Names, wrap

LIMIT = "limit_episodes"
PATIENCE = 5.0  # seconds before a worker that does not end is killed


class Workers(Copies):
    """B copies of an environment, stepped in parallel by worker processes.

    Steps are the same as those of ``mfq.wrap([factory() for _ in range(num_envs)], graph)``. Processes
    are started with "spawn", so a script that makes Workers needs ``if __name__ == "__main__":``. They
    end with `close`, with this process, or with an error in one of them.

    Args:
        factory: a function (or a lambda) or class that makes a PettingZoo or Gymnasium environment. The
            workers must be able to import its module.
        num_envs: B, at least 1.
        workers: the number of processes, which share the rows; None: one for each row.
        graph, groups, types: as in `mfq.wrap`; a function is called in the workers.

    Raises:
        RuntimeError: if a worker fails, here or in a later step; the message has its traceback.
        ValueError, TypeError: for numbers out of range, or a factory that is not callable.
    """

    row_groups: list[WorkerRows]  # type: ignore[assignment]

    def __init__(
        self,
        factory: Callable[[], Any],
        num_envs: int,
        workers: int | None = None,
        graph: GraphLike = None,
        groups: Names = None,
        types: Names = None,
    ) -> None:
        whole("num_envs", num_envs, 1)
        whole("workers", num_envs if workers is None else workers, 1)
        if not callable(factory):
            raise TypeError(
                f"factory is a {type(factory).__name__}; allowed: a function, or a class"
            )
        count = min(num_envs if workers is None else workers, num_envs)
        shares = [num_envs // count + (k < num_envs % count) for k in range(count)]
        job = cloudpickle.dumps((factory, (graph, groups, types)))
        row_groups = [WorkerRows(job, share, k) for k, share in enumerate(shares)]
        try:
            specs = [spec for row_group in row_groups for spec in row_group.receive_env_spec()]
            super().__init__(row_groups, specs)
        except BaseException:
            self.row_groups = row_groups
            self.close()
            raise

    def close(self) -> None:
        for row_group in self.row_groups:
            row_group.request_end()  # all at once, so that they end at the same time
        super().close()

    def _ask(self, command: str, arguments: Sequence[Any]) -> Step:
        try:
            return super()._ask(command, arguments)
        except BaseException:  # some rows have stepped and others have not
            self.close()
            raise


class WorkerRows:
    """Rows in a worker process."""

    def __init__(self, job: bytes, size: int, number: int) -> None:
        self.size, self.number = size, number
        context = multiprocessing.get_context("spawn")
        self._pipe, worker_pipe = context.Pipe()
        self._process = context.Process(
            target=_work, args=(worker_pipe, job, size), name=f"mfq-worker-{number}", daemon=True
        )
        self._process.start()
        worker_pipe.close()  # so that each end gets an EOFError when the other process ends
        self._graphs: list[NeighborGraph | None] = [None] * size
        self._end = weakref.finalize(self, _end, self._pipe, self._process)

    def send(self, command: str, arguments: list[Any]) -> None:
        plain = [a.numpy() if isinstance(a, Tensor) else a for a in arguments]
        self._send((command, plain))

    def receive(self) -> list[Step]:
        steps = []
        for row, packed in enumerate(self._receive()):
            latest = self._graphs[row]
            for name in ("graph_before", "graph"):  # None: the same as the one before
                self._graphs[row] = latest = packed[name] = packed[name] or latest
            steps.append(Step(**_map(packed, np.ndarray, torch.from_numpy)))
        return steps

    def receive_env_spec(self) -> list[dict[str, Any]]:
        """Returns the `env_spec` of each row; called once, after the start."""
        return self._receive()

    def request_end(self) -> None:
        """Asks the process to end, without waiting."""
        self._pipe.close()

    def limit_episodes(self, steps: int | None) -> bool:
        self._send((LIMIT, steps))
        return self._receive()

    def close(self) -> None:
        self._end()

    def _send(self, message: Any) -> None:
        try:
            self._pipe.send_bytes(pickle.dumps(message))
        except (OSError, ValueError):
            raise self._gone() from None

    def _receive(self) -> Any:
        try:
            failed, answer = pickle.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):
            raise self._gone() from None
        if failed:
            raise RuntimeError(f"worker {self.number} failed:\n{answer}")
        return answer

    def _gone(self) -> RuntimeError:
        if not self._end.alive:
            return RuntimeError("the workers are closed; allowed: making new ones")
        self._process.join(PATIENCE)
        return RuntimeError(
            f"worker {self.number} ended by itself, with exit code {self._process.exitcode}"
        )


def _end(pipe: Connection, process: Any) -> None:
    """Asks a worker to end by closing its pipe, and kills it if it does not."""
    pipe.close()
    process.join(PATIENCE)
    if process.is_alive():
        process.kill()
        process.join()


# -- in the worker ---------------------------------------------------------------------------------


def _work(pipe: Connection, job: bytes, size: int) -> None:
    """Makes the environments and runs commands until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process handles Ctrl-C
    torch.set_num_threads(1)
    views: list[View] = []
    try:
        factory, options = pickle.loads(job)
        for _ in range(size):
            views.append(wrap(factory(), *options))
        _answer(pipe, [env_spec(view) for view in views])
        sent: list[NeighborGraph | None] = [None] * size
        while True:
            command, arguments = pickle.loads(pipe.recv_bytes())
            if command == LIMIT:
                limited = [view.limit_episodes(arguments) for view in views]  # all of them
                _answer(pipe, any(limited))
                continue
            tensors = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in arguments]
            steps = play(views, command, tensors)
            _answer(pipe, [_packed(step, sent, row) for row, step in enumerate(steps)])
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    except BaseException:
        with suppress(OSError):
            pipe.send_bytes(pickle.dumps((True, traceback.format_exc())))
    finally:
        for view in views:
            view.close()


def _answer(pipe: Connection, answer: Any) -> None:
    pipe.send_bytes(pickle.dumps((False, answer)))


def _packed(step: Step, sent: list[NeighborGraph | None], row: int) -> dict[str, Any]:
    """Returns a step's fields with arrays for tensors, and None for a graph that was sent last."""
    packed = {field.name: getattr(step, field.name) for field in fields(step)}
    for name in ("types", "number", "known_mean_action"):
        del packed[name]
    for name in ("graph_before", "graph"):
        graph = packed[name]
        packed[name] = None if graph is sent[row] else graph
        sent[row] = graph
    return _map(packed, Tensor, Tensor.numpy)


def _map(tree: Any, leaf_type: type[Any], convert: Callable[[Any], Any]) -> Any:
    """Returns a tree of dicts with each leaf of a type converted."""
    if isinstance(tree, dict):
        return {name: _map(part, leaf_type, convert) for name, part in tree.items()}
    return convert(tree) if isinstance(tree, leaf_type) else tree
