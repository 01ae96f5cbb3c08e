"""The arrays of a grid world, and its options as the rules read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mfenvs.engine.backend import Backend
from mfenvs.gridworld import board, orders
from mfenvs.gridworld.config import GridConfig
from mfenvs.gridworld.units import OPS, UnitType, World

BANDED_FROM = 100  # cells along an edge from which the engine buckets its moves by bands
SPARSE = 0.05  # a world is sparse in which bodies cover less of what agents see at the start
MOST_VIEWERS = 64  # agents that stand for all there
# The columns of a unit type's amounts; see `mfenvs.gridworld.tables`.
AMOUNTS = ("damage", "attack_penalty", "dead_penalty", "kill_reward", "kill_supply")


class Params(NamedTuple):
    """The options as the rules read them. G groups, T unit types, V of which act, S arrangements.

    In the state arrays N counts all units on the board. The first ``num_acting`` of them are the game's
    agents; those of passive groups follow.
    """

    num_agents: int  # passive ones included
    num_acting: int
    num_changing: int  # the first ones; the rest are passive units that change by attacks alone
    num_groups: int  # passive ones included
    num_acting_groups: int
    num_views: int  # V; the first unit types
    # `mfenvs.gridworld.tables` explains the columns of agents, groups, units, amounts and paid.
    agents: Any  # uint32 [N, 2]
    groups: Any  # uint32 [G + 1, 3]
    units: Any  # int64 [T, 10]
    amounts: Any  # float32 [T, 5]
    max_hp: Any  # float32 [N], as the next two: for loops over all agents, whose types may differ
    recover: Any
    step_reward: Any
    paid: Any  # float32 [G, G, 2, 2]
    starves: bool  # whether any type loses hp by itself
    pays_victims: bool  # whether any payment is to victims
    pays_jointly: bool  # whether any payment is for hitting the victim of others
    joint: Any  # float32 [G, G]; by the groups of attacker and victim
    reach: Any  # int64 [T, A]; the distance in the grid from the position to the cell of an action
    single_cell: bool  # whether all bodies are one cell
    has_walls: bool  # whether there are walls within the map
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
    is_drawn: bool  # whether positions are drawn; the next one counts the walls that are
    num_walls: int
    # The next ones are by unit type, for the V that act; unused numbers are 0.
    sight: Any  # int64 [V, H]; how many cells to the right are seen in a row of the view
    seen: Any  # int64 [V, K]; the distances in the grid to the cells in sight
    spots: Any  # uint64 [V, K]; their places in the window
    depth: int  # channels of a group
    channels: int
    numbers: Any  # int32 or int64 [V, H * H * channels]; as returned by `numbers_of`
    where_bit: int
    empty_map: Any  # int16 or int32 [cells]; a grid without agents and without drawn walls
    part: Any  # int64 [V, size]; the row or column of the minimap that a row or column falls into
    id_bits: int
    is_sparse: bool  # whether nearly all cells in sight are blank
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
        walls: int32 [B, W]; the cells (y times the map's size, plus x) of the walls that were drawn.
    """

    x: Any
    y: Any
    hp: Any
    last_reward: Any
    last_action: Any
    status: Any
    swapped: Any
    walls: Any


class Snapshot(NamedTuple):
    """A scene in 11 bytes an agent (13 on maps past 255; one more with more than 83 actions).

    N counts the game's agents, P the units of passive groups.

    Attributes:
        mark: uint8 or int16 [B, N]; three times (last_action + 1), plus the status.
        passive_mark: int32 [B, P]; three times the cell (y times the map's size, plus x), plus the
            status.
        passive_hp: float32 [B, P].
    """

    x: Any
    y: Any
    hp: Any
    last_reward: Any
    mark: Any
    swapped: Any
    walls: Any
    passive_mark: Any
    passive_hp: Any


class Board(NamedTuple):
    """What follows from a scene; see `mfenvs.gridworld.board`.

    Attributes:
        grid: int16 (int32 from 2^15 agents on) [B, cells].
        look: float32 [B, FIRST + N, 2]; by what the grid holds: whether it shows, and its share of hp.
        occupied_cells: int32 [B, V G, K]; the cells of the minimap that a group occupies, the first
            ``num_occupied_cells``. The minimap of unit type v begins at v G, since its scale depends on
            the view.
        num_occupied_cells: int32 [B, V G].
        share: float32 [B, V G, K]; the share of a group in each cell. K = 0 without minimaps.
    """

    grid: Any
    look: Any
    occupied_cells: Any
    num_occupied_cells: Any
    share: Any


