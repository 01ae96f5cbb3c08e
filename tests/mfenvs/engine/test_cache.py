"""Compiled rules are stored where that is possible, and compiled in memory where it is not."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from mfenvs.engine.cache import Digest

ROOT = str(Path(__file__).parents[3])
RULES = """
def fill(row, out):
    out[row] = row

def double(row, out):
    out[row] = 2 * row
"""
# Prints how often Numba compiled, the messages of the warnings, and what two rules wrote.
PROGRAM = """
import json, sys, warnings
sys.path.insert(0, {folder!r})
import numpy as np
from numba.core import event
{before}
import toy_rules
from mfenvs.engine.backend import get_backend

class Counter(event.Listener):
    count = 0
    def on_start(self, event): Counter.count += 1
    def on_end(self, event): pass

event.register("numba:compile", Counter())
backend, outs = get_backend(), np.zeros((2, 4), np.int64)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for rule, out in zip((toy_rules.fill, toy_rules.double), outs):
        backend.run(rule, (4,), out)
print(json.dumps([Counter.count, [str(w.message) for w in caught], outs.tolist()]))
"""
EXPECTED = [[0, 1, 2, 3], [0, 2, 4, 6]]


@pytest.fixture
def folder(tmp_path):
    """A folder with rules, beside which nothing can be stored, and without a home."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "toy_rules.py").write_text(RULES)
    (tmp_path / "rules" / "__pycache__").write_text("a file where a folder would be")
    (tmp_path / "no_folder").write_text("a file")
    (tmp_path / "work").mkdir()
    return tmp_path


def run(folder, before="", **environment):
    """Runs PROGRAM. Returns the number of compilations, the warnings and the standard error."""
    environ = {
        **{name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"},
        "PYTHONPATH": ROOT,
        "PYTHONDONTWRITEBYTECODE": "1",
        "NUMBA_CACHE_DIR": "",
        "HOME": str(folder / "no_folder"),
        **environment,
    }
    code = PROGRAM.format(folder=str(folder / "rules"), before=textwrap.dedent(before))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder / "work",
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    count, messages, outs = json.loads(done.stdout)
    assert outs == EXPECTED
    return count, messages, done.stderr


def is_the_warning(messages):
    return len(messages) == 1 and "NUMBA_CACHE_DIR" in messages[0]


def test_without_a_folder_rules_compile_in_memory_and_one_warning_says_so(folder):
    count, messages, _ = run(folder)
    assert count > 0
    assert is_the_warning(messages), messages


def test_a_cache_folder_that_is_a_file_is_no_error(folder):
    _, messages, _ = run(folder, NUMBA_CACHE_DIR=str(folder / "no_folder"))
    assert is_the_warning(messages), messages


def test_without_a_home_no_folder_named_tilde_is_made(folder):
    _, messages, _ = run(folder, "import os; os.path.expanduser = lambda path: path")
    assert is_the_warning(messages), messages
    assert not list((folder / "work").iterdir())


def test_a_full_disk_is_no_error(folder):
    pytest.importorskip("resource")
    before = """
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing raises OSError
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    """
    _, messages, _ = run(folder, before, NUMBA_CACHE_DIR=str(folder / "cache"))
    assert is_the_warning(messages), messages
    assert [name for name in (folder / "cache").rglob("*") if name.is_file()] == []


READ_ONLY = """
import tempfile
def refuse(*args, **options):
    raise PermissionError(13, "read-only")
tempfile.TemporaryFile = refuse  # by which Numba tries whether it can write
"""


def test_a_folder_that_can_only_be_read_is_used(folder):
    cache = {"NUMBA_CACHE_DIR": str(folder / "cache")}
    run(folder, **cache)
    assert run(folder, READ_ONLY, **cache)[:2] == (0, [])


def test_a_broken_file_that_cannot_be_deleted_is_no_error(folder):
    cache = {"NUMBA_CACHE_DIR": str(folder / "cache")}
    run(folder, **cache)
    for index in (folder / "cache").rglob("*.nbi"):
        index.write_bytes(b"broken")
    before = f"""{READ_ONLY}
import os
os.replace = refuse
"""
    count, messages, _ = run(folder, before, **cache)
    assert count > 0
    assert is_the_warning(messages), messages


def test_a_line_says_that_rules_are_being_compiled(folder):
    before = "import mfenvs.engine.cache; mfenvs.engine.cache.SLOW = -1.0"
    cache = {"NUMBA_CACHE_DIR": str(folder / "cache")}
    _, messages, printed = run(folder, before, **cache)
    assert printed.count("\n") == 1
    assert printed.startswith("compiling toy_rules for this machine, once; ")
    assert str(folder / "cache") in printed
    assert run(folder, before, **cache)[2] == ""  # nothing is compiled
    assert not messages


def test_the_line_waits_for_a_slow_compilation(folder):
    before = "import mfenvs.engine.cache; mfenvs.engine.cache.SLOW = 1000.0"
    assert run(folder, before, NUMBA_CACHE_DIR=str(folder / "cache"))[2] == ""


def digest(value):
    one = Digest()
    one.add("value", value)
    return one.hexdigest()


def of(source):
    scope = {}
    exec(source, scope)
    return scope["f"].__code__


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ((1, 2), (12,)),
        ((1, (2, 3)), (1, 2, 3)),
        (np.float32(1), np.float64(1)),
        (np.arange(2000), np.where(np.arange(2000) == 1000, 7, np.arange(2000))),
        (np.zeros(4, np.int32), np.zeros(2, np.int64)),
        (of("def f(a, b): return a + b"), of("def f(a, b): return a - b")),
        (of("def f(a): return a.real"), of("def f(a): return a.imag")),
        (of("def f(a): return a + 1"), of("def f(a): return a + 1.0")),
        (of("def f(a): return lambda: 1.5"), of("def f(a): return lambda: 2.5")),
    ],
)
def test_what_differs_has_another_digest(one, other):
    assert digest(one) != digest(other)


def test_equal_code_has_the_same_digest_wherever_it_stands():
    source = "def f(a, b): return (a, b, 0.5, 'text')"
    assert digest(of(source)) == digest(of("\n\n\n" + source))
    assert digest(frozenset("abc")) == digest(frozenset("cba"))
