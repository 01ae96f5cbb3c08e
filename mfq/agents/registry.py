"""Agents by the name of their algorithm."""

from __future__ import annotations

from typing import Any

import torch

from mfq.agents.ac_config import ACConfig
from mfq.agents.actor_critic import ActorCritic
from mfq.agents.base import Agent, parts_of
from mfq.agents.by_type import ByType
from mfq.agents.q_agent import QAgent
from mfq.agents.q_config import QConfig
from mfq.common import distributed
from mfq.envs.view import View

ALGORITHMS = ("mfq", "iql", "mfac", "ac")


def make_agent(
    view: View, algo: Any, q_config: QConfig, ac_config: ACConfig, seed: int = 0
) -> Agent:
    """An agent by the name of its algorithm; of agents of several types, one learner a type.

    Args:
        view: what it plays.
        algo: one of `ALGORITHMS`; or a class, see `mfq.Runner`.
        q_config: options of "mfq", "iql" and of a class.
        ac_config: options of "mfac" and "ac".
        seed: of weights, exploration and replay.

    Raises:
        ValueError: for an unknown algorithm.
    """
    if isinstance(algo, str) and algo not in ALGORITHMS:
        raise ValueError(f"algo={algo!r}; allowed: {ALGORITHMS}, or a class")

    def make(view: View, seed: int) -> Agent:
        if not isinstance(algo, str):
            return algo(view, q_config, seed)
        if algo in ("mfac", "ac"):
            return ActorCritic(view, algo == "mfac", ac_config, seed)
        return QAgent(view, algo == "mfq", q_config, seed)

    agent = make(view, seed) if view.type_specs is None else ByType(view, make, seed)
    if apart := distributed.draw_apart():  # the same weights everywhere, but other coins
        for learner in parts_of(agent):
            for drawer in (learner, getattr(learner, "replay", None)):
                if isinstance(coins := getattr(drawer, "generator", None), torch.Generator):
                    coins.manual_seed(coins.initial_seed() + apart)
    return agent
