"""`mfq train`: trains an agent, or resumes a run."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mfq.cli.errors import at_work
from mfq.cli.flags import Help, Words, help_of, is_given, parse, read, read_some
from mfq.cli.scores import print_scores
from mfq.common.progress import duration

HELP = """Trains an agent.

Without --preset, --config and --env it starts from the preset {first}; a game that --env names \
alone starts from its preset ({of_games}). mfq list explains games, presets and algorithms.

--preset NAME starts from a preset of options: {presets}.
--config FILE.yaml reads options from a file with the format of presets. Flags override both.
--algo chooses the algorithm; the options below are those of {algo}.
--out DIR keeps the run there; by default in runs/GAME-ALGO-SEED. --out none writes nothing.
--overwrite replaces the run in that folder, if it holds one.
--resume DIR resumes the run in DIR exactly from its last checkpoint (on another type of device with \
different draws, and a warning). It accepts --steps, --episodes, --minutes and --device.
--trust MODULE:NAME lets checkpoints name code of yours, such as an environment.
--set NAME=VALUE sets options of the game, such as --set map_size=24 max_cycles=100.
--opponents NAME SHARE replaces the opponents, such as --opponents lagged 0.5 rush 0.5; NAME may be \
MODULE:NAME of a player of yours."""
EXAMPLES = (
    "mfq train",
    "mfq train --preset small --algo iql --seed 1",
    "mfq train --env gaussian_squeeze --set num_agents=50",
    "mfq train --resume runs/battle_v0-mfq-0 --steps 6000",
)
OWN_FOLDER = "runs/GAME-ALGO-SEED"
"""What the help shows as the default of --out; `folder_of` fills in the names."""
GAME_PRESETS = {
    "battle_v0": "quick",
    "gaussian_squeeze_v0": "squeeze",
    "ising_v0": "ising",
}
"""The presets of games that are given by --env alone."""
FIRST_GAME = "battle_v0"
MINUTES = {"quick": "some 4 minutes on one core", "ising": "under a minute"}


@dataclass(frozen=True)
class Start:
    """What a training starts from.

    Attributes:
        preset: the name of a preset.
        config: a YAML file of options.
        algo: an algorithm that `mfq list` prints, such as "mfq"; or MODULE:CLASS of any.
        resume: the folder of a run to resume.
    """

    preset: str | None = None
    config: str | None = None
    algo: str | None = None
    resume: str | None = None


@dataclass(frozen=True)
class Resume:
    """Resumes a run. Other options are those of the run.

    --trust MODULE:NAME lets the checkpoint name code of yours, such as an environment.

    Attributes:
        steps: the total number of environment steps of each row.
        episodes: the total number of episodes.
        minutes: minutes of training from now on.
        device: the device of games and networks.
    """

    steps: int | None = None
    episodes: int | None = None
    minutes: float | None = None
    device: str | None = None


def run(words: Words) -> int:
    """Runs the command; returns its exit status."""
    from mfq.agents.registry import algorithm
    from mfq.common.config import read_yaml
    from mfq.training.config import PRESETS, RunConfig, run_config
    from mfq.training.runner import Runner

    start, words = read_some(Start, words, "mfq train")
    if start.resume is not None:
        return _resume(start.resume, words)
    options = {} if start.config is None else read_yaml(start.config)
    implied = None
    if start.preset is not None:
        options["preset"] = start.preset
    elif start.config is None and (implied := _preset_of_game(words)) is not None:
        options["preset"] = implied
    if start.algo is not None:
        options["algo"] = start.algo
    default = run_config(options)
    if "out" not in options and default.out is None:
        default = replace(default, out=OWN_FOLDER)
    name, entry = algorithm(default.algo)
    of_games = ", ".join(f"{preset} for {game}" for game, preset in GAME_PRESETS.items())
    first = GAME_PRESETS[FIRST_GAME]
    text = HELP.format(first=first, presets=", ".join(PRESETS), algo=name, of_games=of_games)
    config = parse(RunConfig, words, "mfq train", Help(text, EXAMPLES), default, entry.config)
    asked = {name: getattr(config, name) for name in ("steps", "episodes") if is_given(name, words)}
    config = run_config(asked, replace(config, out=folder_of(config)))
    runner = Runner(config=config)
    if implied is not None and not config.quiet:
        took = "" if asked or config.minutes or implied not in MINUTES else f", {MINUTES[implied]}"
        print(f"mfq: options of the preset {implied}{took}", file=sys.stderr)
    return finish(runner)


def _preset_of_game(words: Words) -> str | None:
    """Returns the preset of the game that flags name; without --env, that of the first game."""
    from mfenvs.registry import full_id

    if not is_given("env", words):
        return GAME_PRESETS[FIRST_GAME]
    pairs = zip(words, [*words[1:], ""], strict=True)
    named = [after if word == "--env" else word for word, after in pairs if "--env" in word]
    return GAME_PRESETS.get(full_id(named[-1].removeprefix("--env=")) or "")


def folder_of(config: Any) -> str | None:
    """Returns the folder of a run or a study: ``out``, with the name of a run filled in; None for
    "none"."""
    if config.out is None or config.out.lower() in ("", "none"):
        return None
    if config.out != OWN_FOLDER:
        return config.out
    from mfq.training.environments import full_name

    names = (full_name(config.env), config.algo, str(config.seed))
    return "runs/" + "-".join(re.sub(r"[^\w.]+", "-", name) for name in names)


def _resume(folder: str, words: Words) -> int:
    from mfq.training.runner import Runner

    resume = read(Resume, words, "mfq train --resume DIR", help_of(Resume, EXAMPLES[-1]))
    changes: dict[str, Any] = {
        name: value
        for name in ("steps", "episodes", "minutes", "device")
        if (value := getattr(resume, name)) is not None
    }
    runner = Runner.load(folder, **changes)
    if runner.is_done:
        print(
            f"mfq: {folder} is done after {runner.done} steps and {runner.episodes} episodes; more with "
            "--steps or --episodes",
            file=sys.stderr,
        )
    elif runner.starts_anew:
        print("mfq: the environment cannot be saved: a new episode starts", file=sys.stderr)
    return finish(runner)


def finish(runner: Any) -> int:
    """Trains, evaluates and prints the scores, and what to do next."""
    from mfq.common import distributed

    config = runner.config
    out = config.out
    kept = "the run is not kept (--out none)" if out is None else f"the run is kept in {out}"
    say = not config.quiet and distributed.rank() == 0
    if say:
        print(f"mfq: {announcement(runner)}\nmfq: {kept}", file=sys.stderr)
        if config.learning_side is not None and not config.evaluation.against:
            print(
                f"mfq: only {config.learning_side} learns, and evaluations play all sides by the "
                "learner; --evaluation.against random plays against random",
                file=sys.stderr,
            )
    began = time.monotonic()
    with at_work():
        finished = runner.train()
    if not finished and not runner.out_of_time:
        where = "nothing was saved (--out none)" if out is None else f"mfq train --resume {out}"
        print(f"\nmfq: interrupted after step {runner.done}; to go on: {where}", file=sys.stderr)
        return 130
    took = time.monotonic() - began
    scores = print_scores(runner, config.evaluation.episodes, quiet=not say)
    if say:
        print(_summary(runner, scores, kept, took), file=sys.stderr)
    runner.finish()
    return 0


def announcement(runner: Any) -> str:
    """Returns what a run trains, in a line."""
    config, view = runner.config, runner.view
    agents = "1 agent" if view.num_agents == 1 else f"{view.num_agents} agents"
    rows = "" if view.num_envs == 1 else f", {view.num_envs} games at once"
    length = f"{config.episodes} episodes" if config.episodes else f"{config.steps} steps"
    return f"{config.algo} learns {config.env}: {agents}{rows}, {length}"


def _summary(runner: Any, scores: dict[str, float], kept: str, took: float) -> str:
    """Returns the end of a run in a few lines: score, folder, best checkpoint, the next commands."""
    from mfq.training.summary import in_words

    config = runner.config
    reached = in_words(scores, config.learning_side)
    end = "out of time" if runner.out_of_time else "done"
    lines = [f"{end} after {runner.done} steps, {duration(took)}", reached, kept]
    if (out := config.out) is not None:
        lines.append(f"best checkpoint: {out}/best.safetensors, score {runner.best:.4g}")
        lines += [
            f"next: {command}" for command in _next_commands(config, scores, runner.out_of_time)
        ]
    return "\n".join(f"mfq: {line}" for line in lines)


def _next_commands(config: Any, scores: dict[str, float], unfinished: bool) -> list[str]:
    """Returns the commands to type after a run that is kept."""
    from mfenvs.registry import full_id

    out, game = config.out, full_id(config.env)
    named = [config.env, config.graph, config.algo, getattr(config.agent, "mean_field", None)]
    named += config.evaluation.against
    code = dict.fromkeys(name for name in named if isinstance(name, str) and ":" in name)
    trust = "".join(f" --trust {name}" for name in code)
    commands = [f"mfq train --resume {out}{trust}"] if unfinished else []
    commands.append(f"mfq evaluate {out} --checkpoint best{trust}")
    if game is not None:
        short = game.rpartition("_v")[0]
        players = f"--player {out}"
        if short == "battle":
            players = f"--red {out} --blue {rival(config.evaluation.against, scores)}"
        commands.append(f"mfq record {short} {players} --out {out}/{short}.html{trust}")
        commands.append(f"mfq play {short} {players}{trust}")
    return commands


def rival(against: Sequence[str], scores: dict[str, float]) -> str:
    """Returns the opponent to show a run against: the last one that it beats in half of the battles, or
    else the first one; rush without any.

    Args:
        against: the opponents of the evaluations, the hardest one last.
        scores: the scores of an evaluation.
    """
    from mfq.matches.sources import labelled

    labels = labelled(against)
    beaten = [name for label, name in labels.items() if scores.get(f"{label}_win_rate", 0) >= 0.5]
    return (beaten[-1:] or [*against[:1], "rush"])[0]
