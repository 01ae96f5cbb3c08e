"""Battle as a game: its spaces, and the order in which its rules run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces
from numpy.typing import DTypeLike

from mfenvs.battle import board, compact, draw, observe, rules, scripted
from mfenvs.battle.config import BattleConfig
from mfenvs.battle.placement import TEAMS
from mfenvs.battle.state import (
    Board,
    Scene,
    Snapshot,
    State,
    engine_state,
    grid_type,
    params_of,
    scene_of,
)
from mfenvs.engine.backend import Backend
from mfenvs.game import Game, Step
from mfenvs.graph import CompleteGraph, NeighborGraph, RadiusGraph
from mfenvs.rng import row_key

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas

# Boards made at a time to observe a snapshot: on a CPU; where many points run at once as many as have so
# many cells.
FEWEST, CELLS = 256, 2**26
COUNTS = {"alive": "living", "attacks": "attacks", "hits": "hits", "kills": "kills"}  # in the state


class BattleGame(Game):
    """Two armies on a walled map; fighting pays, dying costs (Yang et al. 2018, section 5.3).

    Bit for bit MAgent2's ``battle_v4`` under its own options: the same seed and the same actions give
    the same observations, rewards and ends.

    Observation: a dict. "view" float32 [13, 13, C], indexed [dy + 6, dx + 6] around the agent, 0
        beyond a distance of 6: wall, own army, its hp, [its minimap], the other army, its hp, [its
        minimap]; C = 5, or 7 with ``minimap_mode``. "features" float32 [F]: with ``extra_features``
        ten bits of the id, the last action one-hot and the last reward; with ``minimap_mode`` x and y
        over the map's size; F = 0, 2, 32 or 34. In the PettingZoo view both in one float32
        [13, 13, C + F], the features repeated at every cell.
    Action: 0 to 12 move to a cell within a distance of 2 (6 stays), 13 to 20 attack one of the eight
        cells around, both line by line. A move to a cell that is not blank fails.
    Reward: step -0.005, each attack -0.1, a hit that does not kill +0.2, a kill +5; who is killed gets
        -0.1 in place of all that came before the blow.
    Termination: of the dead; and of everybody, once an army is wiped out. Truncation: after
        ``max_cycles`` steps.
    State: float32 [map, map, 5], indexed [x, y]: wall, red, its hp, blue, its hp; with
        ``extra_features`` also the features without the position, at the agents' cells.
    """

    id = "battle_v0"
    Config = BattleConfig
    players = scripted.PLAYERS
    agent_fields = ("x", "y", "hp", "last_reward", "mark")

    def __init__(self, config: BattleConfig, backend: Backend) -> None:
        self.config, self.backend = config, backend
        self.params = params = backend.pin(params_of(config, backend))
        sizes = (params.num_red, params.num_agents - params.num_red)
        self.agents = tuple(
            f"{team}_{i}" for team, size in zip(TEAMS, sizes, strict=True) for i in range(size)
        )
        self.groups = np.repeat(np.arange(2), sizes)
        self.group_names = TEAMS
        self.all_start = bool((params.start_x[: 1 + params.random_side] >= 0).all())
        self.types = np.zeros(params.num_agents, np.int64)

        bits = (observe.ID_BITS + params.num_actions + 1) * config.extra_features
        self.num_features = bits + 2 * config.minimap_mode
        # Bounds as MAgent2 gives them, who puts those of a reward where the last one stands.
        rewards = np.array([getattr(config, name) for name in config.rewards()])
        self._reward_range = np.minimum(rewards, 0).sum(), np.maximum(rewards, 0).sum()
        view = (params.window, params.window)
        self.single_observation_space = spaces.Dict(
            view=self._box((*view, params.channels), None),
            features=self._box((self.num_features,), bits - 1 if bits else None),
        )
        self._picture_space = self._box(
            (*view, params.channels + self.num_features),
            params.channels + bits - 1 if bits else None,
        )
        self.single_action_space = spaces.Discrete(params.num_actions)
        depth = 5 + bits
        self.state_space = self._box((params.size, params.size, depth), depth - 1 if bits else None)
        self._team_graph = CompleteGraph(params.num_agents, self.groups)
        self._full_graph = CompleteGraph(params.num_agents)
        self._numbers = backend.asarray(np.arange(0), np.int64)

    @property
    def parallel_observation_space(self) -> spaces.Box:
        return self._picture_space

    def _box(self, shape: tuple[int, ...], reward: int | None) -> spaces.Box:
        low, high = np.zeros(shape, np.float32), np.full(shape, 2.0, np.float32)
        if reward is not None:
            low[..., reward], high[..., reward] = self._reward_range
        return spaces.Box(low, high, dtype=np.float32)

    @property
    def max_cycles(self) -> int | None:
        return self.config.max_cycles

    # -- memory ---------------------------------------------------------------------------------

    def allocate(self, num_rows: int) -> State:
        zeros, agents = self.backend.zeros, (num_rows, self.num_agents)
        return State(
            **self._allocate_scene(num_rows, zeros)._asdict(),
            **self._allocate_board(num_rows, zeros)._asdict(),
            reward=zeros(agents, np.float32),
            attack_result=zeros(agents, np.int8),
            queue=zeros(agents, np.int32),
            living=zeros((num_rows, 2), np.int32),
            **{name: zeros((num_rows, 2), np.int32) for name in ("attacks", "hits", "kills")},
            random=zeros(num_rows, np.int64),
            key=zeros(num_rows, np.int64),
            counter=zeros(num_rows, np.int64),
            time=zeros(num_rows, np.int32),
        )

    def _allocate_scene(self, num_rows: int, room: Callable[..., Any]) -> Scene:
        agents = (num_rows, self.num_agents)
        return Scene(
            x=room(agents, self._position_type),
            y=room(agents, self._position_type),
            hp=room(agents, np.float32),
            last_reward=room(agents, np.float32),
            last_action=room(agents, np.int8 if self.num_actions <= 127 else np.int16),
            status=room(agents, np.int8),
            swapped=room(num_rows, np.bool_),
        )

    @property
    def _position_type(self) -> type[np.integer[Any]]:
        return np.uint8 if self.params.size <= 255 else np.int16

    def _allocate_board(self, num_rows: int, room: Callable[..., Any]) -> Board:
        params, cells = self.params, self.params.window**2 * self.params.minimap
        return Board(
            grid=room((num_rows, params.stride**2), grid_type(params.num_agents)),
            look=room((num_rows, board.FIRST + params.num_agents, 2), np.float32),
            occupied_cells=room((num_rows, 2, cells), np.int32),
            num_occupied_cells=room((num_rows, 2), np.int32),
            share=room((num_rows, 2, cells), np.float32),
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
        """seed + b for row b, as MAgent2 would be seeded; 0 and 1 are one to its generator."""
        return seed + np.arange(num_rows, dtype=np.int64)

    def reset_seeds(self, seed: Any, num_rows: int, seeded: bool) -> np.ndarray | None:
        if seed is None and not seeded:
            seed = self.config.seed or 0
        return super().reset_seeds(seed, num_rows, seeded)

    def reset(self, state: State, out: Step, seeds: np.ndarray | None) -> None:
        if seeds is not None:
            state.random[:] = self.backend.asarray(engine_state(seeds), np.int64)
            state.key[:] = self.backend.asarray(row_key(seeds, 0), np.int64)
            state.counter[:] = 0
        out.over[:] = True
        self.step(state, out.actions, out, out)

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
        run, params, room = self.backend.run, self.params, self.backend.empty
        count = len(source.x) if rows is None else len(rows)
        most = max(
            1, min(count, CELLS // params.stride**2 if self.backend.massively_parallel else FEWEST)
        )
        scenes, boards = self._allocate_scene(most, room), self._allocate_board(most, room)
        own = self._numbers_to(count)
        for first in range(0, count, most):
            size = min(most, count - first)
            part = slice(first, first + size)
            scene = self.backend.convert(Scene(*(array[:size] for array in scenes)))
            seen = self.backend.convert(Board(*(array[:size] for array in boards)))
            which = own[part] if rows is None else rows[part]
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
                self._render(scene, seen, given, own[:size], agents[part])

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
        room = out["view"].reshape(*out["view"].shape[:-3], numbers), out["features"]
        if self.backend.massively_parallel and rows is None:
            run(observe.lanes_of_all, (*scene.x.shape, observe.LANES), params, scene, seen, *room)
        elif self.backend.massively_parallel:
            arguments = (params, scene, seen, rows, agents, *room)
            run(observe.lanes_of_some, (len(rows), observe.LANES), *arguments)
        elif rows is None:
            run(observe.observe_all, scene.x.shape, params, scene, seen, *room, work=work)
        else:
            arguments = (params, scene, seen, rows, agents, *room)
            run(observe.observe_some, (len(rows),), *arguments, work=work)

    def snapshot(self, state: State) -> Snapshot:
        empty, agents = self.backend.empty, tuple(state.x.shape)
        found = Snapshot(
            x=empty(agents, self._position_type),
            y=empty(agents, self._position_type),
            hp=empty(agents, np.float32),
            last_reward=empty(agents, np.float32),
            mark=empty(
                agents, np.uint8 if compact.STATUSES * (self.num_actions + 2) <= 256 else np.int16
            ),
            swapped=empty(agents[:1], np.bool_),
        )
        self.backend.run(compact.pack, agents, scene_of(state), found)
        return found

    def graph(self, source: State | Snapshot) -> NeighborGraph:
        team = self.config.neighbors == "team"
        if self.config.neighbor_radius is None:
            return self._team_graph if team else self._full_graph
        positions = self.backend.empty((*source.x.shape, 2), np.float64)
        self.backend.run(compact.locate, tuple(source.x.shape), source, positions)
        return RadiusGraph(positions, self.config.neighbor_radius, self.groups if team else None)

    def global_state(self, state: State, row: int) -> np.ndarray:
        params = self.params
        found = np.zeros(self.state_space.shape or (), np.float32)
        for edge in (0, -1):
            found[edge, :, 0] = found[:, edge, 0] = 1.0
        living = np.flatnonzero(state.status[row] == board.ALIVE)
        x, y = state.x[row, living], state.y[row, living]
        found[x, y, 1 + 2 * self.groups[living]] = 1.0
        found[x, y, 2 + 2 * self.groups[living]] = state.hp[row, living] / params.hp
        if params.extra_features:
            # Between two steps the engine's last reward is that of the step just made.
            scene = scene_of(state)._replace(last_reward=state.reward)
            features = self.backend.empty((len(living), self.num_features), np.float32)
            rows = np.full(len(living), row)
            self.backend.run(
                observe.describe, (len(living),), params, scene, rows, living, features
            )
            found[x, y, 5:] = features[:, : found.shape[2] - 5]
        return found

    def measures(self, state: State) -> dict[str, Any]:
        return {
            f"{army}_{measure}": getattr(state, name)[:, blue]
            for measure, name in COUNTS.items()
            for blue, army in enumerate(self.group_names)
        }

    def draw(self, state: State, step: Step, row: int, canvas: Canvas) -> None:
        draw.draw(self, state, step, row, canvas)
