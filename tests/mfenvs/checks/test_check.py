"""The checker passes sound games and finds every broken one, naming the check and the place."""

import random

import numpy as np
import pytest
import torch

from mfenvs.check import CHECKS, ContractError, Trial, check
from mfenvs.ising.game import IsingGame
from tests.fakes.broken_games import BROKEN, PaysTheDead
from tests.fakes.toy_game import ToyGame

STEPS = 20
ISING = [
    {"side": 4, "update": update, "initial": initial, "observe_neighbors": initial != "down"}
    for update in ("synchronous", "checkerboard", "random")
    for initial in ("random", "up", "down")
]
ISING += [
    {"side": 3, "field": 0.3},
    {"side": 3, "coupling": -0.7, "field": [0.0, 0.5, 1.0] * 3},
    {"side": 3, "update": "random", "fraction": 0.1},
    {"side": 6, "update": "checkerboard", "max_cycles": None},
    {"side": 3, "max_cycles": 1, "observe_neighbors": True},
]


def label(options):
    return " ".join(f"{name}={value}" for name, value in options.items())


@pytest.mark.slow
@pytest.mark.parametrize("options", ISING, ids=label)
def test_ising_keeps_the_contract(options):
    report = check(IsingGame, steps=STEPS, **options)
    assert report.passed == tuple(CHECKS)
    assert "deaths" in report.unseen
    assert ("masks" in report.unseen) == (options.get("update", "synchronous") == "synchronous")


@pytest.mark.parametrize(
    "options",
    [{}, {"masked": False}, {"duel": False, "hazard": 0.2}, {"agents": 1, "duel": False}],
    ids=label,
)
def test_a_game_with_deaths_keeps_the_contract(options):
    assert check(ToyGame, steps=STEPS, **options).passed == tuple(CHECKS)


def test_a_run_of_the_toy_game_gives_every_check_its_occasion():
    assert check(ToyGame, steps=2 * STEPS).unseen == {}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.game.__name__)
def test_a_broken_game_fails_the_check_of_the_promise_it_breaks(broken):
    with pytest.raises(ContractError) as caught:
        check(broken.game, steps=STEPS, **broken.options)
    assert caught.value.check == broken.check, caught.value


def test_every_check_has_a_game_that_fails_it():
    assert {broken.check for broken in BROKEN} == set(CHECKS)


def test_every_check_has_a_docstring_of_one_line():
    for run in CHECKS.values():
        assert run.__doc__.endswith(".")
        assert "\n" not in run.__doc__


def test_a_failure_names_the_place_and_can_be_repeated():
    with pytest.raises(ContractError) as caught:
        check(PaysTheDead, steps=STEPS, hazard=0.2)
    where, message = caught.value.where, str(caught.value)
    assert set(where) == {"step", "row", "agent"}
    assert "expected: reward 0 for the dead\n  actual:   1.0\n  where:    step" in message
    assert "'walker_" in message
    repeat = f"check(PaysTheDead, num_rows=3, steps={STEPS}, seed=0, hazard=0.2, max_cycles=5)"
    assert message.endswith(repeat)
    with pytest.raises(ContractError) as again:
        eval(repeat, {"check": check, "PaysTheDead": PaysTheDead})
    assert again.value.where == where


def test_the_error_of_a_game_that_crashes_has_its_cause():
    class Crashes(ToyGame):
        def measures(self, state):
            raise KeyError("living")

    with pytest.raises(ContractError, match="KeyError: 'living'") as caught:
        check(Crashes, steps=STEPS)
    assert caught.value.check == "outputs"
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_check_runs_alone():
    assert CHECKS["deaths"](Trial(IsingGame, steps=STEPS, options={"side": 3})) == "nobody died"


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (ValueError, {"num_rows": 1}),
        (ValueError, {"steps": 19}),
        (ValueError, {"seed": -1}),
        (TypeError, {"steps": 20.0}),
        (TypeError, {"num_rows": True}),
        (TypeError, {"colour": "red"}),
        (ValueError, {"side": 1}),
    ],
)
def test_bad_arguments_are_the_caller_s_mistake(error, arguments):
    with pytest.raises(error, match=next(iter(arguments))) as caught:
        check(IsingGame, **arguments)
    assert "allowed" in str(caught.value)


def test_the_checker_leaves_the_global_generators_alone():
    def states():
        return random.getstate(), np.random.get_state()[1:], torch.get_rng_state()  # noqa: NPY002

    before = states()
    check(IsingGame, steps=STEPS, side=3)
    for one, other in zip(states(), before, strict=True):
        assert str(one) == str(other)


def test_a_report_reads_as_a_list():
    lines = str(check(IsingGame, steps=STEPS, side=3)).splitlines()
    assert [line.split()[0] for line in lines] == list(CHECKS)
    assert "deaths       passed  (nobody died)" in lines
