"""MFQ on environments of other packages, compared with random play.

Each run trains for some environment steps or minutes, then plays greedy episodes in a fresh copy. In
games of two sides MFQ is one side and the other plays at random, in training and in evaluation. A
score is the summed reward of an episode, the mean over the learner's agents. Intervals are Student's,
95%: over the means of the runs, and over all episodes of random play.

    python -m baselines.third_party --envs simple_spread_v3 --seeds 3 --minutes 5

Runs that the result file already has are skipped, so an interrupted study can be continued.
"""

from __future__ import annotations

import importlib
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np
import pettingzoo
import torch
from tqdm import tqdm

import mfq
from mfenvs.validate import number, whole
from mfq.agents.base import Player
from mfq.common.config import build, to_json
from mfq.common.files import read_csv, write_csv
from mfq.envs.view import View
from mfq.matches.evaluate import play
from mfq.matches.intervals import student
from mfq.studies import style
from mfq.training.config import preset

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("mfq", "iql")


@dataclass(frozen=True)
class Game:
    """An environment and the options of training on it.

    Attributes:
        make: makes a copy.
        graph: argument of `mfq.wrap`.
        learners: prefixes of the groups that learn; the others play at random. None: all learn.
        num_envs: number of copies in training.
        steps: environment steps of each copy.
        agent: fields of `mfq.QConfig`.
    """

    make: Callable[[], Any]
    graph: Any = "all"
    learners: tuple[str, ...] | None = None
    num_envs: int = 4
    steps: int = 20_000
    agent: Mapping[str, Any] = field(default_factory=dict)


def _magent2(name: str, **options: Any) -> Callable[[], Any]:
    def make() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(f"magent2.environments.{name}").parallel_env(**options)

    return make


def _spread() -> Any:
    return importlib.import_module("mpe2.simple_spread_v3").parallel_env(max_cycles=25)


def _pettingzoo(name: str, **options: Any) -> Callable[[], Any]:
    return lambda: pettingzoo.make("parallel", name, **options)


_COMMON = {
    "pairing": "current",
    "policy": "epsilon_greedy",
    "explore_start": 1.0,
    "explore_end": 0.05,
    "learning_rate": 5e-4,
    "hidden": (128, 64),
    "batch_size": 256,
    "samples_per_insert": 4.0,
    "learning_starts": 2000,
    "agent_embedding": 0,
}
_CARTPOLE = preset("cartpole")

GAMES: dict[str, Game] = {
    "adversarial_pursuit_v4": Game(
        _magent2("adversarial_pursuit_v4", map_size=25, max_cycles=200),
        learners=("predator",),
        num_envs=2,
        steps=10_000,
        agent={**_COMMON, "explore_steps": 2500, "samples_per_insert": 2.0},
    ),
    "combined_arms_v6": Game(
        _magent2("combined_arms_v6", map_size=20, max_cycles=200),
        learners=("redmelee", "redranged"),
        num_envs=2,
        steps=10_000,
        agent={**_COMMON, "explore_steps": 2500, "samples_per_insert": 2.0},
    ),
    "pursuit_v5": Game(
        _pettingzoo("sisl/pursuit-v5", max_cycles=200),
        steps=5_000,
        agent={**_COMMON, "explore_steps": 1500, "gamma": 0.97, "agent_embedding": 8},
    ),
    "knights_archers_zombies_v11": Game(
        _pettingzoo("butterfly/knights_archers_zombies-v11", max_cycles=900),
        steps=60_000,
        agent={
            **_COMMON,
            "learning_rate_steps": 60_000,
            "learning_rate_end": 1e-5,
            "explore_steps": 10_000,
            "gamma": 0.98,
            "agent_embedding": 8,
        },
    ),
    "simple_spread_v3": Game(
        _spread,
        num_envs=8,
        steps=25_000,
        agent={**_COMMON, "explore_steps": 6000, "agent_embedding": 8},
    ),
    "CartPole-v1": Game(
        lambda: gymnasium.make("CartPole-v1"),
        num_envs=_CARTPOLE.num_envs,
        steps=_CARTPOLE.steps,
        agent=asdict(_CARTPOLE.agent),
    ),
}


