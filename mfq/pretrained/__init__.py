"""Pretrained players: a safetensors file for each game and player, in this folder.

`mfq.load_pretrained` loads them, `mfq.training.export` writes them.
"""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from importlib import resources
from pathlib import Path

FOLDER = resources.files("mfq.pretrained")
_extracted = ExitStack()  # copies of files in a zip archive
atexit.register(_extracted.close)


def files(game: str) -> dict[str, Path]:
    """Returns the checkpoints of a game, by player.

    Args:
        game: the game's id.
    """
    paths = {}
    for file in sorted(FOLDER.iterdir(), key=lambda file: file.name):
        name = file.name.removeprefix(f"{game}-")
        if name != file.name and name.endswith(".safetensors"):
            path = _extracted.enter_context(resources.as_file(file))
            paths[name.removesuffix(".safetensors")] = path
    return paths
