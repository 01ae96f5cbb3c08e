"""`mfq record`: episodes of a game as a page, a GIF or an MP4."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mfenvs.validate import of_kind
from mfq.agents.base import Player
from mfq.envs.view import View
from mfq.envs.wrap import wrap
from mfq.matches.players import load_player, options_of
from mfq.matches.window import PRETRAINED
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
    import mfenvs
    from mfenvs.registry import full_id

    name = full_id(game)
    if name is None:
        raise ValueError(f"game={game!r}; allowed: {', '.join(mfenvs.registry.GAMES)}")
    scripts = mfenvs.game_class(name).players
    asked = {"red": config.red, "blue": config.blue}
    if name == "battle_v0" and config.player is None and not any(asked.values()):
        asked = {**PRETRAINED}
    player, by_group = _by_group(config.player or "random")
    asked |= by_group
    named = [player, *(source for source in asked.values() if source is not None)]
    trained = [source for source in named if ":" not in source and source != "random"]
    options = {**(options_of(trained, name, scripts) or {}), **config.env_options}
    view = wrap(mfenvs.make_batched(name, **options))
    sources = {group: asked.get(group) or player for group in view.group_names}
    for group, source in asked.items():
        if source is not None and group not in sources:
            raise ValueError(
                f"{group}={source!r} where the groups are {', '.join(sources)}; allowed: --player, or "
                f"--player {','.join(f'{name}=PLAYER' for name in sources)}"
            )
    path = Path(config.out or f"{name}.html")
    players = _load(sources, view)
    title = ", ".join(f"{group}: {Path(source).name}" for group, source in sources.items())
    if len(sources) == 1:
        title = f"{name}, {Path(player).name}"
    return record(
        view,
        players,
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


def _by_group(player: str) -> tuple[str, dict[str, str]]:
    """Returns the player of all other groups, and those by group in a text GROUP=PLAYER,..."""
    if "=" not in player or Path(player).exists():
        return player, {}
    pairs = [part.partition("=") for part in player.split(",")]
    return "random", {group: source for group, _, source in pairs}


def _load(sources: dict[str, str], view: View) -> dict[str, Player]:
    """Returns the player of each group; the same one for equal sources."""
    players = {source: load_player(source, view) for source in dict.fromkeys(sources.values())}
    return {group: players[source] for group, source in sources.items()}
