"""Checkpoints as safetensors files. Loading one runs no code from it.

A state is a tree of dicts and lists of tensors and plain values (numbers, strings, None, booleans).
Tensors are stored under their paths in the tree, and the rest as JSON in the header. The header has one
entry only, since safetensors writes several in any order, and equal states should give equal files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mfq.common.files import write_atomically

FORMAT = "mfq-1"


def save(state: dict[str, Any], path: str | Path) -> Path:
    """Writes a state atomically; returns the path.

    Raises:
        TypeError: if it contains something other than tensors and plain values.
    """
    tensors: dict[str, Tensor] = {}
    tree = _pack(state, "", tensors)
    header = {FORMAT: json.dumps(tree)}
    return write_atomically(path, lambda temporary: save_file(tensors, temporary, header))


def load(path: str | Path) -> dict[str, Any]:
    """Returns the state in a file, with tensors on the CPU.

    Raises:
        OSError: if the file does not exist.
        ValueError: if it is not a checkpoint of mfq, or is damaged.
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
        raise ValueError(
            f"{path} is damaged or no checkpoint of mfq: {error}; allowed for a torch module trained "
            "elsewhere: MODULE:NAME of a function that returns mfq.ModulePlayer.from_file(path, ...)"
        ) from None
    if not isinstance(state, dict):
        raise ValueError(f"{path} holds a {type(state).__name__}; allowed: a state by name")
    return state


def _pack(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Returns the value as JSON, and moves its tensors to ``tensors``, under their paths."""
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
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return {"plain": value}
    raise TypeError(f"{path} is a {type(value).__name__}; allowed: tensors and plain values")


def _unpack(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(tree, dict) or len(tree) != 1:
        raise KeyError(f"a node {str(tree)[:80]!r}")
    ((tag, value),) = tree.items()
    if tag == "tensor" and isinstance(value, str):
        return tensors[value]
    if tag == "dict" and isinstance(value, list):
        return {key: _unpack(part, tensors) for key, part in map(_pair, value)}
    if tag == "list" and isinstance(value, list):
        return [_unpack(part, tensors) for part in value]
    if tag == "plain" and not isinstance(value, dict | list):
        return value
    raise KeyError(f"a node of kind {tag!r}")


def _pair(item: Any) -> tuple[str | int, Any]:
    if not isinstance(item, list) or len(item) != 2 or not isinstance(item[0], str | int):
        raise KeyError(f"an entry {str(item)[:80]!r}")
    return item[0], item[1]
