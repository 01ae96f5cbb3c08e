"""`mfq record`: episodes of a game as a page, a GIF or a video."""

from __future__ import annotations

import sys

from mfq.cli.choices import choose_game
from mfq.cli.flags import Words, parse_with_file
from mfq.common.progress import watched

EXAMPLES = {
    "mfq record battle --out a.html": "a page to explore",
    "mfq record ising --player runs/a --out a.gif": "an animation",
}


def run(words: Words) -> int:
    """Runs the command; returns its exit status."""
    from mfq.recording import command

    status = choose_game("mfq record", "records episodes of {}", words, EXAMPLES)
    if status is not None:
        return status
    game, *words = words
    config = parse_with_file(command.RecordConfig, words, f"mfq record {game}", *EXAMPLES)
    with watched(None, "frame", "recording"):
        path = command.run(game, config)
    print(f"mfq: {path} ({path.stat().st_size / 1e6:.1f} MB)", file=sys.stderr)
    return 0
