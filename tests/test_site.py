"""The documentation site: it builds without warnings, and its tables agree with the code."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mfenvs
import mfq
from mfenvs import battle_v0
from mfenvs.gridworld.tables import NUM_MOVES
from mfenvs.registry import GAMES

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SPEC = importlib.util.spec_from_file_location("option_tables", DOCS / "option_tables.py")
option_tables = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(option_tables)
FIGURES = importlib.util.spec_from_file_location("figures", DOCS / "figures.py")
# Modules, not classes or functions, are documented by what they hold.
MODULES = set(GAMES)


@pytest.mark.slow
def test_the_site_builds_without_warnings(tmp_path):
    if missing := [n for n in ("sphinx", "furo", "myst_parser") if not importlib.util.find_spec(n)]:
        pytest.skip(f"{', '.join(missing)} not installed: pip install -e '.[docs]'")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "doctrees"), str(DOCS), str(tmp_path / "html")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": ""},
    )
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "html" / "api" / "mfq.html").read_text()
    for name in ("wrap", "Step", "QAgent", "evaluate"):
        assert f'id="mfq.{name}"' in reference
    assert "<strong>num_envs, num_agents, num_actions</strong>" in reference  # a joint entry
    assert "The size of mean actions:\nA, or" in reference  # a colon in a property's docstring
    makers = (tmp_path / "html" / "api" / "mfenvs.html").read_text()
    assert "<strong>Observation.</strong>" in makers  # the parts of a game's docstring
    assert makers.count("start_range") < 5  # the options of battle, once
    assert makers.count("attack_opponent_reward") < 3 * 5  # of the three games that have it
    others = (tmp_path / "html" / "other_learners.html").read_text()
    assert '<span class="xref myst">examples/</span>' in others  # a link to a folder
    assert (tmp_path / "html" / "_images" / "gaussian_squeeze.gif").exists()
    battle = tmp_path / "html" / "games" / "battle.html"
    (replay,) = re.findall(r'<iframe [^>]*src="([^"]+)"', battle.read_text())
    assert (battle.parent / replay).exists()


def test_animations_are_small():
    sizes = {path.name: path.stat().st_size for path in DOCS.rglob("*.gif")}
    assert {"battle.gif", *(f"{game}.gif" for game in option_tables.CONFIGS)} <= set(sizes)
    assert max(sizes.values()) < 300_000
    assert sum(sizes.values()) < 2_000_000


@pytest.mark.parametrize("game", option_tables.CONFIGS)
def test_the_tables_of_options_are_those_of_the_configs(game):
    page = (DOCS / "games" / f"{game}.md").read_text()
    expected = option_tables.with_table(page, option_tables.CONFIGS[game])
    assert page == expected, "run python docs/option_tables.py"
    assert len(re.findall(r"^\| `\w+` \| `", page, re.M)) == len(
        option_tables.CONFIGS[game].__dataclass_fields__
    )


def test_a_page_without_a_place_for_options_is_an_error():
    with pytest.raises(ValueError, match="0 tables"):
        option_tables.with_table("# No table\n", option_tables.CONFIGS["ising"])


def test_the_actions_of_battle_are_those_of_the_game():
    page = (DOCS / "games" / "battle.md").read_text()
    section = page.split("\n## Actions\n")[1].split("\n## ")[0]
    maps = re.findall(r"(?:^ {4}.*\n)+", section, re.M)
    params = battle_v0.batched_env(map_size=12).game.params
    offsets = {}
    for drawn, middle in zip(maps, (2, 1), strict=True):  # columns of four characters
        for y, line in enumerate(drawn.splitlines()):
            for number in re.finditer(r"\d+", line):
                dx, dy = number.end() // 4 - 2 - middle, y - middle
                offsets[int(number[0])] = dy * params.stride + dx
    assert [offsets[action] for action in range(len(offsets))] == params.reach[0].tolist()
    moves = [int(number) for number in re.findall(r"\d+", maps[0])]
    assert moves == list(range(int(params.units[0, NUM_MOVES])))


def test_the_shapes_on_the_pages_of_games():
    features = {}
    for minimap in (False, True):
        for extra in (False, True):
            game = battle_v0.batched_env(minimap_mode=minimap, extra_features=extra).game
            features[minimap, extra] = game.num_features
    assert sorted(features.values()) == [0, 2, 32, 34]
    assert "F is 0, 2, 32 or 34" in (DOCS / "games" / "battle.md").read_text()


@pytest.mark.parametrize("package", [mfenvs, mfq], ids=["mfenvs", "mfq"])
def test_the_reference_has_all_public_names(package):
    """A name is documented by autodoc on one of the pages in docs/api."""
    pages = "\n".join(page.read_text() for page in (DOCS / "api").glob("*.md"))
    documented = set(re.findall(r"^\.\. auto\w+:: (?:\w+\.)*(\w+)$", pages, re.M))
    whole = re.findall(r"^\.\. automodule:: (\S+)$", pages, re.M)
    names = set(package.__all__) - {"__version__"}
    missing = {
        name
        for name in names - documented
        if getattr(getattr(package, name), "__module__", None) not in whole
    }
    assert missing <= MODULES
    assert all(f"mfenvs.{name}" in whole for name in MODULES)


def test_figures_show_what_is_computed_and_learned(tmp_path):
    figures = importlib.util.module_from_spec(FIGURES)
    FIGURES.loader.exec_module(figures)
    figures.main(tmp_path)
    page = (DOCS / "concepts" / "mean_field.md").read_text()
    for name in figures.FIGURES:
        assert (tmp_path / name).stat().st_size > 10_000
        assert (DOCS / "concepts" / name).exists()
        assert f"]({name})" in page
    values = figures.learned_values(mfq.policy.Boltzmann(figures.TEMPERATURE))
    agreement = 4 * torch.linspace(0, 1, 5) - 2  # of up with the neighbours: the game's reward
    torch.testing.assert_close(values, torch.stack([-agreement, agreement], 1), rtol=0, atol=0.01)
