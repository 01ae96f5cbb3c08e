"""Tabular mean-field Q-learning (Yang et al. 2018, Eq. 8), for finite games.

One class implements MFQ and independent Q-learning (IQL). With ``mean_field`` the table has a cell for
each possible mean action, without it has one cell for all.

Legend: B rows, N agents, A actions, S states, M cells of mean action.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from mfenvs.validate import of_kind
from mfq.agents.base import Agent
from mfq.agents.hearing import Hearing, make_mean_field
from mfq.common.generators import load_generator_state, seeded
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.mean_field import MeanField, iterate
from mfq.policy import Boltzmann, Greedy, Policy
from mfq.values import mean_field_value, td_target

MAX_ENTRIES = 2**28


class TabularQ(Agent):
    """One table for each agent of each row, Q[s, abar, a], all updated at once.

    The update, for agents that chose an action (Eq. 8):

        Q(s, a, abar) <- Q(s, a, abar) + alpha (r + gamma v^MF(s') - Q(s, a, abar))

    with v^MF(s') = sum_a pi(a | s', abar') Q(s', a, abar'), and abar' the mean action that acting in s'
    would use.

    Mean actions are rounded to multiples of 1/K, with K the graph's largest number of neighbours. This
    is exact if K is a multiple of the number of an agent's live neighbours. Agents without a neighbour
    that has an action use a separate cell.

    Args:
        view: the view to play; gives the sizes.
        mean_field: True is MFQ, False is IQL.
        policy: the policy while exploring, and pi in v^MF.
        learning_rate: alpha in (0, 1], or "visits" for 1 / (visits of the entry).
        gamma: discount in [0, 1].
        pairing: "current" fits Q(s_t, a_t, abar_t), as in the paper; "previous" fits
            Q(s_t, a_t, abar_{t-1}), as in the authors' code. Acting uses abar_{t-1} in both.
        iterations: iterations of Eqs. 6 and 11, starting from abar_{t-1}, before acting; 0 for none.
        num_states: S, the number of states; None: that of a Discrete observation space, else 1.
        state_of: a function from obs to int64 [B, N] in [0, num_states); None: a Discrete observation,
            else 0. Must be given together with ``num_states``.
        seed: seed of the draws.

    Attributes:
        table: float32 [B, N, S, M, A].
        visits: int64 [B, N, S, M, A]; the number of updates of each entry.

    Raises:
        ValueError: for an argument out of range, or a table that would be too large.
    """

    def __init__(
        self,
        view: View,
        mean_field: bool = True,
        policy: Policy | None = None,
        learning_rate: float | str = 0.1,
        gamma: float = 0.95,
        pairing: str = "current",
        iterations: int = 0,
        num_states: int | None = None,
        state_of: Callable[[Any], Tensor] | None = None,
        seed: int = 0,
    ) -> None:
        if learning_rate != "visits" and not (
            isinstance(learning_rate, float | int) and 0 < learning_rate <= 1
        ):
            raise ValueError(f"learning_rate={learning_rate!r}; allowed: (0, 1], or 'visits'")
        if not 0 <= gamma <= 1:
            raise ValueError(f"gamma={gamma!r}; allowed: 0 to 1")
        if iterations < 0:
            raise ValueError(f"iterations={iterations!r}; allowed: 0 or more")
        if iterations and pairing == "previous":
            raise ValueError(
                f"iterations={iterations!r} with pairing='previous'; allowed: 0, since the iterated "
                "mean action is redrawn each time"
            )
        if (num_states is None) != (state_of is None):
            raise ValueError("num_states and state_of: allowed: both or neither")
        of_kind("mean_field", mean_field, bool, "True or False, since a table counts actions")
        self.view = view
        self.hearing = Hearing(make_mean_field(view, mean_field, "mean_action", pairing))
        self.policy = policy if policy is not None else Boltzmann(1.0)
        self.learning_rate, self.gamma = learning_rate, gamma
        self.iterations = iterations
        self._state_of = state_of or _default_state_of(view.observation_space)
        states = num_states or _default_num_states(view.observation_space)

        self._levels = max(view.graph.max_degree, 1) if mean_field else 0
        cells = (self._levels + 1) ** (view.num_actions - 1) + 1 if mean_field else 1
        shape = (view.num_envs, view.num_agents, states, cells, view.num_actions)
        entries = torch.Size(shape).numel()
        if entries > MAX_ENTRIES:
            raise ValueError(
                f"the table would be {shape} with {entries} entries; allowed: {MAX_ENTRIES}. Use "
                "fewer rows, or a learner with a network"
            )
        self.table = torch.zeros(shape, device=view.device)
        self.visits = torch.zeros(shape, dtype=torch.int64, device=view.device)
        # Digits of a count vector in base K + 1; the count of action 0 follows from the others.
        digits = (self._levels + 1.0) ** torch.arange(
            view.num_actions, dtype=torch.float64, device="cpu"
        )
        digits = digits.roll(1)
        digits[0] = 0.0
        self._digits = digits.float().to(view.device)
        self._cells = cells
        self.generator = seeded(seed, view.device)
        self.time = 0

    # -- interface of agents ---------------------------------------------------------------------

    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Returns actions int64 [B, N]: drawn from the policy, or greedy without exploration."""
        policy = self.policy if explore else Greedy()
        q = self.values(step, self._expected_mean(step))
        actions = policy.sample(q, self.time, self.generator, step.action_mask)
        self.time += explore
        return actions

    def observe(self, step: Step, actions: Tensor, next_step: Step) -> None:
        """Updates the table with one step of all rows (Eq. 8)."""
        mean = self.mean_field.fitted(
            before=lambda: self._expected_mean(step), after=lambda: self.hearing(next_step)
        )
        entry = self._cell(step, mean) * self.view.num_actions + actions.clamp(min=0)
        target = td_target(
            next_step.reward, self._next_value(next_step), next_step.terminated, self.gamma
        )
        learns = step.learners(next_step)

        # Each agent of each row has a table, so that no entry is updated twice.
        entry = entry[..., None]
        visits = self.visits.flatten(2).gather(-1, entry) + learns[..., None]
        self.visits.flatten(2).scatter_(-1, entry, visits)
        if isinstance(self.learning_rate, str):
            rate: Tensor | float = 1.0 / visits.clamp(min=1)
        else:
            rate = self.learning_rate
        q = self.table.flatten(2).gather(-1, entry)
        q = q + rate * (target[..., None] - q) * learns[..., None]
        self.table.flatten(2).scatter_(-1, entry, q)

    def learn(self) -> dict[str, float]:
        """Does nothing, since `observe` learns; returns {}."""
        return {}

    def state_dict(self) -> dict[str, Tensor]:
        """Returns the complete state, as tensors."""
        return {
            "table": self.table,
            "visits": self.visits,
            "generator": self.generator.get_state(),
            "time": torch.tensor(self.time, device="cpu"),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Loads a `state_dict`.

        Raises:
            ValueError: if the table has another shape.
        """
        if state["table"].shape != self.table.shape:
            raise ValueError(
                f"table has shape {tuple(state['table'].shape)}; allowed: {tuple(self.table.shape)}"
            )
        self.table.copy_(state["table"])
        self.visits.copy_(state["visits"])
        load_generator_state(self.generator, state["generator"])
        self.time = int(state["time"])

    @property
    def mean_field(self) -> MeanField:
        """What it hears of its neighbours."""
        return self.hearing.field

    @property
    def generators(self) -> Sequence[torch.Generator]:
        return (self.generator,)

    # -- implementation -------------------------------------------------------------------------

    def values(self, step: Step, mean: Tensor) -> Tensor:
        """Returns Q(s, ., abar) of every agent: float32 [B, N, A]."""
        if step.actions.shape != self.table.shape[:2]:
            raise ValueError(
                f"step is of {tuple(step.actions.shape)} rows and agents; allowed: "
                f"{tuple(self.table.shape[:2])}, as the table"
            )
        cell = self._cell(step, mean)[..., None, None]
        rows = self.table.flatten(2, 3)
        return rows.gather(2, cell.expand(*cell.shape[:-1], self.view.num_actions))[:, :, 0]

    def _next_value(self, step: Step) -> Tensor:
        if self.gamma == 0:
            return torch.zeros_like(step.reward)
        q = self.values(step, self._expected_mean(step))
        return mean_field_value(q, self.policy.probabilities(q, self.time, step.action_mask))

    def _expected_mean(self, step: Step) -> Tensor:
        """Returns the abar that acting in this step uses."""
        heard = self.hearing(step)
        if not self.mean_field.width:
            return heard
        return iterate(heard, self.iterations, step.graph, lambda mean: self._respond(step, mean))

    def _respond(self, step: Step, mean: Tensor) -> Tensor:
        q = self.values(step, mean)
        actions = self.policy.sample(q, self.time, self.generator, step.action_mask)
        return actions.where(step.alive, torch.full_like(actions, -1))

    def _cell(self, step: Step, mean: Tensor) -> Tensor:
        """Returns the index of each agent's (state, mean action) in S x M: int64 [B, N]."""
        cell = torch.zeros_like(step.actions)
        if self.mean_field.width:
            counts = ((mean * self._levels).round() @ self._digits).long()
            alone = mean.sum(-1) == 0
            cell = counts.masked_fill_(alone, self._cells - 1)
        state = self._state_of(step.obs)
        return cell if state is None else cell + state * self._cells


def _default_num_states(space: spaces.Space[Any]) -> int:
    return int(space.n) if isinstance(space, spaces.Discrete) else 1


def _default_state_of(space: spaces.Space[Any]) -> Callable[[Any], Tensor | None]:
    if isinstance(space, spaces.Discrete):
        start = int(space.start)
        return lambda obs: obs.long() - start
    return lambda obs: None
