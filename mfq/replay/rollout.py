"""A round of play, for learning on policy: what was seen, done and earned in T steps of B rows.

Rows end at different times and go on with their next episodes; what of a row the round leaves unfinished
is cut there. Observations are kept of those alone who had to choose.

Legend: T steps, B rows, N agents, A actions, S states of single agents, M of them to learn from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mfq.envs.step import Step
from mfq.replay.ring import named
from mfq.values import monte_carlo_returns

Valuer = Callable[[dict[str, Tensor]], Tensor]


class Rollout:
    """The steps of a round.

    Args:
        max_steps: the longest round, at least 1.
    """

    def __init__(self, max_steps: int) -> None:
        self.max_steps = max_steps
        self.clear()

    def __len__(self) -> int:
        return len(self._outcomes)

    def clear(self) -> None:
        """Begins a new round."""
        self._states: list[dict[str, Tensor]] = []
        self._choices: list[dict[str, Tensor]] = []
        self._outcomes: list[dict[str, Tensor]] = []

    def add(self, step: Step, next_step: Step, expected: Tensor, choice: dict[str, Tensor]) -> None:
        """Takes note of a step. A reset from outside the rows' own course drops what came before it.

        Args:
            step, next_step: before and after.
            expected: float32 [B, N, D], the mean action that goes with the state when it is valued as
                what an unfinished record leads to.
            choice: tensors [B, N, ...] to give back with those states that are to be learned from,
                among them ``learns``, bool [B, N]: whose choice counted.
        """
        if self._outcomes and bool((step.reset & ~self._outcomes[-1]["reset"]).any()):
            self.clear()
        self._states.append(_state(step, expected))
        self._choices.append({name: _at(step.active_index, part) for name, part in choice.items()})
        goes_on = next_step.alive | next_step.terminated
        self._outcomes.append(
            {
                "reward": next_step.reward.clone(),
                "terminated": next_step.terminated.clone(),
                "reset": next_step.reset.clone(),
                # Whoever is gone without having died left by a time limit of its own.
                "present": step.alive & goes_on & ~next_step.reset[:, None],
            }
        )

    def is_over(self) -> bool:
        """Whether every row has ended an episode and begun another, or the round is at its longest."""
        if not self._outcomes or len(self) >= self.max_steps:
            return bool(self._outcomes)
        return bool(torch.stack([outcome["reset"] for outcome in self._outcomes]).any(0).all())

    def finish(
        self, last: Step, expected: Tensor, value: Valuer, gamma: float
    ) -> dict[str, Tensor]:
        """Ends the round: the states to learn from, with their Monte-Carlo ``returns`` [M].

        Returns run to an agent's death, through steps in which its choice did not count. Where its
        record ends otherwise (a time limit, the end of the round) they take what ``value`` says of the
        state it had come to.

        Args:
            last: the step that the round led to.
            expected: float32 [B, N, D], as in `add`, for ``last``.
            value: a function from a dict of tensors, the observation by name ("obs" or "obs.view" and
                so on), ``seat`` int64 [M] (b N + j) and ``expected`` [M, D], to values float [M].
            gamma: discount.

        Returns:
            The observation by name, ``seat``, ``returns``, and what ``choice`` had but ``learns``.
        """
        outcomes = _stack(self._outcomes)
        present, terminated = outcomes["present"], outcomes["terminated"]
        ends = torch.cat([~present[1:], torch.ones_like(present[:1])])

        # States by when and whose they were, T + 1 times B N.
        sizes = [len(state["seat"]) for state in self._states]
        states = _cat([*self._states, _state(last, expected)])
        when = torch.arange(len(sizes) + 1, device=present.device).repeat_interleave(
            torch.tensor([*sizes, len(last.active_index)], device=present.device)
        )
        place = when * present[0].numel() + states["seat"]
        later = place - present[0].numel()  # the transition that led there
        leads_on = (ends & present & ~terminated).flatten()
        open_ends = ((later >= 0) & leads_on[later.clamp(min=0)]).nonzero()[:, 0]

        next_value = torch.zeros_like(outcomes["reward"])
        if len(open_ends):
            found = value({name: part[open_ends] for name, part in states.items()})
            next_value.view(-1)[later[open_ends]] = found.to(next_value)
        returns = monte_carlo_returns(outcomes["reward"], terminated, ends, next_value, gamma)

        choices = _cat(self._choices)
        learned = choices.pop("learns").nonzero()[:, 0]
        del states["expected"]
        batch = {name: part[learned] for name, part in (states | choices).items()}
        batch["returns"] = returns.view(-1)[place[learned]]
        self.clear()
        return batch

    def state_dict(self) -> dict[str, Any]:
        """The unfinished round."""
        return {"states": self._states, "choices": self._choices, "outcomes": self._outcomes}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Takes up a `state_dict`, on a device."""
        self._states, self._choices, self._outcomes = (
            [{key: part.to(device) for key, part in entry.items()} for entry in state[name]]
            for name in ("states", "choices", "outcomes")
        )


def _state(step: Step, expected: Tensor) -> dict[str, Tensor]:
    obs = named("obs", step.obs_at(step.active_index))
    return {**obs, "seat": step.active_index, "expected": _at(step.active_index, expected)}


def _at(index: Tensor, values: Tensor) -> Tensor:
    """Of [B, N, ...], those at the index: [S, ...], a copy."""
    return values.flatten(0, 1)[index]


def _stack(entries: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([entry[name] for entry in entries]) for name in entries[0]}


def _cat(entries: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([entry[name] for entry in entries]) for name in entries[0]}
