"""The packages import and run where Python lacks what only POSIX has, such as on Windows."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mfenvs.registry import GAMES

ROOT = Path(__file__).parents[2]

# Other packages are imported first: whether they run on Windows is theirs to say.
WINDOWS = """
import importlib, multiprocessing.connection, os, pkgutil, signal, subprocess, sys, warnings
import gymnasium, matplotlib.figure, numba, numpy, pettingzoo, pygame, safetensors.torch, scipy.stats
import torch.distributed, tqdm, tyro, yaml, cloudpickle

for module in ("fcntl", "grp", "posix", "pwd", "resource", "syslog", "termios", "tty"):
    sys.modules[module] = None
for name in (
    "fork forkpty register_at_fork sched_getaffinity sched_setaffinity sched_yield getuid geteuid "
    "getgid getegid getgroups getpgid setsid killpg nice uname sysconf confstr mkfifo mknod chown "
    "lchown fchown getloadavg wait wait3 wait4 statvfs fstatvfs posix_fallocate posix_fadvise openpty "
    "ctermid pread pwrite sendfile setpriority getpriority memfd_create copy_file_range "
    "O_CLOEXEC O_DIRECTORY O_NONBLOCK"
).split():
    if hasattr(os, name):
        delattr(os, name)
for name in list(vars(signal)):
    if name.startswith("SIG") and name not in (
        "SIGABRT SIGFPE SIGILL SIGINT SIGSEGV SIGTERM SIG_DFL SIG_IGN"
    ).split() or name in ("alarm", "setitimer", "pthread_kill", "pthread_sigmask", "sigwait"):
        delattr(signal, name)
sys.platform = "win32"

import mfenvs, mfq
for package in (mfenvs, mfq):
    for part in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(part.name)
"""
TRAINING = """
from mfq.cli import main
words = "train --preset ising --steps 4 --num-envs 2 --quiet --evaluation.episodes 1 --out".split()
sys.exit(main([*words, sys.argv[1]]))
"""


def python(code, *arguments, **environment):
    """Runs a program in a new process; returns its standard output."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_everything_imports_without_what_only_posix_has():
    python(WINDOWS)


@pytest.mark.slow
def test_training_runs_without_what_only_posix_has(tmp_path):
    python(WINDOWS + TRAINING, tmp_path / "run")
    assert (tmp_path / "run" / "last.safetensors").exists()


def without_encoding(source):
    """The lines of calls that open a text file in the encoding of the system."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", None))
        if name not in ("open", "read_text", "write_text", "fdopen", "NamedTemporaryFile"):
            continue
        if ast.unparse(node.func) == "os.open":
            continue
        words = [part.value for part in node.args if isinstance(part, ast.Constant)]
        words += [
            part.value.value for part in node.keywords if isinstance(part.value, ast.Constant)
        ]
        binary = any(isinstance(word, str) and "b" in word and len(word) < 4 for word in words)
        if not binary and "encoding" not in [part.arg for part in node.keywords]:
            yield node.lineno


def test_text_files_are_utf8_wherever_the_program_runs():
    """On Windows the encoding of the system is another."""
    assert list(without_encoding("open('a')\nopen('a', 'rb')\nopen('a', encoding='utf-8')")) == [1]
    assert list(without_encoding("path.open('w')\npath.read_text()\npath.open(mode='wb')")) == [
        1,
        2,
    ]
    for package in ("mfenvs", "mfq"):
        for file in (ROOT / package).rglob("*.py"):
            assert not list(without_encoding(file.read_text(encoding="utf-8"))), file


SMALL = {
    "adversarial_pursuit_v0": {"map_size": 12},
    "battle_v0": {"map_size": 14},
    "battlefield_v0": {"map_size": 46, "placement": "random", "counts": {"red": 3, "blue": 3}},
    "combined_arms_v0": {"map_size": 16},
    "gather_v0": {
        "map_size": 12,
        "placement": "random",
        "counts": {"omnivore": 5, "food": 9, "walls": 2},
    },
    "gaussian_squeeze_v0": {"num_agents": 6},
    "ising_v0": {"side": 4},
    "tiger_deer_v0": {"map_size": 12, "counts": {"tiger": 3, "deer": 5}},
}
PLAY = """
import sys
import numpy as np
from mfenvs.registry import GAMES
from tests.installs.test_platforms import play
np.savez(sys.argv[1], **{id: play(id) for id in GAMES})
"""


def play(id):
    """Five steps of two rows of a small game: observations, rewards and measures, as one array."""
    import torch

    from mfenvs import make_batched

    env = make_batched(id, num_envs=2, **SMALL[id])
    obs, _ = env.reset(seed=3)
    coin = torch.Generator().manual_seed(5)
    numbers = []
    for _ in range(5):
        counts = torch.from_numpy(env.game.action_counts)
        actions = torch.randint(int(counts.max()), (2, env.num_agents), generator=coin) % counts
        obs, reward, terminated, truncated, _ = env.step(actions)
        for part in [*_leaves(obs), reward, terminated, truncated]:
            numbers.append(part.double().flatten())
    return torch.cat(numbers).numpy()


def _leaves(obs):
    if not isinstance(obs, dict):
        return [obs]
    return [leaf for part in obs.values() for leaf in _leaves(part)]


@pytest.mark.slow
def test_rules_run_as_plain_python(tmp_path):
    python(PLAY, tmp_path / "plain.npz", NUMBA_DISABLE_JIT="1")
    plain = np.load(tmp_path / "plain.npz")
    assert set(plain.files) == set(GAMES)
    for id in GAMES:
        assert np.array_equal(plain[id], play(id)), id


def test_plain_python_divides_by_zero_in_silence(tmp_path):
    """As machine code does, where ``-W error`` would raise."""
    (tmp_path / "toy_rules.py").write_text(
        "def divide(row, x):\n    x[row] = x[row] / (x[row] - 1)\n"
    )
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import numpy as np, toy_rules
from mfenvs.engine.backend import get_backend
x = np.arange(3.0)
get_backend().run(toy_rules.divide, (3,), x)
print(x.tolist())
"""
    assert python(code, NUMBA_DISABLE_JIT="1") == "[-0.0, inf, 2.0]\n"
