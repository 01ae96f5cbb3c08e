"""Constructors of the Gaussian squeeze; options: `SqueezeConfig`; spaces and rewards: `SqueezeGame`."""

from mfenvs.registry import makers

parallel_env, env, raw_env, batched_env, vector_env = makers("gaussian_squeeze_v0")
