"""`mfq.train`: training without a Runner."""

from __future__ import annotations

from collections.abc import Callable

from tqdm import tqdm

from mfenvs.validate import whole
from mfq.agents import loop
from mfq.agents.base import Agent, check_agent
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
        view: the view to play.
        agent: the agent, which plays all groups.
        steps: environment steps of each row.
        step: the view's latest step; None resets the view first.
        after: a function called with (steps done, the step) after each step.
        progress: whether to show a progress bar.

    Returns:
        The last step, which a later call can continue from.

    Raises:
        ValueError, TypeError: if ``view`` is not a `View`, ``agent`` not an `Agent`, or ``steps``
            below 0.
    """
    check_view(view)
    whole("steps", steps, 0)
    check_agent("agent", agent)
    step = view.reset() if step is None else step
    bar = tqdm(range(1, steps + 1), unit="step", disable=not progress, dynamic_ncols=True)
    for done, transition in zip(bar, loop.learn(view, agent, step), strict=False):
        step = transition.next_step
        if after is not None:
            after(done, step)
    return step
