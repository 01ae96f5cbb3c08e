import math

import numpy as np
import pytest

from mfenvs.engine.backend import CpuBackend
from mfenvs.ising import exact
from mfenvs.ising.exact import (
    MonteCarlo,
    critical_temperature,
    monte_carlo,
    onsager_magnetisation,
    weiss_critical_temperature,
    weiss_magnetisation,
)
from tests.reference import ising_monte_carlo as naive

METHODS = ("heat_bath", "metropolis", "wolff")
SIGMAS = 4.0
# <|m|> at side 20 from long independent runs, to three digits.
SIDE_20 = {0.8: 0.980, 0.9: 0.957, 1.0: 0.912, 1.1: 0.790, 1.2: 0.453, 1.4: 0.171}
FIELD = np.array([[0.4, -0.2, 0.0], [0.1, 0.0, -0.3], [0.25, 0.4, -0.1]])


@pytest.fixture
def last_chains(monkeypatch):
    """The chains of each run, as they end."""
    chains = []

    def start(*arguments, start_chains=exact.start_chains):
        chains.append(start_chains(*arguments))
        return chains[-1]

    monkeypatch.setattr(exact, "start_chains", start)
    return chains


class PlainBackend(CpuBackend):
    """Calls rules as ordinary Python."""

    def __init__(self, device):
        assert device == "cpu"
        super().__init__()

    def run(self, rule, extent, *arguments, work=1):
        for index in np.ndindex(*extent):
            rule(*index, *arguments)


def same(one: MonteCarlo, other: MonteCarlo) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# Closed forms


def test_onsager_has_the_known_values():
    tau = np.array([0.6, 0.8, 0.9, 1.0, 1.1])
    known = [0.997, 0.9796, 0.9569, 0.9113, 0.7848]
    assert onsager_magnetisation(tau) == pytest.approx(known, abs=6e-5)
    assert (onsager_magnetisation([critical_temperature(), 1.2, 50.0, 1e300]) == 0.0).all()
    assert onsager_magnetisation(1e-300) == 1.0
    just_below = critical_temperature() * (1 - 1e-12)
    assert 0.01 < onsager_magnetisation(just_below) < 0.1


def test_closed_forms_keep_shapes_and_scale_with_the_coupling():
    assert critical_temperature() == pytest.approx(1.134593, abs=5e-7)
    assert critical_temperature(0.3) == pytest.approx(0.3 / math.log(1 + math.sqrt(2)))
    assert (weiss_critical_temperature(), weiss_critical_temperature(0.3)) == (2.0, 0.6)
    tau = np.linspace(0.3, 2.4, 12).reshape(3, 4)
    for function in (onsager_magnetisation, weiss_magnetisation):
        once, scaled = function(tau), function(3.0 * tau, coupling=3.0)
        assert once.shape == (3, 4)
        assert once.dtype == np.float64
        assert scaled == pytest.approx(once, abs=1e-12)
        assert isinstance(function(1), float)
        assert function([]).shape == (0,)


def test_weiss_has_the_known_values():
    tau = [0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5]
    known = [0.986, 0.958, 0.907, 0.829, 0.710, 0.525, 0.0, 0.0]
    assert weiss_magnetisation(tau) == pytest.approx(known, abs=6e-4)
    assert weiss_magnetisation(1e-300, field=[0.0, 0.1, -0.1]).tolist() == [1.0, 1.0, -1.0]
    # Against its neighbours, the field alone decides how far a cold spin turns.
    assert weiss_magnetisation(1e-300, -0.5, 0.2) == pytest.approx(0.2)


