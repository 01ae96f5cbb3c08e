"""Memory of transitions that keeps what observations are drawn from, and draws them when sampled.

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
from mfq.mean_field import mean_action_at
from mfq.replay.ring import Replay, named
from mfq.replay.snapshots import SnapshotRing, integers

LARGE = 64  # numbers of an observation, from which on "auto" keeps what it is drawn from
ACTIONS = "_actions"  # no field of a snapshot: those of named tuples do not begin so
Moment = tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]
"""Who is there, bool [B, N], and what it tells of rows and of agents, by name."""
THINNING = 4  # moments with a few agents each that there is room for in the place of a full one


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

    A *moment* is the actions of a `Step` with a snapshot in place of the observations. A transition is
    a place (the agent, row and moment at which it began), a reward and whether the agent died; the next
    moment tells the rest. In battle a moment costs 13 bytes for each agent who is there, be it one's
    own or not, and a transition 9 more.

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
        self._moments: SnapshotRing | None = None  # from the first one on
        self._snapshot: Any = None  # the kind of named tuple that a snapshot is
        self._transitions: dict[str, Tensor] = {}  # place, reward, terminated [capacity], a ring
        self._oldest = 0  # the number of the oldest transition whose moments are still there
        self._began: list[int] = []  # [T]; the number of the first transition from each moment on
        self._present: Any = None  # tells the step that the last moment is of
        self._seen: Any = (None, None)  # tells the step that was seen, and its moment
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

    def record_snapshot(self, step: Step) -> None:
        """Notes the present moment, which `add` keeps: what leads to no transition takes up no room.

        To be called before the view moves on.
        """
        if self._present is not step.actions:
            self._seen = step.actions, self._moment(step)

    def add(self, step: Step, next_step: Step, learns: Tensor) -> None:
        """Adds the transitions from a step that was seen to the next, the present one.

        Args:
            learns: bool [B, N]; whose transitions.

        Raises:
            RuntimeError: if ``step`` was not seen.
            ValueError: if the environment restricts actions, or its graph has changed.
        """
        moments = self._begin(step)
        if next_step.action_mask is not None or next_step.graph is not self._graph:
            raise ValueError(
                "compact replay keeps neither masks nor graphs; allowed: replay='ring'"
            )
        index = learns.flatten().nonzero()[:, 0]
        self.added += len(index)
        # Of more than fits, only the last would survive.
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
        self._keep(next_step, self._moment(next_step))

    def sample(self, size: int) -> dict[str, Tensor]:
        """``size`` transitions, uniformly and with replacement: what `QAgent` stores in a `Replay`.

        Raises:
            ValueError: if there are none.
        """
        if self._moments is None or not len(self):
            raise ValueError("the replay is empty; allowed: sampling after the first add")
        draw = torch.randint(len(self), (size,), generator=self.generator, device=self.view.device)
        index = (draw + self._oldest) % self.capacity
        drawn = {name: values[index] for name, values in self._transitions.items()}
        place = drawn["place"].long()
        agent = place % self.view.num_agents
        before = place // self.view.num_agents  # slot times rows plus row
        after = (before + self.view.num_envs) % (self._moments.length * self.view.num_envs)
        told = self._moments.at(torch.cat([before, after]))

        acted_before, acted = (told.pop(ACTIONS).long() - 1).split(size)
        mean = self._mean(acted, agent)  # also what acting next knows
        batch = {
            "agent": agent,
            "action": acted.gather(1, agent[:, None])[:, 0],
            "reward": drawn["reward"],
            "mean": self._mean(acted_before, agent) if self.pairing == "previous" else mean,
        }
        if not self.bootstraps:
            return batch | named("obs", self._observed(told, agent))
        both = self._observed(told, torch.cat([agent, agent]))
        for name, values in named("", both).items():
            batch[f"obs{name}"], batch[f"next_obs{name}"] = values.split(size)
        return batch | {"next_mean": mean, "terminated": drawn["terminated"]}

    def state_dict(self) -> dict[str, Any]:
        """Everything, transitions included."""
        return {
            "added": self.added,
            "oldest": self._oldest,
            "moments": self._moments and self._moments.state_dict(),
            "began": torch.tensor(self._began),
            "transitions": {name: part[: self.added] for name, part in self._transitions.items()},
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a `state_dict` of a replay of the same capacity and view.

        Raises:
            ValueError: if it does not fit.
        """
        if state.keys() != (known := self.state_dict().keys()):
            raise ValueError(f"the replay has {', '.join(state)}; allowed: {', '.join(known)}")
        size = min(state["added"], self.capacity)
        for name, part in state["transitions"].items():
            if len(part) != size:
                raise ValueError(f"{name} has {len(part)} transitions; allowed: {size}")
        world = self.view.num_envs, self.view.num_agents, self.view.device
        moments = None if state["moments"] is None else SnapshotRing.of(state["moments"], *world)
        self._moments = None
        if moments is not None:
            self._allocate(moments)
            self._began = state["began"].tolist()
            for name, part in self._transitions.items():
                part[:size] = state["transitions"][name]
        self.added, self._oldest = state["added"], state["oldest"]
        self._unsure, self._present, self._seen = True, None, (None, None)
        load_generator_state(self.generator, state["generator"])

    # -- its parts ------------------------------------------------------------------------------

    def _begin(self, step: Step) -> SnapshotRing:
        """The moments, of which the last is now that of a step which was seen."""
        (seen, moment), self._seen = self._seen, (None, None)
        moments = self._moments
        if moments is not None and self._present is step.actions:
            return moments
        if seen is not step.actions:
            raise RuntimeError("a transition from a step that was not seen; allowed: see, then add")
        if moments is not None and self._unsure and self._is_last(moments, moment):
            self._present, self._unsure = step.actions, False
            return moments
        return self._keep(step, moment)

    def _keep(self, step: Step, moment: Moment) -> SnapshotRing:
        """Writes the moment of a step over the oldest one."""
        moments = self._moments or self._allocate(self._room_for(step))
        moments.append(*moment)
        self._began[moments.slot] = self.added
        # What began at a moment that has gone is gone, too.
        self._oldest = max(self._oldest, self._began[moments.oldest % moments.length])
        self._present, self._unsure = step.actions, False
        return moments

    def _room_for(self, step: Step) -> SnapshotRing:
        """Room for moments like this one with as many transitions as are to be kept."""
        rows, agents = step.alive.shape
        mine = step.alive if step.mine is None else step.alive & step.mine
        length = -(-self.capacity // max(int(mine.sum()), 1)) + 2
        room = length * rows * agents
        if self.view.agent_fields:
            length *= THINNING
        return SnapshotRing(length, room, rows, agents, self.view.device)

    def _allocate(self, moments: SnapshotRing) -> SnapshotRing:
        self._moments, self._began = moments, [0] * moments.length
        places = moments.length * self.view.num_envs * self.view.num_agents
        kind = torch.int32 if places < 2**31 else torch.int64
        kinds = {"place": kind, "reward": torch.float32, "terminated": torch.bool}
        self._transitions = {
            name: torch.zeros(self.capacity, dtype=dtype, device=self.view.device)
            for name, dtype in kinds.items()
        }
        return moments

    def _moment(self, step: Step) -> Moment:
        """The present one."""
        snapshot = self.view.snapshot()
        self._snapshot = type(snapshot)
        rows = snapshot._asdict()
        agents = {name: rows.pop(name) for name in self.view.agent_fields}
        # One more, so that 0 is no action: those who are not there have none.
        agents[ACTIONS] = (step.actions + 1).to(integers(self.view.num_actions))
        return step.alive | step.terminated | (step.actions >= 0), rows, agents

    def _mean(self, actions: Tensor, agent: Tensor) -> Tensor:
        if not self.mean_field:
            return torch.zeros((len(agent), 0), device=agent.device)
        return mean_action_at(self._graph, actions, agent, self.view.num_actions)

    def _observed(self, told: dict[str, Tensor], agents: Tensor) -> Any:
        """What agents [K] observe, the k-th in the k-th of the rows told of."""
        kind = self._snapshot or type(self.view.snapshot())
        snapshot = kind(*(told[name] for name in kind._fields))
        return self.view.observe(snapshot, torch.arange(len(agents), device=agents.device), agents)

    def _is_last(self, moments: SnapshotRing, moment: Moment) -> bool:
        """Whether a moment is the last of those kept."""
        present, rows, agents = moment
        for part in agents.values():
            part[~present] = 0
        last = moments.last()
        return all(torch.equal(part, last[name]) for name, part in (rows | agents).items())
