"""kill -9 of a run on battle, while it plays and as it saves: only its last interval is lost."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from mfq.training.runner import Runner
from tests.mfq.training.test_runner_battle import rows_of, small, weights

pytestmark = pytest.mark.slow

SAVED_EVERY = 10
TRAIN = "import sys; from mfq.cli import main; main(['train', '--config', sys.argv[1]])"
# As above, but it dies with half of its fourth checkpoint written.
TRAIN_AND_DIE_SAVING = (
    """
import os, signal
from mfq.common import checkpoint

save_file, saved = checkpoint.save_file, 0

def die_in_the_fourth(tensors, path, header):
    global saved
    saved += 1
    save_file(tensors, path, header)
    if saved == 4:
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint.save_file = die_in_the_fourth
"""
    + TRAIN
)


def options(out, **changes):
    return small(
        opponents={"rush": 1.0, "lagged": 1.0, "pool": 1.0},
        evaluation={"every": 0},
        checkpoints={"every": SAVED_EVERY},
        log={"every": 1},
        out=str(out),
        **changes,
    )


def start(tmp_path, program, **changes):
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(options(tmp_path / "run", **changes)))  # JSON is YAML
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # as here: see tests/conftest.py
    return subprocess.Popen([sys.executable, "-c", program, str(config)], env=environment)


def kill_while_it_plays(tmp_path):
    process = start(tmp_path, TRAIN, steps=100_000)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            log = tmp_path / "run" / "log.csv"
            if log.exists() and len(rows_of(log.parent)) > 34:
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    finally:
        process.kill()
        process.wait()
    return process.returncode


def kill_while_it_saves(tmp_path):
    process = start(tmp_path, TRAIN_AND_DIE_SAVING, steps=100_000)
    process.wait(120)
    return process.returncode


@pytest.mark.parametrize("kill", [kill_while_it_plays, kill_while_it_saves])
def test_a_killed_run_loses_nothing_but_its_last_interval(tmp_path, kill):
    assert kill(tmp_path) == -signal.SIGKILL
    run = tmp_path / "run"
    left = [name for name in os.listdir(run) if name.startswith(".")]
    assert left or kill is kill_while_it_plays
    reached = int(rows_of(run)[-1]["step"])
    resumed = Runner.load(run, steps=reached + 30)
    assert 0 <= reached - resumed.done <= SAVED_EVERY
    assert resumed.done % SAVED_EVERY == 0
    resumed.train()
    assert not [name for name in os.listdir(run) if name.startswith(".")]
    whole = Runner(config=options(tmp_path / "whole", steps=reached + 30))
    whole.train()
    assert all(map(torch.equal, weights(resumed), weights(whole)))
    names = ("step", "loss", "reward", "win_rate", "hits", "attacks")
    found, expected = (
        [[row.get(name) for name in names] for row in rows_of(tmp_path / folder)]
        for folder in ("run", "whole")
    )
    assert found == expected
