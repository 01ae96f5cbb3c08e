"""Assigns agents to players: opponents, self-play, and mixtures of these over rows.

Legend: B rows, N agents, P players.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mfq.agents.base import Agent, Player, check_agent, check_player
from mfq.agents.loop import check_actions
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.matches.players import load_player
from mfq.matches.self_play import Lagged, Pool


class Teams(Agent):
    """An `Agent` that consists of several players, each of which plays the agents assigned to it.

    Learners learn; the others only play. `Player.on_episodes_end` is called for all. Any agents may be
    assigned to a player; it gets steps with these agents in ``mine``.

    Args:
        view: the view to play.
        players: name -> player, at least one. An object with several names is one player, under the
            first name.
        assignment: int64 [B, N]; the player of each agent of each row, as an index in ``players``.
        learners: the names of the players that learn, which must be `Agent`s.

    Attributes:
        players: name -> player.
        learners: name -> player, of those that learn.
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
            check_agent(f"learner {name!r}", players[name])
        for name, player in players.items():
            check_player(f"players[{name!r}]", player)
        self.players: dict[str, Player] = {}
        places = []
        for name, player in players.items():
            first_name = next((n for n, other in self.players.items() if other is player), name)
            self.players[first_name] = player
            places.append(list(self.players).index(first_name))
        learning = [players[name] for name in names]
        self.learners: dict[str, Agent] = {
            name: player  # type: ignore[misc]
            for name, player in self.players.items()
            if any(player is learner for learner in learning)
        }
        self.assignment = torch.tensor(places, device=view.device)[assignment.to(view.device)]
        self._mine = [self.assignment == k for k in range(len(self.players))]
        self._notified = [  # those that override `on_episodes_end`
            (k, player)
            for k, player in enumerate(self.players.values())
            if type(player).on_episodes_end is not Player.on_episodes_end
        ]
        self._plays = torch.stack([mine.any(1) for mine in self._mine])
        self._earned = torch.zeros(
            (view.num_envs, len(self.players)), dtype=torch.float64, device=view.device
        )
        self._cached: list[tuple[Step, list[Step]]] = []

    # -- interface of agents ---------------------------------------------------------------------

    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Returns actions int64 [B, N], each from the agent's player; -1 for dead agents."""
        actions = torch.full_like(step.actions, -1)
        shares = zip(self.players.values(), self._mine, self._steps(step), strict=True)
        for player, mine, player_step in shares:
            chosen = player.act(player_step, explore)
            check_actions(player, chosen, player_step)
            actions = chosen.where(mine & step.alive, actions)
        return actions

    def observe(self, step: Step, actions: Tensor, next_step: Step) -> None:
        """Calls `observe` of learners, and `on_episodes_end` of all players if episodes ended."""
        before, after = self._steps(step), self._steps(next_step)
        for k, name in enumerate(self.players):
            if name in self.learners:
                self.learners[name].observe(before[k], actions, after[k])
        self._earned.scatter_add_(1, self.assignment, next_step.reward.double())
        self._earned.masked_fill_(next_step.reset[:, None], 0.0)
        if self._notified and bool(next_step.ended.any()):
            total = self._earned.sum(1)
            for k, player in self._notified:
                rows, earned = next_step.ended & self._plays[k], self._earned[:, k]
                beaten = rows & (total - earned > earned)
                player.on_episodes_end(int(rows.sum()), int(beaten.sum()))

    def learn(self) -> dict[str, float]:
        """Calls `learn` of learners; returns metrics, with several learners prefixed by their names."""
        return self._named({name: learner.learn() for name, learner in self.learners.items()})

    def metrics(self) -> dict[str, float]:
        return self._named({name: learner.metrics() for name, learner in self.learners.items()})

    @property
    def parts(self) -> Sequence[Player]:
        return [part for player in self.players.values() for part in player.parts]

    @property
    def generators(self) -> Sequence[torch.Generator]:
        return [generator for part in self.parts for generator in part.generators]

    def state_dict(self) -> dict[str, Any]:
        """Returns the complete state of all players."""
        players = {name: player.state_dict() for name, player in self.players.items()}
        return {"players": players, "earned": self._earned.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict` of teams with the same players.

        Raises:
            ValueError: if the players have other names.
        """
        saved = state["players"]
        if saved.keys() != self.players.keys():
            raise ValueError(f"state has players {list(saved)}; allowed: {list(self.players)}")
        for name, player in self.players.items():
            player.load_state_dict(saved[name])
        self._earned.copy_(state["earned"])
        self._cached = []

    # -- implementation -------------------------------------------------------------------------

    def _named(self, by_learner: dict[str, dict[str, float]]) -> dict[str, float]:
        if len(by_learner) == 1:
            return next(iter(by_learner.values()))
        return {
            f"{name}_{key}": value
            for name, metrics in by_learner.items()
            for key, value in metrics.items()
        }

    def _steps(self, step: Step) -> list[Step]:
        """Returns the step for each player. Repeated calls return the same objects."""
        for cached, by_player in self._cached:
            if cached.number == step.number:
                return by_player
        by_player = [step.for_player(mine) for mine in self._mine]
        self._cached = [*self._cached[-1:], (step, by_player)]
        return by_player


# -- a learner and its opponents -----------------------------------------------------------------


def make_teams(
    view: View,
    learner: Agent,
    shares: Mapping[Any, float],
    sides: str = "both",
    seed: int = 0,
) -> Teams:
    """Returns teams of a learner and a mixture of opponents, each of which plays in some of the rows.

    Args:
        view: a view of two groups (or of any number, if the only opponent is "self").
        learner: the learner, which plays in every row.
        shares: opponent -> its share of the rows, above 0; shares need not sum to 1. An opponent is
            "self" (the learner plays both sides, and learns from both), "lagged" (`Lagged`), "pool"
            (`Pool`), any name that `load_player` accepts, or a player. A player does not change, unless
            its `Player.on_episodes_end` changes it.
        sides: "both": the learner plays the first group in half of each opponent's rows and the second
            group in the other half; or the name of the group that it always plays.
        seed: seed of the opponents' generators.

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
        size = "1 group" if len(names) == 1 else f"{len(names)} groups"
        raise ValueError(
            f"opponents={list(shares)!r} and a game with {size} of agents ({', '.join(names)}); "
            "allowed: no opponents but self, or a game with two groups"
        )
    least = [2 if opponent != "self" and sides == "both" else 1 for opponent in shares]
    if view.num_envs < sum(least):
        needs = ", ".join(f"{opponent} {n}" for opponent, n in zip(shares, least, strict=True))
        raise ValueError(
            f"num_envs={view.num_envs!r}; allowed: at least {sum(least)}, a row for each opponent and "
            f"side that the learner plays ({needs}), or fewer opponents"
        )
    players: dict[str, Player] = {"learner": learner}
    for k, opponent in enumerate(others):
        player = _opponent(view, learner, opponent, seed + 1000 * (k + 1))
        players[name_of_opponent(opponent, k)] = player

    counts = _rows_of(list(shares.values()), view.num_envs, least)
    assignment = torch.zeros((view.num_envs, view.num_agents), dtype=torch.int64, device="cpu")
    groups = view.groups.cpu()
    row = place = turn = 0
    for opponent, count in zip(shares, counts, strict=True):
        if opponent != "self":
            place += 1
            # Sides alternate across opponents, so that odd numbers of rows even out.
            learners = (
                (turn + torch.arange(count, device="cpu")) % 2
                if sides == "both"
                else torch.full((count,), names.index(sides), device="cpu")
            )
            turn += count
            assignment[row : row + count] = torch.where(groups == learners[:, None], 0, place)
        row += count
    return Teams(view, players, assignment, ["learner"])


def name_of_opponent(opponent: Any, k: int) -> str:
    """Returns the name in `Teams` of the k-th opponent other than "self"; of a player, player_k."""
    return str(opponent) if isinstance(opponent, str | Path) else f"player_{k}"


def _opponent(view: View, learner: Agent, opponent: Any, seed: int) -> Player:
    if opponent == "lagged":
        return Lagged(learner, seed=seed)
    if opponent == "pool":
        return Pool(learner, seed=seed)
    if isinstance(opponent, str | Path):
        player = load_player(opponent, view)
        player.reseed(seed)
        return player
    if not isinstance(opponent, Player):
        raise TypeError(f"shares has a {type(opponent).__name__}; allowed: a name or an mfq.Player")
    return opponent


def _rows_of(shares: list[float], rows: int, least: list[int]) -> list[int]:
    """Returns the number of rows of each share, at least ``least``; ties go to the first share."""
    exact = [rows * share / sum(shares) for share in shares]
    counts = [max(int(x), minimum) for x, minimum in zip(exact, least, strict=True)]
    while sum(counts) != rows:
        step = 1 if sum(counts) < rows else -1
        candidates = [k for k, count in enumerate(counts) if step > 0 or count > least[k]]
        counts[max(candidates, key=lambda k: step * (exact[k] - counts[k]))] += step
    return counts
