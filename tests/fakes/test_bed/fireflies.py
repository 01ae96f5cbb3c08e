"""Fireflies on a ring: flashing pays if the neighbours flash, and costs energy."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from tests.fakes.test_bed.base import BedGame, ring

FULL, DEAD_STEPS = 5.0, 5
FLASH_COST, REST_GAIN = 1.0, 0.5
DEATH = -2.0
FLASH = 1.7  # earned by a flash together with both neighbours


class Fireflies(BedGame):
    """Thirty fireflies on a ring. Action 1 flashes, 0 rests.

    An agent observes (energy / 5, whether it flashed, (t mod 4) / 3). A flash earns
    2 * (the share of the two neighbours that flash) - .3 and costs an energy of 1; resting gains .5, up
    to 5. At 0 an agent dies, with -2, and is reborn 5 steps later with the energy of the start. The
    episode takes 60 steps, and is over before if all are dead.

    Args:
        num_envs: B.
        start: energy at the start and at rebirth.
    """

    def __init__(self, num_envs: int = 1, start: float = FULL) -> None:
        super().__init__(num_envs, ring(30), width=3, num_steps=60)
        self.start = start
        self.energy = torch.full((num_envs, self.num_agents), start)
        self.gone = torch.zeros(num_envs, self.num_agents, dtype=torch.int64)  # steps since death

    def begin(self, rows: Tensor) -> None:
        self.energy = self.energy.masked_fill(rows[:, None], self.start)
        self.gone = self.gone.masked_fill(rows[:, None], 0)

    def observations(self) -> Tensor:
        clock = (self.time % 4 / 3)[:, None].expand_as(self.energy)
        return torch.stack([self.energy / FULL, (self.last == 1).float(), clock], -1)

    def play(self, actions: Tensor) -> Tensor:
        flash, rest = actions == 1, actions == 0
        reward = flash * (2 * self.share(actions) - 0.3)
        energy = self.energy - FLASH_COST * flash + REST_GAIN * rest
        self.energy = energy.clamp(max=FULL)
        self.gone = (self.gone + 1).where(~self.alive, 0)
        reborn = self.gone >= DEAD_STEPS
        dies = self.alive & (self.energy <= 0)
        self.energy = self.energy.masked_fill(reborn, self.start)
        self.alive = (self.alive & ~dies) | reborn
        return reward + DEATH * dies

    def best(self) -> float:
        """An upper bound: what a firefly earns if both neighbours flash whenever it does, 1.7 a flash,
        with the best schedule of flashes and deaths. It is found by dynamic programming over (steps
        left, energy)."""
        return best_schedule(self.num_steps, self.start, self.start, may_die=True)

    def best_uncoordinated(self) -> float:
        """All fireflies start in the same state and share a policy. If it is not random they are always
        in the same state, and flash together; if one dies all do, and the episode is over. The best
        schedule without a death is therefore an upper bound (a last flash at an energy of 1 costs
        .3). "Flash if the energy is above 1" attains it."""
        return best_schedule(self.num_steps, self.start, self.start, may_die=False)


@cache
def best_schedule(steps: int, energy: float, start: float, may_die: bool) -> float:
    """Returns the largest return of a firefly whose neighbours flash whenever it does.

    V(n, e) = max(V(n - 1, min(e + .5, 5)), 1.7 + V(n - 1, e - 1)) if e > 1; else a flash is a death,
    and its value -.3 + V(n - 6, start).

    Args:
        steps: n, the steps that are left.
        energy: e.
        start: the energy after rebirth.
        may_die: whether a flash at an energy of 1 or less is allowed.
    """
    if steps <= 0:
        return 0.0
    value = best_schedule(steps - 1, min(energy + REST_GAIN, FULL), start, may_die)
    if energy > FLASH_COST:
        after = best_schedule(steps - 1, energy - FLASH_COST, start, may_die)
        value = max(value, FLASH + after)
    elif may_die:
        after = best_schedule(steps - 1 - DEAD_STEPS, start, start, may_die)
        value = max(value, FLASH + DEATH + after)
    return value
