"""Data-parallel training under torchrun: each process plays some rows, and gradients are averaged.

Without torchrun these functions behave as in a group of one process.
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
    """Joins torchrun's process group, if torchrun started this process, and leaves it at exit.

    Threads of gloo that still run when Python ends can abort the process.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ and not dist.is_initialized():
        # Functions of this module have the current group as a default argument, which would keep its
        # threads alive. So import it before the group exists; the first optimizer would import it later.
        importlib.import_module("torch.distributed.nn")
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        atexit.register(_leave)
        if device == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """Returns the number of this process."""
    return dist.get_rank() if dist.is_initialized() else 0


def draw_apart() -> int:
    """Returns an offset for the seeds of this process, so that no two processes draw the same."""
    return 1_000_003 * rank()


def world() -> int:
    """Returns the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def total(count: int) -> int:
    """Returns the sum of a number over all processes."""
    if world() == 1:
        return count
    sums = torch.tensor(count)
    if dist.get_backend() == "nccl":
        sums = sums.cuda()
    dist.all_reduce(sums)
    return int(sums)


def summed(values: Tensor) -> Tensor:
    """Returns the sum of a tensor over all processes."""
    if world() == 1:
        return values
    sums = values.clone()
    dist.all_reduce(sums)
    return sums


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replaces each gradient by its mean over all processes."""
    if world() == 1:
        return
    gradients: list[Tensor] = [weight.grad for weight in parameters if weight.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world()
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view(gradient.shape))
