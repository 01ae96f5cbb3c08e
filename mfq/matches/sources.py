"""Reads players and runs as the command line takes them: SOURCE, NAME=SOURCE, NAME=SOURCE,SOURCE."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def sources_by_name(option: str, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Returns the sources of each name. A source without a name gets that of its file or folder.

    Args:
        option: the name of the option, for error messages.
        words: each SOURCE, NAME=SOURCE or NAME=SOURCE,SOURCE.

    Raises:
        ValueError: for a word of another form, or a name that occurs twice.
    """
    by_name: dict[str, tuple[str, ...]] = {}
    for word in words:
        name, equals, listed = word.partition("=")
        sources = tuple(listed.split(",")) if equals else (word,)
        name = name if equals else Path(word).name
        if not name or not all(sources):
            raise ValueError(f"{option} has {word!r}; allowed: RUN, NAME=RUN or NAME=RUN,RUN ...")
        if name in by_name:
            raise ValueError(
                f"{option} has {name!r} twice; allowed: each name once, NAME=RUN to give another"
            )
        by_name[name] = sources
    return by_name
