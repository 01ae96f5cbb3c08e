"""Help and lists: their width and length, examples, and that they name everything."""

import re
from dataclasses import fields

import pytest

import mfq.cli
from mfenvs.registry import GAMES, game_class
from mfq.agents.registry import BUILT_IN
from mfq.cli import main
from mfq.cli.listing import meanings
from mfq.cli.train import EXAMPLES, FIRST_GAME, GAME_PRESETS, _preset_of_game
from mfq.studies import STUDIES
from mfq.training.config import PRESETS, preset

PROGRAMS = [
    [],
    ["train"],
    ["train", "--resume", "x"],
    ["evaluate"],
    ["compare"],
    *(["compare", study] for study in STUDIES),
    ["play"],
    ["play", "battle"],
    ["record"],
    *(["record", game] for game in GAMES),
    ["list"],
]


@pytest.fixture(autouse=True)
def columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def printed(words, capsys):
    """What a command prints, and its status."""
    try:
        status = main(words)
    except SystemExit as stop:  # as the parser of flags ends
        status = stop.code
    return status, capsys.readouterr().out


@pytest.mark.parametrize("words", PROGRAMS, ids=" ".join)
def test_every_command_explains_itself_with_an_example_in_80_columns(words, capsys):
    status, text = printed([*words, "--help"], capsys)
    assert status == 0
    lines = text.splitlines()
    assert lines[0].startswith(f"usage: {' '.join(['mfq', *words[:1]])}")
    assert max(map(len, lines)) <= 80
    shown = [line.strip() for line in lines[lines.index(next(x for x in lines if "xample" in x)) :]]
    commands = [line for line in shown if line.startswith("mfq ")]
    program = " ".join(["mfq", *words[:1]])
    assert any(command.startswith(program) for command in commands)
    assert all(command.split()[1] in [*mfq.cli.COMMANDS, "COMMAND"] for command in commands)


def test_the_first_help_fits_a_screen(capsys):
    _, text = printed(["--help"], capsys)
    assert len(text.splitlines()) <= 24
    assert set(mfq.cli.COMMANDS) <= set(re.findall(r"^  (\w+) ", text, re.M))


def test_no_command_prints_the_same_and_fails(capsys):
    status, text = printed([], capsys)
    assert status == 2
    assert text == printed(["--help"], capsys)[1]


# -- lists --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [None, *GAMES, *BUILT_IN, *PRESETS, "players", "runs", "ising"])
def test_lists_fit_80_columns(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, text = printed(["list", *([] if name is None else [name])], capsys)
    assert status == 0
    # Presets are printed as they are in their files.
    assert max(map(len, text.splitlines())) <= (120 if name in PRESETS else 80)


@pytest.mark.parametrize("game", GAMES)
def test_a_games_options_are_listed_with_their_meanings(game, capsys):
    _, text = printed(["list", game.rpartition("_v")[0]], capsys)
    config = game_class(game).Config
    for part in fields(config):
        assert re.search(rf"^  {part.name}=", text, re.M), part.name
        assert meanings(config)[part.name].replace("``", "")[:20] in " ".join(text.split())
    assert "random" in text


@pytest.mark.parametrize("algo", BUILT_IN)
def test_an_algorithms_options_are_listed(algo, capsys):
    _, text = printed(["list", algo], capsys)
    assert "  gamma=0.95\n" in text or algo in ("fmq", "rec_fmq")  # of single stages
    assert re.search(r"^  \S*learning_rate=", text, re.M)
    assert ("  pairing=" in text) == (algo in ("mfq", "mfac", "mf_ppo"))


def test_a_preset_is_listed_as_it_is_in_its_file(capsys):
    _, text = printed(["list", "quick"], capsys)
    assert text.startswith("# What `mfq train` does without options")
    assert "preset: small\nsteps: 3000\n" in text
    _, text = printed(["list", "ising"], capsys)  # a game, and a preset
    assert "  side=20\n" in text
    assert "\nThe preset ising:\n" in text


def test_an_unknown_name_is_answered_with_the_nearest(capsys):
    assert main(["list", "batle"]) == 2
    assert "name='batle'; did you mean battle? allowed: games, " in capsys.readouterr().err
    assert main(["list", "a", "b"]) == 2


# -- the first training -------------------------------------------------------------------------


def test_without_options_it_trains_the_first_game_by_its_preset():
    assert _preset_of_game([]) == GAME_PRESETS[FIRST_GAME] == "quick"
    assert _preset_of_game(["--env", "battle", "--seed", "3"]) == "quick"
    assert _preset_of_game(["--env=mfenvs/ising_v0"]) == "ising"
    assert _preset_of_game(["--env", "CartPole-v1"]) is None
    assert {preset(name).env for name in GAME_PRESETS.values()} == set(GAME_PRESETS)
    assert preset("quick").evaluation.against == ("random", "rush")
    assert EXAMPLES[0] == "mfq train"
