"""The tool that mutates: what it changes, which tests it runs, and what it says of them."""

import csv
import os
import re
import subprocess
import textwrap
import time
from pathlib import Path

import pytest

from tests.mutation import __main__ as tool
from tests.mutation.operators import is_change, mutants_of
from tests.mutation.report import explained, key, table_row
from tests.mutation.trial import Verdict, run, stamp_of

TOY = '''\
"""A module."""
LIMIT = 3


def clipped(value, low=0):
    """At least low, at most LIMIT."""
    if value < low:
        return low
    return min(value, LIMIT)


def never_run(value):
    return value + 1
'''
TOY_TESTS = """\
from mfq.toy import clipped


def test_clipped():
    assert clipped(-5) == 0 and clipped(2) == 2 and clipped(9) == 3


def test_other():
    pass
"""


def edits(source):
    source = textwrap.dedent(source).encode()
    return {
        (mutant.operator, mutant.apply(source).decode().strip())
        for mutant in mutants_of("x.py", source)
        if is_change(mutant, source)
    }


@pytest.mark.parametrize(
    ("source", "operator", "after"),
    [
        ("(a) + (b)", "arithmetic", "(a) - (b)"),
        ("a += b", "arithmetic", "a -= b"),
        ("é * b", "arithmetic", "é / b"),
        ("0 < a <= b", "compare", "0 < a < b"),
        ("a is  not b", "compare", "a is b"),
        ("a and b or c", "boolean", "a and b and c"),
        ("not a", "not", "(a)"),
        ("f(-a)", "sign", "f((a))"),
        ("x if a < b else y", "negate", "x if not (a < b) else y"),
        ("[a for a in b if a > c]", "negate", "[a for a in b if not (a > c)]"),
        ("x = 3", "minus-one", "x = (2)"),
        ("x = .5", "ten-times", "x = 5.0"),
        ("x = True", "bool", "x = False"),
        ("a[0]", "index", "a[-1]"),
        ("a[-1]", "index", "a[0]"),
        ("f.min(a)", "twin", "f.max(a)"),
        ("max(a)", "twin", "min(a)"),
        ("x = copy.deepcopy(a)", "uncopied", "x = a"),
        ("x = a.b.clone()", "uncopied", "x = a.b"),
        ("f(a, mask=b)", "keyword", "f(a, )"),
        ("def f(a: int = 3): pass", "plus-one", "def f(a: int = 4): pass"),
        ("f(a)", "delete", "pass"),
    ],
)
def test_an_operator_edits_the_text_in_place(source, operator, after):
    assert (operator, after) in edits(source)


@pytest.mark.parametrize(
    "source",
    [
        '"""1 + 1."""',
        "raise ValueError(f'{a + 1}', 1 < 2)",
        "warnings.warn('no', stacklevel=2)",
        "x: Literal[1] = y",
        "def __repr__(self): return 1 + 1",
        "if TYPE_CHECKING: x = 1",
        "f'{1 + 1}'",
        "def f():\n    a = b()",  # without it, what follows has no value
    ],
)
def test_messages_types_and_the_like_stay(source):
    assert edits(source) == set()


def test_statements_that_set_something_anew_are_left_out():
    assert ("delete", "def f(a):\n    pass") in edits("def f(a):\n    a.b = 1")
    assert ("delete", "def f():\n    a = 1\n    pass") in edits("def f():\n    a = 1\n    a = 2")


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A repository of one module and its tests, and the tool's work folder in it."""
    files = {"mfq/toy.py": TOY, "mfq/__init__.py": "", "tests/test_clipping.py": TOY_TESTS}
    for name, text in (files | {".gitignore": "/work/\n__pycache__/\n"}).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    here = str(Path(__file__).parents[2])  # where the plugin is
    monkeypatch.setenv("PYTHONPATH", here, prepend=os.pathsep)
    return tmp_path


def mutate(toy, *arguments):
    """Runs the tool on the toy; its survivors by their names."""
    tool.main([*arguments, "--root", str(toy), "--work", str(toy / "work"), "--processes", "1"])
    with (toy / "work/survivors.csv").open() as file:
        return {row["mutant"]: row for row in csv.DictReader(file)}


@pytest.mark.slow
def test_a_toy_s_mutants_die_live_or_are_not_tested(toy, capsys):
    killed = "mfq/toy.py:2:8:plus-one"  # a constant: those who run a line that names it see it
    lives = "mfq/toy.py:7:13:compare"  # low itself is returned as low
    untested = "mfq/toy.py:13:17:arithmetic"
    survivors = mutate(toy, killed, lives, untested)
    assert set(survivors) == {lives, untested}
    assert (survivors[lives]["tests"], survivors[lives]["of"]) == ("1", "1")  # not test_other
    assert survivors[lives]["edit"] == "if value {< => <=} low:"
    assert survivors[untested]["tests"] == "0"
    printed = capsys.readouterr().out
    assert (
        f"killed    {killed} module: LIMIT = {{3 => 4}} by tests/test_clipping.py::test_clip"
        in printed
    )
    assert "2 of 3 live; docs/mutants.md explains all but 2 (67% of the sample)" in printed
    assert (toy / "mfq/toy.py").read_text() == TOY, "the working tree is left alone"
    assert not list((toy / "work").glob("mutated-*"))


