"""`mfq list`: what there is by name, and what an option means."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from mfenvs.validate import did_you_mean
from mfq.cli.choices import HELP
from mfq.cli.errors import UsageError
from mfq.cli.flags import Words

WIDTH = 80
HELP_TEXT = """usage: mfq list [NAME]

Lists games, algorithms, presets, players, studies, and the runs in runs/ with
their scores. With the name of a game, an algorithm or a preset it prints
the options of that.

Examples:
  mfq list
  mfq list battle   options of a game, and the players that it has
  mfq list mfq      options of an algorithm: --agent.NAME VALUE of mfq train
  mfq list small    options of a preset
  mfq list runs     the runs alone"""
_ENTRY = re.compile(r"^ +(\w[\w, ]*): (.*?)(?=^ {8}\w[\w, ]*: |^ *\n|^ {4}\w|\Z)", re.S | re.M)


def run(words: Words) -> int:
    """Runs the command; returns its exit status.

    Raises:
        UsageError: for an unknown name.
    """
    if any(word in HELP for word in words):
        print(HELP_TEXT)
        return 0
    if len(words) > 1:
        raise UsageError(f"argument={words[1]!r}; allowed: one name, see mfq list --help")
    for line in _all() if not words else _one(words[0]):
        print(line)
    return 0


def _sections() -> dict[str, list[str]]:
    """Returns the names of everything but runs, by section."""
    from mfenvs.registry import GAMES
    from mfq import pretrained
    from mfq.agents.registry import BUILT_IN
    from mfq.studies import STUDIES
    from mfq.training.config import PRESETS

    def of_games(entries: dict[str, list[str]]) -> list[str]:
        return [f"{', '.join(names)} ({game})" for game, names in entries.items() if names]

    return {
        "games": list(GAMES),
        "algorithms": list(BUILT_IN),
        "presets": list(PRESETS),
        "players": ["random", *of_games({game: scripts(game) for game in GAMES})],
        "pretrained": of_games({game: list(pretrained.files(game)) for game in GAMES}),
        "studies": list(STUDIES),
    }


def scripts(game: str) -> list[str]:
    """Returns the names of a game's scripts."""
    from mfenvs.registry import game_class

    return [name for name in game_class(game).players if name != "random"]


def _all() -> Iterator[str]:
    for name, entries in _sections().items():
        yield from _wrapped(name, ", ".join(entries))
    yield from _runs()
    yield ""
    yield "mfq list NAME says more of a game, an algorithm or a preset."


def _runs() -> Iterator[str]:
    from mfq.training.runs import described, runs_in

    for k, kept in enumerate(runs_in("runs")):
        yield from _wrapped("" if k else "runs", described(kept), "  ")


def _one(name: str) -> Iterator[str]:
    """Yields what there is to say about a name."""
    from mfenvs.registry import GAMES, full_id
    from mfq.agents.registry import ALGORITHMS, BUILT_IN
    from mfq.training.config import PRESETS, preset_text

    sections, game = _sections(), full_id(name)
    if name in sections:
        yield from sections[name]
    elif name == "runs":
        yield from list(_runs()) or ["no runs in runs/"]
    elif name in BUILT_IN:
        yield f"Options of {name}, as --agent.NAME VALUE of mfq train:"
        yield from _options(ALGORITHMS[name].config(), ignored=ALGORITHMS[name].ignores)
    elif game is None and name not in PRESETS:
        short = [known.rpartition("_v")[0] for known in GAMES]
        allowed = list(dict.fromkeys([*sections, "runs", *short, *BUILT_IN, *PRESETS]))
        meant = did_you_mean(name, allowed)
        raise UsageError(f"name={name!r}; {meant}allowed: {', '.join(allowed)}")
    if game is not None:
        yield from _game(game)
    if name in PRESETS:  # some have the name of a game
        yield from ["", f"The preset {name}:", ""] if game is not None else []
        yield from preset_text(name).rstrip().splitlines()


def _game(game: str) -> Iterator[str]:
    from mfenvs.registry import game_class
    from mfq import pretrained

    config = game_class(game).Config
    yield f"Options of {game}, as --set NAME=VALUE of mfq train:"
    yield from _options(config())
    yield ""
    yield from _wrapped("players", ", ".join(["random", *scripts(game)]))
    yield from _wrapped("pretrained", ", ".join(pretrained.files(game)))


def _options(config: Any, prefix: str = "", ignored: Iterable[str] = ()) -> Iterator[str]:
    """Yields the fields of a dataclass with their values and meanings, those of its parts included."""
    meaning = meanings(type(config))
    for part in fields(config):
        value, name = getattr(config, part.name), f"{prefix}{part.name}"
        if name in ignored:
            continue
        if is_dataclass(value):
            yield from _options(value, f"{name}.", ignored)
            continue
        shown = "" if value is MISSING else f"={value!r}".replace("'", '"')
        yield ""
        yield f"  {name}{shown}"
        text = meaning.get(part.name, "").replace("``", "")
        yield from textwrap.wrap(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)


def meanings(config: type) -> dict[str, str]:
    """Returns what a dataclass's docstring says of each field, by name; the text of a joint entry for
    each."""
    attributes = (config.__doc__ or "").partition("Attributes:\n")[2]
    return {
        name: " ".join(text.split())
        for names, text in _ENTRY.findall(attributes)
        for name in names.split(", ")
    }


def _wrapped(name: str, text: str, further: str = "") -> list[str]:
    """Returns a line "name  text", wrapped to `WIDTH` columns beside the name."""
    indent = " " * 12
    if not text:
        return []
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=f"{name:<12}",
        subsequent_indent=indent + further,
        break_long_words=False,
        break_on_hyphens=False,
    )
