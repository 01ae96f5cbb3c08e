"""Small files of what a run has learned: to play, or to go on training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mfq.agents.actor_critic import ACTOR
from mfq.common import checkpoint
from mfq.matches.players import read_run


def export(source: str | Path, path: str | Path) -> Path:
    """Writes what a run's player needs to play, its weights in float16: a file for this folder.

    Args:
        source: a checkpoint, or the folder of a run, whose agents are of one type.
        path: the file to write.

    Raises:
        OSError, ValueError: as `mfq.load_player`; or if the run is of an algorithm of one's own, or of
            agents of several types.
    """
    _, state = read_run(source)
    config = state["config"]
    if not state["own_algo"] or "types" in state["agent"]:
        raise ValueError(
            f"{source} is a run of one's own algorithm, or of several types of agents; allowed: one of "
            "mfq, iql, mfac, ac"
        )
    agent = _narrow(_played(state["agent"]), torch.float16)
    own = {**state, "config": {**config, "out": None}, "agent": agent, "teams": None, "view": None}
    return checkpoint.save(own, path)


def _played(agent: dict[str, Any]) -> dict[str, Any]:
    """Of an agent's state, what its play needs."""
    if "online" not in agent:
        return {name: agent[name] for name in ("module", "time", "rounds", "generator")}
    return {"online": {name: w for name, w in agent["online"].items() if name.startswith(ACTOR)}}


def export_training(source: str | Path, folder: str | Path) -> Path:
    """Writes what a run's training goes on from, in little room: a folder for `mfq train --resume`.

    It holds no replay and no state of the rows: both start anew. Weights are in float16, Adam's moments
    in bfloat16, since float16 does not reach down to the squares of gradients.

    Args:
        source: the folder of a run (its last checkpoint), or a checkpoint.
        folder: in which last.safetensors is written.

    Raises:
        OSError, ValueError: as `mfq.load_player`.
    """
    source = Path(source)
    _, state = read_run(source / "last.safetensors" if source.is_dir() else source)
    agent = {name: part for name, part in state["agent"].items() if name != "replay"}
    optimizer = _narrow(agent.pop("optimizer"), torch.bfloat16)
    own = {
        **state,
        "config": {**state["config"], "out": None, "save_replay": False},
        "agent": {**_narrow(agent, torch.float16), "optimizer": optimizer},
        "teams": _narrow(state["teams"], torch.float16),
        "view": None,
    }
    return checkpoint.save(own, Path(folder) / "last.safetensors")


def _narrow(state: Any, dtype: torch.dtype) -> Any:
    """A state with its float32 tensors in another type, but for single numbers."""
    if isinstance(state, dict):
        return {name: _narrow(part, dtype) for name, part in state.items()}
    if isinstance(state, list):
        return [_narrow(part, dtype) for part in state]
    if isinstance(state, torch.Tensor) and state.dtype == torch.float32 and state.dim():
        return state.to(dtype)
    return state
