"""The `mfq` command. Its flags come from the configuration dataclasses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

HELP = """\
usage: mfq compare STUDY [options]

Mean-field reinforcement learning (Yang et al., 2018).

commands:
  compare ising    agents on the Ising lattice, held against exact physics

`mfq compare STUDY --help` lists a study's options. `--config FILE.yaml` reads them from a
file; flags given beside it win.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, 2 for bad arguments, 130 for Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(HELP, end="")
        return 0 if words else 2
    try:
        return _command(words)
    except (ValueError, TypeError, OSError) as error:
        print(f"mfq: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmfq: interrupted; no result was written", file=sys.stderr)
        return 130


def _command(words: list[str]) -> int:
    command, *rest = words
    if command != "compare":
        raise ValueError(f"unknown command {command!r}; allowed: compare")
    if not rest or rest[0] in ("-h", "--help"):
        print(HELP, end="")
        return 0 if rest else 2
    study, *flags = rest
    if study not in STUDIES:
        raise ValueError(f"unknown study {study!r}; allowed: {', '.join(STUDIES)}")
    return STUDIES[study](flags)


def _compare_ising(flags: list[str]) -> int:
    from baselines import ising

    ising.run(_parse(ising.IsingStudy, flags, "mfq compare ising"))
    return 0


STUDIES: dict[str, Callable[[list[str]], int]] = {"ising": _compare_ising}


def _parse(kind: type[Any], flags: list[str], program: str) -> Any:
    """A configuration from flags, over those of ``--config FILE.yaml`` if that is among them."""
    import tyro

    from mfq.config import from_yaml

    default = None
    for place, flag in enumerate(flags):
        name, equals, path = flag.partition("=")
        if name == "--config":
            if not equals and place + 1 == len(flags):
                raise ValueError("--config needs a file")
            default = from_yaml(kind, path if equals else flags[place + 1])
            flags = flags[:place] + flags[place + (1 if equals else 2) :]
            break
    return tyro.cli(
        kind, prog=program, args=flags, default=default if default is not None else kind()
    )


if __name__ == "__main__":
    sys.exit(main())
