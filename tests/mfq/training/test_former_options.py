"""Options by their former names, and what is said of options that do not fit."""

import pytest

from mfq.agents.ac_config import ACConfig
from mfq.agents.q_config import QConfig
from mfq.agents.registry import FORMER_NETWORKS, agent_config
from mfq.common.config import build
from mfq.training.config import PRESETS, RunConfig, preset, run_config

Q = {
    "policy": ("epsilon_greedy", "exploration", "policy"),
    "explore_start": (0.5, "exploration", "start"),
    "explore_end": (0.5, "exploration", "end"),
    "explore_steps": (7, "exploration", "steps"),
    "explore_rounds": (7, "exploration", "episodes"),
    "coherent_start": (0.5, "exploration", "coherent_start"),
    "coherent_steps": (7, "exploration", "coherent_steps"),
    "coherent_concentration": (0.5, "exploration", "coherent_concentration"),
    "filters": (7, "network", "filters"),
    "stride": (2, "network", "stride"),
    "hidden": ((7,), "network", "hidden"),
    "agent_embedding": (7, "network", "agent_embedding"),
    "learning_rate": (0.5, "optimizer", "learning_rate"),
    "learning_rate_steps": (7, "optimizer", "learning_rate_steps"),
    "learning_rate_end": (0.5, "optimizer", "learning_rate_end"),
    "batch_size": (7, "optimizer", "batch_size"),
    "clip_gradient": (0.5, "optimizer", "clip_gradient"),
    "replay": ("ring", "replay", "kind"),
    "replay_size": (7, "replay", "size"),
    "learn_after": (7, "replay", "learning_starts"),
    "learning_starts": (7, "replay", "learning_starts"),
    "updates_per_step": (7, "replay", "updates_per_step"),
    "samples_per_transition": (0.5, "replay", "samples_per_insert"),
    "samples_per_insert": (0.5, "replay", "samples_per_insert"),
}
AC = {
    "pictures": ("conv", "network", "pictures"),
    "mean_hidden": ((7,), "network", "mean_hidden"),
    "shared_trunk": (True, "network", "shared_trunk"),
    "actor_learning_rate": (0.5, "optimizer", "actor_learning_rate"),
    "critic_learning_rate": (0.5, "optimizer", "critic_learning_rate"),
    "learning_rate_left": (0.5, "optimizer", "learning_rate_left"),
    "round_steps": (7, "rollout", "steps"),
    "updates_per_round": (7, "rollout", "updates"),
    "value_weight": (0.5, "rollout", "value_weight"),
    **{
        name: Q[name]
        for name in (
            "hidden",
            "agent_embedding",
            "learning_rate_steps",
            "batch_size",
            "clip_gradient",
            "replay_size",
            "learn_after",
            "learning_starts",
            "updates_per_step",
            "samples_per_transition",
            "samples_per_insert",
        )
    },
}
RUN = {
    "evaluate_every": (7, "evaluation", "every"),
    "evaluation_episodes": (7, "evaluation", "episodes"),
    "evaluation_envs": (7, "evaluation", "num_envs"),
    "evaluate_against": (("rush",), "evaluation", "against"),
    "log_every": (7, "log", "every"),
    "tensorboard": (True, "log", "tensorboard"),
    "save_every": (7, "checkpoints", "every"),
    "save_replay": (False, "checkpoints", "replay"),
}


@pytest.mark.parametrize(
    ("kind", "former", "value", "part", "name"),
    [
        (kind, former, *place)
        for kind, places in ((QConfig, Q), (ACConfig, AC), (RunConfig, RUN))
        for former, place in places.items()
    ],
)
def test_a_former_name_is_its_present_one(kind, former, value, part, name):
    config = build(kind, {former: value})
    assert getattr(getattr(config, part), name) == value
    assert config == build(kind, {part: {name: value}})


def test_options_that_an_algorithm_ignores_are_dropped_from_older_checkpoints():
    old = {"agent": {"pairing": "previous", "iterations": 0, "gamma": 0.5}, "actor_critic": {}}
    then = {"gamma": 0.5, "play": "greedy", "network": FORMER_NETWORKS[QConfig]}
    assert agent_config("iql", old) == QConfig(**then)
    assert agent_config("mfq", old) == QConfig(pairing="previous", **then)


@pytest.mark.parametrize("algo", ["mfq", "mfac"])
def test_options_that_a_checkpoint_lacks_are_those_of_its_time(algo):
    config = agent_config(algo, {"agent": {"gamma": 0.5}})
    assert (config.gamma, config.pairing, config.play) == (0.5, "current", "greedy")
    kept = {"pairing": "previous", "play": "sample"}
    config = agent_config(algo, {"agent": kept})
    assert (config.pairing, config.play) == ("previous", "sample")


def test_every_alias_is_tested():
    assert QConfig.ALIASES.keys() == Q.keys() | {"reconsider"}
    assert ACConfig.ALIASES.keys() == AC.keys()
    assert RunConfig.ALIASES.keys() == RUN.keys() | {"rounds"}
    assert build(QConfig, {"reconsider": 0.25}).exploration.stickiness == 0.75
    assert build(RunConfig, {"rounds": 7}).episodes == 7


def test_an_actor_critics_options_may_have_their_former_place():
    old = {"algo": "mfac", "agent": {"explore_end": 0.5}, "actor_critic": {"entropy": 0.5}}
    assert run_config(old).agent == ACConfig(entropy=0.5, network=FORMER_NETWORKS[ACConfig])
    then = {"pairing": "current", "play": "greedy", "network": FORMER_NETWORKS[QConfig]}
    assert run_config({**old, "algo": "mfq"}).agent == build(QConfig, {"explore_end": 0.5, **then})


@pytest.mark.parametrize("algo", ["mfq", "iql", "mfac", "ac"])
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_one_of_every_algorithm(name, algo):
    assert preset(name, algo).algo == algo


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"evaluate_every": 7, "evaluation": {"every": 9}}, "evaluation.every are both given"),
        ({"evaluation": {"every": 9}, "evaluate_every": 7}, "evaluation.every are both given"),
        ({"rounds": 3, "episodes": 5}, "episodes are both given"),
        ({"agent": {"network": 3, "hidden": [4]}}, "hidden beside network=3"),
        ({"agent": {"reconsider": "often"}}, "reconsider='often'; allowed: a number"),
        ({"agent": 3}, "agent=3"),
        ({"agent": {1: 2}}, "a mapping of field names"),
        ({"agent": {"mean_field": 3}}, "mean_field=3"),
        ({"graph": 3}, "graph=3"),
        ({"algorithms": ["mfq"]}, r"algorithms=\['mfq'\]"),
        ({"algorithms": {"mfq": None}}, "allowed: a mapping of field names"),
        ({"algo": "mfac", "algorithms": {"mfq": {"nope": 1}}}, "QConfig has no field 'nope'"),
        ({"algo": ":"}, "':'.*allowed: MODULE:NAME"),
    ],
)
def test_options_that_do_not_fit_are_named(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        run_config(options)