@pytest.mark.parametrize("coupling", [1.0, 0.7, 0.0, -0.5])
def test_weiss_solves_its_equation(coupling):
    tau = np.r_[0.01, np.linspace(0.1, 3.0, 30), 2.0 * (1 - 1e-9), 1e300][:, None]
    field = np.array([0.0, 1e-9, 0.2, -0.2, -3.0])
    found = weiss_magnetisation(tau, coupling, field)
    assert found == pytest.approx(np.tanh((field + 2 * coupling * found) / tau), abs=1e-12)
    assert (found * np.sign(field) >= 0).all()
    assert (found[:, 0] >= 0).all()
    if coupling > 0:
        # Iterating from full order meets the largest solution first.
        value = np.ones(3)
        for _ in range(2000):
            value = np.tanh(([0.0, 0.2, 0.2] + 2 * coupling * value) / [0.9, 0.9, 2.5])
        rows = weiss_magnetisation([0.9, 0.9, 2.5], coupling, [0.0, 0.2, 0.2])
        assert rows == pytest.approx(value, abs=1e-12)


# The moves


@pytest.mark.parametrize("method", METHODS)
def test_rules_as_ordinary_python_give_the_same_bits(method, last_chains, monkeypatch):
    field = 0.0 if method == "wolff" else FIELD
    options = {"coupling": 0.7, "field": field, "method": method, "seed": 5, "initial": "random"}
    run = {"sweeps": 24, "burn_in": 6, "chains": 2}
    machine = monte_carlo(3, [0.7, 1.5], **options, **run)
    monkeypatch.setattr(exact, "get_backend", PlainBackend)
    plain = monte_carlo(3, [0.7, 1.5], **options, **run)
    assert same(machine, plain)
    for ours, theirs in zip(*last_chains, strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("method", METHODS)
def test_a_naive_loop_gives_the_same_spins_and_estimates(method, last_chains):
    side, tau, coupling, sweeps, seed = 5, [0.8, 1.3], 0.9, 150, 17
    field = np.zeros((side, side))
    if method != "wolff":
        field = np.random.default_rng(0).normal(0.0, 0.3, (side, side))
    ours = monte_carlo(side, tau, coupling, field, method, sweeps, burn_in=0, chains=2, seed=seed)
    (chain,) = last_chains
    for k, level in enumerate(tau):
        series = []
        for c in range(2):
            key = naive.chain_key(seed, k, c)
            spins, one = naive.simulate(method, side, level, coupling, field, sweeps, key)
            assert np.array_equal(2 * chain.spin[c * 2 + k] - 1, np.ravel(spins))
            series.append(one)
        magnetisation, energy = np.stack(series, axis=1)
        assert ours.order_parameter[k] == pytest.approx(magnetisation.mean())
        assert ours.energy[k] == pytest.approx(energy.mean())
        error = naive.reported_error(magnetisation)
        assert ours.order_parameter_error[k] == pytest.approx(error)
        assert ours.energy_error[k] == pytest.approx(naive.reported_error(energy))
        inflation = error / naive.binned_error(magnetisation, 1)
        assert ours.autocorrelation_time[k] == pytest.approx(inflation**2 / 2)


@pytest.mark.parametrize(
    ("method", "coupling", "field"),
    [
        ("heat_bath", 0.7, FIELD),
        ("metropolis", 0.7, FIELD),
        ("heat_bath", -0.7, 0.2),
        ("metropolis", -0.7, 0.2),
        ("heat_bath", 0.7, 0.0),
        ("metropolis", 0.7, 0.0),
        ("wolff", 0.7, 0.0),
    ],
)
def test_nine_spins_match_the_sum_over_all_states(method, coupling, field):
    tau = [0.5, 0.8, 1.5, 6.0]
    run = monte_carlo(3, tau, coupling, field, method, sweeps=20_000, burn_in=200, seed=3)
    fields = np.broadcast_to(field, (3, 3))
    for k, level in enumerate(tau):
        order, energy = naive.enumerate_exactly(3, level, coupling, fields)
        assert abs(run.order_parameter[k] - order) < SIGMAS * run.order_parameter_error[k]
        assert abs(run.energy[k] - energy) < SIGMAS * run.energy_error[k]
    assert (run.order_parameter_error < 0.004).all()
    assert run.plateau.all()


# The physics


@pytest.fixture(scope="module")
def side_20():
    """A long run per method; Wolff's sweeps decorrelate, so that it needs fewer."""
    tau, sweeps = list(SIDE_20), {"heat_bath": 20_000, "metropolis": 6_000, "wolff": 3_000}
    run = {"burn_in": 500, "seed": 1}
    return {m: monte_carlo(20, tau, method=m, sweeps=sweeps[m], **run) for m in METHODS}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("one", "other"),
    [("heat_bath", "metropolis"), ("heat_bath", "wolff"), ("metropolis", "wolff")],
)
def test_methods_agree(side_20, one, other):
    a, b = side_20[one], side_20[other]
    gap = np.abs(a.order_parameter - b.order_parameter)
    assert (gap < SIGMAS * np.hypot(a.order_parameter_error, b.order_parameter_error)).all()
    gap = np.abs(a.energy - b.energy)
    assert (gap < SIGMAS * np.hypot(a.energy_error, b.energy_error)).all()


