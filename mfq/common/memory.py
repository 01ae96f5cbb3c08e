"""Available memory, checks of sizes before allocation, and glibc's malloc."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

# Names and values of glibc's malloc.h; blocks above 32 MB are always mapped.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_BLOCK, KEPT = 32 * 2**20, 2**30

CHECKED = 2**26  # bytes; smaller allocations are not checked
MEMINFO = Path("/proc/meminfo")
# The limit of a container, what it uses, and how much of that is cache that the system gives back: the
# files of cgroups of version 2 and 1, in bytes.
CGROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (
        Path("/sys/fs/cgroup/memory"),
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
)
SMALLER = "smaller observations (gymnasium.wrappers.ResizeObservation, supersuit.resize_v1)"
"""What to do about large observations, for messages."""


def available(device: Any = "cpu") -> int | None:
    """Returns the bytes that can be allocated on a device; None if that is not known.

    On a CPU it is the available memory of the system, or of the container if that is less.
    """
    if str(device).startswith("cuda"):
        import torch

        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    if str(device) != "cpu":
        return None
    known = [bytes for bytes in (_of_system(), *map(_of_container, CGROUPS)) if bytes is not None]
    return min(known, default=None)


def check_fits(what: str, asked: int, allowed: str, device: Any = "cpu") -> None:
    """Checks that an allocation fits into the available memory.

    Args:
        what: what is allocated, and by which option, for the message.
        asked: its size in bytes.
        allowed: which options make it smaller, for the message.
        device: the device that it is allocated on.

    Raises:
        ValueError: if it does not fit.
    """
    if asked < CHECKED:
        return
    free = available(device)
    if free is not None and asked > free:
        raise ValueError(
            f"{what} needs {asked / 1e9:.1f} GB, and {free / 1e9:.1f} GB are available on {device}; "
            f"allowed: {allowed}"
        )


def _of_system() -> int | None:
    """Returns the available bytes of the system; None if they are not known."""
    with suppress(OSError, ValueError, IndexError):
        for line in MEMINFO.read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with suppress(AttributeError, OSError, ValueError):  # not on Windows
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _of_container(cgroup: tuple[Path, str, str, str]) -> int | None:
    """Returns the available bytes under a cgroup's limit; None without a limit."""
    folder, limit, usage, cache = cgroup
    with suppress(OSError, ValueError, IndexError):  # the limit may be "max"
        free = int((folder / limit).read_text(encoding="utf-8"))
        free -= int((folder / usage).read_text(encoding="utf-8"))
        for line in (folder / "memory.stat").read_text(encoding="utf-8").splitlines():
            if line.split()[0] == cache:
                free += int(line.split()[1])
        return max(free, 0)
    return None


def keep_freed() -> bool:
    """Makes the process keep up to a gigabyte of freed memory for later allocations.

    By default glibc returns large blocks to the system and maps them again, page by page, when a tensor
    of megabytes is freed and allocated. In a gradient step on 512 of the paper's pictures these are
    4,600 page faults, a sixth of its time. The `mfq` command calls this; a library should not, since it
    changes the whole process. Without glibc it does nothing.

    Returns:
        Whether it took effect.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK) and mallopt(M_TRIM_THRESHOLD, KEPT))
