"""The `mfq` command. Its flags come from the configuration dataclasses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

HELP = """\
usage: mfq COMMAND [options]

Mean-field reinforcement learning (Yang et al., 2018).

commands:
  train                   trains an agent on a game; --resume DIR goes on with a run
  evaluate DIR            greedy episodes of a run's agent
  compare ising           agents on the Ising lattice, held against exact physics
  compare squeeze         MFQ and IQL on the Gaussian squeeze, over seeds
  compare battle          runs and scripts against each other, on both sides
  compare curves          the learning curves of runs, over seeds
  compare dilemma         what an agent of a run on battle, and its army, would earn by fighting
  play battle             two armies in a window, or as a summary
  list                    the games, algorithms, players and studies there are

`mfq COMMAND --help` lists a command's options. `--config FILE.yaml` reads them from a file;
flags given beside it win.
"""
TRAIN = """\
`--env` takes a game (see `mfq list`), MODULE:FACTORY of an environment of your own, or an id of
PettingZoo's or Gymnasium's, such as CartPole-v1.
`--preset paper|authors|authors-mfac|fast|large|small` starts from a ready set of options (battle),
`fast-random`, `large-random` and `small-random` from the same with another start in each episode, and
`cartpole` from one for small single-agent tasks; flags beside it win.
`--resume DIR [--steps N] [--rounds N] [--minutes M] [--device D]` goes on with the run in DIR, exactly
where its last checkpoint was (on another kind of device with other draws, and it says so).
`--set NAME=VALUE ...` sets options of the game, such as `--set num_agents=500 mu=400`.
`--opponents NAME SHARE ...` takes the place of a preset's, such as `--opponents lagged 0.5 rush 0.5`.
`--config FILE.yaml` reads options from a file; flags beside it win.
"""
PLAY = """\
usage: mfq play battle [--red PLAYER] [--blue PLAYER] [options]

Plays two armies against each other in a window, or without a display as a summary.
A PLAYER is a script or a pretrained player (see `mfq list`), a checkpoint, or the folder of a run.
`--set NAME=VALUE ...` sets options of the game, such as `--set map_size=60 minimap_mode=true`.
"""
COMPARE_BATTLE = """\
usage: mfq compare battle --players PLAYER PLAYER ... [options]

Plays every pair on both sides. A PLAYER is a script or a pretrained player (see `mfq list`), a
checkpoint or the folder of a run, with NAME= before it to be called so; NAME=RUN,RUN ... joins runs
of several seeds.
The game is that of the first run, else the paper's; `--set NAME=VALUE ...` sets its options.
Every pair meets on the game's fixed start and on random ones; `--placement NAME ...` says on which.
"""
EVALUATE = """\
usage: mfq evaluate DIR [--checkpoint last|best] [--episodes K] [--seed S] [--device D]

Plays greedy episodes with the agent of the run in DIR and prints their mean scores. Unless --seed says
otherwise they are none of those by which training chose its best checkpoint.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, 2 for bad arguments, 130 for Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(HELP, end="")
        return 0 if words else 2
    command, *rest = words
    try:
        if command not in COMMANDS:
            raise ValueError(f"unknown command {command!r}; allowed: {', '.join(COMMANDS)}")
        return COMMANDS[command](rest)
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"mfq: {error}{_place(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmfq: interrupted", file=sys.stderr)
        return 130


