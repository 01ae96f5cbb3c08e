"""Checks that what an environment returns is finite.

Legend: B rows, N agents.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def check_finite(values: Mapping[str, Any], agents: Sequence[str], step: int) -> None:
    """Checks that observations and rewards are finite.

    One NaN spreads through a gradient step to all weights. The check sums each tensor, and looks at
    single numbers only where a sum is not finite; on a GPU it synchronises once.

    Args:
        values: name -> a tensor [B, N, ...], or a dict of such, nested at will. Integers are skipped.
        agents: N names, for error messages.
        step: the number of the step, for error messages; 0 for that of a reset.

    Raises:
        ValueError: if a number is infinite or NaN; the message names the agent and the component.
    """
    leaves = dict(_leaves(values))
    if _are_finite([leaf.sum() for leaf in leaves.values()]):
        return
    for name, leaf in leaves.items():
        bad = (~leaf.isfinite()).nonzero()
        if not len(bad):
            continue  # the sum overflowed
        row, agent, *component = bad[0].tolist()
        where = f"{name}{component}" if component else name
        of_row = f", row {row}" if len(leaf) > 1 else ""
        raise ValueError(
            f"agent {agents[agent]!r} got {where}={float(leaf[tuple(bad[0])])} in step {step}{of_row}; "
            "allowed: finite numbers"
        )


def _are_finite(sums: list[Tensor]) -> bool:
    if all(each.device.type == "cpu" for each in sums):
        return all(math.isfinite(each.item()) for each in sums)
    return bool(torch.stack([each.float() for each in sums]).isfinite().all())


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yields the tensors of floats by their paths, with dots."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        elif value.is_floating_point():
            yield f"{prefix}{name}", value
