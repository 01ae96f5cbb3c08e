"""Tests whether a game keeps the contract of `Game`: ``check(MyGame, side=3)``.

The contract is documented in `mfenvs.game`, `mfenvs.views.batched` and `mfenvs.views.parallel`. Each
check tests one part of it, in the order of `CHECKS`. The first that fails raises a `ContractError` with
the expected and the actual result, the step, row and agent. To run one alone:
``CHECKS["deaths"](Trial(MyGame))``.

The checks play random actions, among them illegal ones and "no action". Choose options under which much
happens in few steps: small maps, short episodes. The report lists what did not happen in a run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mfenvs.checks import episode, form, streams, views
from mfenvs.checks.trial import ContractError, Trial
from mfenvs.game import Game

__all__ = ["CHECKS", "ContractError", "Report", "Trial", "check"]

# A check raises ContractError, or returns what did not happen in the run. Later checks rely on what
# earlier ones have tested.
Check = Callable[[Trial], str | None]
CHECKS: dict[str, Check] = {
    run.__name__: run
    for run in (
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
    """The checks that a game passed.

    Attributes:
        passed: names of checks, in the order of `CHECKS`.
        unseen: name -> what did not happen in the run of that check, so that it was not tested. Other
            options or more ``steps`` may change that.
    """

    passed: tuple[str, ...]
    unseen: dict[str, str]

    def __str__(self) -> str:
        notes = {name: f"  ({note})" for name, note in self.unseen.items()}
        return "\n".join(f"{name:12} passed{notes.get(name, '')}" for name in self.passed)


def check(
    game_class: type[Game], num_rows: int = 3, steps: int = 200, seed: int = 0, **options: Any
) -> Report:
    """Runs all `CHECKS` on a game.

    Args:
        game_class: a `Game`.
        num_rows: B of the batches, at least 2.
        steps: the length of a run, at least 20. A check plays one or more runs.
        seed: of the games and of the random actions, in [0, 2^61].
        options: fields of the game's Config; by default ``max_cycles`` is ``steps // 4``.

    Returns:
        The names of the checks that passed, and what they did not test.

    Raises:
        ContractError: from the first check that fails.
        TypeError, ValueError: for an argument out of range, or from the game's Config.
    """
    trial = Trial(game_class, num_rows, steps, seed, options)
    unseen = {}
    for name, run in CHECKS.items():
        try:
            note = run(trial)
        except ContractError as error:
            raise error.of_check(name, str(run.__doc__), trial) from error.__cause__
        except Exception as error:
            crash = ContractError("no other exception", f"{type(error).__name__}: {error}")
            raise crash.of_check(name, str(run.__doc__), trial) from error
        if note is not None:
            unseen[name] = note
    return Report(tuple(CHECKS), unseen)
