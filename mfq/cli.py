"""The `mfq` command. Its flags come from the configuration dataclasses, by tyro."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Literal

from mfq.common.memory import keep_freed

COMMANDS = {
    "train": "trains an agent on a game, or resumes a run",
    "evaluate": "plays episodes without exploration with the agent of a run",
    "compare": "runs a study: ising, squeeze, battle, curves or dilemma",
    "play": "shows two armies in a window, or as a summary",
    "record": "writes episodes as a page for a browser, a GIF or a video",
    "list": "prints the available games, algorithms, players, studies and runs",
}
TRAIN = """Trains an agent.

Without --preset, --config and --env it starts from the preset ising; with --env gaussian_squeeze_v0,
from the preset squeeze.
--preset NAME starts from a preset of options: {presets}.
--config FILE.yaml reads options from a file with the format of presets. Flags override both.
--algo chooses the algorithm; the options below are those of {algo}.
--out DIR keeps the run there; by default in runs/GAME-ALGO-SEED. --out none writes nothing.
--overwrite replaces the run in that folder, if it holds one.
--resume DIR resumes the run in DIR exactly from its last checkpoint (on another type of device with
different draws, and a warning). It accepts --steps, --episodes, --minutes and --device.
--trust MODULE:NAME lets checkpoints name code of yours, such as an environment.
--set NAME=VALUE sets options of the game, such as --set num_agents=500 mu=400.
--opponents NAME SHARE replaces the opponents, such as --opponents lagged 0.5 rush 0.5; NAME may be
MODULE:NAME of a player of yours.
"""
OWN_FOLDER = "runs/GAME-ALGO-SEED"
"""What the help of `mfq train` shows as the default of --out; `_folder` fills in the names."""
Words = list[str]
FIRST_PRESET = "ising"  # what `mfq train` trains without options
GAME_PRESETS = {
    "gaussian_squeeze_v0": "squeeze"
}  # the presets of games that are given by --env alone


@dataclass(frozen=True)
class Trust:
    """Code that files may name.

    Attributes:
        trust: MODULE:NAME of code that checkpoints may name, such as your environment; may be repeated.
    """

    trust: tuple[str, ...] = ()


@dataclass(frozen=True)
class Start:
    """What `mfq train` starts from.

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


@dataclass(frozen=True)
class Evaluation:
    """Plays episodes without exploration with the agent of a run, and prints their mean scores, with
    those of random play in the same episodes.

    --set, --env and --graph evaluate it in another game, with equal spaces: --set map_size=40 changes
    options of the run's game. With another number of agents it needs a run with
    agent.network.agent_embedding 0.

    --trust MODULE:NAME lets the checkpoint name code of yours, such as an environment.

    Attributes:
        folder: the folder of the run.
        checkpoint: "last" or "best".
        episodes: the number of episodes; None for the run's ``evaluation.episodes``.
        seed: seed of the episodes; None for one that was not used to select the best checkpoint.
        device: the device of games and networks; None for that of the run.
        env: another environment, as for `mfq train`; its options are those of --set. None for the run's.
        graph: another neighbour graph, as for `mfq train`; None for the run's.
        env_options: options of the game that replace the run's.
    """

    folder: str
    checkpoint: Literal["last", "best"] = "last"
    episodes: int | None = None
    seed: int | None = None
    device: str | None = None
    env: str | None = None
    graph: str | None = None
    env_options: dict[str, Any] = field(default_factory=dict)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, 2 for bad arguments, 130 for Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    commands: dict[str, Callable[[Words], int]] = {
        "train": _train,
        "evaluate": _evaluate,
        "compare": _compare,
        "play": _play,
        "record": _record,
        "list": _list,
    }
    try:
        if words == ["--version"]:
            from mfenvs import __version__

            print(f"mfq {__version__}")
            return 0
        words = _trust(words)
        if not words or words[0] not in commands:
            return _choose("mfq", COMMANDS, words)
        keep_freed()
        return commands[words[0]](words[1:])
    except BrokenPipeError:  # such as `mfq list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"mfq: {error}{_place(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmfq: interrupted", file=sys.stderr)
        return 130


def _trust(words: Words) -> Words:
    """Trusts the names after --trust flags; returns the other words."""
    if not any(word.startswith("--trust") for word in words):
        return words
    import tyro

    from mfq.envs.lookup import trust

    kind = tyro.conf.configure(tyro.conf.UseAppendAction)(Trust)
    given, words = tyro.cli(kind, prog="mfq", args=words, return_unknown_args=True, add_help=False)
    trust(given.trust)
    return words


