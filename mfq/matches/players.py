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
from mfq.agents.by_type import ByType
from mfq.agents.q_config import QConfig
from mfq.agents.q_player import QPlayer, network_of
from mfq.common import checkpoint
from mfq.common.config import build
from mfq.common.generators import go_on
from mfq.envs.view import Step, View
from mfq.networks.encoders import InParts, split
from mfq.networks.precision import Precision
from mfq.policy import draw
from mfq.training.loop import Player

BEST_FIRST = ("best.safetensors", "last.safetensors")
APART = 100_003
"""How far the seeds of a player's parts are from each other: farther than those of players are."""


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
        seats, mask = step.seats, step.action_mask
        if mask is not None:
            may = mask.flatten(0, 1)[seats].double().cpu()
        elif step.types is not None:
            counts = step.types.counts.expand_as(step.actions).flatten()[seats].cpu()
            may = (torch.arange(step.num_actions) < counts[:, None]).double()
        else:
            may = torch.ones((len(seats), step.num_actions), dtype=torch.float64)
        return step.spread(draw(may, self.generator).to(step.actions.device), seats)


def script(name: str, view: View) -> Player:
    """The environment's scripted player of a name; "random" there is in any.

    Raises:
        ValueError: for another name.
    """
    if name == "random" and name not in view.scripts:
        return Random()
    return Scripted(view, name)


def parts_of(player: Any) -> list[Any]:
    """The players that a player is made of, where it is of several; else itself."""
    return list(getattr(player, "parts", [player]))


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
    if view.kinds is None:
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


def reseed(player: Any, seed: int) -> None:
    """Seeds a player's own generator, where it has one; of several parts each gets a seed of its own."""
    for k, part in enumerate(parts_of(player)):
        if isinstance(generator := getattr(part, "generator", None), torch.Generator):
            generator.manual_seed(seed + APART * k)


def state_of(player: Any) -> dict[str, Any]:
    """What a player's play depends on: weights, generator, the time of its schedules."""
    if (parts := parts_of(player)) != [player]:
        return {"parts": [state_of(part) for part in parts]}
    state: dict[str, Any] = {}
    if (module := getattr(player, "module", None)) is not None:
        state["module"] = module.state_dict()
    if (generator := getattr(player, "generator", None)) is not None:
        state["generator"] = generator.get_state()
    if (time := getattr(player, "time", None)) is not None:
        state["time"] = time
    return state


def restore(player: Any, state: dict[str, Any]) -> None:
    """Takes up a `state_of` a player of the same make."""
    if "parts" in state:
        for part, saved in zip(parts_of(player), state["parts"], strict=True):
            restore(part, saved)
        return
    if "module" in state:
        player.module.load_state_dict(state["module"])
    if "generator" in state:
        go_on(player.generator, state["generator"])
    if "time" in state:
        player.time = state["time"]
