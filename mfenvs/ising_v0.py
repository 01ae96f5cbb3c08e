"""Constructors of the Ising game; options: `IsingConfig`; spaces and rewards: `IsingGame`."""

from mfenvs.registry import makers

parallel_env, env, raw_env, batched_env, vector_env = makers("ising_v0")
