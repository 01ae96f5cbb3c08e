"""Ising: agents that learn from rewards alone, held against exact physics.

The order parameter |m| over the temperature tau, on the same lattice:

- ``mfq``: mean-field Q-learning, keyed on the neighbours' mean action. Q(a, abar) becomes the exact
  reward table, so that its Boltzmann policy is a heat bath, and the population follows Onsager's
  solution and Monte Carlo.
- ``iql-observing``: independent Q-learning that observes its neighbours' spins, keyed on how many are
  up. Here that is the same update as MFQ's, and it learns and does the same.
- ``iql``: independent Q-learning that observes nothing of its neighbours, keyed on nothing. Q(a)
  becomes the reward against the neighbours' average, and the population follows Weiss's mean-field
  theory.
- ``mfq-previous``: the pairing of the authors' code, Q(a_t, abar_{t-1}), all agents at once. It too
  learns an average, and follows Weiss.
- ``monte_carlo``: a heat bath on the same lattice, no learning.

So what an agent hears of its neighbours decides between Onsager and Weiss. A mean action is one way to
hear it, an observation another; ``iql`` differs from ``mfq`` in what it hears, not in how it learns.

All learners start alike, with a *warm-up* of coherent exploration: everybody draws from one coin,
whose chance of "up" rises from .05 to .95. That shows each agent every neighbourhood, and leaves an
ordered lattice, so that no run below the critical temperature is spent in stripes or domains.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from torch import Tensor
from tqdm import tqdm

import mfq
from baselines.report import write_report
from mfenvs import ising_v0
from mfenvs.ising import exact
from mfq.common.files import write_atomically
from mfq.matches.intervals import student
from mfq.policy import Boltzmann, Linear, Mixture

TAUS = (0.6, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2.0, 2.2)
QUICK_TAUS = (0.8, 1.0, 1.2, 1.4, 1.8)
WARM_UP = Linear(0.05, 0.95, 1500)
LEARNING_RATE = 0.1
CHAINS = 4
CONFIDENCE = 0.95


@dataclass(frozen=True)
class IsingStudy:
    """Agents on the Ising lattice, held against exact physics.

    Attributes:
        side: sites along an edge of the torus; even.
        coupling: lambda of eq. 33, above 0.
        field: the same h for all sites. There is no exact curve to draw unless it is 0.
        taus: temperatures of the Boltzmann policy (T = 2 tau). None: from .6 to 2.2 times the coupling.
        seeds: independent populations per tau and method; intervals are over them.
        sweeps: sweeps measured per population; in a sweep each agent chooses once.
        burn_in: sweeps before that, at the same temperature.
        seed: what all random streams derive from.
        quick: fewer temperatures, seeds and sweeps, to see that everything works.
        out: folder for ising.csv, ising.png and config.json. None writes nothing.
    """

    side: int = 20
    coupling: float = 1.0
    field: float = 0.0
    taus: tuple[float, ...] | None = None
    seeds: int = 6
    sweeps: int = 6000
    burn_in: int = 1000
    seed: int = 0
    quick: bool = False
    out: str | None = "runs/ising"

    def __post_init__(self) -> None:
        for name, least in (("seeds", 1), ("sweeps", 1), ("burn_in", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)!r}; allowed: {least} or more")
        if not (math.isfinite(self.coupling) and self.coupling > 0):
            raise ValueError(f"coupling={self.coupling!r}; allowed: a finite number above 0")
        if self.taus is not None and not (
            self.taus and all(math.isfinite(tau) and tau > 0 for tau in self.taus)
        ):
            raise ValueError(f"taus={self.taus!r}; allowed: finite numbers above 0")

    def resolved(self) -> IsingStudy:
        """The study with ``taus`` filled in and ``quick`` applied."""
        scaled = tuple(
            round(tau * self.coupling, 12) for tau in (QUICK_TAUS if self.quick else TAUS)
        )
        study = replace(self, taus=self.taus or scaled)
        if self.quick:
            study = replace(
                study, seeds=min(self.seeds, 2), sweeps=min(self.sweeps, 1000), burn_in=300
            )
        return study


class Method(NamedTuple):
    """One learner and the dynamics that it plays under.

    Attributes:
        mean_field: its table is keyed on the neighbours' mean action.
        observing: its table is keyed on how many neighbours it observes to be up.
        pairing: which mean action a reward is learned with (`mfq.TabularQ`).
        update: who chooses in a step (`ising_v0`).
        steps_per_sweep: steps until each agent has chosen once.
    """

    name: str
    mean_field: bool
    observing: bool
    pairing: str
    update: str
    steps_per_sweep: int


METHODS = (
    Method("mfq", True, False, "current", "checkerboard", 2),
    Method("iql-observing", False, True, "current", "checkerboard", 2),
    Method("iql", False, False, "current", "checkerboard", 2),
    Method("mfq-previous", True, False, "previous", "synchronous", 1),
)


class Result(NamedTuple):
    """One row of ising.csv. NaN where a method has no such number.

    Attributes:
        order_parameter: mean of |m| over sweeps and seeds; low and high bound its 95% interval.
        q_mse: mean squared error of the learned tables against the true rewards.
        exact, monte_carlo, weiss: the references at this tau.
    """

    tau: float
    method: str
    order_parameter: float
    low: float
    high: float
    seeds: int
    q_mse: float
    exact: float
    monte_carlo: float
    weiss: float


def true_rewards(coupling: float, field: float) -> Tensor:
    """r(k, a) of eq. 33 with k of four neighbours up: [5, 2]."""
    around = 2.0 * torch.arange(5.0) - 4.0
    sign = torch.tensor([-1.0, 1.0])
    return sign * (field + coupling / 2 * around[:, None])


def neighbours_up(obs: Tensor) -> Tensor:
    """How many of its four neighbours each site observes to be up.

    Their number, not the 16 patterns: the reward depends on no more, and MFQ knows no more.

    Args:
        obs: float32 [B, N, 6], of an environment with ``observe_neighbors``.

    Returns:
        int64 [B, N], 0 to 4.
    """
    return (obs[..., 2:] > 0).sum(-1)


def train(
    study: IsingStudy, method: Method, tick: Callable[[], object]
) -> tuple[mfq.TabularQ, Tensor]:
    """Trains and measures one method at all temperatures at once; a row is one seed of one tau.

    Args:
        study: resolved.
        method: what to train.
        tick: called after each sweep.

    Returns:
        The agent, of B = taus x seeds rows, and each row's order parameter: float64 [B].
    """
    assert study.taus is not None
    env = ising_v0.batched_env(
        num_envs=len(study.taus) * study.seeds,
        side=study.side,
        coupling=study.coupling,
        field=study.field,
        update=method.update,
        observe_neighbors=method.observing,
        initial="up",
        max_cycles=None,
    )
    view = mfq.wrap(env)
    agent = mfq.TabularQ(
        view,
        mean_field=method.mean_field,
        pairing=method.pairing,
        learning_rate=LEARNING_RATE,
        gamma=0.0,
        num_states=5 if method.observing else None,
        state_of=neighbours_up if method.observing else None,
        seed=study.seed,
    )
    total = torch.zeros(env.num_envs, dtype=torch.float64)

    def sweeps(count: int, step: mfq.Step, measured: bool = False) -> mfq.Step:
        def after(done: int, step: mfq.Step) -> None:
            if done % method.steps_per_sweep == 0:
                if measured:
                    total.add_((2 * step.actions.double().mean(1) - 1).abs_())
                tick()

        return mfq.train(view, agent, count * method.steps_per_sweep, step, after)

    def coin(time: int) -> Tensor:
        up = WARM_UP(time // method.steps_per_sweep)
        return torch.tensor([1 - up, up])

    agent.policy = Mixture(coin)
    step = sweeps(WARM_UP.steps, view.reset(seed=study.seed))
    agent.policy = Boltzmann(torch.tensor(study.taus).repeat_interleave(study.seeds)[:, None, None])
    step = sweeps(study.burn_in, step)
    sweeps(study.sweeps, step, measured=True)

    return agent, total / study.sweeps


def learn(study: IsingStudy, method: Method, tick: Callable[[], object]) -> tuple[Tensor, Tensor]:
    """`train`, and how wrong what was learned is.

    Returns:
        Order parameter and mean squared error of Q, each float64 [taus, seeds].
    """
    agent, orders = train(study, method, tick)
    assert study.taus is not None
    shape = (len(study.taus), study.seeds)
    error = (cells(agent) - true_rewards(study.coupling, study.field)).square().mean((1, 2, 3))
    return orders.reshape(shape), error.double().reshape(shape)


def cells(agent: mfq.TabularQ) -> Tensor:
    """Q of every agent by the number of neighbours up, as far as it tells them apart.

    Returns:
        float32 [B, N, 5, 2]; [B, N, 1, 2] of a learner that hears nothing, whose one cell stands
        for all five.
    """
    # A learner has either states or cells of mean action. The last cell of MFQ, "no neighbour", is
    # never met on a torus.
    return agent.table.flatten(2, 3)[:, :, :5]


def _learn_all(study: IsingStudy, tick: Callable[[], object]) -> list[tuple[Tensor, Tensor]]:
    """`learn` for each of METHODS, two at a time."""
    # One torch thread a method: on tensors this small, torch's own threads mostly wait for each
    # other, and on a busy machine for the scheduler.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    stop = threading.Event()

    def tick_unless_stopped() -> None:
        if stop.is_set():
            raise RuntimeError("stopped, as another method failed or Ctrl-C was pressed")
        tick()

    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(learn, study, method, tick_unless_stopped) for method in METHODS]
        try:
            return [future.result() for future in waiting]
        finally:
            stop.set()
            torch.set_num_threads(threads)


def compare(study: IsingStudy) -> list[Result]:
    """All methods and Monte Carlo at all temperatures, with a progress bar on standard error."""
    study = study.resolved()
    assert study.taus is not None
    taus = np.array(study.taus)
    total = len(METHODS) * (WARM_UP.steps + study.burn_in + study.sweeps)
    with tqdm(total=total, unit="sweep", dynamic_ncols=True, desc="Monte Carlo") as bar:
        chain = exact.monte_carlo(
            study.side,
            taus,
            study.coupling,
            study.field,
            sweeps=5 * study.sweeps,
            burn_in=study.burn_in,
            chains=CHAINS,
            seed=study.seed,
        )
        bar.set_description("agents")
        learned = _learn_all(study, bar.update)
    onsager = exact.onsager_magnetisation(taus, study.coupling)
    if study.field != 0:
        onsager = np.full_like(taus, math.nan)
    weiss = np.abs(exact.weiss_magnetisation(taus, study.coupling, study.field))
    references = list(
        zip(onsager.tolist(), chain.order_parameter.tolist(), weiss.tolist(), strict=True)
    )

    results = []
    for method, (orders, errors) in zip(METHODS, learned, strict=True):
        for tau, order, error, reference in zip(
            study.taus, orders.numpy(), errors.numpy(), references, strict=True
        ):
            found = (float(order.mean()), *student(order), study.seeds, float(error.mean()))
            results.append(Result(tau, method.name, *found, *reference))
    half = stats.norm.ppf((1 + CONFIDENCE) / 2) * chain.order_parameter_error
    for tau, width, reference in zip(study.taus, half.tolist(), references, strict=True):
        mean = reference[1]
        found = (mean, mean - width, mean + width, CHAINS, math.nan)
        results.append(Result(tau, "monte_carlo", *found, *reference))
    return results


# -- what a reader sees -------------------------------------------------------------------------


def table(results: list[Result]) -> str:
    """The results as text, at most 80 columns wide."""
    names = [method.name for method in METHODS]
    by_tau: dict[float, dict[str, Result]] = {}
    for result in results:
        by_tau.setdefault(result.tau, {})[result.method] = result
    # "iql-observing" is wider than its column: "iql-" above "observing".
    heads = [name.partition("-") for name in names]
    above = [first + dash for first, dash, _ in heads]
    below = [second for _, _, second in heads]
    lines = [
        _line("", "exact", "Monte", above, "Weiss"),
        _line("", "", "Carlo", below, ""),
        _line("tau", "", "", ["|m| +- 95%"] * len(names), ""),
    ]
    for tau, row in by_tau.items():
        first = row[names[0]]
        measured = [
            f"{_number(row[name].order_parameter)} {_half_width(row[name])}" for name in names
        ]
        onsager, monte_carlo, weiss = map(_number, (first.exact, first.monte_carlo, first.weiss))
        lines.append(_line(f"{tau:.3g}", onsager, monte_carlo, measured, weiss))
    lines += ["", "Mean squared error of the learned Q against the true rewards:"]
    for name in names:
        errors = [result.q_mse for result in results if result.method == name]
        lines.append(f"  {name:<13}  {min(errors):.2g} to {max(errors):.2g}")
    return "\n".join(lines)


def _line(tau: str, exact: str, monte_carlo: str, measured: list[str], weiss: str) -> str:
    cells = [f"{tau:>5}", f"{exact:>5}", f"{monte_carlo:>5}"]
    return "  ".join([*cells, *(f"{cell:>11}" for cell in measured), f"{weiss:>5}"]).rstrip()


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _half_width(result: Result) -> str:
    return "" if math.isnan(result.low) else f"{(result.high - result.low) / 2:.3f}"


def write_figure(study: IsingStudy, results: list[Result], path: Path) -> Path:
    """ising.png: the order parameter of every method between its two theories."""
    # Without pyplot: a figure of our own touches no global state and needs no screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 5.6), layout="constrained", dpi=150)
    axes = figure.add_subplot()
    top = max(result.tau for result in results) * 1.03
    fine = np.linspace(min(result.tau for result in results) * 0.9, top, 600)
    if study.field == 0:
        onsager = exact.onsager_magnetisation(fine, study.coupling)
        axes.plot(fine, onsager, color="black", lw=1.4, label="Onsager, exact (infinite lattice)")
    weiss = np.abs(exact.weiss_magnetisation(fine, study.coupling, study.field))
    axes.plot(fine, weiss, color="black", lw=1.4, ls="--", label="Weiss mean-field theory")
    looks = {
        "monte_carlo": ("s", "#7f7f7f", f"Monte Carlo, {study.side} x {study.side}", 8),
        "mfq": ("o", "#0072B2", "MFQ (checkerboard)", 5),
        "iql-observing": ("D", "#CC79A7", "IQL that observes its neighbours (checkerboard)", 10),
        "iql": ("^", "#D55E00", "IQL that observes nothing (checkerboard)", 6),
        "mfq-previous": ("x", "#009E73", "MFQ, previous pairing (synchronous)", 6),
    }
    for name, (marker, colour, label, size) in looks.items():
        mine = [result for result in results if result.method == name]
        order = np.array([result.order_parameter for result in mine])
        bars = np.nan_to_num(
            [[r.order_parameter - r.low, r.high - r.order_parameter] for r in mine]
        )
        axes.errorbar(
            [result.tau for result in mine],
            order,
            np.maximum(bars, 0).T,
            fmt=marker,
            color=colour,
            mfc="none" if name in ("iql-observing", "monte_carlo") else colour,
            ms=size,
            zorder=2 if name == "iql-observing" else 3,  # MFQ lies on it
            capsize=2,
            lw=1,
            label=label,
        )
    axes.set(
        xlabel=r"temperature $\tau$ (policy $\propto e^{Q/\tau}$)",
        ylabel=r"order parameter $|m|$",
        xlim=(fine[0], fine[-1]),
        ylim=(-0.02, 1.03),
    )
    if study.field == 0:
        critical = exact.critical_temperature(study.coupling)
        axes.axvline(critical, color="black", lw=0.8, ls=":")
        axes.annotate(r" $\tau_c$", (critical, 0.0), va="bottom")
    figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    return write_atomically(path, figure.savefig)


def run(study: IsingStudy) -> list[Result]:
    """`mfq compare ising`: computes, prints the table, writes the files."""
    results = compare(study)
    study = study.resolved()
    print(
        f"Order parameter on a {study.side} x {study.side} torus, coupling {study.coupling:g}, "
        f"field {study.field:g}:\n{study.seeds} seeds of {study.sweeps} sweeps\n"
    )
    print(table(results))
    write_report(study, "ising", results, lambda path: write_figure(study, results, path))
    return results
