"""Constructors of combined arms; options: `CombinedArmsConfig`; spaces, rewards: `CombinedArmsGame`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from mfenvs.gridworld.games.combined_arms import UNSHAPED as UNSHAPED
from mfenvs.gridworld.games.combined_arms import (
    CombinedArmsConfig,
    CombinedArmsOptions,
    CombinedArmsRules,
)
from mfenvs.registry import game_class, make_batched, with_options
from mfenvs.views.aec import AecEnv, CheckedAecEnv
from mfenvs.views.parallel import ParallelEnv

if TYPE_CHECKING:
    from mfenvs.views.batched import BatchedEnv
    from mfenvs.views.vector import AgentVectorEnv

ID = "combined_arms_v0"


@with_options(CombinedArmsConfig)
def parallel_env(
    map_size: int = 45,
    max_cycles: int | None = 1000,
    minimap_mode: bool = False,
    extra_features: bool = False,
    render_mode: str | None = None,
    seed: int | None = None,
    show_graph: bool = False,
    **options: Unpack[CombinedArmsRules],
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


@with_options(CombinedArmsConfig)
def env(
    render_mode: str | None = None, show_graph: bool = False, **options: Unpack[CombinedArmsOptions]
) -> CheckedAecEnv:
    """Returns the game as a PettingZoo AECEnv, with PettingZoo's usual wrappers."""
    return CheckedAecEnv(raw_env(render_mode=render_mode, show_graph=show_graph, **options))


@with_options(CombinedArmsConfig)
def raw_env(
    map_size: int = 45,
    max_cycles: int | None = 1000,
    minimap_mode: bool = False,
    extra_features: bool = False,
    render_mode: str | None = None,
    seed: int | None = None,
    show_graph: bool = False,
    **options: Unpack[CombinedArmsRules],
) -> AecEnv:
    """Returns the game as a PettingZoo AECEnv, without wrappers.

    The first six arguments are those of MAgent2.
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


@with_options(CombinedArmsConfig)
def batched_env(
    num_envs: int = 1,
    device: Any = "cpu",
    dtype: str = "float32",
    **options: Unpack[CombinedArmsOptions],
) -> BatchedEnv:
    """Returns ``num_envs`` rows of the game, which take and return torch tensors."""
    return make_batched(ID, num_envs, device, dtype, **options)


@with_options(CombinedArmsConfig)
def vector_env(
    num_envs: int = 1, render_mode: str | None = None, **options: Unpack[CombinedArmsOptions]
) -> AgentVectorEnv:
    """Returns a Gymnasium VectorEnv of which each agent of ``num_envs`` rows is a sub-environment.

    Raises:
        ValueError: for a game in which agents die.
    """
    from mfenvs.views.vector import AgentVectorEnv

    return AgentVectorEnv(game_class(ID), num_envs, render_mode, **options)
