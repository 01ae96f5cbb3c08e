"""The test bed: MFQ's variants, IQL and random play on small games whose best score is known.

Each run trains on a game for some steps, then plays episodes from other seeds: greedy ones, and ones in
which actions are sampled from the policy at the end of training (", sampled"). A score is the mean
return of an agent in these; intervals are Student's, 95%, over the runs.
docs/studies/test_bed.md describes the games and discusses the table.

    python -m baselines.test_bed --out runs/test_bed

Runs that the result file already has are skipped, so an interrupted study can be continued.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

import mfq
from mfenvs.validate import one_of, whole
from mfq.agents.registry import ALGORITHMS, load_agent_player, make_agent
from mfq.common.config import build, to_json
from mfq.common.files import read_csv, write_atomically, write_csv
from mfq.matches.intervals import student
from tests.fakes.test_bed import GAMES

EVALUATION_SEED = 10_000
SAMPLED = ", sampled"
SMALL: dict[str, dict[str, Any]] = {
    "mfq": {
        "gamma": 0.0,
        "exploration": {"steps": 500},
        "network": {"hidden": (32,), "agent_embedding": 0},
        "optimizer": {"batch_size": 128},
    },
    "mfac": {
        "gamma": 0.0,
        "network": {"hidden": (32,), "mean_hidden": (32,), "agent_embedding": 0},
        "optimizer": {"batch_size": 128},
    },
}
"""Options that differ from the defaults, by algorithm, on all games but the fireflies. Networks and
batches are small so that a run takes seconds. ``gamma`` is 0 since nothing follows from a step but what
others do next. Without an embedding of its index, an agent differs from others only by what it
observes."""


class Method(NamedTuple):
    """A learner: an algorithm and its options."""

    algo: str
    options: dict[str, Any]


INERTIA = {"exploration": {"stickiness": 0.3}}
ITERATED = {"iterations": 3}
DAMPED = {"iterations": 3, "damping": 0.5}
METHODS: dict[str, Method | None] = {
    "random": None,
    "iql": Method("iql", {}),
    "iql, inertia": Method("iql", INERTIA),
    **{
        f"{pairing}{name}": Method("mfq", {"pairing": pairing, **options})
        for pairing in mfq.mean_field.PAIRINGS
        for name, options in (
            ("", {}),
            (", 3 iterations", ITERATED),
            (", 3 damped", DAMPED),
            (", inertia", INERTIA),
        )
    },
    "ac": Method("ac", {}),
    "mfac, current": Method("mfac", {"pairing": "current"}),
    "mfac, previous": Method("mfac", {"pairing": "previous"}),
}
"""Learners by name; those of a pairing are MFQ's."""
Q_METHODS = tuple(
    name for name, method in METHODS.items() if method is None or "ac" not in method.algo
)


@dataclass(frozen=True)
class BedStudy:
    """The learners on the test bed.

    Attributes:
        games: names in ``GAMES`` of tests/fakes/test_bed.
        methods: names in ``METHODS``; by default all but the actor-critics.
        seeds: runs of each method and game.
        steps: training steps of each row; the fireflies take 1,500 unless ``steps`` is below 100.
        num_envs: rows of training; the fireflies have one.
        episodes: episodes that score a run.
        processes: runs at a time, each on one thread.
        quick: if True, two seeds and 40 steps: to try the script.
        out: folder of test_bed.csv, test_bed.md and config.json.
    """

    games: tuple[str, ...] = tuple(GAMES)
    methods: tuple[str, ...] = Q_METHODS
    seeds: int = 10
    steps: int = 600
    num_envs: int = 4
    episodes: int = 40
    processes: int = 2
    quick: bool = False
    out: str = "runs/test_bed"

    def __post_init__(self) -> None:
        for name, allowed in (("games", tuple(GAMES)), ("methods", tuple(METHODS))):
            for value in getattr(self, name):
                one_of(name, value, allowed)
        for name in ("seeds", "steps", "num_envs", "episodes", "processes"):
            whole(name, getattr(self, name), 1)
        if self.quick:
            for name, value in (("seeds", 2), ("steps", 40), ("episodes", 2)):
                object.__setattr__(self, name, value)


class Run(NamedTuple):
    """A trained agent, or random play, and its score."""

    game: str
    method: str
    seed: int
    steps: int
    seconds: (
        float  # of a core, training and scoring; 0 for a sampled score, which is of the same run
    )
    score: float


