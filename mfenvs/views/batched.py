"""The batched view: B rows of a game at once, with torch tensors in and out."""

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
from mfenvs.layout import Layout, Places
from mfenvs.validate import one_of, whole
from mfenvs.views.lifetime import Lifetime
from mfenvs.views.state_dicts import matched

Observation = Any  # a tensor, a dict of tensors, or a dict of these by the name of the type
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


class BatchedEnv(Lifetime):
    """B independent rows of a game.

    Autoreset is Gymnasium's NEXT_STEP: `step` returns the last observation of an episode; the next
    `step` resets that row, ignores its actions and sets ``info["reset"]``.

    ``info`` has these tensors: ``actions`` int64 [B, N], the actions in effect (-1: none); ``acting``
    bool [B, N], where the choice counted; ``reset`` bool [B]; if the game masks actions ``action_mask``
    int8 [B, N, A], 1 where an action may be chosen next; and the game's measures, each [B].

    Two sets of buffers alternate: the results of a call stay valid through the next call, and the call
    after that overwrites them. Clone them to keep them longer. They may be changed in place.

    With several types of agents ``single_observation_space`` and ``single_action_space`` are dicts by
    the name of the type (``type_names``), and so are observations: [B, N_k, ...] for the N_k agents of
    type k, in the order of ``agents``. Actions, rewards and ends have all N agents along one axis. An
    agent's action is below the number of its type's.

    ``copy.deepcopy`` and pickles hold the episodes: the copy continues as the original would. Its
    pictures begin anew.

    On CUDA all memory is on the device. `step` and `reset` launch kernels on torch's current stream and
    return without a copy to the host or a synchronisation, except in two early steps, which are
    recorded. So the values of actions are not checked there: one out of range is no action (-1).

    Args:
        game_class: a `Game`.
        num_envs: B >= 1.
        device: "cpu", "cuda" or "cuda:1" and so on.
        dtype: of observations: "float32", or on CUDA "float16".
        options: fields of the game's Config.

    Raises:
        ValueError, TypeError: for an argument or option that is not allowed, or if there is no CUDA
            device.
        ImportError: for CUDA if numba-cuda is not installed.
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
        one_of(
            "dtype", dtype, ("float32", "float16") if backend.massively_parallel else ("float32",)
        )
        self.game = game_class(config, backend)
        self.num_envs, self.device = num_envs, torch.device(backend.device)
        self._dtype = np.dtype(dtype)
        self.num_agents = self.game.num_agents
        self.groups = torch.tensor(self.game.groups, device=self.device)
        self.types = torch.tensor(self.game.types, device=self.device)
        self.type_names = self.game.type_names
        self.single_observation_space = _in_dtype(self.game.single_observation_space, self._dtype)
        self.single_action_space = self.game.single_action_space
        self._state = self.game.allocate(self.num_envs)
        shape = (self.num_envs, self.num_agents)
        self._sides = [
            (
                self.game.allocate_step(self.num_envs),
                self.game.allocate_observation(shape, self._dtype),
            )
            for _ in range(2)
        ]
        self._ready = self._seeded = False
        self.row_seeds: np.ndarray | None = None
        self._prepare()

    def _prepare(self) -> None:
        """Sets what follows from the game and the memory."""
        backend = self.game.backend
        for arrays in (self._state, *(step for step, _ in self._sides)):
            backend.pin(arrays)
        shape = (self.num_envs, self.num_agents)
        self._sanitized = backend.empty(shape, np.int64) if backend.massively_parallel else None
        self._counts = backend.asarray(self.game.action_counts, np.int64)
        self._canvases: dict[int, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        rebuilt = ("_sanitized", "_counts", "_canvases")
        return {name: value for name, value in self.__dict__.items() if name not in rebuilt}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

    def __repr__(self) -> str:
        name, device = type(self).__name__, str(self.device)
        return f"{name}({self.game!r}, num_envs={self.num_envs}, device={device!r})"

    @property
    def agents(self) -> list[str]:
        """The names of the N agents, as a new list."""
        return list(self.game.agents)

    def reset(
        self, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Tensor]]:
        """Resets every row.

        Args:
            seed: an integer, from which each row gets a different seed; a sequence of B integers, the
                seeds of the rows, such as ``row_seeds``; or None to continue the random streams.
            options: ignored, as in all views; the constructor takes the game's options.

        Returns:
            (obs, info); obs float32 [B, N, ...], or a dict of such tensors. All agents are alive (unless
            the game has ``all_start`` False), and ``info["reset"]`` is True.
        """
        seeds = self.game.reset_seeds(seed, self.num_envs, self._seeded)
        self._seeded, self._ready = True, True
        if seeds is not None:
            self.row_seeds = seeds
        step, obs = self._turn()
        self.game.reset(self._state, step, seeds)
        self.game.observe(self._state, obs)
        return self._obs(obs), self._info(step)

    def step(
        self, actions: Tensor | np.ndarray
    ) -> tuple[Observation, Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """Plays one step of every row.

        Args:
            actions: integers [B, N] in [0, A), or -1 for no action. Actions of agents that cannot choose
                are ignored.

        Returns:
            (obs, reward float32 [B, N], terminated bool [B, N], truncated bool [B], info).

        Raises:
            RuntimeError: before the first reset.
            TypeError, ValueError: for a wrong dtype, shape or device, or (on the CPU) an action out of
                range; the rows do not change then.
        """
        self._must_be_ready("step()")
        chosen = self._joint_action(actions)
        last = self._sides[0][0]
        step, obs = self._turn()

        def play() -> None:
            self.game.step(self._state, chosen, last, step)
            self.game.observe(self._state, obs)

        if self._sanitized is None:
            play()
        else:  # all arguments have fixed addresses
            self.game.backend.repeat(f"step {id(step)}", play)
        return self.last()

    @property
    def alive(self) -> Tensor:
        """bool [B, N]; after the last call."""
        self._must_be_ready("alive")
        # A copy, as of ``terminated``: rules do not write again what never changes in their game.
        return self._tensor(self._sides[0][0].alive).clone()

    @property
    def neighbor_graph(self) -> NeighborGraph:
        """The current neighbour graph (before the first reset: of the state as allocated)."""
        return self.game.graph(self._state)

    def scripted(self, name: str) -> Tensor:
        """Returns the actions of a scripted player of the game: int64 [B, N], -1 for the dead.

        Raises:
            RuntimeError: before the first reset.
            ValueError: for a name that is not among ``game.scripts``.
        """
        self._must_be_ready("scripted()")
        return self._tensor(self.game.script(name, self._state))

    def snapshot(self) -> Any:
        """Returns a compact copy of what the current observations depend on.

        It is a named tuple of tensors [B, ...]. Several snapshots may be concatenated, field by field,
        and observed in one call.
        """
        self._must_be_ready("snapshot()")
        snapshot = self.game.snapshot(self._state)
        return type(snapshot)(*map(self._tensor, snapshot))

    def graph_of(self, snapshot: Any) -> NeighborGraph:
        """Returns the neighbour graph of the time of a snapshot."""
        return self.game.graph(type(snapshot)(*map(self._array, snapshot)))

    def observe(
        self,
        snapshot: Any,
        rows: Sequence[int] | Tensor | np.ndarray | None = None,
        agents: Sequence[int] | Tensor | np.ndarray | None = None,
        of_type: str | None = None,
    ) -> Observation:
        """Returns the observations of the time of a snapshot, bit for bit, in new memory.

        Args:
            snapshot: from `snapshot`, of any number of rows.
            rows, agents: integers [M], both or neither: observe agent ``agents[m]`` of row ``rows[m]``.
                On CUDA their values are not checked and must be in range.
            of_type: the name of a type, to get its observations alone; for games of several types.

        Returns:
            [B, N, ...], or [M, ...] if indices are given. With several types a dict by their names:
            [B, N_k, ...], or [M, ...] with zeros for agents of other types; with ``of_type`` one entry
            of it.
        """
        num_rows = len(snapshot[0])
        if (rows is None) != (agents is None):
            raise ValueError("rows and agents: allowed: both or neither")
        source = type(snapshot)(*map(self._array, snapshot))
        chosen: dict[str, Any] = {}
        if of_type is not None:
            one_of("of_type", of_type, self.type_names)
            chosen = {"of_type": self.type_names.index(of_type)} if self.game.has_types else {}
        if rows is None:
            agents_of = len(self.game.members[chosen["of_type"]]) if chosen else self.num_agents
            obs = self.game.allocate_observation((num_rows, agents_of), self._dtype, **chosen)
            self.game.observe(source, obs, **chosen)
            return self._obs(obs)
        row_index = self._indices("rows", rows, num_rows)
        agent_index = self._indices("agents", agents, self.num_agents)
        if len(row_index) != len(agent_index):
            raise ValueError(
                f"rows has {len(row_index)} entries and agents {len(agent_index)}; allowed: as many"
            )
        obs = self.game.allocate_observation((len(row_index),), self._dtype, **chosen)
        self.game.observe(source, obs, row_index, agent_index, **chosen)
        return self._obs(obs)

    def state_dict(self) -> dict[str, Any]:
        """Returns the state of the rows and the last results, from which to resume exactly."""
        self._must_be_ready("state_dict()")
        parts = {
            name: {key: self._tensor(array).clone() for key, array in part.items()}
            for name, part in self._parts(self.row_seeds).items()
        }
        return {**parts, "rules": self.game.rules()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict` of an environment with the same options; `last` then has its results.

        Former names of a game's fields are accepted, see `Game.former_fields`.

        Raises:
            ValueError: if it is of another game or other options, or a part is missing or has another
                shape; nothing changes then.
        """
        seeds = np.zeros(self.num_envs, np.int64)
        pairs = [
            (self._tensor(array), self._tensor(value))
            for array, value in matched(self.game, self._parts(seeds), state)
        ]
        for target, value in pairs:
            target.copy_(value)
        self.row_seeds = seeds
        self._ready = self._seeded = True

    def last(self) -> tuple[Observation, Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """Returns the results of the last `step`, or of a `reset`, with rewards of zero."""
        self._must_be_ready("last()")
        step, obs = self._sides[0]
        return (
            self._obs(obs),
            self._tensor(step.reward),
            self._tensor(step.terminated).clone(),
            self._tensor(step.truncated),
            self._info(step),
        )

    def render(self, row: int = 0) -> np.ndarray:
        """Returns a picture of a row, uint8 [height, width, 3].

        Raises:
            RuntimeError: before the first reset.
            TypeError, ValueError: for a row out of range.
        """
        self._must_be_ready("render()")
        whole("row", row, 0, self.num_envs - 1)
        if row not in self._canvases:  # each remembers the curves of its row
            from mfenvs.render.canvas import Canvas

            self._canvases[row] = Canvas("rgb_array", self.game.id, fps=1.0)
        game = self.game
        if game.backend.massively_parallel:  # drawing reads arrays on the CPU
            game = type(game)(game.config, get_backend("cpu"))

        canvas = self._canvases[row]
        game.draw(self._row_of(self._state, row), self._row_of(self._sides[0][0], row), 0, canvas)
        return canvas.present()

    def layout(self) -> Layout | None:
        """Returns the game's board, for displays that draw it themselves; None if it has none."""
        return self.game.layout()

    def places(self, row: int = 0) -> Places:
        """Returns where the agents of a row are on the board; see `layout`.

        Raises:
            RuntimeError: before the first reset.
            TypeError, ValueError: for a row out of range.
            NotImplementedError: for a game without a layout.
        """
        self._must_be_ready("places()")
        whole("row", row, 0, self.num_envs - 1)
        step = self._row_of(self._sides[0][0], row)
        return self.game.places(self._row_of(self._state, row), step, 0)

    def close(self) -> None:
        """Closes the pictures."""
        for canvas in self._canvases.values():
            canvas.close()
        self._canvases.clear()

    # -- helpers --------------------------------------------------------------------------------

    def _must_be_ready(self, what: str) -> None:
        if not self._ready:
            raise RuntimeError(f"{what} was called before reset()")

    def _parts(self, seeds: Any) -> dict[str, dict[str, Any]]:
        """Returns the arrays of a `state_dict`, by part and name."""
        step, obs = self._sides[0]
        obs = _flat(obs) if isinstance(obs, dict) else {"obs": obs}
        parts = {"state": self._state._asdict(), "step": step._asdict(), "obs": obs}
        return {**parts, "seeds": {"row_seeds": seeds}}

    def _turn(self) -> tuple[Step, Any]:
        """Swaps the two sets of buffers and returns the one to write."""
        self._sides.reverse()
        return self._sides[0]

    def _row_of(self, arrays: Any, row: int) -> Any:
        """Returns a named tuple of arrays [B, ...] as one of arrays [1, ...] on the CPU."""
        return type(arrays)(*(self._tensor(a[row : row + 1]).cpu().numpy() for a in arrays))

    def _tensor(self, array: Any) -> Tensor:
        # Not `torch.as_tensor`, which moves an array to torch's default device.
        return array if isinstance(array, Tensor) else torch.from_numpy(array)

    def _array(self, values: Any) -> Any:
        """Converts a tensor or an array to an array of the backend."""
        on_cpu = isinstance(values, Tensor) and self.device.type == "cpu"
        return values.numpy() if on_cpu else values

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

    def _obs(self, obs: Any) -> Observation:
        if isinstance(obs, dict):
            return {name: self._obs(array) for name, array in obs.items()}
        return self._tensor(obs)

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
        if isinstance(actions, Tensor) and self._sanitized is None and actions.dtype in INTEGERS:
            actions = actions.numpy()
        dtype = getattr(actions, "dtype", type(actions).__name__)
        if dtype not in INTEGERS and not (isinstance(dtype, np.dtype) and dtype.kind in "iu"):
            raise TypeError(f"actions is {dtype}; allowed: a tensor or array of integers")
        if tuple(actions.shape) != shape:
            raise ValueError(f"actions has shape {tuple(actions.shape)}; allowed: {shape}")
        if self._sanitized is not None:
            chosen = self.game.backend.asarray(actions, np.int64)
            arguments = (self._counts, chosen, self._sanitized)
            self.game.backend.run(sanitize_actions, shape, *arguments)
            return self._sanitized
        least, most = int(actions.min()), int(actions.max())
        if least < -1 or most >= self.game.num_actions:
            raise ValueError(
                f"actions range from {least} to {most}; "
                f"allowed: 0 to {self.game.num_actions - 1}, or -1 for no action"
            )
        if self.game.has_types and (beyond := np.asarray(actions) >= self._counts).any():
            row, agent = np.argwhere(beyond)[0].tolist()
            raise ValueError(
                f"actions[{row}, {agent}]={int(actions[row, agent])} of {self.game.agents[agent]}; "
                f"allowed: 0 to {self._counts[agent] - 1}, or -1 for no action"
            )
        return self.game.backend.asarray(actions, np.int64)


def _flat(tree: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Returns the arrays of nested dicts, under their keys joined by dots."""
    flat: dict[str, Any] = {}
    for name, part in tree.items():
        is_dict = isinstance(part, dict)
        flat |= _flat(part, f"{path}{name}.") if is_dict else {f"{path}{name}": part}
    return flat


def _in_dtype(space: Any, dtype: np.dtype[Any]) -> Any:
    """Returns a space, or a dict of spaces, with its floats in another dtype."""
    if isinstance(space, dict):
        return {name: _in_dtype(part, dtype) for name, part in space.items()}
    if isinstance(space, spaces.Dict):
        return spaces.Dict({name: _in_dtype(part, dtype) for name, part in space.items()})
    if isinstance(space, spaces.Box) and space.dtype != dtype:
        return spaces.Box(space.low.astype(dtype), space.high.astype(dtype), dtype=dtype.type)
    return space
