"""Exact, fast games of many agents: Ising, Gaussian squeeze and grid battle (Yang et al., 2018), and
MAgent2's other games."""

from mfenvs import (
    adversarial_pursuit_v0,
    battle_v0,
    battlefield_v0,
    combined_arms_v0,
    gather_v0,
    gaussian_squeeze_v0,
    ising_v0,
    tiger_deer_v0,
)
from mfenvs.checks.environment import EnvError, check_env
from mfenvs.registry import game_class, make_batched, register, register_with_pettingzoo

__all__ = [
    "EnvError",
    "adversarial_pursuit_v0",
    "battle_v0",
    "battlefield_v0",
    "check_env",
    "combined_arms_v0",
    "game_class",
    "gather_v0",
    "gaussian_squeeze_v0",
    "ising_v0",
    "make_batched",
    "register",
    "tiger_deer_v0",
]
__version__ = "0.1.0"

register_with_pettingzoo()
