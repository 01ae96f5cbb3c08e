"""Gaussian squeeze: MFQ and IQL as neural learners, over seeds, each scored by its greedy joint policy.

A score is G / G* in the last step of a greedy episode, exploration and learning off. Both learners have
the same network, exploration and replay; one sees the mean action of the others, the other does not.

Each agent reconsiders its action with a small probability a step, exploring or not, and else repeats it:
if all answered the same mean action at once they would overshoot together (fidelity H3), whereas better
responses one after another converge, this being a potential game.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from baselines.report import write_report
from mfenvs import game_class
from mfq.agents.q_config import QConfig
from mfq.agents.q_player import log_gamma_shares
from mfq.training.config import RunConfig
from mfq.training.runner import Runner

METHODS = ("mfq", "iql")
EPISODE = 200
CHUNK = 100_000


@dataclass(frozen=True)
class SqueezeStudy:
    """MFQ and IQL on the Gaussian squeeze.

    Attributes:
        num_agents: numbers of agents to try.
        mu: where the objective's bump is.
        sigma: how wide it is.
        seeds: runs per method and number of agents.
        steps: environment steps of a run; a gradient step each.
        reconsider: the probability that an agent chooses anew in a step.
        coherent_start: the probability that all agents draw from one random mixture of actions in a
            step; it falls to 0 over half of the steps. 0: never.
        coherent_concentration: of that mixture; see `QConfig`.
        seed: the first run's; the others count on from it.
        out: folder for squeeze.csv and config.json. None writes nothing.
    """

    num_agents: tuple[int, ...] = (100,)
    mu: float = 250.0
    sigma: float = 100.0
    seeds: int = 5
    steps: int = 3000
    reconsider: float = 0.02
    coherent_start: float = 0.0
    coherent_concentration: float = 0.1
    seed: int = 0
    out: str | None = "runs/squeeze"

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ValueError(f"seeds={self.seeds!r}; allowed: at least 1")
        if not self.num_agents:
            raise ValueError("num_agents is empty; allowed: at least one number")
        for number in self.num_agents:
            config = run_config(self, number, "mfq", self.seed)
            game_class(config.env).configure(config.env_options)


class Result(NamedTuple):
    """One run: greedy G / G* before and after learning."""

    num_agents: int
    mu: float
    sigma: float
    method: str
    seed: int
    untrained: float
    trained: float


def run_config(study: SqueezeStudy, num_agents: int, method: str, seed: int) -> RunConfig:
    """What one run is made of."""
    half = max(1, study.steps // 2)
    agent = QConfig(
        policy="epsilon_greedy",
        explore_start=1.0,
        explore_end=0.02,
        explore_steps=half,
        coherent_start=study.coherent_start,
        coherent_steps=half,
        coherent_concentration=study.coherent_concentration,
        reconsider=study.reconsider,
        gamma=0.0,  # a stage game: nothing follows from a step
    )
    options = {
        "num_agents": num_agents,
        "mu": study.mu,
        "sigma": study.sigma,
        "max_cycles": EPISODE,
    }
    return RunConfig(
        env="gaussian_squeeze_v0",
        algo=method,
        steps=study.steps,
        seed=seed,
        evaluate_every=0,
        save_every=0,
        quiet=True,
        env_options=options,
        agent=agent,
    )


def compare(study: SqueezeStudy) -> list[Result]:
    """All runs, one after the other, with a progress bar on standard error."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the tensors are small; see `baselines.ising`
    results = []
    runs = [
        (number, method, study.seed + k)
        for number in study.num_agents
        for method in METHODS
        for k in range(study.seeds)
    ]
    try:
        with tqdm(runs, unit="run", dynamic_ncols=True) as bar:
            for number, method, seed in bar:
                bar.set_description(f"{method}, N={number}")
                runner = Runner(config=run_config(study, number, method, seed))
                before = runner.evaluate()["final_performance"]
                if not runner.train():
                    raise KeyboardInterrupt
                after = runner.evaluate()["final_performance"]
                results.append(Result(number, study.mu, study.sigma, method, seed, before, after))
    finally:
        torch.set_num_threads(threads)
    return results


def coherent_reach(
    num_agents: int, concentration: float, draws: int, mu: float = 400.0, sigma: float = 200.0
) -> int:
    """How many of so many coherent steps earn more than .01 of the optimum, by simulation."""
    coin, shares = np.random.default_rng(0), torch.Generator().manual_seed(0)
    x = np.arange(1, num_agents * 9 + 1)
    log_g = np.log(x) - ((x - mu) / sigma) ** 2
    good = np.append(False, log_g - log_g.max() > np.log(0.01))  # of a sum of 0 first
    reached = 0
    for first in range(0, draws, CHUNK):
        rows = min(CHUNK, draws - first)
        mixtures = log_gamma_shares((rows, 10), concentration, shares).softmax(-1).numpy()
        reached += int(good[coin.multinomial(num_agents, mixtures) @ np.arange(10)].sum())
    return reached


def table(results: list[Result]) -> str:
    """Per method and number of agents: scores of the seeds, and how many are good."""
    lines = [f"{'N':>7}  {'method':<6}  {'untrained':>9}  {'>= .95':>6}  {'>= .9':>6}  seeds"]
    groups: dict[tuple[int, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.num_agents, result.method), []).append(result)
    for (number, method), mine in groups.items():
        scores = [result.trained for result in mine]
        before = sum(result.untrained for result in mine) / len(mine)
        counts = [f"{sum(score >= bar for score in scores)}/{len(mine)}" for bar in (0.95, 0.9)]
        shown = " ".join(f"{score:.3f}" for score in scores[:6]) + (" ..." if len(mine) > 6 else "")
        lines.append(
            f"{number:>7}  {method:<6}  {before:>9.3f}  {counts[0]:>6}  {counts[1]:>6}  {shown}"
        )
    return "\n".join(lines)


def run(study: SqueezeStudy) -> list[Result]:
    """`mfq compare squeeze`: computes, prints the table, writes the files."""
    results = compare(study)
    print(
        f"Greedy G / G* on the Gaussian squeeze, mu {study.mu:g}, sigma {study.sigma:g}, "
        f"{study.steps} steps\n"
    )
    print(table(results))
    write_report(study, "squeeze", results)
    return results
