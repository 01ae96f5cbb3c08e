"""The environment of a run: its name, its options, and what a checkpoint may name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from typing import Any

from mfq.agents.registry import ALGORITHMS
from mfq.envs import lookup
from mfq.envs.lookup import ENV_NAMES, is_code, maker
from mfq.envs.view import View
from mfq.training.config import RunConfig


def full_name(env: str) -> str:
    """Returns the name of an environment; of a game of mfenvs that lacks its version, such as "battle",
    the full one, "battle_v0"."""
    from mfenvs.registry import full_id

    return env if maker(env) is not None else full_id(env) or env


def check_env_options(config: RunConfig) -> None:
    """Raises ValueError or TypeError for options that a named environment does not have, as far as that
    can be known without making it."""
    from mfenvs.registry import full_id, game_class

    if maker(config.env, config.env_options) is None and (name := full_id(config.env)) is not None:
        options = config.env_options.keys() - {"num_envs", "device"}
        game_class(name).configure({option: config.env_options[option] for option in options})


def make_game(config: RunConfig, num_envs: int) -> Any:
    """Returns a batch of a game of mfenvs.

    Args:
        config: the options of the run.
        num_envs: the number of rows.

    Raises:
        ValueError: for an unknown game, or options that the run has itself.
    """
    import mfenvs
    from mfenvs.registry import GAMES, full_id, suggestion

    if full_id(config.env) is None:
        meant = suggestion(config.env) or lookup.hint(config.env)
        raise ValueError(
            f"env={config.env!r} is unknown; {meant}allowed: {', '.join(GAMES)}, {ENV_NAMES}"
        )
    if config.workers:
        raise ValueError(f"workers={config.workers!r} for {config.env}; allowed: 0, it is fast")
    for name in ("num_envs", "device"):
        if name in config.env_options:
            raise ValueError(
                f"env_options[{name!r}]={config.env_options[name]!r}; allowed: the run's {name}"
            )
    return mfenvs.make_batched(
        config.env, num_envs=num_envs, device=config.device, **config.env_options
    )


def described(env: Any) -> str:
    """Returns MODULE:QUALNAME of a function that makes environments, or of an environment's class."""
    while isinstance(env, functools.partial):
        env = env.func
    if isinstance(env, list | tuple) and env:
        env = env[0]
    if isinstance(env, View):
        env = getattr(env, "env", env)
    code = env if isinstance(env, type) or inspect.isroutine(env) else type(env)
    return f"{code.__module__}:{code.__qualname__}"


def names_of_code(
    fields: dict[str, Any], env: Any, algo: Any, changes: dict[str, Any]
) -> dict[str, Any]:
    """Returns the MODULE:NAMEs in the config of a checkpoint that loading it would import, by option.

    Args:
        fields: the config.
        env, algo, changes: those given instead of the config's; None for the config's.
    """
    names = {} if "graph" in changes else {"graph": fields["graph"]}
    if "opponents" not in changes:
        names |= _players_of_code("opponents", fields.get("opponents", ()))
    changed = changes.get("evaluation", {})
    is_given = not isinstance(changed, dict) or "against" in changed
    if not is_given and "evaluate_against" not in changes:
        saved = fields.get("evaluation", {}).get("against", fields.get("evaluate_against", ()))
        names |= _players_of_code("evaluation.against", saved)
    if env is None:
        names["env"] = fields["env"]
        # Some of Gymnasium's environments, such as shimmy's, import what an option names.
        options = dict(fields.get("env_options") or {})
        names |= {f"env_options.{k}": value for k, value in options.items() if is_code(value)}
    if algo is None and fields["algo"] not in ALGORITHMS:
        names["algo"] = fields["algo"]
    agent = fields.get("agent")
    return names | {"mean_field": agent.get("mean_field") if isinstance(agent, dict) else None}


def _players_of_code(option: str, players: Iterable[str]) -> dict[str, str]:
    """Returns the MODULE:NAMEs among names of players, by the option and a number."""
    return {f"{option}.{k}": name for k, name in enumerate(filter(is_code, players))}
