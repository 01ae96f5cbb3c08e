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


def commands(quick: bool) -> dict[str, list[str]]:
    """The words after `mfq`, by a name that is also the folder of what they write."""
    steps, seeds, battles = ("60", (0,), "2") if quick else ("300", (0, 1), "20")
    found = {
        f"train-{algo}-{seed}": [
            *("train", "--preset", "small", "--algo", algo, "--seed", str(seed)),
            *("--steps", steps, "--evaluation-episodes", "4", "--evaluation-envs", "2", "--quiet"),
        ]
        for algo in ALGORITHMS
        for seed in seeds
    }
    found["ising"] = ["compare", "ising", "--quick"]
    if not quick:
        found["squeeze"] = ["compare", "squeeze", "--seeds", "2"]
    found["battle"] = [
        *("compare", "battle", "--players", *PLAYERS, "--episodes", battles),
        *("--placement", "fixed"),
    ]
    return found


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


def digests(folder: Path) -> dict[str, str]:
    """A digest of each file that holds numbers, by name: tensors of checkpoints, cells of tables."""
    found = {}
    for path in sorted(folder.glob("*")):
        digest = hashlib.sha256()
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                for name in sorted(file.keys()):
                    digest.update(name.encode() + file.get_tensor(name).numpy().tobytes())
        elif path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8") as table:
                for row in csv.DictReader(table):
                    kept = {k: v for k, v in row.items() if not k.startswith(CLOCKS)}
                    digest.update(repr(kept).encode())
        else:
            continue
        found[path.name] = digest.hexdigest()
    return found


def main(options: Options) -> bool:
    """Runs everything in both, prints a line a file; whether all are the same."""
    same = True
    with tempfile.TemporaryDirectory() as scratch:
        for name, words in commands(options.quick).items():
            sides = []
            for side in ("old", "new"):
                out = Path(scratch) / side / name
                run(getattr(options, side), words, out)
                sides.append(digests(out))
            for file in sorted(sides[0].keys() | sides[1].keys()):
                alike = sides[0].get(file) == sides[1].get(file)
                same &= alike
                print(f"{name:<14} {file:<20} {'same' if alike else 'DIFFERENT'}", flush=True)
    return same


if __name__ == "__main__":
    sys.exit(0 if main(tyro.cli(Options, description=__doc__)) else 1)
