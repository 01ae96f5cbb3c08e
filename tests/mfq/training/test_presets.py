"""What the presets set, number by number, as docs/armies.md and the paper have it; and AUTHORS."""

import pytest

from mfq.agents.ac_config import AUTHORS
from mfq.training.config import preset

PAPERS_GAME = {
    "env": "battle_v0",
    "rounds": 2000,
    "env_options": {
        "map_size": 40,
        "max_cycles": 400,
        "minimap_mode": True,
        "extra_features": True,
        "placement": "paper",
        "copied_start": False,
    },
}
SCRIPTS = {"opponents": {"rush": 0.8, "lagged": 0.14, "random": 0.06}, "sides": "both"}
LAGGED = {"opponents": {"lagged": 1.0}, "sides": "red", "num_envs": 1}
ROUNDS_EVALUATED = {"evaluate_against": ("random", "rush"), "algo": "mfq"}

# The paper's appendix C.3, and where it says nothing what the authors' code has (fidelity D).
PAPERS_LEARNING = {
    "policy": "epsilon_greedy",
    "explore_start": 1.0,
    "explore_end": 0.05,
    "explore_rounds": 2000,
    "value": "mean_field",
    "pairing": "current",
    "iterations": 0,
    "play": "greedy",
    "gamma": 0.95,
    "filters": 32,
    "stride": 1,
    "hidden": (128, 64),
    "agent_embedding": 0,
    "learning_rate": 1e-4,
    "learning_rate_steps": 0,
    "batch_size": 128,
    "replay_size": 500_000,
    "samples_per_insert": 2.0,
    "polyak": 0.005,
    "hard_update": 0,
    "clip_gradient": 0.0,
    "target_temperature": 0.0,
    "coherent_start": 0.0,
    "reconsider": 1.0,
}
AUTHORS_LEARNING = {
    **PAPERS_LEARNING,
    "explore_start": 0.0,
    "explore_end": 0.0,
    "explore_rounds": 0,
    "value": "double",
    "pairing": "previous",
    "batch_size": 64,
    "replay_size": 80_000,
}
# fidelity D's right column.
AUTHORS_ACTOR_CRITIC = {
    "critic": "v",
    "pairing": "previous",
    "play": "sample",
    "gamma": 0.95,
    "temperature": 0.1,
    "entropy": 0.08,
    "value_weight": 0.1,
    "actor_learning_rate": 1e-4,
    "critic_learning_rate": 1e-4,
    "learning_rate_steps": 0,
    "clip_gradient": 0.0,
    "pictures": "flat",
    "mean_hidden": (256,),
    "agent_embedding": 0,
    "shared_trunk": True,
    "updates_per_round": 1,
    "round_steps": 400,
}
# docs/armies.md, "the recipe", and its table.
RECIPE = {
    "policy": "epsilon_greedy",
    "explore_start": 1.0,
    "explore_end": 0.05,
    "value": "mean_field",
    "target_temperature": 0.0,
    "gamma": 0.8,
    "filters": 0,
    "hidden": (128, 64),
    "agent_embedding": 0,
    "learning_rate": 3e-4,
    "learning_rate_end": 1e-5,
    "polyak": 0.005,
    "clip_gradient": 10.0,
    "learning_starts": 2000,
    "reconsider": 1.0,
    "coherent_start": 0.0,
}
AC_RECIPE = {
    "critic": "q",
    "pairing": "previous",
    "gamma": 0.8,
    "temperature": 1.0,
    "entropy": 0.02,
    "actor_learning_rate": 3e-4,
    "critic_learning_rate": 6e-4,
    "learning_rate_left": 0.05,
    "hidden": (128,),
    "mean_hidden": (64,),
    "agent_embedding": 0,
    "samples_per_insert": 2.0,
    "polyak": 0.005,
    "shared_trunk": False,
}
FAST = {
    **RECIPE,
    "explore_rounds": 100,
    "learning_rate_steps": 2000,
    "pairing": "current",
    "batch_size": 512,
    "replay_size": 500_000,
    "samples_per_insert": 2.0,
}
FAST_AC = {**AC_RECIPE, "learning_rate_steps": 8000, "batch_size": 512, "replay_size": 500_000}

