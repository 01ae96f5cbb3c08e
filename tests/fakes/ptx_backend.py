"""A backend that plays on the CPU and compiles each rule for a GPU along the way, without one."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

import numba
import numpy as np

from mfenvs.engine.backend import CpuBackend
from mfenvs.engine.compile import cuda_library, kernel_source

HOPPER = (9, 0)


class PtxBackend(CpuBackend):
    """Compiles what it runs to PTX as `CudaBackend` would, and keeps that by rule.

    Attributes:
        ptx: rule -> the PTX of each kind of arguments that it was run with.
    """

    massively_parallel = True

    def __init__(self, narrow: tuple[str, ...] = ()) -> None:
        """In the PTX, arguments named in ``narrow`` become float16 arrays."""
        super().__init__()
        self.narrow = narrow
        self.ptx: dict[object, dict[object, str]] = {}

    def run(self, rule, extent, *arguments, work=5):
        kinds = [numba.types.int64] * len(extent) + [numba.typeof(value) for value in arguments]
        kernel = kernel_source(rule)
        names = kernel.__code__.co_varnames
        for place, kind in enumerate(kinds):
            if names[place] in self.narrow:
                kinds[place] = kind.copy(dtype=numba.types.float16)
        known = self.ptx.setdefault(rule, {})
        if tuple(kinds) not in known:
            known[tuple(kinds)] = ptx_of(kernel, kinds)
        super().run(rule, extent, *arguments, work=work)


def ptx_of(kernel, kinds) -> str:
    compile_ptx = cuda_library().compile_ptx
    # Helpers ask which device there is.
    device = SimpleNamespace(compute_capability=HOPPER)
    with mock.patch("numba.cuda.dispatcher.get_current_device", return_value=device):
        code, _ = compile_ptx(kernel, numba.types.void(*kinds), cc=HOPPER)
    return code


def why_not() -> str | None:
    """Why nothing can be compiled for GPUs here; None if it can."""
    try:
        ptx_of(probe, [numba.types.float32[::1]])
    except Exception as error:  # whatever of the toolchain is missing
        return f"{type(error).__name__}: {error}"
    return None


def probe(out):
    out[0] = np.float32(1.0)
