"""Writes small files from runs: pretrained players, and checkpoints to resume from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mfq.agents.actor_critic import ACTOR
from mfq.agents.registry import BUILT_IN, saved_algorithm
from mfq.common import checkpoint
from mfq.common.files import check_out
from mfq.matches.players import read_run
from mfq.training.config import FILES


def export(source: str | Path, path: str | Path, overwrite: bool = False) -> Path:
    """Writes the player of a run, with weights in float16: a file for `mfq.pretrained`.

    Args:
        source: a checkpoint, or the folder of a run, of a built-in algorithm and one type of agents.
        path: the file to write.
        overwrite: whether the file may exist already, and is replaced.

    Raises:
        OSError, ValueError: as `mfq.load_player`; or for a run of another algorithm, or of several types
            of agents; or if the file exists.
    """
    if Path(path).exists() and not overwrite:
        raise ValueError(f"path={str(path)!r} exists; allowed: overwrite=True, or another file")
    _, state = read_run(source)
    config = state["config"]
    if saved_algorithm(state) not in BUILT_IN or "types" in state["agent"]:
        raise ValueError(
            f"{source} is a run of an algorithm of your own, or of several types of agents; allowed: "
            f"{', '.join(BUILT_IN)}"
        )
    agent = _narrow(_acting_state(state["agent"]), torch.float16)
    config = {**config, "out": None}
    exported = {**state, "config": config, "agent": agent, "teams": None, "view": None}
    return checkpoint.save(exported, path)


def _acting_state(agent: dict[str, Any]) -> dict[str, Any]:
    """Returns the part of an agent's state that its player needs."""
    if "online" not in agent:
        names = ("module", "time", "episodes", "rounds", "generator")
        return {name: agent[name] for name in names if name in agent}
    return {"online": {name: w for name, w in agent["online"].items() if name.startswith(ACTOR)}}


def export_training(source: str | Path, folder: str | Path, overwrite: bool = False) -> Path:
    """Writes a small checkpoint of a run to a folder that `mfq train --resume` accepts.

    It has neither the replay nor the state of the environment; a resumed run starts with an empty replay
    and new episodes. Weights are in float16. Adam's moments are in bfloat16, since squares of gradients
    underflow in float16.

    Args:
        source: the folder of a run (its last checkpoint), or a checkpoint.
        folder: the folder to write last.safetensors to.
        overwrite: whether the folder may hold a run already, of which that file is replaced.

    Raises:
        OSError, ValueError: as `mfq.load_player`; or if the folder holds a run, or cannot be written.
    """
    check_out(folder, FILES, overwrite, "or another folder")
    source = Path(source)
    _, state = read_run(source / "last.safetensors" if source.is_dir() else source)
    agent = {name: part for name, part in state["agent"].items() if name != "replay"}
    optimizer = _narrow(agent.pop("optimizer"), torch.bfloat16)
    exported = {
        **state,
        "config": _without_replay({**state["config"], "out": None}),
        "agent": {**_narrow(agent, torch.float16), "optimizer": optimizer},
        "teams": _narrow(state["teams"], torch.float16),
        "view": None,
    }
    return checkpoint.save(exported, Path(folder) / "last.safetensors")


def _without_replay(config: dict[str, Any]) -> dict[str, Any]:
    if "checkpoints" not in config:  # older checkpoints
        return {**config, "save_replay": False}
    return {**config, "checkpoints": {**config["checkpoints"], "replay": False}}


def _narrow(state: Any, dtype: torch.dtype) -> Any:
    """Returns a state with its float32 tensors, except scalars, converted to ``dtype``."""
    if isinstance(state, dict):
        return {name: _narrow(part, dtype) for name, part in state.items()}
    if isinstance(state, list):
        return [_narrow(part, dtype) for part in state]
    if isinstance(state, torch.Tensor) and state.dtype == torch.float32 and state.dim():
        return state.to(dtype)
    return state
