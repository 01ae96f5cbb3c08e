"""The battle. Options: `mfenvs.battle.config.BattleConfig`; the datasheet: `BattleGame`."""

from mfenvs.battle.config import PAPER as PAPER
from mfenvs.registry import makers

parallel_env, env, raw_env, batched_env, vector_env = makers("battle_v0")
