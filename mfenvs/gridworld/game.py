"""Grid worlds as games: memory, spaces, and the order in which the rules run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import DTypeLike

from mfenvs.engine.backend import Backend
from mfenvs.game import Game, Step
from mfenvs.graph import CompleteGraph, NeighborGraph, RadiusGraph
from mfenvs.gridworld import board, compact, draw, layout, observe, rules, scripted, start
from mfenvs.gridworld.state import (
    Board,
    Pictures,
    Scene,
    Snapshot,
    State,
    engine_state,
    grid_type,
    params_of,
    scene_of,
)
from mfenvs.gridworld.tables import NUM_ACTIONS, WINDOW
from mfenvs.gridworld.units import World
from mfenvs.layout import Layout, Places
from mfenvs.rng import row_key
from mfenvs.validate import MAX_SEED, one_of

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas

# Boards made at a time to observe a snapshot: on a CPU; where many points run at once as many as have so
# many cells.
FEWEST, CELLS = 256, 2**26
# A seed with this bit is followed by the draws of MAgent2's constructor, where positions are drawn.
CONSTRUCTED = 2**61


class GridGame(Game):
    """MAgent2's grid world: groups of agents on a walled map that move and attack each other.

    A subclass describes its world by unit types, groups, rewards and a placement, and has a config
    that is a `GridConfig`. The game's groups, which play together, are the world's sides; its types are
    the names of the unit types. Units of passive groups are on the board, and not among the agents.

    Observation: a dict. "view" float32 [H, H, C], indexed [dy, dx] around the agent, 0 beyond its view
        radius: wall; then for each group, its group first and the others in cyclic order: whether one of
        its agents is there, its share of the full hp, [the group's minimap]. "features" float32 [F]:
        with ``extra_features`` the bits of the id, the last action one-hot and the last reward; with
        ``minimap_mode`` x and y over the map's size. In the PettingZoo view both in one float32
        [H, H, C + F], the features repeated at every cell. With several types H and F are those of the
        type, and without features the observation is the view alone.
    Action: moves within the speed, then attacks within the attack radius, both row by row.
    Termination: of the dead; and of all agents, once a group has none alive. Truncation: after
        ``max_cycles`` steps.
    State: float32 [map, map, 1 + 2 G], indexed [x, y]: wall; for each group, passive ones first, whether
        one of its agents has its position there, and its share of the full hp. With ``extra_features``
        also the features without the position, at the agents' cells: from channel 1 + 2 A on, for A
        groups that are not passive, the last reward in the last channel.
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
    rewards_exceed_range: ClassVar[bool] = False
    """Whether rewards may lie outside the world's ``reward_range``, which bounds MAgent2's spaces."""
    # The fields of the state that are measures of each group, by the name of the measure.
    measured: ClassVar[Mapping[str, str]] = {
        "alive": "living",
        "attacks": "attacks",
        "hits": "hits",
        "kills": "kills",
    }

    def __init__(self, config: Any, backend: Backend) -> None:
        self.config, self.backend = config, backend
        self.world = world = self.world_of(config)
        self.params = params = backend.pin(params_of(config, world, backend))
        sizes, acting = world.placement.group_sizes.tolist(), world.acting
        self.agents = tuple(
            f"{group.name}_{i}"
            for group, size in zip(acting, sizes, strict=False)
            for i in range(size)
        )
        count = len(self.agents)
        self.group_names = tuple(dict.fromkeys(group.side for group in acting))
        sides, names = world.sides, world.type_names
        self.groups = np.repeat([sides.index(group.side) for group in world.groups], sizes)[:count]
        self.type_names = names if len(names) > 1 else ("all",)
        of_acting = [names.index(group.unit.name) for group in acting]
        self.types = np.repeat(of_acting, sizes[: len(acting)])
        # Of each unit, its group in the world, which may be one of several on a side, and its type.
        self.unit_groups = np.repeat(np.arange(len(world.groups)), sizes)
        self.unit_types = np.repeat([world.unit_types.index(g.unit) for g in world.groups], sizes)
        self.full_hp = np.array([unit.hp for unit in world.unit_types], np.float32)[self.unit_types]
        self.all_start = bool((world.placement.x >= 0).all())

        self._set_spaces()
        # Walls that are drawn, or passive units.
        self._num_rest = max(params.num_walls, params.num_agents - params.num_acting)
        self._numbers = backend.asarray(np.arange(0), np.int64)
        self._members = [backend.asarray(members, np.int64) for members in self.members]
        self._are_of_type = [
            backend.asarray(self.types == k, np.bool_) for k in range(len(self.members))
        ]
        widths = (params.channels + np.array(self.feature_counts))[self.types]
        sizes = np.array(self.windows)[self.types] ** 2 * widths
        starts = backend.asarray(np.append(0, np.cumsum(sizes)), np.int64)
        self._pictures = Pictures(starts, backend.asarray(widths, np.int64))
        if self.has_types:  # else nobody uses them
            backend.pin(self._pictures)
        self._work_of_picture = 150 + int(sizes.mean()) // 10
        self._labels = self._labels_of(config.neighbors)
        self._fixed_graph = CompleteGraph(count, self._labels)

    def _set_spaces(self) -> None:
        """Sets the spaces, and the sizes of each type's observations."""
        params, config = self.params, self.config
        units = np.asarray(params.units.tolist())
        units = units[[self.unit_types[members[0]] for members in self.members]]  # one of each type
        self.windows, action_counts = units[:, WINDOW].tolist(), units[:, NUM_ACTIONS].tolist()
        extra = [(params.id_bits + n + 1) * config.extra_features for n in action_counts]
        self.feature_counts = tuple(n + 2 * config.minimap_mode for n in extra)
        # Whether a type observes its view alone, in place of a dict of view and features.
        self._are_views = [self.has_types and not count for count in self.feature_counts]
        self._shapes = [(n, n, params.channels) for n in self.windows]
        observed, pictures = [], []
        for k, shape in enumerate(self._shapes):
            # In pictures as MAgent2 bounds them, with the range of a reward where the last one stands.
            last_reward, count = extra[k] - 1 if extra[k] else None, self.feature_counts[k]
            place = None if last_reward is None else params.channels + last_reward
            pictures.append(self._box((*shape[:2], params.channels + count), place))
            view = self._box(shape, None)
            features = self._box((count,), last_reward, self.reward_bounds)
            both = spaces.Dict(view=view, features=features)
            observed.append(view if self._are_views[k] else both)
        self.single_observation_space = self._by_type(observed)
        self._picture_space = self._by_type(pictures)
        self.single_action_space = self._by_type([spaces.Discrete(n) for n in action_counts])
        depth = 1 + 2 * params.num_groups + max(extra)
        shape = (params.size, params.size, depth)
        self.state_space = self._box(shape, depth - 1 if max(extra) else None)
        self.state_is_bounded = not (config.extra_features and self.rewards_exceed_range)

    def _by_type(self, by_type: Sequence[Any]) -> Any:
        """Returns the one value, or with several types a dict by their names."""
        return dict(zip(self.type_names, by_type, strict=True)) if self.has_types else by_type[0]

    def _labels_of(self, neighbors: str) -> np.ndarray | None:
        """Returns int [N]: neighbors have the same label; None if all agents are neighbors."""
        count = len(self.agents)
        by_name = {"type": self.types, "group": self.unit_groups[:count], "all": None}
        return by_name.get(neighbors, self.groups)

    @property
    def num_features(self) -> int:
        """The number of features; with several types, the largest of theirs."""
        return max(self.feature_counts)

    @property
    def reward_bounds(self) -> tuple[float, float]:
        """The bounds of the last reward in a `BatchedEnv`: MAgent2's, unless rewards may exceed them."""
        return (-np.inf, np.inf) if self.rewards_exceed_range else self.world.reward_range

    @staticmethod
    @abstractmethod
    def world_of(config: Any) -> World:
        """The world that a config describes."""

    @property
    def parallel_observation_space(self) -> Any:
        return self._picture_space

    def _box(
        self,
        shape: tuple[int, ...],
        reward: int | None,
        bounds: tuple[float, float] | None = None,
    ) -> spaces.Box:
        low, high = np.zeros(shape, np.float32), np.full(shape, 2.0, np.float32)
        if reward is not None:
            low[..., reward], high[..., reward] = bounds or self.world.reward_range
        return spaces.Box(low, high, dtype=np.float32)

    @property
    def max_cycles(self) -> int | None:
        return self.config.max_cycles

    def channel_names(self, group: str) -> tuple[str, ...]:
        """Returns the names of the channels in the views of a group's agents, such as "red_hp".

        Raises:
            ValueError: for a group that is not one of the world's that act.
        """
        names = [each.name for each in self.world.groups]
        one_of("group", group, names[: self.params.num_acting_groups])
        first = names.index(group)
        quantities = ("", "_hp", "_minimap")[: self.params.depth]
        cycle = names[first:] + names[:first]
        return ("wall", *(f"{name}{quantity}" for name in cycle for quantity in quantities))

    def feature_names(self, group: str) -> tuple[str, ...]:
        """Returns the names of the features of a group's agents, such as "last_action_3".

        In the PettingZoo view they follow the `channel_names`.

        Raises:
            ValueError: as `channel_names`.
        """
        names = [each.name for each in self.world.acting]
        one_of("group", group, names)
        unit = self.world.unit_types.index(self.world.acting[names.index(group)].unit)
        count = int(self.params.units[unit, NUM_ACTIONS])
        features: tuple[str, ...] = ()
        if self.params.extra_features:
            bits = (f"id_bit_{bit}" for bit in range(self.params.id_bits))
            actions = (f"last_action_{action}" for action in range(count))
            features = (*bits, *actions, "last_reward")
        return (*features, "x", "y") if self.params.minimap else features

    # -- memory ---------------------------------------------------------------------------------

    def allocate(self, num_rows: int) -> State:
        zeros, agents = self.backend.zeros, (num_rows, self.params.num_agents)
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
        agents = (num_rows, self.params.num_agents)
        return Scene(
            x=new(agents, self._position_type),
            y=new(agents, self._position_type),
            hp=new(agents, np.float32),
            last_reward=new(agents, np.float32),
            last_action=new(agents, np.int8 if self.num_actions <= 127 else np.int16),
            status=new(agents, np.int8),
            swapped=new(num_rows, np.bool_),
            walls=new((num_rows, self.params.num_walls), np.int32),
        )

    @property
    def _position_type(self) -> type[np.integer[Any]]:
        return np.uint8 if self.params.size <= 255 else np.int16

    def _allocate_board(self, num_rows: int, new: Callable[..., Any]) -> Board:
        params = self.params
        cells = max(self.windows) ** 2 * params.minimap
        groups = params.num_views * params.num_groups
        return Board(
            grid=new((num_rows, params.stride**2), grid_type(params.num_agents)),
            look=new((num_rows, board.FIRST + params.num_agents, 2), np.float32),
            occupied_cells=new((num_rows, groups, cells), np.int32),
            num_occupied_cells=new((num_rows, groups), np.int32),
            share=new((num_rows, groups, cells), np.float32),
        )

    def allocate_observation(
        self, shape: tuple[int, ...], dtype: DTypeLike = np.float32, of_type: int | None = None
    ) -> Any:
        if self.has_types and of_type is None:
            return super().allocate_observation(shape, dtype)
        k, empty = of_type or 0, self.backend.empty
        view = empty((*shape, *self._shapes[k]), dtype)
        if self._are_views[k]:
            return view
        return {"view": view, "features": empty((*shape, self.feature_counts[k]), dtype)}

    def allocate_parallel_observation(self, count: int, of_type: int = 0) -> Any:
        shape = self.parallel_observation_space_of(of_type).shape or ()
        return self.backend.empty((count, *shape), np.float32)

    @property
    def has_joint_observations(self) -> bool:
        return True

    def allocate_joint_observations(self) -> tuple[Any, list[Any]]:
        starts = self._pictures.starts.tolist()
        memory = self.backend.empty(starts[-1], np.float32)
        parts = [memory[first:last] for first, last in pairwise(starts)]
        shapes = [self.parallel_observation_space_of(k).shape for k in self.types.tolist()]
        return memory, [part.reshape(s) for part, s in zip(parts, shapes, strict=True)]

    # -- play -----------------------------------------------------------------------------------

    def row_seeds(self, seed: int, num_rows: int) -> np.ndarray:
        """Returns seed + b for row b, modulo 2^62: as MAgent2 is seeded.

        Seeds 0 and 1 are the same to its generator.
        """
        return (seed + np.arange(num_rows, dtype=np.int64)) & MAX_SEED

    def reset_seeds(self, seed: Any, num_rows: int, seeded: bool) -> np.ndarray | None:
        if seed is None and not seeded:
            seeds = self.row_seeds(self.config.seed or 0, num_rows)
            # MAgent2's constructor has placed everybody once.
            return seeds | CONSTRUCTED if self.params.is_drawn else seeds
        return super().reset_seeds(seed, num_rows, seeded)

    def seed_rows(self, state: State, seeds: np.ndarray) -> None:
        state.random[:] = self.backend.asarray(engine_state(seeds), np.int64)
        state.key[:] = self.backend.asarray(row_key(seeds, 0), np.int64)
        state.counter[:] = 0
        is_due = (seeds & CONSTRUCTED) != 0
        if self.params.is_drawn and is_due.any():
            flags = self.backend.asarray(is_due, np.bool_)
            self.backend.run(start.construct, (len(seeds),), flags, self.params, state)

    def present_fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        present = super().present_fields(fields)
        if "walls" not in present and "swapped" in present and not self.params.num_walls:
            present["walls"] = present["swapped"][:, None][:, :0]
        return present

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
        of_type: int | None = None,
    ) -> None:
        outs = {of_type or 0: out}
        if self.has_types and of_type is None:
            outs = {k: out[name] for k, name in enumerate(self.type_names)}
        if isinstance(source, State):
            for k, given in outs.items():
                self._render(k, source, source, given, rows, agents)
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
                points = max(
                    board.FIRST + params.num_agents, max(self.windows) ** 2, params.num_walls
                )
                run(board.enter, (size, points), params, scene, seen)
            else:
                run(compact.unpack, (size, self.num_agents), source, which, scene)
                if self._num_rest:
                    arguments = (source, which, params, scene)
                    run(compact.unpack_rest, (size, self._num_rest), *arguments)
                run(board.survey, (size,), params, scene, seen, work=params.stride**2)
            chosen = (None, None) if rows is None else (every[:size], agents[part])
            for k, whole in outs.items():
                is_dict = isinstance(whole, dict)
                given = {name: x[part] for name, x in whole.items()} if is_dict else whole[part]
                self._render(k, scene, seen, given, *chosen)

    def observe_jointly(self, state: State, agents: Any, out: Any) -> None:
        arguments = (self.params, state, state, agents, self._pictures, out)
        extent, work = (len(agents),), self._work_of_picture
        self.backend.run(observe.picture_jointly, extent, *arguments, work=work)

    def _numbers_to(self, count: int) -> Any:
        """0, 1 ... count - 1, copied to the device no oftener than it must."""
        if len(self._numbers) < count:
            self._numbers = self.backend.asarray(np.arange(2 * count), np.int64)
        return self._numbers[:count]

    def _render(
        self,
        k: int,
        scene: State | Scene,
        seen: State | Board,
        out: Any,
        rows: Any = None,
        agents: Any = None,
    ) -> None:
        """Writes observations of a scene and its board by agents of type k."""
        run, params = self.backend.run, self.params
        numbers = self.windows[k] ** 2 * params.channels
        work = 150 + numbers // 10
        if not isinstance(out, dict) and not self._are_views[k]:
            width = params.channels + self.feature_counts[k]
            picture = out.reshape(len(out), self.windows[k] ** 2 * width)
            of_pictures = (params, scene, seen, rows, agents, width, picture)
            run(
                observe.picture_some,
                (len(out),),
                *of_pictures,
                work=work * width // params.channels,
            )
            return
        if isinstance(out, dict):
            view, features = out["view"], out["features"]
        else:
            view, features = out, self.backend.empty((*out.shape[:-3], 0), np.float32)
        views = view.reshape(*view.shape[:-3], numbers), features
        world, in_lanes = (params, scene, seen), self.backend.massively_parallel
        if rows is None:
            extent, members = (len(view), len(self.members[k])), self._members[k]
            if in_lanes:
                run(observe.lanes_of_all, (*extent, observe.LANES), *world, members, *views)
            else:
                run(observe.observe_all, extent, *world, members, *views, work=work)
            return
        chosen = (rows, agents, self._are_of_type[k])
        if in_lanes:
            run(observe.lanes_of_some, (len(rows), observe.LANES), *world, *chosen, *views)
        else:
            run(observe.observe_some, (len(rows),), *world, *chosen, *views, work=work)

    def snapshot(self, state: State) -> Snapshot:
        empty, params = self.backend.empty, self.params
        agents = (len(state.x), self.num_agents)
        passive = (len(state.x), params.num_agents - self.num_agents)
        packed = Snapshot(
            x=empty(agents, self._position_type),
            y=empty(agents, self._position_type),
            hp=empty(agents, np.float32),
            last_reward=empty(agents, np.float32),
            mark=empty(
                agents, np.uint8 if compact.STATUSES * (self.num_actions + 2) <= 256 else np.int16
            ),
            swapped=empty(agents[:1], np.bool_),
            walls=empty((len(state.x), params.num_walls), np.int32),
            passive_mark=empty(passive, np.int32),
            passive_hp=empty(passive, np.float32),
        )
        scene = scene_of(state)
        self.backend.run(compact.pack, agents, scene, packed)
        if self._num_rest:
            rest = (len(state.x), self._num_rest)
            self.backend.run(compact.pack_rest, rest, params, scene, packed)
        return packed

    def graph(self, source: State | Snapshot) -> NeighborGraph:
        if self.config.neighbor_radius is None:
            return self._fixed_graph
        agents = (len(source.x), self.num_agents)
        positions = self.backend.empty((*agents, 2), np.float64)
        self.backend.run(compact.locate, agents, source, positions)
        return RadiusGraph(positions, self.config.neighbor_radius, self._labels)

    def global_state(self, state: State, row: int) -> np.ndarray:
        params, acting = self.params, self.params.num_acting_groups
        result = np.zeros(self.state_space.shape or (), np.float32)
        result[:, :, 0] = self._state_walls(state, row)
        for group in (*range(acting, params.num_groups), *range(acting)):
            channel = 1 + 2 * ((group - acting) % params.num_groups)
            is_member = (state.status[row] == board.ALIVE) & (self.unit_groups == group)
            living = np.flatnonzero(is_member)
            x, y = state.x[row, living], state.y[row, living]
            result[x, y, channel] = 1.0
            result[x, y, channel + 1] = state.hp[row, living] / self.full_hp[living]
            if params.extra_features:
                result[x, y, 1 + 2 * acting :] = 0.0
            if params.extra_features and group < acting and len(living):
                features = self._state_features(state, row, living)
                result[x, y, 1 + 2 * acting : 1 + 2 * acting + features.shape[1] - 1] = features[
                    :, :-1
                ]
                result[x, y, -1] = features[:, -1]
        return result

    def _state_features(self, state: State, row: int, living: np.ndarray) -> np.ndarray:
        """Returns the features of agents of a group, without the position: float32 [n, F]."""
        # Between two steps the engine's last reward is that of the step just made, and the dead are
        # removed.
        status = state.status * (state.status == board.ALIVE)
        scene = scene_of(state)._replace(last_reward=state.reward, status=status)
        count = self.feature_counts[self.types[living[0]]]
        features = self.backend.empty((len(living), count), np.float32)
        rows = np.full(len(living), row)
        arguments = (self.params, scene, rows, living, features)
        self.backend.run(observe.describe, (len(living),), *arguments)
        return features[:, : count - 2 * self.params.minimap]

    def _state_walls(self, state: State, row: int) -> np.ndarray:
        """Returns where `global_state` shows walls: bool [map, map], indexed [x, y]."""
        if getattr(self.config, "first_walls", True):
            return self._constructors_walls
        return self._inside(state.grid[row]) == board.WALL

    def _inside(self, grid: Any) -> np.ndarray:
        """Returns a grid without its rim, indexed [x, y]."""
        params = self.params
        inside = slice(params.rim, params.rim + params.size)
        return np.asarray(grid).reshape(params.stride, params.stride)[inside, inside].T

    @cached_property
    def _constructors_walls(self) -> np.ndarray:
        """The walls of an episode, bool [map, map], indexed [x, y]; those of MAgent2's constructor, if
        they are drawn, which its ``state()`` shows in all episodes."""
        params = self.params
        state = self.allocate(1)
        if params.is_drawn:
            self.seed_rows(state, np.array([(self.config.seed or 0) | CONSTRUCTED]))
        walls = self._inside(params.empty_map) == board.WALL
        y, x = np.divmod(state.walls[0], params.size)
        walls[x, y] = True
        return walls

    def measures(self, state: State) -> dict[str, Any]:
        measures = {
            f"{group.name}_{measure}": getattr(state, name)[:, k]
            for measure, name in self.measured.items()
            for k, group in enumerate(self.world.groups)
        }
        for side in self.group_names:  # of several groups
            members = [k for k, group in enumerate(self.world.groups) if group.side == side]
            for measure, name in self.measured.items() if len(members) > 1 else ():
                measures[f"{side}_{measure}"] = getattr(state, name)[:, members].sum(1)
        return measures

    def layout(self) -> Layout:
        return layout.layout_of(self)

    def places(self, state: State, step: Step, row: int) -> Places:
        return layout.places_of(self, state, row)

    def draw(self, state: State, step: Step, row: int, canvas: Canvas) -> None:
        draw.draw(self, state, step, row, canvas)