def _train(flags: list[str]) -> int:
    from dataclasses import replace

    from mfq.training.config import RunConfig, preset
    from mfq.training.runner import Runner

    if any(flag in ("-h", "--help") for flag in flags):
        print(TRAIN)
    folder, flags = _take("--resume", flags)
    if folder is not None:
        changes: dict[str, Any] = {}
        kinds = {"steps": int, "rounds": int, "minutes": float, "device": str}
        for name, kind in kinds.items():
            value, flags = _take(f"--{name}", flags)
            if value is not None:
                changes[name] = _number(f"--{name}", value, kind)
        if flags:
            allowed = ", ".join(f"--{name}" for name in kinds)
            raise ValueError(f"{flags[0]!r} beside --resume; allowed: {allowed}")
        runner = Runner.load(folder, **changes)
        if runner.is_done:
            print(
                f"mfq: {folder} is done after {runner.done} steps and {runner.rounds} rounds; more "
                "with --steps or --rounds",
                file=sys.stderr,
            )
        elif runner.starts_anew:
            print(
                "mfq: the environment cannot tell its state: a new episode starts", file=sys.stderr
            )
    else:
        options, flags = _take_settings(flags)
        ready, flags = _take("--preset", flags)
        default = None if ready is None else preset(ready)
        shares, flags = _take_shares(flags)
        config = _parse(RunConfig, flags, "mfq train", default)
        if shares is not None:
            config = replace(config, opponents=shares)
        if options:
            config = replace(config, env_options={**config.env_options, **options})
        runner = Runner(config=config)
    finished = runner.train()
    out = runner.config.out
    if not finished and not runner.out_of_time:
        where = (
            "nothing was kept, as there is no --out" if out is None else f"mfq train --resume {out}"
        )
        print(f"\nmfq: interrupted after step {runner.done}; to go on: {where}", file=sys.stderr)
        return 130
    _print_scores(runner.evaluate())
    runner.finish()
    return 0


def _evaluate(words: list[str]) -> int:
    if not words or any(word in ("-h", "--help") for word in words):
        print(EVALUATE, end="")
        return 0 if words else 2
    from pathlib import Path

    from mfq.matches.evaluate import EVALUATION_SEED_OFFSET
    from mfq.training.runner import Runner

    which, words = _take("--checkpoint", words)
    episodes, words = _take("--episodes", words)
    seed, words = _take("--seed", words)
    device, words = _take("--device", words)
    if which not in (None, "last", "best"):
        raise ValueError(f"--checkpoint {which}; allowed: last, best")
    if len(words) != 1:
        raise ValueError(f"evaluate takes one folder; got {words}")
    file = Path(words[0]) / f"{which or 'last'}.safetensors"
    runner = Runner.load(file, out=None, workers=0, **({"device": device} if device else {}))
    _print_scores(
        runner.evaluate(
            None if episodes is None else _whole("--episodes", episodes),
            runner.config.seed + EVALUATION_SEED_OFFSET if seed is None else _whole("--seed", seed),
        )
    )
    runner.finish()
    return 0


def _compare(words: list[str]) -> int:
    from dataclasses import fields, replace
    from importlib import import_module

    if not words or words[0] in ("-h", "--help"):
        print(HELP, end="")
        return 0 if words else 2
    name, *flags = words
    if name not in STUDIES:
        raise ValueError(f"unknown study {name!r}; allowed: {', '.join(STUDIES)}")
    module = import_module(f"baselines.{name}")
    kind = getattr(module, STUDIES[name])
    if name == "battle" and any(flag in ("-h", "--help") for flag in flags):
        print(COMPARE_BATTLE)
    settable = any(field.name == "env_options" for field in fields(kind))
    options, flags = _take_settings(flags) if settable else ({}, flags)
    study = _parse(kind, flags, f"mfq compare {name}")
    if options:
        study = replace(study, env_options={**study.env_options, **options})
    module.run(study)
    return 0


def _play(words: list[str]) -> int:
    from dataclasses import replace

    from mfq.matches.window import PlayConfig, play

    if not words or words[0] in ("-h", "--help"):
        print(PLAY, end="")
        return 0 if words else 2
    game, *flags = words
    if game.removesuffix("_v0") != "battle":
        raise ValueError(f"play {game}; allowed: battle")
    if any(flag in ("-h", "--help") for flag in flags):
        print(PLAY)
    options, flags = _take_settings(flags)
    config = _parse(PlayConfig, flags, "mfq play battle")
    play(replace(config, env_options={**config.env_options, **options}))
    return 0


