"""The Ising game. Options: `mfenvs.ising.game.IsingConfig`; the datasheet: `IsingGame`."""

from mfenvs.registry import makers

parallel_env, env, raw_env, batched_env, vector_env = makers("ising_v0")
