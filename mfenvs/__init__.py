"""Exact, fast games of many agents: Ising, Gaussian squeeze and grid battle (Yang et al., 2018)."""

from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfenvs.registry import game_class, make_batched, register_with_pettingzoo

__all__ = ["battle_v0", "game_class", "gaussian_squeeze_v0", "ising_v0", "make_batched"]
__version__ = "0.1.0"

register_with_pettingzoo()
