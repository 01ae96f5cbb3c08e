"""What a run reports of its scores: the table, the headline of the bar, the remark on random play."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from mfq.agents.q_config import QConfig
from mfq.agents.registry import algorithm
from mfq.matches.evaluate import (
    Scores,
    of_player,
    of_random_play,
    return_of,
    selection_score,
)
from mfq.training.config import RunConfig

MAX_NAME = 52
"""The longest name of a score beside its values in a table of 80 columns."""


def headline(scores: Scores, side: str | None = None) -> dict[str, float]:
    """Returns the score that says most, by its name: the return, or with opponents the win rate against
    the hardest of them, the lowest one; with a ``side`` of that side. Beside it that of random play, if
    it is among the scores."""
    own, by_random = of_player(scores), of_random_play(scores)
    ending = "_win_rate" if side is None else f"_win_rate_as_{side}"
    rates = {name: value for name, value in own.items() if name.endswith(ending)}
    name = min(rates, key=rates.__getitem__) if rates else return_of(own, side)
    shown = {name: own[name]}
    return shown | {"random play": by_random[name]} if name in by_random else shown


def in_words(scores: Scores, side: str | None = None) -> str:
    """Returns the scores that say most in words, with those of random play: the win rate against each
    opponent, or the `headline`.

    Args:
        scores: those of `Runner.evaluate`.
        side: the side that the learner always plays; None for both.
    """
    ending = "_win_rate" if side is None else f"_win_rate_as_{side}"
    by_random = of_random_play(scores)
    rates = {name: value for name, value in of_player(scores).items() if name.endswith(ending)}
    if rates:
        against = [
            f"{rate:.2f} against {name.removesuffix(ending)}" for name, rate in rates.items()
        ]
        text, chance = f"win rate {', '.join(against)}", [by_random.get(name) for name in rates]
        beside = ", ".join(f"{rate:.2f}" for rate in chance if rate is not None)
    else:
        (name, value), *others = headline(scores, side).items()
        text, beside = f"{name} {value:.4g}", f"{others[0][1]:.4g}" if others else ""
    return f"{text} (random play: {beside})" if beside else text


def is_below_random(scores: Scores, side: str | None = None) -> bool:
    """Whether the `selection_score` is below that of random play; False without such scores, or for the
    return of all of several groups, since what one earns another may lose."""
    by_random = of_random_play(scores)
    has_groups = any(name.startswith("return_") for name in by_random)
    if has_groups and return_of(by_random, side) == "return":
        return False
    return bool(by_random) and selection_score(scores, side) < selection_score(by_random, side)


def below_random(scores: Scores, config: RunConfig) -> str | None:
    """Returns a remark on scores below those of random play, with what to try; None for others."""
    side = config.learning_side
    if not is_below_random(scores, side):
        return None
    reached, by_random = (selection_score(each, side) for each in (scores, of_random_play(scores)))
    which = "lower side" if side is None else f"as {side}"
    what = f"win rate (mean over opponents, {which})" if config.evaluation.against else "return"
    remark = (
        f"the run scores below random play: {what} {reached:.4g}, of random play {by_random:.4g}"
    )
    if options := list(_remedies(config))[:2]:
        remark += f"; try {' or '.join(options)}"
    return remark


def _remedies(config: RunConfig) -> Iterator[str]:
    """Yields flags that the run does not use, first those that help most (docs/studies/test_bed.md)."""
    agent, ignored = config.agent, algorithm(config.algo)[1].ignores
    explores, is_q = getattr(agent, "exploration", None), isinstance(agent, QConfig)
    # Q-learners act on the stale mean action that "current" fits; of actor-critics only critics hear it.
    better = "previous" if is_q else "current"
    if "pairing" not in ignored and getattr(agent, "pairing", better) != better:
        yield f"--agent.pairing {better}"
    # Epsilon-greedy agents are greedy without exploration, whichever way they play.
    is_epsilon_greedy = getattr(explores, "policy", None) == "epsilon_greedy"
    if getattr(agent, "play", None) == "greedy" and not is_epsilon_greedy:
        yield "--agent.play sample"
    if getattr(explores, "stickiness", None) == 0:
        yield "--agent.exploration.stickiness 0.3"
    iterates = is_q and "iterations" not in ignored and agent.mean_field == "mean_action"
    if iterates and not agent.iterations and agent.replay.kind != "compact":
        yield "--agent.pairing current --agent.iterations 3 --agent.damping 0.5"


def table(scores: Scores) -> str:
    """Formats scores, one a line, with random play's beside them, in at most 80 columns.

    Args:
        scores: those of `Runner.evaluate`.
    """
    by_random, by_agent = of_random_play(scores), of_player(scores)
    width = min(max(28, *map(len, by_agent)), MAX_NAME)
    lines = [f"{'':<{width}} {'agent':<12} random play"] if by_random else []
    for name, value in by_agent.items():
        beside = f"{by_random[name]:.6g}" if name in by_random else ""
        if len(name) > width:  # on a separate line
            lines += textwrap.wrap(name, 80, subsequent_indent="  ", break_on_hyphens=False)
            name = ""
        lines.append(f"{name:<{width}} {f'{value:.6g}':<12} {beside}".rstrip())
    return "\n".join(lines)
