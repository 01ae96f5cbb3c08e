"""Draws a grid world: the map at the left; counts, history and the selected agent at the right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mfenvs.game import Step
from mfenvs.gridworld import arena, attack, board
from mfenvs.gridworld.arena import Field
from mfenvs.gridworld.layout import way
from mfenvs.gridworld.looks import SMALL_CELL, stamp_agents, strengths
from mfenvs.gridworld.state import State
from mfenvs.gridworld.tables import NUM_ACTIONS, NUM_MOVES, STAY, WINDOW
from mfenvs.gridworld.units import UnitType
from mfenvs.render.geometry import Point
from mfenvs.render.panel import MARGIN, WIDTH, Key, LegendRow, Panel, game_area

if TYPE_CHECKING:
    from mfenvs.render.canvas import Canvas

VIEW = 91  # pixels along each map of what the selected agent sees: seven a cell, usually
MOST_LETTERS = 44  # of a line in small print
SWATCH = 15  # width and height of an agent in the legend, pixels


def draw(game: Any, state: State, step: Step, row: int, canvas: Canvas) -> None:
    """Draws a row: the agents, the attacks of the last step, and the counts over the frames so far.

    Where ``canvas.selected`` is an agent, also what it sees. A click on an agent selects it, one
    elsewhere on the map selects nobody.

    Args:
        game: the rules and options.
        state: arrays of B rows.
        step: what the last step did.
        row: which row, 0 to B - 1.
        canvas: cleared and drawn on.
    """
    canvas.clear()
    extent = min(game_area(canvas)[2:])
    field = arena.lay_out(game, state, row, canvas, MARGIN, extent)
    arena.take_click(field)
    links = arena.links(field) if canvas.show_graph else None
    arena.draw_ground(field)
    arena.draw_agents(field)
    if links is not None:
        canvas.graph(field.centers(), links, width=1)
    arena.draw_attacks(field)
    arena.draw_selection(field)

    panel = Panel(canvas)
    panel.header(game.name, int(field.state.time[0]), bool(step.over[row]), _options(game))
    panel.legend(*_legend(field, links is None))
    if canvas.selected is None:
        panel.table(_numbers(field))
    else:
        _draw_selected(field, panel, canvas.selected)
    _draw_counts(field, panel)


def _options(game: Any) -> list[str]:
    """Two lines on the map and on the units."""
    groups = list(zip(game.world.groups, game.world.placement.group_sizes.tolist(), strict=True))
    units, size = game.world.unit_types, game.params.size
    against = " against " if len(groups) == 2 and not groups[1][0].passive else ", "
    counts = against.join(f"{n:,} {group.name}" for group, n in groups)
    lines = [f"{size} × {size} map, {counts}", ""]
    if len(lines[0]) > MOST_LETTERS:
        lines[0] = f"{size} × {size} map, {game.num_agents:,} agents"
    if len(units) == 1:
        hp, hit, mends = (f"{n:.4g}" for n in (units[0].hp, units[0].damage, units[0].recover))
        lines[1] = f"hp {hp}, a hit takes {hit}, a step mends {mends}"
    else:
        lines[1] = "hp " + ", ".join(f"{unit.name} {unit.hp:.4g}".strip() for unit in units)
    if len(lines[1]) > MOST_LETTERS:
        lines[1] = f"{len(units)} unit types"
    return lines


def _draw_counts(field: Field, panel: Panel) -> None:
    """How many agents of each group are alive, what decides a match, and a history of either."""
    canvas, game = field.canvas, field.game
    time, groups = int(field.state.time[0]), game.world.groups
    living = field.state.living[0].tolist()
    measure = game.match_measure if game.match_measure in game.measured else "kills"
    points = getattr(field.state, game.measured.get(measure, "kills"))[0].tolist()
    attackers = [bool(_has_attacks(game, group.unit)) for group in groups]
    # Side by side; of more than two groups the first ones are on the left, one below another.
    lines = 1 if len(groups) < 3 else -(-len(groups) // 2)
    columns = -(-len(groups) // lines)
    column, words = (WIDTH + 32) // columns, [f"{n:,}" for n in living]
    starts = [panel.left + k // lines * column for k in range(len(groups))]
    tops = [panel.top - 6 + k % lines * 50 for k in range(len(groups))]
    names = [group.name.capitalize() for group in groups]
    has_room = all(
        9 * len(name) + 24 * max(len(word), 2) < column - 54
        for name, word in zip(names, words, strict=True)
    )
    for k, (x, y) in enumerate(zip(starts, tops, strict=True)):
        _draw_swatch(field, (x, y + 10), 1.0, k)
        canvas.text(
            names[k], (x + 22, y + (0 if has_room else 2)), 15 if has_room else 13, bold=True
        )
        if attackers[k]:
            canvas.text(_count(points[k], measure), (x + 22, y + 24), 13, canvas.theme.faint)
        at = (x + column - 32, y + (14 if has_room else 10))
        size = 34 if has_room else 18
        canvas.text(words[k], at, size, anchor="midright", bold=True)
    panel.top += 46 + 50 * (lines - 1)
    # Where nobody dies the counts say nothing.
    is_fixed = game.fixed_population
    values = points if is_fixed else living
    shown = [k for k in range(len(groups)) if attackers[k] or not is_fixed]
    histories = [canvas.trace(groups[k].name, time, values[k]) for k in shown]
    most = max(5, *(float(trace[:, 1].max()) for trace in histories))
    if not is_fixed:
        most = max(most, *game.world.placement.group_sizes.tolist())
    colors = [arena.group_colors(field)[k] for k in shown]
    curves = zip(histories, colors, strict=True)
    title = measure if is_fixed else ""
    panel.history(*curves, y=(0.0, float(most)), x_label="step", title=title)


def _has_attacks(game: Any, unit: UnitType) -> bool:
    row = game.params.units[game.world.unit_types.index(unit)]
    return int(row[NUM_ACTIONS]) > int(row[NUM_MOVES])


def _numbers(field: Field) -> dict[str, str]:
    """What the attacks of the step did, and the mean hp of each group if hp can change."""
    attacks = int((field.attack_result != attack.NOTHING).sum())
    hits = int(np.isin(field.attack_result, (attack.HIT, attack.KILL)).sum())
    entries = {"attacks in this step": f"{attacks:,}" + f", {hits:,} hit" * (attacks > 0)}
    for index, group in enumerate(field.game.world.groups if _changes_hp(field.game) else ()):
        who = field.alive & (field.game.unit_groups == index)
        mean = f"{float(field.state.hp[0, who].mean()):.2f}" if who.any() else "–"
        entries[f"mean hp, {group.name}"] = mean
    return entries


def _changes_hp(game: Any) -> bool:
    """Whether anything changes the hp of agents."""
    return any(unit.damage or unit.recover < 0 for unit in game.world.unit_types)


# -- the selected agent -------------------------------------------------------------------------


def _draw_selected(field: Field, panel: Panel, agent: int) -> None:
    """The selected agent's hp, action and view."""
    canvas, theme, left, right = field.canvas, field.canvas.theme, panel.left, panel.right
    gone, group = field.status[agent] == board.GONE, int(field.game.unit_groups[agent])
    top = panel.bottom - 18 - (24 if gone else VIEW + 74)
    panel.bottom = top - 32
    canvas.line([(left, top - 14), (right, top - 14)], theme.rule)
    _draw_swatch(field, (left, top + 10), float(field.share[agent]), group)
    canvas.text(field.game.agents[agent], (left + 22, top), 15, bold=True)
    canvas.text(health(field, agent), (right, top + 1), 14, theme.ink, "topright")
    if gone:
        return
    reward = f"reward {float(field.state.reward[0, agent]):+.4g}"
    canvas.text(last_action_text(field, agent), (left, top + 26), 13, theme.faint)
    canvas.text(reward, (right, top + 26), 13, theme.faint, "topright")

    view = observed(field, agent)
    for index, (title, image) in enumerate(view_maps(field, agent, view).items()):
        x = left + index * (WIDTH - VIEW) // 2
        canvas.text(title, (x, top + 52), 12, theme.faint)
        canvas.box((x - 1, top + 69, VIEW + 2, VIEW + 2), theme.rule)
        canvas.image(image, (x, top + 70, VIEW, VIEW))
    if not field.game.params.minimap:
        near = field.game.graph(field.state).neighbors(agent)
        presence = (view[:, :, 1 :: field.game.params.depth] > 0).sum((0, 1))
        counts = {
            "neighbours alive": int(field.alive[near].sum()),
            "own group in sight": int(presence[0]) - int(field.alive[agent]),
            "others in sight": int(presence[1:].sum()),
        }
        shown = {name: f"{count:,}" for name, count in counts.items()}
        canvas.table(left + VIEW + 24, right, top + 70 + VIEW, shown)


