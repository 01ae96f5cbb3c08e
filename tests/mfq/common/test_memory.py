"""Memory that is freed stays with the process."""

import ctypes
import os
import subprocess
import sys
import textwrap

import pytest

from mfq.common import memory

# Faults of pages while four tensors of 16 MB, 4,096 pages each, come and go five times.
COUNT = """
    import resource, sys, torch
    from mfq.common import memory

    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(5):
            [torch.ones(4 * 2**20) for _ in range(4)]
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    if sys.argv[1] == "keep":
        assert memory.keep_freed()
    faults()
    print(faults())
"""


def faults(what):
    # What glibc does by default depends on what lies where; with this it always gives memory back.
    eager = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072"}
    command = [sys.executable, "-c", textwrap.dedent(COUNT), what]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=eager)
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "mallopt"),
    reason="this system's C library has no mallopt",
)
def test_what_is_freed_is_taken_again():
    # Pages may be larger than 4 KB.
    assert 100 * faults("keep") < faults("leave")


def test_where_there_is_no_mallopt_nothing_happens(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not memory.keep_freed()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert not memory.keep_freed()
