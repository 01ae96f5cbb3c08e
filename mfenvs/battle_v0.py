"""The battle. Options: `mfenvs.gridworld.games.battle.BattleConfig`; the datasheet: `BattleGame`."""

from mfenvs.gridworld.games.battle import PAPER as PAPER
from mfenvs.registry import makers

parallel_env, env, raw_env, batched_env, vector_env = makers("battle_v0")
