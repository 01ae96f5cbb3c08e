"""Commands with subcommands: their help, and the answer to an unknown one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mfenvs.validate import did_you_mean
from mfq.cli.errors import UsageError

HELP = ("-h", "--help")
FLAGS = {"mfq": (*HELP, "--version")}
"""The flags of commands with others than `HELP`."""


def choose(
    program: str,
    argument: str,
    choices: Mapping[str, str],
    words: Iterable[str],
    examples: Mapping[str, str],
    intro: str = "",
) -> int:
    """Prints the help of a command with subcommands.

    Args:
        program: the command, such as "mfq compare".
        argument: the name of its first argument, such as "STUDY".
        choices: by subcommand, what it does.
        words: the words after the command, of which the first is no subcommand.
        examples: by command to type, what it does.
        intro: a line on top; "" for none.

    Returns:
        The exit status: 0 if the help was asked for, 2 if the subcommand is missing.

    Raises:
        UsageError: for an unknown subcommand; the message names the nearest one.
    """
    words = list(words)
    if words and words[0] not in HELP:
        what = "flag" if words[0].startswith("-") else argument.lower()
        allowed = [*choices, *FLAGS.get(program, HELP)] if what == "flag" else [*choices]
        meant = did_you_mean(words[0], allowed)
        raise UsageError(f"{what}={words[0]!r}; {meant}allowed: {', '.join(allowed)}")
    print(_help(program, argument, choices, examples, intro))
    return 0 if words else 2


def choose_game(
    program: str, what: str, words: list[str], examples: Mapping[str, str]
) -> int | None:
    """Returns None if the first word is a game; otherwise prints the help, as `choose` does.

    Args:
        program: the command, such as "mfq record".
        what: what it does to a game, with "{}" in the place of the game's id.
        words, examples: as for `choose`.

    Returns:
        None, or an exit status.

    Raises:
        UsageError: as `choose`.
    """
    from mfenvs.registry import GAMES, full_id

    if words and full_id(words[0]) is not None:
        return None
    games = {game.rpartition("_v")[0]: what.format(game) for game in GAMES}
    return choose(program, "GAME", games, words, examples)


def _help(
    program: str,
    argument: str,
    choices: Mapping[str, str],
    examples: Mapping[str, str],
    intro: str,
) -> str:
    lines = [f"usage: {program} {argument} [OPTIONS]"]
    if intro:
        lines += ["", intro]
    width = max(map(len, choices))
    lines += ["", *(f"  {name:<{width}}  {text}" for name, text in choices.items())]
    width = max(map(len, examples))
    lines += ["", "Examples:"]
    lines += [f"  {command:<{width}}  {text}" for command, text in examples.items()]
    lines += ["", f"{program} {argument} --help explains the options."]
    if program == "mfq":
        lines[-1] += " mfq --version prints the version."
    return "\n".join(lines)
