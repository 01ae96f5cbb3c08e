"""An environment of one's own, as `mfq train --env tests.fakes.meadow:make` finds it."""

import numpy as np
from gymnasium import spaces

from tests.fakes.scenes import Scene, box

GOOD = {"wolf": 2, "sheep": 1}
CAST = {
    "wolf_0": (box(2), spaces.Discrete(3)),
    "sheep_0": (box(4), spaces.Discrete(2)),
    "wolf_1": (box(2), spaces.Discrete(3)),
}


class Meadow(Scene):
    """A wolf should choose 2, a sheep 1; each earns 1 for it."""

    def __init__(self, length=6, prize=1.0):
        super().__init__(
            CAST,
            [list(CAST)] * length,
            lambda agent, time: np.ones(CAST[agent][0].shape, np.float32),
            earn=lambda agent, action, time: prize * (action == GOOD[agent.split("_")[0]]),
        )
        self.closed = False

    def close(self):
        self.closed = True


def make(**options):
    return Meadow(**options)


def ring(env):
    """Everybody hears the next."""
    return [[0, 1, 2], [1, 2, 0]]


NOT_A_FUNCTION = 3
