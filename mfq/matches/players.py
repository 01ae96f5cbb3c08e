"""Players that do not learn: scripts of environments, saved players of runs, and players by code."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from mfenvs.validate import did_you_mean
from mfq import pretrained
from mfq.agents.base import Player
from mfq.agents.registry import load_agent_player, saved_agent
from mfq.common import checkpoint
from mfq.common.generators import seeded
from mfq.envs import lookup
from mfq.envs.lookup import is_code
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.envs.wrap import wrap
from mfq.matches.module_player import ModulePlayer
from mfq.networks.encoders import InParts, split
from mfq.policy import draw

BEST_FIRST = ("best.safetensors", "last.safetensors")


class Scripted(Player):
    """A scripted player of an environment.

    Args:
        view: the view to play. It acts on the view's current state, whatever the step.
        name: one of ``view.scripts``.

    Raises:
        ValueError: for an unknown name.
    """

    def __init__(self, view: View, name: str) -> None:
        if name not in view.scripts:
            names = list(dict.fromkeys([*view.scripts, "random"]))
            meant, allowed = did_you_mean(name, names), ", ".join(names)
            raise ValueError(
                f"the script {name!r} is unknown in this view; {meant}allowed: {allowed}; scripts of a "
                "grid world need its batched_env, and of a run, a checkpoint or a pretrained player "
                f"mfq.load_player({name!r}, view) returns the player"
            )
        self.view, self.name = view, name

    def act(self, step: Step, explore: bool = True) -> Tensor:
        return self.view.scripted(self.name)


class Random(Player):
    """Plays uniformly random allowed actions.

    Args:
        seed: seed of the draws.
    """

    def __init__(self, seed: int = 0) -> None:
        self.generator = seeded(seed)

    @property
    def generators(self) -> Sequence[torch.Generator]:
        return (self.generator,)

    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Returns actions int64 [B, N]; -1 for dead agents and those that it does not play."""
        index, mask = step.active_index, step.action_mask
        if mask is not None:
            allowed = mask.flatten(0, 1)[index].double().cpu()
        elif step.types is not None:
            counts = step.types.counts.expand_as(step.actions).flatten()[index].cpu()
            allowed = (torch.arange(step.num_actions, device="cpu") < counts[:, None]).double()
        else:
            allowed = torch.ones((len(index), step.num_actions), dtype=torch.float64, device="cpu")
        return step.scatter_actions(draw(allowed, self.generator).to(step.actions.device), index)


def script(name: str, view: View) -> Player:
    """Returns a scripted player of the environment by name; "random" is available in all.

    Raises:
        ValueError: for an unknown name.
    """
    if name == "random" and name not in view.scripts:
        return Random()
    return Scripted(view, name)


def load_player(
    source: str | Path, view: View, algo: Any = None, trust: Iterable[str] = ()
) -> Player:
    """Returns a player for a view.

    Args:
        source: the name of a script, "random", a checkpoint, the folder of a run (its best checkpoint,
            or else its last), the name of a pretrained player, or MODULE:NAME of a player of your own
            (see `player_of_code`), which is imported.
        view: the view to play. A player trained on observations in parts (battle's view and features)
            can also play a view with both in one picture, as in MAgent2's battle.
        algo: the class of the run's algorithm, if the file does not name it.
        trust: the MODULE:NAMEs that the file may name, such as the class of an algorithm. Loading a file
            imports no others.

    Raises:
        OSError: if the file does not exist.
        ValueError: if it is not a checkpoint, is damaged, or does not fit the view; or if MODULE:NAME
            does not exist.
        TypeError: if MODULE:NAME is no player.
    """
    if source in view.scripts or source == "random":
        return script(str(source), view)
    if is_code(source):
        return player_of_code(str(source), view)
    lookup.trust(trust)
    path, state = read_run(source, view.scripts)
    try:
        return _player_of(state, view, algo)
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        other = _other_options(state, view)
        cause = f"it was trained in another game: {other}; " if other else ""
        raise ValueError(f"{path} does not fit: {cause}{error}") from None


def player_of_code(name: str, view: View) -> Player:
    """Imports MODULE:NAME, trusts it, and returns the player that it stands for.

    Args:
        name: the name of a `Player`; of a torch module, which plays as a `ModulePlayer`; or of a
            function or class that returns either. It is called with the view if it has a required
            parameter or one called ``view``, else without arguments.
        view: the view to play.

    Raises:
        ValueError: if the module does not exist, or has no such attribute.
        TypeError: if it is or returns something else.
    """
    code = lookup.find(name)
    if isinstance(code, type) and issubclass(code, nn.Module):
        raise TypeError(
            f"{name} is a class of torch modules, and has no trained weights; allowed: a module, or a "
            f"function that returns one, such as mfq.ModulePlayer.from_file(path, {code.__name__})"
        )
    made = code
    if not isinstance(code, Player | nn.Module):
        if not callable(code):
            raise TypeError(f"{name} is a {type(code).__name__}; allowed: {_PLAYER_CODE}")
        made = code(view) if _takes_view(name, code) else code()
    if isinstance(made, nn.Module):
        return ModulePlayer(made)
    if not isinstance(made, Player):
        raise TypeError(f"{name} returned a {type(made).__name__}; allowed: {_PLAYER_CODE}")
    return made


