"""The means in a run's log: rewards, results of matches, and shares of the time."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import NamedTuple

import torch
from torch import Tensor

from mfq.agents.loop import Transition
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.matches.teams import Teams
from mfq.training.callbacks import Callback, Run


class Match(NamedTuple):
    """The rows in which the learner plays against an opponent on one side.

    Attributes:
        opponent: the opponent's name in the teams.
        group, other: the names of the learner's group and of the opponent's.
        rows: bool [B].
    """

    opponent: str
    group: str
    other: str
    rows: Tensor


class TrainingStats(Callback):
    """Computes means over the steps since the last row of the log.

    These are ``reward``, per step and agent of the learner that chose an action; ``steps_per_second``;
    and ``share_act``, ``share_env`` and ``share_learn`` of the time. For games of two groups with a
    `match_measure` also ``win_rate``, ``win_rate_NAME`` for each opponent, and the means of the measures
    of the learner's group at the end of episodes.
    """

    def __init__(self) -> None:
        self._matches: list[Match] = []
        self._learner: Tensor | None = None  # bool [B, N]
        self._measure: str | None = None
        self._clear()

    def on_start(self, runner: Run) -> None:
        view, teams = runner.view, runner.teams
        shape = (view.num_envs, view.num_agents)
        all_agents = torch.ones(shape, dtype=torch.bool, device=view.device)
        self._learner = all_agents if teams is None else teams.assignment == 0
        self._measure = view.match_measure
        self._matches = [] if self._measure is None else _matches(view, teams)
        self._clear()

    def on_step(self, runner: Run, transition: Transition, is_last: bool) -> None:
        assert self._learner is not None
        step = transition.next_step
        acted = step.acting & self._learner
        self._sums["steps"] += 1
        self._sums["agent_steps"] += float(acted.sum())
        self._sums["reward"] += float((step.reward * acted).sum())
        for name, seconds in transition.seconds.items():
            self._seconds[name] += seconds

    def on_episodes_end(self, runner: Run, step: Step) -> None:
        for match in self._matches:
            over = match.rows & step.ended
            count = float(over.sum())
            if not count:
                continue
            deciding = [f"{group}_{self._measure}" for group in (match.group, match.other)]
            if not all(name in step.measures for name in deciding):
                continue
            points, others = (step.measures[name][over] for name in deciding)
            won = float((points > others).sum())
            self._sums["episodes"] += count
            self._sums[f"episodes_{match.opponent}"] += count
            self._sums["wins"] += won
            self._sums[f"wins_{match.opponent}"] += won
            for name, values in step.measures.items():
                if name.startswith(f"{match.group}_"):
                    measure = name.removeprefix(f"{match.group}_")
                    self._measures[measure] += float(values[over].double().sum())

    def metrics(self) -> dict[str, float]:
        """Returns the means since the last call."""
        sums = self._sums
        wall = max(time.perf_counter() - self._started, 1e-9)
        means = {
            "reward": sums["reward"] / max(sums["agent_steps"], 1),
            "steps_per_second": sums["steps"] / wall,
            **{f"share_{name}": part / wall for name, part in sorted(self._seconds.items())},
        }
        if sums["episodes"]:
            means["win_rate"] = sums["wins"] / sums["episodes"]
            for name in dict.fromkeys(match.opponent for match in self._matches):
                if sums[f"episodes_{name}"]:
                    means[f"win_rate_{name}"] = sums[f"wins_{name}"] / sums[f"episodes_{name}"]
            for name, total in sorted(self._measures.items()):
                means[name] = total / sums["episodes"]
        self._clear()
        return means

    def _clear(self) -> None:
        self._sums: dict[str, float] = defaultdict(float)
        self._measures: dict[str, float] = defaultdict(float)
        self._seconds: dict[str, float] = defaultdict(float)
        self._started = time.perf_counter()


def _matches(view: View, teams: Teams | None) -> list[Match]:
    """Returns the learner's matches, by opponent and side; without those against itself."""
    if teams is None or len(view.group_names) != 2:
        return []
    members = [(view.groups == group).nonzero()[0, 0] for group in (0, 1)]
    matches = []
    for k, group in enumerate(view.group_names):
        learner = teams.assignment[:, members[k]] == 0
        other = teams.assignment[:, members[1 - k]]
        for place, name in list(enumerate(teams.players))[1:]:
            rows = learner & (other == place)
            if rows.any():
                matches.append(Match(name, group, view.group_names[1 - k], rows))
    return matches
