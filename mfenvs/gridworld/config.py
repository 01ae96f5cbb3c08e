"""The options that all grid worlds share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from mfenvs.gridworld.placement import Cell, Placement, check_room, drawn, explicit, listed
from mfenvs.gridworld.units import Group, UnitType, World
from mfenvs.validate import MAX_SEED, flag, number, of_kind, one_of, plain, whole

MOST_CELLS = 2**13  # along an edge of the map


class GridConfig:
    """The options that every grid world has. A game's config is a frozen dataclass that declares them.

    Attributes:
        map_size: cells along an edge of the map, its walls included.
        minimap_mode: adds a minimap of each group to the view, and the position to the features.
        extra_features: adds id bits, last action and last reward to the features.
        max_cycles: steps until truncation; None for never.
        seed: of the first episode if ``reset`` is given none; None is 0, as in MAgent2.
        copied_start: whether in the first step of an episode the i-th agent of each group takes the
            action that is sent to the i-th of all agents; see `orders`.
        neighbors: which agents are neighbors; one of `NEIGHBORS`.
        neighbor_radius: if given, only those so near, as a Euclidean distance.
    """

    NEIGHBORS: ClassVar[tuple[str, ...]] = ("team", "all")

    map_size: int
    minimap_mode: bool
    extra_features: bool
    max_cycles: int | None
    seed: int | None
    copied_start: bool
    neighbors: str
    neighbor_radius: float | None

    def check_shared(self, least_map: int) -> None:
        """Raises ValueError or TypeError for a value of these options that is not allowed."""
        whole("map_size", self.map_size, least_map, MOST_CELLS)
        flag("minimap_mode", self.minimap_mode)
        flag("extra_features", self.extra_features)
        flag("copied_start", self.copied_start)
        if self.max_cycles is not None:
            whole("max_cycles", self.max_cycles, 1)
        if self.seed is not None:
            whole("seed", self.seed, 0, MAX_SEED)
        one_of("neighbors", self.neighbors, self.NEIGHBORS)
        if self.neighbor_radius is not None and number("neighbor_radius", self.neighbor_radius) < 0:
            raise ValueError(
                f"neighbor_radius={self.neighbor_radius!r}; allowed: 0 or more, or None"
            )


class WorldConfig(GridConfig):
    """The options of MAgent2's games that let users change their worlds.

    Attributes:
        placement: "magent2"; "random", all positions drawn anew in each episode; or the positions by
            group, {"red": [(x, y), ...], ...}, and of walls under the key "walls".
        counts: the number of agents by group, and of walls under the key "walls", where positions are
            drawn; None, or a missing group, for the game's.
        units: changes to the unit types, by name: attributes of `UnitType` and their values.
    """

    placement: Any
    counts: Any
    units: Any

    def changed(self, units: Mapping[str, UnitType]) -> dict[str, UnitType]:
        """Returns the unit types by name, with the changes of the option ``units``.

        Raises:
            ValueError, TypeError: for an unknown unit type or attribute, or a value that is not allowed.
        """
        result = dict(units)
        of_kind("units", self.units, (Mapping, type(None)), "a dict by the name of a unit type")
        names = [field.name for field in fields(UnitType) if field.name != "name"]
        for name, changes in (self.units or {}).items():
            one_of("units: its key", name, list(units))
            of_kind(f"units[{name!r}]", changes, Mapping, "a dict by the name of an attribute")
            for attribute in changes:
                one_of(f"units[{name!r}]: its key", attribute, names)
            try:
                result[name] = replace(units[name], **changes)
            except (TypeError, ValueError) as error:
                raise type(error)(f"units[{name!r}]: {error}") from None
            for radius in ("speed", "view_radius", "attack_radius"):
                if (value := getattr(result[name], radius)) >= self.map_size:
                    raise ValueError(
                        f"units[{name!r}]: {radius}={value!r} on a map of {self.map_size}; allowed: less"
                    )
        return result

    def placed(
        self,
        groups: Sequence[Group],
        numbers: Sequence[int],
        num_walls: int = 0,
        cells: Sequence[Sequence[Cell]] | None = None,
        walls: Sequence[Cell] = (),
    ) -> Placement:
        """Returns the placement that the options ask for.

        Args:
            groups: of the world.
            numbers: how many agents each group has, where positions are drawn.
            num_walls: how many walls are drawn.
            cells: the positions of "magent2" by group; None where it draws them.
            walls: cells that are walls, unless positions are given.

        Raises:
            ValueError, TypeError: for a placement or numbers that are not allowed.
        """
        names = [group.name for group in groups]
        bodies = [(group.unit.width, group.unit.length) for group in groups]
        if not isinstance(self.placement, str):
            given, walls = self._without_walls(names), self._given_walls(len(names))
            if self.counts is not None:
                raise ValueError("counts is given with positions; allowed: one of both")
            return listed(
                explicit(given, self.map_size, names, ("magent2", "random"), bodies, walls), walls
            )
        one_of("placement", self.placement, ("magent2", "random"))
        if cells is not None and self.placement == "magent2":
            if self.counts is not None:
                raise ValueError(
                    "counts is given with placement='magent2', which lists all positions; allowed: "
                    "placement='random'"
                )
            return listed(cells, walls)
        numbers, num_walls = self._counted(names, numbers, num_walls)
        check_room(self.map_size, bodies, numbers, num_walls + len(walls))
        return drawn(numbers, num_walls, walls)

    def _counted(
        self, names: Sequence[str], numbers: Sequence[int], num_walls: int
    ) -> tuple[list[int], int]:
        """Returns the numbers of agents and of walls, with those that ``counts`` gives."""
        of_kind("counts", self.counts, (Mapping, type(None)), "a dict by the name of a group")
        given = dict(self.counts or {})
        for name in given:
            one_of("counts: its key", name, [*names, "walls"])
        walls = whole("counts['walls']", given.get("walls", num_walls), 0)
        pairs = zip(names, numbers, strict=True)
        return [
            whole(f"counts[{name!r}]", given.get(name, number), 1) for name, number in pairs
        ], walls

    def _given_walls(self, num_groups: int) -> tuple[Cell, ...]:
        """Returns the walls among given positions."""
        given = self.placement
        if isinstance(given, Mapping):
            walls = given.get("walls", ())
        else:
            is_long = isinstance(given, list | tuple) and len(given) == num_groups + 1
            walls = given[-1] if is_long else ()
        if not len(walls):
            return ()
        return explicit({"walls": walls}, self.map_size, ("walls",))[0]

    def _without_walls(self, names: Sequence[str]) -> Any:
        """Returns the given positions by group."""
        given = self.placement
        if isinstance(given, Mapping):
            return {name: cells for name, cells in given.items() if name != "walls"}
        is_long = isinstance(given, list | tuple) and len(given) == len(names) + 1
        return given[:-1] if is_long else given

    def keep_plain(self, world: World) -> None:
        """Replaces given positions, counts and units by tuples and dicts of plain numbers."""
        if not isinstance(self.placement, str):
            placement, groups = world.placement, world.groups
            sizes = placement.group_sizes
            pairs = list(zip(placement.x[0].tolist(), placement.y[0].tolist(), strict=True))
            ends = sizes.cumsum().tolist()
            kept = {
                group.name: tuple(pairs[end - size : end])
                for group, end, size in zip(groups, ends, sizes.tolist(), strict=True)
            }
            if placement.walls:
                kept["walls"] = placement.walls
            object.__setattr__(self, "placement", kept)
        for name in ("counts", "units"):
            object.__setattr__(self, name, _plain_dict(getattr(self, name)))


@dataclass(frozen=True)
class OwnConfig(WorldConfig):
    """The options of a grid world of your own, with defaults.

    A subclass may change and add options. Its ``__post_init__`` calls `check_shared`, and `keep_plain`
    with the world that the options describe.

    Attributes:
        map_size, minimap_mode, extra_features, max_cycles, seed, copied_start, neighbors,
            neighbor_radius: see `GridConfig`.
        placement, counts, units: see `WorldConfig`.
    """

    map_size: int = 40
    minimap_mode: bool = False
    extra_features: bool = False
    max_cycles: int | None = 200
    seed: int | None = None
    placement: Any = "random"
    counts: Any = None
    units: Any = None
    copied_start: bool = False
    neighbors: str = "team"
    neighbor_radius: float | None = None


def _plain_dict(given: Any) -> Any:
    if isinstance(given, Mapping):
        return {key: _plain_dict(value) for key, value in given.items()}
    return plain(given)