def _train(flags: Words) -> int:
    import tyro

    from mfq.agents.registry import algorithm
    from mfq.common.config import read_yaml
    from mfq.training.config import PRESETS, RunConfig, run_config
    from mfq.training.runner import Runner

    start, flags = tyro.cli(
        Start, prog="mfq train", args=flags, return_unknown_args=True, add_help=False
    )
    if start.resume is not None:
        return _resume(start.resume, flags)
    options = {} if start.config is None else read_yaml(start.config)
    if start.preset is not None:
        options["preset"] = start.preset
    elif start.config is None and (name := _game_preset(flags)) is not None:
        options["preset"] = name
    if start.algo is not None:
        options["algo"] = start.algo
    default = run_config(options)
    if "out" not in options and default.out is None:
        default = replace(default, out=OWN_FOLDER)
    name, entry = algorithm(default.algo)
    description = TRAIN.format(presets=", ".join(PRESETS), algo=name)
    config = _parse(RunConfig, flags, "mfq train", default, description, entry.config)
    asked = {
        name: getattr(config, name) for name in ("steps", "episodes") if _is_given(name, flags)
    }
    config = run_config(asked, replace(config, out=_folder(config)))
    return _finish(Runner(config=config))


def _game_preset(flags: Words) -> str | None:
    """Returns the preset of the game that flags name; without --env, that of the first game."""
    from mfenvs.registry import full_id

    if not _is_given("env", flags):
        return FIRST_PRESET
    pairs = zip(flags, [*flags[1:], ""], strict=True)
    named = [after if word == "--env" else word for word, after in pairs if "--env" in word]
    return GAME_PRESETS.get(full_id(named[-1].removeprefix("--env=")) or "")


def _is_given(option: str, flags: Words) -> bool:
    """Whether an option is among flags, also if with the value that it has by default."""
    return any(word == f"--{option}" or word.startswith(f"--{option}=") for word in flags)


def _folder(config: Any) -> str | None:
    """Returns the folder of a run or a study: ``out``, with the name of a run filled in; None for
    "none"."""
    if config.out is None or config.out.lower() in ("", "none"):
        return None
    if config.out != OWN_FOLDER:
        return config.out
    from mfq.training.environments import full_name

    names = (full_name(config.env), config.algo, str(config.seed))
    return "runs/" + "-".join(re.sub(r"[^\w.]+", "-", name) for name in names)


def _resume(folder: str, flags: Words) -> int:
    import tyro

    from mfq.training.runner import Runner

    resume = tyro.cli(Resume, prog="mfq train --resume DIR", args=flags)
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
    return _finish(runner)


def _finish(runner: Any) -> int:
    """Trains, evaluates and prints the scores, and what to do next."""
    from mfq.common import distributed

    out = runner.config.out
    kept = "the run is not kept (--out none)" if out is None else f"the run is kept in {out}"
    say = not runner.config.quiet and distributed.rank() == 0
    if say:
        print(f"mfq: {kept}", file=sys.stderr)
        if runner.config.learning_side is not None and not runner.config.evaluation.against:
            print(
                f"mfq: only {runner.config.learning_side} learns, and evaluations play all sides by the "
                "learner; --evaluation.against random plays against random",
                file=sys.stderr,
            )
    finished = runner.train()
    if not finished and not runner.out_of_time:
        where = "nothing was saved (--out none)" if out is None else f"mfq train --resume {out}"
        print(f"\nmfq: interrupted after step {runner.done}; to go on: {where}", file=sys.stderr)
        return 130
    scores = runner.evaluate()
    _print_scores(scores, runner.config, runner.config.evaluation.episodes)
    if say:
        print(_summary(runner, scores, kept), file=sys.stderr)
    runner.finish()
    return 0


def _summary(runner: Any, scores: dict[str, float], kept: str) -> str:
    """Returns the end of a run in a few lines: score, folder, best checkpoint, the next commands."""
    from mfq.training.summary import headline

    config = runner.config
    (name, score), *by_random = headline(scores, config.learning_side).items()
    beside = f", of random play {by_random[0][1]:.4g}" if by_random else ""
    lines = [f"done after {runner.done} steps: {name} {score:.4g}{beside}", kept]
    if (out := config.out) is not None:
        lines.append(f"best checkpoint: {out}/best.safetensors, score {runner.best:.4g}")
        named = [config.env, config.graph, config.algo, getattr(config.agent, "mean_field", None)]
        named += config.evaluation.against
        code = dict.fromkeys(name for name in named if isinstance(name, str) and ":" in name)
        trust = "".join(f" --trust {name}" for name in code)
        lines.append(f"next: mfq evaluate {out} --checkpoint best{trust}")
        if config.env.removeprefix("mfenvs/") == "battle_v0":
            lines.append(f"next: mfq play battle --red {out} --blue rush{trust}")
    return "\n".join(f"mfq: {line}" for line in lines)


