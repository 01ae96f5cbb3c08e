"""Players that come with the package: a safetensors file for each game and player, in this folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mfq.common import checkpoint

if TYPE_CHECKING:
    from mfq.envs.view import View
    from mfq.training.loop import Player

FOLDER = Path(__file__).parent


def files(game: str) -> dict[str, Path]:
    """The checkpoints of a game, by player.

    Args:
        game: its id.
    """
    found = sorted(FOLDER.glob(f"{game}-*.safetensors"))
    return {path.stem.removeprefix(f"{game}-"): path for path in found}


def load_pretrained(game: str, algo: str, view: View | None = None) -> Player:
    """A player that comes with the package.

    Args:
        game: "battle_v0".
        algo: "mfq" or "iql"; "mfq-large" or "iql-large" have the paper's network, and fight better.
        view: what it will play; it may be that of MAgent2's own battle_v4. None: our game, with the
            options that the player was trained with. Where the armies are as large, a player made for
            the one also plays the other.

    Raises:
        ValueError: if there is none, or it does not fit the view.
    """
    from mfq.envs.view import wrap
    from mfq.matches.players import load_player, options_of

    found = files(game)
    if algo not in found:
        allowed = ", ".join(found) or "none, as the game has no pretrained players"
        raise ValueError(f"algo={algo!r} for {game!r}; allowed: {allowed}")
    if view is None:
        import mfenvs

        view = wrap(mfenvs.make_batched(game, **(options_of([found[algo]], game) or {})))
    return load_player(found[algo], view)


def export(source: str | Path, path: str | Path) -> Path:
    """Writes what a run's player needs to play, its weights in float16: a file for this folder.

    Args:
        source: a checkpoint, or the folder of a run, whose agents are of one type.
        path: the file to write.

    Raises:
        OSError, ValueError: as `mfq.load_player`; or if the run is of an algorithm of one's own, or of
            agents of several types.
    """
    from mfq.matches.players import read_run

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
    from mfq.agents.actor_critic import ACTOR

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
    from mfq.matches.players import read_run

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