@pytest.mark.parametrize("method", METHODS)
def test_side_20_matches_the_reference_table(side_20, method):
    run = side_20[method]
    assert run.plateau.all()
    gap = np.abs(run.order_parameter - list(SIDE_20.values()))
    # The floor covers the table's rounding and its own error.
    assert (gap < SIGMAS * run.order_parameter_error + 0.003).all()
    # The worst is Metropolis at 1.2, with some .015.
    assert (run.order_parameter_error < 0.02).all()


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_side_64_matches_onsager_below_the_critical_temperature(method):
    tau = np.array([0.8, 0.9, 1.0])
    run = monte_carlo(64, tau, method=method, sweeps=1500, burn_in=200, chains=2)
    gap = np.abs(run.order_parameter - onsager_magnetisation(tau))
    # The floor is for the finite side; errors are .0001 to .0015.
    assert (gap < SIGMAS * run.order_parameter_error + 0.0005).all()
    assert (run.order_parameter_error < 0.002).all()


def test_coupling_sets_the_scale_of_temperature_and_its_sign_the_order(last_chains):
    tau = np.array([0.8, 1.0, 1.4])
    ferro = monte_carlo(6, tau, coupling=1.0)
    # On an even torus flipping one colour maps one sign onto the other.
    anti = monte_carlo(6, 2.0 * tau, coupling=-2.0, seed=1)
    error = np.hypot(ferro.energy_error, anti.energy_error / 2)
    assert (np.abs(ferro.energy - anti.energy / 2) < SIGMAS * error).all()
    assert (anti.order_parameter < 0.2).all()
    y, x = np.divmod(np.arange(36), 6)
    staggered = ((2.0 * last_chains[1].spin - 1) * (1 - 2 * ((y + x) & 1))).mean(axis=1)
    assert (np.abs(staggered[::3]) > 0.8).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_lattice_freezes_at_low_temperature(method):
    run = monte_carlo(8, [1e-300, 0.02], method=method, sweeps=50, burn_in=10)
    assert (run.order_parameter == 1.0).all()
    assert (run.energy == -2.0).all()
    assert (run.order_parameter_error == 0.0).all()
    assert (run.autocorrelation_time == 0.5).all()


def test_hot_spins_are_coins():
    for method in METHODS:
        run = monte_carlo(20, 1e9, method=method, sweeps=4000, burn_in=200)
        # sqrt(2 / (pi N)), up to terms in 1 / N.
        assert run.order_parameter == pytest.approx(0.0399, abs=0.001)
        assert abs(run.energy) < SIGMAS * run.energy_error


# The errors


