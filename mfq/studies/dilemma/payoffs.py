"""Plays battles in which some agents strike whenever they can, and sums what agents earn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mfq.agents import loop
from mfq.agents.base import Player, preserved
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.matches.teams import Teams


class Striking(Player):
    """A player of which some agents strike whenever an enemy is in reach.

    Args:
        view: a view of battle. The steps given to `act` must be its latest.
        player: chooses all other actions.
        strikers: bool [B, N]; the agents that strike.
    """

    def __init__(self, view: View, player: Player, strikers: Tensor) -> None:
        from mfenvs.gridworld.tables import STAY

        self.view, self.player, self.strikers = view, player, strikers
        self.stay = int(view.env.game.params.units[0, STAY])  # type: ignore[attr-defined]

    @property
    def parts(self) -> Sequence[Player]:
        return self.player.parts

    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Returns the player's actions int64 [B, N], with those of strikers replaced."""
        actions = self.player.act(step, explore)
        blows = self.view.scripted("hold")
        return blows.where(self.strikers & (blows != self.stay) & (actions >= 0), actions)


def payoff(
    view: View, player: Player, opponent: Player, side: int, others: str, agent: str, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Plays an episode in each row, in which the army of ``side`` makes two choices.

    In row b the agent is the army's b-th, modulo its size.

    Args:
        view: a view of battle.
        player: the learned player of the army.
        opponent: the player of the other army.
        side: index of the army's group.
        others, agent: "learned" or "strikes"; the choice of the rest of the army, and of the agent.
        seed: of the episodes.

    Returns:
        The agent's summed reward, the army's summed reward by agent, and the army's kills minus the
        opponent's: each float64 [B].
    """
    in_army = view.groups == side
    members = in_army.nonzero()[:, 0]
    rows = torch.arange(view.num_envs)
    agents = members[rows % len(members)]
    strikers = in_army.expand(view.num_envs, -1) & (others == "strikes")
    strikers[rows, agents] = agent == "strikes"
    names = view.group_names
    players = {names[side]: Striking(view, player, strikers), names[1 - side]: opponent}
    teams = Teams(view, {name: players[name] for name in names}, view.groups.expand(len(rows), -1))

    earned = torch.zeros(view.num_envs, view.num_agents, dtype=torch.float64)
    kills = torch.zeros(view.num_envs, dtype=torch.float64)
    running = torch.ones(view.num_envs, dtype=torch.bool)
    with preserved(list(teams.players.values()), seed):
        for transition in loop.play(view, teams, view.reset(seed=seed), explore=False):
            step = transition.next_step
            earned += step.reward.double() * running[:, None]
            margin = (
                step.measures[f"{names[side]}_kills"] - step.measures[f"{names[1 - side]}_kills"]
            )
            kills = margin.double().where(running, kills)
            running &= ~step.ended
            if not running.any():
                break
    army = earned[:, in_army].mean(1)
    return earned[rows, agents].numpy(), army.numpy(), kills.numpy()
