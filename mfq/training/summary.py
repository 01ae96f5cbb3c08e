"""What a run reports of its scores: the table, the headline of the bar, the remark on random play."""

from __future__ import annotations

from collections.abc import Iterator

from mfq.agents.registry import algorithm
from mfq.matches.evaluate import Scores, of_player, of_random_play, selection_score
from mfq.training.config import RunConfig


def headline(scores: Scores) -> dict[str, float]:
    """Returns the score that says most, by its name: the return, or with opponents the win rate against
    the hardest of them, the lowest one. Beside it that of random play, if it is among the scores."""
    own, by_random = of_player(scores), of_random_play(scores)
    rates = {name: value for name, value in own.items() if name.endswith("_win_rate")}
    name = min(rates, key=rates.__getitem__) if rates else "return"
    shown = {name: own[name]}
    return shown | {"random play": by_random[name]} if name in by_random else shown


def is_below_random(scores: Scores) -> bool:
    """Whether the `selection_score` is below that of random play; False without such scores."""
    by_random = of_random_play(scores)
    return bool(by_random) and selection_score(scores) < selection_score(by_random)


def below_random(scores: Scores, config: RunConfig) -> str | None:
    """Returns a remark on scores below those of random play, with what to try; None for others."""
    if not is_below_random(scores):
        return None
    reached, by_random = selection_score(scores), selection_score(of_random_play(scores))
    what = "win rate (mean over opponents, lower side)" if config.evaluation.against else "return"
    remark = (
        f"the run scores below random play: {what} {reached:.4g}, of random play {by_random:.4g}"
    )
    if options := list(_remedies(config)):
        remark += f"; try {' or '.join(options)}"
    return remark


def _remedies(config: RunConfig) -> Iterator[str]:
    """Yields the flags of options for the mean action that the run does not use."""
    agent, ignored = config.agent, algorithm(config.algo)[1].ignores
    pairing = None if "pairing" in ignored else getattr(agent, "pairing", None)
    iterations = None if "iterations" in ignored else getattr(agent, "iterations", None)
    if pairing is not None:
        other = "current" if pairing == "previous" else "previous"
        # Iterations are for the current pairing only.
        reset = " --agent.iterations 0" if other == "previous" and iterations else ""
        yield f"--agent.pairing {other}{reset}"
    if iterations is not None and iterations < 3:
        switch = "--agent.pairing current " if pairing == "previous" else ""
        yield f"{switch}--agent.iterations 3"


def table(scores: Scores) -> str:
    """Formats scores, one a line, with random play's beside them.

    Args:
        scores: those of `Runner.evaluate`.
    """
    by_random = of_random_play(scores)
    lines = [f"{'':<28} {'agent':<12} random play"] if by_random else []
    for name, value in of_player(scores).items():
        beside = f"{by_random[name]:.6g}" if name in by_random else ""
        lines.append(f"{name:<28} {f'{value:.6g}':<12} {beside}".rstrip())
    return "\n".join(lines)
