"""A rollout of T steps of B rows, for on-policy learning.

Episodes of different rows end at different times; those that are unfinished at the end of the rollout
are cut there. Only the observations of agents that chose an action are stored.

Legend: T steps, B rows, N agents, A actions, S states of single agents, M of them to learn from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mfq.envs.step import Step
from mfq.replay.base import named
from mfq.values import lambda_returns

Valuer = Callable[[dict[str, Tensor]], Tensor]


class Rollout:
    """The steps of a rollout.

    Args:
        max_steps: the maximum number of steps, at least 1.
    """

    def __init__(self, max_steps: int) -> None:
        self.max_steps = max_steps
        self.clear()

    def __len__(self) -> int:
        return len(self._outcomes)

    def clear(self) -> None:
        """Starts a new rollout."""
        self._states: list[dict[str, Tensor]] = []
        self._choices: list[dict[str, Tensor]] = []
        self._outcomes: list[dict[str, Tensor]] = []

    def add(self, step: Step, next_step: Step, expected: Tensor, choice: dict[str, Tensor]) -> None:
        """Adds a step. If all rows are reset from outside, drops the steps before it.

        Args:
            step, next_step: the steps before and after the actions.
            expected: float32 [B, N, D], the mean action for the value of the state, if a cut episode is
                bootstrapped from it.
            choice: tensors [B, N, ...] that `finish` returns with the states to learn from. Must
                contain ``learns``, bool [B, N]: the agents to learn from; and for `lambda_returns`
                ``mean``, float32 [B, N, D], the mean action that the critic is fitted to.
        """
        if self._outcomes and bool((step.reset & ~self._outcomes[-1]["reset"]).any()):
            self.clear()
        self._states.append(_state(step, expected))
        self._choices.append({name: _at(step.active_index, part) for name, part in choice.items()})
        in_episode = next_step.alive | next_step.terminated
        self._outcomes.append(
            {
                "reward": next_step.reward.clone(),
                "terminated": next_step.terminated.clone(),
                "reset": next_step.reset.clone(),
                # An agent that is neither alive nor terminated was truncated before the others.
                "present": step.alive & in_episode & ~next_step.reset[:, None],
            }
        )

    def is_over(self) -> bool:
        """Whether every row has ended an episode and started another, or ``max_steps`` is reached."""
        if not self._outcomes or len(self) >= self.max_steps:
            return bool(self._outcomes)
        return bool(torch.stack([outcome["reset"] for outcome in self._outcomes]).any(0).all())

    def finish(
        self, last: Step, expected: Tensor, value: Valuer, gamma: float, trace: float | None = None
    ) -> dict[str, Tensor]:
        """Ends the rollout; returns the states to learn from, with their returns.

        A return sums rewards until the agent dies, including steps without a choice. If it is cut by a
        time limit or by the end of the rollout, it bootstraps from ``value`` of the agent's last state.

        Args:
            last: the last step of the rollout.
            expected: float32 [B, N, D], as in `add`, for ``last``.
            value: a function of a dict of tensors that returns values float [M]. The dict has the
                observation by name ("obs", or "obs.view" and so on), ``place`` int64 [M] (b N + j) and
                ``expected`` [M, D]; for states to learn from, this is ``mean`` of their choice.
            gamma: discount.
            trace: lambda of `lambda_returns`, which bootstrap from each state to learn from; None for
                Monte-Carlo returns.

        Returns:
            Tensors [M, ...]: the observation by name, ``place``, ``returns``, and those of ``choice``
            except ``learns``; with ``trace`` also ``value``, the values of the states.
        """
        outcomes = _stack(self._outcomes)
        present, terminated = outcomes["present"], outcomes["terminated"]
        ends = torch.cat([~present[1:], torch.ones_like(present[:1])])
        choices = _cat(self._choices)
        learned = choices.pop("learns").nonzero()[:, 0]

        # The index of each state in (T + 1) B N.
        sizes = [len(state["place"]) for state in self._states]
        states = _cat([*self._states, _state(last, expected)])
        time = torch.arange(len(sizes) + 1, device=present.device).repeat_interleave(
            torch.tensor([*sizes, len(last.active_index)], device=present.device)
        )
        size = present[0].numel()
        place = time * size + states["place"]
        previous = place - size  # the transition into the state
        is_cut = (ends & present & ~terminated).flatten()
        is_valued = (previous >= 0) & is_cut[previous.clamp(min=0)]
        if trace is not None:
            # At the states to learn from, values take what the critic is fitted to.
            states["expected"][learned] = choices["mean"][learned]
            is_valued[learned] = True
        valued = is_valued.nonzero()[:, 0]

        # Values at T + 1 times, of all rows and agents.
        values = outcomes["reward"].new_zeros((len(sizes) + 1, *present.shape[1:]))
        if len(valued):
            computed = value({name: part[valued] for name, part in states.items()})
            values.view(-1)[place[valued]] = computed.to(values)
        bootstraps = torch.zeros_like(values, dtype=torch.bool)
        bootstraps.view(-1)[place[learned]] = True
        returns = lambda_returns(
            outcomes["reward"],
            terminated,
            ends,
            values[1:],
            bootstraps[1:],
            gamma,
            1.0 if trace is None else trace,
        )

        del states["expected"]
        batch = {name: part[learned] for name, part in (states | choices).items()}
        batch["returns"] = returns.view(-1)[place[learned]]
        if trace is not None:
            batch["value"] = values.view(-1)[place[learned]]
        self.clear()
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Returns the unfinished rollout."""
        return {"states": self._states, "choices": self._choices, "outcomes": self._outcomes}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Loads a `state_dict`, on a device."""
        aliases = {"seat": "place"}  # names in older checkpoints
        self._states, self._choices, self._outcomes = (
            [
                {aliases.get(key, key): part.to(device) for key, part in entry.items()}
                for entry in state[name]
            ]
            for name in ("states", "choices", "outcomes")
        )


def _state(step: Step, expected: Tensor) -> dict[str, Tensor]:
    obs = named("obs", step.obs_at(step.active_index))
    return {**obs, "place": step.active_index, "expected": _at(step.active_index, expected)}


def _at(index: Tensor, values: Tensor) -> Tensor:
    """Returns a copy of the values [B, N, ...] at the index: [S, ...]."""
    return values.flatten(0, 1)[index]


def _stack(entries: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([entry[name] for entry in entries]) for name in entries[0]}


def _cat(entries: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([entry[name] for entry in entries]) for name in entries[0]}
