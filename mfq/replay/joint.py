"""A replay memory of whole rows: the observations and actions of all agents at once.

Legend: B rows, N agents, A actions, M samples.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mfq.common.generators import load_generator_state
from mfq.envs.step import Step
from mfq.replay.base import Fields, Replay, named
from mfq.replay.ring import RingReplay


class JointReplay(Replay):
    """Transitions of single agents, with what all agents of the row observed and did.

    A row of a step is stored once, however many of its agents learn from it.

    Args:
        capacity: the number of transitions; their rows are ``capacity`` / N, at least 1.
        agents: bool [N], the agents with actions.
        seed: seed of the samples.
        bootstraps: if True, samples have the fields of the next state.
    """

    def __init__(self, capacity: int, agents: Tensor, seed: int, bootstraps: bool = True) -> None:
        self.agents, self.bootstraps = agents, bootstraps
        self._ring = RingReplay(max(capacity // len(agents), 1), agents.device, seed)
        self.generator = self._ring.generator
        self.added = 0
        # The number of transitions in the rows up to each place of the ring, int64 [capacity].
        self._learners = torch.zeros(self._ring.capacity, dtype=torch.int64, device=agents.device)

    def __len__(self) -> int:
        return int(self._learners.sum())

    def add(self, step: Step, next_step: Step, learns: Tensor, fields: Fields) -> None:
        """Adds the rows with agents to learn from; see `Replay.add`. ``fields`` is not called."""
        joint = {
            "action": next_step.actions.where(self.agents, -1),
            "reward": next_step.reward,
            "learns": learns,
            **named("obs", step.obs),
        }
        if step.action_mask is not None:
            joint["mask"] = step.action_mask
        if self.bootstraps:
            joint["terminated"] = next_step.terminated
            joint["acts_next"] = next_step.alive & self.agents
            joint |= named("next_obs", next_step.obs)
            if next_step.action_mask is not None:
                joint["next_mask"] = next_step.action_mask
        rows = learns.any(1)
        kept = {name: part[rows] for name, part in joint.items()}
        capacity, counts = self._ring.capacity, kept["learns"].sum(1)
        place = torch.arange(len(counts), device=counts.device) + self._ring.added
        self._learners[(place % capacity)[-capacity:]] = counts[-capacity:]
        self._ring.extend(kept)
        self.added += int(counts.sum())

    def sample(self, size: int) -> dict[str, Tensor]:
        """Returns ``size`` transitions, drawn uniformly with replacement: tensors [M, ...] by name.

        Beside the fields of the agent ("agent", "action", "reward", "obs", and "mask" if actions are
        masked) they have those of all agents of its row: "all_action" int64 [M, N], -1 for none; and
        "all_obs" [M, N, ...]. Of the next state they have "terminated" [M]; "all_next_obs" [M, N, ...];
        "acts_next" bool [M, N], the agents that choose an action in it; and "all_next_mask".

        Raises:
            ValueError: if the replay is empty.
        """
        until = self._learners.cumsum(0)
        total = int(until[-1])
        if not total:
            raise ValueError("the replay is empty; allowed: sampling after the first add")
        device = until.device
        drawn = torch.randint(total, (size,), generator=self.generator, device=device)
        row = torch.searchsorted(until, drawn, right=True)
        joint = self._ring.at(row)
        # The agent that is the k-th of those to learn from in its row.
        k = drawn - (until - self._learners)[row]
        agent = (joint["learns"].cumsum(1) == (k + 1)[:, None]).int().argmax(1)
        index = torch.arange(size, device=device), agent
        batch = {"agent": agent}
        for name, part in joint.items():
            if name in ("action", "reward", "terminated", "mask") or is_part("obs", name):
                batch[name] = part[index]
        for name, part in joint.items():
            if name in ("action", "next_mask") or is_part("obs", name) or is_part("next_obs", name):
                batch[f"all_{name}"] = part
        if "acts_next" in joint:
            batch["acts_next"] = joint["acts_next"]
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Returns the complete state, transitions included."""
        return {**self._ring.state_dict(), "transitions": self.added}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict`; raises ValueError if it does not fit."""
        rows = {name: part for name, part in state.items() if name != "transitions"}
        self._ring.load_state_dict(rows)
        self._learners.zero_()
        if rows["fields"]:
            counts = rows["fields"]["learns"].sum(1)
            self._learners[: len(counts)] = counts.to(self._learners)
        self.added = state["transitions"]
        load_generator_state(self.generator, state["generator"])


def is_part(name: str, field: str) -> bool:
    """Whether a field is an observation called ``name``, or a part of it; see `named`."""
    return field == name or field.startswith(f"{name}.")
