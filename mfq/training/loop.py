"""The loop: act, step, observe, learn."""

from __future__ import annotations

from collections.abc import Callable

import torch
from tqdm import tqdm

from mfq.agents.base import Agent
from mfq.common.config import whole
from mfq.envs.step import Step
from mfq.envs.view import View, check_view


def train(
    view: View,
    agent: Agent,
    steps: int,
    step: Step | None = None,
    after: Callable[[int, Step], None] | None = None,
    progress: bool = False,
) -> Step:
    """Plays and learns for a number of environment steps.

    Args:
        view: the rows to play.
        agent: plays every group.
        steps: environment steps of each row.
        step: where to go on; None resets the view first.
        after: called with (steps done, the step) after each.
        progress: whether to show a bar with the steps done and their pace.

    Returns:
        The last step, to go on from.

    Raises:
        ValueError, TypeError: for no view, a player that does not learn, or steps below 0.
    """
    check_view(view)
    whole("steps", steps, 0)
    for method in ("act", "observe", "learn"):
        if not hasattr(agent, method):
            raise TypeError(f"agent={agent!r} has no {method}; allowed: a learner")
    step = view.reset() if step is None else step
    with torch.no_grad():
        for done in tqdm(
            range(1, steps + 1), unit="step", disable=not progress, dynamic_ncols=True
        ):
            actions = agent.act(step)
            next_step = view.step(actions)
            agent.observe(step, actions, next_step)
            agent.learn()
            step = next_step
            if after is not None:
                after(done, step)
    return step