def health(field: Field, agent: int) -> str:
    """The agent's hp, or that it is dead."""
    params, state = field.game.params, field.state
    if field.status[agent] == board.ALIVE:
        return f"hp {float(state.hp[0, agent]):.2f} of {float(field.game.full_hp[agent]):.4g}"
    if field.status[agent] == board.DYING:
        return "killed in this step"
    absent = np.asarray(params.positions)[int(state.swapped[0]), agent, 0] < 0
    return "not in this episode" if absent else "dead"


def last_action_text(field: Field, agent: int) -> str:
    """The agent's last action, and what it led to."""
    params, unit, action = field.game.params, field.game.unit_types[agent], int(field.action[agent])
    fixed = {-1: "no action", int(params.units[unit, STAY]): "stay"}
    # Also of an action that is copied and that the agent does not have.
    fixed[int(params.units[unit, NUM_ACTIONS])] = "nothing done" + " yet" * int(
        field.state.time[0] == 0
    )
    if action in fixed:
        return fixed[action]
    # An agent that is killed before its turn attacks nobody.
    verbs = ("attack", "miss", "hit", "kill")
    verb = "move" if action < params.units[unit, NUM_MOVES] else verbs[field.attack_result[agent]]
    (aim,) = arena.offsets(field, np.array([agent]), np.array([action])).tolist()
    return f"{verb} {way(aim)}"


