"""Constructors of gather; options: `GatherConfig`; spaces and rewards: `GatherGame`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from mfenvs.gridworld.games.gather import UNSHAPED as UNSHAPED
from mfenvs.gridworld.games.gather import GatherConfig, GatherOptions, GatherRules
from mfenvs.registry import game_class, make_batched, with_options
from mfenvs.views.aec import AecEnv, CheckedAecEnv
from mfenvs.views.parallel import ParallelEnv

if TYPE_CHECKING:
    from mfenvs.views.batched import BatchedEnv
    from mfenvs.views.vector import AgentVectorEnv

ID = "gather_v0"


@with_options(GatherConfig)
def parallel_env(
    max_cycles: int | None = 500,
    minimap_mode: bool = False,
    extra_features: bool = False,
    render_mode: str | None = None,
    seed: int | None = None,
    show_graph: bool = False,
    **options: Unpack[GatherRules],
) -> ParallelEnv:
    """Returns the game as a PettingZoo ParallelEnv. The first five arguments are those of MAgent2."""
    return ParallelEnv(
        game_class(ID),
        render_mode,
        show_graph,
        max_cycles=max_cycles,
        minimap_mode=minimap_mode,
        extra_features=extra_features,
        seed=seed,
        **options,
    )


@with_options(GatherConfig)
def env(
    render_mode: str | None = None, show_graph: bool = False, **options: Unpack[GatherOptions]
) -> CheckedAecEnv:
    """Returns the game as a PettingZoo AECEnv, with PettingZoo's usual wrappers."""
    return CheckedAecEnv(raw_env(render_mode=render_mode, show_graph=show_graph, **options))


@with_options(GatherConfig)
def raw_env(
    max_cycles: int | None = 500,
    minimap_mode: bool = False,
    extra_features: bool = False,
    seed: int | None = None,
    render_mode: str | None = None,
    show_graph: bool = False,
    **options: Unpack[GatherRules],
) -> AecEnv:
    """Returns the game as a PettingZoo AECEnv, without wrappers.

    The first four arguments are those of MAgent2.
    """
    return AecEnv(
        parallel_env(
            max_cycles,
            minimap_mode,
            extra_features,
            render_mode,
            seed,
            show_graph,
            **options,
        )
    )


@with_options(GatherConfig)
def batched_env(
    num_envs: int = 1,
    device: Any = "cpu",
    dtype: str = "float32",
    **options: Unpack[GatherOptions],
) -> BatchedEnv:
    """Returns ``num_envs`` rows of the game, which take and return torch tensors."""
    return make_batched(ID, num_envs, device, dtype, **options)


@with_options(GatherConfig)
def vector_env(
    num_envs: int = 1, render_mode: str | None = None, **options: Unpack[GatherOptions]
) -> AgentVectorEnv:
    """Returns a Gymnasium VectorEnv of which each agent of ``num_envs`` rows is a sub-environment.

    Raises:
        ValueError: for a game in which agents die.
    """
    from mfenvs.views.vector import AgentVectorEnv

    return AgentVectorEnv(game_class(ID), num_envs, render_mode, **options)
