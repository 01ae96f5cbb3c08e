"""What the presets set, number by number, as docs/presets.md and the paper have it; and AUTHORS."""

from operator import attrgetter

import pytest

from mfq.agents.ac_config import AUTHORS
from mfq.agents.q_config import QConfig
from mfq.common.config import build
from mfq.training.config import PRESETS, preset, run_config

PAPERS_GAME = {
    "env": "battle_v0",
    "episodes": 2000,
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
AGAINST_SCRIPTS = {"evaluation.against": ("random", "rush"), "algo": "mfq"}

# The paper's appendix C.3, and where it says nothing what the authors' code has.
PAPERS_LEARNING = {
    "exploration.policy": "epsilon_greedy",
    "exploration.start": 1.0,
    "exploration.end": 0.05,
    "exploration.episodes": 2000,
    "value": "mean_field",
    "pairing": "current",
    "iterations": 0,
    "play": "greedy",
    "gamma": 0.95,
    "network.filters": 32,
    "network.stride": 1,
    "network.hidden": (128, 64),
    "network.agent_embedding": 0,
    "optimizer.learning_rate": 1e-4,
    "optimizer.learning_rate_steps": 0,
    "optimizer.batch_size": 128,
    "replay.size": 500_000,
    "replay.samples_per_insert": 2.0,
    "polyak": 0.005,
    "hard_update": 0,
    "optimizer.clip_gradient": 0.0,
    "target_temperature": 0.0,
    "exploration.coherent_start": 0.0,
    "exploration.stickiness": 0.0,
}
AUTHORS_LEARNING = {
    **PAPERS_LEARNING,
    "exploration.start": 0.0,
    "exploration.end": 0.0,
    "exploration.episodes": 0,
    "value": "double",
    "pairing": "previous",
    "optimizer.batch_size": 64,
    "replay.size": 80_000,
}
# What the authors' code has.
AUTHORS_ACTOR_CRITIC = {
    "critic": "v",
    "pairing": "previous",
    "play": "sample",
    "gamma": 0.95,
    "temperature": 0.1,
    "entropy": 0.08,
    "rollout.value_weight": 0.1,
    "optimizer.actor_learning_rate": 1e-4,
    "optimizer.critic_learning_rate": 1e-4,
    "optimizer.learning_rate_steps": 0,
    "optimizer.clip_gradient": 0.0,
    "network.pictures": "flat",
    "network.mean_hidden": (256,),
    "network.agent_embedding": 0,
    "network.shared_trunk": True,
    "rollout.updates": 1,
    "rollout.steps": 400,
}
# docs/presets.md, "the recipe", and its table.
RECIPE = {
    "exploration.policy": "epsilon_greedy",
    "exploration.start": 1.0,
    "exploration.end": 0.05,
    "value": "mean_field",
    "target_temperature": 0.0,
    "gamma": 0.8,
    "network.filters": 0,
    "network.hidden": (128, 64),
    "network.agent_embedding": 0,
    "optimizer.learning_rate": 3e-4,
    "optimizer.learning_rate_end": 1e-5,
    "polyak": 0.005,
    "optimizer.clip_gradient": 10.0,
    "replay.learning_starts": 2000,
    "exploration.stickiness": 0.0,
    "exploration.coherent_start": 0.0,
}
AC_RECIPE = {
    "critic": "q",
    "pairing": "previous",
    "gamma": 0.8,
    "temperature": 1.0,
    "entropy": 0.02,
    "optimizer.actor_learning_rate": 3e-4,
    "optimizer.critic_learning_rate": 6e-4,
    "optimizer.learning_rate_left": 0.05,
    "network.hidden": (128,),
    "network.mean_hidden": (64,),
    "network.agent_embedding": 0,
    "replay.samples_per_insert": 2.0,
    "polyak": 0.005,
    "network.shared_trunk": False,
}
FAST = {
    **RECIPE,
    "exploration.episodes": 100,
    "optimizer.learning_rate_steps": 2000,
    "pairing": "current",
    "optimizer.batch_size": 512,
    "replay.size": 500_000,
    "replay.samples_per_insert": 2.0,
}
FAST_AC = {
    **AC_RECIPE,
    "optimizer.learning_rate_steps": 8000,
    "optimizer.batch_size": 512,
    "replay.size": 500_000,
}

RUNS = {
    "paper": {**PAPERS_GAME, **LAGGED, **AGAINST_SCRIPTS},
    "authors": {**PAPERS_GAME, **LAGGED, **AGAINST_SCRIPTS},
    "authors-mfac": {**PAPERS_GAME, **LAGGED, **AGAINST_SCRIPTS, "algo": "mfac"},
    "fast": {**PAPERS_GAME, **SCRIPTS, **AGAINST_SCRIPTS, "num_envs": 16},
    "large": {**PAPERS_GAME, **SCRIPTS, **AGAINST_SCRIPTS, "num_envs": 64},
    "small": {
        **SCRIPTS,
        **AGAINST_SCRIPTS,
        "env": "battle_v0",
        "episodes": 0,
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
        "episodes": 0,
        "steps": 8000,
        "num_envs": 8,
        "env_options": {},
        "opponents": {},
        "evaluation.against": (),
        "evaluation.every": 500,
        "evaluation.episodes": 20,
    },
}
Q_LEARNING = {
    "paper": PAPERS_LEARNING,
    "authors": AUTHORS_LEARNING,
    "fast": FAST,
    "large": {
        **FAST,
        "network.filters": 32,
        "network.stride": 1,
        "pairing": "previous",
        "optimizer.learning_rate_steps": 1700,
        "optimizer.batch_size": 1024,
        "replay.samples_per_insert": 8.0,
    },
    "small": {
        **RECIPE,
        "exploration.episodes": 0,
        "exploration.steps": 300,
        "optimizer.learning_rate_steps": 16_000,
        "pairing": "previous",
        "optimizer.batch_size": 256,
        "replay.size": 200_000,
        "replay.samples_per_insert": 4.0,
    },
    # docs/your_env.md
    "cartpole": {
        "exploration.policy": "epsilon_greedy",
        "exploration.start": 1.0,
        "exploration.end": 0.04,
        "exploration.steps": 1000,
        "exploration.episodes": 0,
        "value": "double",
        "pairing": "current",
        "gamma": 0.98,
        "network.hidden": (128, 128),
        "optimizer.learning_rate": 5e-4,
        "optimizer.learning_rate_steps": 8000,
        "optimizer.learning_rate_end": 1e-5,
        "optimizer.batch_size": 64,
        "replay.size": 100_000,
        "replay.samples_per_insert": 32.0,
        "polyak": 0.01,
        "optimizer.clip_gradient": 10.0,
    },
}
ACTOR_CRITIC = {
    "authors-mfac": AUTHORS_ACTOR_CRITIC,
    "fast": FAST_AC,
    "large": {**FAST_AC, "optimizer.learning_rate_steps": 2000},
    "small": {
        **AC_RECIPE,
        "optimizer.learning_rate_steps": 16_000,
        "optimizer.batch_size": 256,
        "replay.size": 200_000,
    },
}


def chosen(options, places):
    """The options at places, such as "network.hidden"."""
    return {place: attrgetter(place)(options) for place in places}


@pytest.mark.parametrize(("name", "expected"), RUNS.items(), ids=RUNS)
def test_the_game_and_the_opponents(name, expected):
    assert chosen(preset(name), expected) == expected


@pytest.mark.parametrize(("name", "expected"), Q_LEARNING.items(), ids=Q_LEARNING)
def test_the_q_learners(name, expected):
    assert chosen(preset(name, "mfq").agent, expected) == expected
    others = {place: value for place, value in expected.items() if place != "pairing"}
    assert chosen(preset(name, "iql").agent, others) == others


@pytest.mark.parametrize(("name", "expected"), ACTOR_CRITIC.items(), ids=ACTOR_CRITIC)
def test_the_actor_critics(name, expected):
    assert chosen(preset(name, "mfac").agent, expected) == expected
    others = {place: value for place, value in expected.items() if place != "pairing"}
    assert chosen(preset(name, "ac").agent, others) == others


def test_all_presets_are_here():
    randomly = (f"{name}-random" for name in ("fast", "large", "small"))
    assert set(PRESETS) == {*RUNS, "ising", "quick", "squeeze", *randomly}


def test_ising_is_short_and_has_the_default_agent():
    config = preset("ising")
    assert (config.env, config.env_options) == ("ising_v0", {"max_cycles": 200})
    assert (config.steps, config.evaluation.every, config.agent) == (1000, 250, QConfig())


def test_squeeze_has_the_options_that_docs_squeeze_md_measured():
    config = preset("squeeze")
    assert (config.env, config.env_options, config.steps) == ("gaussian_squeeze_v0", {}, 3000)
    exploration = {"policy": "epsilon_greedy", "end": 0.02, "steps": 1500}
    mfq = {"exploration": {**exploration, "stickiness": 0.9}, "gamma": 0.0, "pairing": "current"}
    assert config.agent == build(QConfig, mfq)
    assert preset("squeeze", "iql").agent == build(
        QConfig, {"exploration": exploration, "gamma": 0}
    )
    assert preset("squeeze", "mfac").agent.gamma == 0.0


def test_the_authors_actor_critic():
    assert chosen(AUTHORS, AUTHORS_ACTOR_CRITIC) == AUTHORS_ACTOR_CRITIC


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithms": {"mfca": {}}}, "algorithms has 'mfca'; allowed: mfq, iql, mfac, ac"),
        (
            {"algo": "mfac", "agent": {"exploration": {}}},
            "agent, of algo='mfac': ACConfig has no field 'exploration'.*under algorithms",
        ),
    ],
)
def test_options_of_no_algorithm_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        run_config(options)
