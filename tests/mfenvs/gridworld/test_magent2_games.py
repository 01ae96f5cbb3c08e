"""Bit for bit MAgent2's other games, through the PettingZoo API: a naive model of each, and ours.

`python -m tests.mfenvs.gridworld.lockstep` plays more of the same.
"""

import pytest

pytest.importorskip("magent2", reason="no magent2 to compare with")
from tests.mfenvs.gridworld.lockstep import (
    PLANS,
    REWARDS,
    SIDES,
    Players,
    Tally,
    compare,
    magent2_env,
    options_of,
    other_env,
)

pytestmark = pytest.mark.third_party

SEEDS = (None, 0, 5, 2**31 + 5)
STYLES = (
    {"rushing": 0.9, "silent": 0.03},
    {"rushing": 0.0, "silent": 0.0},
    {"rushing": 0.7, "silent": 0.1, "brawl": 0.5},
    {"rushing": 1.0, "silent": 0.0, "brawl": 0.0, "dead_speak": False},
    {"rushing": 0.5, "silent": 0.4},
)


@pytest.mark.parametrize("minimap_mode", [False, True])
@pytest.mark.parametrize("extra_features", [False, True])
@pytest.mark.parametrize(("game", "side"), SIDES)
def test_episodes(game, side, minimap_mode, extra_features):
    """Fifteen: five sizes or players, three episodes each."""
    sizes, steps, every, least = PLANS[game]
    shown = {"minimap_mode": minimap_mode, "extra_features": extra_features}
    tally = Tally()
    for k, style in enumerate(STYLES):
        options = options_of(sizes[k % len(sizes)], max_cycles=steps - k, **shown)
        seeds = [SEEDS[k % 4], None, SEEDS[k % 3]]
        compare(game, side, options, seeds, Players(seed=k, **style), tally, steps + 1, every)
    assert tally.episodes == 15
    assert tally.truncations + tally.wipe_outs == 15
    assert tally.deaths >= least


@pytest.mark.parametrize(("game", "side"), SIDES)
def test_rewards(game, side):
    sizes, steps, *_ = PLANS[game]
    tally, names = Tally(), [None, *REWARDS[game]]
    for k, name in enumerate(names):
        given = REWARDS[game] if name is None else {name: REWARDS[game][name]}
        options = options_of(sizes[-1 - k % len(sizes)], extra_features=True, **given)
        compare(game, side, options, [k], Players(seed=k), tally, min(steps, 12), every=4)
    assert tally.episodes == len(names)
    assert len(tally.rewards) >= 4


@pytest.mark.parametrize("seed", [None, 0, 1, 7, 2**31 - 1, 2**31, 2**32 - 2, 2**45 + 3])
@pytest.mark.parametrize(
    ("game", "side"), [pair for pair in SIDES if pair[0] in ("adversarial_pursuit", "tiger_deer")]
)
def test_constructor_seeds(game, side, seed):
    """The first reset goes on with the generator, after the constructor's placing."""
    options = {"map_size": 15, "max_cycles": 8, "extra_features": True}
    if seed is not None:
        options["seed"] = seed
    compare(game, side, options, [None, None, 5, None], Players(seed=2), Tally(), every=4)


@pytest.mark.parametrize(("game", "side"), SIDES)
def test_defaults(game, side):
    compare(game, side, {}, [None, None], Players(seed=4), Tally(), steps=12, every=6)
    ours, theirs = other_env(game, side), magent2_env(game)
    config = ours.config if side == "model" else ours.game.config
    assert (config.max_cycles, config.map_size) == (theirs.max_cycles, theirs.map_size)


@pytest.mark.parametrize(
    "side", [side for game, side in SIDES if (game, side) == ("battlefield", "mfenvs")]
)
def test_a_battlefield_of_51_is_refused(side):
    """One of its walls would be in the border."""
    with pytest.raises(AssertionError):
        magent2_env("battlefield", map_size=51)
    with pytest.raises(ValueError, match=r"map_size=51.*allowed"):
        other_env("battlefield", side, map_size=51)


