"""The options that all grid worlds share."""

from __future__ import annotations

from mfenvs.game import MAX_SEED
from mfenvs.validate import flag, number, one_of, whole

NEIGHBORS = ("team", "all")
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
        neighbors: which agents are neighbors: "team", those of a side, or "all".
        neighbor_radius: if given, only those so near, as a Euclidean distance.
    """

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
        one_of("neighbors", self.neighbors, NEIGHBORS)
        if self.neighbor_radius is not None and number("neighbor_radius", self.neighbor_radius) < 0:
            raise ValueError(
                f"neighbor_radius={self.neighbor_radius!r}; allowed: 0 or more, or None"
            )
