"""The arrays of a grid world, and its options as the rules read them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from mfenvs.engine.backend import Backend
from mfenvs.gridworld import board, orders
from mfenvs.gridworld.config import GridConfig
from mfenvs.gridworld.units import OPS, UnitType, World

BANDED_FROM = 100  # cells along an edge from which the engine buckets its moves by bands
# The columns of a unit type's amounts; see `mfenvs.gridworld.tables`.
AMOUNTS = ("damage", "attack_penalty", "dead_penalty", "kill_reward", "kill_supply")


class Params(NamedTuple):
    """The options as the rules read them. G groups, T unit types, S arrangements."""

    num_agents: int
    num_groups: int
    # `mfenvs.gridworld.tables` explains the columns of agents, groups, units, amounts and paid.
    agents: Any  # uint32 [N, 2]
    groups: Any  # uint32 [G + 1, 3]
    units: Any  # int64 [T, 7]
    amounts: Any  # float32 [T, 5]
    max_hp: Any  # float32 [N], as the next two: for loops over all agents, whose types may differ
    recover: Any
    step_reward: Any
    paid: Any  # float32 [G, G, 2, 2]
    starves: bool  # whether any type loses hp by itself
    pays_victims: bool  # whether any payment is to victims
    reach: Any  # int64 [T, A]; the distance in the grid from the position to the cell of an action
    single_cell: bool  # whether all bodies are one cell
    size: int
    rim: int
    stride: int
    max_cycles: int  # -1: never
    num_bands: int
    band_width: int
    positions: Any  # int32 [S, N, 2]; x and y, -1 for agents that do not take part
    starts: Any  # int64 [S, G, 3]; also in `mfenvs.gridworld.tables`
    random_side: bool  # whether a coin picks one of two arrangements
    nearer: int  # the next ones are explained in `mfenvs.gridworld.placement.Shifts`
    further: int
    aslant: int
    odd_x: int
    odd_y: int
    copied_start: bool
    window: int  # cells along an edge of the view; this and the next ones are those of all types
    sight: Any  # int64 [window]; how many cells to the right are seen in a row of the view
    seen: Any  # int64 [K]; the distances in the grid to the cells in sight
    spots: Any  # uint64 [K]; their places in the window
    depth: int  # channels of a group
    channels: int
    numbers: Any  # int32 or int64 [window * window * channels]; as returned by `numbers_of`
    where_bit: int
    empty_map: Any  # int16 or int32 [cells]; a grid without agents
    part: Any  # int64 [size]; the row or column of the minimap that a row or column falls into
    minimap: bool
    extra_features: bool


class Scene(NamedTuple):
    """What observations and the graph depend on.

    Attributes:
        x, y: uint8 (int16 on maps past 255) [B, N]; the column and the row of the position.
        hp: float32 [B, N].
        last_reward: float32 [B, N]; of the step before the last.
        last_action: int8 (int16 with more than 127 actions) [B, N]; -1 for none, A before the first.
        status: int8 [B, N]; GONE, ALIVE, or DYING (in the last step).
        swapped: bool [B]; whether the episode started from the second arrangement.
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
    """What follows from a scene; see `mfenvs.gridworld.board`.

    Attributes:
        grid: int16 (int32 from 2^15 agents on) [B, cells].
        look: float32 [B, FIRST + N, 2]; by what the grid holds: whether it shows, and its share of hp.
        occupied_cells: int32 [B, G, K]; the cells of the minimap that a group occupies, the first
            ``num_occupied_cells``.
        num_occupied_cells: int32 [B, G].
        share: float32 [B, G, K]; the share of a group in each cell. K = 0 without minimaps.
    """

    grid: Any
    look: Any
    occupied_cells: Any
    num_occupied_cells: Any
    share: Any


