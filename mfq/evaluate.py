"""Episodes without exploration or learning, as scores."""

from __future__ import annotations

import torch

from mfq.train import Agent
from mfq.view import View

MAX_STEPS = 100_000


def evaluate(view: View, agent: Agent, episodes: int = 1, seed: int = 0) -> dict[str, float]:
    """Plays greedily until enough episodes have ended.

    Args:
        view: the agent's, or one of the same sizes. It is reset, so nobody else should be playing it.
        agent: acts with ``explore=False``.
        episodes: at least this many, over all rows.
        seed: of the reset.

    Returns:
        Means over episodes: ``return``, an agent's summed reward; ``length``; and of each measure that
        the environment reports, its value in the last step (``final_...``).

    Raises:
        ValueError: unless episodes >= 1, or if no episode ends within `MAX_STEPS`, or cannot.
    """
    if episodes < 1:
        raise ValueError(f"episodes={episodes!r}; allowed: at least 1")
    game = getattr(getattr(view, "env", None), "game", None)
    if game is not None and game.max_cycles is None:
        raise ValueError("max_cycles=None: no episode ever ends; allowed for evaluation: a number")
    step = view.reset(seed=seed)
    since = 0
    earned = torch.zeros(view.num_envs, dtype=torch.float64, device=view.device)
    length = torch.zeros_like(earned)
    found: list[dict[str, float]] = []
    while len(found) < episodes:
        step = view.step(agent.act(step, explore=False))
        fresh = step.reset
        since += 1
        if since > MAX_STEPS:
            raise ValueError(
                f"no episode ended within {MAX_STEPS} steps; allowed: episodes that end"
            )
        earned = (earned + step.reward.double().mean(1)).masked_fill(fresh, 0.0)
        length = (length + 1).masked_fill(fresh, 0.0)
        over = step.truncated | ~(step.alive & ~step.terminated).any(1)
        for row in over.nonzero().flatten().tolist():
            if not fresh[row]:
                scores = {"return": float(earned[row]), "length": float(length[row])}
                scores |= {f"final_{k}": float(v[row]) for k, v in sorted(step.measures.items())}
                found.append(scores)
                since = 0
    return {name: sum(scores[name] for scores in found) / len(found) for name in found[0]}
