"""Constructors of the Gaussian squeeze; options: `SqueezeConfig`; spaces and rewards: `SqueezeGame`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from mfenvs.gaussian_squeeze.config import SqueezeConfig, SqueezeOptions
from mfenvs.registry import game_class, make_batched, with_options
from mfenvs.views.aec import AecEnv, CheckedAecEnv
from mfenvs.views.parallel import ParallelEnv

if TYPE_CHECKING:
    from mfenvs.views.batched import BatchedEnv
    from mfenvs.views.vector import AgentVectorEnv

ID = "gaussian_squeeze_v0"


@with_options(SqueezeConfig)
def parallel_env(
    render_mode: str | None = None, show_graph: bool = False, **options: Unpack[SqueezeOptions]
) -> ParallelEnv:
    """Returns the game as a PettingZoo ParallelEnv.

    Its dicts have an entry for each agent: for tens of thousands of agents use `batched_env`.
    """
    return ParallelEnv(game_class(ID), render_mode, show_graph, **options)


@with_options(SqueezeConfig)
def env(
    render_mode: str | None = None, show_graph: bool = False, **options: Unpack[SqueezeOptions]
) -> CheckedAecEnv:
    """Returns the game as a PettingZoo AECEnv, with PettingZoo's usual wrappers."""
    return CheckedAecEnv(raw_env(render_mode=render_mode, show_graph=show_graph, **options))


@with_options(SqueezeConfig)
def raw_env(
    render_mode: str | None = None, show_graph: bool = False, **options: Unpack[SqueezeOptions]
) -> AecEnv:
    """Returns the game as a PettingZoo AECEnv, without wrappers."""
    return AecEnv(parallel_env(render_mode, show_graph, **options))


@with_options(SqueezeConfig)
def batched_env(
    num_envs: int = 1,
    device: Any = "cpu",
    dtype: str = "float32",
    **options: Unpack[SqueezeOptions],
) -> BatchedEnv:
    """Returns ``num_envs`` rows of the game, which take and return torch tensors."""
    return make_batched(ID, num_envs, device, dtype, **options)


@with_options(SqueezeConfig)
def vector_env(
    num_envs: int = 1, render_mode: str | None = None, **options: Unpack[SqueezeOptions]
) -> AgentVectorEnv:
    """Returns a Gymnasium VectorEnv of which each agent of ``num_envs`` rows is a sub-environment.

    Raises:
        ValueError: for a game in which agents die.
    """
    from mfenvs.views.vector import AgentVectorEnv

    return AgentVectorEnv(game_class(ID), num_envs, render_mode, **options)