@pytest.mark.parametrize("side", [side for game, side in SIDES if game == "battlefield"])
def test_a_battlefield_to_the_last_agent(side):
    tally, players = Tally(), Players(rushing=0.5, silent=0.0, brawl=0.0, seed=2)
    compare("battlefield", side, {"map_size": 57}, [2], players, tally, steps=1000, every=100)
    assert (tally.wipe_outs, tally.truncations) == (1, 0)


@pytest.mark.parametrize("side", [side for game, side in SIDES if game == "tiger_deer"])
def test_unfed_tigers_starve_in_the_hundredth_step(side):
    tally, idle = Tally(), Players(rushing=0.0, silent=1.0)
    compare("tiger_deer", side, {"map_size": 10}, [3], idle, tally, steps=120, every=20)
    assert (tally.steps, tally.wipe_outs) == (100, 1)


@pytest.mark.parametrize("side", [side for game, side in SIDES if game == "adversarial_pursuit"])
@pytest.mark.parametrize("map_size", [7, 8])
def test_pursuit_without_predators(side, map_size):
    """MAgent2 ends it after a step. Ours refuses such a map."""
    arguments = ("adversarial_pursuit", side, {"map_size": map_size}, [2, None], Players(), Tally())
    if side == "mfenvs":
        with pytest.raises(ValueError, match="allowed"):
            compare(*arguments)
        return
    compare(*arguments)
    tally = arguments[-1]
    assert (tally.steps, tally.wipe_outs) == (2, 2)


@pytest.mark.parametrize("side", [side for game, side in SIDES if game == "gather"])
def test_a_rush_at_food(side):
    """Many pieces of food are bitten by several agents at once."""
    tally, rush = Tally(), Players(rushing=0.97, silent=0.0, brawl=0.0)
    compare("gather", side, {}, [1], rush, tally, steps=60, every=30)
    assert tally.deaths > 200


@pytest.mark.parametrize(
    ("game", "side"), [pair for pair in SIDES if pair[0] in ("adversarial_pursuit", "tiger_deer")]
)
@pytest.mark.parametrize("map_size", [99, 100, 104, 113])
def test_many_agents_on_bands(game, side, map_size):
    options = {"map_size": map_size, "minimap_mode": map_size == 104}
    compare(game, side, options, [2], Players(rushing=0.6), Tally(), steps=10, every=9)


@pytest.mark.parametrize(("game", "side"), SIDES)
def test_starts_of_all_sizes(game, side):
    """The first observations and states, of two episodes."""
    sizes = {
        "adversarial_pursuit": range(10, 70, 7),
        "battlefield": (*range(46, 51), *range(52, 131, 6)),
        "combined_arms": range(16, 75, 5),
        "gather": (None,),
        "tiger_deer": range(10, 70, 7),
    }[game]
    for size in sizes:
        compare(game, side, options_of(size), [size, None], Players(), Tally(), steps=1)


@pytest.mark.parametrize("game", list(PLANS))
def test_the_first_step_after_construction_copies_no_actions(game):
    """Without a reset MAgent2 knows how many agents each group has. Ours demands a reset."""
    sizes, steps, every, _ = PLANS[game]
    options = options_of(sizes[0], extra_features=True)
    compare(game, "model", options, [None, 3], Players(), Tally(), steps, every, reset=False)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"seed": 3}, "differs at"),
        ({"tag_penalty": -0.25}, "has 0.75, not 0.8"),
        ({"max_cycles": 4}, "has True"),
    ],
    ids=str,
)
def test_a_comparison_reports_differences(changed, what):
    arguments = ("adversarial_pursuit", "model", {"map_size": 12}, [None], Players(), Tally())
    compare(*arguments, steps=10)
    with pytest.raises(AssertionError, match=what):
        compare(*arguments, steps=10, changed=changed)
