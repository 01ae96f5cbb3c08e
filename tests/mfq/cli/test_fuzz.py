"""Nonsense in every argument of every subcommand: a message in one line and an exit status.

The flags are the parser's own list, so that new ones are tried, too.
"""

import types
from typing import Any, NamedTuple

import pytest

import mfq
from mfq.cli import main
from mfq.cli.evaluate import Evaluation
from mfq.cli.flags import Trust, flags_of
from mfq.cli.train import Resume, Start
from mfq.matches.window import PlayConfig
from mfq.recording.command import RecordConfig
from mfq.studies import STUDIES
from mfq.training.config import RunConfig
from mfq.training.runner import Runner

SMALL = ["--set", "side=4", "max_cycles=3"]
BATTLE = ["--set", "map_size=14", "max_cycles=2"]
TRAIN = ["train", "--env", "ising", *SMALL, "--steps", "1", "--out", "none", "--quiet"]
STUDY = {
    "ising": ["--side", "4", "--seeds", "2", "--sweeps", "2", "--burn-in", "1", "--taus", "1.0"],
    "squeeze": ["--num-agents", "3", "--seeds", "1", "--steps", "1"],
    "battle": ["--players", "rush", "random", "--episodes", "2", *BATTLE],
    "curves": ["--runs", "RUN"],
    "dilemma": ["--runs", "RUN", "--episodes", "1"],
}
HUGE = "99999999999999999999"


def cases():
    """(words, flag) of every flag of every subcommand; "RUN" stands for the folder of a run."""
    yield from ((TRAIN, name) for name in flags_of(RunConfig, RunConfig()) | flags_of(Start))
    of_actor_critics = flags_of(RunConfig, RunConfig(algo="mfac"))
    of_agents = [name for name in of_actor_critics if name.startswith("--agent.")]
    yield from (([*TRAIN, "--algo", "mfac"], name) for name in of_agents)
    yield from ((["train", "--resume", "RUN"], name) for name in flags_of(Resume))
    yield from ((["evaluate", "RUN"], name) for name in flags_of(Evaluation) if name != "--folder")
    for name, words in STUDY.items():
        flags = {"--config": str, **flags_of(STUDIES[name].load()[1])}
        yield from ((["compare", name, "--out", "none", *words], flag) for flag in flags)
    armies = ["--red", "rush", "--blue", "random", *BATTLE]
    for flag in ["--config", *flags_of(PlayConfig)]:
        yield ["play", "battle", "--no-window", *armies], flag
    for flag in ["--config", *flags_of(RecordConfig)]:
        yield ["record", "battle", "--max-frames", "2", *armies], flag
        yield ["record", "ising", "--max-frames", "2", *SMALL], flag
    yield from ((["list"], name) for name in flags_of(Trust))


CASES = list(cases())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The folder of a run, and wrong values: names of files among them."""
    folder = tmp_path_factory.mktemp("fuzz")
    run = folder / "run"
    assert main([*TRAIN[:-3], "--out", str(run), "--quiet"]) == 0
    (folder / "binary").write_bytes(bytes(range(256)))
    names = [str(folder), str(folder / "binary"), str(folder / "no" / "such")]
    return str(run), ["", "x", "-1", "nan", HUGE, "é☃ 'x'", "cuda:99", *names]


@pytest.fixture
def without_work(monkeypatch, tmp_path):
    """Leaves out training and playing, which accepted values would start."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Runner, "train", lambda self: True)
    monkeypatch.setattr(Runner, "evaluate", lambda self, *_: {"return": 0.0})
    monkeypatch.setattr(mfq.matches.window, "play", lambda *_: None)
    monkeypatch.setattr(mfq.recording.command, "record", written)
    for name, study in STUDIES.items():
        module = types.SimpleNamespace(run=lambda study: None)
        monkeypatch.setitem(STUDIES, name, Loaded(module, study.load()[1], study.help))


def written(view, players, path, *_):
    """Writes a recording of nothing."""
    path.write_text("")
    return path


class Loaded(NamedTuple):
    """A study that computes nothing."""

    module: Any
    options: type
    help: str

    def load(self):
        return self.module, self.options


def tried(words, run, capsys):
    """The exit status of a command and what it printed as an error."""
    capsys.readouterr()
    status = main([run if word == "RUN" else word for word in words])
    return status, capsys.readouterr().err


@pytest.mark.parametrize(("words", "flag"), CASES, ids=lambda part: str(part)[:60])
def test_nonsense_in_a_flag(words, flag, files, without_work, capsys):
    run, nonsense = files
    few = 5 if flag.startswith("--agent.") else None  # no agent's option names a file
    for k, value in enumerate(nonsense[:few]):
        given = [flag, value] if k % 2 else [f"{flag}={value}"]
        status, error = tried([*words, *given], run, capsys)
        assert status in (0, 1, 2), given
        if status:
            assert error.splitlines()[-1].startswith("mfq: "), (given, error)
