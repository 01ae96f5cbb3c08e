"""The vectorized view: B rows of a game at once, torch tensors in and out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from mfenvs.engine.actions import sanitize_actions
from mfenvs.engine.backend import get_backend
from mfenvs.game import Game, Step
from mfenvs.graph import NeighborGraph
from mfenvs.validate import member, whole

Observation = Tensor | dict[str, Tensor]
WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


class BatchedEnv:
    """B independent rows of a game.

    Autoreset is Gymnasium's NEXT_STEP: the last observation of an episode is returned as it is; the
    next ``step`` starts that row anew, ignores its actions, and says so in ``info["reset"]``.

    ``info`` has, as tensors: ``actions`` int64 [B, N], the actions in effect (-1: none); ``acting``
    bool [B, N], whose choice counted; ``reset`` bool [B]; where the game restricts choices
    ``action_mask`` int8 [B, N, A], what may be chosen next; and the game's measures, each [B].

    Two sets of buffers take turns: what a call returns stays valid through the next call, and is
    overwritten by the one after it. Clone to keep.

    On CUDA all memory is the device's, and `step` and `reset` only put kernels into torch's current
    stream: nothing is copied to the host or waited for, but in two early steps, which are recorded. So
    actions cannot be looked at there before they count: one out of range is no action (-1).

    Args:
        game_class: a `Game`.
        num_envs: B >= 1.
        device: "cpu", "cuda" or "cuda:1" and so on.
        dtype: of observations: "float32", or on CUDA "float16".
        options: fields of the game's Config.

    Raises:
        ValueError, TypeError: for an argument or option that is not allowed, or CUDA without a device.
        ImportError: for CUDA without numba-cuda.
    """

    def __init__(
        self,
        game_class: type[Game],
        num_envs: int = 1,
        device: str | torch.device = "cpu",
        dtype: str = "float32",
        **options: Any,
    ) -> None:
        whole("num_envs", num_envs, 1)
        config, backend = game_class.configure(options), get_backend(device)
        member(
            "dtype", dtype, ("float32", "float16") if backend.massively_parallel else ("float32",)
        )
        self.game = game_class(config, backend)
        self.num_envs, self.device = num_envs, torch.device(backend.device)
        self._dtype = np.dtype(dtype)
        self.num_agents = self.game.num_agents
        self.agents = list(self.game.agents)
        self.groups = torch.as_tensor(self.game.groups, device=self.device)
        self.types = torch.as_tensor(self.game.types, device=self.device)
        self.single_observation_space = _in_dtype(self.game.single_observation_space, self._dtype)
        self.single_action_space = self.game.single_action_space
        pin = self.game.backend.pin
        self._state = pin(self.game.allocate(self.num_envs))
        shape = (self.num_envs, self.num_agents)
        self._sides = [
            (
                pin(self.game.allocate_step(self.num_envs)),
                self.game.allocate_observation(shape, self._dtype),
            )
            for _ in range(2)
        ]
        self._admitted = (
            self.game.backend.empty(shape, np.int64) if backend.massively_parallel else None
        )
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
            TypeError, ValueError: for a wrong dtype, shape or device, or (on the CPU) an action out of
                range; nothing has changed then.
        """
        self._must_be_ready("step()")
        chosen = self._joint_action(actions)
        last = self._sides[0][0]
        step, room = self._turn()

        def play() -> None:
            self.game.step(self._state, chosen, last, step)
            self.game.observe(self._state, room)

        if self._admitted is None:
            play()
        else:  # all of it stays where it is
            self.game.backend.repeat(f"step {id(step)}", play)
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
        """A compact copy of what the observations of this moment depend on.

        Returns:
            a named tuple of tensors [B, ...]. Those of several moments may be concatenated, field by
            field, and observed in one call.
        """
        self._must_be_ready("snapshot()")
        found = self.game.snapshot(self._state)
        return type(found)(*map(self._tensor, found))

    def graph_of(self, snapshot: Any) -> NeighborGraph:
        """Who was whose neighbour at the moment of a snapshot."""
        return self.game.graph(type(snapshot)(*map(self._array, snapshot)))

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
                ``rows[m]``. On CUDA they are not looked at before, and must be in range.

        Returns:
            [B, N, ...], or [M, ...] if indices are given.
        """
        num_rows = len(snapshot[0])
        if (rows is None) != (agents is None):
            raise ValueError("rows and agents: allowed: both or neither")
        source = type(snapshot)(*map(self._array, snapshot))
        if rows is None:
            room = self.game.allocate_observation((num_rows, self.num_agents), self._dtype)
            self.game.observe(source, room)
            return self._obs(room)
        row_index = self._indices("rows", rows, num_rows)
        agent_index = self._indices("agents", agents, self.num_agents)
        if len(row_index) != len(agent_index):
            raise ValueError(
                f"rows has {len(row_index)} entries and agents {len(agent_index)}; allowed: as many"
            )
        room = self.game.allocate_observation((len(row_index),), self._dtype)
        self.game.observe(source, room, row_index, agent_index)
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

    def _array(self, values: Any) -> Any:
        """A tensor or an array as the backend has them."""
        ours = isinstance(values, Tensor) and self.device.type == "cpu"
        return values.numpy() if ours else values

    def _indices(self, name: str, values: Any, size: int) -> Any:
        if self.game.backend.massively_parallel:
            return self.game.backend.asarray(values, np.int64)
        index = np.ascontiguousarray(values)
        if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
            raise ValueError(
                f"{name} has shape {index.shape}, {index.dtype}; allowed: integers [M]"
            )
        if index.size and not (index.min() >= 0 and index.max() < size):
            raise ValueError(
                f"{name} range from {index.min()} to {index.max()}; allowed: 0 to {size - 1}"
            )
        return index.astype(np.int64)

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

    def _joint_action(self, actions: Any) -> Any:
        shape = (self.num_envs, self.num_agents)
        if isinstance(actions, Tensor) and actions.device != self.device:
            raise ValueError(f"actions is on {actions.device}; allowed: {self.device}")
        if isinstance(actions, Tensor) and self._admitted is None and actions.dtype in WHOLE:
            actions = actions.numpy()
        kind = getattr(actions, "dtype", type(actions).__name__)
        if kind not in WHOLE and not (isinstance(kind, np.dtype) and kind.kind in "iu"):
            raise TypeError(f"actions is {kind}; allowed: a tensor or array of integers")
        if tuple(actions.shape) != shape:
            raise ValueError(f"actions has shape {tuple(actions.shape)}; allowed: {shape}")
        if self._admitted is not None:
            chosen = self.game.backend.asarray(actions, np.int64)
            arguments = (self.game.num_actions, chosen, self._admitted)
            self.game.backend.run(sanitize_actions, shape, *arguments)
            return self._admitted
        least, most = int(actions.min()), int(actions.max())
        if least < -1 or most >= self.game.num_actions:
            raise ValueError(
                f"actions range from {least} to {most}; "
                f"allowed: 0 to {self.game.num_actions - 1}, or -1 for no action"
            )
        return self.game.backend.asarray(actions, np.int64)


def _in_dtype(space: spaces.Space[Any], dtype: np.dtype[Any]) -> spaces.Space[Any]:
    """A space with its floats in another dtype."""
    if isinstance(space, spaces.Dict):
        return spaces.Dict({name: _in_dtype(part, dtype) for name, part in space.items()})
    if isinstance(space, spaces.Box) and space.dtype != dtype:
        return spaces.Box(space.low.astype(dtype), space.high.astype(dtype), dtype=dtype.type)
    return space
