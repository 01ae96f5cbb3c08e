"""The vectorized view: B rows of a game at once, torch tensors in and out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from mfenvs.backend import get_backend
from mfenvs.game import Game, Step
from mfenvs.graph import NeighborGraph
from mfenvs.validate import whole

Observation = Tensor | dict[str, Tensor]


class BatchedEnv:
    """B independent rows of a game.

    Autoreset is Gymnasium's NEXT_STEP: the last observation of an episode is returned as it is; the
    next ``step`` starts that row anew, ignores its actions, and says so in ``info["reset"]``.

    ``info`` has, as tensors: ``actions`` int64 [B, N], the actions in effect (-1: none); ``acting``
    bool [B, N], whose choice counted; ``reset`` bool [B]; where the game restricts choices
    ``action_mask`` int8 [B, N, A], what may be chosen next; and the game's measures, each [B].

    Two sets of buffers take turns: what a call returns stays valid through the next call, and is
    overwritten by the one after it. Clone to keep.

    Args:
        game_class: a `Game`.
        num_envs: B >= 1.
        device: "cpu".
        options: fields of the game's Config.
    """

    def __init__(
        self, game_class: type[Game], num_envs: int = 1, device: str = "cpu", **options: Any
    ) -> None:
        self.game = game_class(game_class.configure(options), get_backend(device))
        self.num_envs, self.device = whole("num_envs", num_envs, 1), torch.device(device)
        self.num_agents = self.game.num_agents
        self.agents = list(self.game.agents)
        self.groups = torch.as_tensor(self.game.groups, device=self.device)
        self.types = torch.as_tensor(self.game.types, device=self.device)
        self.single_observation_space: spaces.Space[Any] = self.game.single_observation_space
        self.single_action_space = self.game.single_action_space
        keep = self.game.backend.keep
        self._state = keep(self.game.allocate(self.num_envs))
        shape = (self.num_envs, self.num_agents)
        self._sides = [
            (keep(self.game.allocate_step(self.num_envs)), self.game.allocate_observation(shape))
            for _ in range(2)
        ]
        self._ready = self._seeded = False
        self.row_seeds: np.ndarray | None = None

    def reset(
        self, seed: int | Sequence[int] | None = None
    ) -> tuple[Observation, dict[str, Tensor]]:
        """Starts every row anew.

        Args:
            seed: an integer gives row b a stream of its own under that seed; a sequence of B
                integers gives each row's own seed (as `row_seeds` reports them, to replay a row
                alone); None goes on with the streams.

        Returns:
            (obs, info); obs float32 [B, N, ...], or a dict of such. Everybody is alive (in a battle
            with armies of changing size, everybody who takes part), and ``info["reset"]`` is True.
        """
        seeds = self.game.reset_seeds(seed, self.num_envs, self._seeded)
        self._seeded, self._ready = True, True
        if seeds is not None:
            self.row_seeds = seeds
        step, room = self._turn()
        self.game.reset(self._state, step, seeds)
        self.game.observe(self._state, room)
        return self._obs(room), self._info(step)

    def step(
        self, actions: Tensor | np.ndarray
    ) -> tuple[Observation, Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """Plays one step of every row.

        Args:
            actions: integers [B, N] in [0, A), or -1 for no action. Actions of agents that may not
                choose are ignored.

        Returns:
            (obs, reward float32 [B, N], terminated bool [B, N], truncated bool [B], info).

        Raises:
            RuntimeError: before the first reset.
            TypeError, ValueError: for a wrong dtype or shape, or an action out of range; nothing
                has changed then.
        """
        self._must_be_ready("step()")
        chosen = self._joint_action(actions)
        last = self._sides[0][0]
        step, room = self._turn()
        self.game.step(self._state, chosen, last, step)
        self.game.observe(self._state, room)
        return self.last()

    @property
    def alive(self) -> Tensor:
        """bool [B, N]; after the last call."""
        self._must_be_ready("alive")
        return self._tensor(self._sides[0][0].alive)

    @property
    def neighbor_graph(self) -> NeighborGraph:
        """Who is whose neighbour now (before the first reset: in the state as allocated)."""
        return self.game.graph(self._state)

    def scripted(self, name: str) -> Tensor:
        """What a scripted player of the game would do now: int64 [B, N], -1 for those not alive.

        Raises:
            RuntimeError: before the first reset.
            ValueError: for a name that is not among ``game.scripts``.
        """
        self._must_be_ready("scripted()")
        return self._tensor(self.game.script(name, self._state))

    def snapshot(self) -> Any:
        """A compact copy of what the observations of this moment depend on."""
        self._must_be_ready("snapshot()")
        return self.game.snapshot(self._state)

    def observe(
        self,
        snapshot: Any,
        rows: Sequence[int] | Tensor | np.ndarray | None = None,
        agents: Sequence[int] | Tensor | np.ndarray | None = None,
    ) -> Observation:
        """Observations of the moment of a snapshot, bit for bit; in memory of their own.

        Args:
            snapshot: from `snapshot`, of any number of rows.
            rows, agents: integers [M], both or neither; observes agent ``agents[m]`` of row
                ``rows[m]``.

        Returns:
            [B, N, ...], or [M, ...] if indices are given.
        """
        num_rows = len(snapshot[0])
        if (rows is None) != (agents is None):
            raise ValueError("rows and agents: allowed: both or neither")
        if rows is None:
            room = self.game.allocate_observation((num_rows, self.num_agents))
            self.game.observe(snapshot, room)
            return self._obs(room)
        row_index = _indices("rows", rows, num_rows)
        agent_index = _indices("agents", agents, self.num_agents)
        if len(row_index) != len(agent_index):
            raise ValueError(
                f"rows has {len(row_index)} entries and agents {len(agent_index)}; allowed: as many"
            )
        room = self.game.allocate_observation((len(row_index),))
        self.game.observe(snapshot, room, row_index, agent_index)
        return self._obs(room)

    def state_dict(self) -> dict[str, Any]:
        """The rows' whole state and what the last call returned, as tensors: enough to go on exactly."""
        self._must_be_ready("state_dict()")
        return {
            name: {key: self._tensor(array).clone() for key, array in part.items()}
            for name, part in self._parts(self.row_seeds).items()
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a `state_dict` of an environment with the same options; `last` then returns it.

        Raises:
            ValueError: if a part is missing or has another shape; nothing has changed then.
        """
        seeds = np.zeros(self.num_envs, np.int64)
        pairs = []
        for name, part in self._parts(seeds).items():
            for key, array in part.items():
                found = state.get(name, {}).get(key)
                if found is None or tuple(found.shape) != tuple(array.shape):
                    shape = "missing" if found is None else tuple(found.shape)
                    raise ValueError(f"state[{name!r}][{key!r}] is {shape}; allowed: {array.shape}")
                pairs.append((self._tensor(array), found))
        for mine, theirs in pairs:
            mine.copy_(theirs)
        self.row_seeds = seeds
        self._ready = self._seeded = True

    def last(self) -> tuple[Observation, Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """What the last call of `step` returned (after a `reset`: with rewards of zero)."""
        self._must_be_ready("last()")
        step, room = self._sides[0]
        return (
            self._obs(room),
            self._tensor(step.reward),
            self._tensor(step.terminated),
            self._tensor(step.truncated),
            self._info(step),
        )

    def close(self) -> None:
        """Here for symmetry with other environments; memory goes with the object."""

    # -- helpers --------------------------------------------------------------------------------

    def _must_be_ready(self, what: str) -> None:
        if not self._ready:
            raise RuntimeError(f"{what} was asked for before reset()")

    def _parts(self, seeds: Any) -> dict[str, dict[str, Any]]:
        """The arrays that a `state_dict` holds, by part and name."""
        step, room = self._sides[0]
        obs = room if isinstance(room, dict) else {"obs": room}
        parts = {"state": self._state._asdict(), "step": step._asdict(), "obs": obs}
        return {**parts, "seeds": {"row_seeds": seeds}}

    def _turn(self) -> tuple[Step, Any]:
        """Swaps the two sets of buffers; returns the one to write."""
        self._sides.reverse()
        return self._sides[0]

    def _tensor(self, array: Any) -> Tensor:
        return torch.as_tensor(array)

    def _obs(self, room: Any) -> Observation:
        if isinstance(room, dict):
            return {name: self._tensor(array) for name, array in room.items()}
        return self._tensor(room)

    def _info(self, step: Step) -> dict[str, Tensor]:
        info = {
            "actions": self._tensor(step.actions),
            "acting": self._tensor(step.acting),
            "reset": self._tensor(step.reset),
        }
        if self.game.masks_actions:
            info["action_mask"] = self._tensor(step.mask)
        for name, values in self.game.measures(self._state).items():
            info[name] = self._tensor(values).clone()
        return info

    def _joint_action(self, actions: Any) -> np.ndarray:
        shape = (self.num_envs, self.num_agents)
        if isinstance(actions, Tensor) and actions.device != self.device:
            raise ValueError(f"actions is on {actions.device}; allowed: {self.device}")
        if isinstance(actions, Tensor) and not actions.is_floating_point():
            actions = actions.numpy()
        if not isinstance(actions, np.ndarray) or actions.dtype.kind not in "iu":
            kind = getattr(actions, "dtype", type(actions).__name__)
            raise TypeError(f"actions is {kind}; allowed: a tensor or array of integers")
        if actions.shape != shape:
            raise ValueError(f"actions has shape {actions.shape}; allowed: {shape}")
        least, most = int(actions.min()), int(actions.max())
        if least < -1 or most >= self.game.num_actions:
            raise ValueError(
                f"actions range from {least} to {most}; "
                f"allowed: 0 to {self.game.num_actions - 1}, or -1 for no action"
            )
        return self.game.backend.asarray(actions, np.int64)


def _indices(name: str, values: Any, size: int) -> np.ndarray:
    index = np.ascontiguousarray(values)
    if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
        raise ValueError(f"{name} has shape {index.shape}, {index.dtype}; allowed: integers [M]")
    if index.size and not (index.min() >= 0 and index.max() < size):
        raise ValueError(
            f"{name} range from {index.min()} to {index.max()}; allowed: 0 to {size - 1}"
        )
    return index.astype(np.int64)