@dataclass(frozen=True)
class ThirdPartyStudy:
    """MFQ and random play on environments of other packages.

    Attributes:
        envs: names in ``GAMES``.
        methods: "mfq", "iql" or both; random play is scored in any case.
        seeds: runs of each method and environment.
        seed: seed of the first run; each further one adds one.
        minutes: if above 0, a limit on the training time of a run.
        steps: if above 0, environment steps of each copy; otherwise the number in ``GAMES``.
        episodes: episodes that score a run.
        points: points of the learning curve, each scored by a tenth of the episodes, at least 2.
        out: folder of third_party.csv, third_party_curves.csv, third_party_summary.csv, third_party.png
            and config.json.
    """

    envs: tuple[str, ...] = tuple(GAMES)
    methods: tuple[str, ...] = ("mfq",)
    seeds: int = 3
    seed: int = 0
    minutes: float = 0.0
    steps: int = 0
    episodes: int = 100
    points: int = 10
    out: str = "runs/third_party"

    def __post_init__(self) -> None:
        for name, allowed in (("envs", tuple(GAMES)), ("methods", METHODS)):
            for value in getattr(self, name):
                if value not in allowed:
                    raise ValueError(f"{name}={value!r}; allowed: {', '.join(allowed)}")
        for name, least in (
            ("seeds", 1),
            ("seed", 0),
            ("steps", 0),
            ("episodes", 1),
            ("points", 1),
        ):
            whole(name, getattr(self, name), least)
        number("minutes", self.minutes, 0.0)


class Result(NamedTuple):
    """One episode of a trained agent, or of random play."""

    env: str
    method: str
    seed: int
    steps: int  # of training, summed over all copies
    minutes: float
    episode: int
    score: float


class Point(NamedTuple):
    """A point of a learning curve."""

    env: str
    method: str
    seed: int
    steps: int
    score: float


class Summary(NamedTuple):
    """The mean score of the runs of a method."""

    env: str
    method: str
    runs: int
    episodes: int
    steps: int
    score: float
    low: float
    high: float


def scores(game: Game, player: Player, episodes: int, seed: int) -> list[float]:
    """Plays episodes in a fresh copy. Returns the mean return of the learner's agents in each."""
    view = mfq.wrap(game.make(), game.graph)
    try:
        learners = _learners(game, view)
        players: dict[str, Any] = {
            name: player if name in learners else mfq.Random(seed) for name in view.group_names
        }
        played = play(view, players, episodes, seed)
    finally:
        view.close()
    groups = [view.group_names.index(name) for name in learners]
    return list(played.earned[:, groups].sum(1) / played.sizes[groups].sum())


