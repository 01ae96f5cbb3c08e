"""What an installation tells: its version, its types, its names; and what it leaves alone."""

import importlib
import os
import subprocess
import sys
import tomllib
import venv
import warnings
import zipfile
from pathlib import Path

import pettingzoo
import pytest

import mfenvs
import mfenvs.registry
import mfq
from mfq.cli import main

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_there_is_one_version(capsys):
    assert mfq.__version__ == mfenvs.__version__
    assert PROJECT["dynamic"] == ["version"]
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mfq {mfenvs.__version__}\n"


def test_this_python_is_one_that_the_metadata_name():
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]


def test_numba_cuda_gets_a_numpy_that_it_runs_with():
    assert "numpy<2.5" in PROJECT["optional-dependencies"]["cuda"]


@pytest.mark.skipif(not hasattr(pettingzoo, "register"), reason="this PettingZoo has no registry")
def test_reloading_registers_the_games_once():
    before = dict(pettingzoo.parallel_registry)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importlib.reload(mfenvs.registry)
        importlib.reload(mfenvs)
    assert pettingzoo.parallel_registry == before
    for id in mfenvs.registry.GAMES:
        assert (
            pettingzoo.spec("parallel", f"mfenvs/{id}").entry_point == f"mfenvs.{id}:parallel_env"
        )


@pytest.mark.slow
def test_folders_of_a_user_may_have_any_name(tmp_path):
    """`mfq compare` and training import no module of a checkout."""
    for name in ("baselines", "benchmarks", "examples", "tests", "common", "training"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the folder of a user')\n")
    for words in (["compare", "ising", "--help"], ["compare", "squeeze", "--help"], ["list"]):
        done = subprocess.run(
            [sys.executable, "-m", "mfq.cli", *words],  # -m: the working folder comes first
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


USER = """
import mfenvs
import mfq
reveal_type(mfenvs.make_batched("ising_v0").num_envs)
reveal_type(mfq.evaluate)
"""


@pytest.mark.slow
def test_type_checkers_find_the_types_of_an_editable_install(tmp_path):
    pytest.importorskip("mypy")
    code = "import sys; from setuptools.build_meta import *; build_editable(sys.argv[1])"
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "mfenvs", "mfq"):
        (copy / name).symlink_to(ROOT / name)
    subprocess.run(
        [sys.executable, "-c", code, tmp_path], cwd=copy, check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", symlinks=True)
    (packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(packages)
    (tmp_path / "user.py").write_text(USER)
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--python-executable",
            tmp_path / "venv/bin/python",
            "user.py",
        ],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert 'note: Revealed type is "int"' in checked.stdout, checked.stdout
    assert "def (view: " in checked.stdout, checked.stdout
    assert "0 errors" in checked.stdout or "Success" in checked.stdout, checked.stdout
