"""Constructors of the battlefield; options: `BattlefieldConfig`; spaces, rewards: `BattlefieldGame`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from mfenvs.gridworld.games.battlefield import UNSHAPED as UNSHAPED
from mfenvs.gridworld.games.battlefield import (
    BattlefieldConfig,
    BattlefieldOptions,
    BattlefieldRules,
)
from mfenvs.registry import game_class, make_batched, with_options
from mfenvs.views.aec import AecEnv, CheckedAecEnv
from mfenvs.views.parallel import ParallelEnv

if TYPE_CHECKING:
    from mfenvs.views.batched import BatchedEnv
    from mfenvs.views.vector import AgentVectorEnv

ID = "battlefield_v0"


@with_options(BattlefieldConfig)
def parallel_env(
    map_size: int = 80,
    max_cycles: int | None = 1000,
    minimap_mode: bool = False,
    extra_features: bool = False,
    render_mode: str | None = None,
    seed: int | None = None,
    show_graph: bool = False,
    **options: Unpack[BattlefieldRules],
) -> ParallelEnv:
    """Returns the game as a PettingZoo ParallelEnv. The first six arguments are those of MAgent2."""
    return ParallelEnv(
        game_class(ID),
        render_mode,
        show_graph,
        map_size=map_size,
        max_cycles=max_cycles,
        minimap_mode=minimap_mode,
        extra_features=extra_features,
        seed=seed,
        **options,
    )


@with_options(BattlefieldConfig)
def env(
    render_mode: str | None = None, show_graph: bool = False, **options: Unpack[BattlefieldOptions]
) -> CheckedAecEnv:
    """Returns the game as a PettingZoo AECEnv, with PettingZoo's usual wrappers."""
    return CheckedAecEnv(raw_env(render_mode=render_mode, show_graph=show_graph, **options))


@with_options(BattlefieldConfig)
def raw_env(
    map_size: int = 80,
    max_cycles: int | None = 1000,
    minimap_mode: bool = False,
    extra_features: bool = False,
    seed: int | None = None,
    render_mode: str | None = None,
    show_graph: bool = False,
    **options: Unpack[BattlefieldRules],
) -> AecEnv:
    """Returns the game as a PettingZoo AECEnv, without wrappers.

    The first five arguments are those of MAgent2.
    """
    return AecEnv(
        parallel_env(
            map_size,
            max_cycles,
            minimap_mode,
            extra_features,
            render_mode,
            seed,
            show_graph,
            **options,
        )
    )


@with_options(BattlefieldConfig)
def batched_env(
    num_envs: int = 1,
    device: Any = "cpu",
    dtype: str = "float32",
    **options: Unpack[BattlefieldOptions],
) -> BatchedEnv:
    """Returns ``num_envs`` rows of the game, which take and return torch tensors."""
    return make_batched(ID, num_envs, device, dtype, **options)


@with_options(BattlefieldConfig)
def vector_env(
    num_envs: int = 1, render_mode: str | None = None, **options: Unpack[BattlefieldOptions]
) -> AgentVectorEnv:
    """Returns a Gymnasium VectorEnv of which each agent of ``num_envs`` rows is a sub-environment.

    Raises:
        ValueError: for a game in which agents die.
    """
    from mfenvs.views.vector import AgentVectorEnv

    return AgentVectorEnv(game_class(ID), num_envs, render_mode, **options)
