"""Memory of transitions that keeps what observations are drawn from, and draws them when sampled.

Legend: B rows, N agents, A actions, M samples, T moments.
"""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from mfq.mean_field import mean_action_at
from mfq.replay import Replay, named
from mfq.view import Step, View

LARGE = 64  # numbers of an observation, from which on "auto" keeps what it is drawn from


def replay_for(
    view: View,
    kind: str,
    capacity: int,
    seed: int,
    pairing: str,
    mean_field: bool,
    bootstraps: bool,
) -> Replay | CompactReplay:
    """The memory of a learner.

    Args:
        view: what it plays.
        kind: "ring", "compact", or "auto": compact where that can be done and observations are large.
        capacity, seed, pairing, mean_field, bootstraps: see `CompactReplay`.

    Raises:
        ValueError: if "compact" is asked for and cannot be done.
    """
    reason = CompactReplay.refuses(view)
    if kind == "compact" and reason is not None:
        raise ValueError(f"replay='compact': {reason}; allowed: 'ring'")
    large = spaces.flatdim(view.observation_space) > LARGE
    if kind == "compact" or (kind == "auto" and reason is None and large):
        return CompactReplay(view, capacity, seed, pairing, mean_field, bootstraps)
    return Replay(capacity, view.device, seed)


class CompactReplay:
    """Transitions of one view, in memory of a few bytes an agent and moment.

    A *moment* is what a `Step` tells, with a snapshot in place of the observations. A transition is a
    place: the agent, row and moment at which it began; the next moment tells what came of it. So an
    agent's transition costs the moments' share (in battle 17 bytes for each agent of the row, be it
    one's own or not) and 4 bytes for the place.

    Which transitions are drawn depends on seed and number alone, as in `Replay`: both give the same.

    Args:
        view: one with snapshots and a fixed graph.
        capacity: transitions of those who learn that there is room for, at least while all of them live.
        seed: of the draws.
        pairing, mean_field: which mean actions go with a transition; see `QConfig`.
        bootstraps: whether samples tell of the next state at all.
    """

    def __init__(
        self,
        view: View,
        capacity: int,
        seed: int,
        pairing: str = "current",
        mean_field: bool = True,
        bootstraps: bool = True,
    ) -> None:
        if (reason := self.refuses(view)) is not None:
            raise ValueError(f"view: {reason}; allowed: a Replay")
        self.view, self.capacity = view, capacity
        self.pairing, self.mean_field, self.bootstraps = pairing, mean_field, bootstraps
        self.generator = torch.Generator(view.device).manual_seed(seed)
        self.added = 0  # transitions, of all time
        self._graph = view.graph
        self._moments = 0  # of all time
        self._fields: dict[str, Tensor] = {}  # [T, B, ...]
        self._snapshot: Any = None  # the kind of named tuple that fields "snapshot.*" make up
        self._places = torch.zeros(0)  # int [capacity], a ring
        self._oldest = 0  # the number of the oldest transition whose moments are still there
        self._began: list[int] = []  # [T]; the number of the first transition from each moment on
        self._present: Any = None  # tells the step that the last moment is of
        self._unsure = False  # whether the last moment was loaded

    @staticmethod
    def refuses(view: View) -> str | None:
        """Why a view cannot be kept in this way; None if it can."""
        if not view.has_snapshots:
            return "the environment has no snapshots to draw observations from"
        if not view.graph.fixed:
            return "the neighbour graph moves, so that mean actions could not be told later"
        return None

    def __len__(self) -> int:
        return self.added - self._oldest

    def see(self, step: Step) -> None:
        """Keeps the present moment, unless the last one is it. To be called before the view moves on."""
        if self._present is step.actions:
            return
        if self._unsure and self._is_last(self.view.snapshot()):
            self._present, self._unsure = step.actions, False
            return
        self._keep(step)

    def add(self, step: Step, next_step: Step, learns: Tensor) -> None:
        """Adds the transitions from a step that was seen to the next, the present one.

        Args:
            learns: bool [B, N]; whose transitions.

        Raises:
            RuntimeError: if ``step`` was not seen.
            ValueError: if the environment restricts actions, or its graph has changed.
        """
        if self._present is not step.actions:
            raise RuntimeError("a transition from a step that was not seen; allowed: see, then add")
        if next_step.action_mask is not None or next_step.graph is not self._graph:
            raise ValueError(
                "compact replay keeps neither masks nor graphs; allowed: replay='ring'"
            )
        slot = (self._moments - 1) % len(self._began)
        places = learns.flatten().nonzero()[:, 0] + slot * learns.numel()
        self.added += len(places)
        # Of more than fits, only the last would survive.
        places = places[-self.capacity :].to(self._places.dtype)
        ring = torch.arange(self.added - len(places), self.added, device=places.device)
        self._places[ring % self.capacity] = places
        self._oldest = max(self._oldest, self.added - self.capacity)
        self._keep(next_step)

    def sample(self, size: int) -> dict[str, Tensor]:
        """``size`` transitions, uniformly and with replacement: what `QAgent` stores in a `Replay`.

        Raises:
            ValueError: if there are none.
        """
        if not len(self):
            raise ValueError("the replay is empty; allowed: sampling after the first add")
        draw = torch.randint(len(self), (size,), generator=self.generator, device=self.view.device)
        place = self._places[(draw + self._oldest) % self.capacity].long()
        agent = place % self.view.num_agents
        before = place // self.view.num_agents  # moment times rows plus row
        after = (before + self.view.num_envs) % (len(self._began) * self.view.num_envs)

        actions = self._at("actions", after).long()
        batch = {
            "agent": agent,
            "action": actions.gather(1, agent[:, None])[:, 0],
            "reward": self._at("reward", after).gather(1, agent[:, None])[:, 0],
            "mean": self._mean(actions, agent),
        }
        next_mean = batch["mean"]  # what acting next knows: the actions now
        if self.pairing == "previous":
            batch["mean"] = self._mean(self._at("actions", before).long(), agent)
        if not self.bootstraps:
            return batch | self._observed("obs", before, agent)
        batch["next_mean"] = next_mean
        batch["terminated"] = self._at("terminated", after).gather(1, agent[:, None])[:, 0]
        both = self._observed("", torch.cat([before, after]), torch.cat([agent, agent]))
        for name, values in both.items():
            batch[f"obs{name}"], batch[f"next_obs{name}"] = values[:size], values[size:]
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Everything, transitions included."""
        return {
            "added": self.added,
            "oldest": self._oldest,
            "moments": self._moments,
            "began": torch.tensor(self._began),
            "places": self._places[: self.added],
            "fields": {name: part[: self._moments] for name, part in self._fields.items()},
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a `state_dict` of a replay of the same capacity and view.

        Raises:
            ValueError: if it does not fit.
        """
        if state["fields"]:
            self._allocate(
                {name: part[0] for name, part in state["fields"].items()}, state["began"]
            )
            for name, part in state["fields"].items():
                self._fields[name][: len(part)] = part
            self._places[: len(state["places"])] = state["places"]
        self.added, self._oldest = state["added"], state["oldest"]
        self._moments, self._unsure, self._present = state["moments"], True, None
        self.generator.set_state(state["generator"])

    # -- its parts ------------------------------------------------------------------------------

    def _keep(self, step: Step) -> None:
        """Writes the present moment over the oldest one."""
        snapshot = self.view.snapshot()
        small = torch.int8 if self.view.num_actions <= 127 else torch.int16
        moment = {
            **{f"snapshot.{name}": part for name, part in snapshot._asdict().items()},
            "actions": step.actions.to(small),
            "reward": step.reward,
            "terminated": step.terminated,
        }
        if not self._fields:
            mine = step.alive if step.mine is None else step.alive & step.mine
            length = -(-self.capacity // max(int(mine.sum()), 1)) + 2
            self._allocate(moment, torch.zeros(length, dtype=torch.int64))
        length = len(self._began)
        slot = self._moments % length
        if self._moments >= length:  # what began at the moment that goes is gone, too
            self._oldest = max(self._oldest, self._began[(slot + 1) % length])
        self._began[slot] = self.added
        for name, values in moment.items():
            self._fields[name][slot] = values
        self._moments += 1
        self._present, self._unsure = step.actions, False

    def _allocate(self, moment: dict[str, Tensor], began: Tensor) -> None:
        device, length = self.view.device, len(began)
        self._began = began.tolist()
        self._fields = {
            name: torch.zeros((length, *values.shape), dtype=values.dtype, device=device)
            for name, values in moment.items()
        }
        places = length * self.view.num_envs * self.view.num_agents
        kind = torch.int32 if places < 2**31 else torch.int64
        self._places = torch.zeros(self.capacity, dtype=kind, device=device)

    def _at(self, name: str, rows: Tensor) -> Tensor:
        """A field at (moment, row) [M]: [M, N]."""
        return self._fields[name].flatten(0, 1)[rows]

    def _mean(self, actions: Tensor, agent: Tensor) -> Tensor:
        if not self.mean_field:
            return torch.zeros((len(agent), 0), device=agent.device)
        return mean_action_at(self._graph, actions, agent, self.view.num_actions)

    def _observed(self, name: str, rows: Tensor, agents: Tensor) -> dict[str, Tensor]:
        if self._snapshot is None:
            self._snapshot = type(self.view.snapshot())
        parts = (self._fields[f"snapshot.{field}"] for field in self._snapshot._fields)
        snapshot = self._snapshot(*(part.flatten(0, 1) for part in parts))
        return named(name, self.view.observe(snapshot, rows, agents))

    def _is_last(self, snapshot: Any) -> bool:
        slot = (self._moments - 1) % len(self._began)
        return all(
            torch.equal(self._fields[f"snapshot.{name}"][slot], part)
            for name, part in snapshot._asdict().items()
        )
