"""The README's code runs as printed, and the documents point at files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text()
PYTHON = re.compile(r"```python\n(.*?)```", re.S)
SNIPPETS = PYTHON.findall(README)
OTHERS = [code for document in DOCUMENTS[1:] for code in PYTHON.findall(document.read_text())]


def test_the_readme_is_short_and_has_a_snippet():
    assert len(SNIPPETS) >= 1
    assert len(README.splitlines()) <= 120


@pytest.mark.slow
@pytest.mark.parametrize("code", SNIPPETS + OTHERS, ids=lambda code: code.splitlines()[0])
def test_what_is_printed_runs(code, capsys):
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    for comment in re.findall(r"print\(.*\)  # ([\[(].*[\])])", code):
        assert comment in printed


def test_one_import_swaps_magent2_for_ours(capsys):
    code = next(
        code for code in SNIPPETS + OTHERS if "magent2.environments import battle_v4" in code
    )
    ours = "from mfenvs import battle_v0 as battle_v4"
    theirs = "from magent2.environments import battle_v4"
    assert f"{ours}  # {theirs}\n" in code
    printed, spaces = [], []
    for line in (ours, theirs):
        scope: dict = {}
        exec(compile(code.replace(f"{ours}  # {theirs}", line), "README.md", "exec"), scope)
        printed.append(capsys.readouterr().out)
        env = scope["env"]
        spaces.append(
            [(a, env.observation_space(a), env.action_space(a)) for a in env.possible_agents]
        )
        assert set(scope["observations"]) == set(scope["rewards"]) == set(scope["truncations"])
    assert printed[0] == printed[1] == "(40, 40, 37)\n"
    assert spaces[0] == spaces[1]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


def test_the_readme_names_only_commands_that_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^    make (\w+)", README, re.M)
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target
