"""Games are played from a zip archive, and from an installation without source files."""

import compileall
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mfq import pretrained
from mfq.training.config import PRESETS

ROOT = Path(__file__).parents[2]
# A picture needs no file of matplotlib: Debian's has no fonts.
PROGRAM = """
import importlib.metadata, json, sys
from numba.core import event

distribution = importlib.metadata.distribution
def without_matplotlib(name):
    if name == "matplotlib":
        raise importlib.metadata.PackageNotFoundError(name)
    return distribution(name)
importlib.metadata.distribution = without_matplotlib
sys.modules["matplotlib"] = None

class Counter(event.Listener):
    count = 0
    def on_start(self, event): Counter.count += 1
    def on_end(self, event): pass

event.register("numba:compile", Counter())
import mfenvs
from mfenvs import ising_v0
env = ising_v0.parallel_env(side=4, render_mode="rgb_array")
env.reset(seed=3)
for _ in range(3):
    env.step({agent: 1 for agent in env.agents})
print(json.dumps([mfenvs.__file__, Counter.count, env.state().tolist(), env.render().sum().item()]))
"""


def play(path, home):
    """Plays PROGRAM with only one place to import mfenvs from, and that home."""
    environ = {name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"}
    environ |= {"PYTHONPATH": str(path), "HOME": str(home), "NUMBA_CACHE_DIR": ""}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        cwd=home,
        env=environ,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def expected():
    return play(ROOT, ROOT)


def copy_packages(folder, *names):
    for name in names:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))


def make_zip(folder, *names):
    """A zip archive of packages, and an empty folder "home"."""
    copy_packages(folder / "files", *names)
    archive = folder / "library.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for file in sorted((folder / "files").rglob("*")):
            opened.write(file, file.relative_to(folder / "files"))
    shutil.rmtree(folder / "files")
    (folder / "home").mkdir()
    return archive


@pytest.mark.slow
def test_a_game_runs_from_a_zip_archive(tmp_path, expected):
    archive = make_zip(tmp_path, "mfenvs")
    file, count, *numbers = play(archive, tmp_path / "home")
    assert file.startswith(str(archive))
    assert count > 0
    assert numbers == expected[2:]
    assert play(archive, tmp_path / "home")[1] == 0  # the machine code was stored


@pytest.mark.slow
def test_a_game_runs_without_source_files(tmp_path, expected):
    copy_packages(tmp_path, "mfenvs")
    package = tmp_path / "mfenvs"
    # As where it was compiled on another machine.
    compileall.compile_dir(package, legacy=True, quiet=1, stripdir=tmp_path, prependdir="/gone")
    for source in package.rglob("*.py"):
        source.unlink()
    file, count, *numbers = play(tmp_path, tmp_path)
    assert file == str(package / "__init__.pyc")
    assert count > 0
    assert numbers == expected[2:]
    assert play(tmp_path, tmp_path)[1] == 0


MFQ = """
import sys
import mfq
from mfq import pretrained
from mfq.training.config import PRESETS, preset
assert mfq.__file__.startswith(sys.argv[1])
assert preset("small").env == "battle_v0"
assert len(PRESETS) == int(sys.argv[2])
paths = pretrained.files("battle_v0").values()
assert sorted(path.stat().st_size for path in paths) == [int(word) for word in sys.argv[3:]]
"""


@pytest.mark.slow
def test_mfq_reads_its_files_from_a_zip_archive(tmp_path):
    archive = make_zip(tmp_path, "mfenvs", "mfq")
    sizes = sorted(path.stat().st_size for path in pretrained.files("battle_v0").values())
    words = [archive, len(PRESETS), *sizes]
    subprocess.run(
        [sys.executable, "-W", "error", "-c", MFQ, *map(str, words)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(archive)},
        check=True,
    )
