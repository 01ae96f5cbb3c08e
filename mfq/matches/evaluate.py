"""Evaluates players: mean scores of episodes, and matches with 95% intervals.

Legend: B rows, N agents, G groups, E episodes.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple, overload

import numpy as np
import torch

from mfenvs.validate import whole
from mfq.agents import loop
from mfq.agents.base import Player, check_player, preserved
from mfq.common.progress import tick
from mfq.envs.lookup import is_code
from mfq.envs.view import View, check_view
from mfq.matches.intervals import student, wilson
from mfq.matches.players import Random, player_of_code, script
from mfq.matches.teams import Teams

MAX_STEPS = 10_000
"""The most steps of an episode of an environment without a time limit: it is then truncated."""
PATIENCE = 100_000
"""The most steps without the end of an episode, of a view that cannot truncate one."""
EVALUATION_SEED_OFFSET = 1_000_000
"""Offset of the seeds of a final score from those of evaluations during training. These select the best
checkpoint, so that its score on the same episodes would be biased upwards."""
RANDOM_PLAY = "random_play_"
"""The prefix of random play's scores among those of a player. (``random_win_rate`` is that of the player
against an opponent that plays at random.)"""
ENDLESS = (
    f"an episode of the evaluation did not end within {MAX_STEPS} steps, and is truncated there: the "
    "environment seems to have no time limit. Give it one: for a Gymnasium id "
    "--set max_episode_steps=200 (env_options={'max_episode_steps': 200}), for MODULE:FACTORY "
    "return truncated=True after some steps, or use gymnasium.wrappers.TimeLimit"
)
Scores = dict[str, float]


class Episodes(NamedTuple):
    """The results of E episodes, in order of their rows: the first ones of each, equally many or, in
    the first E mod B rows, one more.

    Attributes:
        group_names: the names of the G groups.
        sizes: int64 [G]; the number of agents of each group.
        earned: float64 [E, G]; the summed rewards of each group's agents.
        length: float64 [E]; the number of steps.
        measures: float64 [E] by name; the environment's measures in the last step.
        match_measure: the measure that decides a match; see `mfq.View`.
    """

    group_names: tuple[str, ...]
    sizes: np.ndarray
    earned: np.ndarray
    length: np.ndarray
    measures: dict[str, np.ndarray]
    match_measure: str | None


class Record(NamedTuple):
    """The results of E episodes for one group.

    Attributes:
        won, drawn: bool [E]; whether the group has more points than every other group at the end, or as
            many as the best of them. Points are the view's `match_measure`, or else returns.
        returns: float64 [E]; the mean over the group's agents of their summed rewards.
        measures: float64 [E] by name; the group's measures in the last step ("kills" for "red_kills"),
            and the difference of the match measure to the best other group's ("kills_difference").
    """

    won: np.ndarray
    drawn: np.ndarray
    returns: np.ndarray
    measures: dict[str, np.ndarray]


@overload
def evaluate(
    view: View, players: Player | str, episodes: int = 1, seed: int = 0, explore: bool = False
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
    players: Player | str | Mapping[str, Player | str],
    episodes: int = 1,
    seed: int = 0,
    explore: bool = False,
) -> Scores | dict[str, Scores]:
    """Plays whole episodes and returns scores.

    How many episodes of each row count is fixed in advance, and these are its first ones. Counting the
    episodes that end first would favour short ones.

    Args:
        view: the view of the players, or one of the same sizes. It is reset.
        players: a player of all agents; or for each group (of ``view.group_names``) a player. Players
            may be given by name: that of a script, "random", or MODULE:NAME (see
            `mfq.matches.players.player_of_code`). Their networks are in evaluation mode meanwhile.
        episodes: the number of episodes over all rows. Rows count equally many; if B does not divide
            the number, the first rows count one more.
        seed: seed of the reset, and of the players' generators.
        explore: whether players act as in training. In both cases their generators and the time of
            their schedules are restored afterwards, and learners store nothing.

    Returns:
        For one player, means over episodes: ``return``, the summed reward per agent; with several
        groups, that of each (``return_...``); ``length``; and each measure of the environment in the
        last step (``final_...``). For a mapping, the `summary` of each group.

    Raises:
        ValueError, TypeError: unless episodes >= 1; if the groups are not those of the view; or if
            episodes of a BatchedEnv do not end within `PATIENCE` steps.

    Warns:
        UserWarning: if an episode is truncated after `MAX_STEPS` steps. Episodes of PettingZoo and
            Gymnasium environments are, unless their specification has ``max_episode_steps``, and count
            as ended there.
    """
    check_view(view)
    if isinstance(players, Mapping):
        played = play(view, players, episodes, seed, explore)
        return {name: summary(record_of(played, name)) for name in played.group_names}
    player = _named(players, view)
    check_player("players", player)
    played = play(view, dict.fromkeys(view.group_names, player), episodes, seed, explore)
    scores = {"return": float(played.earned.sum(1).mean() / played.sizes.sum())}
    if len(played.group_names) > 1:
        returns = played.earned.mean(0) / played.sizes
        for name, value in zip(played.group_names, returns, strict=True):
            scores[f"return_{name}"] = float(value)
    scores["length"] = float(played.length.mean())
    return scores | {f"final_{k}": float(v.mean()) for k, v in sorted(played.measures.items())}


def head_to_head(
    view: View,
    a: Player | str,
    b: Player | str,
    episodes: int = 200,
    seed: int = 0,
    explore: bool = False,
) -> dict[str, Scores]:
    """Plays a match of two players. Each plays all sides, in equally many episodes, from the same seeds.

    With more than two groups ``a`` plays one group after another, and ``b`` all others.

    Where two groups have different types of agents, such as predators and prey, the sides cannot be
    compared. Then the two episodes of a seed decide together: a player wins them if it is ahead over
    both, such as by more tags as predators than it allows as prey. Each side, and "both", has the win
    rate of these pairs.

    Args:
        view: a view of two or more groups.
        a, b: players, or their names as in `evaluate`.
        episodes: the total number of episodes, at least that of the groups; rounded up to a multiple.
        seed, explore: as in `evaluate`.

    Returns:
        The `summary` for ``a``: by the group that it played, and of all episodes as "both".

    Raises:
        ValueError, TypeError: as `evaluate`, or unless the view has two or more groups.
    """
    check_view(view)
    if len(view.group_names) > 2:
        records = _in_each_group(view, a, b, episodes, seed, explore)
    else:
        records, _ = match(view, a, b, episodes, seed, explore)
    return {side: summary(record) for side, record in records.items()}


def match(
    view: View, a: Player | str, b: Player | str, episodes: int, seed: int, explore: bool = False
) -> tuple[dict[str, Record], dict[str, Record]]:
    """Returns the records of ``a`` and of ``b`` in a `head_to_head` of two groups, by group played, and
    "both"."""
    check_view(view)
    if len(view.group_names) != 2:
        raise ValueError(f"the view has groups {view.group_names}; allowed: two")
    episodes = whole("episodes", episodes, 2)
    first, second = view.group_names
    _refuse_both(view)
    of_a: dict[str, Record] = {}
    of_b: dict[str, Record] = {}
    for side_a, side_b in ((first, second), (second, first)):
        played = play(view, {side_a: a, side_b: b}, -(-episodes // 2), seed, explore)
        of_a[side_a], of_b[side_b] = record_of(played, side_a), record_of(played, side_b)
    of_b = {first: of_b[first], second: of_b[second]}
    if _have_equal_types(view):
        for records in (of_a, of_b):
            records["both"] = _concatenate(records[first], records[second])
        return of_a, of_b
    margins = [
        _margin(of_a[side], of_b[other], view.match_measure)
        for side, other in ((first, second), (second, first))
    ]
    ahead = margins[0] + margins[1]
    return _by_pairs(of_a, ahead), _by_pairs(of_b, -ahead)


def _refuse_both(view: View) -> None:
    if "both" in view.group_names:
        raise ValueError(
            f"the view has groups {view.group_names}; allowed: other names than 'both'"
        )


def _in_each_group(
    view: View, a: Player | str, b: Player | str, episodes: int, seed: int, explore: bool
) -> dict[str, Record]:
    """Returns the records of ``a`` in each group against ``b`` in all others, and "both"."""
    _refuse_both(view)
    names = view.group_names
    each = -(-whole("episodes", episodes, len(names)) // len(names))
    records = {
        side: record_of(play(view, {**dict.fromkeys(names, b), side: a}, each, seed, explore), side)
        for side in names
    }
    return records | {"both": _concatenate(*records.values())}


def _have_equal_types(view: View) -> bool:
    """Whether all groups have agents of the same types."""
    types = [set(view.types[view.groups == k].tolist()) for k in range(len(view.group_names))]
    return all(each == types[0] for each in types)


def _margin(record: Record, other: Record, deciding: str | None) -> np.ndarray:
    """By how much a group is ahead of the other one in each episode: float64 [E]."""
    if deciding is None:
        return record.returns - other.returns
    return record.measures[f"{deciding}_difference"]


def _by_pairs(records: dict[str, Record], ahead: np.ndarray) -> dict[str, Record]:
    """Returns records of two sides, and "both", that win where a player is ahead over both episodes of
    a seed; "both" has the means of the pairs."""
    won, drawn = ahead > 0, ahead == 0
    first, second = (record._replace(won=won, drawn=drawn) for record in records.values())
    shared = [name for name in first.measures if name in second.measures]
    both = Record(
        won,
        drawn,
        (first.returns + second.returns) / 2,
        {name: (first.measures[name] + second.measures[name]) / 2 for name in shared},
    )
    return dict(zip(records, (first, second), strict=True)) | {"both": both}


def _concatenate(first: Record, *others: Record) -> Record:
    """Returns the episodes of records as one; of measures, those that all have."""
    records = (first, *others)
    shared = [name for name in first.measures if all(name in each.measures for each in others)]
    return Record(
        np.concatenate([each.won for each in records]),
        np.concatenate([each.drawn for each in records]),
        np.concatenate([each.returns for each in records]),
        {name: np.concatenate([each.measures[name] for each in records]) for name in shared},
    )


def play(
    view: View,
    players: Mapping[str, Player | str],
    episodes: int,
    seed: int,
    explore: bool = False,
) -> Episodes:
    """Plays the episodes of `evaluate`, and returns them."""
    check_view(view)
    episodes, seed = whole("episodes", episodes, 1), whole("seed", seed, 0)
    if not view.ends:
        raise ValueError("max_cycles=None: no episode ever ends; allowed for evaluation: a number")
    teams = teams_of(view, players)
    each, rows, names = -(-episodes // view.num_envs), view.num_envs, view.group_names
    quota = torch.full((rows,), episodes // rows, device=view.device)
    quota[: episodes % rows] += 1
    member = torch.nn.functional.one_hot(view.groups, len(names)).double()
    done = torch.zeros(rows, dtype=torch.int64, device=view.device)
    earned = torch.zeros((rows, len(names)), dtype=torch.float64, device=view.device)
    length = torch.zeros(rows, dtype=torch.int64, device=view.device)
    totals: dict[str, torch.Tensor] = {}  # [rows, each, ...] by name, of episodes that have ended
    steps_since_end = 0
    with _limited(view) as is_limited, preserved(list(teams.players.values()), seed):
        for transition in loop.play(view, teams, view.reset(seed=seed), explore):
            step = transition.next_step
            earned = (earned + step.reward.double() @ member).masked_fill(step.reset[:, None], 0.0)
            length = (length + 1).masked_fill(step.reset, 0)
            over = step.ended.nonzero()[:, 0]
            steps_since_end = 0 if len(over) else steps_since_end + 1
            if steps_since_end > PATIENCE:
                raise ValueError(
                    f"no episode ended within {PATIENCE} steps; allowed: episodes that end"
                )
            if is_limited and bool((step.truncated & (length == MAX_STEPS)).any()):
                is_limited = False  # warn once
                warnings.warn(ENDLESS, stacklevel=3)
            over = over[done[over] < quota[over]]
            tick(len(over))
            measures = {f"final_{name}": values for name, values in step.measures.items()}
            for name, values in {"earned": earned, "length": length, **measures}.items():
                if name not in totals:
                    shape = (rows, each, *values.shape[1:])
                    totals[name] = torch.zeros(shape, dtype=torch.float64, device=view.device)
                totals[name][over, done[over]] = values[over].double()
            done[over] += 1
            if bool((done >= quota).all()):
                break
    counted = torch.arange(each, device=view.device) < quota[:, None]
    by_episode = {name: values[counted].cpu().numpy() for name, values in totals.items()}
    return Episodes(
        group_names=names,
        sizes=torch.bincount(view.groups, minlength=len(names)).cpu().numpy(),
        earned=by_episode.pop("earned"),
        length=by_episode.pop("length"),
        measures={name.removeprefix("final_"): values for name, values in by_episode.items()},
        match_measure=view.match_measure,
    )


@contextmanager
def _limited(view: View) -> Iterator[bool]:
    """Returns a context in which episodes are truncated after `MAX_STEPS`, if the view does that."""
    is_limited = view.limit_episodes(MAX_STEPS)
    try:
        yield is_limited
    finally:
        with suppress(RuntimeError):  # workers that failed are closed
            view.limit_episodes(None)


def record_of(episodes: Episodes, group: str) -> Record:
    """Returns the record of a group.

    Raises:
        ValueError: if a group lacks the measure that decides a match.
    """
    names, deciding = episodes.group_names, episodes.match_measure
    index = names.index(group)
    returns = episodes.earned / episodes.sizes
    points = returns
    if deciding is not None:
        deciders = [f"{name}_{deciding}" for name in names]
        if missing := [name for name in deciders if name not in episodes.measures]:
            raise ValueError(
                f"match_measure={deciding!r} and no measure {missing[0]!r}; allowed: one of each group "
                f"among the measures ({', '.join(sorted(episodes.measures)) or 'none'})"
            )
        points = np.stack([episodes.measures[name] for name in deciders], 1)
    others = np.delete(points, index, 1)
    margin = points[:, index] - (others.max(1) if len(names) > 1 else 0.0)
    measures = {
        name.removeprefix(f"{group}_"): values
        for name, values in sorted(episodes.measures.items())
        if name.startswith(f"{group}_")
    }
    if deciding is not None:
        measures[f"{deciding}_difference"] = margin
    return Record(margin > 0, margin == 0, returns[:, index], measures)


def summary(record: Record) -> Scores:
    """Returns the scores of a record, with 95% intervals (``..._low``, ``..._high``).

    Args:
        record: the record of a group.

    Returns:
        ``episodes``, ``win_rate`` (with Wilson's interval), ``draw_rate``, the means of the measures,
        and ``return``. Differences and ``return`` have Student's interval.
    """
    count = len(record.won)
    scores: Scores = {"episodes": count, "win_rate": float(record.won.mean())}
    scores["win_rate_low"], scores["win_rate_high"] = wilson(int(record.won.sum()), count)
    scores["draw_rate"] = float(record.drawn.mean())
    for name, values in {**record.measures, "return": record.returns}.items():
        scores[name] = float(values.mean())
        if name == "return" or name.endswith("_difference"):
            scores[f"{name}_low"], scores[f"{name}_high"] = student(values)
    return scores


def scores_of(
    view: View,
    player: Player,
    opponents: Mapping[str, Player | str] | None = None,
    episodes: int = 1,
    seed: int = 0,
) -> Scores:
    """Returns the scores of a player as a run reports them.

    Args:
        view: as in `evaluate`; with opponents a view of two groups.
        player: the player.
        opponents: label -> opponent. Without any, the player plays all agents.
        episodes, seed: as in `evaluate`; with opponents as in `head_to_head`, against each.

    Returns:
        Without opponents: the scores of `evaluate`. With them, for each: the scores "both" of
        `head_to_head` (``LABEL_win_rate`` and others), and ``LABEL_win_rate_as_SIDE`` for each side.

    Raises:
        ValueError, TypeError: as `evaluate` and `head_to_head`.
    """
    if not opponents:
        return evaluate(view, player, episodes, seed)
    scores: Scores = {}
    for label, opponent in opponents.items():
        by_side = head_to_head(view, player, opponent, max(episodes, 2), seed)
        scores |= {f"{label}_{key}": value for key, value in by_side["both"].items()}
        for side in view.group_names:
            scores[f"{label}_win_rate_as_{side}"] = by_side[side]["win_rate"]
    return scores


def random_score(
    view: View,
    opponents: Mapping[str, Player | str] | None = None,
    episodes: int = 1,
    seed: int = 0,
) -> Scores:
    """Returns the scores of random play: of `Random` in the player's place in `scores_of`.

    Args:
        view, opponents, episodes, seed: as in `scores_of`.

    Returns:
        Entries of `scores_of`, with names that begin with `RANDOM_PLAY`. Intervals and numbers of
        episodes are left out.
    """
    return {
        f"{RANDOM_PLAY}{name}": value
        for name, value in scores_of(view, Random(), opponents, episodes, seed).items()
        if not name.endswith(("_low", "_high", "_episodes"))
    }


def of_random_play(scores: Scores) -> Scores:
    """Returns the entries of `random_score` among scores, by their names without `RANDOM_PLAY`."""
    return {
        name.removeprefix(RANDOM_PLAY): value
        for name, value in scores.items()
        if name.startswith(RANDOM_PLAY)
    }


def of_player(scores: Scores) -> Scores:
    """Returns the scores without the entries of `random_score`."""
    return {name: value for name, value in scores.items() if not name.startswith(RANDOM_PLAY)}


def selection_score(scores: Scores, side: str | None = None) -> float:
    """Returns the score that selects the best checkpoint. Entries of `random_score` do not count.

    It is the return, with a ``side`` of that side; or with opponents, the mean over them of the win rate
    on the side where it is lower, since a player that wins from one side only exploits a gap of the
    opponent.

    Args:
        scores: those of `scores_of`.
        side: the side that alone counts, as for a learner that only plays this side. None: both.
    """
    lower: Scores = {}
    for name, value in of_player(scores).items():
        opponent, is_side, played = name.partition("_win_rate_as_")
        if is_side and side in (None, played):
            lower[opponent] = min(value, lower.get(opponent, 1.0))
    return sum(lower.values()) / len(lower) if lower else scores[return_of(scores, side)]


def return_of(scores: Scores, side: str | None) -> str:
    """Returns the name of the return that counts: that of the side, if there is one, else of all."""
    return f"return_{side}" if f"return_{side}" in scores else "return"


def teams_of(view: View, players: Mapping[str, Player | str]) -> Teams:
    if players.keys() != set(view.group_names):
        raise ValueError(
            f"players has {', '.join(map(repr, players)) or 'no groups'}; "
            f"allowed: one for each of {', '.join(map(repr, view.group_names))}"
        )
    by_group = {
        name: _named(player, view)
        for name, player in ((name, players[name]) for name in view.group_names)
    }
    for name, player in by_group.items():
        check_player(f"players[{name!r}]", player)
    return Teams(view, by_group, view.groups.expand(view.num_envs, -1))


def _named(player: Player | str, view: View) -> Player:
    """Returns a player by its name; another one as it is."""
    if not isinstance(player, str):
        return player
    return player_of_code(player, view) if is_code(player) else script(player, view)