_PLAYER_CODE = "an mfq.Player, a torch.nn.Module, or a function of the view that returns one"


def _takes_view(name: str, make: Any) -> bool:
    """Returns whether a function is to be called with a view.

    Raises:
        TypeError: if it has several required parameters.
    """
    try:
        parameters = inspect.signature(make).parameters.values()
    except ValueError:  # some functions of C have no signature
        return True
    required = [
        p
        for p in parameters
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if len(required) > 1 or any(p.kind is p.KEYWORD_ONLY for p in required):
        takes = inspect.signature(make)
        raise TypeError(f"{name} takes {takes}; allowed: the view, or no argument")
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return bool(required) or any(p.name == "view" and p.kind in positional for p in parameters)


def _other_options(state: dict[str, Any], view: View) -> str:
    """Returns in which options the game of a checkpoint differs from that of a view: "map_size 20, here
    40, ..."; "" if in none, or if that cannot be known."""
    if not state.get("own_env", True):  # the run's environment was given, and not by its name
        return ""
    try:
        game = view.env.game  # type: ignore[attr-defined]
        trained, options = state["config"]["env"], state["config"]["env_options"]
        if trained.removeprefix("mfenvs/") != game.id:
            return f"{trained}, here {game.id}"
        before, now = asdict(type(game).configure(options)), asdict(game.config)
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""
    differing = [name for name in now if before[name] != now[name]]
    return ", ".join(f"{name} {before[name]!r}, here {now[name]!r}" for name in differing)


def load_pretrained(game: str, algo: str, view: View | None = None) -> Player:
    """Returns a pretrained player of the package.

    Args:
        game: "battle_v0", or "battle".
        algo: "mfq" or "iql"; or "mfq-large" or "iql-large", which have the paper's network and are
            stronger.
        view: the view to play, of battle_v0 or of MAgent2's battle_v4, with armies of the size that the
            player was trained with. None: battle_v0 with the options of the player's training.

    Raises:
        ValueError: for an unknown player, or one that does not fit the view.
    """
    import mfenvs
    from mfenvs.registry import full_id

    game = full_id(game) or game
    paths = pretrained.files(game)
    if algo not in paths:
        allowed = ", ".join(paths) or "none, as the game has no pretrained players"
        raise ValueError(f"algo={algo!r} for {game!r}; allowed: {allowed}")
    if view is None:
        view = wrap(mfenvs.make_batched(game, **(options_of([paths[algo]], game) or {})))
    return load_player(paths[algo], view)


def check_rivals(view: View, names: Collection[str]) -> None:
    """Checks that matches against players of these names are possible.

    Raises:
        OSError, ValueError: as `load_player`; or if the view has not two groups.
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
    """Returns the game's options in the training of the first source that is a run.

    Args:
        sources: as for `load_player`.
        game: the id of the game; all runs must be of it.
        scripts: the names of its scripts.

    Returns:
        The options; None if all sources are scripts and MODULE:NAMEs.

    Raises:
        OSError, ValueError: as `load_player`.
    """
    first = None
    for source in sources:
        if source in scripts or is_code(source):
            continue
        path, state = read_run(source, scripts)
        try:
            env, options = state["config"]["env"], dict(state["config"]["env_options"])
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f"{path} is no checkpoint of a run; allowed: those of mfq train"
            ) from None
        if env != game:
            raise ValueError(f"{path} is of a run on {env}; allowed: {game}")
        first = options if first is None else first
    return first


def read_run(source: str | Path, scripts: Collection[str] = ()) -> tuple[Path, dict[str, Any]]:
    """Returns the path and the state of the checkpoint of a source.

    Raises:
        OSError: if it does not exist; the message lists the scripts, too.
        ValueError: if it is damaged.
    """
    by_name = pretrained.files("battle_v0")
    path = by_name.get(str(source), Path(source))  # for a folder of the same name use ./NAME
    if path.is_dir():
        path = next((path / name for name in BEST_FIRST if (path / name).is_file()), path)
    if not path.is_file():
        of_scripts = f"{', '.join(scripts)} (scripts), " if scripts else ""
        meant = did_you_mean(str(source), [*scripts, *by_name])
        raise FileNotFoundError(
            f"{source} is no player; {meant}allowed: {of_scripts}{', '.join(by_name)} "
            "(pretrained, of battle), a checkpoint, the folder of a run that has one, or MODULE:NAME "
            "of a player of your own"
        )
    return path, checkpoint.load(path)


def _player_of(state: dict[str, Any], view: View, algo: Any) -> Player:
    """Returns the player in the state of a Runner's checkpoint."""
    config = state["config"]
    name, options = saved_agent(state, algo)
    parts = state.get("parts")  # of an observation that is a picture and vectors
    space = None
    if parts is not None and view.type_specs is None:
        space = view.observation_space
        space = space if isinstance(space, spaces.Dict) else split(space, parts)
    player = load_agent_player(view, name, options, state["agent"], config["seed"], space)
    if parts is not None and player.module is not None:
        player.module = InParts(player.module, parts).eval()
    return player
