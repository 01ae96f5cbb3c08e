"""Gaussian squeeze: MFQ and IQL as neural learners, over seeds.

A score is G / G* in the last step of a greedy episode, without exploration and learning. Both learners
have the same network, exploration and replay; only MFQ has the mean action of the others as an input.

In a step each agent chooses anew with a small probability, in exploration and in greedy play, and
otherwise repeats its action. If all agents responded to the same mean action at once, they would
overshoot together. Better responses one after another converge, since this is a potential game.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from mfq.agents.q_config import ExplorationConfig, QConfig
from mfq.agents.q_player import log_gamma_shares
from mfq.common.progress import Progress
from mfq.envs.wrap import wrap
from mfq.matches.evaluate import RANDOM_PLAY, random_score
from mfq.studies.report import check_folder, write_report
from mfq.training.config import CheckpointConfig, EvaluationConfig, RunConfig
from mfq.training.runner import Runner

METHODS = ("mfq", "iql")
EPISODE = 200
CHUNK = 100_000


@dataclass(frozen=True)
class SqueezeStudy:
    """MFQ and IQL on the Gaussian squeeze.

    Attributes:
        num_agents: numbers of agents, each studied on its own.
        mu: centre of the objective's bump.
        sigma: width of the bump.
        seeds: runs of each method and number of agents.
        steps: environment steps of a run, with one gradient step each.
        stickiness: the probability that an agent repeats its last action in a step.
        coherent_start: the probability that all agents draw from one random mixture of actions in
            a step; it falls to 0 over the first half of the steps. 0: never.
        coherent_concentration: concentration of that mixture; see `QConfig`.
        seed: seed of the first run; the k-th run after it has seed + k.
        out: folder for squeeze.csv and config.json. None writes nothing.
        overwrite: whether results in that folder may be replaced.
    """

    num_agents: tuple[int, ...] = (100,)
    mu: float = 250.0
    sigma: float = 100.0
    seeds: int = 5
    steps: int = 3000
    stickiness: float = 0.98
    coherent_start: float = 0.0
    coherent_concentration: float = 0.1
    seed: int = 0
    out: str | None = "runs/squeeze"
    overwrite: bool = False

    def __post_init__(self) -> None:
        from mfenvs import game_class

        if self.seeds < 1:
            raise ValueError(f"seeds={self.seeds!r}; allowed: at least 1")
        if not self.num_agents:
            raise ValueError("num_agents is empty; allowed: at least one number")
        for number in self.num_agents:
            config = run_config(self, number, "mfq", self.seed)
            game_class(config.env).configure(config.env_options)


class Result(NamedTuple):
    """The greedy G / G* of a run before and after training."""

    num_agents: int
    mu: float
    sigma: float
    method: str
    seed: int
    untrained: float
    trained: float


def run_config(study: SqueezeStudy, num_agents: int, method: str, seed: int) -> RunConfig:
    """Returns the configuration of a run."""
    half = max(1, study.steps // 2)
    agent = QConfig(
        pairing="current" if method == "mfq" else QConfig.pairing,  # IQL has none
        exploration=ExplorationConfig(
            policy="epsilon_greedy",
            start=1.0,
            end=0.02,
            steps=half,
            coherent_start=study.coherent_start,
            coherent_steps=half,
            coherent_concentration=study.coherent_concentration,
            stickiness=study.stickiness,
        ),
        gamma=0.0,  # a stage game: a step has no consequences
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
        evaluation=EvaluationConfig(every=0),
        checkpoints=CheckpointConfig(every=0),
        quiet=True,
        env_options=options,
        agent=agent,
    )


def compare(study: SqueezeStudy) -> list[Result]:
    """Runs all methods and seeds in turn; progress goes to standard error."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the tensors are small; see mfq/studies/ising
    results = []
    runs = [
        (number, method, study.seed + k)
        for number in study.num_agents
        for method in METHODS
        for k in range(study.seeds)
    ]
    try:
        with Progress(len(runs), "run") as progress:
            for number, method, seed in runs:
                progress.describe(f"{method}, N={number}")
                runner = Runner(config=run_config(study, number, method, seed))
                before = runner.evaluate()["final_performance"]
                if not runner.train():
                    raise KeyboardInterrupt
                after = runner.evaluate()["final_performance"]
                results.append(Result(number, study.mu, study.sigma, method, seed, before, after))
                progress.advance()
    finally:
        torch.set_num_threads(threads)
    return results


def coherent_reach(
    num_agents: int, concentration: float, draws: int, mu: float = 400.0, sigma: float = 200.0
) -> int:
    """Estimates by simulation how often a coherent step earns more than .01 of the optimum.

    Args:
        num_agents: N, of 10 actions each.
        concentration: of the shared mixture of actions.
        draws: how many steps are simulated.
        mu, sigma: of the objective.

    Returns:
        The number of such steps among ``draws``.
    """
    actions, shares = np.random.default_rng(0), torch.Generator().manual_seed(0)
    x = np.arange(1, num_agents * 9 + 1)
    log_g = np.log(x) - ((x - mu) / sigma) ** 2
    good = np.append(False, log_g - log_g.max() > np.log(0.01))  # of a sum of 0 first
    reached = 0
    for first in range(0, draws, CHUNK):
        rows = min(CHUNK, draws - first)
        mixtures = log_gamma_shares((rows, 10), concentration, shares).softmax(-1).numpy()
        reached += int(good[actions.multinomial(num_agents, mixtures) @ np.arange(10)].sum())
    return reached


def table(results: list[Result]) -> str:
    """Formats the scores of each method and number of agents, and how many seeds reach .95 and .9."""
    lines = [f"{'N':>7}  {'method':<6}  {'untrained':>9}  {'>= .95':>6}  {'>= .9':>6}  seeds"]
    groups: dict[tuple[int, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.num_agents, result.method), []).append(result)
    for (number, method), runs in groups.items():
        scores = [result.trained for result in runs]
        before = sum(result.untrained for result in runs) / len(runs)
        counts = [f"{sum(score >= bar for score in scores)}/{len(runs)}" for bar in (0.95, 0.9)]
        shown = " ".join(f"{score:.3f}" for score in scores[:6]) + (" ..." if len(runs) > 6 else "")
        lines.append(
            f"{number:>7}  {method:<6}  {before:>9.3f}  {counts[0]:>6}  {counts[1]:>6}  {shown}"
        )
    return "\n".join(lines)


def random_scores(study: SqueezeStudy) -> dict[int, float]:
    """Returns the mean G / G* of random play in the last steps of as many episodes as seeds, by the
    number of agents."""
    from mfenvs import gaussian_squeeze_v0

    scores = {}
    for number in study.num_agents:
        options = run_config(study, number, "iql", study.seed).env_options
        view = wrap(gaussian_squeeze_v0.batched_env(study.seeds, **options))
        by_name = random_score(view, episodes=study.seeds, seed=study.seed)
        scores[number] = by_name[f"{RANDOM_PLAY}final_performance"]
    return scores


def run(study: SqueezeStudy) -> list[Result]:
    """Runs `mfq compare squeeze`: computes the study, prints the table, writes the files."""
    check_folder(study, "squeeze")
    results = compare(study)
    print(
        f"Greedy G / G* on the Gaussian squeeze, mu {study.mu:g}, sigma {study.sigma:g}, "
        f"{study.steps} steps\n"
    )
    print(table(results))
    for number, score in random_scores(study).items():
        print(f"{number:>7}  random play, {study.seeds} episodes: {score:.3f}")
    write_report(study, "squeeze", results)
    return results
