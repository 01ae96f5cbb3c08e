"""Grid worlds as games: memory, spaces, and the order in which the rules run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import DTypeLike

from mfenvs.engine.backend import Backend
from mfenvs.game import MAX_SEED, Game, Step
from mfenvs.graph import CompleteGraph, NeighborGraph, RadiusGraph
from mfenvs.gridworld import board, compact, draw, layout, observe, rules, scripted
from mfenvs.gridworld.state import (
    Board,
    Scene,
    Snapshot,
    State,
    engine_state,
    grid_type,
    params_of,
    scene_of,
)
from mfenvs.gridworld.units import World
from mfenvs.layout import Layout, Places
from mfenvs.rng import row_key

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas

# Boards made at a time to observe a snapshot: on a CPU; where many points run at once as many as have so
# many cells.
FEWEST, CELLS = 256, 2**26
COUNTS = {"alive": "living", "attacks": "attacks", "hits": "hits", "kills": "kills"}  # in the state


class GridGame(Game):
    """MAgent2's grid world: groups of agents on a walled map that move and attack each other.

    A subclass describes its world by unit types, groups, rewards and a placement, and has a config
    that is a `GridConfig`. The game's groups, which play together, are the world's sides; its types are
    the unit types, which must have equal views and equally many actions.

    Observation: a dict. "view" float32 [H, H, C], indexed [dy, dx] around the agent, 0 beyond its view
        radius: wall; then for each group, its group first and the others in cyclic order: whether one of
        its agents is there, its share of the full hp, [the group's minimap]. "features" float32 [F]:
        with ``extra_features`` ten bits of the id, the last action one-hot and the last reward; with
        ``minimap_mode`` x and y over the map's size. In the PettingZoo view both in one float32
        [H, H, C + F], the features repeated at every cell.
    Action: moves within the speed, then attacks within the attack radius, both row by row.
    Termination: of the dead; and of all agents, once a group has none alive. Truncation: after
        ``max_cycles`` steps.
    State: float32 [map, map, 1 + 2 G], indexed [x, y]: wall; for each group, whether one of its agents
        has its position there, and its share of the full hp; with ``extra_features`` also the features
        without the position.
    """

    players = scripted.PLAYERS
    former_fields: ClassVar[Mapping[str, str]] = {
        "deed": "attack_result",
        "crowd": "occupied_cells",
        "crowds": "num_occupied_cells",
    }
    later_fields: ClassVar[Mapping[str, str]] = {"victim": "attack_result", "bounty": "reward"}
    agent_fields = ("x", "y", "hp", "last_reward", "mark")
    name: ClassVar[str] = "Grid world"  # in pictures

    def __init__(self, config: Any, backend: Backend) -> None:
        self.config, self.backend = config, backend
        self.world = world = self.world_of(config)
        self.params = params = backend.pin(params_of(config, world, backend))
        sizes, sides = world.placement.group_sizes.tolist(), world.sides
        self.agents = tuple(
            f"{group.name}_{i}"
            for group, size in zip(world.groups, sizes, strict=True)
            for i in range(size)
        )
        self.group_names = sides
        self.groups = np.repeat([sides.index(group.side) for group in world.groups], sizes)
        self.types = np.repeat([world.unit_types.index(g.unit) for g in world.groups], sizes)
        # Of each agent, its group in the world, which may be one of several on a side.
        self.unit_groups = np.repeat(np.arange(len(world.groups)), sizes)
        self.full_hp = np.array([unit.hp for unit in world.unit_types], np.float32)[self.types]
        self.all_start = bool((world.placement.x >= 0).all())

        num_actions = len(params.reach[0])
        bits = (observe.ID_BITS + num_actions + 1) * config.extra_features
        self.num_features = bits + 2 * config.minimap_mode
        view = (params.window, params.window)
        # As MAgent2 bounds them, with the range of a reward where the last one stands.
        self.single_observation_space = spaces.Dict(
            view=self._box((*view, params.channels), None),
            features=self._box((self.num_features,), bits - 1 if bits else None),
        )
        self._picture_space = self._box(
            (*view, params.channels + self.num_features),
            params.channels + bits - 1 if bits else None,
        )
        self.single_action_space = spaces.Discrete(num_actions)
        depth = 1 + 2 * params.num_groups + bits
        self.state_space = self._box((params.size, params.size, depth), depth - 1 if bits else None)
        self._team_graph = CompleteGraph(params.num_agents, self.groups)
        self._full_graph = CompleteGraph(params.num_agents)
        self._numbers = backend.asarray(np.arange(0), np.int64)

    @staticmethod
    @abstractmethod
    def world_of(config: Any) -> World:
        """The world that a config describes."""

    @property
    def parallel_observation_space(self) -> spaces.Box:
        return self._picture_space

    def _box(self, shape: tuple[int, ...], reward: int | None) -> spaces.Box:
        low, high = np.zeros(shape, np.float32), np.full(shape, 2.0, np.float32)
        if reward is not None:
            low[..., reward], high[..., reward] = self.world.reward_range
        return spaces.Box(low, high, dtype=np.float32)

    @property
    def max_cycles(self) -> int | None:
        return self.config.max_cycles

    # -- memory ---------------------------------------------------------------------------------

    def allocate(self, num_rows: int) -> State:
        zeros, agents = self.backend.zeros, (num_rows, self.num_agents)
        groups = (num_rows, self.params.num_groups)
        return State(
            **self._allocate_scene(num_rows, zeros)._asdict(),
            **self._allocate_board(num_rows, zeros)._asdict(),
            reward=zeros(agents, np.float32),
            attack_result=zeros(agents, np.int8),
            victim=zeros(agents, np.int32),
            bounty=zeros(agents, np.float32),
            queue=zeros(agents, np.int32),
            living=zeros(groups, np.int32),
            **{name: zeros(groups, np.int32) for name in ("attacks", "hits", "kills")},
            random=zeros(num_rows, np.int64),
            key=zeros(num_rows, np.int64),
            counter=zeros(num_rows, np.int64),
            time=zeros(num_rows, np.int32),
        )

    def _allocate_scene(self, num_rows: int, new: Callable[..., Any]) -> Scene:
        agents = (num_rows, self.num_agents)
        return Scene(
            x=new(agents, self._position_type),
            y=new(agents, self._position_type),
            hp=new(agents, np.float32),
            last_reward=new(agents, np.float32),
            last_action=new(agents, np.int8 if self.num_actions <= 127 else np.int16),
            status=new(agents, np.int8),
            swapped=new(num_rows, np.bool_),
        )

    @property
    def _position_type(self) -> type[np.integer[Any]]:
        return np.uint8 if self.params.size <= 255 else np.int16

    def _allocate_board(self, num_rows: int, new: Callable[..., Any]) -> Board:
        params, cells = self.params, self.params.window**2 * self.params.minimap
        return Board(
            grid=new((num_rows, params.stride**2), grid_type(params.num_agents)),
            look=new((num_rows, board.FIRST + params.num_agents, 2), np.float32),
            occupied_cells=new((num_rows, params.num_groups, cells), np.int32),
            num_occupied_cells=new((num_rows, params.num_groups), np.int32),
            share=new((num_rows, params.num_groups, cells), np.float32),
        )

    def allocate_observation(
        self, shape: tuple[int, ...], dtype: DTypeLike = np.float32
    ) -> dict[str, Any]:
        view = (*shape, self.params.window, self.params.window, self.params.channels)
        return {
            "view": self.backend.empty(view, dtype),
            "features": self.backend.empty((*shape, self.num_features), dtype),
        }

    def allocate_parallel_observation(self, count: int) -> Any:
        shape = self._picture_space.shape
        return self.backend.empty((count, *shape), np.float32)

    # -- play -----------------------------------------------------------------------------------

    def row_seeds(self, seed: int, num_rows: int) -> np.ndarray:
        """Returns seed + b for row b, modulo 2^62: as MAgent2 is seeded.

        Seeds 0 and 1 are the same to its generator.
        """
        return (seed + np.arange(num_rows, dtype=np.int64)) & MAX_SEED

    def reset_seeds(self, seed: Any, num_rows: int, seeded: bool) -> np.ndarray | None:
        if seed is None and not seeded:
            seed = self.config.seed or 0
        return super().reset_seeds(seed, num_rows, seeded)

    def seed_rows(self, state: State, seeds: np.ndarray) -> None:
        state.random[:] = self.backend.asarray(engine_state(seeds), np.int64)
        state.key[:] = self.backend.asarray(row_key(seeds, 0), np.int64)
        state.counter[:] = 0

    def step(self, state: State, actions: Any, last: Step, out: Step) -> None:
        rows, agents = state.x.shape
        arguments = (self.params, state, actions, last, out)
        self.backend.run(rules.play, (rows,), *arguments, work=50 * agents)

    # -- views of the state ---------------------------------------------------------------------

    def observe(
        self,
        source: State | Snapshot,
        out: Any,
        rows: Any = None,
        agents: Any = None,
    ) -> None:
        if isinstance(source, State):
            self._render(source, source, out, rows, agents)
            return
        # A few boards at a time, which stay in the caches.
        run, params, new = self.backend.run, self.params, self.backend.empty
        count = len(source.x) if rows is None else len(rows)
        most = max(
            1, min(count, CELLS // params.stride**2 if self.backend.massively_parallel else FEWEST)
        )
        scenes, boards = self._allocate_scene(most, new), self._allocate_board(most, new)
        every = self._numbers_to(count)
        for first in range(0, count, most):
            size = min(most, count - first)
            part = slice(first, first + size)
            scene = self.backend.convert(Scene(*(array[:size] for array in scenes)))
            seen = self.backend.convert(Board(*(array[:size] for array in boards)))
            which = every[part] if rows is None else rows[part]
            if self.backend.massively_parallel:
                run(compact.lay_out, (size, params.stride**2), source, which, params, scene, seen)
                points = max(board.FIRST + self.num_agents, params.window**2)
                run(board.enter, (size, points), params, scene, seen)
            else:
                run(compact.unpack, (size, self.num_agents), source, which, scene)
                run(board.survey, (size,), params, scene, seen, work=params.stride**2)
            given = {key: values[part] for key, values in out.items()}
            if rows is None:
                self._render(scene, seen, given)
            else:
                self._render(scene, seen, given, every[:size], agents[part])

    def _numbers_to(self, count: int) -> Any:
        """0, 1 ... count - 1, copied to the device no oftener than it must."""
        if len(self._numbers) < count:
            self._numbers = self.backend.asarray(np.arange(2 * count), np.int64)
        return self._numbers[:count]

    def _render(
        self,
        scene: State | Scene,
        seen: State | Board,
        out: Any,
        rows: Any = None,
        agents: Any = None,
    ) -> None:
        """Writes observations of a scene and its board."""
        run, params = self.backend.run, self.params
        numbers = params.window**2 * params.channels
        work = 150 + numbers // 10
        if not isinstance(out, dict):
            width = params.channels + self.num_features
            picture = out.reshape(len(out), params.window**2 * width)
            arguments = (params, scene, seen, rows, agents, width, picture)
            run(observe.picture_some, (len(out),), *arguments, work=work * width // params.channels)
            return
        views = out["view"].reshape(*out["view"].shape[:-3], numbers), out["features"]
        if self.backend.massively_parallel and rows is None:
            run(observe.lanes_of_all, (*scene.x.shape, observe.LANES), params, scene, seen, *views)
        elif self.backend.massively_parallel:
            arguments = (params, scene, seen, rows, agents, *views)
            run(observe.lanes_of_some, (len(rows), observe.LANES), *arguments)
        elif rows is None:
            run(observe.observe_all, scene.x.shape, params, scene, seen, *views, work=work)
        else:
            arguments = (params, scene, seen, rows, agents, *views)
            run(observe.observe_some, (len(rows),), *arguments, work=work)

    def snapshot(self, state: State) -> Snapshot:
        empty, agents = self.backend.empty, tuple(state.x.shape)
        packed = Snapshot(
            x=empty(agents, self._position_type),
            y=empty(agents, self._position_type),
            hp=empty(agents, np.float32),
            last_reward=empty(agents, np.float32),
            mark=empty(
                agents, np.uint8 if compact.STATUSES * (self.num_actions + 2) <= 256 else np.int16
            ),
            swapped=empty(agents[:1], np.bool_),
        )
        self.backend.run(compact.pack, agents, scene_of(state), packed)
        return packed

    def graph(self, source: State | Snapshot) -> NeighborGraph:
        team = self.config.neighbors == "team"
        if self.config.neighbor_radius is None:
            return self._team_graph if team else self._full_graph
        positions = self.backend.empty((*source.x.shape, 2), np.float64)
        self.backend.run(compact.locate, tuple(source.x.shape), source, positions)
        return RadiusGraph(positions, self.config.neighbor_radius, self.groups if team else None)

    def global_state(self, state: State, row: int) -> np.ndarray:
        params, base = self.params, 1 + 2 * self.params.num_groups
        result = np.zeros(self.state_space.shape or (), np.float32)
        for edge in (0, -1):
            result[edge, :, 0] = result[:, edge, 0] = 1.0
        living = np.flatnonzero(state.status[row] == board.ALIVE)
        x, y, channel = state.x[row, living], state.y[row, living], 1 + 2 * self.unit_groups[living]
        result[x, y, channel] = 1.0
        result[x, y, channel + 1] = state.hp[row, living] / self.full_hp[living]
        if params.extra_features:
            # Between two steps the engine's last reward is that of the step just made.
            scene = scene_of(state)._replace(last_reward=state.reward)
            features = self.backend.empty((len(living), self.num_features), np.float32)
            rows = np.full(len(living), row)
            self.backend.run(
                observe.describe, (len(living),), params, scene, rows, living, features
            )
            result[x, y, base:] = features[:, : result.shape[2] - base]
        return result

    def measures(self, state: State) -> dict[str, Any]:
        return {
            f"{group.name}_{measure}": getattr(state, name)[:, k]
            for measure, name in COUNTS.items()
            for k, group in enumerate(self.world.groups)
        }

    def layout(self) -> Layout:
        return layout.layout_of(self)

    def places(self, state: State, step: Step, row: int) -> Places:
        return layout.places_of(state, row)

    def draw(self, state: State, step: Step, row: int, canvas: Canvas) -> None:
        draw.draw(self, state, step, row, canvas)
