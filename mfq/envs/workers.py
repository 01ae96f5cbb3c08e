"""Copies of a slow environment in processes of their own.

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
from mfq.common.config import whole
from mfq.envs.copies import Copies, env_spec, play
from mfq.envs.graphs import GraphLike
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.envs.wrap import wrap

PATIENCE = 5.0  # seconds that a worker has to end by itself


class Workers(Copies):
    """B copies of an environment, played at once by worker processes.

    The same steps as ``mfq.wrap([factory() for _ in range(num_envs)], graph)`` gives. Processes are
    started afresh, so a script that makes Workers needs ``if __name__ == "__main__":`` around what it
    does; they end with `close`, with this process, or with an error in one of them.

    Args:
        factory: makes a PettingZoo or Gymnasium environment; a function (a lambda, too) or a class,
            whose module the workers can import.
        num_envs: B, at least 1.
        workers: how many processes share the rows; None: one a row.
        graph: as in `mfq.wrap`; a function is called in the workers.

    Raises:
        RuntimeError: with the traceback of what went wrong in a worker, here and in each step.
        ValueError, TypeError: for numbers out of range, or no factory.
    """

    row_groups: list[WorkerRows]  # type: ignore[assignment]

    def __init__(
        self,
        factory: Callable[[], Any],
        num_envs: int,
        workers: int | None = None,
        graph: GraphLike = None,
    ) -> None:
        whole("num_envs", num_envs, 1)
        whole("workers", num_envs if workers is None else workers, 1)
        if not callable(factory):
            raise TypeError(
                f"factory is a {type(factory).__name__}; allowed: a function, or a class"
            )
        count = min(num_envs if workers is None else workers, num_envs)
        shares = [num_envs // count + (k < num_envs % count) for k in range(count)]
        job = cloudpickle.dumps((factory, graph))
        row_groups = [WorkerRows(job, share, k) for k, share in enumerate(shares)]
        try:
            like = [found for row_group in row_groups for found in row_group.receive_env_spec()]
            super().__init__(row_groups, like)
        except BaseException:
            self.row_groups = row_groups
            self.close()
            raise

    def close(self) -> None:
        for row_group in self.row_groups:
            row_group.hang_up()  # all at once, so that they end at the same time
        super().close()

    def _ask(self, command: str, arguments: Sequence[Any]) -> Step:
        try:
            return super()._ask(command, arguments)
        except BaseException:  # rows would be out of step with each other
            self.close()
            raise


class WorkerRows:
    """Rows in a process of their own."""

    def __init__(self, job: bytes, size: int, number: int) -> None:
        self.size, self.number = size, number
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_work, args=(theirs, job, size), name=f"mfq-worker-{number}", daemon=True
        )
        self._process.start()
        theirs.close()  # so that either end is told when the other is gone
        self._graphs: list[NeighborGraph | None] = [None] * size
        self._end = weakref.finalize(self, _end, self._pipe, self._process)

    def send(self, command: str, arguments: list[Any]) -> None:
        plain = [a.numpy() if isinstance(a, Tensor) else a for a in arguments]
        self._send((command, plain))

    def receive(self) -> list[Step]:
        steps = []
        for row, found in enumerate(self._receive()):
            before = self._graphs[row]
            for name in ("graph_before", "graph"):  # None: the one known
                self._graphs[row] = before = found[name] = found[name] or before
            steps.append(Step(**_map(found, np.ndarray, torch.from_numpy)))
        return steps

    def receive_env_spec(self) -> list[dict[str, Any]]:
        """The env_spec of each row, once after the start."""
        return self._receive()

    def hang_up(self) -> None:
        """Asks the process to end, without waiting."""
        self._pipe.close()

    def close(self) -> None:
        self._end()

    def _send(self, message: Any) -> None:
        try:
            self._pipe.send_bytes(pickle.dumps(message))
        except (OSError, ValueError):
            raise self._gone() from None

    def _receive(self) -> Any:
        try:
            failed, found = pickle.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):
            raise self._gone() from None
        if failed:
            raise RuntimeError(f"worker {self.number} failed:\n{found}")
        return found

    def _gone(self) -> RuntimeError:
        if not self._end.alive:
            return RuntimeError("the workers are closed; allowed: making new ones")
        self._process.join(PATIENCE)
        return RuntimeError(
            f"worker {self.number} ended by itself, with exit code {self._process.exitcode}"
        )


def _end(pipe: Connection, process: Any) -> None:
    """Asks a worker to end, and sees to it."""
    pipe.close()  # which it takes as a request
    process.join(PATIENCE)
    if process.is_alive():
        process.kill()
        process.join()


# -- in the worker ---------------------------------------------------------------------------------


def _work(pipe: Connection, job: bytes, size: int) -> None:
    """Makes the environments and plays as asked, until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's
    torch.set_num_threads(1)
    views: list[View] = []
    try:
        factory, graph = pickle.loads(job)
        for _ in range(size):
            views.append(wrap(factory(), graph))
        _answer(pipe, [env_spec(view) for view in views])
        sent: list[NeighborGraph | None] = [None] * size
        while True:
            command, arguments = pickle.loads(pipe.recv_bytes())
            given = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in arguments]
            steps = play(views, command, given)
            _answer(pipe, [_packed(step, sent, row) for row, step in enumerate(steps)])
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    except BaseException:
        with suppress(OSError):
            pipe.send_bytes(pickle.dumps((True, traceback.format_exc())))
    finally:
        for view in views:
            view.close()


def _answer(pipe: Connection, found: Any) -> None:
    pipe.send_bytes(pickle.dumps((False, found)))


def _packed(step: Step, sent: list[NeighborGraph | None], row: int) -> dict[str, Any]:
    """A step's fields, arrays for tensors, and of graphs only those that the other end has not got."""
    found = {field.name: getattr(step, field.name) for field in fields(step)}
    del found["types"]
    for name in ("graph_before", "graph"):
        graph = found[name]
        found[name] = None if graph is sent[row] else graph
        sent[row] = graph
    return _map(found, Tensor, Tensor.numpy)


def _map(tree: Any, kind: type[Any], change: Callable[[Any], Any]) -> Any:
    """A tree of dicts with each leaf of a kind changed."""
    if isinstance(tree, dict):
        return {name: _map(part, kind, change) for name, part in tree.items()}
    return change(tree) if isinstance(tree, kind) else tree
