"""Reads players and runs as the command line takes them: SOURCE, NAME=SOURCE, NAME=SOURCE,SOURCE."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mfq.envs.lookup import is_code


def label(source: str | Path) -> str:
    """Returns the name of a source's file or folder, or the NAME of MODULE:NAME."""
    return Path(str(source).partition(":")[2] if is_code(source) else source).name


def labelled(sources: Iterable[str]) -> dict[str, str]:
    """Returns the sources by their labels; those with equal labels by their whole names."""
    sources = list(dict.fromkeys(sources))
    labels = [label(source) for source in sources]
    return {
        name if labels.count(name) == 1 else source: source
        for name, source in zip(labels, sources, strict=True)
    }


def sources_by_name(option: str, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Returns the sources of each name. A source without a name gets its `label`.

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
        name = name if equals else label(word)
        if not name or not all(sources):
            raise ValueError(f"{option} has {word!r}; allowed: RUN, NAME=RUN or NAME=RUN,RUN ...")
        if name in by_name:
            raise ValueError(
                f"{option} has {name!r} twice; allowed: each name once, NAME=RUN to give another"
            )
        by_name[name] = sources
    return by_name
