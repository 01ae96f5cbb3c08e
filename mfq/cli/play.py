"""`mfq play`: a game in a window, or as a summary."""

from __future__ import annotations

from mfq.cli.choices import choose
from mfq.cli.flags import Words, parse_with_file

EXAMPLES = {
    "mfq play battle": "two trained armies",
    "mfq play battle --red rush --blue mfq": "a script against one",
    "mfq play battle --red human": "command an army",
}


def run(words: Words) -> int:
    """Runs the command; returns its exit status."""
    from mfenvs.registry import GAMES, full_id
    from mfq.matches.window import PlayConfig, play

    if not words or full_id(words[0]) is None:
        games = {game.rpartition("_v")[0]: f"shows {game} in a window" for game in GAMES}
        return choose("mfq play", "GAME", games, words, EXAMPLES)
    game, *words = words
    play(game, parse_with_file(PlayConfig, words, f"mfq play {game}", *EXAMPLES))
    return 0
