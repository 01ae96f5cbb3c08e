"""Computes the Ising study: all learners, and the references beside them."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from mfq.common.progress import Progress
from mfq.envs.wrap import wrap
from mfq.matches.evaluate import RANDOM_PLAY, random_score
from mfq.matches.intervals import student
from mfq.studies.ising.config import IsingStudy, Result
from mfq.studies.ising.figure import write_figure
from mfq.studies.ising.learners import METHODS, WARM_UP, learn
from mfq.studies.ising.tables import table
from mfq.studies.report import check_folder, write_report

CHAINS = 4
CONFIDENCE = 0.95


def compare(study: IsingStudy) -> list[Result]:
    """Runs all methods and Monte Carlo at all temperatures; progress goes to standard error.

    Returns:
        Results by method, then tau; those of Monte Carlo last.
    """
    from mfenvs.ising import exact

    study = study.resolved()
    assert study.taus is not None
    taus = np.array(study.taus)
    total = len(METHODS) * (WARM_UP.steps + study.burn_in + study.sweeps)
    with Progress(total, "sweep", description="Monte Carlo") as progress:
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
        progress.describe("agents")
        learned = _learn_all(study, progress.advance)
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
            measured = (float(order.mean()), *student(order), study.seeds, float(error.mean()))
            results.append(Result(tau, method.name, *measured, *reference))
    half = stats.norm.ppf((1 + CONFIDENCE) / 2) * chain.order_parameter_error
    for tau, width, reference in zip(study.taus, half.tolist(), references, strict=True):
        mean = reference[1]
        measured = (mean, mean - width, mean + width, CHAINS, math.nan)
        results.append(Result(tau, "monte_carlo", *measured, *reference))
    return results


def _learn_all(study: IsingStudy, tick: Callable[[], object]) -> list[tuple[Tensor, Tensor]]:
    """Calls `learn` for each of METHODS, two at a time."""
    # One torch thread for each method: on tensors this small, torch's threads mostly wait for each
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


def random_order(study: IsingStudy) -> float:
    """Returns the mean order parameter |m| of random play, over 200 lattices."""
    from mfenvs import ising_v0

    env = ising_v0.batched_env(200, side=study.side, update="checkerboard", max_cycles=4)
    scores = random_score(wrap(env), episodes=200, seed=study.seed)
    return scores[f"{RANDOM_PLAY}final_order_parameter"]


def run(study: IsingStudy) -> list[Result]:
    """Runs `mfq compare ising`: computes the study, prints the table, writes the files."""
    check_folder(study, "ising")
    results = compare(study)
    study = study.resolved()
    print(
        f"Order parameter on a {study.side} x {study.side} torus, coupling {study.coupling:g}, "
        f"field {study.field:g}:\n{study.seeds} seeds of {study.sweeps} sweeps\n"
    )
    print(table(results))
    print(f"\nRandom play, at all tau: |m| {random_order(study):.3f}")
    write_report(study, "ising", results, lambda path: write_figure(study, results, path))
    return results
