"""A replay memory that stores snapshots, and computes observations from them when sampled.

A *moment* is the actions of a `Step` and a snapshot of the environment in place of its observations.

Legend: B rows, N agents, A actions, M samples, T slots for moments.
"""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from mfq.common.generators import load_generator_state
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.mean_field import MeanField, redraws_types
from mfq.replay.base import Fields, Replay, check_replay_fits, named
from mfq.replay.ring import RingReplay
from mfq.replay.snapshots import SnapshotRing, integers

LARGE = 64  # size of an observation above which "auto" stores snapshots
ACTIONS = "_actions"  # no name of a snapshot's field: those of named tuples have no leading _
Moment = tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]
"""Present agents bool [B, N]; the fields of rows [B, ...] and of agents [B, N, ...], by name."""
SLOTS_PER_FULL_MOMENT = 4  # more slots than full moments, for moments in which agents are dead


def replay_for(
    view: View,
    kind: str,
    capacity: int,
    seed: int,
    mean_field: MeanField,
    bootstraps: bool,
) -> Replay:
    """Returns the replay of a learner.

    Args:
        view: the view that the learner plays.
        kind: "ring", "compact", or "auto": compact if that is possible and observations are large.
        capacity, seed, mean_field, bootstraps: see `CompactReplay`.

    Raises:
        ValueError: if ``kind`` is "compact" and that is not possible.
    """
    reason = CompactReplay.refuses(view, mean_field)
    if kind == "compact" and reason is not None:
        raise ValueError(f"replay.kind='compact': {reason}; allowed: 'ring'")
    large = spaces.flatdim(view.observation_space) > LARGE
    if kind == "compact" or (kind == "auto" and reason is None and large):
        return CompactReplay(view, capacity, seed, mean_field, bootstraps)
    return RingReplay(capacity, view.device, seed)


