"""A search for a recipe on the small battle, the same for every algorithm.

    python -m baselines.tuning --algo iql --trials 33

Each trial draws its options from `SPACE` and trains with one seed. All trials train to the first
rung; the third with the best score against rush on the weaker side trains to the second, and a third
of these to the last (successive halving). Give every algorithm the same number of trials, and report
runs and steps.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from mfenvs.validate import one_of, whole
from mfq.common.config import to_json
from mfq.common.files import write_atomically
from mfq.training.config import RunConfig, run_config
from mfq.training.runner import Runner

SPACE: dict[str, tuple[Any, ...]] = {
    "policy": ("epsilon_greedy", "epsilon_greedy", "boltzmann"),
    "gamma": (0.7, 0.8, 0.8, 0.9, 0.95),
    "batch_size": (64, 128, 256),
    "learning_rate": (1e-4, 2e-4, 3e-4, 5e-4),
    "falls": (True, True, False),
    "samples_per_insert": (2.0, 4.0),
    "target_temperature": (0.0, 0.0, 0.02),
    "rush": (0.5, 0.8),
}
"""Values that a trial draws from; a value that occurs twice is drawn twice as often. ``falls``: whether
the learning rate falls to 1e-5 over the run; ``rush``: the share of rows against rush."""
METRICS = (
    "random_win_rate",
    "rush_win_rate",
    "rush_win_rate_as_red",
    "rush_win_rate_as_blue",
    "rush_kills_difference",
)


@dataclass(frozen=True)
class TuningStudy:
    """Recipes for one algorithm, by successive halving.

    Attributes:
        algo: "mfq" or "iql".
        trials: number of recipes.
        rungs: environment steps at which the worse two thirds stop; all stop at the last.
        seed: seed of the draws of recipes, and of all runs.
        out: folder for tuning.csv, config.json and the runs. An interrupted study continues from it.
    """

    algo: str = "iql"
    trials: int = 33
    rungs: tuple[int, ...] = (1000, 2500, 6000)
    seed: int = 0
    out: str = "runs/tuning"

    def __post_init__(self) -> None:
        one_of("algo", self.algo, ("mfq", "iql"))
        whole("trials", self.trials, 1)
        whole("seed", self.seed, 0)
        if not isinstance(self.rungs, tuple):
            raise TypeError(f"rungs={self.rungs!r}; allowed: a tuple of steps")
        for rung in self.rungs:
            whole("rungs", rung, 1)
        if not self.rungs or list(self.rungs) != sorted(set(self.rungs)):
            raise ValueError(f"rungs={self.rungs!r}; allowed: steps that grow, from 1 on")


def recipes(trials: int, seed: int) -> list[dict[str, Any]]:
    """Draws the options of each trial, without repetition while other options remain."""
    coin = np.random.default_rng(seed)
    drawn: list[dict[str, Any]] = []
    most = math.prod(len(set(values)) for values in SPACE.values())
    while len(drawn) < trials:
        recipe = {name: values[coin.integers(len(values))] for name, values in SPACE.items()}
        if recipe not in drawn or len(drawn) >= most:
            drawn.append(recipe)
    return drawn


def name_of(algo: str, recipe: dict[str, Any]) -> str:
    """Returns the name of a recipe, which is also the folder of its run."""
    short = {
        "policy": "",
        "gamma": "gamma",
        "batch_size": "batch",
        "learning_rate": "rate",
        "samples_per_insert": "samples",
        "target_temperature": "T",
        "rush": "rush",
    }
    words = [f"{short[key]}{recipe[key]:g}" for key in short if key != "policy"]
    words = [recipe["policy"].partition("_")[0], *words, "falls" if recipe["falls"] else "stays"]
    return "-".join([algo, *words])


def config_of(study: TuningStudy, recipe: dict[str, Any], steps: int, out: Path) -> RunConfig:
    """Returns the configuration of a trial: the preset `small` with the recipe's options."""
    boltzmann = recipe["policy"] == "boltzmann"
    agent = {
        **{name: value for name, value in recipe.items() if name not in ("falls", "rush")},
        # A temperature above Q's gaps is noise (they begin near .05).
        **({"explore_start": 0.1, "explore_end": 0.02} if boltzmann else {}),
        "learning_rate_steps": study.rungs[-1] if recipe["falls"] else 0,
    }
    rest = 1 - recipe["rush"]
    options = {
        "preset": "small",
        "algo": study.algo,
        "steps": steps,
        "seed": study.seed,
        "opponents": {"rush": recipe["rush"], "lagged": 0.7 * rest, "random": 0.3 * rest},
        "checkpoints": {"every": steps},
        "out": str(out),
        "quiet": True,
        "agent": agent,
    }
    return run_config(options)


def evaluations(folder: Path) -> list[dict[str, float]]:
    """Reads the evaluations in the log of a run, by step."""
    if not (folder / "log.csv").exists():
        return []
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get(f"eval_{METRICS[0]}")]
    return [
        {"step": int(row["step"]), **{name: float(row[f"eval_{name}"]) for name in METRICS}}
        for row in rows
    ]


def score(folder: Path) -> tuple[float, float]:
    """Returns a run's best win rate against rush on the weaker side, and its kill difference."""
    sides = ("rush_win_rate_as_red", "rush_win_rate_as_blue")
    return max(
        (min(row[side] for side in sides), row["rush_kills_difference"])
        for row in evaluations(folder)
    )


def train(study: TuningStudy, recipe: dict[str, Any], steps: int) -> Path:
    """Trains the run of a recipe to a number of steps, from its last checkpoint. Returns its folder."""
    folder = Path(study.out) / name_of(study.algo, recipe)
    logged = evaluations(folder)
    if logged and logged[-1]["step"] >= steps:
        return folder
    if (folder / "last.safetensors").exists():
        runner = Runner.load(folder, steps=steps)
    else:
        # What a killed run left before its first checkpoint is replaced.
        runner = Runner(config=replace(config_of(study, recipe, steps, folder), overwrite=True))
    if not runner.train():
        raise KeyboardInterrupt
    runner.finish()
    return folder


def write(study: TuningStudy, folders: list[Path]) -> None:
    """Writes tuning.csv, a line for each evaluation of each run."""

    def rows(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["run", "step", *METRICS])
            writer.writeheader()
            for folder in folders:
                writer.writerows({"run": folder.name, **row} for row in evaluations(folder))

    write_atomically(Path(study.out) / "tuning.csv", rows)


def run(study: TuningStudy) -> list[Path]:
    """Trains all trials rung by rung. Returns the folders of the runs, the best one first."""
    torch.set_num_threads(1)
    to_json(study, Path(study.out) / "config.json")
    left = recipes(study.trials, study.seed)
    every = [Path(study.out) / name_of(study.algo, recipe) for recipe in left]
    for rung in study.rungs:
        for recipe in tqdm(left, unit="run", desc=f"{rung} steps", dynamic_ncols=True):
            train(study, recipe, rung)
            write(study, every)
        left.sort(key=lambda r: score(Path(study.out) / name_of(study.algo, r)), reverse=True)
        left = left[: -(-len(left) // 3)]
    ranked = sorted(every, key=score, reverse=True)
    for folder in ranked:
        weaker, kills = score(folder)
        steps = evaluations(folder)[-1]["step"]
        print(f"{weaker:.2f} {kills:+5.1f}  {steps:>6} steps  {folder.name}")
    return ranked


if __name__ == "__main__":
    import tyro

    run(tyro.cli(TuningStudy, description=__doc__))
