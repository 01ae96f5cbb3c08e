"""Who plays a game: reads the players of its groups as `mfq play` and `mfq record` take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mfq.agents.base import Player
from mfq.envs.lookup import is_code
from mfq.envs.view import View
from mfq.envs.wrap import wrap
from mfq.matches.players import load_player, options_of

PRETRAINED = {"red": "mfq", "blue": "iql"}
"""The players of battle, if none is named."""
MakePlayer = Callable[[View], Player]


class Lineup(NamedTuple):
    """A game and its players.

    Attributes:
        game: the id of the game.
        view: a view of one row of it.
        players: the player of each group.
        sources: the names of these players.
    """

    game: str
    view: View
    players: dict[str, Player]
    sources: dict[str, str]


def lineup(
    game: str,
    player: str | None = None,
    red: str | None = None,
    blue: str | None = None,
    env_options: Mapping[str, Any] | None = None,
    other: str = "random",
    basis: Mapping[str, Any] | None = None,
    makers: Mapping[str, MakePlayer] | None = None,
) -> Lineup:
    """Loads the players of a game, in the game of the first of them that was trained.

    Args:
        game: the id of a game of mfenvs.
        player: who plays all groups, or those that no other argument names; or players by group, such
            as "predator=hunt,prey=flee".
        red, blue: who plays red and blue, in games that have them.
        env_options: options of the game, over those of the training.
        other: who plays the groups that nobody was named for. In battle, if nobody was named at all,
            the `PRETRAINED` play.
        basis: options of the game if no player was trained.
        makers: further players: name -> a function of the view.

    Raises:
        ValueError: for an unknown game, or a group that the game does not have.
        ValueError, TypeError, OSError: as `load_player`.
    """
    import mfenvs
    from mfenvs.registry import full_id

    name = full_id(game)
    if name is None:
        raise ValueError(f"game={game!r}; allowed: {', '.join(mfenvs.registry.GAMES)}")
    scripts, makers = mfenvs.game_class(name).players, makers or {}
    asked: dict[str, str | None] = {"red": red, "blue": blue}
    if name == "battle_v0" and player is None and not any(asked.values()):
        asked = {**PRETRAINED}
    by_group = _by_group(player or other)
    rest = by_group.pop("", other)
    asked |= by_group
    named = {"player": rest, **{group: source for group, source in asked.items() if source}}
    trained = None
    for flag, source in named.items():
        if source in makers or source == "random" or is_code(source):
            continue
        try:
            options = options_of([source], name, scripts)
        except (OSError, ValueError) as error:
            raise type(error)(f"{flag}={source!r}: {error}") from None
        trained = options if trained is None else trained
    options = {**(dict(basis or {}) if trained is None else trained), **(env_options or {})}
    view = wrap(mfenvs.make_batched(name, **options))
    sources = {group: asked.get(group) or rest for group in view.group_names}
    for group, named_source in asked.items():
        if named_source is not None and group not in sources:
            raise ValueError(
                f"{group}={named_source!r} where the groups are {', '.join(sources)}; allowed: "
                f"--player PLAYER, or --player {','.join(f'{each}=PLAYER' for each in sources)}"
            )
    made = {
        source: makers[source](view) if source in makers else load_player(source, view)
        for source in dict.fromkeys(sources.values())
    }
    return Lineup(name, view, {group: made[source] for group, source in sources.items()}, sources)


def _by_group(player: str) -> dict[str, str]:
    """Returns the players in a text GROUP=PLAYER,... by group; that of a text without groups by ""."""
    if "=" not in player or Path(player).exists():
        return {"": player}
    pairs = [part.partition("=") for part in player.split(",")]
    return {group.strip(): source.strip() for group, _, source in pairs}
