"""The scripted players of MAgent2's games beside naive ones, in matches, and by hand."""

import numpy as np
import pytest

import mfq
from mfenvs import make_batched
from mfenvs.engine.backend import get_backend
from mfenvs.registry import game_class
from mfenvs.views.parallel import ParallelEnv
from tests.fakes.battle_field import PlainBackend
from tests.fakes.ptx_backend import PtxBackend, why_not
from tests.reference import scripts as naive

# Small games by name: options, and the scripts that they have beside random, hold, rush and focus.
GAMES = {
    "adversarial_pursuit_v0": (
        {"map_size": 17, "counts": {"predator": 5, "prey": 8, "walls": 30}},
        {"hunt": naive.hunt, "flee": naive.flee},
    ),
    "tiger_deer_v0": (
        {"map_size": 14, "counts": {"tiger": 7, "deer": 6, "walls": 25}},
        {"hunt": naive.hunt_in_pairs, "flee": naive.flee},
    ),
    "gather_v0": (
        {
            "map_size": 15,
            "placement": "random",
            "counts": {"omnivore": 9, "food": 9, "walls": 20},
        },
        {"forage": naive.hunt},
    ),
    "combined_arms_v0": ({"map_size": 20}, {}),
    "battlefield_v0": ({"map_size": 46}, {}),
}
SHARED = {"hold": naive.hold, "rush": naive.rush, "focus": naive.focus}


def compared(backend, name, scripts, steps):
    """Plays, and compares the scripts before each step; returns how many actions were attacks."""
    options, _ = GAMES[name]
    game = game_class(name)(game_class(name).configure(options), backend)
    state, last, out = game.allocate(2), game.allocate_step(2), game.allocate_step(2)
    game.reset(state, out, np.array([4, 5]))
    coin, attacks = np.random.default_rng(1), 0
    moves = game.params.units[game.unit_types[: game.num_agents], 3]
    for time in range(steps):
        for script, player in scripts.items():
            actions = game.script(script, state)
            for row in range(2):
                expected = naive.actions_of(player, game, state, row)
                assert actions[row].tolist() == expected, (script, time, row)
            attacks += int((actions >= moves).sum())
        random = game.script("random", state)
        mixed = np.where(coin.random(actions.shape) < 0.7, actions, random)
        last, out = out, last
        game.step(state, mixed, last, out)
    return attacks


@pytest.mark.slow
@pytest.mark.parametrize("name", list(GAMES))
def test_scripts_play_as_the_naive_ones_do(name):
    assert compared(get_backend(), name, SHARED | GAMES[name][1], 40) > 0


@pytest.mark.parametrize("name", ["adversarial_pursuit_v0", "tiger_deer_v0"])
def test_as_plain_python_they_do_so_too(name):
    compared(PlainBackend(), name, GAMES[name][1], 2)


@pytest.mark.parametrize(
    ("name", "options", "side", "script", "others", "measure", "margin"),
    [
        ("adversarial_pursuit_v0", {"map_size": 17}, "predator", "hunt", "random", "tags", 30),
        ("adversarial_pursuit_v0", {"map_size": 17}, "prey", "flee", "hunt", "return", 1),
        ("tiger_deer_v0", {"map_size": 17}, "tiger", "hunt", "random", "kills", 5),
        ("tiger_deer_v0", {"map_size": 17}, "tiger", "hunt", "random", "return", 5),
        ("tiger_deer_v0", {"map_size": 17}, "deer", "flee", "hunt", "return", 0.5),
        ("gather_v0", GAMES["gather_v0"][0], "omnivore", "forage", None, "eaten", 5),
        ("combined_arms_v0", {"map_size": 20}, "red", "focus", "random", "kills", 4),
        ("combined_arms_v0", {"map_size": 20}, "blue", "rush", "random", "kills", 4),
        ("battlefield_v0", {"map_size": 46}, "red", "rush", "random", "kills", 8),
        ("battlefield_v0", {"map_size": 46}, "blue", "focus", "random", "kills", 8),
    ],
)
def test_each_script_beats_random_play(name, options, side, script, others, measure, margin):
    """Over 20 episodes, by more than three standard errors of the difference, and by a margin."""
    view = mfq.wrap(make_batched(name, num_envs=20, max_cycles=100, **options))
    scores = []
    for player in (script, "random"):
        players = {group: player if group == side else others for group in view.group_names}
        played = mfq.matches.evaluate.play(view, players, 20, seed=7)
        record = mfq.matches.evaluate.record_of(played, side)
        scores.append(record.returns if measure == "return" else record.measures[measure])
    gap = scores[0].mean() - scores[1].mean()
    error = np.sqrt((scores[0].var(ddof=1) + scores[1].var(ddof=1)) / 20)
    assert gap > margin
    assert gap > 3 * error


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adversarial_pursuit_v0", "tiger_deer_v0"])
def test_scripts_are_the_same_on_a_gpu(name):
    """No product and sum become one instruction there."""
    if (reason := why_not()) is not None:
        pytest.skip(f"rules cannot be compiled for GPUs here: {reason}")
    backend = PtxBackend()
    game = game_class(name)(game_class(name).configure(GAMES[name][0]), get_backend())
    state, out = game.allocate(1), game.allocate_step(1)
    game.reset(state, out, np.array([1]))
    game.backend = backend
    game.script("hunt", state)  # agents without attacks flee in it
    ((code,),) = [codes.values() for codes in backend.ptx.values()]
    assert ".target sm_90" in code
    assert "fma." not in code


