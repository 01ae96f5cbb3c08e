"""The loop: act, step, and for agents that learn, observe and learn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mfq.agents.base import Agent, Player
from mfq.envs.step import Step
from mfq.envs.view import View


class Transition(NamedTuple):
    """One step of the loop.

    Attributes:
        step: the step before the actions.
        actions: int64 [B, N].
        next_step: the step after the actions.
        metrics: the result of `Agent.learn`; {} without learning.
        seconds: the time that acting, the environment and learning took: "act", "env", "learn".
    """

    step: Step
    actions: Tensor
    next_step: Step
    metrics: dict[str, float]
    seconds: dict[str, float]


def play(view: View, player: Player, step: Step, explore: bool = True) -> Iterator[Transition]:
    """Plays forever, without learning.

    Args:
        view: the view to play.
        player: the player of all agents.
        step: the view's latest step.
        explore: whether the player acts as in training.

    Yields:
        The transition of each step.
    """
    while True:
        start = time.perf_counter()
        with torch.no_grad():
            actions = player.act(step, explore)
            check_actions(player, actions, step)
            acted = time.perf_counter()
            next_step = view.step(actions)
        seconds = {"act": acted - start, "env": time.perf_counter() - acted, "learn": 0.0}
        yield Transition(step, actions, next_step, {}, seconds)
        step = next_step


def check_actions(player: Player, actions: Any, step: Step) -> None:
    """Raises TypeError or ValueError unless a player's actions are integers int64 [B, N], each an action
    or -1 where they count. (On a GPU their range is not checked, since that would synchronise.)"""
    name, shape = f"{type(player).__name__}.act", tuple(step.actions.shape)
    if not isinstance(actions, Tensor):
        raise TypeError(
            f"{name} returned a {type(actions).__name__}; allowed: a tensor int64 {shape}"
        )
    if tuple(actions.shape) != shape or actions.dtype != torch.int64:
        raise ValueError(
            f"{name} returned {actions.dtype} {tuple(actions.shape)}; allowed: torch.int64 {shape}"
        )
    if actions.device.type == "cpu" and len(actions):
        counts = step.num_actions if step.types is None else step.types.counts
        outside = (actions < -1) | (actions >= counts)
        if bool(outside.any()):
            _check_playing(name, actions, step, outside)


def _check_playing(name: str, actions: Tensor, step: Step, outside: Tensor) -> None:
    """Raises ValueError if an action outside the range is of an agent that the player plays."""
    playing = step.alive if step.mine is None else step.alive & step.mine
    for row, agent in (outside & playing).nonzero().tolist()[:1]:
        count = step.num_actions if step.types is None else int(step.types.counts[agent])
        raise ValueError(
            f"{name} returned the action {int(actions[row, agent])} for agent {agent} of row {row}; "
            f"allowed: 0 to {count - 1}"
        )


def learn(view: View, agent: Agent, step: Step) -> Iterator[Transition]:
    """Plays and learns forever; see `play`."""
    for transition in play(view, agent, step):
        start = time.perf_counter()
        with torch.no_grad():
            agent.observe(transition.step, transition.actions, transition.next_step)
            metrics = agent.learn()
        seconds = {**transition.seconds, "learn": time.perf_counter() - start}
        yield transition._replace(metrics=metrics, seconds=seconds)