def test_a_sample_goes_on_where_it_stopped(toy, monkeypatch, capsys):
    tried = []

    def judge(mutant, tree, *_):
        tried.append(mutant.name)
        if len(tried) == 3:  # Ctrl-C
            raise KeyboardInterrupt
        by = "tests/test_clipping.py::test_clipped" if mutant.line == 7 else ""
        fate, edit = "killed" if by else "survived", mutant.edit((tree / mutant.path).read_bytes())
        return Verdict(mutant.name, "f", edit, fate, by, 1, 1, stamp_of(tree, 60, mutant.name, by))

    monkeypatch.setattr(tool, "record", lambda *_: "")
    monkeypatch.setattr(tool, "sound", lambda *_: True)
    monkeypatch.setattr(tool, "judge", judge)
    arguments = ["--n", "4", "--files", "mfq/toy.py"]
    with pytest.raises(SystemExit, match="goes on"):
        mutate(toy, *arguments)
    kept = len((toy / "work/verdicts.jsonl").read_text().splitlines())
    assert kept < 4
    survivors = mutate(toy, *arguments)
    assert 0 < len(survivors) < 4
    assert f"4 mutants, {kept} known" in capsys.readouterr().out
    assert tried[2] in tried[3:]
    before = len(tried)
    mutate(toy, *arguments)
    assert len(tried) == before

    # A page that explains one survivor.
    row = (toy / "work/survivors.md").read_text().splitlines()[0]
    (toy / "docs").mkdir()
    (toy / "docs/mutants.md").write_text(row[:-1] + " Only speed. |\n")
    assert [r["explained"] for r in survivors.values()].count("True") == 0
    assert [r["explained"] for r in mutate(toy, *arguments).values()].count("True") == 1
    assert len(tried) == before

    # Another test: what was killed stays so, what lived is tried again.
    (toy / "tests/test_more.py").write_text("def test_more():\n    pass\n")
    mutate(toy, *arguments)
    assert len(tried) == before + len(survivors)


def test_a_sample_depends_on_its_seed_and_takes_from_each_file(tmp_path):
    (tmp_path / "mfq").mkdir()
    for name in "abc":
        (tmp_path / f"mfq/{name}.py").write_text("\n".join(f"x{k} = {k} + y" for k in range(20)))

    def names(seed):
        return [mutant.name for mutant in tool.pick(tmp_path, [], None, 12, seed)]

    assert names(1) == names(1) != names(2)
    assert [sum(f"mfq/{name}" in mutant for mutant in names(1)) for name in "abc"] == [4, 4, 4]
    with pytest.raises(ValueError, match=r"mutant='mfq/a.py:1:0:x'"):
        list(tool.pick(tmp_path, ["mfq/a.py:1:0:x"], None, 12, 0))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--files", "../../mfq/toy.py"],
        ["--files", "{toy}/mfq/toy.py"],
        ["{toy}/mfq/toy.py:7:13:compare"],
        ["../../mfq/toy.py:7:13:compare"],
        ["mfq/none.py:7:13:compare"],
        ["--files", "mfq/none*.py"],
        ["--n", "0"],
    ],
)
def test_files_outside_and_nothing_to_do_are_named_first(toy, monkeypatch, arguments):
    """A path that leads out of the tree would lead to the user's own file, which would be mutated."""
    monkeypatch.setattr(tool, "record", lambda *_: pytest.fail("tests were recorded first"))
    with pytest.raises(ValueError, match=r"(path|mutant|files|n)=.*; allowed: "):
        mutate(toy, *(argument.format(toy=toy) for argument in arguments))
    assert (toy / "mfq/toy.py").read_text() == TOY


@pytest.mark.slow
def test_a_hang_ends(tmp_path):
    (tmp_path / "test_hang.py").write_text("import time\n\n\ndef test():\n    time.sleep(60)\n")
    start = time.monotonic()
    assert run(tmp_path, ["test_hang.py"], 3.0) == ("timeout", "")
    assert time.monotonic() - start < 30


def test_bars_in_a_mutant_do_not_break_the_table(tmp_path):
    verdict = Verdict("a.py:1:0:arithmetic", "f", "a {| => &} b", "survived", "", 2, 3, "")
    page = tmp_path / "mutants.md"
    page.write_text(table_row(verdict) + "\n")
    assert explained(page) == set(), "an empty cell explains nothing"
    page.write_text(table_row(verdict)[:-1] + " only speed |\n")
    assert explained(page) == {key(verdict)}


def test_the_page_names_tests_that_exist():
    root = Path(__file__).parents[2]
    named = re.findall(r"\| (tests/[\w/]+\.py)::(\w+) \|", (root / "docs/mutants.md").read_text())
    assert len(named) > 25
    for file, name in named:
        assert re.search(rf"^def {name}\(", (root / file).read_text(), re.M), f"{file}::{name}"