@pytest.mark.slow
@pytest.mark.parametrize(("method", "sweeps"), [("heat_bath", 6000), ("wolff", 500)])
def test_reported_errors_are_the_spread_over_independent_runs(method, sweeps):
    runs = monte_carlo(12, np.full(200, 1.2), method=method, sweeps=sweeps, burn_in=500, chains=1)
    for values, errors in [
        (runs.order_parameter, runs.order_parameter_error),
        (runs.energy, runs.energy_error),
    ]:
        # 200 runs give the spread to 5%, and binning falls short by some 5%.
        assert 0.85 < np.sqrt(np.mean(errors**2)) / values.std(ddof=1) < 1.15
    if method == "heat_bath":
        # As if sweeps were independent: far too small.
        naive_error = runs.order_parameter_error / np.sqrt(2.0 * runs.autocorrelation_time)
        assert np.sqrt(np.mean(naive_error**2)) < runs.order_parameter.std(ddof=1) / 4
        assert 10 < runs.autocorrelation_time.mean() < 20


def test_a_run_too_short_for_a_plateau_says_so():
    short = monte_carlo(20, [0.8, 1.2], sweeps=40, burn_in=500, chains=1)
    assert not short.plateau[1]
    assert monte_carlo(20, 0.8, sweeps=2000).plateau


def test_wolff_flips_a_lattice_a_sweep(last_chains):
    monte_carlo(20, [0.8, 1.2, 3.0], method="wolff", sweeps=2, burn_in=2000, chains=1)
    chain = last_chains[0]
    flipped = chain.clusters * chain.flipped / chain.grown
    assert chain.clusters[0] == 1
    assert chain.clusters[2] > 50
    assert flipped[1:] == pytest.approx(400, rel=0.2)
    # Without a burn-in to count in.
    monte_carlo(20, 3.0, method="wolff", sweeps=2, burn_in=1, chains=1)
    assert last_chains[1].clusters == 1


# Streams


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_fixes_the_run(method):
    run = {"method": method, "sweeps": 60, "burn_in": 10}
    once = monte_carlo(6, [0.9, 1.4], seed=3, **run)
    assert same(once, monte_carlo(6, [0.9, 1.4], seed=3, **run))
    assert not same(once, monte_carlo(6, [0.9, 1.4], seed=4, **run))


@pytest.mark.parametrize("method", METHODS)
def test_a_chain_depends_on_its_own_stream_alone(method, last_chains, monkeypatch):
    run = {"method": method, "sweeps": 60, "burn_in": 10, "initial": "random"}
    monte_carlo(6, [1.1, 1.4], chains=4, **run)
    monte_carlo(6, [1.1, 1.4, 2.0], chains=1, **run)
    single = monte_carlo(6, 1.1, chains=1, **run)
    # Chunks are for Ctrl-C and for the threads only.
    monkeypatch.setattr(exact, "CHUNK", 7 * 36)
    assert same(single, monte_carlo(6, 1.1, chains=1, **run))
    many, three, one, chunked = last_chains
    for values, fewer, single_values, again in zip(many, three, one, chunked, strict=True):
        assert np.array_equal(values[0], single_values[0])
        assert np.array_equal(fewer[0], single_values[0])
        assert np.array_equal(again, single_values)
    assert np.array_equal(many.spin[1], three.spin[1])
    assert len(np.unique(many.key)) == 8
    assert len(np.unique(many.spin, axis=0)) > 4


def test_results_have_the_shape_of_tau():
    grid = monte_carlo(4, np.full((2, 3), 1.0), sweeps=100, chains=3)
    assert grid.sweeps == 300
    assert {np.shape(values) for values in grid[:-1]} == {(2, 3)}
    single = monte_carlo(4, 1, sweeps=100)
    assert {np.shape(values) for values in single[:-1]} == {()}
    assert isinstance(single.order_parameter, float)
    assert f"{single.order_parameter:.2f}"


