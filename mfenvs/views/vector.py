"""The view of Gymnasium's vectors: each agent of each row is a sub-environment of its own."""

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
    """B rows of a game as B N sub-environments, so that a learner of one agent plays many.

    Whatever learns from a vector of independent copies learns here from agents who share a game, and,
    since it has one network for all copies, share its parameters. Sub-environment b N + j is agent j
    of row b, in ``num_rows`` B by ``num_agents`` N. To the learner the other agents are a part of its
    world; it gets no mean field.

    Autoreset is Gymnasium's NEXT_STEP: the agents of a row end together, and in the next step, which
    ignores their actions, start together. Arrays that a call returns are the caller's to keep.

    ``infos`` has, with Gymnasium's masks ``_action`` and so on: ``action`` int64 [B N], the actions in
    effect (-1: none); ``acting`` bool [B N], whose choice counted; and where the game restricts
    choices ``action_mask`` int8 [B N, A], what may be chosen next. `measures` has the rows' own.

    Args:
        game_class: a `Game` whose agents do not die.
        num_envs: B >= 1, as for `BatchedEnv`. The ``num_envs`` of this object is B N.
        options: fields of the game's Config.

    Raises:
        ValueError: for a game in which agents die before the others: a sub-environment cannot end
            alone and stay dead, as it would start anew in the next step.
    """

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012 (as Gymnasium has it)

    def __init__(self, game_class: type[Game], num_envs: int = 1, **options: Any) -> None:
        if not game_class.fixed_population:
            raise ValueError(
                f"{game_class.id} has agents who die while others play on, but a sub-environment of "
                "a vector starts anew when it ends; allowed: games whose agents all stay to the end. "
                "Take batched_env or parallel_env"
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
        """Starts every row anew.

        Args:
            seed: as for `BatchedEnv.reset`: an integer, one integer a row, or None.
            options: nothing; the game's options belong to the constructor.

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
            TypeError, ValueError: for a wrong dtype or shape, or an action out of range; nothing
                has changed then.
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
        """A copy of tensors [B, N, ...] as arrays [B N, ...]."""
        if isinstance(value, dict):
            return {name: self._flat(part) for name, part in value.items()}
        return value.numpy().reshape(self.num_envs, *value.shape[2:]).copy()

    def _infos(self, info: dict[str, Any]) -> Infos:
        """What Gymnasium's infos show, each with its mask; and the rows' measures, kept apart."""
        shown = {"action": info.pop("actions"), "acting": info.pop("acting")}
        if "action_mask" in info:
            shown["action_mask"] = info.pop("action_mask")
        del info["reset"]  # a learner knows by the end of the step before
        self.measures = {name: values.numpy() for name, values in info.items()}
        infos: Infos = {}
        for name, values in shown.items():
            infos[name] = self._flat(values)
            infos[f"_{name}"] = np.ones(self.num_envs, bool)
        return infos
