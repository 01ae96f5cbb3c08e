"""A game as a Gymnasium VectorEnv, in which each agent of each row is a sub-environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from mfenvs.game import Game
from mfenvs.views.batched import BatchedEnv

Infos = dict[str, Any]


class AgentVectorEnv(VectorEnv[Any, np.ndarray, np.ndarray]):
    """B rows of a game as B N sub-environments, for single-agent learners.

    A learner with one network for all sub-environments so becomes independent learning with shared
    parameters: the other agents are part of each agent's environment, and there is no mean field.
    Sub-environment b N + j is agent j of row b, with B = ``num_rows`` and N = ``num_agents``.

    Autoreset is Gymnasium's NEXT_STEP: the episodes of a row's agents end in the same step, and the next
    step, which ignores their actions, resets them. A call returns new arrays.

    ``infos`` has, with Gymnasium's masks ``_action`` and so on: ``action`` int64 [B N], the actions in
    effect (-1: none); ``acting`` bool [B N], where the choice counted; and if the game masks actions
    ``action_mask`` int8 [B N, A], 1 where an action may be chosen next.

    Attributes:
        measures: the game's measures after the last call, name -> array [B].

    Args:
        game_class: a `Game` with ``fixed_population``.
        num_envs: B >= 1, as for `BatchedEnv`. The attribute ``num_envs`` is B N.
        options: fields of the game's Config.

    Raises:
        ValueError: for a game whose agents may die before the others: the sub-environment of a dead
            agent would be reset in the next step.
    """

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012 (as Gymnasium has it)

    def __init__(self, game_class: type[Game], num_envs: int = 1, **options: Any) -> None:
        if not game_class.fixed_population:
            raise ValueError(
                f"game_class={game_class.id} has agents that die while others play on, and a VectorEnv "
                "resets a sub-environment that has ended; allowed: games with fixed_population. "
                "Use batched_env or parallel_env"
            )
        self._env = BatchedEnv(game_class, num_envs, device="cpu", **options)
        self.num_rows, self.num_agents = self._env.num_envs, self._env.num_agents
        self.num_envs = self.num_rows * self.num_agents
        self.single_observation_space = self._env.single_observation_space
        self.single_action_space = self._env.single_action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.measures: dict[str, np.ndarray] = {}

    def reset(
        self,
        *,
        seed: int | Sequence[int] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, Infos]:
        """Resets every row.

        Args:
            seed: as for `BatchedEnv.reset`: an integer, one integer a row, or None.
            options: None or empty; the constructor takes the game's options.

        Returns:
            (observations [B N, ...], infos).

        Raises:
            TypeError, ValueError: for a bad seed, or options.
        """
        if options:
            raise ValueError(f"options={options!r}; allowed: none in reset")
        obs, info = self._env.reset(seed)
        return self._flat(obs), self._infos(info)

    def step(self, actions: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, Infos]:
        """Plays one step of every row.

        Args:
            actions: integers [B N] in [0, A), or -1 for no action.

        Returns:
            (observations [B N, ...], rewards float32 [B N], terminations bool [B N], truncations bool
            [B N], infos).

        Raises:
            RuntimeError: before the first reset.
            TypeError, ValueError: for a wrong dtype or shape, or an action out of range; the rows do
                not change then.
        """
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,):
            raise ValueError(f"actions has shape {actions.shape}; allowed: ({self.num_envs},)")
        joint = actions.reshape(self.num_rows, self.num_agents)
        obs, reward, terminated, truncated, info = self._env.step(joint)
        return (
            self._flat(obs),
            self._flat(reward),
            self._flat(terminated),
            truncated.numpy().repeat(self.num_agents),
            self._infos(info),
        )

    def close_extras(self) -> None:
        self._env.close()

    def _flat(self, value: Any) -> Any:
        """Copies tensors [B, N, ...] to arrays [B N, ...]."""
        if isinstance(value, dict):
            return {name: self._flat(part) for name, part in value.items()}
        return value.numpy().reshape(self.num_envs, *value.shape[2:]).copy()

    def _infos(self, info: dict[str, Any]) -> Infos:
        """Returns infos with Gymnasium's masks, and sets ``measures``."""
        shown = {"action": info.pop("actions"), "acting": info.pop("acting")}
        if "action_mask" in info:
            shown["action_mask"] = info.pop("action_mask")
        del info["reset"]  # known from the ends in the step before
        self.measures = {name: values.numpy() for name, values in info.items()}
        infos: Infos = {}
        for name, values in shown.items():
            infos[name] = self._flat(values)
            infos[f"_{name}"] = np.ones(self.num_envs, bool)
        return infos
