"""The Ising game again, one site at a time, in plain Python on a list of lists.

Written from the datasheet in `mfenvs.ising.game.IsingGame`, not from its rules. Only the random bits
are shared (`mfenvs.rng`, which has a test of its own).
"""

from __future__ import annotations

from mfenvs.rng import bits, uniform


class NaiveIsing:
    def __init__(self, side, coupling, field, update, fraction, initial, max_cycles):
        self.side, self.coupling, self.field = side, coupling, field
        self.update, self.fraction = update, fraction
        self.initial, self.max_cycles = initial, max_cycles
        self.sites = [(y, x) for y in range(side) for x in range(side)]

    def reset(self, key=None):
        if key is not None:
            self.key, self.counter = key, 0
        self.counter += 1
        self.time = 0
        deal = {
            "up": lambda site: 1,
            "down": lambda site: -1,
            "random": lambda site: 1 if bits(self.key, self.counter, site) % 2 else -1,
        }[self.initial]
        self.spin = [deal(site) for site in range(len(self.sites))]
        self.acting = [False] * len(self.sites)
        self.reward = [0.0] * len(self.sites)
        self._choose_active()
        self.over = False

    def step(self, actions):
        """One step of actions in {0, 1}, or -1 for none; returns whether the row started anew."""
        if self.over:
            self.reset()
            return True
        self.counter += 1
        self.time += 1
        self.acting = [
            active and action != -1 for active, action in zip(self.active, actions, strict=True)
        ]
        for site, acts in enumerate(self.acting):
            if acts:
                self.spin[site] = 2 * actions[site] - 1
        self.reward = [self._reward(site) for site in range(len(self.sites))]
        self._choose_active()
        self.over = self.max_cycles is not None and self.time >= self.max_cycles
        return False

    def neighbors(self, site):
        """Left, above, right, below."""
        y, x = self.sites[site]
        around = [(y, x - 1), (y - 1, x), (y, x + 1), (y + 1, x)]
        return [self.sites.index((v % self.side, u % self.side)) for v, u in around]

    def observation(self, site):
        return [self.spin[site], self.field[site], *(self.spin[k] for k in self.neighbors(site))]

    def mask(self, site):
        if self.active[site]:
            return [1, 1]
        return [0, 1] if self.spin[site] == 1 else [1, 0]

    def measures(self):
        n = len(self.sites)
        up = sum(spin == 1 for spin in self.spin)
        colour = [1 if (y + x) % 2 == 0 else -1 for y, x in self.sites]
        return {
            "order_parameter": abs(up - (n - up)) / n,
            "magnetisation": sum(self.spin) / n,
            "staggered_magnetisation": sum(s * c for s, c in zip(self.spin, colour, strict=True))
            / n,
            "energy": -sum(self._reward(site) for site in range(n)) / n,
        }

    def _reward(self, site):
        spin = self.spin[site]
        around = sum(spin * self.spin[k] for k in self.neighbors(site))
        return self.field[site] * spin + self.coupling / 2 * around

    def _choose_active(self):
        n = len(self.sites)
        if self.update == "checkerboard":
            self.active = [(y + x) % 2 == self.time % 2 for y, x in self.sites]
        elif self.update == "random":
            self.active = [
                uniform(self.key, self.counter, n + site) < self.fraction for site in range(n)
            ]
        else:
            self.active = [True] * n
