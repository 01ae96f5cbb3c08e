"""The registered games, and the constructors that each ``*_v0`` module offers."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import pettingzoo

from mfenvs.game import Game
from mfenvs.views.parallel import ParallelEnv, to_aec

if TYPE_CHECKING:
    from mfenvs.views.batched import BatchedEnv
    from mfenvs.views.vector import AgentVectorEnv

# id -> "module:class"; imported on first use.
GAMES = {
    "battle_v0": "mfenvs.gridworld.games.battle:BattleGame",
    "gaussian_squeeze_v0": "mfenvs.gaussian_squeeze.game:SqueezeGame",
    "ising_v0": "mfenvs.ising.game:IsingGame",
}
NAMESPACE = "mfenvs"


def game_class(id: str) -> type[Game]:
    """Returns the class of a registered game.

    Args:
        id: such as "ising_v0", with or without the prefix "mfenvs/".

    Raises:
        ValueError: for an unknown id.
    """
    name = id.removeprefix(f"{NAMESPACE}/")
    if name not in GAMES:
        raise ValueError(f"id={id!r} is unknown; allowed: {', '.join(GAMES)}")
    module, _, attribute = GAMES[name].partition(":")
    return getattr(import_module(module), attribute)


def make_batched(
    id: str, num_envs: int = 1, device: Any = "cpu", dtype: str = "float32", **options: Any
) -> BatchedEnv:
    """Returns a `BatchedEnv` of a registered game; ``options`` are fields of its Config."""
    from mfenvs.views.batched import BatchedEnv

    return BatchedEnv(game_class(id), num_envs, device, dtype, **options)


class Makers(NamedTuple):
    """The constructors of one game. Their options are the fields of the game's Config."""

    parallel_env: Callable[..., ParallelEnv]
    env: Callable[..., Any]
    raw_env: Callable[..., Any]
    batched_env: Callable[..., BatchedEnv]
    vector_env: Callable[..., AgentVectorEnv]


def makers(id: str) -> Makers:
    """Returns the constructors of a registered game, each with a docstring."""

    def parallel_env(
        render_mode: str | None = None, show_graph: bool = False, **options: Any
    ) -> ParallelEnv:
        return ParallelEnv(game_class(id), render_mode, show_graph, **options)

    def env(**options: Any) -> Any:
        return to_aec(parallel_env(**options))

    def raw_env(**options: Any) -> Any:
        return to_aec(parallel_env(**options), usual_wrappers=False)

    def batched_env(
        num_envs: int = 1, device: Any = "cpu", dtype: str = "float32", **options: Any
    ) -> BatchedEnv:
        return make_batched(id, num_envs, device, dtype, **options)

    def vector_env(num_envs: int = 1, **options: Any) -> AgentVectorEnv:
        from mfenvs.views.vector import AgentVectorEnv

        return AgentVectorEnv(game_class(id), num_envs, **options)

    parallel_env.__doc__ = (
        f"Returns `{id}` as a PettingZoo ParallelEnv. Its dicts have an entry for each agent: for tens "
        "of thousands of agents use `batched_env`."
    )
    env.__doc__ = f"Returns `{id}` as a PettingZoo AECEnv, with PettingZoo's usual wrappers."
    raw_env.__doc__ = f"Returns `{id}` as a PettingZoo AECEnv, without wrappers."
    batched_env.__doc__ = (
        f"Returns ``num_envs`` rows of `{id}`, which take and return torch tensors."
    )
    vector_env.__doc__ = (
        f"Returns a Gymnasium VectorEnv of which each agent of ``num_envs`` rows of `{id}` is a "
        "sub-environment. Raises ValueError for games in which agents die."
    )
    return Makers(parallel_env, env, raw_env, batched_env, vector_env)


def register_with_pettingzoo() -> None:
    """Registers the games with PettingZoo, if its version has a registry.

    Then ``pettingzoo.make("parallel", "mfenvs/ising_v0")`` works.
    """
    if not hasattr(pettingzoo, "register"):
        return
    for api, registry, maker in (
        ("parallel", pettingzoo.parallel_registry, "parallel_env"),
        ("aec", pettingzoo.aec_registry, "env"),
    ):
        for id in GAMES:
            if f"{NAMESPACE}/{id}" not in registry:
                entry = f"mfenvs.{id}:{maker}"
                pettingzoo.register(api, f"{NAMESPACE}/{id}", entry_point=entry)
