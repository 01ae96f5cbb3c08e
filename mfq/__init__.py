"""Mean-field reinforcement learning for environments of many agents (Yang et al., 2018)."""

from mfq.actor_critic import ACConfig, ActorCritic
from mfq.evaluate import evaluate
from mfq.q_agent import QAgent
from mfq.q_config import QConfig
from mfq.runner import RunConfig, Runner
from mfq.tabular import TabularQ
from mfq.train import train
from mfq.view import Step, View, wrap

__all__ = [
    "ACConfig",
    "ActorCritic",
    "QAgent",
    "QConfig",
    "RunConfig",
    "Runner",
    "Step",
    "TabularQ",
    "View",
    "evaluate",
    "train",
    "wrap",
]
