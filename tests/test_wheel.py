"""A wheel has the two packages and nothing else, and the `mfq` command works from it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHECKOUT = ("baselines", "benchmarks", "examples", "tests")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that setuptools fills for a wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    words = ["-q", "egg_info", "--egg-base", folder, "build_py", "--build-lib", folder / "lib"]
    code = "from setuptools import setup; setup()"
    subprocess.run([sys.executable, "-c", code, *map(str, words)], cwd=ROOT, check=True)
    return folder / "lib"


def test_a_wheel_has_the_files_of_the_two_packages(installed):
    assert sorted(path.name for path in installed.iterdir()) == ["mfenvs", "mfq"]
    built = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    sources = {
        str(path.relative_to(ROOT))
        for package in ("mfenvs", "mfq")
        for path in (ROOT / package).rglob("*")
        if path.suffix in (".py", ".safetensors", ".yaml")
        or path.name == "py.typed"
        or (path.parent.name in ("fonts", "page") and path.is_file())
    }
    assert built == sources


@pytest.mark.slow
def test_every_study_shows_its_help_outside_a_checkout(installed, tmp_path):
    # The modules of a checkout cannot be imported, though an editable install may offer them.
    code = f"""
import sys
for name in {CHECKOUT}:
    sys.modules[name] = None
from mfq.cli import main
from mfq.studies import STUDIES
for name in STUDIES:
    try:
        main(["compare", name, "--help"])
    except SystemExit as stop:
        assert not stop.code
modules = [sys.modules[name].__file__ for name in ("mfq.studies", "mfq.studies.ising", "mfenvs")]
print("modules:", *modules, sep="\\n")
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    printed, _, modules = run.stdout.partition("modules:\n")
    for name in ("ising", "squeeze", "battle", "curves", "dilemma"):
        assert f"usage: mfq compare {name}" in printed
    assert all(module.startswith(str(installed)) for module in modules.splitlines()), modules
