"""The `mfq` command. Each subcommand has a file; flags come from the configuration dataclasses."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from mfq.cli.errors import Failure, is_out_of_memory, printed

COMMANDS = {
    "train": "trains an agent on a game, or resumes a run",
    "evaluate": "plays episodes with the agent of a run, beside random play",
    "compare": "runs a study: ising, squeeze, battle, curves or dilemma",
    "play": "shows a game in a window, or as a summary",
    "record": "writes episodes as a page for a browser, a GIF or a video",
    "list": "lists games, algorithms, options, presets, players and runs",
}
"""Each is a module of this package with a function ``run(words)`` that returns an exit status."""
MODULES = {"list": "listing"}  # of other names, so as not to hide a builtin
EXAMPLES = {
    "mfq train": "12 agents learn to fight 12, in minutes",
    "mfq play battle": "two trained armies in a window",
    "mfq record battle --out a.html": "the same as a page to explore in a browser",
    "mfq list battle": "the options of a game",
}
Words = list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status.

    It is 0, or 2 for bad arguments, 1 for what fails at work, 130 for Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    logger, notes = logging.getLogger("mfenvs"), _Notes()
    logger.addHandler(notes)
    try:
        return _run(words)
    except BrokenPipeError:  # such as `mfq list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Failure as failure:
        print(f"mfq: {failure}", file=sys.stderr)
        return 1
    except (ValueError, TypeError, OSError, ImportError, MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            allowed = "allowed: fewer rows (--num-envs), a smaller game, network or replay"
            print(f"mfq: out of memory: {printed(error)}; {allowed}", file=sys.stderr)
            return 1
        if isinstance(error, RuntimeError):
            raise
        print(f"mfq: {printed(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmfq: interrupted", file=sys.stderr)
        return 130
    finally:
        logger.removeHandler(notes)


class _Notes(logging.Handler):
    """Prints what mfenvs logs, such as that a game is compiled, as a line of the command."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"mfq: {record.getMessage().partition(';')[0]}", file=sys.stderr, flush=True)


def _run(words: Words) -> int:
    from mfq.cli.choices import choose

    if words == ["--version"]:
        from mfenvs import __version__

        print(f"mfq {__version__}")
        return 0
    if "--trust" in words or any(word.startswith("--trust=") for word in words):
        from mfq.cli.flags import trust

        words = trust(words)
    if not words or words[0] not in COMMANDS:
        intro = "Mean field multi-agent reinforcement learning: games, agents, studies."
        return choose("mfq", "COMMAND", COMMANDS, words, EXAMPLES, intro)
    from mfq.common.memory import keep_freed

    keep_freed()
    module = MODULES.get(words[0], words[0])
    command: Callable[[Words], int] = import_module(f"mfq.cli.{module}").run
    return command(words[1:])