def train_one(
    study: ThirdPartyStudy, name: str, method: str, seed: int
) -> tuple[list[Result], list[Point]]:
    """Trains a run. Returns its evaluation episodes and its learning curve."""
    game = GAMES[name]
    config = build(mfq.QConfig, dict(game.agent))
    view = mfq.wrap([game.make() for _ in range(game.num_envs)], game.graph)
    agent = mfq.ByType(view, lambda its, s: mfq.QAgent(its, method == "mfq", config, s), seed)
    learners = _learners(game, view)
    plays = torch.tensor([view.group_names[group] in learners for group in view.groups.tolist()])
    assignment = torch.where(plays, 0, 1).expand(view.num_envs, -1)
    teams = mfq.Teams(view, {"mfq": agent, "random": mfq.Random(seed)}, assignment, ["mfq"])

    steps, few = study.steps or game.steps, max(2, study.episodes // 10)
    curve, used, done = list[Point](), 0.0, 0
    step = view.reset(seed=10_000 + seed)
    for point in range(1, study.points + 1):
        began = time.monotonic()
        while done < steps * point // study.points:
            with torch.no_grad():
                actions = teams.act(step)
                after = view.step(actions)
                teams.observe(step, actions, after)
                teams.learn()
            step, done = after, done + 1
            if study.minutes and used + time.monotonic() - began > 60 * study.minutes:
                break
        used += time.monotonic() - began
        score = float(np.mean(scores(game, agent, few, 20_000 + seed)))
        curve.append(Point(name, method, seed, done * view.num_envs, score))
        if study.minutes and used > 60 * study.minutes:
            break
    view.close()
    returns = scores(game, agent, study.episodes, 30_000 + seed)
    return [
        Result(name, method, seed, done * view.num_envs, used / 60, episode, float(score))
        for episode, score in enumerate(returns)
    ], curve


def summarise(results: list[Result]) -> list[Summary]:
    """Computes means and intervals by environment and method."""
    groups: dict[tuple[str, str], dict[int, list[Result]]] = {}
    for result in results:
        runs = groups.setdefault((result.env, result.method), {})
        runs.setdefault(result.seed, []).append(result)
    summaries = []
    for (env, method), runs in groups.items():
        length = min(map(len, runs.values()))
        values = np.array([[r.score for r in run[:length]] for run in runs.values()])[:, None]
        low, high = student(values.reshape(-1) if method == "random" else values)
        steps = min(run[0].steps for run in runs.values())
        summaries.append(
            Summary(env, method, len(runs), length, steps, float(values.mean()), low, high)
        )
    return summaries


def table(summaries: list[Summary]) -> str:
    """Formats a line for each environment and method."""
    lines = [f"{'environment':<28} {'method':<7} {'runs':>4} {'steps':>9} {'score':>9}  95%"]
    lines += [
        f"{s.env:<28} {s.method:<7} {s.runs:>4} {s.steps:>9,} {s.score:>9.2f}  "
        f"{s.low:.2f} to {s.high:.2f}"
        for s in summaries
    ]
    return "\n".join(lines)


def figure_of(curves: list[Point], summaries: list[Summary]) -> Figure:
    """Draws the learning curves of each environment, beside random play with its interval."""
    names = list(dict.fromkeys(point.env for point in curves))
    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    colours = style.colours(METHODS)
    with style.style():
        figure = style.new_figure(0.4 + 2.1 * lines)
        plots = figure.subplots(lines, columns, squeeze=False).flatten()
        for k, (name, axes) in enumerate(zip(names, plots, strict=False)):
            for method in METHODS:
                of_method = [p for p in curves if (p.env, p.method) == (name, method)]
                for first, seed in enumerate(sorted({p.seed for p in of_method})):
                    steps, score = zip(
                        *((p.steps, p.score) for p in of_method if p.seed == seed), strict=True
                    )
                    label = None if first else f"{style.title(method)}, each run"
                    axes.plot(steps, score, color=colours[method], label=label, marker=".")
            for s in summaries:
                if (s.env, s.method) == (name, "random"):
                    style.draw_random_play(axes, s.score)
                    label = "its 95% interval"
                    axes.axhspan(
                        s.low, s.high, color=style.RANDOM_PLAY, alpha=0.3, lw=0, label=label
                    )
            axes.set_title(style.title(name))
            axes.locator_params(axis="x", nbins=4)
            axes.xaxis.set_major_formatter(lambda steps, _: f"{steps:,.0f}")
            if k >= len(names) - columns:
                axes.set_xlabel("environment steps")
            if k % columns == 0:
                axes.set_ylabel("return of an agent")
        for axes in plots[len(names) :]:
            axes.remove()
        handles, labels = plots[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=4)
    return figure


def draw(curves: list[Point], summaries: list[Summary], path: Path) -> Path:
    """Writes the figure of `figure_of`. Returns the path."""
    return style.write(figure_of(curves, summaries), path)


def run(study: ThirdPartyStudy) -> list[Summary]:
    """Trains the missing runs, writes the files after each of them, and prints the table."""
    out, threads = Path(study.out), torch.get_num_threads()
    results: list[Result] = _read(out / "third_party.csv", Result)
    curves: list[Point] = _read(out / "third_party_curves.csv", Point)
    known = {(result.env, result.method, result.seed) for result in results}
    runs = [
        (name, method, study.seed + k)
        for name in study.envs
        for method in ("random", *study.methods)
        for k in range(study.seeds)
    ]
    torch.set_num_threads(1)  # the tensors are small
    try:
        with tqdm([r for r in runs if r not in known], unit="run", dynamic_ncols=True) as bar:
            for name, method, seed in bar:
                bar.set_description(f"{name}, {method}")
                if method == "random":
                    returns = scores(GAMES[name], mfq.Random(seed), study.episodes, 30_000 + seed)
                    results += [
                        Result(name, method, seed, 0, 0.0, episode, float(score))
                        for episode, score in enumerate(returns)
                    ]
                else:
                    episodes, curve = train_one(study, name, method, seed)
                    results, curves = results + episodes, curves + curve
                    write_csv(out / "third_party_curves.csv", curves)
                write_csv(out / "third_party.csv", results)
    finally:
        torch.set_num_threads(threads)
    summaries = summarise(results)
    write_csv(out / "third_party_summary.csv", summaries)
    to_json(study, out / "config.json")
    if curves:
        draw(curves, summaries, out / "third_party.png")
    print(table(summaries))
    return summaries


def _learners(game: Game, view: View) -> tuple[str, ...]:
    return view.group_names if game.learners is None else game.learners


def _read(path: Path, row: Any) -> list[Any]:
    """Reads the rows of a file as named tuples; empty without the file."""
    return read_csv(path, row) if path.exists() else []


if __name__ == "__main__":
    import tyro

    run(tyro.cli(ThirdPartyStudy, description=__doc__))