def _evaluate(flags: Words) -> int:
    import tyro

    from mfq.matches.evaluate import EVALUATION_SEED_OFFSET
    from mfq.training.runner import Runner

    # The folder has no flag.
    flagged = _flagged(Evaluation, {"env_options": _set_flag()})
    kind = tyro.conf.configure(tyro.conf.PositionalRequiredArgs)(flagged)
    options = tyro.cli(kind, prog="mfq evaluate", args=flags)
    file = f"{options.folder}/{options.checkpoint}.safetensors"
    # Nobody is trained: neither opponents nor the replay are needed.
    changes: dict[str, Any] = {
        "out": None,
        "workers": 0,
        "opponents": {},
        "checkpoints": {"replay": False},
    }
    changes |= {
        name: value for name in ("device", "graph") if (value := getattr(options, name)) is not None
    }
    if options.env_options or options.env is not None:
        changes["env_options"] = options.env_options
    runner = Runner.load(file, options.env, **changes)
    seed = runner.config.seed + EVALUATION_SEED_OFFSET if options.seed is None else options.seed
    evaluation = runner.config.evaluation
    episodes = evaluation.episodes if options.episodes is None else options.episodes
    _print_scores(runner.evaluate(episodes, seed), runner.config, episodes)
    runner.finish()
    return 0


def _compare(words: Words) -> int:
    from mfq.studies import STUDIES

    if not words or words[0] not in STUDIES:
        return _choose("mfq compare", {name: study.help for name, study in STUDIES.items()}, words)
    name, *flags = words
    module, kind = STUDIES[name].load()
    study = _parse_with_file(kind, flags, f"mfq compare {name}")
    module.run(replace(study, out=_folder(study)))
    return 0


def _play(words: Words) -> int:
    from mfq.matches.window import PlayConfig, play

    games = {"battle": "two armies; a player is a script, a pretrained player, or a run"}
    if not words or words[0].removesuffix("_v0") not in games:
        return _choose("mfq play", games, words)
    play(_parse_with_file(PlayConfig, words[1:], "mfq play battle"))
    return 0


def _record(words: Words) -> int:
    from mfenvs.registry import GAMES, full_id
    from mfq.recording import command

    if not words or full_id(words[0]) is None:
        games = {game: f"records episodes of {game}" for game in GAMES}
        return _choose("mfq record", games, words)
    config = _parse_with_file(command.RecordConfig, words[1:], f"mfq record {words[0]}")
    path = command.run(words[0], config)
    print(f"mfq: {path} ({path.stat().st_size / 1e6:.1f} MB)", file=sys.stderr)
    return 0


def _list(flags: Words) -> int:
    import tyro

    from mfenvs.registry import GAMES, game_class
    from mfq import pretrained
    from mfq.agents.registry import BUILT_IN
    from mfq.studies import STUDIES
    from mfq.training.config import PRESETS
    from mfq.training.runs import described, runs_in

    def show() -> None:
        """Prints the available games, algorithms, players and studies, and the runs in runs/."""
        for name, entries in (
            ("games", GAMES),
            ("algorithms", BUILT_IN),
            ("presets", PRESETS),
            ("players", [f"{script} (battle)" for script in game_class("battle_v0").players]),
            ("pretrained", [f"{name} (battle)" for name in pretrained.files("battle_v0")]),
            ("studies", STUDIES),
        ):
            print(f"{name:<12}" + ", ".join(entries))
        for k, run in enumerate(runs_in("runs")):
            print(f"{'' if k else 'runs':<12}{described(run)}")

    tyro.cli(show, prog="mfq list", args=flags)
    return 0


def _choose(program: str, commands: dict[str, str], words: Words) -> int:
    """Prints the help of a command with subcommands, or an error; returns the exit status."""
    import tyro

    stubs = {}
    for name, text in commands.items():

        def stub() -> None: ...

        stub.__doc__ = text[0].upper() + text[1:] + "."
        stubs[name] = stub
    try:
        tyro.extras.subcommand_cli_from_dict(stubs, prog=program, args=words or ["--help"])
    except SystemExit:
        if words:
            raise
    return 2


