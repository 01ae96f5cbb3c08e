"""`mfq record`: episodes of a game as a page, a GIF or a video."""

from __future__ import annotations

import sys

from mfq.cli.choices import choose
from mfq.cli.flags import Words, parse_with_file
from mfq.common.progress import watched

EXAMPLES = {
    "mfq record battle --out a.html": "a page to explore",
    "mfq record ising --player runs/a --out a.gif": "an animation",
}


def run(words: Words) -> int:
    """Runs the command; returns its exit status."""
    from mfenvs.registry import GAMES, full_id
    from mfq.recording import command

    if not words or full_id(words[0]) is None:
        games = {game.rpartition("_v")[0]: f"records episodes of {game}" for game in GAMES}
        return choose("mfq record", "GAME", games, words, EXAMPLES)
    game, *words = words
    config = parse_with_file(command.RecordConfig, words, f"mfq record {game}", *EXAMPLES)
    with watched(None, "frame", "recording"):
        path = command.run(game, config)
    print(f"mfq: {path} ({path.stat().st_size / 1e6:.1f} MB)", file=sys.stderr)
    return 0
