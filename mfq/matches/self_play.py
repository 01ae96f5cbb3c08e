"""Past selves of a learner as its opponents.

They are made by the learner's ``player()``: a copy that only plays, whose ``module`` holds its weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mfq.agents.base import Player, parts_of, reseed, restore, state_of
from mfq.envs.step import Step


class Copy(Player, Protocol):
    """A learner as it was, to play only; with a ``generator`` of its own, where it draws."""

    module: nn.Module


class Copied(Protocol):
    """A learner that can be copied."""

    def player(self) -> Copy:
        """A copy of what its play depends on, as of now."""


def copy_of(learner: Copied, seed: int) -> Copy:
    """The learner as it is, with fresh coins.

    Raises:
        TypeError: if it cannot be copied.
    """
    if not hasattr(learner, "player"):
        kind = type(learner).__name__
        raise TypeError(f"learner is a {kind}; allowed: one that can be copied, by player()")
    player = learner.player()
    reseed(player, seed)
    return player


class Follower(ABC):
    """An opponent made of what a learner was."""

    @abstractmethod
    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Actions int64 [B, N]; only those of ``step.mine`` count."""

    @abstractmethod
    def on_episodes_end(self, ended: int, beaten: int) -> None:
        """Takes note of episodes against it that have ended now.

        Args:
            ended: how many, at least 0.
            beaten: in how many of them the others earned more than it did, all rewards summed.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that its play depends on."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a `state_dict`."""


class Lagged(Follower):
    """A copy that follows the learner once it is beaten (the self-play of the authors' code).

    After each episode in which the learner's side earned more than the copy's, the copy's weights become
    (1 - rate) of its own plus rate of the learner's. Episodes that end together count one after the
    other. What else its play depends on (schedules) is the learner's, as of the last episode's end.

    Args:
        learner: whom it follows.
        rate: above 0, up to 1. The authors' is 0.99: nearly a copy, after each episode won.
        every: if above 0, the weights are copied whole after every so many episodes instead, whoever
            won.
        seed: of its own generator.

    Raises:
        ValueError: for a rate or a number out of range.
    """

    def __init__(self, learner: Copied, rate: float = 0.99, every: int = 0, seed: int = 0) -> None:
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
        for before, now in zip(parts_of(old), parts_of(self.player), strict=True):
            if (generator := getattr(before, "generator", None)) is not None:
                now.generator.set_state(generator.get_state())
            own = before.module.state_dict()
            with torch.no_grad():
                for name, values in now.module.state_dict().items():
                    if values.is_floating_point():
                        values.lerp_(own[name], 1 - share)

    def state_dict(self) -> dict[str, Any]:
        return {"player": state_of(self.player), "episodes": self.episodes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.player = self.learner.player()
        restore(self.player, state["player"])
        self.episodes = state["episodes"]


class Pool(Follower):
    """Past selves of the learner; each row plays against one drawn anew with each of its episodes.

    At first the pool holds one, the learner as it is.

    Args:
        learner: whom it follows.
        size: how many selves are kept, at least 1; when there are more, the newest takes the place of
            the oldest, also in rows that are in the middle of an episode against it.
        every: after how many episodes a self is added, at least 1.
        seed: of the draws, and of the selves' own generators.

    Raises:
        ValueError: for a number out of range.
    """

    def __init__(self, learner: Copied, size: int = 8, every: int = 100, seed: int = 0) -> None:
        for name, value in (("size", size), ("every", every)):
            if value < 1:
                raise ValueError(f"{name}={value!r}; allowed: at least 1")
        self.learner, self.size, self.every, self.seed = learner, size, every, seed
        self.members: list[Copy] = []
        self.episodes = self.added = 0
        self.generator = torch.Generator().manual_seed(seed)
        self.against = torch.zeros(0, dtype=torch.int64)  # [B], by row, once it has played
        self._add()

    def act(self, step: Step, explore: bool = True) -> Tensor:
        rows = len(step.reset)
        drawn = torch.randint(len(self.members), (rows,), generator=self.generator)
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
            "members": [state_of(member) for member in self.members],
            "episodes": self.episodes,
            "added": self.added,
            "generator": self.generator.get_state(),
            "against": self.against,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.members = [self.learner.player() for _ in state["members"]]
        for member, saved in zip(self.members, state["members"], strict=True):
            restore(member, saved)
        self.episodes, self.added = state["episodes"], state["added"]
        self.generator.set_state(state["generator"])
        self.against = state["against"].cpu()
