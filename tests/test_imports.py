"""Who may import whom (docs/architecture.md), read from the syntax trees of all sources."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from mfenvs.registry import GAMES

ROOT = Path(__file__).parent.parent
SOURCES = {
    str(file.relative_to(ROOT)): file.read_text()
    for package in ("mfenvs", "mfq", "baselines", "benchmarks", "examples")
    for file in sorted((ROOT / package).rglob("*.py"))
}
# A folder imports only folders above it, and files of its own.
LAYERS = {
    "mfenvs": [
        {"validate", "rng", "graph", "infos", "layout"},
        {"engine"},
        {"render"},
        {"game"},
        {"ising", "gaussian_squeeze", "gridworld"},
        {"views"},
        {"registry", "check", "checks"},
        set(GAMES),
    ],
    "mfq": [
        {"common"},
        {"mean_field", "policy", "values"},
        {"envs", "networks"},
        {"replay"},
        {"agents"},
        {"pretrained", "matches"},
        {"recording"},
        {"training"},
        {"studies"},
        {"cli"},
    ],
}
# A rule runs as Python, Numba and CUDA.
STAGES = {
    "tables",
    "board",
    "start",
    "orders",
    "attack",
    "move",
    "reward",
}  # of a grid world's step
RULES = {"actions", "rules", "compact", "moves", "observe", "scripted", "hunting", "rng", *STAGES}
RULES_IMPORT = (
    "numpy",
    "math",
    "typing",
    "mfenvs.rng",
    "mfenvs.ising.rules",
    "mfenvs.gridworld.scripted",
    *(f"mfenvs.gridworld.{stage}" for stage in sorted(STAGES)),
)
# In mfenvs a library has one home.
HOMES = {
    "pygame": ("mfenvs/render/",),
    "numba": ("mfenvs/engine/",),
    "numba_cuda": ("mfenvs/engine/",),
    "pettingzoo": ("mfenvs/views/", "mfenvs/registry.py", "mfenvs/check"),
    "torch": ("mfenvs/engine/backend.py", "mfenvs/views/", "mfenvs/check"),
}
# What is run from a checkout. Nothing else imports it.
CHECKOUT = ("baselines", "benchmarks", "examples", "tests")
# Those who make games for users, which they import where they do it.
MAKERS = (
    "mfq/cli/",
    "mfq/studies/",
    "mfq/training/environments.py",
    "mfq/matches/lineup.py",
    "mfq/matches/window.py",
    "mfq/matches/players.py",
)


def imports(source):
    """(module, whether at module level) of each import, those for annotations alone included."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in tree.body) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            yield node.module, node in tree.body
            yield from ((f"{node.module}.{alias.name}", node in tree.body) for alias in node.names)


def module_of(path):
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def home(module):
    """The package and the number of the layer of a module; None outside the layers."""
    package, _, rest = module.partition(".")
    for number, names in enumerate(LAYERS.get(package, ())):
        if rest.partition(".")[0] in names:
            return package, number
    return None


def violations(sources):
    """What the sources, by path, do that docs/architecture.md forbids."""
    modules = {module_of(path): path for path in sources}
    uses = {module: set() for module in modules}
    for path, source in sources.items():
        module, own = module_of(path), home(module_of(path))
        top, name = path.partition("/")[0], Path(path).stem
        if own is None and top not in CHECKOUT and path != f"{top}/__init__.py":
            yield f"{path} is in no layer"
        for used, at_top in imports(source):
            if used in modules and used not in ("mfenvs", "mfq", module):
                uses[module].add(used)
            its = home(used)
            if own and its and own[0] == its[0] and its[1] > own[1]:
                yield f"{path} imports {used}, of a layer below"
            if top == "mfenvs" and used.split(".")[0] == "mfq":
                yield f"{path} imports {used}"
            if top == "mfenvs" and name in RULES and not used.startswith(RULES_IMPORT):
                yield f"{path} is a rule and imports {used}"
            library = used.split(".")[0]
            if top == "mfenvs" and library in HOMES and not path.startswith(HOMES[library]):
                yield f"{path} imports {library}"
            if name == "draw" and used.endswith(".game") and used != "mfenvs.game":
                yield f"{path} imports {used}; it may see the state"
            if top == "mfq" and library == "mfenvs":
                names = ("graph", "infos", "layout", "validate")
                shared = used.startswith(tuple(f"mfenvs.{name}" for name in names))
                # The two packages have one version.
                shared |= path == "mfq/__init__.py" and used in ("mfenvs", "mfenvs.__version__")
                if not shared and (not path.startswith(MAKERS) or at_top):
                    yield f"{path} imports {used}"
            # The test bed's games are shared by its script and its tests.
            games = top == "baselines" and used.startswith("tests.fakes.test_bed")
            if top != library and library in CHECKOUT and not games:
                yield f"{path} imports {used}, which no wheel has"
    for circle in circles(uses):
        yield "a circle: " + " -> ".join(sorted(circle))


