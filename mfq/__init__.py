"""Mean field reinforcement learning for environments of many agents (Yang et al., 2018)."""

from mfenvs import __version__
from mfq.agents.ac_config import ACConfig
from mfq.agents.ac_replay import ReplayActorCritic
from mfq.agents.ac_rollout import RolloutActorCritic
from mfq.agents.actor_critic import ActorCritic
from mfq.agents.base import Agent, Player
from mfq.agents.by_type import ByType
from mfq.agents.fmq import FMQ, NetworkFMQ
from mfq.agents.fmq_config import FMQConfig, RecFMQConfig
from mfq.agents.maac import MAAC
from mfq.agents.ppo import PPO
from mfq.agents.ppo_config import PPOConfig
from mfq.agents.q_agent import QAgent
from mfq.agents.q_config import QConfig
from mfq.agents.tabular import TabularQ
from mfq.envs.device import OnDevice
from mfq.envs.graphs import Within
from mfq.envs.gymnasium_agents import TupleAgents
from mfq.envs.mean_action_observation import MeanActionObservation
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.envs.workers import Workers
from mfq.envs.wrap import wrap
from mfq.matches.evaluate import evaluate, head_to_head
from mfq.matches.module_player import ModulePlayer
from mfq.matches.players import Random, Scripted, load_player, load_pretrained
from mfq.matches.self_play import Lagged, Pool
from mfq.matches.teams import Teams, make_teams
from mfq.mean_field import MeanAction, MeanField
from mfq.recording.record import record, watch
from mfq.training.callbacks import Callback
from mfq.training.config import RunConfig
from mfq.training.loop import train
from mfq.training.runner import Runner

__all__ = [
    "FMQ",
    "MAAC",
    "PPO",
    "ACConfig",
    "ActorCritic",
    "Agent",
    "ByType",
    "Callback",
    "FMQConfig",
    "Lagged",
    "MeanAction",
    "MeanActionObservation",
    "MeanField",
    "ModulePlayer",
    "NetworkFMQ",
    "OnDevice",
    "PPOConfig",
    "Player",
    "Pool",
    "QAgent",
    "QConfig",
    "Random",
    "RecFMQConfig",
    "ReplayActorCritic",
    "RolloutActorCritic",
    "RunConfig",
    "Runner",
    "Scripted",
    "Step",
    "TabularQ",
    "Teams",
    "TupleAgents",
    "View",
    "Within",
    "Workers",
    "__version__",
    "evaluate",
    "head_to_head",
    "load_player",
    "load_pretrained",
    "make_teams",
    "record",
    "train",
    "watch",
    "wrap",
]
