"""Copies of the working tree: what is mutated and run is never the tree itself."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path


def digest(*paths: Path) -> str:
    """Of the contents of files."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()


def copy_sources(root: Path, tree: Path) -> None:
    """Brings a copy up to date with the files that git knows or would know.

    A file that is as it was stays, with its time: so do compiled rules, which lie in __pycache__.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=True, text=True)
    files = {name for name in listed.stdout.split("\0") if name and (root / name).is_file()}
    for path in tree.rglob("*.py"):
        if path.relative_to(tree).as_posix() not in files:
            path.unlink()
    for name in files:
        source, copy = root / name, tree / name
        if not copy.exists() or digest(source) != digest(copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.unlink(missing_ok=True)
            shutil.copyfile(source, copy)


def linked_copy(tree: Path, copy: Path) -> None:
    """A copy that shares its files' contents: whoever changes one must put another in its place."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(tree, copy, copy_function=os.link)


def environment(tree: Path) -> dict[str, str]:
    """Variables with which Python imports a tree and uses one processor."""
    path = os.pathsep.join([str(tree), *filter(None, [os.environ.get("PYTHONPATH")])])
    threads = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "SDL_VIDEODRIVER": "dummy"}
    return {**os.environ, **threads, "PYTHONPATH": path}
