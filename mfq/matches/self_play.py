"""Self-play: past copies of a learner as its opponents, made by ``learner.player()``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mfq.agents.base import Agent, Player, check_agent
from mfq.common.generators import seeded
from mfq.envs.step import Step


def copy_of(learner: Agent, seed: int) -> Player:
    """Returns a copy of the learner that plays as it does now, with freshly seeded generators.

    Raises:
        TypeError: if it is not an agent, or cannot be copied.
    """
    check_agent("learner", learner)
    player = learner.player()
    player.reseed(seed)
    return player


class Lagged(Player):
    """A copy that moves towards the learner when it is beaten (the self-play of the authors' code).

    After each episode in which the learner's side earned more than the copy's, the copy's weights w
    become (1 - rate) w + rate w_learner. Episodes that end in the same step count one after the other.
    The rest of its state (schedules) is that of the learner at the end of the last episode.

    Args:
        learner: the agent to copy.
        rate: above 0, up to 1. The authors use 0.99, nearly a full copy after each lost episode.
        every: if above 0, the weights are instead copied completely after every so many episodes,
            whoever wins.
        seed: seed of the copy's generators.

    Raises:
        ValueError: for a rate or a number out of range.
    """

    def __init__(self, learner: Agent, rate: float = 0.99, every: int = 0, seed: int = 0) -> None:
        if not 0 < rate <= 1:
            raise ValueError(f"rate={rate!r}; allowed: above 0, up to 1")
        if every < 0:
            raise ValueError(f"every={every!r}; allowed: 0 or more")
        self.learner, self.rate, self.every, self.episodes = learner, rate, every, 0
        self.player = copy_of(learner, seed)

    def act(self, step: Step, explore: bool = True) -> Tensor:
        return self.player.act(step, explore)

    def on_episodes_end(self, ended: int, beaten: int) -> None:
        before, self.episodes = self.episodes, self.episodes + ended
        if self.every:
            share = float(self.episodes // self.every > before // self.every)
        else:
            share = 1 - (1 - self.rate) ** beaten
        if ended:
            self._move(share)

    def _move(self, share: float) -> None:
        old, self.player = self.player, self.learner.player()
        for before, now in zip(old.parts, self.player.parts, strict=True):
            for source, target in zip(before.generators, now.generators, strict=True):
                target.set_state(source.get_state())
            if before.module is None or now.module is None:
                continue
            weights = before.module.state_dict()
            with torch.no_grad():
                for name, values in now.module.state_dict().items():
                    if values.is_floating_point():
                        values.lerp_(weights[name], 1 - share)

    @property
    def parts(self) -> Sequence[Player]:
        return self.player.parts

    def reseed(self, seed: int) -> None:
        self.player.reseed(seed)

    def state_dict(self) -> dict[str, Any]:
        return {"player": self.player.state_dict(), "episodes": self.episodes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.player = self.learner.player()
        self.player.load_state_dict(state["player"])
        self.episodes = state["episodes"]


class Pool(Player):
    """Past copies of the learner. Each row plays an episode against a randomly drawn one.

    The pool starts with one copy of the learner.

    Args:
        learner: the agent to copy.
        size: the largest number of copies, at least 1. A new copy then replaces the oldest one, also in
            rows that are in the middle of an episode.
        every: the number of episodes after which a copy is added, at least 1.
        seed: seed of the draws, and of the copies' generators.

    Raises:
        ValueError: for a number out of range.
    """

    def __init__(self, learner: Agent, size: int = 8, every: int = 100, seed: int = 0) -> None:
        for name, value in (("size", size), ("every", every)):
            if value < 1:
                raise ValueError(f"{name}={value!r}; allowed: at least 1")
        self.learner, self.size, self.every, self.seed = learner, size, every, seed
        self.members: list[Player] = []
        self.episodes = self.added = 0
        self.generator = seeded(seed)
        self.against = torch.zeros(0, dtype=torch.int64, device="cpu")  # [B] after the first step
        self._add()

    def act(self, step: Step, explore: bool = True) -> Tensor:
        rows = len(step.reset)
        drawn = torch.randint(len(self.members), (rows,), generator=self.generator, device="cpu")
        if len(self.against) != rows:
            self.against = drawn
        self.against = drawn.where(step.reset.cpu(), self.against)
        actions = torch.full_like(step.actions, -1)
        for k, member in enumerate(self.members):
            mine = (self.against == k).to(actions.device)[:, None].expand_as(actions)
            if step.mine is not None:
                mine = mine & step.mine
            actions = member.act(step.for_player(mine), explore).where(mine, actions)
        return actions

    def on_episodes_end(self, ended: int, beaten: int) -> None:
        before, self.episodes = self.episodes, self.episodes + ended
        if self.episodes // self.every > before // self.every:
            self._add()

    def _add(self) -> None:
        oldest = self.added % self.size
        self.members[oldest : oldest + 1] = [copy_of(self.learner, self.seed + 1 + self.added)]
        self.added += 1

    def state_dict(self) -> dict[str, Any]:
        return {
            "members": [member.state_dict() for member in self.members],
            "episodes": self.episodes,
            "added": self.added,
            "generator": self.generator.get_state(),
            "against": self.against,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.members = [self.learner.player() for _ in state["members"]]
        for member, saved in zip(self.members, state["members"], strict=True):
            member.load_state_dict(saved)
        self.episodes, self.added = state["episodes"], state["added"]
        self.generator.set_state(state["generator"])
        self.against = state["against"].cpu()

    @property
    def generators(self) -> Sequence[torch.Generator]:
        parts = [part for member in self.members for part in member.parts]
        return [self.generator, *(generator for part in parts for generator in part.generators)]

    def acting_state(self) -> dict[str, Any]:
        parts = [part for member in self.members for part in member.parts]
        return {
            **super().acting_state(),
            "members": [part.acting_state() for part in parts],
            "against": self.against,
        }

    def load_acting_state(self, state: dict[str, Any]) -> None:
        super().load_acting_state(state)
        parts = [part for member in self.members for part in member.parts]
        for part, saved in zip(parts, state["members"], strict=True):
            part.load_acting_state(saved)
        self.against = state["against"]
