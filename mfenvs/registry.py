"""The registered games, and what the constructors in the ``*_v0`` modules share."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import pettingzoo

from mfenvs.game import Game
from mfenvs.validate import did_you_mean

if TYPE_CHECKING:
    from mfenvs.views.batched import BatchedEnv

Maker = TypeVar("Maker", bound=Callable[..., Any])
OwnGame = TypeVar("OwnGame", bound=type[Game])

# id -> "module:class"; imported on first use.
GAMES = {
    "adversarial_pursuit_v0": "mfenvs.gridworld.games.adversarial_pursuit:PursuitGame",
    "battle_v0": "mfenvs.gridworld.games.battle:BattleGame",
    "battlefield_v0": "mfenvs.gridworld.games.battlefield:BattlefieldGame",
    "combined_arms_v0": "mfenvs.gridworld.games.combined_arms:CombinedArmsGame",
    "gather_v0": "mfenvs.gridworld.games.gather:GatherGame",
    "gaussian_squeeze_v0": "mfenvs.gaussian_squeeze.game:SqueezeGame",
    "ising_v0": "mfenvs.ising.game:IsingGame",
    "tiger_deer_v0": "mfenvs.gridworld.games.tiger_deer:TigerDeerGame",
}
NAMESPACE = "mfenvs"
_REGISTERED: dict[str, type[Game]] = {}  # by `register`, in this process
_ID = re.compile(r"\w+_v\d+")


def register(game: OwnGame) -> OwnGame:
    """Registers a game of your own under its ``id``, in this process; use it as a decorator.

    Then `make_batched`, `game_class` and ``mfq.Runner`` know the id. A later game of the same id
    replaces it.

    Args:
        game: a subclass of `Game` with an ``id`` such as "hunt_v0".

    Returns:
        The class.

    Raises:
        TypeError: for another object.
        ValueError: for an id of another form, or of a game of mfenvs.
    """
    if not (isinstance(game, type) and issubclass(game, Game)):
        raise TypeError(f"game={game!r}; allowed: a subclass of mfenvs.game.Game")
    id = getattr(game, "id", None)
    if not isinstance(id, str) or not _ID.fullmatch(id) or id in GAMES:
        taken = ", ".join(GAMES)
        raise ValueError(f"id={id!r}; allowed: NAME_vNUMBER, such as 'hunt_v0', but not {taken}")
    _REGISTERED[id] = game
    return game


def full_id(id: str) -> str | None:
    """Returns the id of a registered game with its version and without "mfenvs/"; None for an unknown
    one.

    Args:
        id: such as "ising_v0" or "mfenvs/ising_v0"; or "ising", if only one version of it is registered.
    """
    name = id.removeprefix(f"{NAMESPACE}/")
    known = [*GAMES, *_REGISTERED]
    versions = [one for one in known if one.rpartition("_v")[0] == name]
    if name in known:
        return name
    return versions[0] if len(versions) == 1 else None


def suggestion(id: str) -> str:
    """Returns "did you mean battle_v0? " for a misspelt id, or "" if no registered one is similar."""
    return did_you_mean(id.removeprefix(f"{NAMESPACE}/"), [*GAMES, *_REGISTERED])


def game_class(id: str) -> type[Game]:
    """Returns the class of a registered game.

    Args:
        id: see `full_id`.

    Raises:
        ValueError: for an unknown id.
    """
    name = full_id(id)
    if name is None:
        known = ", ".join([*GAMES, *_REGISTERED])
        raise ValueError(f"id={id!r} is unknown; {suggestion(id)}allowed: {known}")
    if name in _REGISTERED:
        return _REGISTERED[name]
    module, _, attribute = GAMES[name].partition(":")
    return getattr(import_module(module), attribute)


def make_batched(
    id: str, num_envs: int = 1, device: Any = "cpu", dtype: str = "float32", **options: Any
) -> BatchedEnv:
    """Returns a `BatchedEnv` of a registered game; ``options`` are fields of its Config."""
    from mfenvs.views.batched import BatchedEnv

    return BatchedEnv(game_class(id), num_envs, device, dtype, **options)


def with_options(config: type) -> Callable[[Maker], Maker]:
    """Returns a decorator for a constructor of a game, whose ``**options`` are fields of ``config``.

    It replaces ``**options`` in the signature that `help` and notebooks show by the fields, with their
    types and defaults. Type checkers read the constructor's annotations instead.
    """

    def decorate(maker: Maker) -> Maker:
        shown = inspect.signature(maker)
        parameters = [p for p in shown.parameters.values() if p.kind is not p.VAR_KEYWORD]
        given = set(shown.parameters)
        parameters += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=field.type,
            )
            for field in fields(config)
            if field.name not in given
        ]
        maker.__signature__ = shown.replace(parameters=parameters)  # type: ignore[attr-defined]
        return maker

    return decorate


def register_with_pettingzoo() -> None:
    """Registers the games with PettingZoo, if its version has a registry.

    Then ``pettingzoo.make("parallel", "mfenvs/ising_v0")`` works, after ``import mfenvs``: PettingZoo
    1.27 has no entry points by which it would import it.
    """
    if not hasattr(pettingzoo, "register"):
        return
    for api, registry, maker in (
        ("parallel", pettingzoo.parallel_registry, "parallel_env"),
        ("aec", pettingzoo.aec_registry, "env"),
    ):
        for id in GAMES:
            stored = f"{NAMESPACE}/{id}".replace("_v", "-v")  # as PettingZoo writes it
            if stored not in registry:
                entry = f"mfenvs.{id}:{maker}"
                pettingzoo.register(api, f"{NAMESPACE}/{id}", entry_point=entry)