class CompactReplay(Replay):
    """Transitions of one view, in a few bytes per agent and moment.

    A transition is stored as an index (of its moment, row and agent), a reward, and whether the agent
    died. The rest is computed from its moment and the next one. In battle a moment takes 13 bytes for
    each living agent, learner or not, and a transition 9 more.

    The samples depend only on the seed and on the number of transitions, as those of `RingReplay` do.

    Args:
        view: a view with snapshots and a fixed graph.
        capacity: the number of transitions. If agents die, the replay may hold fewer.
        seed: seed of the samples.
        mean_field: the agents' mean field, one with ``redraws``.
        bootstraps: if True, samples have the fields of the next state.
    """

    def __init__(
        self,
        view: View,
        capacity: int,
        seed: int,
        mean_field: MeanField,
        bootstraps: bool = True,
    ) -> None:
        if (reason := self.refuses(view, mean_field)) is not None:
            raise ValueError(f"view: {reason}; allowed: a RingReplay")
        self.view, self.capacity = view, capacity
        self.mean_field, self.bootstraps = mean_field, bootstraps
        self.generator = torch.Generator(view.device).manual_seed(seed)
        self.added = 0
        self._graph = view.graph
        self._moments: SnapshotRing | None = None  # allocated with the first moment
        self._snapshot_type: Any = None  # a named tuple
        self._transitions: dict[str, Tensor] = {}  # place, reward, terminated [capacity], a ring
        self._oldest = 0  # the number of the oldest transition with both moments in memory
        self._began: list[int] = []  # [T]; the number of the first transition since each moment
        self._last_number: int | None = None  # the step number of the last moment
        self._recorded: tuple[int | None, Any] = (None, None)  # a step's number, and its moment
        self._is_loaded = False  # whether the last moment was loaded, and has no step number yet

    @staticmethod
    def refuses(view: View, mean_field: MeanField) -> str | None:
        """Returns the reason why a compact replay is not possible; None if it is."""
        if not view.has_snapshots:
            return "the environment has no snapshots to draw observations from"
        if not view.graph.fixed:
            return "the neighbour graph moves, so that mean actions could not be redrawn"
        if not mean_field.redraws:
            return f"{type(mean_field).__name__} cannot be redrawn from stored actions"
        if view.mean_action_dim != view.num_actions and not redraws_types(mean_field):
            return f"{type(mean_field).__name__} cannot be redrawn from actions of several types"
        return None

    def __len__(self) -> int:
        return self.added - self._oldest

    def record_snapshot(self, step: Step) -> None:
        """Records the moment of a step. `add` stores it, so that a moment without transitions takes no
        memory."""
        if self._last_number != step.number:
            self._recorded = step.number, self._moment(step)

    def add(self, step: Step, next_step: Step, learns: Tensor, fields: Fields) -> None:
        """Adds transitions; see `Replay.add`.

        Raises:
            RuntimeError: if ``step`` was not recorded.
            ValueError: if the environment restricts actions, or its graph has changed.
        """
        moments = self._begin(step)
        if next_step.action_mask is not None or next_step.graph is not self._graph:
            raise ValueError(
                "compact replay stores neither masks nor graphs; allowed: replay.kind='ring'"
            )
        index = learns.flatten().nonzero()[:, 0]
        self.added += len(index)
        # If there are more than the ring holds, only the last ones are kept.
        index = index[-self.capacity :]
        ring = torch.arange(self.added - len(index), self.added, device=index.device)
        ring %= self.capacity
        transitions = {
            "place": index + moments.slot * learns.numel(),
            "reward": next_step.reward.flatten()[index],
            "terminated": next_step.terminated.flatten()[index],
        }
        for name, values in transitions.items():
            self._transitions[name][ring] = values.to(self._transitions[name].dtype)
        self._oldest = max(self._oldest, self.added - self.capacity)
        self._append(next_step, self._moment(next_step))

    def sample(self, size: int) -> dict[str, Tensor]:
        if self._moments is None or not len(self):
            raise ValueError("the replay is empty; allowed: sampling after the first add")
        draw = torch.randint(len(self), (size,), generator=self.generator, device=self.view.device)
        index = (draw + self._oldest) % self.capacity
        drawn = {name: values[index] for name, values in self._transitions.items()}
        place = drawn["place"].long()
        agent = place % self.view.num_agents
        before = place // self.view.num_agents  # slot * B + row
        after = (before + self.view.num_envs) % (self._moments.length * self.view.num_envs)
        moments = self._moments.at(torch.cat([before, after]))

        acted_before, acted = (moments.pop(ACTIONS).long() - 1).split(size)
        mean = self.mean_field.at(self._graph, acted, agent)  # abar_t, which acting at t + 1 uses
        batch = {
            "agent": agent,
            "action": acted.gather(1, agent[:, None])[:, 0] - self.view.first_action,
            "reward": drawn["reward"],
            "mean": self.mean_field.fitted(
                before=lambda: self.mean_field.at(self._graph, acted_before, agent),
                after=lambda: mean,
            ),
        }
        if not self.bootstraps:
            return batch | named("obs", self._observed(moments, agent))
        both = self._observed(moments, torch.cat([agent, agent]))
        for name, values in named("", both).items():
            batch[f"obs{name}"], batch[f"next_obs{name}"] = values.split(size)
        return batch | {"next_mean": mean, "terminated": drawn["terminated"]}

    def state_dict(self) -> dict[str, Any]:
        """Returns the complete state, transitions included."""
        return {
            "added": self.added,
            "oldest": self._oldest,
            "moments": self._moments and self._moments.state_dict(),
            "began": torch.tensor(self._began, device="cpu"),
            "transitions": {name: part[: self.added] for name, part in self._transitions.items()},
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict` of a replay of the same capacity and view.

        Raises:
            ValueError: if it does not fit.
        """
        if state.keys() != (expected := self.state_dict().keys()):
            raise ValueError(f"the replay has {', '.join(state)}; allowed: {', '.join(expected)}")
        size = min(state["added"], self.capacity)
        for name, part in state["transitions"].items():
            if len(part) != size:
                raise ValueError(f"{name} has {len(part)} transitions; allowed: {size}")
        sizes = self.view.num_envs, self.view.num_agents, self.view.device
        moments = None if state["moments"] is None else SnapshotRing.of(state["moments"], *sizes)
        self._moments = None
        if moments is not None:
            self._allocate(moments)
            self._began = state["began"].tolist()
            for name, part in self._transitions.items():
                part[:size] = state["transitions"][name]
        self.added, self._oldest = state["added"], state["oldest"]
        self._is_loaded, self._last_number, self._recorded = True, None, (None, None)
        load_generator_state(self.generator, state["generator"])

    # -- implementation -------------------------------------------------------------------------

    def _begin(self, step: Step) -> SnapshotRing:
        """Makes the recorded moment of a step the last one, and returns the moments."""
        (recorded, moment), self._recorded = self._recorded, (None, None)
        moments = self._moments
        if moments is not None and self._last_number == step.number:
            return moments
        if recorded != step.number:
            raise RuntimeError(
                "a transition from a step that was not recorded; allowed: record_snapshot, then add"
            )
        if moments is not None and self._is_loaded and self._is_last(moments, moment):
            self._last_number, self._is_loaded = step.number, False
            return moments
        return self._append(step, moment)

    def _append(self, step: Step, moment: Moment) -> SnapshotRing:
        """Appends the moment of a step, which may drop the oldest ones; returns the moments."""
        moments = self._moments or self._allocate(self._make_moments(step))
        moments.append(*moment)
        self._began[moments.slot] = self.added
        # Transitions of dropped moments are dropped, too.
        self._oldest = max(self._oldest, self._began[moments.oldest % moments.length])
        self._last_number, self._is_loaded = step.number, False
        return moments

    def _make_moments(self, step: Step) -> SnapshotRing:
        """Returns a ring large enough for ``capacity`` transitions, if each moment has as many as
        ``step``."""
        rows, agents = step.alive.shape
        mine = step.alive if step.mine is None else step.alive & step.mine
        length = -(-self.capacity // max(int(mine.sum()), 1)) + 2
        num_records = length * rows * agents
        if self.view.agent_fields:
            length *= SLOTS_PER_FULL_MOMENT
        return SnapshotRing(length, num_records, rows, agents, self.view.device)

    def _allocate(self, moments: SnapshotRing) -> SnapshotRing:
        self._moments, self._began = moments, [0] * moments.length
        places = moments.length * self.view.num_envs * self.view.num_agents
        index_type = torch.int32 if places < 2**31 else torch.int64
        dtypes = {"place": index_type, "reward": torch.float32, "terminated": torch.bool}
        size = sum(dtype.itemsize for dtype in dtypes.values())
        check_replay_fits(self.capacity, self.capacity * size, self.view.device)
        self._transitions = {
            name: torch.zeros(self.capacity, dtype=dtype, device=self.view.device)
            for name, dtype in dtypes.items()
        }
        return moments

    def _moment(self, step: Step) -> Moment:
        """Returns the moment of the view's latest step."""
        snapshot = self.view.snapshot()
        self._snapshot_type = type(snapshot)
        rows = snapshot._asdict()
        agents = {name: rows.pop(name) for name in self.view.agent_fields}
        # Plus 1, so that 0 means no action: the ring has zeros for absent agents.
        acted = step.actions if step.joint is None else step.joint
        agents[ACTIONS] = (acted + 1).to(integers(self.view.mean_action_dim))
        return step.alive | step.terminated | (acted >= 0), rows, agents

    def _observed(self, moments: dict[str, Tensor], agents: Tensor) -> Any:
        """Returns the observations of agents [K], the k-th in the k-th row of the moments."""
        snapshot_type = self._snapshot_type or type(self.view.snapshot())
        # Older replays lack fields that are empty in their games.
        empty = torch.zeros((len(agents), 0), dtype=torch.int32, device=agents.device)
        snapshot = snapshot_type(*(moments.get(name, empty) for name in snapshot_type._fields))
        return self.view.observe(snapshot, torch.arange(len(agents), device=agents.device), agents)

    def _is_last(self, moments: SnapshotRing, moment: Moment) -> bool:
        """Whether a moment equals the last one in memory."""
        present, rows, agents = moment
        for part in agents.values():
            part[~present] = 0
        last = moments.last()
        return all(torch.equal(part, last[name]) for name, part in (rows | agents).items())
