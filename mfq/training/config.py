"""Options of a run, and ready sets of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from types import NoneType
from typing import Any

from mfq.agents.ac_config import AUTHORS, ACConfig
from mfq.agents.q_config import QConfig
from mfq.common.config import build, number, of_kind, positive, whole

# torch and the games take 64 bits with a sign, and rows, ranks and steps are counted on from a seed.
MOST_SEED = 2**62


@dataclass(frozen=True)
class RunConfig:
    """Options of a `Runner`, and of `mfq train`.

    Attributes:
        env: id of the game, such as "gaussian_squeeze_v0"; or of any environment: MODULE:FACTORY (a
            function or class that makes one), or PettingZoo's or Gymnasium's id.
        algo: "mfq", "iql", "mfac" or "ac".
        steps: environment steps of each row.
        rounds: if above 0, trains until so many episodes have ended, over all rows, instead.
        minutes: if above 0, stops after so much training even if there is more to do (a run that is
            resumed counts anew).
        num_envs: rows that play at once; of an environment of one's own, copies.
        workers: processes that play these copies; 0: the learner's own. For slow environments.
        graph: neighbours: "all", "type" or "team", or MODULE:NAME of anything that `mfq.wrap` takes.
            None: the environment's own, or else "team".
        seed: of everything.
        device: where games and networks are.
        out: folder for config.json, log.csv and checkpoints. None writes nothing.
        opponents: whom the learner plays in games of two groups, and in which share of the rows: "self"
            (both sides learn), "lagged" and "pool" (past selves), scripts, checkpoints or folders of
            runs. None at all: the learner plays everybody.
        sides: "both", or the group that the learner always is; see `mfq.seating`.
        log_every, evaluate_every, save_every: in environment steps; 0 for never (but at the end).
        evaluation_episodes: of each evaluation, and against each of ``evaluate_against``.
        evaluate_against: scripts or runs; the best checkpoint is the one with the highest win rate
            against all of them, or without them with the highest return, the latest of equal ones.
        evaluation_envs: rows of an evaluation.
        save_replay: whether checkpoints hold the replay. Without it a resumed run starts with none, and
            says so.
        tensorboard: also logs there.
        quiet: shows no progress bar.
        env_options: of the game, or keyword arguments of the factory.
        agent: see `QConfig`.
        actor_critic: see `ACConfig`; for "mfac" and "ac".
    """

    env: str = "gaussian_squeeze_v0"
    algo: str = "mfq"
    steps: int = 3000
    rounds: int = 0
    minutes: float = 0.0
    num_envs: int = 1
    workers: int = 0
    graph: str | None = None
    seed: int = 0
    device: str = "cpu"
    out: str | None = None
    opponents: dict[str, float] = field(default_factory=dict)
    sides: str = "both"
    log_every: int = 50
    evaluate_every: int = 500
    evaluation_episodes: int = 1
    evaluate_against: tuple[str, ...] = ()
    evaluation_envs: int = 1
    save_every: int = 500
    save_replay: bool = True
    tensorboard: bool = False
    quiet: bool = False
    env_options: dict[str, Any] = field(default_factory=dict)
    agent: QConfig = field(default_factory=QConfig)
    actor_critic: ACConfig = field(default_factory=ACConfig)

    def __post_init__(self) -> None:
        for name, least in (
            ("steps", 1),
            ("rounds", 0),
            ("num_envs", 1),
            ("workers", 0),
            ("log_every", 0),
            ("evaluate_every", 0),
            ("evaluation_episodes", 1),
            ("evaluation_envs", 1),
            ("save_every", 0),
        ):
            whole(name, getattr(self, name), least)
        whole("seed", self.seed, 0, MOST_SEED)
        number("minutes", self.minutes)
        for name in ("save_replay", "tensorboard", "quiet"):
            of_kind(name, getattr(self, name), bool, "True or False")
        for name in ("env", "algo", "device", "sides"):
            of_kind(name, getattr(self, name), str, "a name")
        of_kind("out", self.out, (str, NoneType), "a folder's name, or None")
        of_kind("evaluate_against", self.evaluate_against, (tuple, list), "a list of names")
        of_kind("env_options", self.env_options, dict, "options by name")
        of_kind("opponents", self.opponents, dict, "shares by opponent, such as {'rush': 0.5}")
        for opponent, share in self.opponents.items():
            positive(f"opponents[{opponent!r}]", share)


# The network that the paper and the authors' code train on battle (fidelity D), one for an army; its
# features tell who an agent is, so that it needs no embedding.
_BATTLE_NET = {"hidden": (128, 64), "agent_embedding": 0}
# What beats rush from the start that it trains on (docs/armies.md): a short horizon, gradient steps of
# little noise, and no convolutions, which takes half the time.
_RECIPE = {
    **_BATTLE_NET,
    "policy": "epsilon_greedy",
    "explore_start": 1.0,
    "explore_end": 0.05,
    "gamma": 0.8,
    "filters": 0,
    "learning_rate": 3e-4,
    "learning_rate_end": 1e-5,
    "batch_size": 256,
    "learning_starts": 2000,
    "samples_per_insert": 4.0,
    "polyak": 0.005,
}
# The same of the actor-critics, for whom half the samples are enough.
_AC_RECIPE = {
    "pairing": "previous",
    "gamma": 0.8,
    "entropy": 0.02,
    "actor_learning_rate": 3e-4,
    "critic_learning_rate": 6e-4,
    "learning_rate_left": 0.05,
    "hidden": (128,),
    "mean_hidden": (64,),
    "agent_embedding": 0,
    "samples_per_insert": 2.0,
    "polyak": 0.005,
}
_AGAINST = {"rush": 0.8, "lagged": 0.14, "random": 0.06}
_BATTLE = {"minimap_mode": True, "extra_features": True, "copied_start": False}
_ROUNDS = {
    "env": "battle_v0",
    "rounds": 2000,
    "env_options": {**_BATTLE, "map_size": 40, "max_cycles": 400, "placement": "paper"},
    "evaluate_against": ("random", "rush"),
    "evaluation_envs": 8,
    "evaluation_episodes": 8,
    "evaluate_every": 2000,
    "log_every": 100,
    "save_every": 500,
}
_FAST: dict[str, Any] = {
    **_ROUNDS,
    "num_envs": 16,
    "opponents": _AGAINST,
    "evaluation_envs": 10,
    "evaluation_episodes": 20,
    "evaluate_every": 1000,
    "agent": {
        **_RECIPE,
        "explore_rounds": 100,
        "learning_rate_steps": 2000,
        "batch_size": 512,
        "replay_size": 500_000,
        "samples_per_insert": 2.0,
    },
    "actor_critic": {
        **_AC_RECIPE,
        "learning_rate_steps": 8000,  # about 2,000 rounds
        "batch_size": 512,
        "replay_size": 500_000,
    },
}

PRESETS: dict[str, dict[str, Any]] = {
    # The paper's appendix C.3: exploration from 1 to .05 over 2,000 rounds against a lagged self,
    # minibatches of 128, a replay of 500,000; its equations (v^MF, the mean action of the same time).
    "paper": {
        **_ROUNDS,
        "opponents": {"lagged": 1.0},
        "sides": "red",
        "agent": {
            **_BATTLE_NET,
            "policy": "epsilon_greedy",
            "explore_start": 1.0,
            "explore_end": 0.05,
            "explore_rounds": 2000,
            "learning_rate": 1e-4,
            "batch_size": 128,
            "replay_size": 500_000,
            "samples_per_insert": 2.0,
            "polyak": 0.005,
            "clip_gradient": 0.0,
        },
    },
    # The authors' code of today: double Q on the previous mean action, no exploration at all.
    "authors": {
        **_ROUNDS,
        "opponents": {"lagged": 1.0},
        "sides": "red",
        "agent": {
            **_BATTLE_NET,
            "policy": "epsilon_greedy",
            "explore_start": 0.0,
            "explore_end": 0.0,
            "value": "double",
            "pairing": "previous",
            "learning_rate": 1e-4,
            "batch_size": 64,
            "replay_size": 80_000,
            "samples_per_insert": 2.0,
            "polyak": 0.005,
            "clip_gradient": 0.0,
        },
    },
    # The same code's MF-AC; its AC with algo "ac". A round is an episode, and one gradient step.
    "authors-mfac": {
        **_ROUNDS,
        "algo": "mfac",
        "opponents": {"lagged": 1.0},
        "sides": "red",
        "actor_critic": asdict(AUTHORS),
    },
    # The paper's game by the recipe, with batches of 512: the fastest.
    "fast": _FAST,
    # MFQ and IQL with the paper's network, four times the samples in larger batches: the best players so
    # far, though not of every training. For GPUs, and for processors that multiply bfloat16 faster.
    "large": {
        **_FAST,
        "num_envs": 64,
        "evaluate_every": 300,
        "log_every": 25,
        "save_every": 50,
        "agent": {
            **_FAST["agent"],
            "filters": 32,
            "pairing": "previous",
            "learning_rate_steps": 1700,
            "batch_size": 1024,
            "samples_per_insert": 8.0,
        },
        "actor_critic": {**_FAST["actor_critic"], "learning_rate_steps": 2000},
    },
    # Twelve against twelve on a map of 20, in minutes. MFQ is fitted to the mean action that it acts on
    # (docs/armies.md has what the other pairing comes to).
    "small": {
        "env": "battle_v0",
        "steps": 16_000,
        "num_envs": 32,
        "env_options": {**_BATTLE, "map_size": 20, "max_cycles": 200},
        "opponents": _AGAINST,
        "evaluate_against": ("random", "rush"),
        "evaluation_envs": 20,
        "evaluation_episodes": 40,
        "evaluate_every": 500,
        "log_every": 50,
        "save_every": 500,
        "agent": {
            **_RECIPE,
            "pairing": "previous",
            "explore_steps": 300,
            "learning_rate_steps": 16_000,
            "replay_size": 200_000,
        },
        "actor_critic": {**_AC_RECIPE, "learning_rate_steps": 16_000},
    },
    # One agent and few numbers: 8 copies of 8,000 steps, four gradient steps each (docs/your_env.md).
    # Values of a long horizon are large and alike; gamma .98 keeps them apart. They go on moving while
    # the pole stands, so the rate falls.
    "cartpole": {
        "env": "CartPole-v1",
        "steps": 8000,
        "num_envs": 8,
        "evaluate_every": 500,
        "evaluation_episodes": 20,
        "evaluation_envs": 20,
        "log_every": 500,
        "save_every": 2000,
        "agent": {
            "policy": "epsilon_greedy",
            "explore_start": 1.0,
            "explore_end": 0.04,
            "explore_steps": 1000,
            "value": "double",
            "gamma": 0.98,
            "hidden": (128, 128),
            "agent_embedding": 0,
            "learning_rate": 5e-4,
            "learning_rate_steps": 8000,
            "learning_rate_end": 1e-5,
            "batch_size": 64,
            "replay_size": 100_000,
            "samples_per_insert": 32.0,
            "polyak": 0.01,
        },
    },
}


# The same with armies that start elsewhere in each episode, in evaluations too (docs/battle.md).
PRESETS |= {
    f"{name}-random": {
        **PRESETS[name],
        "env_options": {**PRESETS[name]["env_options"], "placement": "random"},
    }
    for name in ("fast", "large", "small")
}


def preset(name: str) -> RunConfig:
    """A ready set of options.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in PRESETS:
        raise ValueError(f"preset={name!r}; allowed: {', '.join(PRESETS)}")
    return build(RunConfig, PRESETS[name])
