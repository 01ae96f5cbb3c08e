"""The Gaussian squeeze. Its options and datasheet: `mfenvs.gaussian_squeeze.game`."""

from mfenvs.registry import makers

parallel_env, env, raw_env, batched_env, vector_env = makers("gaussian_squeeze_v0")
