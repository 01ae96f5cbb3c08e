"""What happened since the last look: rewards, episodes, and where the time went."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.matches.teams import Teams


class TrainingStats:
    """Sums up a run's steps between two rows of its log.

    Args:
        view: what is played.
        teams: who plays it; None: one agent plays everybody.
    """

    def __init__(self, view: View, teams: Teams | None) -> None:
        self.view = view
        shape = (view.num_envs, view.num_agents)
        everybody = torch.ones(shape, dtype=torch.bool, device=view.device)
        self._mine = everybody if teams is None else teams.assignment == 0
        self._rivals = self._find_rivals(teams)
        self._sums: dict[str, float] = defaultdict(float)
        self._seconds: dict[str, float] = defaultdict(float)
        self._started = time.perf_counter()

    def _find_rivals(self, teams: Teams | None) -> list[tuple[str, int, Tensor]]:
        """(opponent, the learner's group, the rows) of each kind of match; none of a learner's own."""
        if teams is None or len(self.view.group_names) != 2:
            return []
        names = list(teams.players)
        members = [(self.view.groups == group).nonzero()[0, 0] for group in (0, 1)]
        found = []
        for own in (0, 1):
            learner = teams.assignment[:, members[own]] == 0
            other = teams.assignment[:, members[1 - own]]
            for place in range(1, len(names)):
                rows = learner & (other == place)
                if rows.any():
                    found.append((names[place], own, rows))
        return found

    @contextmanager
    def timing(self, what: str) -> Iterator[None]:
        """Within, the time goes to ``what``."""
        begun = time.perf_counter()
        yield
        self._seconds[what] += time.perf_counter() - begun

    def note(self, step: Step) -> None:
        """Takes note of a step."""
        acted = step.acting & self._mine
        self._sums["steps"] += 1
        self._sums["agent_steps"] += float(acted.sum())
        self._sums["reward"] += float((step.reward * acted).sum())
        if self._rivals and bool(step.ended.any()):
            self._note_ends(step, step.ended)

    def _note_ends(self, step: Step, ended: Tensor) -> None:
        for name, own, rows in self._rivals:
            over = rows & ended
            count = float(over.sum())
            if not count:
                continue
            mine, theirs = (self.view.group_names[k] for k in (own, 1 - own))
            measures = {key: values[over].float() for key, values in step.measures.items()}
            if f"{mine}_kills" not in measures:  # who won such a game, its evaluations tell
                continue
            kills, losses = measures[f"{mine}_kills"], measures[f"{theirs}_kills"]
            won = float((kills > losses).sum())
            self._sums["episodes"] += count
            self._sums[f"episodes_{name}"] += count
            self._sums["wins"] += won
            self._sums[f"wins_{name}"] += won
            self._sums["kills"] += float(kills.sum())
            self._sums["survivors"] += float(measures[f"{mine}_alive"].sum())
            for what in ("attacks", "hits"):
                counted = measures.get(f"{mine}_{what}")
                self._sums[what] += 0.0 if counted is None else float(counted.sum())

    def read(self) -> dict[str, float]:
        """The means since the last reading, which starts a new one."""
        sums, seconds = self._sums, self._seconds
        wall = time.perf_counter() - self._started
        found = {
            "reward": sums["reward"] / max(sums["agent_steps"], 1),
            "steps_per_second": sums["steps"] / max(wall, 1e-9),
            **{f"share_{what}": spent / max(wall, 1e-9) for what, spent in sorted(seconds.items())},
        }
        if sums["episodes"]:
            found["win_rate"] = sums["wins"] / sums["episodes"]
            found["kills"] = sums["kills"] / sums["episodes"]
            found["survivors"] = sums["survivors"] / sums["episodes"]
            if sums["attacks"]:
                found["hit_share"] = sums["hits"] / sums["attacks"]
            for name in {name for name, _, _ in self._rivals}:
                if sums[f"episodes_{name}"]:
                    found[f"win_rate_{name}"] = sums[f"wins_{name}"] / sums[f"episodes_{name}"]
        self._sums, self._seconds = defaultdict(float), defaultdict(float)
        self._started = time.perf_counter()
        return found
