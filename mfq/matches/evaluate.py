"""Episodes without learning, as scores; matches between players, with 95% intervals.

Legend: B rows, N agents, G groups, E episodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, overload

import numpy as np
import torch

from mfq.agents.base import Player, parts_of, reseed
from mfq.common.config import whole
from mfq.envs.view import View, check_view
from mfq.matches.intervals import student, wilson
from mfq.matches.players import script
from mfq.matches.teams import Teams

MAX_STEPS = 100_000
EVALUATION_SEED_OFFSET = 1_000_000
"""How far the seeds of a score are from those of training's evaluations, which choose the best
checkpoint: what is best on some episodes looks better on these than it is."""
Scores = dict[str, float]


class Episodes(NamedTuple):
    """What E episodes came to; row b's are the b-th of E/B consecutive ones.

    Attributes:
        group_names: G of them.
        sizes: int64 [G]; agents of each group.
        earned: float64 [E, G]; the rewards of a group's agents, summed.
        length: float64 [E]; steps.
        measures: float64 [E] by name; what the environment reported in the last step.
    """

    group_names: tuple[str, ...]
    sizes: np.ndarray
    earned: np.ndarray
    length: np.ndarray
    measures: dict[str, np.ndarray]


class Record(NamedTuple):
    """How E episodes went for one side.

    Attributes:
        won, drawn: bool [E]; more kills than any other group at the end, or as many as the best.
            Where the environment counts no kills, returns stand in their place.
        returns: float64 [E]; an agent's summed reward, the group's mean.
        kills, kill_difference, survivors: float64 [E]; NaN where the environment does not count them.
    """

    won: np.ndarray
    drawn: np.ndarray
    returns: np.ndarray
    kills: np.ndarray
    kill_difference: np.ndarray
    survivors: np.ndarray


@overload
def evaluate(
    view: View, players: Player, episodes: int = 1, seed: int = 0, explore: bool = False
) -> Scores: ...


@overload
def evaluate(
    view: View,
    players: Mapping[str, Player | str],
    episodes: int = 1,
    seed: int = 0,
    explore: bool = False,
) -> dict[str, Scores]: ...


def evaluate(
    view: View,
    players: Player | Mapping[str, Player | str],
    episodes: int = 1,
    seed: int = 0,
    explore: bool = False,
) -> Scores | dict[str, Scores]:
    """Plays whole episodes and scores them.

    Every row counts with the same number of episodes, its first ones: to count those that end first
    would favour short ones.

    Args:
        view: the players', or one of the same sizes. It is reset, so nobody else should be playing it.
        players: who plays everybody; or for each group (of ``view.group_names``) who plays it, a player
            or the name of a script.
        episodes: at least this many, over all rows.
        seed: of the reset, and of the players' own generators.
        explore: whether players act as in training, instead of greedily. Either way their generators
            and the time of their schedules are afterwards what they were, and learners store nothing.

    Returns:
        For one player, means over episodes: ``return``, an agent's summed reward; with several groups,
        that of each (``return_...``); ``length``; and of each measure that the environment reports, its
        value in the last step (``final_...``). For a mapping, by group, what `summary` says of it.

    Raises:
        ValueError, TypeError: unless episodes >= 1, or if the groups are not the view's, or no episode
            ends within `MAX_STEPS`, or can.
    """
    check_view(view)
    if isinstance(players, Mapping):
        found = play(view, players, episodes, seed, explore)
        return {name: summary(record_of(found, name)) for name in found.group_names}
    found = play(view, dict.fromkeys(view.group_names, players), episodes, seed, explore)
    scores = {"return": float(found.earned.sum(1).mean() / found.sizes.sum())}
    if len(found.group_names) > 1:
        for name, value in zip(found.group_names, found.earned.mean(0) / found.sizes, strict=True):
            scores[f"return_{name}"] = float(value)
    scores["length"] = float(found.length.mean())
    return scores | {f"final_{k}": float(v.mean()) for k, v in sorted(found.measures.items())}


def head_to_head(
    view: View,
    a: Player | str,
    b: Player | str,
    episodes: int = 200,
    seed: int = 0,
    explore: bool = False,
) -> dict[str, Scores]:
    """A match in which each plays both sides, half of the episodes each, from the same seeds.

    Args:
        view: of two groups.
        a, b: players, or names of scripts.
        episodes: in all; at least 2.
        seed, explore: as in `evaluate`.

    Returns:
        `summary` of how it went for ``a``: by the group that it was, and together as "both".

    Raises:
        ValueError, TypeError: as `evaluate`, or unless the view has two groups.
    """
    records, _ = match(view, a, b, episodes, seed, explore)
    return {side: summary(record) for side, record in records.items()}


def match(
    view: View, a: Player | str, b: Player | str, episodes: int, seed: int, explore: bool = False
) -> tuple[dict[str, Record], dict[str, Record]]:
    """`head_to_head` by episode: how it went for a and for b, by the group that each was, and "both"."""
    check_view(view)
    if len(view.group_names) != 2:
        raise ValueError(f"the view has groups {view.group_names}; allowed: two")
    whole("episodes", episodes, 2)
    first, second = view.group_names
    ours: dict[str, Record] = {}
    theirs: dict[str, Record] = {}
    for mine, its in ((first, second), (second, first)):
        found = play(view, {mine: a, its: b}, -(-episodes // 2), seed, explore)
        ours[mine], theirs[its] = record_of(found, mine), record_of(found, its)
    theirs = {first: theirs[first], second: theirs[second]}
    for side in (ours, theirs):
        side["both"] = Record(*map(np.concatenate, zip(side[first], side[second], strict=True)))
    return ours, theirs


def play(
    view: View,
    players: Mapping[str, Player | str],
    episodes: int,
    seed: int,
    explore: bool = False,
) -> Episodes:
    """The episodes behind `evaluate`: of each row the first ones, as many as ``episodes`` needs."""
    check_view(view)
    whole("episodes", episodes, 1)
    whole("seed", seed, 0)
    game = getattr(getattr(view, "env", None), "game", None)
    if game is not None and game.max_cycles is None:
        raise ValueError("max_cycles=None: no episode ever ends; allowed for evaluation: a number")
    teams = _teams(view, players)
    each, rows, names = -(-episodes // view.num_envs), view.num_envs, view.group_names
    member = torch.nn.functional.one_hot(view.groups, len(names)).double()
    done = torch.zeros(rows, dtype=torch.int64, device=view.device)
    earned = torch.zeros((rows, len(names)), dtype=torch.float64, device=view.device)
    length = torch.zeros(rows, dtype=torch.int64, device=view.device)
    found: dict[str, torch.Tensor] = {}
    since = 0
    with torch.no_grad(), undisturbed(teams, seed):
        step = view.reset(seed=seed)
        while int(done.min()) < each:
            step = view.step(teams.act(step, explore))
            earned = (earned + step.reward.double() @ member).masked_fill(step.reset[:, None], 0.0)
            length = (length + 1).masked_fill(step.reset, 0)
            over = step.ended.nonzero()[:, 0]
            since = 0 if len(over) else since + 1
            if since > MAX_STEPS:
                raise ValueError(
                    f"no episode ended within {MAX_STEPS} steps; allowed: episodes that end"
                )
            over = over[done[over] < each]
            measures = {f"final_{name}": values for name, values in step.measures.items()}
            for name, values in {"earned": earned, "length": length, **measures}.items():
                if name not in found:
                    shape = (rows, each, *values.shape[1:])
                    found[name] = torch.zeros(shape, dtype=torch.float64, device=view.device)
                found[name][over, done[over]] = values[over].double()
            done[over] += 1
    by_episode = {name: values.flatten(0, 1).cpu().numpy() for name, values in found.items()}
    return Episodes(
        group_names=names,
        sizes=torch.bincount(view.groups, minlength=len(names)).cpu().numpy(),
        earned=by_episode.pop("earned"),
        length=by_episode.pop("length"),
        measures={name.removeprefix("final_"): values for name, values in by_episode.items()},
    )


def record_of(episodes: Episodes, group: str) -> Record:
    """How the episodes went for a group."""
    names = episodes.group_names
    own = names.index(group)
    returns = episodes.earned / episodes.sizes
    nothing = np.full(len(returns), np.nan)
    kills = [episodes.measures.get(f"{name}_kills") for name in names]
    counted = all(count is not None for count in kills)
    points = np.stack(kills, 1) if counted else returns  # type: ignore[arg-type]
    others = np.delete(points, own, 1)
    margin = points[:, own] - (others.max(1) if len(names) > 1 else 0.0)
    return Record(
        won=margin > 0,
        drawn=margin == 0,
        returns=returns[:, own],
        kills=points[:, own] if counted else nothing,
        kill_difference=margin if counted else nothing,
        survivors=episodes.measures.get(f"{group}_alive", nothing),
    )


def summary(record: Record) -> Scores:
    """What a record says, with 95% intervals (``..._low``, ``..._high``).

    Args:
        record: one side's.

    Returns:
        ``episodes``, ``win_rate`` (Wilson's interval), ``draw_rate``, ``return`` (Student's), and where
        they are counted ``kills``, ``kill_difference`` (Student's) and ``survivors``, means at the end.
    """
    count = len(record.won)
    scores: Scores = {"episodes": count, "win_rate": float(record.won.mean())}
    scores["win_rate_low"], scores["win_rate_high"] = wilson(int(record.won.sum()), count)
    scores["draw_rate"] = float(record.drawn.mean())
    for name, values in (
        ("kills", record.kills),
        ("kill_difference", record.kill_difference),
        ("survivors", record.survivors),
        ("return", record.returns),
    ):
        if np.isnan(values).any():
            continue
        scores[name] = float(values.mean())
        if name in ("kill_difference", "return"):
            scores[f"{name}_low"], scores[f"{name}_high"] = student(values)
    return scores


def selection_score(scores: Scores) -> float:
    """What tells a better evaluation from a worse one.

    The return; or, against opponents, the win rate on the side where it is lower, the mean over them: an
    army that wins from one side alone has found a gap, not how to fight.
    """
    lower: Scores = {}
    for name, value in scores.items():
        opponent, is_side, _ = name.partition("_win_rate_as_")
        if is_side:
            lower[opponent] = min(value, lower.get(opponent, 1.0))
    return sum(lower.values()) / len(lower) if lower else scores["return"]


def _teams(view: View, players: Mapping[str, Player | str]) -> Teams:
    if players.keys() != set(view.group_names):
        raise ValueError(
            f"players has {', '.join(map(repr, players)) or 'nobody'}; "
            f"allowed: one for each of {', '.join(map(repr, view.group_names))}"
        )
    seated = {
        name: script(player, view) if isinstance(player, str) else player
        for name, player in ((name, players[name]) for name in view.group_names)
    }
    for name, player in seated.items():
        if not hasattr(player, "act"):
            kind = type(player).__name__
            raise TypeError(f"players[{name!r}] is a {kind}; allowed: a player, or a script's name")
    return Teams(view, seated, view.groups.expand(view.num_envs, -1))


@contextmanager
def undisturbed(teams: Teams, seed: int) -> Iterator[None]:
    """Within, the players' generators are freshly seeded; afterwards players are as before."""
    players: list[Any] = [part for player in teams.players.values() for part in parts_of(player)]
    generators = [getattr(player, "generator", None) for player in players]
    before = [None if generator is None else generator.get_state() for generator in generators]
    times = [getattr(player, "time", None) for player in players]
    for k, player in enumerate(players):
        reseed(player, seed + k)
    try:
        yield
    finally:
        for player, generator, state, time in zip(players, generators, before, times, strict=True):
            if generator is not None:
                generator.set_state(state)
            if time is not None:
                player.time = time