def _parse(
    kind: type[Any],
    flags: Words,
    program: str,
    default: Any = None,
    description: str | None = None,
    agent: type[Any] | None = None,
) -> Any:
    """Returns a configuration from flags.

    Args:
        kind: the dataclass.
        flags: the words to parse.
        program, description: for help and error messages.
        default: the values of options without a flag; None for the dataclass's defaults.
        agent: the dataclass of the field ``agent``.
    """
    import tyro

    default = kind() if default is None else default
    annotations: dict[str, Any] = {} if agent is None else {"agent": agent}
    changed: dict[str, Any] = {}
    known = {part.name for part in fields(kind)}
    if "env_options" in known:
        annotations["env_options"] = _set_flag()
        changed["env_options"] = {}  # the default's are merged below
    if "opponents" in known:
        annotations["opponents"] = Annotated[dict[str, float], _shares()]
    flagged = _flagged(kind, annotations)
    values = {part.name: getattr(default, part.name) for part in fields(kind)}
    parsed = tyro.cli(
        flagged,
        prog=program,
        args=flags,
        default=flagged(**{**values, **changed}),
        description=description,
    )
    config = kind(**{name: getattr(parsed, name) for name in values})
    if "env_options" in known:
        config = replace(config, env_options={**default.env_options, **parsed.env_options})
    return config


def _flagged(kind: type[Any], annotations: dict[str, Any]) -> Any:
    """Returns a subclass of a dataclass with other annotations of some dicts among its fields."""
    namespace: dict[str, Any] = {name: field(default_factory=dict) for name in annotations}
    namespace |= {"__annotations__": annotations, "__doc__": kind.__doc__, "__module__": __name__}
    return dataclass(frozen=True)(type(kind.__name__, (kind,), namespace))


def _set_flag() -> Any:
    """Returns the annotation of a dict of options that --set NAME=VALUE fills."""
    import tyro

    return Annotated[
        dict[str, Any], _settings(), tyro.conf.arg(name="set", help="options of the game")
    ]


def _settings() -> Any:
    """Returns tyro's parser of NAME=VALUE words, with values in YAML."""
    import tyro
    import yaml

    def read(words: list[str]) -> dict[str, Any]:
        settings = {}
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                raise ValueError(f"--set {word}; allowed: NAME=VALUE")
            try:
                settings[name] = yaml.safe_load(value)
            except yaml.YAMLError:
                raise ValueError(f"--set {word}; allowed: a value in YAML") from None
        return settings

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar="NAME=VALUE",
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda settings: [f"{name}={value}" for name, value in settings.items()],
    )


def _shares() -> Any:
    """Returns tyro's parser of NAME SHARE words."""
    import tyro

    def read(words: list[str]) -> dict[str, float]:
        if len(words) % 2:
            raise ValueError(f"--opponents {' '.join(words)}; allowed: NAME SHARE NAME SHARE ...")
        shares = {}
        for name, share in zip(words[::2], words[1::2], strict=True):
            try:
                shares[name] = float(share)
            except ValueError:
                raise ValueError(f"--opponents {name} {share}; allowed: a number") from None
        return shares

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar="NAME SHARE",
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda shares: [str(w) for pair in shares.items() for w in pair],
    )


@dataclass(frozen=True)
class File:
    """Options in a file.

    Attributes:
        config: a YAML file.
    """

    config: str | None = None


def _parse_with_file(kind: type[Any], flags: Words, program: str) -> Any:
    """Returns a configuration from flags, over those of ``--config FILE.yaml``."""
    import tyro

    from mfq.common.config import from_yaml

    file, flags = tyro.cli(File, prog=program, args=flags, return_unknown_args=True, add_help=False)
    default = None if file.config is None else from_yaml(kind, file.config)
    description = (kind.__doc__ or "").partition("Attributes:")[0]
    description += "--trust MODULE:NAME lets checkpoints name code of yours.\n"
    description += "--config FILE.yaml reads options from a file; flags override them."
    return _parse(kind, flags, program, default, description)


def _place(error: BaseException) -> str:
    """Returns the last line of a user's code in an error's traceback, " (FILE:LINE)", or ""."""
    import traceback
    from pathlib import Path

    root = Path(__file__).parents[1]
    places = [root / name for name in ("mfq", "mfenvs")]
    places += [Path(sys.prefix), Path(sys.base_prefix)]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if file.is_file() and not any(file.is_relative_to(place) for place in places):
            return f" ({file}:{frame.lineno})"
    return ""


def _print_scores(scores: dict[str, float], config: Any, episodes: int) -> None:
    """Prints scores beside random play's, the number of their episodes unless the run is quiet, and a
    remark if they are below random play's."""
    from mfq.training.summary import below_random, table

    print(table(scores))
    if not config.quiet:
        count = -(-max(episodes, 2) // 2) * 2 if config.evaluation.against else episodes
        of = "episode" if count == 1 else "episodes"
        against = " against each opponent" if config.evaluation.against else ""
        print(f"mfq: scores are means of {count} {of}{against}", file=sys.stderr)
    if remark := below_random(scores, config):
        print(f"mfq: {remark}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