class State(NamedTuple):
    """B rows of N agents in G groups; the first fields are those of `Scene` and `Board`.

    Attributes:
        reward: float32 [B, N]; of the last step.
        attack_result: int8 [B, N]; what an attack of the last step did: NOTHING, MISS, HIT, KILL.
        victim: int32 [B, N]; the agent that an attack of the last step hit or killed, if it did; set
            only if ``params.pays_victims``.
        bounty: float32 [B, N]; the attack reward for that, which is paid at the end of the step.
        queue: int32 [B, N]; memory for the rules.
        living: int32 [B, G].
        attacks, hits, kills: int32 [B, G]; by each group in the episode. The attack of an agent that
            dies before its turn does not count; a kill is a hit, too.
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
    victim: Any
    bounty: Any
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


def params_of(config: GridConfig, world: World, backend: Backend) -> Params:
    """The options as arrays of the backend and numbers.

    Raises:
        NotImplementedError: unless all unit types have equal views and equally many actions.
    """
    units, groups, placement = world.unit_types, world.groups, world.placement
    sides, sizes = world.sides, placement.group_sizes
    moves = [offsets(unit.speed) for unit in units]
    attacks = [attack_offsets(unit) for unit in units]
    targets = [np.concatenate(pair) for pair in zip(moves, attacks, strict=True)]
    seen, num_actions = offsets(units[0].view_radius, units[0].width), len(targets[0])
    for k, unit in enumerate(units):
        for name, value, same in (
            ("view", offsets(unit.view_radius, unit.width).tolist(), seen.tolist()),
            ("number of actions", len(targets[k]), num_actions),
        ):
            if value != same:
                raise NotImplementedError(
                    f"unit_types[{k}] has another {name} than unit_types[0]; "
                    "allowed: one layout of observations and actions for all unit types"
                )
    # A view of even size reaches one cell further to the left and up.
    window = 2 * int(seen.max()) + 1 + (units[0].width + 1) % 2
    corner = window // 2
    most = max(max(unit.width, unit.length) for unit in units)
    far = max(int(abs(part).max(initial=0)) for part in (seen, *targets))
    rim = max(far, corner) + most - 1
    stride = config.map_size + 2 * rim
    scale = -(-config.map_size // window)
    depth = 3 if config.minimap_mode else 2
    channels = 1 + depth * len(groups)
    bands = 1 if config.map_size < BANDED_FROM else 8 if config.map_size <= 1000 else 16
    where_bit = board.GROUP_BIT + max(1, (len(groups) - 1).bit_length())

    def ints(values: Any) -> Any:
        return backend.asarray(values, np.int64)

    def in_grid(cells: np.ndarray) -> np.ndarray:
        return cells[..., 1] * stride + cells[..., 0]

    def of_agents(name: str) -> Any:
        return backend.asarray(
            np.repeat([getattr(g.unit, name) for g in groups], sizes), np.float32
        )

    members = [(g, units.index(group.unit)) for g, group in enumerate(groups)]
    firsts = (np.cumsum(sizes) - sizes).tolist()
    return Params(
        num_agents=int(sizes.sum()),
        num_groups=len(groups),
        agents=backend.asarray(np.repeat(members, sizes, axis=0), np.uint32),
        groups=backend.asarray(
            [
                (first, units.index(group.unit), sides.index(group.side))
                for first, group in zip(firsts, groups, strict=True)
            ]
            + [(int(sizes.sum()), 0, 0)],
            np.uint32,
        ),
        units=ints(
            [
                (
                    unit.width,
                    unit.length,
                    in_grid(np.array([unit.width // 2, unit.length // 2])),
                    len(moves[k]),
                    len(targets[k]),
                    np.flatnonzero(~moves[k].any(1))[0],
                    unit.attack_in_group,
                )
                for k, unit in enumerate(units)
            ]
        ),
        amounts=backend.asarray(
            [[getattr(unit, name) for name in AMOUNTS] for unit in units], np.float32
        ),
        max_hp=of_agents("hp"),
        recover=of_agents("recover"),
        step_reward=of_agents("step_reward"),
        starves=any(unit.recover < 0 for unit in units),
        paid=backend.asarray(paid_by(world), np.float32),
        pays_victims=any(reward.victim_reward for reward in world.rewards),
        reach=ints(np.stack([in_grid(cells) for cells in targets])),
        single_cell=most == 1,
        size=config.map_size,
        rim=rim,
        stride=stride,
        max_cycles=-1 if config.max_cycles is None else config.max_cycles,
        num_bands=bands,
        band_width=-(-config.map_size // bands),
        positions=backend.asarray(np.stack([placement.x, placement.y], axis=-1), np.int32),
        starts=ints(np.stack([placement.size, placement.number, placement.right], axis=-1)),
        random_side=len(placement.x) == 2,
        nearer=placement.shifts.nearer,
        further=placement.shifts.further,
        aslant=placement.shifts.aslant,
        odd_x=placement.shifts.odd_x,
        odd_y=placement.shifts.odd_y,
        copied_start=bool(config.copied_start),
        window=window,
        sight=ints([seen[seen[:, 1] == dy, 0].max() for dy in range(-corner, window - corner)]),
        seen=ints(in_grid(seen)),
        spots=backend.asarray((seen[:, 1] + corner) * window + seen[:, 0] + corner, np.uint64),
        depth=depth,
        channels=channels,
        numbers=backend.asarray(
            numbers_of(seen, window, stride, channels, depth, where_bit),
            np.int32 if len(groups) == 2 else np.int64,
        ),
        where_bit=where_bit,
        empty_map=backend.asarray(empty_map(config.map_size, rim), grid_type(int(sizes.sum()))),
        part=ints(np.arange(config.map_size) // scale),
        minimap=bool(config.minimap_mode),
        extra_features=bool(config.extra_features),
    )


def paid_by(world: World) -> np.ndarray:
    """The attack rewards as a table: float64 [G, G, 2, 2]."""
    names = [group.name for group in world.groups]
    # Nothing is -0: to add it never changes a number.
    paid = np.full((len(names), len(names), len(OPS), 2), -0.0)
    for reward in world.rewards:
        place = names.index(reward.attacker), names.index(reward.victim), OPS.index(reward.op)
        paid[place] = reward.reward, reward.victim_reward or -0.0
    return paid


def from_grid(params: Params, distance: np.ndarray) -> np.ndarray:
    """Distances in the grid as (dx, dy), which may not exceed the rim: int64 [..., 2]."""
    at = distance + params.rim
    return np.stack([at % params.stride - params.rim, at // params.stride], axis=-1)


def attack_offsets(unit: UnitType) -> np.ndarray:
    """From the position, the cells (dx, dy) that a unit's attacks reach: int64 [K, 2]."""
    cells = offsets(unit.attack_radius, unit.width, unit.width / 2)
    return cells + np.array([unit.width // 2, unit.length // 2])


def empty_map(size: int, rim: int) -> np.ndarray:
    """A grid without agents, flat."""
    blank = np.full((size - 2, size - 2), board.BLANK)
    walled = np.pad(blank, 1, constant_values=board.WALL)
    return np.pad(walled, rim, constant_values=board.OFF).ravel()


def numbers_of(
    seen: np.ndarray, window: int, stride: int, channels: int, depth: int, where_bit: int
) -> np.ndarray:
    """The numbers of a view, as `board` packs them: int64 [window * window * channels]."""
    corner = window // 2
    away = np.full((window, window, 1), board.UNSEEN)
    dx, dy = seen.T
    away[dy + corner, dx + corner, 0] = dy * stride + dx
    channel = np.arange(channels)
    group, quantity = np.divmod(channel - 1, depth)
    group = np.where(channel == 0, 0, group)
    quantity = np.where(channel == 0, board.IS_WALL, quantity)
    cell = np.arange(window**2).reshape(window, window, 1)
    where = np.where(quantity == board.IS_SHARE, cell, away)
    return ((where << where_bit) + (group << board.GROUP_BIT) + quantity).ravel()


def grid_type(num_agents: int) -> type[np.integer]:
    """The integers that tell the agents apart in a grid."""
    return np.int16 if board.FIRST + num_agents < 2**15 else np.int32


def offsets(radius: float, width: int = 1, inner: float = 0.0) -> np.ndarray:
    """The cells (dx, dy) of a circle, row by row, as the engine lists them: int64 [K, 2].

    Args:
        radius: of the circle; cells at this distance belong to it.
        width: of the body in the center. If it is even, the center is the corner of four cells, of
            which (0, 0) is the one to the lower right.
        inner: cells nearer to the center than that are left out.
    """
    limit = float(np.float32(radius)) + 1e-8  # in the engine's arithmetic
    reach, odd = int(limit), width % 2
    shift = 0.0 if odd else 0.5
    return np.array(
        [
            (dx, dy)
            for dy in range(-reach, reach + odd)
            for dx in range(-reach, reach + odd)
            if inner - 1e-8 < math.hypot(dx + shift, dy + shift) < limit
        ],
        np.int64,
    ).reshape(-1, 2)


def engine_state(seeds: np.ndarray) -> np.ndarray:
    """The generator's state under a seed, which reaches the engine as a C int, then unsigned long."""
    signed = (seeds + 2**31) % 2**32 - 2**31
    state = (signed + np.where(signed < 0, pow(2, 64, orders.MODULUS), 0)) % orders.MODULUS
    return np.where(state == 0, 1, state)
