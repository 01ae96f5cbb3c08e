"""Which player plays which agents: opponents, self-play, and mixtures of these over rows.

Legend: B rows, N agents, P players.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mfq.agents.base import Agent, Player, reseed, restore, state_of
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.matches.players import load_player
from mfq.matches.self_play import Follower, Lagged, Pool


class Teams:
    """Several players, each of the agents assigned to it, together one `Agent`.

    Learners learn; the others only play, and those that follow a learner (`Lagged`, `Pool`) are told
    when episodes end. Any agents may be assigned to a player; it gets one step, with them in ``mine``.

    Args:
        view: what is played.
        players: by name, at least one. Several names of one object are one player, under the first.
        assignment: int64 [B, N]; who plays each agent of each row, as a place in ``players``.
        learners: the names of those that learn; they must be `Agent`s.

    Attributes:
        players: by name.
        learners: those of them that learn.
        assignment: int64 [B, N].

    Raises:
        ValueError, TypeError: for an assignment that does not fit, or a learner that cannot learn.
    """

    def __init__(
        self,
        view: View,
        players: Mapping[str, Player],
        assignment: Tensor,
        learners: Iterable[str] = (),
    ) -> None:
        shape = (view.num_envs, view.num_agents)
        if assignment.dtype != torch.int64 or tuple(assignment.shape) != shape:
            raise ValueError(
                f"assignment is {assignment.dtype} {tuple(assignment.shape)}; allowed: "
                f"torch.int64 {shape}"
            )
        if not players or not 0 <= int(assignment.min()) <= int(assignment.max()) < len(players):
            raise ValueError(
                f"assignment ranges from {int(assignment.min())} to {int(assignment.max())}; "
                f"allowed: places in players, which are {len(players)}"
            )
        names = list(learners)
        for name in names:
            if name not in players:
                raise ValueError(f"learner {name!r}; allowed: {', '.join(players)}")
            if not hasattr(players[name], "learn"):
                kind = type(players[name]).__name__
                raise TypeError(f"learner {name!r} is a {kind}; allowed: an Agent")
        self.players: dict[str, Player] = {}
        places = []
        for name, player in players.items():
            known = next((n for n, other in self.players.items() if other is player), name)
            self.players[known] = player
            places.append(list(self.players).index(known))
        learning = [players[name] for name in names]
        self.learners: dict[str, Agent] = {
            name: player  # type: ignore[misc]
            for name, player in self.players.items()
            if any(player is learner for learner in learning)
        }
        self.assignment = torch.tensor(places, device=view.device)[assignment.to(view.device)]
        self._mine = [self.assignment == k for k in range(len(self.players))]
        self._plays = torch.stack([mine.any(1) for mine in self._mine])
        self._earned = torch.zeros(
            (view.num_envs, len(self.players)), dtype=torch.float64, device=view.device
        )
        self._dealt: list[tuple[Step, list[Step]]] = []

    # -- the agent's protocol --------------------------------------------------------------------

    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Actions int64 [B, N], each from who sits there; -1 for the dead."""
        actions = torch.full_like(step.actions, -1)
        deal = zip(self.players.values(), self._mine, self._deal(step), strict=True)
        for player, mine, given in deal:
            actions = player.act(given, explore).where(mine & step.alive, actions)
        return actions

    def observe(self, step: Step, actions: Tensor, next_step: Step) -> None:
        """Tells learners what their actions led to, and followers how ended episodes went."""
        before, after = self._deal(step), self._deal(next_step)
        for k, name in enumerate(self.players):
            if name in self.learners:
                self.learners[name].observe(before[k], actions, after[k])
        self._earned.scatter_add_(1, self.assignment, next_step.reward.double())
        self._earned.masked_fill_(next_step.reset[:, None], 0.0)
        followers = [(k, p) for k, p in enumerate(self.players.values()) if isinstance(p, Follower)]
        if followers and bool(next_step.ended.any()):
            total = self._earned.sum(1)
            for k, follower in followers:
                rows, own = next_step.ended & self._plays[k], self._earned[:, k]
                follower.on_episodes_end(int(rows.sum()), int((rows & (total - own > own)).sum()))

    def learn(self) -> dict[str, float]:
        """The learner's metrics; with several learners, each with its name before it."""
        found = {name: learner.learn() for name, learner in self.learners.items()}
        if len(found) == 1:
            return next(iter(found.values()))
        return {f"{name}_{key}": v for name, metrics in found.items() for key, v in metrics.items()}

    def state_dict(self) -> dict[str, Any]:
        """Everything that the future depends on."""
        players = {
            name: state_of(player) if keeper is None else keeper.state_dict()
            for name, player in self.players.items()
            for keeper in [self._keeper(name)]
        }
        return {"players": players, "earned": self._earned.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a `state_dict` of like teams.

        Raises:
            ValueError: if the players have other names.
        """
        saved = state["players"]
        if saved.keys() != self.players.keys():
            raise ValueError(f"state has players {list(saved)}; allowed: {list(self.players)}")
        for name in self.players:
            keeper = self._keeper(name)
            if keeper is None:
                restore(self.players[name], saved[name])
            else:
                keeper.load_state_dict(saved[name])
        self._earned.copy_(state["earned"])
        self._dealt = []

    # -- its parts ------------------------------------------------------------------------------

    def _keeper(self, name: str) -> Agent | Follower | None:
        """The player, if it has a state to keep that is more than how it plays."""
        player = self.players[name]
        return player if isinstance(player, Follower) else self.learners.get(name)

    def _deal(self, step: Step) -> list[Step]:
        """The step as each player is given it: the same objects when it is asked for again."""
        for known, given in self._dealt:
            if known is step:
                return given
        given = [step.for_player(mine) for mine in self._mine]
        self._dealt = [*self._dealt[-1:], (step, given)]
        return given


# -- who sits where ------------------------------------------------------------------------------


def seating(
    view: View,
    learner: Agent,
    shares: Mapping[Any, float],
    sides: str = "both",
    seed: int = 0,
) -> Teams:
    """A learner against a mixture of opponents, each in some of the rows.

    Args:
        view: of two groups (of any number, if the learner plays itself alone).
        learner: plays in every row.
        shares: opponent -> its share of the rows, above 0 (they are taken in proportion). An opponent is
            "self" (the learner plays both sides, and learns from both), "lagged" (`Lagged`), "pool"
            (`Pool`), the name of a script, a checkpoint or the folder of a run, or a player; a player
            stays as it is, unless it follows the learner (`mfq.matches.self_play`).
        sides: "both": the learner is the first group in half of each opponent's rows and the second
            group in the other half, since sides may matter; or the name of the group that it always is.
        seed: of the opponents' generators.

    Raises:
        ValueError, TypeError: for shares, sides or rows that do not fit; OSError for a missing file.
    """
    names = view.group_names
    if sides not in ("both", *names):
        raise ValueError(f"sides={sides!r}; allowed: both, {', '.join(names)}")
    if not shares:
        raise ValueError("shares is empty; allowed: at least one opponent")
    for opponent, share in shares.items():
        if not 0 < share < float("inf"):
            raise ValueError(f"shares[{opponent!r}]={share!r}; allowed: finite, above 0")
    others = [opponent for opponent in shares if opponent != "self"]
    if others and len(names) != 2:
        raise ValueError(
            f"shares has {others[0]!r}, and the view {len(names)} groups; allowed: self, or two groups"
        )
    least = [2 if opponent != "self" and sides == "both" else 1 for opponent in shares]
    if view.num_envs < sum(least):
        raise ValueError(
            f"num_envs={view.num_envs!r}; allowed: at least {sum(least)}, for each opponent of shares "
            "one row a side"
        )
    players: dict[str, Player] = {"learner": learner}
    for k, opponent in enumerate(others):
        name = str(opponent) if isinstance(opponent, str | Path) else f"player_{k}"
        players[name] = _opponent(view, learner, opponent, seed + 1000 * (k + 1))

    counts = _rows_of(list(shares.values()), view.num_envs, least)
    assignment = torch.zeros((view.num_envs, view.num_agents), dtype=torch.int64)
    groups = view.groups.cpu()
    row = place = turn = 0
    for opponent, count in zip(shares, counts, strict=True):
        if opponent != "self":
            place += 1
            # Turns go on from one opponent to the next, so that odd numbers even out.
            learners = (
                (turn + torch.arange(count)) % 2
                if sides == "both"
                else torch.full((count,), names.index(sides))
            )
            turn += count
            assignment[row : row + count] = torch.where(groups == learners[:, None], 0, place)
        row += count
    return Teams(view, players, assignment, ["learner"])


def _opponent(view: View, learner: Any, opponent: Any, seed: int) -> Player:
    if opponent == "lagged":
        return Lagged(learner, seed=seed)
    if opponent == "pool":
        return Pool(learner, seed=seed)
    if isinstance(opponent, str | Path):
        player = load_player(opponent, view)
        reseed(player, seed)
        return player
    if not hasattr(opponent, "act"):
        raise TypeError(f"shares has a {type(opponent).__name__}; allowed: a name or a player")
    return opponent


def _rows_of(shares: list[float], rows: int, least: list[int]) -> list[int]:
    """Whole numbers of rows, in proportion as far as each gets its least; the first come first."""
    due = [rows * share / sum(shares) for share in shares]
    counts = [max(int(d), few) for d, few in zip(due, least, strict=True)]
    while sum(counts) != rows:
        step = 1 if sum(counts) < rows else -1
        may = [k for k, count in enumerate(counts) if step > 0 or count > least[k]]
        counts[max(may, key=lambda k: step * (due[k] - counts[k]))] += step
    return counts