class Pictures(NamedTuple):
    """Where the pictures of a row's agents lie in one flat array.

    Attributes:
        starts: int64 [N + 1]; the first number of each agent's picture; the last entry is the total.
        widths: int64 [N]; the numbers a cell.
    """

    starts: Any
    widths: Any


class State(NamedTuple):
    """B rows of N units in G groups; the first fields are those of `Scene` and `Board`.

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
    walls: Any
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
    """Returns the options as arrays of the backend and numbers.

    Raises:
        NotImplementedError: unless all unit types of one name have equal views and equally many actions.
    """
    units, groups, placement = world.unit_types, world.groups, world.placement
    sides, sizes, size = world.sides, placement.group_sizes, config.map_size
    moves = [offsets(unit.speed) for unit in units]
    targets = [
        np.concatenate([steps, attack_offsets(unit)])
        for steps, unit in zip(moves, units, strict=True)
    ]
    num_views = len(dict.fromkeys(group.unit for group in world.acting))
    seen = [offsets(unit.view_radius, unit.width) for unit in units[:num_views]]
    check_types(units, seen, [len(cells) for cells in targets])
    windows = [window_of(unit) for unit in units[:num_views]]
    most = max(max(unit.width, unit.length) for unit in units)
    far = max(int(abs(part).max(initial=0)) for part in (*seen, *targets))
    rim = max(far, max(windows) // 2) + most - 1
    stride = size + 2 * rim
    depth = 3 if config.minimap_mode else 2
    channels = 1 + depth * len(groups)
    bands = 1 if size < BANDED_FROM else 8 if size <= 1000 else 16
    where_bit = board.GROUP_BIT + max(1, (len(groups) - 1).bit_length())
    numbers = [
        numbers_of(cells, window, stride, channels, depth, where_bit)
        for cells, window in zip(seen, windows, strict=True)
    ]

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
    corners = [window // 2 for window in windows]
    return Params(
        num_agents=int(sizes.sum()),
        num_acting=int(sizes[: len(world.acting)].sum()),
        num_changing=num_changing(world),
        num_groups=len(groups),
        num_acting_groups=len(world.acting),
        num_views=num_views,
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
                    *((windows[k], len(seen[k]), len(numbers[k])) if k < num_views else (0, 0, 0)),
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
        pays_jointly=any(reward.joint_reward for reward in world.rewards),
        joint=backend.asarray(paid_jointly_by(world), np.float32),
        reach=ints(padded([in_grid(cells) for cells in targets])),
        single_cell=most == 1,
        has_walls=bool(placement.walls) or placement.num_walls > 0,
        size=size,
        rim=rim,
        stride=stride,
        max_cycles=-1 if config.max_cycles is None else config.max_cycles,
        num_bands=bands,
        band_width=-(-size // bands),
        positions=backend.asarray(np.stack([placement.x, placement.y], axis=-1), np.int32),
        starts=ints(np.stack([placement.size, placement.number, placement.right], axis=-1)),
        random_side=len(placement.x) == 2,
        nearer=placement.shifts.nearer,
        further=placement.shifts.further,
        aslant=placement.shifts.aslant,
        odd_x=placement.shifts.odd_x,
        odd_y=placement.shifts.odd_y,
        copied_start=bool(config.copied_start),
        is_drawn=placement.is_drawn,
        num_walls=placement.num_walls,
        sight=ints(
            padded(
                [
                    np.array(
                        [
                            cells[cells[:, 1] == dy, 0].max(initial=-1)
                            for dy in range(-corner, window - corner)
                        ]
                    )
                    for cells, window, corner in zip(seen, windows, corners, strict=True)
                ]
            )
        ),
        seen=ints(padded([in_grid(cells) for cells in seen])),
        spots=backend.asarray(
            padded(
                [
                    (cells[:, 1] + corner) * window + cells[:, 0] + corner
                    for cells, window, corner in zip(seen, windows, corners, strict=True)
                ]
            ),
            np.uint64,
        ),
        depth=depth,
        channels=channels,
        numbers=backend.asarray(padded(numbers), np.int32 if len(groups) == 2 else np.int64),
        where_bit=where_bit,
        empty_map=backend.asarray(
            empty_map(size, rim, placement.walls), grid_type(int(sizes.sum()))
        ),
        part=ints([np.arange(size) // -(-size // window) for window in windows]),
        id_bits=world.id_bits,
        is_sparse=covered_in_sight(world, size) < SPARSE,
        minimap=bool(config.minimap_mode),
        extra_features=bool(config.extra_features),
    )


def num_changing(world: World) -> int:
    """Returns how many units may change without being attacked.

    These are all units, or all but the passive ones if nothing but an attack changes those.
    """
    passive = [group for group in world.groups if group.passive]
    names = [group.name for group in passive]
    is_paid = any(reward.victim_reward and reward.victim in names for reward in world.rewards)
    changes = any(group.unit.recover or group.unit.step_reward for group in passive)
    sizes = world.placement.group_sizes
    return int((sizes if is_paid or changes else sizes[: len(world.acting)]).sum())


def covered_in_sight(world: World, size: int) -> float:
    """Returns about which share of the cells in sight bodies cover when an episode starts.

    Some agents stand for all. Where positions are drawn, it is the share of the map.
    """
    placement, sizes = world.placement, world.placement.group_sizes
    units = [group.unit for group in world.groups]
    area = np.repeat([unit.width * unit.length for unit in units], sizes)
    if placement.is_drawn:
        return float(area.sum() + placement.num_walls) / size**2
    x, y = placement.x[0], placement.y[0]
    chosen = np.linspace(0, sizes[: len(world.acting)].sum() - 1, MOST_VIEWERS).astype(np.int64)
    chosen = chosen[x[chosen] >= 0]
    if not len(chosen):
        return 1.0
    radius = np.repeat([unit.view_radius for unit in units], sizes)[chosen]
    away = np.hypot(x[chosen, None] - x, y[chosen, None] - y)
    near = (away <= radius[:, None]) & (x >= 0)
    cells = np.pi * np.maximum(radius, 1.0) ** 2
    return float((((near * area).sum(1) - area[chosen]) / cells).mean())


def check_types(
    units: Sequence[UnitType], seen: Sequence[np.ndarray], num_actions: Sequence[int]
) -> None:
    """Raises NotImplementedError unless acting units of one name have equal views and equally many
    actions."""
    firsts: dict[str, int] = {}
    for k, cells in enumerate(seen):
        first = firsts.setdefault(units[k].name, k)
        for name, value, same in (
            ("view", cells.tolist(), seen[first].tolist()),
            ("number of actions", num_actions[k], num_actions[first]),
        ):
            if value != same:
                raise NotImplementedError(
                    f"unit_types[{k}] has another {name} than unit_types[{first}]; allowed: one layout "
                    "of observations and actions for all unit types of one name"
                )


def window_of(unit: UnitType) -> int:
    """Returns the number of cells along an edge of a unit's view."""
    # As the engine has it: int(r + 1e-8), where a view of even size reaches one cell further to the
    # left and up.
    return 2 * int(float(np.float32(unit.view_radius)) + 1e-8) + unit.width % 2


