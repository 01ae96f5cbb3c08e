"""Exact, fast games of many agents: Ising, Gaussian squeeze and grid battle (Yang et al., 2018)."""

from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfenvs.checks.environment import EnvError, check_env
from mfenvs.registry import game_class, make_batched, register_with_pettingzoo

__all__ = [
    "EnvError",
    "battle_v0",
    "check_env",
    "game_class",
    "gaussian_squeeze_v0",
    "ising_v0",
    "make_batched",
]
__version__ = "0.1.0"

register_with_pettingzoo()