def observed(field: Field, agent: int) -> np.ndarray:
    """The agent's view, float32 [window, window, channels]."""
    game, kind = field.game, int(field.game.types[agent])
    out = game.allocate_observation((1,), of_type=kind)
    game.observe(field.state, out, np.zeros(1, np.int64), np.array([agent]), kind)
    return np.asarray(out["view"] if isinstance(out, dict) else out)[0]


def view_maps(field: Field, agent: int, view: np.ndarray) -> dict[str, np.ndarray]:
    """An agent's view as maps, by title: uint8 [window, window, 3]."""
    canvas, theme, params = field.canvas, field.canvas.theme, field.game.params
    depth, groups = params.depth, params.num_groups

    viewer = int(field.game.unit_groups[agent])
    colors = arena.group_colors(field)
    colors = colors[viewer:] + colors[:viewer]
    floor, wall = arena.ground_colors(canvas)
    unit = field.game.unit_types[agent]
    window = int(params.units[unit, WINDOW])
    image = np.full((window, window, 3), theme.paper, np.float32)
    corner = window // 2
    left, top = (at - corner for at in field.center_cell(agent))
    for row, first, last in arena.sight_of(field, agent):
        image[row - top, first - left : last - left + 1] = floor
    image[view[:, :, 0] > 0] = wall
    for k, color in enumerate(colors):
        there = view[:, :, 1 + depth * k] > 0
        image[there] = strengths(view[:, :, 2 + depth * k], color, canvas)[there]
    image[corner, corner] = theme.ink
    maps = {"what it sees": image}

    part = params.part[unit]
    mine = int(part[field.y[agent]]), int(part[field.x[agent]])
    # The minimaps of the other groups in one, in the color of the first of them.
    parts = {"own minimap": [0], "other minimap": list(range(1, groups))}
    for title, which in parts.items() if params.minimap else ():
        density = sum(view[:, :, 3 + depth * k] for k in which) + np.zeros_like(view[:, :, 0])
        density[mine] -= len(which)  # which mark the agent's place
        share = np.sqrt(np.clip(density / max(density.max(), 1e-9), 0, 1))[..., None]
        image = np.array(theme.paper) + share * (np.array(colors[which[0]]) - theme.paper)
        image[mine] = theme.ink
        maps[title] = image
    return {title: image.round().astype(np.uint8) for title, image in maps.items()}


