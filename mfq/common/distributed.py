"""Data-parallel training under torchrun: each process plays rows of its own, and gradients are averaged.

Without torchrun everything here does nothing.
"""

from __future__ import annotations

import atexit
import importlib
import os
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch import distributed as dist


def join(device: str) -> None:
    """Joins the processes that torchrun started, if it did, and leaves them at the exit.

    Threads of gloo's that still run when Python ends may abort the process.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ and not dist.is_initialized():
        # Its functions take the group that there is when they are imported for a default, and so keep
        # it, and its threads; the first optimizer would import them.
        importlib.import_module("torch.distributed.nn")
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        atexit.register(_leave)
        if device == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """Which of the processes this is."""
    return dist.get_rank() if dist.is_initialized() else 0


def draw_apart() -> int:
    """What to add to the seeds of this process's draws, so that no two processes draw the same."""
    return 1_000_003 * rank()


def world() -> int:
    """How many there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def total(count: int) -> int:
    """The sum of a number over all processes, so that all decide alike by it."""
    if world() == 1:
        return count
    sums = torch.tensor(count)
    if dist.get_backend() == "nccl":
        sums = sums.cuda()
    dist.all_reduce(sums)
    return int(sums)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Makes each gradient the mean over all processes: that of one batch made up of theirs."""
    if world() == 1:
        return
    found: list[Tensor] = [weight.grad for weight in parameters if weight.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in found])
    dist.all_reduce(flat)
    flat /= world()
    for gradient, part in zip(found, flat.split([g.numel() for g in found]), strict=True):
        gradient.copy_(part.view(gradient.shape))
