"""Pretrained players: a safetensors file for each game and player, in this folder.

`mfq.load_pretrained` loads them, `mfq.training.export` writes them.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def files(game: str) -> dict[str, Path]:
    """Returns the checkpoints of a game, by player.

    Args:
        game: the game's id.
    """
    paths = sorted(FOLDER.glob(f"{game}-*.safetensors"))
    return {path.stem.removeprefix(f"{game}-"): path for path in paths}
