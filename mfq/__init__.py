"""Mean-field reinforcement learning for environments of many agents (Yang et al., 2018)."""

from mfq.ac_config import ACConfig
from mfq.actor_critic import ActorCritic
from mfq.evaluate import evaluate, head_to_head
from mfq.players import Scripted, load_player
from mfq.q_agent import QAgent
from mfq.q_config import QConfig
from mfq.run_config import RunConfig
from mfq.runner import Runner
from mfq.self_play import Lagged, Pool
from mfq.tabular import TabularQ
from mfq.team import Teams, seating
from mfq.train import train
from mfq.view import Step, View, wrap
from mfq.wrappers import MeanActionObservation

__all__ = [
    "ACConfig",
    "ActorCritic",
    "Lagged",
    "MeanActionObservation",
    "Pool",
    "QAgent",
    "QConfig",
    "RunConfig",
    "Runner",
    "Scripted",
    "Step",
    "TabularQ",
    "Teams",
    "View",
    "evaluate",
    "head_to_head",
    "load_player",
    "seating",
    "train",
    "wrap",
]
