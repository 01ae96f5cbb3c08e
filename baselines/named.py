"""Players and runs by name, as the commands take them: SOURCE, NAME=SOURCE, or NAME=SOURCE,SOURCE ..."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def sources_by_name(option: str, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The sources of each name; a source without one is called as its file or folder is.

    Args:
        option: what the words were given for, for messages.
        words: as above.

    Raises:
        ValueError: for a word of another form, or a name that comes twice.
    """
    found: dict[str, tuple[str, ...]] = {}
    for word in words:
        name, equals, listed = word.partition("=")
        sources = tuple(listed.split(",")) if equals else (word,)
        name = name if equals else Path(word).name
        if not name or not all(sources):
            raise ValueError(f"{option} has {word!r}; allowed: RUN, NAME=RUN or NAME=RUN,RUN ...")
        if name in found:
            raise ValueError(
                f"{option} has {name!r} twice; allowed: each name once, NAME=RUN to give another"
            )
        found[name] = sources
    return found
