"""Do two checkouts give the same numbers, bit for bit? For changes that should change no behaviour.

    python -m benchmarks.same_numbers ../old . --quick

Each checkout trains every algorithm on the small battle from seeds 0 and 1, runs the Ising and squeeze
studies, and plays the pretrained players against each other, all by the `mfq` command. What it writes
(weights, logs, tables) is compared by digest.
"""

from __future__ import annotations

import csv
import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from safetensors import safe_open

ALGORITHMS = ("mfq", "iql", "mfac", "ac")
PLAYERS = ("mfq", "iql", "mfq-large", "iql-large")
CLOCKS = ("share_", "steps_per_second")  # columns of a log that no two runs have alike
RENAMED = {"rounds": "episodes", "survivors": "alive", "kill_difference": "kills_difference"}


@dataclass(frozen=True)
class Options:
    """Two checkouts to compare.

    Attributes:
        old, new: folders of checkouts.
        quick: 60 steps of training instead of 300, one seed, two battles a pair, no squeeze.
    """

    old: Annotated[Path, tyro.conf.Positional]
    new: Annotated[Path, tyro.conf.Positional]
    quick: bool = False


def commands(quick: bool, options: Path) -> dict[str, list[str]]:
    """The words after `mfq`, by a name that is also the folder of what they write.

    Args:
        quick: whether to run little.
        options: a YAML file for training, written here. Its flat names are former ones that newer
            checkouts take, too.
    """
    steps, seeds, battles = (60, (0,), "2") if quick else (300, (0, 1), "20")
    options.write_text(
        f"steps: {steps}\nevaluation_episodes: 4\nevaluation_envs: 2\nquiet: true\n",
        encoding="utf-8",
    )
    words = {
        f"train-{algo}-{seed}": [
            *("train", "--preset", "small", "--config", str(options)),
            *("--algo", algo, "--seed", str(seed)),
        ]
        for algo in ALGORITHMS
        for seed in seeds
    }
    words["ising"] = ["compare", "ising", "--quick"]
    if not quick:
        words["squeeze"] = ["compare", "squeeze", "--seeds", "2"]
    words["battle"] = [
        *("compare", "battle", "--players", *PLAYERS, "--episodes", battles),
        *("--placement", "fixed"),
    ]
    return words


def run(checkout: Path, words: list[str], out: Path) -> None:
    """Runs `mfq` with the sources of a checkout, on one thread."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    subprocess.run(
        [sys.executable, "-m", "mfq.cli", *words, "--out", str(out)],
        cwd=checkout,
        env={**os.environ, **one, "PYTHONPATH": str(checkout.resolve())},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def digests(folder: Path) -> dict[str, dict[str, str]]:
    """Returns digests of what each file holds: of a table by column, of a checkpoint by tensor.

    Tensors are known by what they hold, since their names change.
    """
    files = {}
    for path in sorted(folder.glob("*")):
        parts: dict[str, str] = {}
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118
                    tensor = file.get_tensor(name).numpy()
                    digest = hashlib.sha256(tensor.tobytes()).hexdigest()
                    parts[f"{tensor.shape} {digest}"] = digest
        elif path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8") as table:
                for row in csv.DictReader(table):
                    for column, value in row.items():
                        column = renamed(column)
                        past = parts.get(column, "")
                        parts[column] = hashlib.sha256((past + value).encode()).hexdigest()
        else:
            continue
        files[path.name] = parts
    return files


def renamed(column: str) -> str:
    """Returns the present name of a column that was renamed."""
    for former, present in RENAMED.items():
        column = column.replace(former, present)
    return column


def compare(old: dict[str, str], new: dict[str, str], is_table: bool) -> tuple[bool, str]:
    """Returns whether two files hold the same, and what differs.

    Tables may gain and lose columns, and checkpoints may gain tensors.
    """
    if not is_table:
        missing, added = len(old.keys() - new.keys()), len(new.keys() - old.keys())
        return not missing, (
            f"{len(old)} tensors"
            + f", {missing} of them not in the new one" * bool(missing)
            + f", {added} more in the new one" * bool(added)
        )
    both = [c for c in old if c in new and not c.startswith(CLOCKS)]
    differ = [column for column in both if old[column] != new[column]]
    only = [c for c in (old.keys() ^ new.keys()) if not c.startswith(CLOCKS)]
    return not differ, (
        f"{len(both)} columns"
        + f", different: {' '.join(differ)}" * bool(differ)
        + f", in one alone: {' '.join(sorted(only))}" * bool(only)
    )


def main(options: Options) -> bool:
    """Runs everything in both, prints a line a file; whether all are the same."""
    same = True
    with tempfile.TemporaryDirectory() as scratch:
        for name, words in commands(options.quick, Path(scratch) / "options.yaml").items():
            sides = []
            for side in ("old", "new"):
                out = Path(scratch) / side / name
                run(getattr(options, side), words, out)
                sides.append(digests(out))
            for file in sorted(sides[0].keys() | sides[1].keys()):
                parts = [side.get(file, {}) for side in sides]
                alike, what = compare(parts[0], parts[1], file.endswith(".csv"))
                alike &= bool(parts[0]) and bool(parts[1])
                same &= alike
                print(
                    f"{name:<14} {file:<20} {'same' if alike else 'DIFFERENT':<10} {what}",
                    flush=True,
                )
    return same


if __name__ == "__main__":
    sys.exit(0 if main(tyro.cli(Options, description=__doc__)) else 1)
