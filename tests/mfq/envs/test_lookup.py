"""Environments by id: with a module, of an old version, played in turns, misspelt."""

import sys

import gymnasium
import pettingzoo
import pytest

import mfq
from mfq.envs import lookup
from mfq.envs.lookup import check_trusted, hint, maker
from mfq.training.environments import full_name
from mfq.training.runner import Runner

MODULE = """
import gymnasium, pettingzoo
from gymnasium.envs.toy_text.cliffwalking import CliffWalkingEnv
from mfenvs import ising_v0

gymnasium.register("mine/Cliff-v2", entry_point=CliffWalkingEnv)
if hasattr(pettingzoo, "register"):
    pettingzoo.register("parallel", "mine/ising-v3", entry_point=ising_v0.parallel_env)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module in the current folder that registers environments."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(lookup, "_trusted", set())
    (tmp_path / "registers.py").write_text(MODULE)
    yield "registers"
    sys.modules.pop("registers", None)
    gymnasium.registry.pop("mine/Cliff-v2", None)
    getattr(pettingzoo, "parallel_registry", {}).pop("mine/ising-v3", None)


def test_an_id_after_the_module_that_registers_it(module):
    with pytest.raises(ValueError, match="has env='registers:mine/Cliff-v2'; loading a file"):
        check_trusted({"env": "registers:mine/Cliff-v2"}, "file")
    env = maker("registers:mine/Cliff-v2", {"max_episode_steps": 3})()
    assert env.spec.max_episode_steps == 3
    check_trusted({"env": "registers:mine/Cliff-v2"}, "file")  # what this process has imported
    assert full_name("registers:mine/Cliff-v2") == "registers:mine/Cliff-v2"
    with pytest.raises(ValueError, match=r"registers registers no such id.*`Clif` doesn't exist"):
        maker("registers:mine/Clif-v2")
    with pytest.raises(ValueError, match="there is no module 'nowhere'"):
        maker("nowhere:Cliff-v2")


@pytest.mark.skipif(not hasattr(pettingzoo, "register"), reason="PettingZoo has no registry")
def test_a_pettingzoo_id_after_the_module_that_registers_it(module):
    env = maker("registers:mine/ising-v3", {"side": 4})()
    assert len(env.possible_agents) == 16
    check_trusted({"env": "registers:mine/ising-v3"}, "file")


def test_an_id_of_a_replaced_version_is_answered_with_the_newer_one():
    with pytest.raises(ValueError, match=r"Pendulum-v0: .* is deprecated.* use `Pendulum-v1`"):
        Runner("Pendulum-v0")


@pytest.mark.skipif(not hasattr(pettingzoo, "register"), reason="PettingZoo has no registry")
def test_a_game_of_turns_says_why_not():
    class Turns(pettingzoo.AECEnv):
        metadata = {"name": "turns_v0"}  # noqa: RUF012

    pettingzoo.register("aec", "mine/turns-v0", entry_point=Turns)
    try:
        with pytest.raises(ValueError, match="turns_v0 is played in turns"):
            Runner("mine/turns-v0")
    finally:
        del pettingzoo.aec_registry["mine/turns-v0"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CartPol-v1", r"did you mean CartPole-v1\? allowed: adversarial_pursuit_v0, battle_v0"),
        ("cartpole", r"did you mean CartPole-v1\? "),
        ("CartPole-v9", r"did you mean CartPole-v1\? "),
        ("NoSuch/Pong-v5", "unknown; .*NoSuch not found.*allowed"),
        ("zzzzzz", "'zzzzzz' is unknown; allowed: adversarial_pursuit_v0, battle_v0"),
    ],
)
def test_an_unknown_id_is_answered_with_the_nearest(name, words):
    assert maker(name) is None
    with pytest.raises(ValueError, match=words):
        Runner(name)


@pytest.mark.skipif(not hasattr(pettingzoo, "register"), reason="PettingZoo has no registry")
def test_pettingzoos_ids_are_near_as_well():
    assert hint("pursuit") == "did you mean sisl/pursuit-v5? "


def test_options_of_gymnasium_make_reach_it():
    view = mfq.wrap(maker("CartPole-v1", {"max_episode_steps": 2})())
    assert mfq.evaluate(view, mfq.Random(), 2)["length"] == 2
