"""Mean-field reinforcement learning for environments of many agents (Yang et al., 2018)."""

from mfq.tabular import TabularQ
from mfq.train import train
from mfq.view import Step, View, wrap

__all__ = ["Step", "TabularQ", "View", "train", "wrap"]
