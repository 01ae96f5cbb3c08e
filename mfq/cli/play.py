"""`mfq play`: two armies in a window, or as a summary."""

from __future__ import annotations

from mfq.cli.choices import choose
from mfq.cli.flags import Words, parse_with_file

GAMES = {"battle": "two armies; a player is a script, a pretrained player, or a run"}
EXAMPLES = {
    "mfq play battle": "two trained armies",
    "mfq play battle --red rush --blue mfq": "a script against one",
}


def run(words: Words) -> int:
    """Runs the command; returns its exit status."""
    from mfq.matches.window import PlayConfig, play

    if not words or words[0].removesuffix("_v0") not in GAMES:
        return choose("mfq play", "GAME", GAMES, words, EXAMPLES)
    play(parse_with_file(PlayConfig, words[1:], "mfq play battle", *EXAMPLES))
    return 0
