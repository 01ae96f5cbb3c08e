"""check_env passes sound environments and says what is wrong with others."""

import re
import warnings
from pathlib import Path

import pytest

import mfenvs
from mfenvs import EnvError, battle_v0, check_env, gaussian_squeeze_v0, ising_v0
from mfenvs.views.parallel import ParallelEnv
from tests.fakes.broken_parallel_envs import BROKEN, Reborn, Ring
from tests.fakes.toy_game import ToyGame

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from pettingzoo.test import parallel_api_test

YOUR_ENV = Path(__file__).parents[3] / "docs" / "your_env.md"


@pytest.mark.parametrize(
    "make",
    [
        Ring,
        lambda: ising_v0.parallel_env(side=4, update="checkerboard", max_cycles=20),
        lambda: gaussian_squeeze_v0.parallel_env(num_agents=5, max_cycles=9),
        lambda: battle_v0.parallel_env(map_size=12, damage=11.0, max_cycles=40),
        lambda: ParallelEnv(ToyGame),
    ],
    ids=["ring", "ising", "squeeze", "battle", "toy"],
)
def test_sound_environments_pass(make):
    assert check_env(make(), steps=60) is None
    assert check_env(make(), steps=3, episodes=1, seed=9) is None


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_what_is_wrong_is_named(broken):
    with pytest.raises(EnvError, match=f"{broken.__name__} has problems:\n  - ") as caught:
        check_env(broken())
    problems = caught.value.problems
    assert any(re.search(BROKEN[broken], problem) for problem in problems), problems
    assert len(problems) <= 2, problems


def test_several_problems_are_reported_at_once():
    broken = [case for case in BROKEN if case.__name__ in ("NotANumber", "Lingers", "InfosOfNone")]
    with pytest.raises(EnvError) as caught:
        check_env(type("Both", tuple(broken), {})())
    for case in broken:
        assert any(re.search(BROKEN[case], problem) for problem in caught.value.problems)


def test_problems_of_form_hide_no_others():
    """Those after which an episode cannot go on come last."""
    names = (
        "NewSpaces",
        "NotANumber",
        "NoReward",
        "OneInfo",
        "UnknownResults",
        "Lingers",
    )
    broken = [case for case in BROKEN if case.__name__ in names]
    assert len(broken) == len(names)
    with pytest.raises(EnvError) as caught:
        check_env(type("Many", tuple(broken), {})())
    for case in broken:
        matching = [p for p in caught.value.problems if re.search(BROKEN[case], p)]
        assert matching, (case, caught.value.problems)


def test_an_agent_that_stays_after_its_end_is_sent_no_actions():
    class Stays(Ring):
        given = []  # noqa: RUF012

        def step(self, actions):
            self.given.append(set(actions))
            results = super().step({"agent_0": 0, **actions})
            if 3 <= self.time < 6 and "agent_0" not in self.agents:
                self.agents = ["agent_0", *self.agents]
            return results

    with pytest.raises(EnvError) as caught:
        check_env(Stays(), episodes=1)
    (problem,) = caught.value.problems
    assert "'agent_0' terminated or was truncated in step 3 and is still among" in problem
    assert Stays.given[:6] == [set(Ring().possible_agents)] * 3 + [{"agent_1", "agent_2"}] * 3


def test_pettingzoo_s_test_runs_too(capsys, monkeypatch):
    class Mixed(Ring):
        """An environment that the test below refuses."""

    def test(env, num_cycles):
        print("Passed Parallel API test")
        assert num_cycles == 100
        assert not isinstance(env, Mixed), "mixed"

    import pettingzoo.test

    monkeypatch.setattr(pettingzoo.test, "parallel_api_test", test)
    check_env(Ring())
    with pytest.raises(EnvError) as caught:
        check_env(Mixed())
    (problem,) = caught.value.problems
    assert problem.startswith("pettingzoo.test.parallel_api_test: mixed")
    check_env(Mixed(), rebirth=True)  # which its test excludes
    assert capsys.readouterr().out == ""


def test_rebirth_may_be_allowed():
    assert check_env(Reborn(), rebirth=True) is None


def test_who_is_born_is_observed_in_the_same_step():
    class Unseen(Reborn):
        def step(self, actions):
            obs, *others = super().step(actions)
            return ({agent: obs[agent] for agent in actions if agent in obs}, *others)

    with pytest.raises(EnvError) as caught:
        check_env(Unseen(), rebirth=True)
    (problem,) = caught.value.problems
    assert re.search(
        r"'agent_\d' is new among agents after step \d+, which returns no obs", problem
    )


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"env": ising_v0.env(side=4)}, TypeError, "AECEnv ising_v0; allowed: a ParallelEnv"),
        ({"env": ising_v0.batched_env(side=4)}, TypeError, "env is a BatchedEnv"),
        ({"steps": 0}, ValueError, "steps=0"),
        ({"episodes": 1.5}, TypeError, "episodes=1.5"),
        ({"seed": -1}, ValueError, "seed=-1"),
        ({"rebirth": 1}, TypeError, "rebirth=1"),
    ],
)
def test_bad_arguments_are_named(arguments, error, words):
    with pytest.raises(error, match=words):
        check_env(**{"env": Ring(), **arguments})


def test_the_tutorial_s_environment_passes_both_tests():
    code = re.search(r"```python\n(.*?)```", YOUR_ENV.read_text(), re.DOTALL)[1]
    names = {}
    exec(code.partition("view = mfq.wrap")[0], names)
    mfenvs.check_env(names["Convention"]())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(names["Convention"](), num_cycles=50)
