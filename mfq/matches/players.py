"""Players that do not learn: scripts of the environment, and what a run has saved."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from mfq import pretrained
from mfq.agents.ac_config import ACConfig
from mfq.agents.ac_player import ACPlayer
from mfq.agents.actor_critic import ACTOR, networks_of
from mfq.agents.base import Player
from mfq.agents.by_type import ByType
from mfq.agents.q_config import QConfig
from mfq.agents.q_player import QPlayer, network_of
from mfq.common import checkpoint
from mfq.common.config import build
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.envs.wrap import wrap
from mfq.networks.encoders import InParts, split
from mfq.networks.precision import Precision
from mfq.policy import draw

BEST_FIRST = ("best.safetensors", "last.safetensors")


class Scripted:
    """A scripted player of the environment's own.

    Args:
        view: whose state it sees; the steps it is given must be this view's latest.
        name: one of ``view.scripts``.

    Raises:
        ValueError: for another name.
    """

    def __init__(self, view: View, name: str) -> None:
        if name not in view.scripts:
            allowed = ", ".join(dict.fromkeys([*view.scripts, "random"]))
            raise ValueError(f"the script {name!r} is unknown; allowed: {allowed}")
        self.view, self.name = view, name

    def act(self, step: Step, explore: bool = True) -> Tensor:
        return self.view.scripted(self.name)


class Random:
    """Plays actions at random, all of those that it may with equal probability.

    Args:
        seed: of its draws.
    """

    def __init__(self, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Actions int64 [B, N]; -1 for those that it does not play or that are dead."""
        index, mask = step.active_index, step.action_mask
        if mask is not None:
            may = mask.flatten(0, 1)[index].double().cpu()
        elif step.types is not None:
            counts = step.types.counts.expand_as(step.actions).flatten()[index].cpu()
            may = (torch.arange(step.num_actions) < counts[:, None]).double()
        else:
            may = torch.ones((len(index), step.num_actions), dtype=torch.float64)
        return step.scatter_actions(draw(may, self.generator).to(step.actions.device), index)


def script(name: str, view: View) -> Player:
    """The environment's scripted player of a name; "random" there is in any.

    Raises:
        ValueError: for another name.
    """
    if name == "random" and name not in view.scripts:
        return Random()
    return Scripted(view, name)


def load_player(source: str | Path, view: View) -> Player:
    """A player for a view.

    Args:
        source: the name of a script, "random", a checkpoint, the folder of a run (its best checkpoint,
            or else its last), or the name of a pretrained player.
        view: what it will play. A run of observations in parts (battle's view and features) also plays
            where both are in one picture, as in MAgent2's battle.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is neither, or damaged, or does not fit the view.
    """
    if source in view.scripts or source == "random":
        return script(str(source), view)
    path, state = read_run(source, view.scripts)
    try:
        return _player_of(state, view)
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path} does not fit: {error}") from None


def load_pretrained(game: str, algo: str, view: View | None = None) -> Player:
    """A player that comes with the package.

    Args:
        game: "battle_v0".
        algo: "mfq" or "iql"; "mfq-large" or "iql-large" have the paper's network, and fight better.
        view: what it will play; it may be that of MAgent2's own battle_v4. None: our game, with the
            options that the player was trained with. Where the armies are as large, a player made for
            the one also plays the other.

    Raises:
        ValueError: if there is none, or it does not fit the view.
    """
    found = pretrained.files(game)
    if algo not in found:
        allowed = ", ".join(found) or "none, as the game has no pretrained players"
        raise ValueError(f"algo={algo!r} for {game!r}; allowed: {allowed}")
    if view is None:
        import mfenvs

        view = wrap(mfenvs.make_batched(game, **(options_of([found[algo]], game) or {})))
    return load_player(found[algo], view)


def check_rivals(view: View, names: Collection[str]) -> None:
    """Finds now what would be in the way of matches against players of these names.

    Raises:
        OSError, ValueError: as `load_player`; or if there are names, and not two groups.
    """
    if names and len(view.group_names) != 2:
        raise ValueError(
            f"evaluate_against={names!r} where the groups are {view.group_names}; allowed: nobody, or "
            "games of two groups"
        )
    for name in names:
        load_player(name, view)


