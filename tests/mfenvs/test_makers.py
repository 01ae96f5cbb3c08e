"""The constructors' signatures are those of the configs, for readers, editors and type checkers."""

import inspect
import subprocess
import sys
import textwrap
from dataclasses import MISSING, fields
from pathlib import Path
from typing import get_type_hints

import pytest

from mfenvs import (
    adversarial_pursuit_v0,
    battle_v0,
    battlefield_v0,
    combined_arms_v0,
    gather_v0,
    gaussian_squeeze_v0,
    ising_v0,
    tiger_deer_v0,
)
from mfenvs.gaussian_squeeze.config import SqueezeConfig, SqueezeOptions
from mfenvs.gridworld.games.adversarial_pursuit import PursuitConfig, PursuitOptions
from mfenvs.gridworld.games.battle import BattleConfig, BattleOptions
from mfenvs.gridworld.games.battlefield import BattlefieldConfig, BattlefieldOptions
from mfenvs.gridworld.games.combined_arms import CombinedArmsConfig, CombinedArmsOptions
from mfenvs.gridworld.games.gather import GatherConfig, GatherOptions
from mfenvs.gridworld.games.tiger_deer import TigerDeerConfig, TigerDeerOptions
from mfenvs.ising.config import IsingConfig, IsingOptions
from mfenvs.registry import GAMES as REGISTERED

GAMES = {
    "ising": (ising_v0, IsingConfig, IsingOptions),
    "squeeze": (gaussian_squeeze_v0, SqueezeConfig, SqueezeOptions),
    "battle": (battle_v0, BattleConfig, BattleOptions),
    "adversarial_pursuit": (adversarial_pursuit_v0, PursuitConfig, PursuitOptions),
    "battlefield": (battlefield_v0, BattlefieldConfig, BattlefieldOptions),
    "combined_arms": (combined_arms_v0, CombinedArmsConfig, CombinedArmsOptions),
    "gather": (gather_v0, GatherConfig, GatherOptions),
    "tiger_deer": (tiger_deer_v0, TigerDeerConfig, TigerDeerOptions),
}
MAKERS = ("parallel_env", "env", "raw_env", "batched_env", "vector_env")
every_game = pytest.mark.parametrize(("module", "config", "options"), GAMES.values(), ids=GAMES)


def test_these_are_all_games():
    assert {module.ID for module, _, _ in GAMES.values()} == set(REGISTERED)


@every_game
def test_the_typed_options_are_the_config_s_fields(module, config, options):
    declared, typed = get_type_hints(config), get_type_hints(options)
    wider = {"field"}  # takes arrays too
    assert typed.keys() == {field.name for field in fields(config)}
    assert {n: t for n, t in typed.items() if n not in wider} == {
        field.name: declared[field.name] for field in fields(config) if field.name not in wider
    }
    assert not options.__required_keys__


@every_game
@pytest.mark.parametrize("maker", MAKERS)
def test_the_signature_that_help_shows_has_all_options_with_their_defaults(
    module, config, options, maker
):
    shown = inspect.signature(getattr(module, maker)).parameters
    assert all(field.default is not MISSING for field in fields(config))
    for field in fields(config):
        assert shown[field.name].default == field.default
    extra = {"render_mode", "show_graph", "num_envs", "device", "dtype"}
    assert set(shown) - {field.name for field in fields(config)} <= extra
    listed = [name for name in shown if shown[name].kind is inspect.Parameter.KEYWORD_ONLY]
    order = [field.name for field in fields(config) if field.name in listed]
    assert listed == order


@every_game
def test_all_forms_are_made(module, config, options):
    small = {"battle_v0": {"map_size": 12}}.get(module.ID, {})
    for maker in MAKERS[:-1]:
        made = getattr(module, maker)(**small)
        assert made is not None
    for maker in ("parallel_env", "batched_env"):
        with pytest.raises(TypeError, match="no option 'speling'"):
            getattr(module, maker)(speling=1)


@pytest.mark.slow
def test_a_type_checker_knows_the_environments(tmp_path):
    code = """
        from mfenvs import battle_v0, ising_v0
        env = battle_v0.parallel_env(map_size=16)
        reveal_type(env)
        reveal_type(env.action_space("red_0").n)
        reveal_type(env.agents)
        reveal_type(ising_v0.batched_env(4, side=8).num_envs)
        reveal_type(ising_v0.env(side=8).neighbors("site_0"))
        battle_v0.parallel_env(map_size="16")
        battle_v0.batched_env(4, dammage=3.0)
        ising_v0.parallel_env(update=3)
    """
    file = tmp_path / "user.py"
    file.write_text(textwrap.dedent(code))
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(root / "pyproject.toml"), str(file)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.partition(": ")[2] for line in done.stdout.splitlines()]
    expected = [
        'Revealed type is "mfenvs.views.parallel.ParallelEnv"',
        "numpy",
        'Revealed type is "list[str]"',
        'Revealed type is "int"',
        'Revealed type is "list[str]"',
        'Argument "map_size"',
        '"dammage"',
        'Argument "update"',
    ]
    errors = [line for line in lines if line.startswith(("note: Revealed", "error"))]
    assert len(errors) == len(expected), done.stdout
    for line, words in zip(errors, expected, strict=True):
        assert words in line.replace("builtins.", ""), done.stdout
