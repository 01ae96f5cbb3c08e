"""Who may import whom (docs/architecture.md), read from the syntax trees."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("mfenvs", "mfq", "baselines")
FILES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


def imports(file):
    """(module, whether at run time at module level) of each import, annotations' ones left out."""
    tree = ast.parse(file.read_text())
    typing_only = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        at_top = node in tree.body
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            yield node.module, at_top
            yield from ((f"{node.module}.{alias.name}", at_top) for alias in node.names)


def importers(module):
    """Files that import a module or something in it, relative to the root."""
    return {
        str(file.relative_to(ROOT))
        for file in FILES
        for name, _ in imports(file)
        if name == module or name.startswith(module + ".")
    }


def in_package(files, package):
    return {file for file in files if file.startswith(package + "/")}


def test_the_walk_sees_imports():
    assert "mfenvs/engine/compile.py" in importers("numba")
    assert len(FILES) > 15


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("pygame", {"mfenvs/render/canvas.py"}),
        ("numba", {"mfenvs/engine/compile.py"}),
        ("pettingzoo", {"mfenvs/views/parallel.py", "mfenvs/registry.py", "mfenvs/check.py"}),
    ],
)
def test_in_mfenvs_a_library_has_one_home(module, allowed):
    assert in_package(importers(module), "mfenvs") <= allowed


def test_torch_in_mfenvs_stays_with_the_batched_view_and_the_checker():
    found = in_package(importers("torch"), "mfenvs")
    assert {file for file in found if not file.startswith("mfenvs/check")} <= {
        "mfenvs/engine/backend.py",
        "mfenvs/views/batched.py",
    }


RULES = [
    "actions.py",
    "rules.py",
    "board.py",
    "compact.py",
    "moves.py",
    "observe.py",
    "scripted.py",
    "rng.py",
]


@pytest.mark.parametrize("name", RULES)
def test_rules_import_numpy_math_and_other_rules_alone(name):
    allowed = ("numpy", "math", "typing", "mfenvs.rng", "mfenvs.ising.rules", "mfenvs.battle.board")
    files = list((ROOT / "mfenvs").rglob(name))
    assert files
    for file in files:
        for module, _ in imports(file):
            assert module.startswith(allowed), f"{file} imports {module}"


def test_drawing_sees_no_environment():
    files = list((ROOT / "mfenvs").rglob("draw.py"))
    assert len(files) >= 3
    for file in files:
        for module, _ in imports(file):
            assert not module.startswith(
                ("mfenvs.views.parallel", "mfenvs.views.batched", "mfenvs.registry")
            )


def test_layers_of_mfenvs():
    below = {
        "mfenvs/rng.py": (),
        "mfenvs/validate.py": (),
        "mfenvs/graph.py": ("mfenvs.validate",),
        "mfenvs/engine/compile.py": (),
        "mfenvs/engine/backend.py": ("mfenvs.engine.compile",),
        "mfenvs/render/chart.py": (),
        "mfenvs/render/canvas.py": ("mfenvs.render.chart",),
        "mfenvs/game.py": (
            "mfenvs.engine.backend",
            "mfenvs.graph",
            "mfenvs.rng",
            "mfenvs.validate",
        ),
    }
    for file, allowed in below.items():
        for module, _ in imports(ROOT / file):
            if module.startswith("mfenvs"):
                assert module.startswith(allowed or ("nothing",)), f"{file} imports {module}"


def test_mfq_takes_only_graphs_from_mfenvs():
    makers = (
        "mfq/cli.py",
        "mfq/matches/window.py",
        "mfq/training/runner.py",
        "mfq/pretrained/__init__.py",
    )
    for file in FILES:
        name = str(file.relative_to(ROOT))
        if not name.startswith("mfq/") or name in makers:
            continue
        for module, _ in imports(file):
            if module.startswith("mfenvs"):
                assert module.startswith("mfenvs.graph"), f"{file} imports {module}"


def test_studies_are_imported_lazily_and_only_by_the_command():
    found = {file for file in importers("baselines") if not file.startswith("baselines/")}
    assert found <= {"mfq/cli.py"}
    at_top = [module for module, top in imports(ROOT / "mfq/cli.py") if top]
    assert not any(module.startswith(("baselines", "mfenvs")) for module in at_top)


def test_importing_mfenvs_loads_neither_torch_nor_pygame():
    heavy = ("torch", "pygame", "numba.cuda", "matplotlib")
    code = f"import sys, mfenvs; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