# -- legend -------------------------------------------------------------------------------------


def _legend(field: Field, too_many: bool) -> list[LegendRow]:
    """The rows of the legend.

    Args:
        too_many: whether the neighbour graph has too many links to draw.
    """
    canvas, theme = field.canvas, field.canvas.theme
    rows: list[LegendRow] = [lambda y: _draw_hp_key(field, y)] if _changes_hp(field.game) else []
    if field.cell < arena.ATTACK_CELL:
        rows.append("attacks: too small to draw here")
    else:
        rows.append(lambda y: _draw_attack_key(field, y))
    if field.shown is not None:
        rows.append(lambda y: _draw_sight_key(field, y))
    elif canvas.mode == "human":
        rows.append("click on an agent to see what it sees")
    if canvas.show_graph and too_many:
        rows.append("neighbour graph: too dense" + "; select an agent" * (canvas.selected is None))
    elif canvas.show_graph:
        rows.append([Key("neighbour graph", (theme.ink,), line=True)])
    return rows


def _draw_hp_key(field: Field, y: int) -> None:
    """Agents of much and of little hp."""
    canvas, x = field.canvas, Panel(field.canvas).left
    for group in range(field.game.params.num_groups):
        for share in (1.0, 0.5, 0.1) if field.game.params.num_groups < 5 else (1.0, 0.1):
            _draw_swatch(field, (x, y), share, group)
            x += SWATCH + 2
    canvas.text("much to little hp", (x + 5, y), 13, canvas.theme.ink, "midleft")


def _draw_attack_key(field: Field, y: int) -> None:
    """Attacks that hit and miss, and the marks of the killed."""
    canvas, x = field.canvas, Panel(field.canvas).left
    for words in ("hit", "miss"):
        # A sample of the length that an attack has on a map of middling size.
        cell = 15 if field.cell >= SMALL_CELL else 5
        arena.draw_attack(canvas, (x, y - cell // 6), (20 / cell, 0), cell, words == "miss")
        x = canvas.text(words, (x + 24, y), 13, canvas.theme.ink, "midleft") + 18
    if not _changes_hp(field.game):
        return
    for color in arena.group_colors(field):
        arena.draw_cross(canvas, (x + 6, y), SWATCH, color)
        x += 15
    canvas.text("killed", (x + 4, y), 13, canvas.theme.ink, "midleft")


def _draw_sight_key(field: Field, y: int) -> None:
    """The cells that the shown agent sees and reaches, and its neighbours."""
    canvas, (seen, reached) = field.canvas, arena.sight_colors(field.canvas)
    x = canvas.legend((Panel(canvas).left, y), "seen", seen)
    x = canvas.legend((x + 18, y), "in reach", reached)
    group = int(field.game.unit_groups[field.shown])
    if field.cell >= SMALL_CELL:
        _draw_swatch(field, (x + 18, y), 1.0, group, marked=True)
        canvas.text("neighbour", (x + 40, y), 13, canvas.theme.ink, "midleft")


def _draw_swatch(field: Field, at: Point, share: float, group: int, marked: bool = False) -> None:
    """An agent as the map shows it; ``at`` is its left end, at half height."""
    x, y = round(at[0]), round(at[1])
    look = field.looks[group]._replace(width=1, length=1)
    if field.cell < SMALL_CELL:
        pale = strengths(np.array(share), look.color, field.canvas)
        field.canvas.box((x, y - 6, 12, 12), tuple(pale.round().astype(int).tolist()))
        return
    corner, shares = np.array([[x, y - SWATCH // 2]]), np.array([share], np.float32)
    stamp_agents(field.canvas, corner, shares, look, SWATCH, marked)


def _count(n: int, measure: str) -> str:
    """A number of what a measure counts, such as "1 kill"."""
    return f"{n:,} {measure.removesuffix('s') if n == 1 else measure}"
