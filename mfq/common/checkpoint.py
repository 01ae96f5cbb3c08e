"""Checkpoints: one safetensors file each, tensors beside JSON. Loading one runs no code from it.

A state is a tree of dicts and lists over tensors and plain values (numbers, strings, None, booleans).
Its tensors are stored under their paths, and the rest as JSON in the header, under the name of the
format alone: safetensors writes several in any order, and equal states should give equal files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mfq.common.files import write_atomically

FORMAT = "mfq-1"


def save(state: dict[str, Any], path: str | Path) -> Path:
    """Writes a state, whole or not at all.

    Raises:
        TypeError: if it holds something that is neither a tensor nor plain.
    """
    tensors: dict[str, Tensor] = {}
    tree = _pack(state, "", tensors)
    header = {FORMAT: json.dumps(tree)}
    return write_atomically(path, lambda temporary: save_file(tensors, temporary, header))


def load(path: str | Path) -> dict[str, Any]:
    """Reads a state back, tensors on the CPU.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is no checkpoint of ours, or a damaged one; the message says what is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is no file; allowed: a checkpoint, or the folder of a run that has one (mfq train "
            "--out)"
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if FORMAT not in header:
                raise ValueError(
                    f"{path} has the header {list(header)}; allowed: one of the format {FORMAT!r}"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state = _unpack(json.loads(header[FORMAT]), tensors)
    except (SafetensorError, KeyError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged or no checkpoint: {error}") from None
    if not isinstance(state, dict):
        raise ValueError(f"{path} holds a {type(state).__name__}; allowed: a state by name")
    return state


def _pack(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """The value as JSON, its tensors put aside under their paths."""
    if isinstance(value, Tensor):
        tensors[path] = value.detach().cpu().contiguous().clone()
        return {"tensor": path}
    if isinstance(value, dict):
        # Pairs, since JSON would turn the integer keys of optimizers into strings.
        return {
            "dict": [[key, _pack(part, f"{path}/{key}", tensors)] for key, part in value.items()]
        }
    if isinstance(value, list | tuple):
        return {"list": [_pack(part, f"{path}/{i}", tensors) for i, part in enumerate(value)]}
    if value is None or isinstance(value, bool | int | float | str):
        return {"plain": value}
    raise TypeError(f"{path} is a {type(value).__name__}; allowed: tensors and plain values")


def _unpack(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(tree, dict) or len(tree) != 1:
        raise KeyError(f"a node {str(tree)[:80]!r}")
    ((kind, value),) = tree.items()
    if kind == "tensor" and isinstance(value, str):
        return tensors[value]
    if kind == "dict" and isinstance(value, list):
        return {key: _unpack(part, tensors) for key, part in map(_pair, value)}
    if kind == "list" and isinstance(value, list):
        return [_unpack(part, tensors) for part in value]
    if kind == "plain" and not isinstance(value, dict | list):
        return value
    raise KeyError(f"a node of kind {kind!r}")


def _pair(item: Any) -> tuple[str | int, Any]:
    if not isinstance(item, list) or len(item) != 2 or not isinstance(item[0], str | int):
        raise KeyError(f"an entry {str(item)[:80]!r}")
    return item[0], item[1]