def padded(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Returns arrays of unequal lengths as one array, with zeros behind the shorter ones."""
    result = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for row, values in zip(result, rows, strict=True):
        row[: len(values)] = values
    return result


def paid_by(world: World) -> np.ndarray:
    """The attack rewards as a table: float64 [G, G, 2, 2]."""
    names = [group.name for group in world.groups]
    # Nothing is -0: to add it never changes a number.
    paid = np.full((len(names), len(names), len(OPS), 2), -0.0)
    for reward in world.rewards:
        place = names.index(reward.attacker), names.index(reward.victim), OPS.index(reward.op)
        paid[place] = reward.reward, reward.victim_reward or -0.0
    return paid


def paid_jointly_by(world: World) -> np.ndarray:
    """Returns the joint rewards of hits as a table: float64 [G, G]."""
    names = [group.name for group in world.groups]
    joint = np.zeros((len(names), len(names)))
    for reward in world.rewards:
        if reward.op == "hit":
            joint[names.index(reward.attacker), names.index(reward.victim)] = reward.joint_reward
    return joint


def from_grid(params: Params, distance: np.ndarray) -> np.ndarray:
    """Distances in the grid as (dx, dy), which may not exceed the rim: int64 [..., 2]."""
    at = distance + params.rim
    return np.stack([at % params.stride - params.rim, at // params.stride], axis=-1)


def attack_offsets(unit: UnitType) -> np.ndarray:
    """From the position, the cells (dx, dy) that a unit's attacks reach: int64 [K, 2]."""
    cells = offsets(unit.attack_radius, unit.width, unit.width / 2)
    return cells + np.array([unit.width // 2, unit.length // 2])


def empty_map(size: int, rim: int, walls: Sequence[tuple[int, int]] = ()) -> np.ndarray:
    """Returns a grid without agents, flat, with walls at the border and at the cells (x, y)."""
    blank = np.full((size - 2, size - 2), board.BLANK)
    walled = np.pad(blank, 1, constant_values=board.WALL)
    for x, y in walls:
        walled[y, x] = board.WALL
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
