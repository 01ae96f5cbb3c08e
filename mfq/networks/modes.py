"""Training and evaluation mode of networks, and the check of what they return.

Dropout, batch normalisation and modules of your own may compute differently in the two modes. Networks
are in training mode in the forward passes of gradient steps only. Acting, with and without exploration,
targets and evaluation use evaluation mode, as is usual for DQN.

Legend: S samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.jit import ScriptModule


@contextmanager
def in_eval_mode(*modules: nn.Module, every_part: bool = False) -> Iterator[None]:
    """Returns a context in which modules are in evaluation mode. On exit it restores their modes, those
    of each submodule included.

    Args:
        modules: the modules.
        every_part: if False, a module that is in evaluation mode itself is left as it is, which saves
            the walk over its parts.
    """
    walked = [module for module in modules if every_part or module.training]
    parts = [part for module in walked for part in module.modules() if part.training]
    _set(parts, False)
    try:
        yield
    finally:
        _set(parts, True)


class TrainingMode:
    """Puts a network in evaluation mode, and back in training mode for forward passes of gradient steps.

    Parts that are in evaluation mode at first, such as frozen batch normalisation, remain in it.

    Args:
        network: the network.
    """

    def __init__(self, network: nn.Module) -> None:
        self._parts = [part for part in network.modules() if part.training]
        network.eval()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Returns a context in which the network is in training mode."""
        _set(self._parts, True)
        try:
            yield
        finally:
            _set(self._parts, False)


def _set(parts: list[nn.Module], training: bool) -> None:
    for part in parts:
        if isinstance(part, ScriptModule):
            part.training = training
        else:  # several times as fast as `nn.Module.__setattr__`, in each gradient step
            vars(part)["training"] = training


def check_outputs(network: nn.Module, values: Any, samples: int, outputs: int, what: str) -> None:
    """Raises ValueError unless a network returned a tensor [S, outputs].

    Args:
        network: the network, for the message.
        values: what it returned.
        samples: S.
        outputs: the number of outputs of each sample.
        what: what they are, for the message.
    """
    shape = tuple(values.shape) if isinstance(values, Tensor) else None
    if shape != (samples, outputs):
        returned = f"a {type(values).__name__}" if shape is None else f"the shape {shape}"
        raise ValueError(
            f"{type(network).__name__} returned {returned}; allowed: {what} = ({samples}, {outputs})"
        )