def options_of(
    sources: Iterable[str | Path], game: str, scripts: Collection[str] = ()
) -> dict[str, Any] | None:
    """The options of the game that the first saved run among the sources was trained with.

    Args:
        sources: as for `load_player`.
        game: the id of the game that all runs must be of.
        scripts: the names of its scripts.

    Returns:
        None if there are scripts alone.

    Raises:
        OSError, ValueError: as `load_player`, for the first source that is neither.
    """
    found = None
    for source in sources:
        if source in scripts:
            continue
        path, state = read_run(source, scripts)
        try:
            own, options = state["config"]["env"], dict(state["config"]["env_options"])
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f"{path} is no checkpoint of a run; allowed: those of mfq train"
            ) from None
        if own != game:
            raise ValueError(f"{path} is of a run on {own}; allowed: {game}")
        found = options if found is None else found
    return found


def read_run(source: str | Path, scripts: Collection[str] = ()) -> tuple[Path, dict[str, Any]]:
    """The checkpoint that a source means, and what is in it.

    Raises:
        OSError: if there is none; the message offers the scripts, too.
        ValueError: if it is damaged.
    """
    ready = pretrained.files("battle_v0")
    path = ready.get(str(source), Path(source))  # a folder of that name is ./mfq
    if path.is_dir():
        path = next((path / name for name in BEST_FIRST if (path / name).is_file()), path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{source} is no player; allowed: {''.join(f'{name}, ' for name in scripts)}"
            f"of battle's pretrained {' or '.join(ready)}, a checkpoint, or the folder of a run that "
            "has one"
        )
    return path, checkpoint.load(path)


def _player_of(state: dict[str, Any], view: View) -> Player:
    """From a checkpoint of the Runner's. Here, and nowhere else, is what play needs of its layout."""
    if not state["own_algo"]:
        raise ValueError("its algorithm is its user's; allowed: mfq, iql, mfac, ac")
    config, saved = state["config"], state["agent"]
    if view.type_specs is None:
        return _one_player(config, saved, state.get("parts"), view, config["seed"])
    if list(saved.get("types", {})) != list(view.type_names):
        raise ValueError(f"it has not the types {list(view.type_names)}")
    kinds = iter(saved["types"].values())
    return ByType(
        view, lambda its, seed: _one_player(config, next(kinds), None, its, seed), config["seed"]
    )


def _one_player(
    config: dict[str, Any],
    saved: dict[str, Any],
    parts: dict[str, int] | None,
    view: View,
    seed: int,
) -> Player:
    """The player of a view of agents of one type."""
    space = view.observation_space
    if parts is not None and not isinstance(space, spaces.Dict):
        space = split(space, parts)
    make = _ac_player if config["algo"] in ("mfac", "ac") else _q_player
    player = make(config, saved, space, view, seed)
    if parts is not None:
        player.module = InParts(player.module, parts)
    return player


def _ac_player(
    config: dict[str, Any],
    saved: dict[str, Any],
    space: spaces.Space[Any],
    view: View,
    seed: int,
) -> ACPlayer:
    options, coins = build(ACConfig, config["actor_critic"]), torch.Generator(view.device)
    weights = torch.Generator().manual_seed(seed)
    actor, _ = networks_of(options, space, view, config["algo"] == "mfac", weights)
    found = {name: part for name, part in saved["online"].items() if name.startswith(ACTOR)}
    actor.load_state_dict({name.removeprefix(ACTOR): part for name, part in found.items()})
    actor.to(view.device).requires_grad_(False)
    precision = Precision(options.precision, actor, view.device)
    greedy = options.play == "greedy"
    return ACPlayer(actor, options.temperature, greedy, coins.manual_seed(seed + 2), precision)


def _q_player(
    config: dict[str, Any],
    saved: dict[str, Any],
    space: spaces.Space[Any],
    view: View,
    seed: int,
) -> QPlayer:
    options, mean_field = build(QConfig, config["agent"]), config["algo"] == "mfq"

    def make(view: View, generator: torch.Generator) -> torch.nn.Module:
        return network_of(options, space, view, mean_field, generator)

    player = QPlayer(view, mean_field, options, seed, make)
    player.load_state_dict(saved)
    return player