def _list(words: list[str]) -> int:
    from mfenvs.registry import GAMES, game_class
    from mfq import pretrained
    from mfq.agents.registry import ALGORITHMS

    print("games       " + ", ".join(GAMES))
    print("algorithms  " + ", ".join(ALGORITHMS))
    print(
        "players     "
        + ", ".join(f"{script} (battle)" for script in game_class("battle_v0").players)
    )
    print(
        "pretrained  " + ", ".join(f"{player} (battle)" for player in pretrained.files("battle_v0"))
    )
    print("studies     " + ", ".join(STUDIES))
    return 0


STUDIES = {
    "ising": "IsingStudy",
    "squeeze": "SqueezeStudy",
    "battle": "BattleStudy",
    "curves": "CurvesStudy",
    "dilemma": "DilemmaStudy",
}
"""The modules of baselines, and the dataclasses of their options."""
COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": _train,
    "evaluate": _evaluate,
    "compare": _compare,
    "play": _play,
    "list": _list,
}


def _place(error: BaseException) -> str:
    """Where in a user's own code an error came from, " (FILE:LINE)"; "" if it was not there."""
    import traceback
    from pathlib import Path

    root = Path(__file__).parents[1]
    places = [root / name for name in ("mfq", "mfenvs", "baselines")]
    places += [Path(sys.prefix), Path(sys.base_prefix)]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if file.is_file() and not any(file.is_relative_to(place) for place in places):
            return f" ({file}:{frame.lineno})"
    return ""


def _parse(kind: type[Any], flags: list[str], program: str, default: Any = None) -> Any:
    """A configuration from flags, over those of ``--config FILE.yaml`` if that is among them, over
    ``default``."""
    import tyro

    from mfq.common.config import from_yaml

    file, flags = _take("--config", flags)
    default = kind() if default is None else default
    default = default if file is None else from_yaml(kind, file, default)
    return tyro.cli(kind, prog=program, args=flags, default=default)


def _take(name: str, flags: list[str]) -> tuple[str | None, list[str]]:
    """The value of a flag ("--name value" or "--name=value"), and the other flags."""
    for place, flag in enumerate(flags):
        found, equals, value = flag.partition("=")
        if found == name:
            if not equals and place + 1 == len(flags):
                raise ValueError(f"{name} needs a value")
            rest = place + (1 if equals else 2)
            return (value if equals else flags[place + 1]), flags[:place] + flags[rest:]
    return None, flags


def _take_settings(flags: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The NAME=VALUE words after ``--set``, their values read as YAML, and the other flags."""
    import yaml

    words, flags = _take_words("--set", flags)
    settings = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"--set {word}; allowed: NAME=VALUE")
        settings[name] = yaml.safe_load(value)
    return settings, flags


def _take_shares(flags: list[str]) -> tuple[dict[str, float] | None, list[str]]:
    """The NAME SHARE words after ``--opponents``, None without it, and the other flags."""
    words, flags = _take_words("--opponents", flags)
    if words is None:
        return None, flags
    if len(words) % 2:
        raise ValueError(f"--opponents {' '.join(words)}; allowed: NAME SHARE NAME SHARE ...")
    pairs = zip(words[::2], words[1::2], strict=True)
    return {name: _number(f"--opponents {name}", share, float) for name, share in pairs}, flags


def _take_words(name: str, flags: list[str]) -> tuple[list[str] | None, list[str]]:
    """The words after a flag, up to the next flag, None without it, and the other flags."""
    if name not in flags:
        return None, flags
    place = flags.index(name)
    end = place + 1
    while end < len(flags) and not flags[end].startswith("--"):
        end += 1
    return flags[place + 1 : end], flags[:place] + flags[end:]


def _number(name: str, value: str, kind: Callable[[str], Any]) -> Any:
    try:
        return kind(value)
    except ValueError:
        what = "an integer" if kind is int else "a number"
        raise ValueError(f"{name} {value}; allowed: {what}") from None


def _whole(name: str, value: str) -> int:
    return _number(name, value, int)


def _print_scores(scores: dict[str, float]) -> None:
    for name, value in scores.items():
        print(f"{name:<28} {value:.6g}")


if __name__ == "__main__":
    sys.exit(main())
