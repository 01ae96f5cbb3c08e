"""`mfq play`: a game in a window, or as a summary."""

from __future__ import annotations

from mfq.cli.choices import choose_game
from mfq.cli.flags import Words, parse_with_file

EXAMPLES = {
    "mfq play battle": "two trained armies",
    "mfq play battle --red rush --blue mfq": "a script against one",
    "mfq play battle --red human": "command an army",
}


def run(words: Words) -> int:
    """Runs the command; returns its exit status."""
    from mfq.matches.window import PlayConfig, play

    status = choose_game("mfq play", "shows {} in a window", words, EXAMPLES)
    if status is not None:
        return status
    game, *words = words
    play(game, parse_with_file(PlayConfig, words, f"mfq play {game}", *EXAMPLES))
    return 0
