"""The arrays of a battle, and its options as the rules read them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from mfenvs.battle import board, rules
from mfenvs.battle.config import BattleConfig
from mfenvs.battle.placement import start_of
from mfenvs.engine.backend import Backend

BANDED_FROM = 100  # cells along an edge from which the engine buckets its moves by bands


class Params(NamedTuple):
    """The options as the rules read them."""

    num_agents: int
    num_red: int
    size: int
    rim: int
    stride: int
    reach: Any  # int64 [A]; how far away in the grid the cell lies that an action aims at
    num_moves: int
    num_actions: int
    stay: int  # the action that does not move
    hp: np.float32
    damage: np.float32
    recover: np.float32
    kill_reward: np.float32
    step_reward: np.float32
    dead_penalty: np.float32
    attack_penalty: np.float32
    attack_opponent_reward: np.float32
    max_cycles: int  # -1: never
    num_bands: int
    band_width: int
    start_x: Any  # int32 [2, N]
    start_y: Any  # int32 [2, N]
    start_size: Any  # int32 [2, 2]
    random_side: bool
    nearer: int  # from here on see `mfenvs.battle.placement.Shifts`
    further: int
    aslant: int
    odd_x: int
    odd_y: int
    copied_start: bool
    window: int  # cells along an edge of the view
    sight: Any  # int64 [window]; how many cells to each side are seen in a line of the view
    seen: Any  # int64 [S]; how far away in the grid the cells in sight lie
    spots: Any  # uint64 [S]; their places in the window
    channels: int
    numbers: Any  # int32 [window * window * channels]; see `numbers_of`
    empty_map: Any  # int16 or int32 [cells]; a grid with nobody on it
    part: Any  # int64 [size]; the minimap's line or column that a line or column falls into
    minimap: bool
    extra_features: bool


class Scene(NamedTuple):
    """What observations and the graph depend on.

    Attributes:
        x, y: uint8 (int16 on maps past 255) [B, N]; the column and the line.
        hp: float32 [B, N].
        last_reward: float32 [B, N]; of the step before the last.
        last_action: int8 (int16 with more than 127 actions) [B, N]; -1 for none, A before the first.
        status: int8 [B, N]; GONE, ALIVE, or DYING (in the last step).
        swapped: bool [B]; whether blue is the army that started on the left.
    """

    x: Any
    y: Any
    hp: Any
    last_reward: Any
    last_action: Any
    status: Any
    swapped: Any


class Snapshot(NamedTuple):
    """A scene in 11 bytes an agent (13 on maps past 255; one more with more than 83 actions).

    Attributes:
        mark: uint8 or int16 [B, N]; three times (last_action + 1), plus the status.
    """

    x: Any
    y: Any
    hp: Any
    last_reward: Any
    mark: Any
    swapped: Any


class Board(NamedTuple):
    """What follows from a scene; see `mfenvs.battle.board`.

    Attributes:
        grid: int16 (int32 from 2^15 agents on) [B, cells].
        look: float32 [B, FIRST + N, 2]; by what the grid holds: whether it shows, and its share of hp.
        occupied_cells: int32 [B, 2, K]; the cells of the minimap in which an army
            stands, the first ``num_occupied_cells``.
        num_occupied_cells: int32 [B, 2].
        share: float32 [B, 2, K]; the share of an army in each cell. K = 0 without minimaps.
    """

    grid: Any
    look: Any
    occupied_cells: Any
    num_occupied_cells: Any
    share: Any


class State(NamedTuple):
    """B battles of N agents; the first fields are those of `Scene` and `Board`.

    Attributes:
        reward: float32 [B, N]; of the last step.
        attack_result: int8 [B, N]; what an attack of the last step did: NOTHING, MISS, HIT, KILL.
        queue: int32 [B, N]; room for the rules.
        living: int32 [B, 2]; of red and of blue.
        attacks, hits, kills: int32 [B, 2]; by red and by blue in the episode. A blow of who died before
            it fell is none; a kill is a hit, too.
        random: int64 [B]; the engine's generator.
        key, counter: int64 [B]; a stream for what the engine does not draw.
        time: int32 [B]; steps since the row's reset.
    """

    x: Any
    y: Any
    hp: Any
    last_reward: Any
    last_action: Any
    status: Any
    swapped: Any
    grid: Any
    look: Any
    occupied_cells: Any
    num_occupied_cells: Any
    share: Any
    reward: Any
    attack_result: Any
    queue: Any
    living: Any
    attacks: Any
    hits: Any
    kills: Any
    random: Any
    key: Any
    counter: Any
    time: Any


def scene_of(source: State | Scene) -> Scene:
    """The part of a state that is its scene."""
    return Scene(*source[: len(Scene._fields)])


def params_of(config: BattleConfig, backend: Backend) -> Params:
    """The options as arrays of the backend and numbers."""
    start = start_of(config.placement, config.map_size, config.start_range)
    moves, attacks = circle(config.speed, True), circle(config.attack_radius, False)
    seen = circle(config.view_radius, True)
    radius = int(seen.max())
    rim = max(radius, int(moves.max()), int(attacks.max()))
    stride = config.map_size + 2 * rim
    targets = np.concatenate([moves, attacks])
    window = 2 * radius + 1
    scale = -(-config.map_size // window)
    channels = 7 if config.minimap_mode else 5
    bands = 1 if config.map_size < BANDED_FROM else 8 if config.map_size <= 1000 else 16
    return Params(
        num_agents=start.x.shape[1],
        num_red=start.num_red,
        size=config.map_size,
        rim=rim,
        stride=stride,
        reach=backend.asarray(targets[:, 1] * stride + targets[:, 0], np.int64),
        num_moves=len(moves),
        num_actions=len(targets),
        stay=int(np.flatnonzero(~moves.any(1))[0]),
        hp=np.float32(config.hp),
        damage=np.float32(config.damage),
        recover=np.float32(config.recover),
        **{name: np.float32(getattr(config, name)) for name in config.rewards()},
        max_cycles=-1 if config.max_cycles is None else config.max_cycles,
        num_bands=bands,
        band_width=-(-config.map_size // bands),
        start_x=backend.asarray(start.x, np.int32),
        start_y=backend.asarray(start.y, np.int32),
        start_size=backend.asarray(start.size, np.int32),
        random_side=start.random_side,
        nearer=start.shifts.nearer,
        further=start.shifts.further,
        aslant=start.shifts.aslant,
        odd_x=start.shifts.odd_x,
        odd_y=start.shifts.odd_y,
        copied_start=bool(config.copied_start),
        window=window,
        sight=backend.asarray(
            [seen[seen[:, 1] == dy, 0].max() for dy in range(-radius, radius + 1)], np.int64
        ),
        seen=backend.asarray(seen[:, 1] * stride + seen[:, 0], np.int64),
        spots=backend.asarray((seen[:, 1] + radius) * window + seen[:, 0] + radius, np.uint64),
        channels=channels,
        numbers=backend.asarray(numbers_of(seen, stride, channels), np.int32),
        empty_map=backend.asarray(empty_map(config.map_size, rim), grid_type(start.x.shape[1])),
        part=backend.asarray(np.arange(config.map_size) // scale, np.int64),
        minimap=bool(config.minimap_mode),
        extra_features=bool(config.extra_features),
    )


def empty_map(size: int, rim: int) -> np.ndarray:
    """A grid with nobody on it, flat."""
    room = np.full((size - 2, size - 2), board.BLANK)
    walled = np.pad(room, 1, constant_values=board.WALL)
    return np.pad(walled, rim, constant_values=board.OFF).ravel()


def numbers_of(seen: np.ndarray, stride: int, channels: int) -> np.ndarray:
    """What each number of a view tells, as `board` packs it: int64 [window * window * channels]."""
    radius, half = int(seen.max()), (channels - 1) // 2
    window = 2 * radius + 1
    away = np.full((window, window, 1), board.UNSEEN)
    dx, dy = seen.T
    away[dy + radius, dx + radius, 0] = dy * stride + dx
    channel = np.arange(channels)
    kind = np.where(channel == 0, board.IS_WALL, (channel - 1) % half)
    cell = np.arange(window**2).reshape(window, window, 1)
    where = np.where(kind == board.IS_SHARE, cell, away)
    return ((where << board.WHERE) + board.OTHER * (channel > half) + kind).ravel()


def grid_type(num_agents: int) -> type[np.integer]:
    """The integers that tell the agents apart in a grid."""
    return np.int16 if board.FIRST + num_agents < 2**15 else np.int32


def circle(radius: float, center: bool) -> np.ndarray:
    """The offsets (dx, dy) within a radius, line by line, as the engine lists them: int64 [K, 2]."""
    limit = float(np.float32(radius)) + 1e-8  # in the engine's arithmetic
    reach = int(limit)
    return np.array(
        [
            (dx, dy)
            for dy in range(-reach, reach + 1)
            for dx in range(-reach, reach + 1)
            if math.hypot(dx, dy) < limit and (center or dx or dy)
        ]
    )


def engine_state(seeds: np.ndarray) -> np.ndarray:
    """The generator's state under a seed, which reaches the engine as a C int, then unsigned long."""
    signed = (seeds + 2**31) % 2**32 - 2**31
    state = (signed + np.where(signed < 0, pow(2, 64, rules.MODULUS), 0)) % rules.MODULUS
    return np.where(state == 0, 1, state)