def test_initial_spins(last_chains):
    for initial in ("up", "down", "random"):
        monte_carlo(8, 1e-300, method="wolff", sweeps=2, burn_in=0, initial=initial)
    up, down, random = (chain.spin for chain in last_chains)
    # Two cold clusters restore the whole lattice.
    assert up.all()
    assert not down.any()
    assert 0 < random.mean() < 1


def test_a_cold_cluster_is_the_whole_lattice(last_chains):
    monte_carlo(8, 1e-300, method="wolff", sweeps=2, burn_in=3, initial="up")
    (chain,) = last_chains
    assert (chain.grown > 0).all()
    assert (chain.flipped == 64 * chain.grown).all()


# Bad input


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (ValueError, "side=2", {"side": 2}),
        (TypeError, "side=4.0", {"side": 4.0}),
        (ValueError, "tau=0", {"tau": 0}),
        (ValueError, "tau=.*-1", {"tau": [1.0, -1.0]}),
        (ValueError, "tau=nan", {"tau": math.nan}),
        (ValueError, "tau=inf", {"tau": math.inf}),
        (TypeError, "tau='hot'", {"tau": "hot"}),
        (TypeError, "tau=None", {"tau": None}),
        (TypeError, "tau=", {"tau": [[1.0], [1.0, 2.0]]}),
        (ValueError, "tau=.*at least one", {"tau": []}),
        (ValueError, "coupling=nan", {"coupling": math.nan}),
        (TypeError, "coupling='1'", {"coupling": "1"}),
        (ValueError, "field=nan", {"field": math.nan}),
        (ValueError, r"field has shape \(3,\)", {"field": [1.0, 2.0, 3.0]}),
        (ValueError, "method='gibbs'.*'heat_bath'", {"method": "gibbs"}),
        (ValueError, r"method=\['wolff'\]", {"method": ["wolff"]}),
        (ValueError, "field=0.1.*wolff", {"field": 0.1, "method": "wolff"}),
        (ValueError, "coupling=-1.*wolff", {"coupling": -1, "method": "wolff"}),
        (TypeError, "sweeps=10.0", {"sweeps": 10.0}),
        (TypeError, "sweeps=True", {"sweeps": True}),
        (ValueError, "sweeps=1;", {"sweeps": 1}),
        (TypeError, "burn_in=None", {"burn_in": None}),
        (ValueError, "burn_in=-1", {"burn_in": -1}),
        (ValueError, "chains=0", {"chains": 0}),
        (TypeError, "chains='2'", {"chains": "2"}),
        (ValueError, "seed=-1", {"seed": -1}),
        (ValueError, "seed=4611686018427387904", {"seed": 2**62}),
        (TypeError, "seed=0.5", {"seed": 0.5}),
        (ValueError, "initial='warm'", {"initial": "warm"}),
    ],
)
def test_monte_carlo_refuses(error, message, options, last_chains):
    with pytest.raises(error, match=message):
        monte_carlo(**{"side": 4, "tau": 1.0, "sweeps": 10, "burn_in": 0, **options})
    assert not last_chains


@pytest.mark.parametrize("function", [onsager_magnetisation, weiss_magnetisation])
def test_closed_forms_refuse(function):
    for tau, error in [(0.0, ValueError), ([1.0, math.nan], ValueError), ("1", TypeError)]:
        with pytest.raises(error, match="tau="):
            function(tau)
    for coupling, error in [(math.inf, ValueError), ([1.0], TypeError), (None, TypeError)]:
        with pytest.raises(error, match="coupling"):
            function(1.0, coupling)
    with pytest.raises(ValueError, match="field=nan"):
        weiss_magnetisation(1.0, field=math.nan)


@pytest.mark.parametrize("function", [critical_temperature, weiss_critical_temperature])
def test_critical_temperatures_refuse(function):
    for coupling, error in [(0.0, ValueError), (-1.0, ValueError), (math.nan, ValueError)]:
        with pytest.raises(error, match="coupling="):
            function(coupling)
    with pytest.raises(TypeError, match="coupling="):
        function("strong")
