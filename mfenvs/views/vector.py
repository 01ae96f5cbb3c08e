"""A game as a Gymnasium VectorEnv, in which each agent of each row is a sub-environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from mfenvs.game import Game
from mfenvs.validate import one_of
from mfenvs.views.batched import BatchedEnv
from mfenvs.views.lifetime import Lifetime
from mfenvs.views.parallel import RENDER_FPS

Infos = dict[str, Any]


def _joint(by_type: Sequence[spaces.Space[Any]]) -> spaces.Space[Any]:
    """Returns the smallest space that holds those of all types, padded behind each axis.

    Raises:
        ValueError: for several types with other spaces than Boxes, or Dicts of Boxes of the same names.
    """
    first = by_type[0]
    if len(by_type) == 1:
        return first
    if all(isinstance(space, spaces.Dict) and space.keys() == first.keys() for space in by_type):  # type: ignore[attr-defined]
        names = first.keys()  # type: ignore[attr-defined]
        return spaces.Dict({name: _joint([space[name] for space in by_type]) for name in names})  # type: ignore[index]
    boxes = [space for space in by_type if isinstance(space, spaces.Box)]
    if len(boxes) < len(by_type) or len({len(box.shape) for box in boxes}) > 1:
        raise ValueError(
            f"the types observe {list(by_type)}; allowed: Boxes of as many axes, or Dicts of such"
        )
    shape = tuple(max(sizes) for sizes in zip(*(box.shape for box in boxes), strict=True))
    low, high = np.zeros(shape, boxes[0].dtype), np.zeros(shape, boxes[0].dtype)
    for box in boxes:
        inside = tuple(slice(size) for size in box.shape)
        low[inside] = np.minimum(low[inside], box.low)
        high[inside] = np.maximum(high[inside], box.high)
    return spaces.Box(low, high, dtype=boxes[0].dtype.type)


class AgentVectorEnv(Lifetime, VectorEnv[Any, np.ndarray, np.ndarray]):
    """B rows of a game as B N sub-environments, for single-agent learners.

    A learner with one network for all sub-environments so becomes independent learning with shared
    parameters: the other agents are part of each agent's environment, and there is no mean field.
    Sub-environment b N + j is agent j of row b, with B = ``num_rows`` and N = ``num_agents``.

    Autoreset is Gymnasium's NEXT_STEP: the episodes of a row's agents end in the same step, and the next
    step, which ignores their actions, resets them. A call returns new arrays.

    ``infos`` has, with Gymnasium's masks ``_action`` and so on: ``action`` int64 [B N], the actions in
    effect (-1: none); ``acting`` bool [B N], where the choice counted; and if the game masks actions
    ``action_mask`` int8 [B N, A], 1 where an action may be chosen next.

    With several types of agents the spaces are the smallest that hold those of all: observations are
    padded with zeros behind each axis, and ``action_mask`` has 1 for the actions that an agent has. Any
    other is no action.

    Attributes:
        measures: the game's measures after the last call, name -> array [B].

    Args:
        game_class: a `Game` with ``fixed_population``.
        num_envs: B >= 1, as for `BatchedEnv`. The attribute ``num_envs`` is B N.
        render_mode: None or "rgb_array".
        options: fields of the game's Config.

    Raises:
        ValueError: for another ``render_mode``, or a game whose agents may die before the others: the
            sub-environment of a dead agent would be reset in the next step.
    """

    metadata = {  # noqa: RUF012 (as Gymnasium has it)
        "autoreset_mode": AutoresetMode.NEXT_STEP,
        "render_modes": ["rgb_array"],
        "render_fps": RENDER_FPS,
    }

    def __init__(
        self,
        game_class: type[Game],
        num_envs: int = 1,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        if not game_class.fixed_population:
            raise ValueError(
                f"game_class={game_class.id} has agents that die while others play on, and a VectorEnv "
                "resets a sub-environment that has ended; allowed: games with fixed_population. "
                "Use batched_env or parallel_env"
            )
        one_of("render_mode", render_mode, (None, "rgb_array"))
        self.render_mode = render_mode
        self._env = BatchedEnv(game_class, num_envs, device="cpu", **options)
        self.num_rows, self.num_agents = self._env.num_envs, self._env.num_agents
        self.num_envs = self.num_rows * self.num_agents
        game = self._env.game
        spaces_of = range(len(game.type_names))
        self.single_observation_space = _joint([game.observation_space_of(k) for k in spaces_of])
        self.single_action_space = spaces.Discrete(game.num_actions)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.measures: dict[str, np.ndarray] = {}
        self._counts = np.tile(game.action_counts, self.num_rows)
        self._seed: int | tuple[int, ...] | None = None

    @property
    def np_random_seed(self) -> int | tuple[int, ...] | None:  # type: ignore[override]
        """The seed that last started the random streams, which `reset` accepts; None before.

        It is the integer that `reset` was given, or else a tuple of one integer a row.
        """
        return self._seed

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._env.game!r}, num_envs={self.num_rows})"

    def reset(
        self,
        *,
        seed: int | Sequence[int] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, Infos]:
        """Resets every row.

        Args:
            seed: as for `BatchedEnv.reset`: an integer, one integer a row, or None.
            options: ignored, as in all views, but for Gymnasium's "reset_mask"; the constructor takes
                the game's options.

        Returns:
            (observations [B N, ...], infos).

        Raises:
            TypeError, ValueError: for a bad seed, or a "reset_mask", since rows reset by themselves.
        """
        if options and "reset_mask" in options:
            raise ValueError("options has a 'reset_mask'; allowed: a reset of all rows")
        first = self._env.row_seeds is None
        obs, info = self._env.reset(seed)
        if seed is not None or first:
            rows = self._env.row_seeds
            assert rows is not None
            given = np.asarray(rows if seed is None else seed)
            self._seed = int(given) if given.ndim == 0 else tuple(rows.tolist())
            self._np_random = np.random.default_rng(self._seed)
        return self._observed(obs), self._infos(info)

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
        if self._env.game.has_types and actions.shape == (self.num_envs,):
            missing = actions >= self._counts
            if missing.any() and actions.max() < self._env.game.num_actions:
                actions = np.where(missing, -1, actions)
        if actions.shape != (self.num_envs,):
            raise ValueError(f"actions has shape {actions.shape}; allowed: ({self.num_envs},)")
        joint = actions.reshape(self.num_rows, self.num_agents)
        obs, reward, terminated, truncated, info = self._env.step(joint)
        return (
            self._observed(obs),
            self._flat(reward),
            self._flat(terminated),
            truncated.numpy().repeat(self.num_agents),
            self._infos(info),
        )

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Returns a picture for each sub-environment, of its row; None without a ``render_mode``.

        Returns:
            B N pictures uint8 [height, width, 3]. Those of the agents of a row are the same array.

        Raises:
            RuntimeError: before the first reset.
        """
        if self.render_mode is None:
            return None
        pictures = [self.render_row(row) for row in range(self.num_rows)]
        return tuple(picture for picture in pictures for _ in range(self.num_agents))

    def render_row(self, row: int = 0) -> np.ndarray:
        """Returns a picture of a row, uint8 [height, width, 3], see `BatchedEnv.render`."""
        return self._env.render(row)

    def close_extras(self) -> None:
        # Gymnasium 1.1 closes environments that are deleted, also those that were refused when made.
        if hasattr(self, "_env"):
            self._env.close()

    def _observed(self, obs: Any) -> Any:
        """Copies observations to arrays [B N, ...]; those of several types into one space."""
        game = self._env.game
        if not game.has_types:
            return self._flat(obs)
        space = self.single_observation_space
        parts = space.spaces if isinstance(space, spaces.Dict) else {"": space}
        result = {
            name: np.zeros((self.num_rows, self.num_agents, *(part.shape or ())), part.dtype)
            for name, part in parts.items()
        }
        for members, type_name in zip(game.members, game.type_names, strict=True):
            for name, array in result.items():
                values = (obs[type_name][name] if name else obs[type_name]).numpy()
                inside: Any = (slice(None), members, *map(slice, values.shape[2:]))
                array[inside] = values
        flat = {name: part.reshape(self.num_envs, *part.shape[2:]) for name, part in result.items()}
        return flat if isinstance(space, spaces.Dict) else flat[""]

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
        if self._env.game.has_types:
            mask = np.arange(self._env.game.num_actions) < self._env.game.action_counts[:, None]
            exists = torch.from_numpy(np.tile(mask, (self.num_rows, 1, 1)).astype(np.int8))
            shown["action_mask"] = shown.get("action_mask", exists) * exists
        del info["reset"]  # known from the ends in the step before
        self.measures = {name: values.numpy() for name, values in info.items()}
        infos: Infos = {}
        for name, values in shown.items():
            infos[name] = self._flat(values)
            infos[f"_{name}"] = np.ones(self.num_envs, bool)
        return infos
