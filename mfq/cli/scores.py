"""Scores as `mfq train` and `mfq evaluate` print them."""

from __future__ import annotations

import sys
from typing import Any

from mfq.cli.errors import at_work
from mfq.common.progress import watched


def print_scores(
    runner: Any, episodes: int, seed: int | None = None, quiet: bool = False
) -> dict[str, float]:
    """Evaluates a run and prints its scores beside random play's.

    Args:
        runner: the `Runner`.
        episodes, seed: as for `Runner.evaluate`.
        quiet: if True, shows no progress, and does not print how many episodes the scores are of.

    Returns:
        The scores.
    """
    from mfq.training.summary import below_random, table

    config, opponents = runner.config, len(runner.config.evaluation.against)
    count = -(-max(episodes, 2) // 2) * 2 if opponents else episodes
    total = 2 * count * max(opponents, 1)  # the agent's, and random play's
    with at_work(), watched(total, "episode", "evaluation", quiet):
        scores = runner.evaluate(episodes, seed)
    print(table(scores))
    if not quiet:
        of = "episode" if count == 1 else "episodes"
        against = " against each opponent" if opponents else ""
        print(f"mfq: scores are means of {count} {of}{against}", file=sys.stderr)
    if remark := below_random(scores, config):
        print(f"mfq: {remark}", file=sys.stderr)
    return scores
