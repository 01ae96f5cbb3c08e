"""Does a game keep the contract? For authors of games: ``check(MyGame, side=3)`` in a test.

What a `Game` promises to its two views, and they to the world, is said in `mfenvs.game`,
`mfenvs.views.batched` and `mfenvs.views.parallel`. Each check looks after one promise, in the order of
`CHECKS`; the first that fails raises a `ContractError`, which says what was expected, what was
found, and at which step, row and agent. To run one alone: ``CHECKS["deaths"](Trial(MyGame))``.

The checks play random actions, illegal ones and "no action" among them. So the best trial is a game
with options under which much happens in few steps: small maps, short episodes. What a run gave no
occasion to see, the report names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mfenvs.checks import episode, form, streams, views
from mfenvs.checks.trial import ContractError, Trial
from mfenvs.game import Game

__all__ = ["CHECKS", "ContractError", "Report", "Trial", "check"]

# A check raises ContractError, or says what the run gave it no occasion to see. Later checks rely
# on what earlier ones have found in order.
Check = Callable[[Trial], str | None]
CHECKS: dict[str, Check] = {
    look.__name__: look
    for look in (
        form.names,
        form.config,
        form.outputs,
        form.spaces,
        streams.determinism,
        streams.generators,
        streams.seeding,
        streams.rows,
        streams.stateless,
        streams.order,
        form.memory,
        episode.rewards,
        episode.truncation,
        episode.autoreset,
        episode.deaths,
        episode.masks,
        episode.acting,
        views.snapshots,
        views.graph,
        views.views,
        form.bad_input,
        form.pickling,
    )
}


@dataclass(frozen=True)
class Report:
    """What a game passed.

    Attributes:
        passed: names of checks, in the order of `CHECKS`.
        unseen: name -> what that check had no occasion to see; other options or more ``steps`` may
            change that.
    """

    passed: tuple[str, ...]
    unseen: dict[str, str]

    def __str__(self) -> str:
        notes = {name: f"  ({note})" for name, note in self.unseen.items()}
        return "\n".join(f"{name:12} passed{notes.get(name, '')}" for name in self.passed)


def check(
    game_class: type[Game], num_rows: int = 3, steps: int = 200, seed: int = 0, **options: Any
) -> Report:
    """Puts a game to every check of `CHECKS`.

    Args:
        game_class: a `Game`.
        num_rows: B of the batches, at least 2.
        steps: length of a run, at least 20; a check plays a few runs.
        seed: of the games and of the random actions, in [0, 2^61].
        options: fields of the game's Config; ``max_cycles`` is ``steps // 4`` if it is not given.

    Returns:
        The names of the checks passed, and what they had no occasion to see.

    Raises:
        ContractError: from the first check that fails.
        TypeError, ValueError: for an argument out of range, or from the game's Config.
    """
    trial = Trial(game_class, num_rows, steps, seed, options)
    unseen = {}
    for name, look in CHECKS.items():
        try:
            note = look(trial)
        except ContractError as error:
            raise error.told(name, str(look.__doc__), trial) from error.__cause__
        except Exception as error:
            crash = ContractError("the game to play on", f"{type(error).__name__}: {error}")
            raise crash.told(name, str(look.__doc__), trial) from error
        if note is not None:
            unseen[name] = note
    return Report(tuple(CHECKS), unseen)