def circles(uses):
    """The sets of modules that import each other, directly or not (Tarjan 1972)."""
    number, lowest, stack, found = {}, {}, [], []

    def visit(module):
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for used in uses[module]:
            if used not in number:
                visit(used)
                lowest[module] = min(lowest[module], lowest[used])
            elif used in stack:
                lowest[module] = min(lowest[module], number[used])
        if lowest[module] == number[module]:
            start = stack.index(module)
            if len(stack) - start > 1:
                found.append(stack[start:])
            del stack[start:]

    for module in uses:
        if module not in number:
            visit(module)
    return found


def test_everybody_imports_from_above():
    assert len(SOURCES) > 100
    assert list(violations(SOURCES)) == []


PLANTED = {
    "a rule with torch": ("mfenvs/ising/rules.py", "import torch", "is a rule and imports torch"),
    "a rule with a game": ("mfenvs/gridworld/board.py", "import mfenvs.game", "is a rule"),
    "a stage with a game": ("mfenvs/gridworld/reward.py", "import mfenvs.game", "is a rule"),
    "numba elsewhere": ("mfenvs/game.py", "import numba", "imports numba"),
    "pygame elsewhere": ("mfenvs/ising/draw.py", "import pygame", "imports pygame"),
    "torch in a game": ("mfenvs/ising/game.py", "import torch", "imports torch"),
    "a picture of a game": (
        "mfenvs/ising/draw.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mfenvs.ising import game",
        "it may see the state",
    ),
    "games with learners": ("mfenvs/registry.py", "import mfq", "imports mfq"),
    "upwards": ("mfq/replay/ring.py", "import mfq.agents.base", "of a layer below"),
    "upwards for a type": (
        "mfq/envs/view.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import mfq.matches.teams",
        "of a layer below",
    ),
    "a game at the top": ("mfq/cli/train.py", "import mfenvs.registry", "imports mfenvs.registry"),
    "a study in a loop": ("mfq/training/runner.py", "import mfq.studies.ising", "of a layer below"),
    "a game at the top of a study": (
        "mfq/studies/ising/study.py",
        "import mfenvs.ising_v0",
        "imports mfenvs.ising_v0",
    ),
    "a script": ("mfq/cli/train.py", "def f():\n    import baselines.tuning", "which no wheel has"),
    "a script with games": ("mfenvs/registry.py", "import baselines", "which no wheel has"),
    "a script in a benchmark": ("benchmarks/gpu.py", "import baselines", "which no wheel has"),
    "a fake in a script": ("baselines/tuning.py", "import tests.fakes.duel", "which no wheel has"),
    "a script in an example": ("examples/sb3_ising.py", "import baselines", "which no wheel has"),
    "a test": ("mfq/common/files.py", "import tests.fakes.duel", "which no wheel has"),
    "a circle in a folder": ("mfq/envs/step.py", "import mfq.envs.view", "a circle: mfq.envs.step"),
    "no layer": ("mfq/helpers.py", "", "is in no layer"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("path", "line", "message"), PLANTED.values(), ids=PLANTED)
def test_what_is_planted_is_found(path, line, message):
    planted = {**SOURCES, path: f"{SOURCES.get(path, '')}\n{line}\n"}
    found = list(violations(planted))
    assert any(path.removesuffix(".py").replace("/", ".") in f.replace("/", ".") for f in found)
    assert any(message in one for one in found), found


def test_importing_mfenvs_loads_neither_torch_nor_pygame():
    heavy = ("torch", "pygame", "numba.cuda", "matplotlib")
    code = f"import sys, mfenvs; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