# -- by hand ------------------------------------------------------------------------------------


def scripted(name, script, placement):
    """The actions of a script at the start, by agent."""
    env = ParallelEnv(game_class(name), map_size=20, placement=placement)
    env.reset(seed=1)
    return env.scripted(script)


def test_predators_take_free_sides():
    # predator_0 and predator_1 tag, and leave two nearest sides to predator_2, below and to the right.
    cells = {"predator": [(6, 8), (8, 6), (13, 13)], "prey": [(8, 8)]}
    played = scripted("adversarial_pursuit_v0", "hunt", cells)
    assert [played[f"predator_{k}"] for k in range(3)] == [8, 11, 1]
    assert scripted("adversarial_pursuit_v0", "rush", cells)["predator_2"] == 0


def test_tigers_hunt_in_pairs():
    # tiger_0 waits for tiger_1; tiger_2 has no mate.
    cells = {"deer": [(5, 5), (12, 12)], "tiger": [(5, 6), (5, 9), (12, 13)]}
    played = scripted("tiger_deer_v0", "hunt", cells)
    assert [played[f"tiger_{k}"] for k in range(3)] == [2, 0, 5]
    assert played["deer_1"] == played["deer_0"] == 0, "away from the tigers"
    cells["tiger"][1] = (4, 5)
    played = scripted("tiger_deer_v0", "hunt", cells)
    assert [played[f"tiger_{k}"] for k in range(3)] == [5, 7, 5]


def test_hungry_tigers_do_not_wait():
    cells = {"deer": [(5, 5)], "tiger": [(5, 6), (5, 16)]}
    env = ParallelEnv(
        game_class("tiger_deer_v0"), map_size=20, placement=cells, tiger_step_recover=-1.0
    )
    env.reset(seed=1)
    waited = []
    for _ in range(7):
        played = env.scripted("hunt")
        waited.append(played["tiger_0"] == 2)
        env.step({"tiger_0": 2, "tiger_1": 2, "deer_0": 2})
    assert waited == [True] * 6 + [False], "it has less than 5 hp after 6 steps"


def test_fleeing_deer_keep_off_the_border():
    # The tiger is far to the left; at the right border the deer does not go on.
    cells = {"deer": [(18, 9)], "tiger": [(2, 9)]}
    assert scripted("tiger_deer_v0", "flee", cells)["deer_0"] == 1
    cells = {"deer": [(9, 9)], "tiger": [(7, 9)]}
    assert scripted("tiger_deer_v0", "flee", cells)["deer_0"] == 3


def test_armies_go_around_walls():
    """The armies of battlefield start on both sides of walls."""
    env = make_batched("battlefield_v0", num_envs=2)
    env.reset(seed=1)
    for _ in range(60):
        env.step(env.scripted("rush"))
    assert (env.game.measures(env._state)["red_hits"] > 0).all()


def test_names_of_scripts():
    for name, (_, more) in GAMES.items():
        assert game_class(name).players.keys() == {"random", *SHARED, *more}