def agent_options(game: str, method: str, steps: int) -> Any:
    """Returns the options of a method on a game: a `QConfig` or an `ACConfig`."""
    learner = METHODS[method]
    assert learner is not None
    kind = ALGORITHMS[learner.algo].config
    options = {"play": "greedy", **learner.options}
    if game == "fireflies":
        return build(kind, options)
    small = dict(SMALL["mfac" if kind is mfq.ACConfig else "mfq"])
    if kind is mfq.QConfig:
        small["exploration"] = {"steps": max(1, steps // 2)}
    return build(kind, options, build(kind, small))


def train_one(study: BedStudy, game: str, method: str, seed: int) -> list[Run]:
    """Trains a run on one thread, and scores it by greedy and by sampled play."""
    threads, start = torch.get_num_threads(), time.process_time()
    torch.set_num_threads(1)  # the tensors are small
    steps, rows = study.steps, study.num_envs
    if game == "fireflies":
        steps, rows = 1500 if steps >= 100 else steps, 1
    try:
        if (learner := METHODS[method]) is None:
            scores = {method: score(study, game, mfq.Random(seed), seed)}
            steps = 0
        else:
            view = GAMES[game](rows)
            options = agent_options(game, method, steps)
            agent = make_agent(view, learner.algo, options, seed)
            mfq.train(view, agent, steps, view.reset(seed=seed))
            scores = {method: score(study, game, agent, seed)}
            sampling = replace(options, play="sample")
            player = load_agent_player(view, learner.algo, sampling, agent.state_dict(), seed)
            scores[f"{method}{SAMPLED}"] = score(study, game, player, seed)
    finally:
        torch.set_num_threads(threads)
    seconds = [time.process_time() - start, 0.0]
    return [
        Run(game, name, seed, steps, used, value)
        for (name, value), used in zip(scores.items(), seconds, strict=False)
    ]


def score(study: BedStudy, game: str, player: mfq.Player, seed: int) -> float:
    """Returns the mean return of a player in episodes that no run trains on."""
    view = GAMES[game](min(study.episodes, 20))
    return mfq.evaluate(view, player, study.episodes, EVALUATION_SEED + seed)["return"]


def cell(runs: list[Run], game: str, method: str) -> str:
    """Returns the mean score of a method on a game, and half the width of its interval."""
    scores = np.array([run.score for run in runs if (run.game, run.method) == (game, method)])
    if not len(scores):
        return ""
    low, high = student(scores)
    return f"{scores.mean():.2f}" + (f" ± {(high - low) / 2:.2f}" if len(scores) > 1 else "")


def below_random(runs: list[Run], method: str) -> tuple[int, int, list[str]]:
    """Returns how many runs of a method score less than .9 of random play's mean on their game, the
    number of all its runs, and the games of the former."""
    chance = {
        game: np.mean([run.score for run in runs if (run.game, run.method) == (game, "random")])
        for game in {run.game for run in runs}
    }
    of_method = [run for run in runs if run.method == method]
    low = [run.game for run in of_method if run.score < 0.9 * chance[run.game]]
    return len(low), len(of_method), list(dict.fromkeys(low))


TABLES = {
    "Pairings, greedy and sampled play": ("iql", "current", "previous"),
    "Inertia": ("iql, inertia", "current, inertia", "previous, inertia"),
    "Iterations": ("current, 3 iterations", "previous, 3 iterations"),
    "Damped iterations": ("current, 3 damped", "previous, 3 damped"),
    "Actor-critics": ("ac", "mfac, current", "mfac, previous"),
}


def table(runs: list[Run], methods: Sequence[str]) -> str:
    """Returns a Markdown table: a line for each game, a column for each method and way to play."""
    names = [f"{method}{play}" for method in methods for play in ("", SAMPLED)]
    heads = ["game", "best", "best uncoordinated", "random", *names]
    lines = [heads, ["---"] * len(heads)]
    for game in dict.fromkeys(run.game for run in runs if run.method in methods):
        bed = GAMES[game](1)
        cells = [cell(runs, game, name) for name in ("random", *names)]
        lines.append([game, f"{bed.best():.2f}", f"{bed.best_uncoordinated():.2f}", *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tables(runs: list[Run]) -> str:
    """Returns all tables, and one of the runs that score less than random play, as Markdown."""
    done = {run.method for run in runs}
    parts = [
        f"### {title}\n\n{table(runs, methods)}"
        for title, methods in TABLES.items()
        if done & set(methods)
    ]
    lines = ["| method | runs below .9 of random | on |", "|---|---|---|"]
    for method in dict.fromkeys(run.method for run in runs if run.method != "random"):
        low, count, games = below_random(runs, method)
        lines.append(f"| {method} | {low}/{count} | {', '.join(games)} |")
    return "\n\n".join([*parts, "### Below random play\n\n" + "\n".join(lines)])


def run(study: BedStudy) -> list[Run]:
    """Trains the missing runs, writes the files, and prints the tables."""
    out = Path(study.out)
    runs = read(out / "test_bed.csv")
    done = {(run.game, run.method, run.seed) for run in runs}
    todo = [
        (game, method, seed)
        for seed in range(study.seeds)
        for game in study.games
        for method in study.methods
        if (game, method, seed) not in done
    ]
    with tqdm(total=len(todo), unit="run", dynamic_ncols=True) as bar:
        for count, results in enumerate(_results(study, todo), 1):
            runs += results
            bar.update()
            if count % 10 == 0 or count == len(todo):
                runs.sort(key=_place)
                write_csv(out / "test_bed.csv", runs)
    to_json(study, out / "config.json")
    text = tables(runs)
    write_atomically(out / "test_bed.md", lambda path: path.write_text(text + "\n"))
    print(text)
    return runs


def _results(study: BedStudy, todo: list[tuple[str, str, int]]) -> Iterator[list[Run]]:
    if study.processes == 1:
        yield from (train_one(study, *each) for each in todo)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(study.processes, mp_context=context) as pool:
        try:
            yield from (
                future.result()
                for future in as_completed(pool.submit(train_one, study, *each) for each in todo)
            )
        finally:
            pool.shutdown(cancel_futures=True)


def _place(run: Run) -> tuple[int, int, int]:
    """Returns the place of a run in the file."""
    method = list(METHODS).index(run.method.removesuffix(SAMPLED))
    return list(GAMES).index(run.game), 2 * method + run.method.endswith(SAMPLED), run.seed


def read(path: Path) -> list[Run]:
    """Returns the runs in a file; none without the file."""
    return read_csv(path, Run) if path.exists() else []


if __name__ == "__main__":
    import tyro

    run(tyro.cli(BedStudy, description=__doc__))
