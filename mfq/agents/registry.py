"""Agents by the name of their algorithm."""

from __future__ import annotations

from typing import Any

import torch

from mfq.agents.actor_critic import ActorCritic
from mfq.agents.by_type import ByType
from mfq.agents.q_agent import QAgent
from mfq.common import distributed
from mfq.envs.view import View
from mfq.matches.players import parts_of
from mfq.training.config import ALGORITHMS, RunConfig
from mfq.training.loop import Agent


def make_agent(view: View, algo: Any, config: RunConfig) -> Agent:
    """A run's agent; of agents of several types, one learner a type.

    Args:
        view: what it plays.
        algo: None or a string for the config's; or a class, see `mfq.Runner`.
        config: the run's.

    Raises:
        ValueError: for an unknown algorithm.
    """
    own = algo is not None and not isinstance(algo, str)
    if not own and config.algo not in ALGORITHMS:
        raise ValueError(f"algo={config.algo!r}; allowed: {ALGORITHMS}, or a class")

    def make(view: View, seed: int) -> Agent:
        if own:
            return algo(view, config.agent, seed)
        if config.algo in ("mfac", "ac"):
            return ActorCritic(view, config.algo == "mfac", config.actor_critic, seed)
        return QAgent(view, config.algo == "mfq", config.agent, seed)

    agent = make(view, config.seed) if view.kinds is None else ByType(view, make, config.seed)
    if apart := distributed.draw_apart():  # the same weights everywhere, but other coins
        for learner in parts_of(agent):
            for drawer in (learner, getattr(learner, "replay", None)):
                if isinstance(coins := getattr(drawer, "generator", None), torch.Generator):
                    coins.manual_seed(coins.initial_seed() + apart)
    return agent