RUNS = {
    "paper": {**PAPERS_GAME, **LAGGED, **ROUNDS_EVALUATED},
    "authors": {**PAPERS_GAME, **LAGGED, **ROUNDS_EVALUATED},
    "authors-mfac": {**PAPERS_GAME, **LAGGED, **ROUNDS_EVALUATED, "algo": "mfac"},
    "fast": {**PAPERS_GAME, **SCRIPTS, **ROUNDS_EVALUATED, "num_envs": 16},
    "large": {**PAPERS_GAME, **SCRIPTS, **ROUNDS_EVALUATED, "num_envs": 64},
    "small": {
        **SCRIPTS,
        **ROUNDS_EVALUATED,
        "env": "battle_v0",
        "rounds": 0,
        "steps": 16_000,
        "num_envs": 32,
        "env_options": {
            "map_size": 20,
            "max_cycles": 200,
            "minimap_mode": True,
            "extra_features": True,
            "copied_start": False,
        },
    },
    "cartpole": {
        "env": "CartPole-v1",
        "algo": "mfq",
        "rounds": 0,
        "steps": 8000,
        "num_envs": 8,
        "env_options": {},
        "opponents": {},
        "evaluate_against": (),
        "evaluate_every": 500,
        "evaluation_episodes": 20,
    },
}
Q_LEARNING = {
    "paper": PAPERS_LEARNING,
    "authors": AUTHORS_LEARNING,
    "fast": FAST,
    "large": {
        **FAST,
        "filters": 32,
        "stride": 1,
        "pairing": "previous",
        "learning_rate_steps": 1700,
        "batch_size": 1024,
        "samples_per_insert": 8.0,
    },
    "small": {
        **RECIPE,
        "explore_rounds": 0,
        "explore_steps": 300,
        "learning_rate_steps": 16_000,
        "pairing": "previous",
        "batch_size": 256,
        "replay_size": 200_000,
        "samples_per_insert": 4.0,
    },
    # docs/your_env.md
    "cartpole": {
        "policy": "epsilon_greedy",
        "explore_start": 1.0,
        "explore_end": 0.04,
        "explore_steps": 1000,
        "explore_rounds": 0,
        "value": "double",
        "gamma": 0.98,
        "hidden": (128, 128),
        "learning_rate": 5e-4,
        "learning_rate_steps": 8000,
        "learning_rate_end": 1e-5,
        "batch_size": 64,
        "replay_size": 100_000,
        "samples_per_insert": 32.0,
        "polyak": 0.01,
        "clip_gradient": 10.0,
    },
}
ACTOR_CRITIC = {
    "authors-mfac": AUTHORS_ACTOR_CRITIC,
    "fast": FAST_AC,
    "large": {**FAST_AC, "learning_rate_steps": 2000},
    "small": {
        **AC_RECIPE,
        "learning_rate_steps": 16_000,
        "batch_size": 256,
        "replay_size": 200_000,
    },
}


def chosen(options, names):
    return {name: getattr(options, name) for name in names}


@pytest.mark.parametrize(("name", "expected"), RUNS.items(), ids=RUNS)
def test_the_game_and_the_opponents(name, expected):
    assert chosen(preset(name), expected) == expected


@pytest.mark.parametrize(("name", "expected"), Q_LEARNING.items(), ids=Q_LEARNING)
def test_the_q_learners(name, expected):
    assert chosen(preset(name).agent, expected) == expected


@pytest.mark.parametrize(("name", "expected"), ACTOR_CRITIC.items(), ids=ACTOR_CRITIC)
def test_the_actor_critics(name, expected):
    assert chosen(preset(name).actor_critic, expected) == expected


def test_the_authors_actor_critic():
    assert chosen(AUTHORS, AUTHORS_ACTOR_CRITIC) == AUTHORS_ACTOR_CRITIC
