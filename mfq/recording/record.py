"""Plays episodes and records them, as a replay page (.html) or a video (.gif, .mp4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from mfenvs.validate import MAX_SEED, positive, whole
from mfq.agents import loop
from mfq.agents.base import Player, preserved
from mfq.common.files import write_atomically
from mfq.common.progress import tick
from mfq.envs.view import View, check_view
from mfq.matches.evaluate import MAX_STEPS, teams_of
from mfq.matches.teams import Teams
from mfq.recording.episode import Recorder
from mfq.recording.page import ReplayPage, page
from mfq.recording.video import GIF_FPS, write_gif, write_mp4

SUFFIXES = (".html", ".gif", ".mp4")


def record(
    view: View,
    players: Player | str | Mapping[str, Player | str],
    path: str | Path,
    episodes: int = 1,
    seed: int = 0,
    explore: bool = False,
    fps: float = 8.0,
    every: int = 1,
    max_frames: int = 5000,
    title: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Plays episodes and writes them to a file.

    Args:
        view: a view of one row. It is reset.
        players: as for `mfq.evaluate`.
        path: the file. Its suffix says what it is: .html, a page that replays the episodes in a browser,
            with each agent's values and mean action; .gif or .mp4, a video of the pictures that the
            environment draws.
        episodes: the number of episodes.
        seed: seed of the reset, and of the players' generators.
        explore: whether players act as in training.
        fps: frames a second; of a .gif 0.01 to 50.
        every: of a video, a picture is taken at each such step.
        max_frames: the most frames; the recording ends there.
        title: of a page; None for the names of the players.
        overwrite: whether to replace a file.

    Returns:
        The path.

    Raises:
        ValueError, TypeError: as `mfq.evaluate`; or for another suffix, a view of several rows, or an
            environment that cannot be drawn.
        FileExistsError: if the file exists, unless ``overwrite``.
        ImportError: for an .mp4 if imageio-ffmpeg is not installed.
    """
    check_view(view)
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"path={str(path)!r}; allowed: a name that ends in {', '.join(SUFFIXES)}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; allowed: another name, or overwrite (--overwrite)")
    whole("every", every, 1)
    positive("fps", fps)
    if path.suffix == ".gif" and not GIF_FPS[0] <= fps <= GIF_FPS[1]:
        raise ValueError(f"fps={fps!r}; allowed in a .gif: {GIF_FPS[0]:g} to {GIF_FPS[1]:g}")
    if path.suffix == ".html":
        replay = watch(view, players, episodes, seed, explore, fps, max_frames, title)
        return replay.save(path, overwrite)
    teams = _checked(view, _by_group(view, players), episodes, seed, fps, max_frames)
    with preserved(list(teams.players.values()), seed):
        steps = loop.play(view, teams, view.reset(seed=seed), explore)
        pictures = _pictures(view, steps, episodes, every, max_frames)
        write = write_gif if path.suffix == ".gif" else write_mp4
        return write_atomically(path, lambda file: write(file, pictures, fps))


def watch(
    view: View,
    players: Player | str | Mapping[str, Player | str],
    episodes: int = 1,
    seed: int = 0,
    explore: bool = False,
    fps: float = 8.0,
    max_frames: int = 5000,
    title: str | None = None,
) -> ReplayPage:
    """Plays episodes and returns a page that replays them, which a notebook shows.

    Arguments and errors are those of `record`.
    """
    named = _by_group(view, players)
    teams = _checked(view, named, episodes, seed, fps, max_frames)
    with preserved(list(teams.players.values()), seed):
        recorder = Recorder(view, teams.players.values())
        step = view.reset(seed=seed)
        recorder.start(step)
        _fill(recorder, loop.play(view, teams, step, explore), episodes, max_frames)
        return ReplayPage(page(recorder.recording(title or _title(named)), fps))


def _by_group(
    view: View, players: Player | str | Mapping[str, Player | str]
) -> Mapping[str, Player | str]:
    """Returns the player of each group."""
    check_view(view)
    return players if isinstance(players, Mapping) else dict.fromkeys(view.group_names, players)


def _checked(
    view: View,
    named: Mapping[str, Player | str],
    episodes: int,
    seed: int,
    fps: float,
    max_frames: int,
) -> Teams:
    """Checks arguments of `record`, and returns the teams."""
    if view.num_envs != 1:
        raise ValueError(f"the view has {view.num_envs} rows; allowed: one")
    whole("episodes", episodes, 1)
    whole("seed", seed, 0, MAX_SEED)
    whole("max_frames", max_frames, 2)
    positive("fps", fps)
    return teams_of(view, named)


def _fill(
    recorder: Recorder, steps: Iterator[loop.Transition], episodes: int, max_frames: int
) -> None:
    """Plays episodes into a recorder."""
    for frames, transition in enumerate(steps, start=2):
        tick()
        if bool(transition.next_step.reset[0]):
            recorder.start(transition.next_step)
            continue
        recorder.add(transition)
        ended = bool(transition.next_step.ended[0])
        if ended or frames >= max_frames:
            recorder.end(transition)
            episodes -= 1
        if episodes == 0 or frames >= max_frames:
            return


def _pictures(
    view: View, steps: Iterator[loop.Transition], episodes: int, every: int, max_frames: int
) -> Iterator[np.ndarray]:
    """Yields the pictures of episodes: of every so many steps, and of the last one of each."""
    yield view.picture()
    shown = 1
    for count, transition in enumerate(steps, start=1):
        tick()
        ended = bool(transition.next_step.ended[0])
        if count > MAX_STEPS:
            raise ValueError(f"no end within {MAX_STEPS} steps; allowed: episodes that end")
        if ended or count % every == 0:
            yield view.picture()
            shown += 1
        episodes -= ended
        if episodes == 0 or shown >= max_frames:
            return


def _title(players: Mapping[str, Player | str]) -> str:
    """Returns the players in words, such as "red: mfq, blue: rush"."""
    named = {
        group: player if isinstance(player, str) else type(player).__name__
        for group, player in players.items()
    }
    if len(named) == 1:
        return next(iter(named.values()))
    return ", ".join(f"{group}: {name}" for group, name in named.items())
