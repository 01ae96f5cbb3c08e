"""`mfq record`: episodes of a game as a page, a GIF or an MP4."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mfenvs.validate import of_kind
from mfq.matches.lineup import lineup
from mfq.recording.record import record


@dataclass(frozen=True)
class RecordConfig:
    """Records episodes of a game: as a page to explore in a browser (.html), an animation (.gif) or a
    video (.mp4).

    A player is a script or a pretrained player (see `mfq list`), a checkpoint, the folder of a run, or
    MODULE:NAME of a player of your own.

    Attributes:
        out: the file; its suffix says what it is. None: GAME.html.
        player: who plays all agents, or those groups that no other flag names; or players by group, such
            as "predator=hunt,prey=flee". None: random; in battle without any player, the pretrained
            "mfq" and "iql".
        red: who plays red, in games that have it.
        blue: who plays blue, in games that have it.
        episodes: the number of episodes.
        seed: seed of the first episode.
        explore: whether trained players act as in training.
        fps: frames a second; the page has a control for it.
        every: of a GIF or a video, take a picture in each such step.
        max_frames: the most frames.
        overwrite: whether to replace the file.
        env_options: options of the game. Defaults are those of the first player that was trained.
    """

    out: str | None = None
    player: str | None = None
    red: str | None = None
    blue: str | None = None
    episodes: int = 1
    seed: int = 0
    explore: bool = False
    fps: float = 8.0
    every: int = 1
    max_frames: int = 5000
    overwrite: bool = False
    env_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        of_kind("env_options", self.env_options, dict, "options by name")


def run(game: str, config: RecordConfig) -> Path:
    """Records episodes; returns the path of the file.

    Args:
        game: the id of a game of mfenvs.
        config: see `RecordConfig`.

    Raises:
        ValueError, TypeError, OSError, ImportError: as `record` and `load_player`; or for a group that
            the game does not have.
    """
    cast = lineup(game, config.player, config.red, config.blue, config.env_options)
    path = Path(config.out or f"{cast.game}.html")
    title = ", ".join(f"{group}: {Path(source).name}" for group, source in cast.sources.items())
    if len(cast.sources) == 1:
        title = f"{cast.game}, {Path(config.player or 'random').name}"
    return record(
        cast.view,
        cast.players,
        path,
        config.episodes,
        config.seed,
        config.explore,
        config.fps,
        config.every,
        config.max_frames,
        title,
        config.overwrite,
    )
